//! The topics and groups of an index whose log is shared over Kafka.

use serde::{Deserialize, Serialize};

/// What an index owns on Kafka. Brokers and credentials stand in the configuration alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaPlan {
    /// Partitions of both lanes and of the documents topic: by them (murmur2 of the id) an id finds its owner, so they never
    /// change.
    pub partitions: i32,
    /// Copies of each partition.
    pub replication: i32,
    /// The live lane: `studio-search.<index>.live`.
    pub live: String,
    /// The backfill lane: `studio-search.<index>.backfill`.
    pub backfill: String,
    /// The documents log, which belongs to one query: `studio-search.<index>.documents.<query hash>`.
    pub documents: String,
    /// Records that could not be understood; `studio-search.<index>.dlq` unless the configuration names another.
    pub dead_letters: String,
    /// The group of those who route: `<index>-route`.
    pub route_group: String,
    /// The group of those who rebuild: `<index>-rebuild`.
    pub rebuild_group: String,
    /// How documents are written to their topic: Avro where there is a schema registry.
    pub documents_encoding: Encoding,
}

impl KafkaPlan {
    /// The names that follow from an index and its query, as this program gives them.
    pub fn new(index: &str, query_hash: &str, partitions: i32, replication: i32) -> Self {
        let topic = |what: &str| format!("studio-search.{index}.{what}");
        Self {
            partitions,
            replication,
            live: topic("live"),
            backfill: topic("backfill"),
            documents: topic(&format!("documents.{query_hash}")),
            dead_letters: topic("dlq"),
            route_group: format!("{index}-route"),
            rebuild_group: format!("{index}-rebuild"),
            documents_encoding: Encoding::Json,
        }
    }
}

/// How the value of a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// JSON, bare.
    #[default]
    Json,
    /// Avro under a schema of the registry, in one of its framings.
    Avro,
}

/// What is done where records of a source expired before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnGap {
    /// The sweep compares every document.
    #[default]
    Audit,
    /// Every document is fetched anew.
    Backfill,
    /// The index pauses until a person resumes it.
    Pause,
}
