//! How a golden case is written: a file of sections, each a change of the files in `base/`.
//!
//! `### NAME` gives a whole file, `### + NAME` adds lines to the file of `base/`, `### - NAME` removes it, and
//! `### s NAME` replaces there: a line, `=>`, a line, for as many pairs as follow (`\n` is a line break). Files that no
//! section names are those of `base/`. What stands before the first section says what the case is about.

#![expect(clippy::unwrap_used, reason = "a case that can't be read fails the test")]

use std::{collections::BTreeMap, fs, path::Path};

/// Texts by the names of their files.
pub(crate) type Files = BTreeMap<String, String>;

/// Every file of a folder.
pub(crate) fn read_folder(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.map(|path| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
    });
    files.collect()
}

/// The files of a case: those of `base/`, changed by its sections.
pub(crate) fn case_files(base: &Files, case: &str, name: &str) -> Files {
    let mut files = base.clone();
    for section in case.split("### ").skip(1) {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        if let Some(file) = head.strip_prefix("+ ") {
            files.get_mut(file.trim()).unwrap_or_else(|| panic!("{name}: no {file} in base")).push_str(body);
        } else if let Some(file) = head.strip_prefix("s ") {
            let text = files.get_mut(file.trim()).unwrap_or_else(|| panic!("{name}: no {file} in base"));
            let lines: Vec<&str> = body.lines().filter(|line| !line.is_empty()).collect();
            for pair in lines.chunks(3) {
                let [from, "=>", to] = pair else { panic!("{name}: a line, =>, a line") };
                let (from, to) = (from.replace("\\n", "\n"), to.replace("\\n", "\n"));
                assert!(text.contains(&from), "{name}: {from:?} is not in {file}");
                *text = text.replace(&from, &to);
            }
        } else if let Some(file) = head.strip_prefix("- ") {
            files.remove(file.trim());
        } else {
            files.insert(head.trim().to_owned(), body.to_owned());
        }
    }
    files
}
