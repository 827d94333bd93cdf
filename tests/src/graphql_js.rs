//! graphql-js in Node: the judge that verdicts are compared with, and the rival that figures are compared with.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{packages, repository};

/// The folder of the scripts, its packages installed.
pub fn folder() -> PathBuf {
    let folder = repository().join("tests/graphql-js");
    // One package has the schema, and wants a whole user interface as its peer.
    packages::install(&folder, &["--legacy-peer-deps"]);
    folder
}

/// A query as a seed made it.
pub struct Case {
    /// The schema's name in `schemas.mjs`.
    pub schema: String,
    /// What was changed in a valid query.
    pub change: String,
    /// The text.
    pub query: String,
}

/// What graphql-js says of a query.
pub struct Verdict {
    /// Whether it found nothing.
    pub valid: bool,
    /// Whether the text is no GraphQL at all.
    pub syntax: bool,
    /// Each error's lines and message.
    pub errors: Vec<(Vec<usize>, String)>,
}

/// As many cases for each schema as wanted, the same for the same seed.
pub fn cases(seed: u32, count: usize, schemas: &[&str]) -> Vec<Case> {
    let (seed, count) = (seed.to_string(), count.to_string());
    let mut arguments = vec!["cases.mjs", &seed, &count];
    arguments.extend(schemas);
    let lines = node(&arguments, "");
    let text = |line: &Value, name: &str| line[name].as_str().expect("a text").to_owned();
    let case = |line: &Value| Case {
        schema: text(line, "schema"),
        change: text(line, "change"),
        query: text(line, "query"),
    };
    lines.iter().map(case).collect()
}

/// The verdict on each case, in order.
pub fn verdicts(cases: &[Case]) -> Vec<Verdict> {
    let lines = cases.iter().map(|case| format!("{}\n", json!({"schema": case.schema, "query": case.query})));
    let verdicts = node(&["verdicts.mjs"], &lines.collect::<String>());
    assert_eq!(verdicts.len(), cases.len(), "one verdict a case");
    let error = |error: &Value| {
        let lines = error["lines"].as_array().expect("lines").iter().filter_map(Value::as_u64);
        let lines = lines.filter_map(|line| usize::try_from(line).ok()).collect();
        (lines, error["message"].as_str().expect("a message").to_owned())
    };
    let verdict = |line: &Value| Verdict {
        valid: line["valid"] == true,
        syntax: line["syntax"] == true,
        errors: line["errors"].as_array().expect("errors").iter().map(error).collect(),
    };
    verdicts.iter().map(verdict).collect()
}

/// Runs a script with this input and reads the JSON lines that it prints.
fn node(arguments: &[&str], input: &str) -> Vec<Value> {
    let mut process = Command::new("node")
        .args(arguments)
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need Node 20 or newer on the PATH");
    let mut stdin = process.stdin.take().expect("it is piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        process.wait_with_output().expect("it ends")
    });
    assert!(output.status.success(), "node {arguments:?} failed");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
