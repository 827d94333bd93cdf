//! Writes `fuzz/corpus/`: every file of every golden case for the target that reads its kind, so that no seed is kept
//! twice. Needs nothing but std and is run from the repository's folder; README.md has the command.

#[path = "../codegen/tests/cases/mod.rs"]
mod cases;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cases::{case_files, read_folder};

fn main() -> io::Result<()> {
    let fuzz = Path::new("fuzz");
    let tests = fuzz.join("../codegen/tests");
    let base = read_folder(&tests.join("base"));
    let mut written = 0;
    let mut write = |target: &str, text: &str| {
        let folder = fuzz.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        written += 1;
        fs::write(folder.join(format!("seed-{written:04}")), text)
    };
    for (name, text) in &base {
        write(target(name, text), text)?;
    }
    for path in entries(&tests.join("ok"))?.into_iter().chain(entries(&tests.join("diagnostics"))?) {
        if path.extension().is_none_or(|extension| extension != "case") {
            continue;
        }
        let name = path.display().to_string();
        for (name, text) in case_files(&base, &fs::read_to_string(&path)?, &name) {
            if base.get(&name) != Some(&text) {
                write(target(&name, &text), &text)?;
            }
        }
    }
    // The texts in the tests of the filter language, with what Rust writes around them.
    let filters = fs::read_to_string(fuzz.join("../plan/src/filter/tests.rs"))?;
    for line in filters.lines() {
        if let (Some(start), Some(end)) = (line.find("(\""), line.rfind('"'))
            && let Some(filter) = line.get(start + 2..end)
        {
            write("filter", &filter.replace("\\\"", "\""))?;
        }
    }
    println!("{written} seeds");
    Ok(())
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn target(name: &str, text: &str) -> &'static str {
    if text.trim_start().starts_with('{') && text.contains("\"__schema\"") {
        return "introspection";
    }
    match name {
        "index.yaml" => "config",
        "supergraph.graphql" => "sdl",
        _ => "template",
    }
}
