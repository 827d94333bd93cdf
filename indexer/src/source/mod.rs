//! Event sources: records in order, each read with the position to go on from. One file a world: [`file`], [`inbox`], [`topic`].

pub mod decode;
pub mod file;
pub mod inbox;
pub mod line;
pub mod pulse;
#[cfg(feature = "kafka")]
pub mod topic;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use plan::{Code, Record};

use crate::StateError;

/// The bytes of records after which a read ends. A record is at most 1 MiB, so a read takes at most 5 MiB; a few hundred
/// records of an ordinary size are far below.
pub const MAX_READ_BYTES: usize = 4 << 20;

/// How long an exhausted source is left alone.
const IDLE: Duration = Duration::from_millis(100);

/// Where reading of a source goes on. The default is its start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// A byte offset, the number of a row: it grows as the source is read.
    pub at: i64,
    /// What `at` counts in, where another thing may take its place. Only the source itself reads it.
    pub identity: Option<String>,
    /// Where a topic's partitions are, and by what right that is said.
    #[cfg(feature = "kafka")]
    pub topic: Option<topic::TopicPosition>,
}

impl Position {
    /// A position in a file or a table.
    pub fn new(at: i64, identity: Option<String>) -> Self {
        Self { at, identity, ..Self::default() }
    }
}

/// What one read gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    /// The records in their order; none where there are none now.
    pub records: Vec<SourceRecord>,
    /// Where reading goes on. It may move without a record: past what says nothing, or back to a new start.
    pub next: Position,
}

/// A record of a source, or what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRecord {
    /// Where it stands, for people.
    pub place: String,
    /// The record.
    pub content: Result<Record, BadRecord>,
    /// The record as Kafka delivered it.
    pub original: Option<Box<Original>>,
}

/// A record as a topic holds it, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// When it was written, milliseconds of Unix time.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// The value; none for a tombstone.
    pub value: Option<Vec<u8>>,
    /// The headers, in their order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Original {
    /// How many bytes of the record it keeps.
    pub(crate) fn bytes(&self) -> usize {
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + size(value));
        size(&self.key) + size(&self.value) + headers.sum::<usize>()
    }
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
    /// Reads at most `limit` records and about [`MAX_READ_BYTES`] from a position on. Where there is nothing new, the
    /// position stays the same.
    async fn read(&mut self, from: &Position, limit: usize) -> Result<Records, SourceError>;

    /// Waits until there may be something new.
    async fn arrived(&mut self) {
        tokio::time::sleep(IDLE).await;
    }

    /// Where [`Position::at`] is after everything that is there now. Asked for before the first read, if at all.
    async fn end(&mut self) -> Result<i64, SourceError>;
}
