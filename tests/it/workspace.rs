//! The rules of the workspace that a compiler doesn't hold: arrows between crates, sizes of files, first lines.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use harness::repository;
use serde_json::Value;

/// The arrows of ARCHITECTURE.md. Whatever isn't here must not be in a manifest.
const ARROWS: [(&str, &[&str]); 6] = [
    ("studio-search-plan", &[]),
    ("studio-search-codegen", &["studio-search-plan"]),
    ("studio-search-query", &["studio-search-plan"]),
    ("studio-search-indexer", &["studio-search-plan", "studio-search-query"]),
    (
        "studio-search",
        &["studio-search-codegen", "studio-search-indexer", "studio-search-plan", "studio-search-query"],
    ),
    ("studio-search-tests", &[]),
];

/// The longest file that is still one idea.
const MAX_LINES: usize = 500;

#[test]
fn the_arrows_between_crates_are_those_of_the_map() {
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for package in members() {
        let name = package["name"].as_str().expect("a name");
        let normal = dependencies(&package).filter(|dependency| dependency["kind"].is_null());
        let found: BTreeSet<&str> = normal
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| ours.contains(name))
            .collect();
        let drawn = ARROWS.iter().find(|(drawn, _)| *drawn == name).map(|(_, arrows)| *arrows);
        assert_eq!(Some(found), drawn.map(|arrows| arrows.iter().copied().collect()), "{name}");
    }
}

/// Tests compile all crates with what any of them asks for. The program alone must read and write JSON as they do.
#[test]
fn the_program_handles_json_as_it_does_in_tests() {
    let tree = [
        "tree",
        "--locked",
        "--edges",
        "normal",
        "--invert",
        "serde_json",
        "--depth",
        "0",
        "--format",
        "{f}",
    ];
    let features = |package: &[&str]| {
        let told = cargo(&[&tree, package].concat());
        told.trim().split(',').map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (program, tests) = (features(&["--package", "studio-search"]), features(&["--workspace"]));
    assert!(program.contains("float_roundtrip"), "{program:?}");
    assert_eq!(program, tests);
}

/// Invariant 1: codegen does no I/O, and the running system carries no compiler.
#[test]
fn codegen_is_pure_and_the_indexer_carries_no_parser() {
    let members = members();
    let forbidden: [(&str, &[&str]); 3] = [
        (
            "studio-search-plan",
            &["tokio", "reqwest", "rusqlite", "axum", "async-graphql-parser", "apollo-compiler"],
        ),
        ("studio-search-codegen", &["tokio", "reqwest", "rusqlite", "axum"]),
        (
            "studio-search-indexer",
            &["async-graphql-parser", "apollo-compiler", "serde-saphyr", "async-graphql"],
        ),
    ];
    for (name, crates) in forbidden {
        let package = members.iter().find(|package| package["name"] == name).expect("a member");
        for dependency in dependencies(package) {
            let other = dependency["name"].as_str().expect("a name");
            assert!(!crates.contains(&other), "{name} must not depend on {other}");
        }
    }
}

/// The packages of the workspace, as `cargo metadata` tells them.
fn members() -> Vec<Value> {
    let told = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&told).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn dependencies(package: &Value) -> impl Iterator<Item = &Value> {
    package["dependencies"].as_array().expect("dependencies").iter()
}

fn cargo(words: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO")).args(words).current_dir(repository()).output().expect("it starts");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn every_source_file_says_why_it_exists_and_is_one_idea() {
    let mut files = Vec::new();
    for folder in ["plan", "codegen", "search", "indexer", "cli", "tests", "fuzz"] {
        collect(&repository().join(folder), &mut files);
    }
    assert!(files.len() > 50, "the walk finds the sources");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let name = file.strip_prefix(repository()).expect("in the repository").display();
        assert!(text.starts_with("//! "), "{name} does not say in its first line why it exists");
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{name} has {lines} lines, and {MAX_LINES} are one idea");
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" && name != ".venv" {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
