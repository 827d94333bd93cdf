//! Which files a path stands for, where a command checks all there is: a folder's configurations and Markdown files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{failure::Failure, project::FILE_NAME};

/// Folders below each other at most; also the end of a circle that mounts make.
const MAX_DEPTH: usize = 32;

/// Entries looked at below one path: more is somebody's home or disk, and a mistake.
const MAX_ENTRIES: usize = 200_000;

/// Folders of other people's files.
const SKIPPED: [&str; 2] = ["node_modules", "target"];

/// A file to check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A configuration.
    Config(PathBuf),
    /// A Markdown file, which may hold configurations.
    Markdown(PathBuf),
}

impl Target {
    fn of(path: PathBuf) -> Self {
        if is_markdown(&path) { Self::Markdown(path) } else { Self::Config(path) }
    }
}

/// What a path stands for, sorted: a file for itself, a folder for each configuration and Markdown file in it and below.
///
/// Links to folders are not followed. A folder without any is an error.
pub(crate) fn targets(path: &Path) -> Result<Vec<Target>, Failure> {
    if !path.is_dir() {
        return Ok(vec![Target::of(path.to_owned())]);
    }
    let mut found = Vec::new();
    let mut entries = 0;
    walk(path, 0, &mut entries, &mut found)?;
    if found.is_empty() {
        let message =
            format!("{} holds no {FILE_NAME} and no Markdown, nor does a folder below it", path.display());
        return Err(Failure::usage(message).help(format!("name an {FILE_NAME}, or a folder that holds one")));
    }
    found.sort();
    Ok(found)
}

fn walk(folder: &Path, depth: usize, entries: &mut usize, found: &mut Vec<Target>) -> Result<(), Failure> {
    let unreadable =
        |error: io::Error| Failure::usage(format!("{} can't be read: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        *entries += 1;
        if *entries > MAX_ENTRIES {
            let message = format!("{} holds more than {MAX_ENTRIES} files and folders", folder.display());
            return Err(Failure::usage(message).help("name the folders of the configurations"));
        }
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(unreadable)?);
        let is_left_out = name.to_str().is_some_and(|name| name.starts_with('.') || SKIPPED.contains(&name));
        if kind.is_dir() {
            if !is_left_out && depth < MAX_DEPTH {
                walk(&entry.path(), depth + 1, entries, found)?;
            }
        } else if name == FILE_NAME || is_markdown(&entry.path()) {
            found.push(Target::of(entry.path()));
        }
    }
    Ok(())
}

fn is_markdown(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        extension.eq_ignore_ascii_case("md") || extension.eq_ignore_ascii_case("markdown")
    })
}
