//! The files of a user: read as UTF-8, never more than a bound, never from a pipe that nobody may be writing; written whole.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use plan::SourceText;

/// The longest text that a person wrote, in bytes; codegen's own limits are lower and tell more. It bounds what a file
/// that never ends can make us read.
pub(crate) const MAX_WRITTEN_BYTES: u64 = 16 << 20;

/// The longest schema, in bytes: some twenty times the largest introspection that is public.
pub(crate) const MAX_SCHEMA_BYTES: u64 = 256 << 20;

/// The longest text that stands for a value: a token, or the lines of `--env-file`.
pub(crate) const MAX_VALUE_BYTES: u64 = 1 << 20;

/// What to do where a pipe is refused.
pub(crate) const PIPES: &str = "write it into a file, or hand it over as /dev/stdin or `<(command)`";

/// Why a file has no text for us.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// What the system says.
    System(io::Error),
    /// It is something else than UTF-8 from this byte on, counted from 1.
    NotText { byte: usize },
    /// It has more bytes than this.
    TooLarge { limit: u64 },
    /// It is a pipe or a device: opening one waits for whoever is at its other end.
    NoFile,
}

impl Unreadable {
    /// How to mend it; `None` where only its user can know.
    pub(crate) fn mend(&self) -> Option<&'static str> {
        match self {
            Self::System(_) => None,
            Self::NotText { .. } => Some("write it in UTF-8; is this the file that was meant?"),
            Self::TooLarge { .. } => Some(
                "is this the file that was meant? a schema has at most 256 MiB, other texts 16 MiB or less",
            ),
            Self::NoFile => Some(PIPES),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) if error.kind() == io::ErrorKind::NotFound => {
                f.write_str("it does not exist")
            }
            Self::System(error) if error.kind() == io::ErrorKind::IsADirectory => {
                f.write_str("it is a folder")
            }
            Self::System(error) => error.fmt(f),
            Self::NotText { byte } => write!(f, "byte {byte} is not UTF-8 text"),
            Self::TooLarge { limit } => write!(f, "it has more than {} MiB", limit >> 20),
            Self::NoFile => f.write_str("it is a pipe or a device"),
        }
    }
}

/// Reads a file of at most `limit` bytes. Its length is asked first; what tells none is watched, too.
///
/// A pipe is read where its path is one of ours (`/dev/stdin`, and `/dev/fd/63` of a shell's `<(command)`): somebody
/// writes it. A named pipe may have nobody, and opening it would wait for ever.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<Arc<SourceText>, Unreadable> {
    let metadata = fs::metadata(path).map_err(Unreadable::System)?;
    let is_ours = ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
    if !(metadata.is_file() || metadata.is_dir() || is_ours) {
        return Err(Unreadable::NoFile);
    }
    if metadata.len() > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    let file = File::open(path).map_err(Unreadable::System)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Unreadable::System)?;
    if bytes.len() as u64 > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|error| Unreadable::NotText { byte: error.utf8_error().valid_up_to() + 1 })?;
    Ok(Arc::new(SourceText { name: path.display().to_string(), text }))
}

/// Writes a file in place of what stood there, whose permissions it keeps: a reader finds the old text or the new one, never a
/// part of one, and so does who starts the machine again.
pub(crate) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    // What is no file of ours to replace, such as /dev/stdout, is written into; a link stays a link.
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::write(path, text);
    }
    let beside = beside(path);
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        if let Ok(metadata) = fs::metadata(path) {
            file.set_permissions(metadata.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// Writes a file that must not be there yet: a link never replaces what somebody else wrote there meanwhile.
pub(crate) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let beside = beside(path);
    let linked = fs::write(&beside, text).and_then(|()| fs::hard_link(&beside, path));
    // Where even writing failed there may be nothing to remove, and that failure is the one to tell.
    let removed = fs::remove_file(&beside);
    linked.and(removed)
}

/// A name of this process alone in the same folder, so that it can take the place of the file.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}
