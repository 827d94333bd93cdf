//! Filling a version of another query: a backfill brings its documents, and here it is seen that they are there.
//!
//! What a version of another query holds was fetched since every process writes it, and is written on with each change. So it is
//! whole as soon as it holds every document that the served version shows, and lacks none: both go through their ids in their
//! order, and what was passed stays there.

use std::{collections::BTreeSet, time::Duration};

use plan::DocumentId;
use tokio::time::Instant;

use super::{Filling, LACKS, REFUSED_PAUSE};
use crate::{
    StateError,
    index::OpenVersion,
    ledger::versions::{KnownVersion, Lack, MAX_LACKS, VersionState},
    log::{Append, Cause, Entry, Lane},
};

/// Ids that are compared in one step.
const PAGE: usize = 500;

/// How long a version that isn't further is left alone: a backfill takes minutes.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

impl Filling {
    /// Goes past the documents of the served version that are there; behind the last one, with nothing lacking, it is ready.
    pub(super) async fn follow_backfill(
        &mut self,
        known: &KnownVersion,
        cursor: Option<&DocumentId>,
        filled: u64,
    ) -> Result<bool, StateError> {
        let number = known.number();
        if self.is_resting(number) {
            return Ok(false);
        }
        self.fetch_lacks_beside(known).await?;
        let target = self.index.open_version(known)?;
        let page = self.index.store.ids(cursor, PAGE).await?;
        let there = holds(&target, &page).await?;
        let passed: Vec<&DocumentId> = page.iter().take_while(|id| there.contains(*id)).collect();
        if let Some(last) = passed.last() {
            let (last, filled) = (Some((*last).clone()), filled + passed.len() as u64);
            return self.change(known, &VersionState::Filling { cursor: last, filled }).await;
        }
        let is_backfilled = page.is_empty() && !self.is_being_backfilled().await?;
        if !is_backfilled || !self.index.ledger.lacks(number, 1).await?.is_empty() {
            self.rests_until.insert(number, Instant::now() + LOOK_PAUSE);
            return Ok(false);
        }
        target.refresh().await?;
        self.change(known, &VersionState::Ready).await
    }

    /// Has the documents fetched anew that a version of another query lacks, and forgets what it has by now.
    pub(super) async fn heal_beside(&mut self, known: &KnownVersion) -> Result<bool, StateError> {
        let number = known.number();
        if self.is_resting(number) {
            return Ok(false);
        }
        let healed = self.fetch_lacks_beside(known).await?;
        self.rests_until.insert(number, Instant::now() + LOOK_PAUSE);
        Ok(healed)
    }

    async fn fetch_lacks_beside(&mut self, known: &KnownVersion) -> Result<bool, StateError> {
        let number = known.number();
        let lacks = self.index.ledger.lacks(number, MAX_LACKS).await?;
        let target = self.index.open_version(known)?.store();
        let (mut filled, mut open) = (Vec::new(), Vec::new());
        for lacks in lacks.chunks(LACKS) {
            let ids: Vec<DocumentId> = lacks.iter().map(|lack| lack.id.clone()).collect();
            let stored = target.get_many(&ids).await?;
            // What failed in part was written, and lacks that part still.
            let is_filled = |lack: &Lack| {
                let of = stored.iter().find(|stored| stored.id == lack.id);
                of.is_some_and(|stored| stored.version >= lack.version && stored.missing.is_empty())
            };
            let (healed, still): (Vec<Lack>, Vec<Lack>) = lacks.iter().cloned().partition(is_filled);
            filled.extend(healed);
            open.extend(still);
        }
        let has_healed = !filled.is_empty();
        if has_healed {
            self.index.ledger.fill_lacks(number, filled).await?;
        }
        let is_due = self.asked_until.get(&number).is_none_or(|until| Instant::now() >= *until);
        if is_due && !open.is_empty() {
            let entry = |lack: Lack| Entry::new(lack.id, Lane::Live, Cause::Replay);
            let entries = open.into_iter().map(entry).collect();
            self.index.log.append(Append { entries, ..Append::default() }).await?;
            self.asked_until.insert(number, Instant::now() + REFUSED_PAUSE);
        }
        Ok(has_healed)
    }

    /// Whether a backfill is under way that may bring what is not there yet, also to the served version.
    async fn is_being_backfilled(&self) -> Result<bool, StateError> {
        Ok(!self.index.ledger.open_backfills().await?.is_empty())
    }

    fn is_resting(&self, number: u32) -> bool {
        self.rests_until.get(&number).is_some_and(|until| Instant::now() < *until)
    }
}

/// Those of these ids whose documents a version has, live.
async fn holds(version: &OpenVersion, ids: &[DocumentId]) -> Result<BTreeSet<DocumentId>, StateError> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let stored = version.store().get_many(ids).await?;
    Ok(stored.into_iter().filter(|stored| stored.body.is_some()).map(|stored| stored.id).collect())
}
