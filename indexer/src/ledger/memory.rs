//! The ledger in memory, for tests and simulations. Clones are the connections of several processes to one ledger.

mod saved;
mod versions;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, Epoch, IndexPlan};

use self::{saved::Saved, versions::Versions};
use super::{
    Backfill, BackfillIds, BackfillState, FanOutStep, FanOuts, Fanning, Figures, Held, Hold, IndexState,
    IndexVersion, LaneWishes, Ledger, RetryPauses,
    figures::FIGURES_ARE_FRESH_MS,
    versions::{KnownVersion, Lack, VersionState},
};
use crate::{
    StateError,
    audit::{AuditKind, AuditRow},
    history::{self, Step},
    now_ms,
    revision::Wants,
};

/// The ledger of one index.
#[derive(Debug, Clone)]
pub struct MemoryLedger {
    retry: RetryPauses,
    kept: Arc<Mutex<Kept>>,
    /// For a simulation that breaks a rule: what is asked for during a run is taken for done by it.
    #[cfg(test)]
    pub(crate) takes_asked_for_done: bool,
}

#[derive(Debug)]
struct Kept {
    versions: Versions,
    epoch: Epoch,
    state: IndexState,
    held: BTreeMap<DocumentId, HeldRow>,
    figures: BTreeMap<String, Figures>,
    /// Number 1 first.
    backfills: Vec<Backfill>,
    fan_outs: BTreeMap<Fanning, FanOuts>,
    wishes: LaneWishes,
    /// By document and writer.
    history: BTreeMap<(DocumentId, String), Vec<Step>>,
    audits: BTreeMap<AuditKind, AuditRow>,
    saved: Saved,
}

#[derive(Debug)]
struct HeldRow {
    held: Held,
    /// Whether it was appended to the log since it failed last.
    replayed: bool,
}

impl MemoryLedger {
    /// The ledger of a new index, which serves the first version of this plan.
    pub fn new(plan: IndexPlan, retry: RetryPauses) -> Self {
        let kept = Kept {
            versions: Versions::new(plan),
            epoch: Epoch::ZERO,
            state: IndexState::Running,
            held: BTreeMap::new(),
            figures: BTreeMap::new(),
            backfills: Vec::new(),
            fan_outs: BTreeMap::new(),
            wishes: LaneWishes::default(),
            history: BTreeMap::new(),
            audits: BTreeMap::new(),
            saved: Saved::default(),
        };
        Self {
            retry,
            kept: Arc::new(Mutex::new(kept)),
            #[cfg(test)]
            takes_asked_for_done: false,
        }
    }

    /// How many runs of wide fan-outs there ever were.
    #[cfg(test)]
    pub(crate) fn fan_out_runs(&self) -> usize {
        let runs = self.kept().fan_outs.values().map(|fan_outs| fan_outs.runs).sum::<u64>();
        usize::try_from(runs).expect("few runs")
    }

    /// Adds an index version, as provision does.
    pub fn put_version(&self, number: u32, plan: IndexPlan, state: VersionState) {
        self.kept().versions.put(number, plan, state);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is done under the lock doesn't panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn served(&self) -> Result<IndexVersion, StateError> {
        Ok(self.kept().versions.served().clone())
    }

    async fn versions(&self) -> Result<Vec<KnownVersion>, StateError> {
        Ok(self.kept().versions.all())
    }

    async fn version_states(&self) -> Result<Vec<(u32, VersionState)>, StateError> {
        Ok(self.kept().versions.states())
    }

    async fn change_version(
        &self,
        number: u32,
        from: &VersionState,
        to: &VersionState,
    ) -> Result<bool, StateError> {
        Ok(self.kept().versions.change(number, from, to))
    }

    async fn promote(&self, from: u32, to: u32) -> Result<bool, StateError> {
        Ok(self.kept().versions.promote(from, to))
    }

    async fn forget_version(&self, number: u32) -> Result<(), StateError> {
        self.kept().versions.forget(number);
        Ok(())
    }

    async fn note_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
        self.kept().versions.note_lacks(number, lacks);
        Ok(())
    }

    async fn lacks(&self, number: u32, limit: usize) -> Result<Vec<Lack>, StateError> {
        Ok(self.kept().versions.lacks(number, limit))
    }

    async fn fill_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
        self.kept().versions.fill_lacks(number, &lacks);
        Ok(())
    }

    async fn take_epoch(&self, stored: Epoch) -> Result<Epoch, StateError> {
        let mut kept = self.kept();
        let next = kept.epoch.max(stored).next();
        kept.epoch = next.ok_or_else(|| StateError::EpochsUsedUp("the ledger in memory".to_owned()))?;
        Ok(kept.epoch)
    }

    async fn hold(&self, holds: Vec<Hold>) -> Result<(), StateError> {
        let (mut kept, now) = (self.kept(), now_ms());
        for Hold { id, version, cause, wants } in holds {
            let before = kept.held.get(&id).map(|row| &row.held);
            if before.is_some_and(|before| before.version >= version) {
                continue; // this fetch or a newer one has spoken
            }
            let (attempts, first_at) =
                before.map_or((1, now), |before| (before.attempts.saturating_add(1), before.first_at));
            let mut all = before.map_or_else(Wants::default, |before| before.wants.clone());
            all.merge(wants);
            let held = Held {
                id: id.clone(),
                version,
                subgraph: cause.subgraph,
                code: cause.code,
                path: cause.path,
                message: cause.message,
                attempts,
                first_at,
                last_at: now,
                next_at: now.saturating_add(self.retry.after(attempts)),
                wants: all,
            };
            kept.held.insert(id, HeldRow { held, replayed: false });
        }
        Ok(())
    }

    async fn release(&self, completed: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        let (mut kept, now) = (self.kept(), now_ms());
        let mut healed = BTreeSet::new();
        for (id, version) in completed {
            if kept.held.get(&id).is_some_and(|row| row.held.version < version) {
                healed.extend(kept.held.remove(&id).and_then(|row| row.held.subgraph));
            }
        }
        // Whoever can't be attributed tells nothing about others; whoever is on the way needs no second wish.
        for row in kept.held.values_mut().filter(|row| !row.replayed) {
            if row.held.subgraph.as_ref().is_some_and(|subgraph| healed.contains(subgraph)) {
                row.held.next_at = row.held.next_at.min(now);
            }
        }
        Ok(())
    }

    async fn due(&self, limit: usize, without: &[String]) -> Result<Vec<Held>, StateError> {
        let (kept, now) = (self.kept(), now_ms());
        let is_wanted =
            |held: &&Held| held.subgraph.as_ref().is_none_or(|subgraph| !without.contains(subgraph));
        let rows = kept.held.values().map(|row| &row.held);
        let mut due: Vec<&Held> = rows.filter(|held| held.next_at <= now).filter(is_wanted).collect();
        due.sort_by_key(|held| held.next_at);
        Ok(due.into_iter().take(limit).cloned().collect())
    }

    async fn mark_replayed(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        let (mut kept, next_at) = (self.kept(), now_ms().saturating_add(self.retry.longest()));
        for (id, version) in holds {
            if let Some(row) = kept.held.get_mut(&id).filter(|row| row.held.version == version) {
                row.held.next_at = next_at;
                row.replayed = true;
            }
        }
        Ok(())
    }

    async fn held_among(&self, ids: &[DocumentId]) -> Result<Vec<Held>, StateError> {
        let kept = self.kept();
        Ok(ids.iter().filter_map(|id| kept.held.get(id)).map(|row| row.held.clone()).collect())
    }

    async fn forget(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        let mut kept = self.kept();
        for (id, version) in holds {
            if kept.held.get(&id).is_some_and(|row| row.held.version <= version) {
                kept.held.remove(&id);
            }
        }
        Ok(())
    }

    async fn held(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<Held>, StateError> {
        let kept = self.kept();
        let later = kept.held.iter().filter(|(id, _)| after.is_none_or(|after| *id > after));
        Ok(later.map(|(_, row)| row.held.clone()).take(limit).collect())
    }

    async fn held_count(&self) -> Result<u64, StateError> {
        Ok(self.kept().held.len() as u64)
    }

    async fn state(&self) -> Result<IndexState, StateError> {
        Ok(self.kept().state.clone())
    }

    async fn change_state(&self, from: &IndexState, to: &IndexState) -> Result<bool, StateError> {
        let mut kept = self.kept();
        let is_from = kept.state == *from;
        if is_from {
            kept.state = to.clone();
        }
        Ok(is_from)
    }

    async fn set_state(&self, state: IndexState) -> Result<(), StateError> {
        self.kept().state = state;
        Ok(())
    }

    async fn lane_wishes(&self) -> Result<LaneWishes, StateError> {
        Ok(self.kept().wishes.clone())
    }

    async fn change_lane_wishes(&self, from: &LaneWishes, to: &LaneWishes) -> Result<bool, StateError> {
        let mut kept = self.kept();
        let is_from = kept.wishes == *from;
        if is_from {
            kept.wishes = to.clone();
        }
        Ok(is_from)
    }

    async fn publish(&self, figures: &Figures) -> Result<(), StateError> {
        self.kept().figures.insert(figures.process.clone(), figures.clone());
        Ok(())
    }

    async fn withdraw(&self, process: &str) -> Result<(), StateError> {
        self.kept().figures.remove(process);
        Ok(())
    }

    async fn figures(&self) -> Result<Vec<Figures>, StateError> {
        let since = now_ms() - FIGURES_ARE_FRESH_MS;
        Ok(self.kept().figures.values().filter(|figures| figures.at >= since).cloned().collect())
    }

    async fn start_backfill(&self, ids: BackfillIds) -> Result<i64, StateError> {
        let mut kept = self.kept();
        let number = i64::try_from(kept.backfills.len()).expect("fewer backfills than 2^63") + 1;
        kept.backfills.push(Backfill::new(number, ids));
        Ok(number)
    }

    async fn backfills(&self) -> Result<Vec<Backfill>, StateError> {
        Ok(self.kept().backfills.clone())
    }

    async fn save_backfill(&self, backfill: &Backfill) -> Result<(), StateError> {
        let mut kept = self.kept();
        let known = kept.backfills.iter_mut().find(|known| known.number == backfill.number);
        if let Some(known) = known
            && known.ended_at.is_none()
            && known.enumerated <= backfill.enumerated
        {
            let (ids, started_at) = (known.ids.clone(), known.started_at);
            *known = Backfill { ids, started_at, ..backfill.clone() };
        }
        Ok(())
    }

    async fn open_backfills(&self) -> Result<Vec<Backfill>, StateError> {
        let is_open = |backfill: &&Backfill| {
            matches!(backfill.state, BackfillState::Enumerating | BackfillState::Rebuilding)
        };
        Ok(self.kept().backfills.iter().filter(is_open).cloned().collect())
    }

    async fn fan_outs(&self) -> Result<Vec<FanOuts>, StateError> {
        Ok(self.kept().fan_outs.values().filter(|fan_outs| !fan_outs.is_idle()).cloned().collect())
    }

    async fn step_fan_outs(&self, of: &Fanning, step: FanOutStep) -> Result<Option<FanOuts>, StateError> {
        let mut kept = self.kept();
        let fan_outs = kept.fan_outs.entry(of.clone()).or_insert_with(|| FanOuts::new(of.clone()));
        #[cfg(test)]
        if self.takes_asked_for_done && fan_outs.running.is_some() && matches!(step, FanOutStep::Ask(_)) {
            return Ok(Some(fan_outs.clone()));
        }
        Ok(fan_outs.take(step).then(|| fan_outs.clone()))
    }

    async fn note_history(
        &self,
        writer: &str,
        noted: Vec<(DocumentId, Vec<Step>)>,
    ) -> Result<(), StateError> {
        let mut kept = self.kept();
        for (id, steps) in noted {
            let ring = kept.history.entry((id, writer.to_owned())).or_default();
            *ring = history::ring(std::mem::take(ring), steps);
        }
        // A test is over long before this; whoever lives longer forgets like every ledger.
        while kept.history.len() as u64 > history::DOCUMENTS {
            let newest = |steps: &[Step]| steps.last().map_or(0, |step| step.at);
            let oldest =
                kept.history.iter().min_by_key(|(_, steps)| newest(steps)).map(|(key, _)| key.clone());
            oldest.and_then(|key| kept.history.remove(&key));
        }
        Ok(())
    }

    async fn history(&self, id: &DocumentId) -> Result<Vec<Step>, StateError> {
        let kept = self.kept();
        let rings = kept.history.iter().filter(|((of, _), _)| of == id);
        Ok(history::in_order(rings.map(|(_, steps)| steps.clone())))
    }

    async fn audits(&self) -> Result<Vec<AuditRow>, StateError> {
        Ok(self.kept().audits.values().cloned().collect())
    }

    async fn save_audit(&self, audit: &AuditRow) -> Result<(), StateError> {
        let mut kept = self.kept();
        if kept.audits.get(&audit.kind).is_none_or(|there| there.gives_way_to(audit)) {
            kept.audits.insert(audit.kind, audit.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::{
        ledger::conformance::{self, Ledgers, World},
        testing,
    };

    struct InMemory;

    #[async_trait]
    impl World for InMemory {
        async fn provisioned(&self, retry: RetryPauses) -> Ledgers {
            let plan = testing::movies();
            let ledger = MemoryLedger::new(plan.clone(), retry);
            let other = ledger.clone();
            let make_second = move |plan: IndexPlan| {
                other.put_version(2, plan, VersionState::Building);
                async {}.boxed()
            };
            let open = Box::new(move || -> Arc<dyn Ledger> { Arc::new(ledger.clone()) });
            Ledgers { plan, open, make_second: Box::new(make_second) }
        }
    }

    #[tokio::test]
    async fn the_ledger_in_memory_does_what_every_ledger_must() {
        conformance::run(&InMemory).await;
    }
}
