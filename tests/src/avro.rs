//! Other libraries for Avro, asked what they say of our schemas and datums: fastavro, and Java's.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{packages, repository};

/// A library that reads and writes Avro, in a process of its own that ends when this is dropped.
pub struct Library {
    /// Its name, for the message of a failure.
    pub name: &'static str,
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// What a library made of datums.
#[derive(Debug)]
pub struct Reading {
    /// The documents that it read.
    pub values: Vec<Value>,
    /// The datums that it wrote of them.
    pub written: Vec<Vec<u8>>,
}

impl Library {
    /// `fastavro` from `PyPI`.
    pub fn fastavro() -> Self {
        let folder = repository().join("tests/fastavro");
        let mut python = Command::new(packages::python(&folder));
        Self::start("fastavro", python.arg(folder.join("check.py")))
    }

    /// `org.apache.avro:avro` from Maven Central, with strict names.
    pub fn java() -> Self {
        let folder = repository().join("tests/avro-java");
        let mut java = Command::new("java");
        java.args(["-cp", &packages::class_path(&folder)]).arg(folder.join("Check.java"));
        Self::start("Java's Avro", &mut java)
    }

    fn start(name: &'static str, command: &mut Command) -> Self {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| panic!("these tests need {command:?}: {error}"));
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { name, process, requests, answers }
    }

    /// Has datums read that were written with one schema, by another where there is one, and written again. An error is
    /// the library's own text.
    pub fn read(
        &mut self,
        writer: &Value,
        reader: Option<&Value>,
        datums: &[Vec<u8>],
    ) -> Result<Reading, String> {
        let data: Vec<String> = datums.iter().map(|datum| hex(datum)).collect();
        let mut request = json!({"schema": writer, "data": data});
        if let Some(reader) = reader {
            request["reader"] = reader.clone();
        }
        let answer = self.ask(&request);
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let list = |name: &str| answer[name].as_array().expect("a list").clone();
        let written = list("written");
        let written = written.iter().map(|text| bytes(text.as_str().expect("a text"))).collect();
        Ok(Reading { values: list("values"), written })
    }

    /// One request of `check.py` or `Check.java`, and its answer.
    pub fn ask(&mut self, request: &Value) -> Value {
        let requests = self.requests.as_mut().expect("it is open until the end");
        writeln!(requests, "{request}").unwrap_or_else(|error| panic!("{} has ended: {error}", self.name));
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("UTF-8");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error}: {line:?}", self.name))
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        drop(self.requests.take());
        let _ = self.process.wait();
    }
}

fn hex(datum: &[u8]) -> String {
    datum.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| hex.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    (0..hex.len()).step_by(2).map(|at| digits(at).expect("hexadecimal digits")).collect()
}
