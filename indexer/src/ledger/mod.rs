//! The ledger: what must be remembered beside the documents. One file a world: [`sqlite`], [`elastic`], `memory`.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod elastic;
pub mod fan_outs;
pub mod figures;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod pace;
#[cfg(feature = "kafka")]
pub(crate) mod patient;
mod retry;
pub mod saved;
#[cfg(feature = "kafka")]
pub(crate) mod settled;
pub mod sqlite;
pub mod versions;

use async_trait::async_trait;
use plan::{
    Code, DocumentId, DocumentVersion, Epoch, IndexPlan,
    code::{
        fetch::SS406,
        kafka::{SS310, SS312},
        store::SS506,
    },
    index_plan::PLAN_FORMAT,
};
use serde::{Deserialize, Serialize};

use self::versions::{KnownVersion, Lack, VersionState};
pub use self::{
    fan_outs::{FanOutRun, FanOutStep, FanOuts, Fanning, FoundIn, WideKey, WideKeys},
    figures::{Figures, longest_deadline},
    pace::LaneWishes,
    retry::RetryPauses,
    saved::{BegunMatch, SavedSearch, SavedSearches},
};
use crate::{
    StateError, audit::AuditRow, graph::GraphError, history::Step, log::Ends, now_ms, revision::Wants,
};

/// A document that failed for now. It keeps its last good content and is fetched again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The document.
    pub id: DocumentId,
    /// The version of the fetch that failed; only a higher one replaces or clears this row.
    #[serde(skip)]
    pub version: DocumentVersion,
    /// The subgraph that failed, `one of a, b`, or nothing where it can't be told.
    pub subgraph: Option<String>,
    /// The gateway's code, or ours.
    pub code: String,
    /// The document's path that failed; nothing for the document as a whole.
    pub path: Option<String>,
    /// What the gateway said.
    pub message: String,
    /// How often it was tried since it is held.
    pub attempts: u32,
    /// When it was held, milliseconds of Unix time.
    pub first_at: i64,
    /// When it failed last.
    pub last_at: i64,
    /// When it is tried again.
    pub next_at: i64,
    /// What it must show, so that it is no older than its events.
    #[serde(skip)]
    pub wants: Wants,
}

/// Why a document is to be held; the ledger adds attempts and times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The document.
    pub id: DocumentId,
    /// The version of the fetch that failed.
    pub version: DocumentVersion,
    /// The cause.
    pub cause: HoldCause,
    /// What the document must show. It is added to what an older hold wanted.
    pub wants: Wants,
}

/// The cause of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldCause {
    /// The subgraph that failed, if it can be told.
    pub subgraph: Option<String>,
    /// The gateway's code, or ours.
    pub code: String,
    /// The document's path that failed.
    pub path: Option<String>,
    /// What the gateway said.
    pub message: String,
}

impl From<&GraphError> for HoldCause {
    /// A request of this document alone failed; no path says whose fault it is.
    fn from(error: &GraphError) -> Self {
        Self { subgraph: None, code: error.code().id.to_owned(), path: None, message: error.to_string() }
    }
}

/// Whether the index is worked on. The words are Kafka Connect's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", tag = "state")]
pub enum IndexState {
    /// Rebuilding.
    #[default]
    Running,
    /// A person paused it.
    Paused,
    /// It paused itself.
    Failed {
        /// The diagnostic code.
        code: String,
        /// Why.
        reason: String,
    },
}

impl IndexState {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Failed { .. } => "FAILED",
        }
    }

    /// A state that this program can't read stops the index: it may say why it must not go on.
    fn unreadable(text: &str) -> Self {
        let reason = format!("the state of the index can't be read: {text}");
        Self::Failed { code: SS506.id.to_owned(), reason }
    }

    /// Whether only a person can let the index go on. What else fails is probed, and goes on by itself when it is mended.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Running => false,
            Self::Paused => true,
            Self::Failed { code, .. } => [SS310, SS312, SS406].iter().any(|stop| code == stop.id),
        }
    }
}

/// An index version with the plan that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexVersion {
    /// Its number, from 1.
    pub version: u32,
    /// The plan.
    pub plan: IndexPlan,
    /// The schema of its documents log; none where the log needs no schema.
    pub schema: Option<DocumentSchema>,
}

/// The Avro schema of a documents log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentSchema {
    /// Its text.
    pub text: String,
    /// Its number in the schema registry, once it is registered there.
    pub id: Option<u32>,
}

/// Reads a plan that a ledger keeps; refuses one of another format.
fn read_plan(text: &str, place: &str) -> Result<IndexPlan, StateError> {
    let unreadable = |reason: String| StateError::UnreadablePlan { place: place.to_owned(), reason };
    let plan: IndexPlan = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    if plan.format != PLAN_FORMAT {
        return Err(unreadable(format!("its format is {}, this program reads {PLAN_FORMAT}", plan.format)));
    }
    Ok(plan)
}

/// Where a backfill's ids come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillIds {
    /// What `backfill.ids` names.
    Enumerated,
    /// These.
    Given(Vec<DocumentId>),
    /// What this filter finds in the index.
    Found(String),
    /// What `backfill.ids` names in the plan of the index version of this number, once every process writes it.
    IntoVersion(u32),
}

impl BackfillIds {
    /// Whether all documents are meant, also those of the index that no enumeration sees.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Enumerated | Self::IntoVersion(_))
    }
}

/// The states of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BackfillState {
    /// Ids are being appended to the backfill lane.
    Enumerating,
    /// All ids are in the lane, and are being rebuilt.
    Rebuilding,
    /// Every id was rebuilt, or is held.
    Done,
    /// The enumeration failed for good.
    Failed,
    /// A person stopped it.
    Stopped,
}

/// A backfill: what was asked for, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backfill {
    /// Its number, from 1.
    pub number: i64,
    /// How far it is.
    pub state: BackfillState,
    /// Where its ids come from.
    #[serde(skip)]
    pub ids: BackfillIds,
    /// Where the enumeration goes on.
    #[serde(skip)]
    pub cursor: Option<String>,
    /// How many ids were appended.
    pub enumerated: u64,
    /// Where the backfill lane ended when the last of its ids were appended; empty before the first.
    #[serde(skip)]
    pub through: Ends,
    /// Why it failed, or what it waits for.
    pub error: Option<String>,
    /// When it was asked for, milliseconds of Unix time.
    pub started_at: i64,
    /// When it was done.
    pub ended_at: Option<i64>,
}

impl Backfill {
    /// A backfill that was just asked for.
    pub(crate) fn new(number: i64, ids: BackfillIds) -> Self {
        Self {
            number,
            state: BackfillState::Enumerating,
            ids,
            cursor: None,
            enumerated: 0,
            through: Ends::new(),
            error: None,
            started_at: now_ms(),
            ended_at: None,
        }
    }
}

/// Pauses the index, whatever its state is, because of something that a person must see.
pub(crate) async fn halt(ledger: &dyn Ledger, code: Code, reason: String) -> Result<(), StateError> {
    tracing::error!(code = code.id, "{reason}: the index is paused");
    let failed = IndexState::Failed { code: code.id.to_owned(), reason };
    loop {
        let now = ledger.state().await?;
        if now == failed || ledger.change_state(&now, &failed).await? {
            return Ok(());
        }
    }
}

/// What must be remembered beside the documents.
#[async_trait]
pub trait Ledger: SavedSearches + Send + Sync {
    /// The served index version.
    async fn served(&self) -> Result<IndexVersion, StateError>;

    /// Every index version that is known, by number.
    async fn versions(&self) -> Result<Vec<KnownVersion>, StateError>;

    /// How far each is, by number; asked each second, so that no plan is read for it.
    async fn version_states(&self) -> Result<Vec<(u32, VersionState)>, StateError>;

    /// Moves a version on if it is `from`; says whether it was.
    async fn change_version(
        &self,
        number: u32,
        from: &VersionState,
        to: &VersionState,
    ) -> Result<bool, StateError>;

    /// Serves `to` and keeps `from`, in one step, if `from` is served and `to` is ready or kept; says whether they were.
    async fn promote(&self, from: u32, to: u32) -> Result<bool, StateError>;

    /// Forgets a version that is being removed, and what it lacks. Its number is never used again.
    async fn forget_version(&self, number: u32) -> Result<(), StateError>;

    /// Notes documents that a version lacks; of one document the newest write counts.
    async fn note_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError>;

    /// The documents that a version lacks, by id, at most `limit`.
    async fn lacks(&self, number: u32, limit: usize) -> Result<Vec<Lack>, StateError>;

    /// Forgets lacks, each up to the version that was written, or asked for, meanwhile.
    async fn fill_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError>;

    /// Takes the next epoch: greater than every one taken before, and than `stored`, the highest one in the index. The ledger
    /// may come from a backup that is older than its index.
    async fn take_epoch(&self, stored: Epoch) -> Result<Epoch, StateError>;

    /// Writes holds whose version is higher than what is held, with the next attempt after a growing pause.
    async fn hold(&self, holds: Vec<Hold>) -> Result<(), StateError>;

    /// Clears holds of documents that a higher version completed. What the same subgraphs made fail becomes due at once:
    /// they answer again. Where very much is held, at least a thousand of them; their own releases bring the next.
    async fn release(&self, completed: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError>;

    /// At most `limit` held documents that are due, the longest due first, without those that these subgraphs made fail.
    async fn due(&self, limit: usize, without: &[String]) -> Result<Vec<Held>, StateError>;

    /// Notes that these holds, each of the version that was seen, are in the log again: they are due only after the longest
    /// pause, or when their fetch has failed. A hold that a newer fetch wrote meanwhile stays as it is.
    async fn mark_replayed(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError>;

    /// Those of these documents that are held, in no order.
    async fn held_among(&self, ids: &[DocumentId]) -> Result<Vec<Held>, StateError>;

    /// Held documents in the order of their ids, after an id.
    async fn held(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<Held>, StateError>;

    /// Forgets holds, each up to the version of its fetch that failed: nobody fetches the document again because of it.
    async fn forget(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError>;

    /// How many documents are held.
    async fn held_count(&self) -> Result<u64, StateError>;

    /// The state of the index.
    async fn state(&self) -> Result<IndexState, StateError>;

    /// Changes the state of the index if it is `from`; says whether it was.
    async fn change_state(&self, from: &IndexState, to: &IndexState) -> Result<bool, StateError>;

    /// Changes the state of the index, whatever it is: a person's word.
    async fn set_state(&self, state: IndexState) -> Result<(), StateError>;

    /// What people want of the backfill lane.
    async fn lane_wishes(&self) -> Result<LaneWishes, StateError>;

    /// Changes what people want of the backfill lane if it is `from`; says whether it was.
    async fn change_lane_wishes(&self, from: &LaneWishes, to: &LaneWishes) -> Result<bool, StateError>;

    /// Writes this process' figures for `status`.
    async fn publish(&self, figures: &Figures) -> Result<(), StateError>;

    /// Takes this process' figures back: it ends.
    async fn withdraw(&self, process: &str) -> Result<(), StateError>;

    /// The figures of all processes that published lately, in the order of their names.
    async fn figures(&self) -> Result<Vec<Figures>, StateError>;

    /// Records the wish for a backfill; `run` takes it up within a second.
    async fn start_backfill(&self, ids: BackfillIds) -> Result<i64, StateError>;

    /// All backfills, the oldest first.
    async fn backfills(&self) -> Result<Vec<Backfill>, StateError>;

    /// Writes how far a backfill is. One that has ended, or is further already, stays as it is: an owner that was overtaken
    /// must not set it back.
    async fn save_backfill(&self, backfill: &Backfill) -> Result<(), StateError>;

    /// The backfills that are enumerating or rebuilding, the oldest first.
    async fn open_backfills(&self) -> Result<Vec<Backfill>, StateError>;

    /// The fan-outs of all sources of which something is left to be done.
    async fn fan_outs(&self) -> Result<Vec<FanOuts>, StateError>;

    /// Takes one step with the fan-outs of a source, all or nothing, whoever else takes one. Gives what they are then; `None`
    /// where the step was refused.
    async fn step_fan_outs(&self, of: &Fanning, step: FanOutStep) -> Result<Option<FanOuts>, StateError>;

    /// Adds steps to the rings of documents that this writer keeps: the newest [`RING`](crate::history::RING) of each, of
    /// some [`DOCUMENTS`](crate::history::DOCUMENTS) documents. One writer writes at a time.
    async fn note_history(&self, writer: &str, noted: Vec<(DocumentId, Vec<Step>)>)
    -> Result<(), StateError>;

    /// What happened to a document lately, in the order of the steps.
    async fn history(&self, id: &DocumentId) -> Result<Vec<Step>, StateError>;

    /// The newest audit of each kind.
    async fn audits(&self) -> Result<Vec<AuditRow>, StateError>;

    /// Writes how far an audit is, unless the row of its kind tells of a newer one or is further already: an executor that was
    /// overtaken must not set it back.
    async fn save_audit(&self, audit: &AuditRow) -> Result<(), StateError>;
}
