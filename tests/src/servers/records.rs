//! Reads topics to their ends through Kafka's own consumer: bytes as they are, with headers and times.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer};

use super::kafka::{Kafka, command};
use crate::repository;

/// A record as it was delivered.
#[derive(Debug, Clone, Deserialize)]
pub struct Delivered {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// When it was written, milliseconds of Unix time.
    pub timestamp: i64,
    /// The key's bytes.
    #[serde(deserialize_with = "bytes")]
    pub key: Option<Vec<u8>>,
    /// The value's bytes; none for a tombstone.
    #[serde(deserialize_with = "bytes")]
    pub value: Option<Vec<u8>>,
    /// The headers in their order.
    pub headers: Vec<Header>,
}

/// A header of a record.
#[derive(Debug, Clone, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its bytes.
    #[serde(deserialize_with = "bytes")]
    pub value: Option<Vec<u8>>,
}

impl Kafka {
    /// All records of the topics whose whole names match a regular expression, each partition in its order.
    pub fn records(&self, topics: &str) -> Vec<Delivered> {
        let program = repository().join("tests/kafka-java/Records.java");
        let output = command(&self.jars, &program.display().to_string())
            .args([&self.brokers, topics])
            .output()
            .expect("Java runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "reading {topics} failed:\n{said}");
        let lines = String::from_utf8(output.stdout).expect("ASCII");
        lines.lines().map(|line| serde_json::from_str(line).expect("a record a line")).collect()
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| BASE64_STANDARD.decode(text)).transpose().map_err(serde::de::Error::custom)
}
