//! A page as readers of Markdown and of Mermaid see it, in Node.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{packages, repository};

/// What a page says: `tables` (each a list of rows of cells, the head first), `paragraphs`, and `pictures` with `nodes`
/// and `edges`. Fails where Mermaid can't read a picture.
pub fn read(page: &str) -> Value {
    let folder = repository().join("tests/markdown");
    packages::install(&folder, &[]);
    let mut process = Command::new("node")
        .arg("read.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need Node 20 or newer on the PATH");
    let mut stdin = process.stdin.take().expect("it is piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(page.as_bytes()));
        process.wait_with_output().expect("it ends")
    });
    assert!(output.status.success(), "{}\n{page}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
