//! The rules of the workspace that a compiler doesn't hold: arrows between crates, sizes of files, first lines.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};
use harness::repository;

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
    let metadata = MetadataCommand::new().current_dir(repository()).no_deps().exec().expect("cargo metadata");
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for package in metadata.workspace_packages() {
        let found: Vec<&str> = package
            .dependencies
            .iter()
            .filter(|dependency| {
                dependency.kind == DependencyKind::Normal && ours.contains(dependency.name.as_str())
            })
            .map(|dependency| dependency.name.as_str())
            .collect();
        let drawn = ARROWS.iter().find(|(name, _)| *name == package.name.as_str()).map(|(_, arrows)| *arrows);
        let found: BTreeSet<&str> = found.into_iter().collect();
        assert_eq!(Some(found), drawn.map(|arrows| arrows.iter().copied().collect()), "{}", package.name);
    }
}

/// Invariant 1: codegen does no I/O, and the running system carries no compiler.
#[test]
fn codegen_is_pure_and_the_indexer_carries_no_parser() {
    let metadata = MetadataCommand::new().current_dir(repository()).no_deps().exec().expect("cargo metadata");
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
        let package =
            metadata.packages.iter().find(|package| package.name.as_str() == name).expect("a member");
        for dependency in &package.dependencies {
            assert!(
                !crates.contains(&dependency.name.as_str()),
                "{name} must not depend on {}",
                dependency.name
            );
        }
    }
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
