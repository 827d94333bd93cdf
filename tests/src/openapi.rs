//! Descriptions of HTTP interfaces as the validator of the `OpenAPI` community reads them.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::{packages, repository};

/// Fails where a description is not `OpenAPI` 3.1.
pub fn check(description: &str) {
    let folder = repository().join("tests/openapi");
    let mut process = Command::new(packages::python(&folder))
        .arg(folder.join("check.py"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a Python of our own");
    let mut stdin = process.stdin.take().expect("it is piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(description.as_bytes()));
        process.wait_with_output().expect("it ends")
    });
    assert!(output.status.success(), "{}\n{description}", String::from_utf8_lossy(&output.stderr));
}
