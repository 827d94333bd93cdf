//! The harness of the end-to-end tests: the real federated graph, the real program, and what must be equal at the end.
//!
//! Tests need Node and Python beside Rust. What is missing fails a test with a sentence that says so; nothing is skipped.

pub mod folder;
pub mod graph;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

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
    assert!(
        program.exists(),
        "{} is missing: run `cargo test --workspace`, which builds it",
        program.display()
    );
    program
}

/// Waits until a condition holds; fails with its last complaint after `limit`.
pub fn eventually(limit: Duration, mut holds: impl FnMut() -> Result<(), String>) {
    let start = Instant::now();
    loop {
        match holds() {
            Ok(()) => return,
            Err(complaint) => assert!(start.elapsed() < limit, "not within {limit:?}: {complaint}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
