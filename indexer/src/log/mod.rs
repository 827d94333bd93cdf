//! The reindex log: whoever wants a document rebuilt appends its root id here, and nothing else.
//!
//! Two lanes, `live` and `backfill`, partitioned alike by root id. A [`Tenure`] is the right to rebuild some partitions of both:
//! it reads them in order, and commits progress only over a contiguous completed prefix. One file a world: [`sqlite`], `kafka`, `memory`.

mod dead_letter;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod sqlite;
mod tenure;

use std::collections::BTreeMap;

use async_trait::async_trait;
use plan::DocumentId;
use serde::{Deserialize, Serialize};

pub use self::{
    dead_letter::{DeadLetter, DeadLetterRow, KeptLetter, LetterNumber, MAX_DEAD_LETTER_BYTES},
    tenure::{Ownership, Tenure},
};
use crate::{StateError, revision::Wants, source::Position};

/// The two lanes of the log. Live entries always go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Changes that people wait for.
    Live,
    /// Backfills, snapshots and large fan-outs, at their pace.
    Backfill,
}

impl Lane {
    /// Both lanes, the live one first.
    pub const ALL: [Lane; 2] = [Lane::Live, Lane::Backfill];

    /// The lane as a store keeps it, and as an index into pairs.
    pub fn number(self) -> usize {
        match self {
            Self::Live => 0,
            Self::Backfill => 1,
        }
    }
}

/// Who asked for the rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// An event named the root id.
    Event,
    /// The reverse lookup of a related entity's event found it.
    Lookup,
    /// A backfill enumerated it.
    Backfill,
    /// It was held and is tried again.
    Replay,
    /// It is fetched once more, to see whether it was old.
    Verification,
    /// A person named it.
    Person,
    /// An audit found that the index differs from the graph.
    Audit,
}

impl Cause {
    /// The cause as it is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Lookup => "lookup",
            Self::Backfill => "backfill",
            Self::Replay => "replay",
            Self::Verification => "verification",
            Self::Person => "person",
            Self::Audit => "audit",
        }
    }
}

/// A wish to have one document rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The document.
    pub id: DocumentId,
    /// The lane.
    pub lane: Lane,
    /// Who asked.
    pub cause: Cause,
    /// When the change happened, milliseconds of Unix time; freshness counts from here.
    pub event_at: Option<i64>,
    /// Whether an event said that the root was deleted. The fetch decides; this only explains a null.
    pub deleted: bool,
    /// What the document must show, so that it is no older than the event.
    pub wants: Wants,
}

impl Entry {
    /// Asks for a document, whatever it shows. What an event tells beside its id is added to it.
    pub fn new(id: DocumentId, lane: Lane, cause: Cause) -> Self {
        Self { id, lane, cause, event_at: None, deleted: false, wants: Wants::default() }
    }

    /// Whether a backfill put it into its lane, by enumeration or by name; what events put there is not a backfill's.
    pub fn is_of_backfill(&self) -> bool {
        self.lane == Lane::Backfill && matches!(self.cause, Cause::Backfill | Cause::Person)
    }
}

/// A position in each partition of a lane. The embedded log has one partition, 0.
pub type Ends = BTreeMap<i32, i64>;

/// An entry with its position in its lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The partition that its id belongs to, in both lanes.
    pub partition: i32,
    /// Grows within a partition of a lane; never used twice.
    pub position: i64,
    /// What was appended.
    pub entry: Entry,
}

/// How far a source has been routed: everything before `position` is in the log or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The source.
    pub source: String,
    /// The position to go on from.
    pub position: Position,
}

/// What one step of route, a backfill or a replay appends.
#[derive(Debug, Default)]
pub struct Append {
    /// The wishes.
    pub entries: Vec<Entry>,
    /// What could not be understood.
    pub dead_letters: Vec<DeadLetter>,
    /// Dead letters that are understood by now, or dropped. They are gone once everything else is durable.
    pub settled: Vec<LetterNumber>,
    /// How far the source is then.
    pub progress: Option<Progress>,
}

/// The reindex log of one index.
#[async_trait]
pub trait ReindexLog: Send + Sync {
    /// Appends and wakes the readers. The source's progress moves only once everything else is durable.
    async fn append(&self, append: Append) -> Result<(), StateError>;

    /// The position of the last entry ever appended to each partition of the lane; lower than every position before the first.
    async fn ends(&self, lane: Lane) -> Result<Ends, StateError>;

    /// How many entries of the lane are appended and not yet committed.
    async fn lag(&self, lane: Lane) -> Result<u64, StateError>;

    /// How many of them stand at or before these positions.
    async fn lag_through(&self, lane: Lane, through: &Ends) -> Result<u64, StateError>;

    /// The position that a source goes on from; `None` before its first.
    async fn source_progress(&self, source: &str) -> Result<Option<Position>, StateError>;

    /// How far a source is, for people: bytes of a file, rows of the inbox, records of a topic.
    async fn source_position(&self, source: &str) -> Result<Option<i64>, StateError> {
        Ok(self.source_progress(source).await?.map(|position| position.at))
    }

    /// How many records a source holds beyond what is routed, where it is a topic that is there; else `None`.
    async fn source_lag(&self, _source: &str) -> Result<Option<u64>, StateError> {
        Ok(None)
    }

    /// What a source waits for that can't be read at all, such as its topic; `None` where it can, or where nobody knows.
    async fn source_waits_for(&self, _source: &str) -> Result<Option<String>, StateError> {
        Ok(None)
    }

    /// The newest dead letters that nothing has settled, the newest first.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterRow>, StateError>;

    /// Those of these dead letters that are there and not settled, with their records.
    async fn read_dead_letters(&self, numbers: &[LetterNumber]) -> Result<Vec<KeptLetter>, StateError>;

    /// How many dead letters there are that nothing has settled.
    async fn dead_letter_count(&self) -> Result<u64, StateError>;
}
