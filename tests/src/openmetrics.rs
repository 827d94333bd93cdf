//! Metrics as Prometheus reads them, by the strict parser of its own library for Python.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use serde::Deserialize;

use crate::{packages, repository};

/// A metric of all its labels.
#[derive(Debug, Deserialize)]
pub struct Family {
    /// Its name, a counter's without `_total`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub meaning: String,
    /// Its values.
    pub samples: Vec<Sample>,
}

/// A value.
#[derive(Debug, Deserialize)]
pub struct Sample {
    /// The name of its family with a suffix, where its type has some.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// Reads an exposition; fails where Prometheus would.
pub fn read(exposition: &str) -> Vec<Family> {
    let folder = repository().join("tests/openmetrics");
    let mut process = Command::new(packages::python(&folder))
        .arg(folder.join("read.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a Python of our own");
    let mut stdin = process.stdin.take().expect("it is piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(exposition.as_bytes()));
        process.wait_with_output().expect("it ends")
    });
    assert!(output.status.success(), "{}\n{exposition}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The sum of a metric's samples that have these labels, by the sample's whole name behind our prefix.
pub fn value(families: &[Family], name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = families.iter().flat_map(|family| &family.samples);
    let named = samples.filter(|sample| sample.name == format!("studio_search_{name}"));
    let is_so = |label: &(&str, &str), sample: &Sample| {
        sample.labels.get(label.0).is_some_and(|value| value == label.1)
    };
    named.filter(|sample| labels.iter().all(|label| is_so(label, sample))).map(|sample| sample.value).sum()
}
