//! The harness of the end-to-end tests: the real federated graph, the real program, and what must be equal at the end.
//!
//! Tests need Node, Python, Maven and two JDKs beside Rust. What is missing fails a test with a sentence that says so; nothing is skipped.

pub mod avro;
pub mod background;
pub mod browser;
pub mod difference;
pub mod federation;
pub mod folder;
pub mod gateway;
pub mod graph;
pub mod graphql_js;
pub mod http;
pub mod link;
pub mod load;
pub mod markdown;
pub mod openapi;
pub mod openmetrics;
pub mod packages;
pub mod push;
pub mod random;
pub mod servers;
pub mod storm;
pub mod stream;
pub mod tls;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

/// The crates that the program is made of.
const CRATES: [&str; 5] = ["plan", "codegen", "search", "indexer", "cli"];

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
        .to_owned()
}

/// The program that `cargo test --workspace` built beside these tests.
pub fn program() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own path");
    let profile = here.parent().and_then(Path::parent).expect("target/<profile>/deps");
    let program = profile.join("studio-search");
    let built = modified(&program);
    let changed = CRATES.iter().filter_map(|name| newest_below(&repository().join(name).join("src"))).max();
    assert!(
        built.is_some() && changed <= built,
        "{} is missing or older than its sources: run `cargo test --workspace`, which builds it",
        program.display()
    );
    program
}

/// The folder of what is built, which these tests stand in.
fn target() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own path");
    here.ancestors().nth(3).expect("target/<profile>/deps").to_owned()
}

/// When the newest file below a folder was changed.
fn newest_below(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.filter_map(|path| if path.is_dir() { newest_below(&path) } else { modified(&path) }).max()
}

fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|meta| meta.modified()).ok()
}

/// The longest pause before a condition is looked at again: often a process is started to look, while others have work to do.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Waits until a condition holds; fails with its last complaint after `limit`.
pub fn eventually(limit: Duration, mut holds: impl FnMut() -> Result<(), String>) {
    let start = Instant::now();
    let mut pause = Duration::from_millis(50);
    loop {
        match holds() {
            Ok(()) => return,
            Err(complaint) => assert!(start.elapsed() < limit, "not within {limit:?}: {complaint}"),
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(LONGEST_PAUSE);
    }
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
