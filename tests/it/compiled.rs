//! A folder's configuration with everything that codegen makes of it, as the program reads it.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use codegen::{Compiled, Config, Texts, compile, parse_config};
use harness::repository;
use plan::SourceText;

/// A configuration that has no errors.
pub(crate) struct Made {
    pub(crate) config: Config,
    pub(crate) compiled: Compiled,
}

/// `configs/movies`.
pub(crate) fn movies() -> Made {
    made(&files("configs/movies"))
}

/// `tests/every-kind`.
pub(crate) fn every_kind() -> Made {
    made(&files("tests/every-kind"))
}

/// The texts of a folder of the repository, by name.
pub(crate) fn files(folder: &str) -> BTreeMap<String, String> {
    let entries = fs::read_dir(repository().join(folder)).expect("a folder").flatten();
    let files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    let text = |path: &Path| fs::read_to_string(path).expect("text");
    files
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), text(&path)))
        .collect()
}

/// Compiles an `index.yaml` with the files beside it; fails on errors.
pub(crate) fn made(files: &BTreeMap<String, String>) -> Made {
    let read = |path: &str| {
        let name = path.trim_start_matches("./").to_owned();
        let text = files.get(&name).unwrap_or_else(|| panic!("there is no {name}")).clone();
        Arc::new(SourceText { name, text })
    };
    let parsed = parse_config(&read("index.yaml"), &|_| None);
    let config = parsed.value.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    let others =
        config.wanted_files().into_iter().map(|file| (file.path.clone(), read(&file.path))).collect();
    let schema = config.graph.schema.as_ref().expect("these name their schemas");
    let texts = Texts { query: read(&config.query.value), schema: read(&schema.value), others };
    let checked = compile(&config, &texts);
    let compiled = checked.value.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics));
    Made { config, compiled }
}
