//! A ledger that is waited for: what its server can't do now is asked of it again.

use std::sync::Arc;

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, Epoch};

use super::{
    Backfill, BackfillIds, BegunMatch, FanOutStep, FanOuts, Fanning, Figures, Held, Hold, IndexState,
    IndexVersion, LaneWishes, Ledger, SavedSearch, SavedSearches,
    versions::{KnownVersion, Lack, VersionState},
};
use crate::{StateError, audit::AuditRow, history::Step, patience::Patience};

/// A ledger as a process sees it that has nothing better to do than to wait. Every method may be repeated.
pub(crate) struct PatientLedger {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) patience: Patience,
}

#[async_trait]
impl Ledger for PatientLedger {
    async fn served(&self) -> Result<IndexVersion, StateError> {
        self.patience.try_until_done(|| self.ledger.served()).await
    }

    async fn versions(&self) -> Result<Vec<KnownVersion>, StateError> {
        self.patience.try_until_done(|| self.ledger.versions()).await
    }

    async fn version_states(&self) -> Result<Vec<(u32, VersionState)>, StateError> {
        self.patience.try_until_done(|| self.ledger.version_states()).await
    }

    async fn change_version(
        &self,
        number: u32,
        from: &VersionState,
        to: &VersionState,
    ) -> Result<bool, StateError> {
        self.patience.try_until_done(|| self.ledger.change_version(number, from, to)).await
    }

    async fn promote(&self, from: u32, to: u32) -> Result<bool, StateError> {
        self.patience.try_until_done(|| self.ledger.promote(from, to)).await
    }

    async fn forget_version(&self, number: u32) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.forget_version(number)).await
    }

    async fn note_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.note_lacks(number, lacks.clone())).await
    }

    async fn lacks(&self, number: u32, limit: usize) -> Result<Vec<Lack>, StateError> {
        self.patience.try_until_done(|| self.ledger.lacks(number, limit)).await
    }

    async fn fill_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.fill_lacks(number, lacks.clone())).await
    }

    async fn take_epoch(&self, stored: Epoch) -> Result<Epoch, StateError> {
        self.patience.try_until_done(|| self.ledger.take_epoch(stored)).await
    }

    async fn hold(&self, holds: Vec<Hold>) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.hold(holds.clone())).await
    }

    async fn release(&self, completed: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.release(completed.clone())).await
    }

    async fn due(&self, limit: usize, without: &[String]) -> Result<Vec<Held>, StateError> {
        self.patience.try_until_done(|| self.ledger.due(limit, without)).await
    }

    async fn mark_replayed(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.mark_replayed(holds.clone())).await
    }

    async fn held_among(&self, ids: &[DocumentId]) -> Result<Vec<Held>, StateError> {
        self.patience.try_until_done(|| self.ledger.held_among(ids)).await
    }

    async fn held(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<Held>, StateError> {
        self.patience.try_until_done(|| self.ledger.held(after, limit)).await
    }

    async fn forget(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.forget(holds.clone())).await
    }

    async fn held_count(&self) -> Result<u64, StateError> {
        self.patience.try_until_done(|| self.ledger.held_count()).await
    }

    async fn state(&self) -> Result<IndexState, StateError> {
        self.patience.try_until_done(|| self.ledger.state()).await
    }

    async fn change_state(&self, from: &IndexState, to: &IndexState) -> Result<bool, StateError> {
        self.patience.try_until_done(|| self.ledger.change_state(from, to)).await
    }

    async fn set_state(&self, state: IndexState) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.set_state(state.clone())).await
    }

    async fn lane_wishes(&self) -> Result<LaneWishes, StateError> {
        self.patience.try_until_done(|| self.ledger.lane_wishes()).await
    }

    async fn change_lane_wishes(&self, from: &LaneWishes, to: &LaneWishes) -> Result<bool, StateError> {
        self.patience.try_until_done(|| self.ledger.change_lane_wishes(from, to)).await
    }

    /// Figures that can't be told now are old a second later.
    async fn publish(&self, figures: &Figures) -> Result<(), StateError> {
        match self.ledger.publish(figures).await {
            Err(error) if error.is_of_a_server() => Ok(()),
            published => published,
        }
    }

    /// What isn't taken back vanishes by itself.
    async fn withdraw(&self, process: &str) -> Result<(), StateError> {
        match self.ledger.withdraw(process).await {
            Err(error) if error.is_of_a_server() => Ok(()),
            withdrawn => withdrawn,
        }
    }

    async fn figures(&self) -> Result<Vec<Figures>, StateError> {
        self.patience.try_until_done(|| self.ledger.figures()).await
    }

    async fn start_backfill(&self, ids: BackfillIds) -> Result<i64, StateError> {
        self.patience.try_until_done(|| self.ledger.start_backfill(ids.clone())).await
    }

    async fn backfills(&self) -> Result<Vec<Backfill>, StateError> {
        self.patience.try_until_done(|| self.ledger.backfills()).await
    }

    async fn save_backfill(&self, backfill: &Backfill) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.save_backfill(backfill)).await
    }

    async fn open_backfills(&self) -> Result<Vec<Backfill>, StateError> {
        self.patience.try_until_done(|| self.ledger.open_backfills()).await
    }

    async fn fan_outs(&self) -> Result<Vec<FanOuts>, StateError> {
        self.patience.try_until_done(|| self.ledger.fan_outs()).await
    }

    async fn step_fan_outs(&self, of: &Fanning, step: FanOutStep) -> Result<Option<FanOuts>, StateError> {
        self.patience.try_until_done(|| self.ledger.step_fan_outs(of, step.clone())).await
    }

    /// Nobody waits for what happened to be told.
    async fn note_history(
        &self,
        writer: &str,
        noted: Vec<(DocumentId, Vec<Step>)>,
    ) -> Result<(), StateError> {
        match self.ledger.note_history(writer, noted).await {
            Err(error) if error.is_of_a_server() => Ok(()),
            written => written,
        }
    }

    async fn history(&self, id: &DocumentId) -> Result<Vec<Step>, StateError> {
        self.patience.try_until_done(|| self.ledger.history(id)).await
    }

    async fn audits(&self) -> Result<Vec<AuditRow>, StateError> {
        self.patience.try_until_done(|| self.ledger.audits()).await
    }

    async fn save_audit(&self, audit: &AuditRow) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.save_audit(audit)).await
    }
}

#[async_trait]
impl SavedSearches for PatientLedger {
    async fn saved_searches(&self) -> Result<Vec<SavedSearch>, StateError> {
        self.patience.try_until_done(|| self.ledger.saved_searches()).await
    }

    async fn saved_revision(&self) -> Result<u64, StateError> {
        self.patience.try_until_done(|| self.ledger.saved_revision()).await
    }

    async fn save_search(&self, search: SavedSearch) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.save_search(search.clone())).await
    }

    async fn remove_search(&self, name: &str) -> Result<bool, StateError> {
        self.patience.try_until_done(|| self.ledger.remove_search(name)).await
    }

    async fn note_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.note_matches(matches.clone())).await
    }

    async fn waiting_matches(
        &self,
        after: Option<&BegunMatch>,
        limit: usize,
    ) -> Result<Vec<BegunMatch>, StateError> {
        self.patience.try_until_done(|| self.ledger.waiting_matches(after, limit)).await
    }

    async fn waiting_match_count(&self) -> Result<u64, StateError> {
        self.patience.try_until_done(|| self.ledger.waiting_match_count()).await
    }

    async fn settle_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError> {
        self.patience.try_until_done(|| self.ledger.settle_matches(matches.clone())).await
    }
}
