//! The ledger beside the documents on Elasticsearch or `OpenSearch`: one hidden index, a row for everything.
//!
//! Many processes share it. What there is one of moves by compare-and-set; held documents move by the versions of fetches.
//! Reads see every write that was acknowledged before them, by whomever.

mod backfills;
mod fan_outs;
mod held;
mod lately;
pub(crate) mod layout;
#[cfg(feature = "kafka")]
mod letters;
mod meta;
mod processes;
mod saved;
mod versions;

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, Epoch};
use search::elastic::{Client, ElasticError, Rows, Trouble};

pub(crate) use self::versions::{Versions, known, put};
use self::{held::HeldDocuments, lately::Histories, processes::Processes};
use super::{
    Backfill, BackfillIds, FanOutStep, FanOuts, Fanning, Figures, Held, Hold, IndexState, IndexVersion,
    LaneWishes, Ledger, RetryPauses,
    versions::{KnownVersion, Lack, VersionState, served},
};
#[cfg(feature = "kafka")]
use crate::ledger::settled::{Reach, Settled};
use crate::{StateError, audit::AuditRow, history::Step};

/// The ledger of the shared world.
pub struct ElasticLedger {
    rows: Rows,
    held: HeldDocuments,
    processes: Processes,
    histories: Histories,
}

/// The rows of the ledger of this index on this server; touches nothing.
pub(crate) fn rows(client: Client, index: &str) -> Rows {
    Rows::new(client, layout::alias(index))
}

impl ElasticLedger {
    /// The ledger of this index on this server; touches nothing.
    pub fn new(client: Client, index: &str, retry: RetryPauses) -> Self {
        let rows = rows(client, index);
        let (held, processes) = (HeldDocuments::new(rows.clone(), retry), Processes::new(rows.clone()));
        let histories = Histories::new(rows.clone());
        Self { rows, held, processes, histories }
    }

    /// The ledger of a provisioned index, and its versions. The plan of the served one names the pauses.
    pub async fn open(client: Client, index: &str) -> Result<(Self, Vec<KnownVersion>), StateError> {
        let versions = all_versions(&rows(client.clone(), index)).await?;
        let served = served(&versions).expect("one of them is served");
        let ledger = Self::new(client, index, RetryPauses::from(&served.plan().errors));
        Ok((ledger, versions))
    }
}

#[cfg(feature = "kafka")]
impl ElasticLedger {
    /// The records of the topic of dead letters that are settled.
    pub(crate) async fn settled_letters(&self) -> Result<Settled, StateError> {
        letters::settled(&self.rows).await.map_err(told)
    }

    /// Adds to them, and forgets what the topic doesn't hold any more.
    pub(crate) async fn settle_letters(&self, settled: &Settled, reach: &Reach) -> Result<(), StateError> {
        letters::settle(&self.rows, settled, reach).await.map_err(told)
    }
}

/// All index versions, of which one is served.
async fn all_versions(rows: &Rows) -> Result<Vec<KnownVersion>, StateError> {
    let (versions, _) = known(rows).await?;
    match served(&versions) {
        Some(_) => Ok(versions),
        None => Err(StateError::NotProvisioned(format!(
            "{} of {} holds no plan",
            rows.alias(),
            rows.server_name()
        ))),
    }
}

/// What an error of the server means for the ledger.
fn told(error: ElasticError) -> StateError {
    match error.trouble {
        Trouble::NoIndex => StateError::NotProvisioned(format!("{} has no ledger of it", error.server)),
        _ => error.into(),
    }
}

#[async_trait]
impl Ledger for ElasticLedger {
    async fn served(&self) -> Result<IndexVersion, StateError> {
        let versions = all_versions(&self.rows).await?;
        Ok(served(&versions).expect("one of them is served").version.clone())
    }

    async fn versions(&self) -> Result<Vec<KnownVersion>, StateError> {
        all_versions(&self.rows).await
    }

    async fn version_states(&self) -> Result<Vec<(u32, VersionState)>, StateError> {
        versions::states(&self.rows).await.map_err(told)
    }

    async fn change_version(
        &self,
        number: u32,
        from: &VersionState,
        to: &VersionState,
    ) -> Result<bool, StateError> {
        versions::change(&self.rows, number, from, to).await.map_err(told)
    }

    async fn promote(&self, from: u32, to: u32) -> Result<bool, StateError> {
        versions::promote(&self.rows, from, to).await.map_err(told)
    }

    async fn forget_version(&self, number: u32) -> Result<(), StateError> {
        versions::forget(&self.rows, number).await.map_err(told)
    }

    async fn note_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
        versions::note_lacks(&self.rows, number, lacks).await.map_err(told)
    }

    async fn lacks(&self, number: u32, limit: usize) -> Result<Vec<Lack>, StateError> {
        versions::lacks(&self.rows, number, limit).await.map_err(told)
    }

    async fn fill_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
        versions::fill_lacks(&self.rows, number, lacks).await.map_err(told)
    }

    async fn take_epoch(&self, stored: Epoch) -> Result<Epoch, StateError> {
        self.held.look_anew();
        let taken = meta::take_epoch(&self.rows, stored).await.map_err(told)?;
        taken.ok_or_else(|| StateError::EpochsUsedUp(self.rows.alias().to_owned()))
    }

    async fn hold(&self, holds: Vec<Hold>) -> Result<(), StateError> {
        self.held.hold(holds).await.map_err(told)
    }

    async fn release(&self, completed: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        self.held.release(completed).await.map_err(told)
    }

    async fn due(&self, limit: usize, without: &[String]) -> Result<Vec<Held>, StateError> {
        self.held.due(limit, without).await.map_err(told)
    }

    async fn mark_replayed(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        self.held.mark_replayed(&holds).await.map_err(told)
    }

    async fn held_among(&self, ids: &[DocumentId]) -> Result<Vec<Held>, StateError> {
        self.held.among(ids).await.map_err(told)
    }

    async fn held(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<Held>, StateError> {
        self.held.list(after, limit).await.map_err(told)
    }

    async fn forget(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        self.held.forget(&holds).await.map_err(told)
    }

    async fn held_count(&self) -> Result<u64, StateError> {
        self.held.count().await.map_err(told)
    }

    async fn state(&self) -> Result<IndexState, StateError> {
        meta::state(&self.rows).await.map_err(told)
    }

    async fn change_state(&self, from: &IndexState, to: &IndexState) -> Result<bool, StateError> {
        meta::change_state(&self.rows, from, to).await.map_err(told)
    }

    async fn set_state(&self, state: IndexState) -> Result<(), StateError> {
        meta::set_state(&self.rows, &state).await.map_err(told)
    }

    async fn lane_wishes(&self) -> Result<LaneWishes, StateError> {
        meta::wishes(&self.rows).await.map_err(told)
    }

    async fn change_lane_wishes(&self, from: &LaneWishes, to: &LaneWishes) -> Result<bool, StateError> {
        meta::change_wishes(&self.rows, from, to).await.map_err(told)
    }

    async fn publish(&self, figures: &Figures) -> Result<(), StateError> {
        self.processes.publish(figures).await.map_err(told)
    }

    async fn withdraw(&self, process: &str) -> Result<(), StateError> {
        self.processes.withdraw(process).await.map_err(told)
    }

    async fn figures(&self) -> Result<Vec<Figures>, StateError> {
        self.processes.list().await.map_err(told)
    }

    async fn start_backfill(&self, ids: BackfillIds) -> Result<i64, StateError> {
        backfills::start(&self.rows, ids).await.map_err(told)
    }

    async fn backfills(&self) -> Result<Vec<Backfill>, StateError> {
        backfills::list(&self.rows, true).await.map_err(told)
    }

    async fn save_backfill(&self, backfill: &Backfill) -> Result<(), StateError> {
        backfills::save(&self.rows, backfill).await.map_err(told)
    }

    async fn open_backfills(&self) -> Result<Vec<Backfill>, StateError> {
        backfills::list(&self.rows, false).await.map_err(told)
    }

    async fn fan_outs(&self) -> Result<Vec<FanOuts>, StateError> {
        fan_outs::open(&self.rows).await.map_err(told)
    }

    async fn step_fan_outs(&self, of: &Fanning, step: FanOutStep) -> Result<Option<FanOuts>, StateError> {
        fan_outs::step(&self.rows, of, &step).await.map_err(told)
    }

    async fn note_history(
        &self,
        writer: &str,
        noted: Vec<(DocumentId, Vec<Step>)>,
    ) -> Result<(), StateError> {
        self.histories.note(writer, noted).await.map_err(told)
    }

    async fn history(&self, id: &DocumentId) -> Result<Vec<Step>, StateError> {
        self.histories.of(id).await.map_err(told)
    }

    async fn audits(&self) -> Result<Vec<AuditRow>, StateError> {
        lately::audits(&self.rows).await.map_err(told)
    }

    async fn save_audit(&self, audit: &AuditRow) -> Result<(), StateError> {
        lately::save_audit(&self.rows, audit).await.map_err(told)
    }
}
