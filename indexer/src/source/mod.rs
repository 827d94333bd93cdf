//! Event sources: records in order, each with the position to go on from. One file a world: [`file`], [`inbox`].

pub mod file;
pub mod inbox;
pub mod line;

use async_trait::async_trait;
use plan::{Code, Record};

use crate::StateError;

/// A record of a source, or what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRecord {
    /// Where reading goes on after it.
    pub next: i64,
    /// Where it stands, for people.
    pub place: String,
    /// The record.
    pub content: Result<Record, BadRecord>,
}

/// A record that can't be read.
#[derive(Debug, Clone, PartialEq)]
pub struct BadRecord {
    /// The diagnostic code.
    pub code: Code,
    /// What is wrong.
    pub reason: String,
    /// The bytes as they came, at most the first 64 KiB.
    pub raw: Vec<u8>,
}

/// Why a source can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The operating system refused.
    #[error("the source {name} can't be read: {path}: {source}")]
    Io {
        /// The source.
        name: String,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The state file failed.
    #[error(transparent)]
    State(#[from] StateError),
}

impl SourceError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::Io { .. } => plan::code::kafka::SS303,
            Self::State(error) => error.code(),
        }
    }
}

/// A source of records.
#[async_trait]
pub trait Source: Send + Sync {
    /// Reads at most `limit` records from a position on; nothing where there are none now.
    async fn read(&mut self, from: i64, limit: usize) -> Result<Vec<SourceRecord>, SourceError>;

    /// The position after everything that is there now.
    async fn end(&self) -> Result<i64, SourceError>;
}
