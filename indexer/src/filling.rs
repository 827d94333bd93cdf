//! Index versions on their way: filled from the served one or by a backfill, healed, and removed, in steps that may be repeated.
//!
//! Whoever executes for all does it. Documents are copied as they are stored, each under its own version, so that a write that
//! came meanwhile stays; the graph is asked for nothing. Tombstones needn't be copied: filling begins when every process writes
//! the new version, so that what is deleted from then on leaves a tombstone there, too, and what was deleted before is not found
//! in the served version any more.

mod by_backfill;

use std::{collections::BTreeMap, time::Duration};

use plan::DocumentId;
use search::StoredDocument;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    Index, StateError, heartbeat,
    ledger::{
        longest_deadline,
        versions::{KnownVersion, Lack, MAX_LACKS, VersionState},
    },
    log::{Append, Cause, Entry, Lane},
    promotion::lead_alias,
    store::{Document, Outcome, Store, versions::note_lacks},
};

/// How often the versions are looked at.
const POLL: Duration = Duration::from_millis(500);

/// How long a server that failed is left alone.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);

/// How long documents that were refused are not offered again; a newer write of them is, at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// Documents that are copied at once.
const PAGE: usize = 1_000;

/// Pages of one step. Tests see each of them.
const PAGES: usize = if cfg!(test) { 1 } else { 16 };

/// Documents that a version lacks and is offered at once.
const LACKS: usize = 200;

/// Takes index versions where they are to be.
pub(crate) struct Filling {
    index: Index,
    stop: CancellationToken,
    /// Since when every process is known to write a version.
    acknowledged: BTreeMap<u32, Instant>,
    /// When a version is offered again what it refused.
    rests_until: BTreeMap<u32, Instant>,
    /// When what a version of another query lacks is asked for again.
    asked_until: BTreeMap<u32, Instant>,
}

impl Filling {
    /// Over this index, until it is stopped.
    pub(crate) fn new(index: Index, stop: CancellationToken) -> Self {
        Self {
            index,
            stop,
            acknowledged: BTreeMap::new(),
            rests_until: BTreeMap::new(),
            asked_until: BTreeMap::new(),
        }
    }

    /// Works until it is stopped, or with `once` until there is nothing to be done.
    pub(crate) async fn run(mut self, once: bool) -> Result<(), StateError> {
        while !self.stop.is_cancelled() {
            heartbeat::beat();
            let pause = match self.step().await {
                Err(error) if error.is_of_a_server() && !once => {
                    tracing::warn!(code = error.code().id, "{error}; the index versions wait for it");
                    TROUBLE_PAUSE
                }
                Err(error) => return Err(error),
                Ok(true) => continue,
                Ok(false) if once => return Ok(()),
                Ok(false) => POLL,
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// One step of each version; says whether any went on.
    async fn step(&mut self) -> Result<bool, StateError> {
        let states = self.index.ledger.version_states().await?;
        // Nearly always one version is served and lacks nothing.
        if let [(number, VersionState::Served)] = states.as_slice()
            && self.index.ledger.lacks(*number, 1).await?.is_empty()
        {
            return Ok(false);
        }
        let versions = self.index.versions().await?;
        let (mut moved, mut failed) = (false, None);
        for known in &versions {
            match self.step_of(known).await {
                Ok(went_on) => moved |= went_on,
                // What one version waits for holds up no other.
                Err(error) if error.is_of_a_server() => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        moved |= self.remove_old(&versions).await?;
        match failed {
            Some(error) if !moved => Err(error),
            _ => Ok(moved),
        }
    }

    /// One step of a version; says whether it went on.
    async fn step_of(&mut self, known: &KnownVersion) -> Result<bool, StateError> {
        let number = known.number();
        // Documents of another query can't be copied from the served version.
        let is_other_query = known.plan().fetch.query_hash != self.index.plan.fetch.query_hash;
        match &known.state {
            VersionState::Building if self.is_written_by_all(number).await? => {
                let filling = VersionState::Filling { cursor: None, filled: 0 };
                self.change(known, &filling).await
            }
            VersionState::Filling { cursor, filled } if is_other_query => {
                self.follow_backfill(known, cursor.as_ref(), *filled).await
            }
            VersionState::Ready | VersionState::Kept if is_other_query => self.heal_beside(known).await,
            VersionState::Filling { cursor, filled } => self.copy(known, cursor.as_ref(), *filled).await,
            VersionState::Ready | VersionState::Kept => self.heal(known).await,
            VersionState::Served => self.fetch_lacks(number).await,
            VersionState::Removing if self.is_written_by_none(number).await? => {
                self.index.open_version(known)?.remove().await?;
                self.index.ledger.forget_version(number).await?;
                tracing::info!(version = number, "the index version is removed");
                Ok(true)
            }
            VersionState::Building | VersionState::Removing | VersionState::GivenUp { .. } => Ok(false),
        }
    }

    async fn change(&self, known: &KnownVersion, to: &VersionState) -> Result<bool, StateError> {
        self.change_from(known.number(), &known.state, to).await
    }

    async fn change_from(
        &self,
        number: u32,
        from: &VersionState,
        to: &VersionState,
    ) -> Result<bool, StateError> {
        let changed = self.index.ledger.change_version(number, from, to).await?;
        if changed && to.name() != from.name() {
            tracing::info!(version = number, "the index version is {}", to.name());
        }
        Ok(changed)
    }

    /// Copies some pages of documents, and reads the next one while one is written; behind the last one the version is ready.
    async fn copy(
        &mut self,
        known: &KnownVersion,
        cursor: Option<&DocumentId>,
        mut filled: u64,
    ) -> Result<bool, StateError> {
        let target = self.index.open_version(known)?;
        let (store, mut state) = (target.store(), known.state.clone());
        let mut page = self.index.store.scan(cursor, PAGE).await?;
        for _ in 0..PAGES {
            heartbeat::beat();
            let Some(last) = page.last().map(|document| document.id.clone()) else {
                self.heal(known).await?;
                target.refresh().await?;
                let ready = VersionState::Ready;
                return self.change_from(known.number(), &state, &ready).await;
            };
            filled += page.len() as u64;
            // A server that is asked for one bulk has time for another.
            let rest = page.split_off(page.len() / 2);
            let (first, rest, next) = tokio::join!(
                write(&*store, page),
                write(&*store, rest),
                self.index.store.scan(Some(&last), PAGE)
            );
            let mut lacks = first?;
            lacks.extend(rest?);
            if !lacks.is_empty() {
                note_lacks(&*self.index.ledger, known.number(), lacks).await?;
            }
            let further = VersionState::Filling { cursor: Some(last), filled };
            if !self.change_from(known.number(), &state, &further).await? || self.stop.is_cancelled() {
                return Ok(true);
            }
            (state, page) = (further, next?);
        }
        Ok(true)
    }

    /// Copies documents that a version lacks and takes by now; says whether there were any.
    async fn heal(&mut self, known: &KnownVersion) -> Result<bool, StateError> {
        let number = known.number();
        if self.rests_until.get(&number).is_some_and(|until| Instant::now() < *until) {
            return Ok(false);
        }
        let lacks = self.index.ledger.lacks(number, MAX_LACKS).await?;
        let target = self.index.open_version(known)?.store();
        let mut healed = false;
        for lacks in lacks.chunks(LACKS) {
            let ids: Vec<DocumentId> = lacks.iter().map(|lack| lack.id.clone()).collect();
            let stored = self.index.store.get_many(&ids).await?;
            let mut filled: Vec<Lack> = stored
                .iter()
                .map(|stored| Lack { id: stored.id.clone(), version: stored.version, reason: String::new() })
                .collect();
            let refused = write(&*target, stored).await?;
            filled.retain(|lack| refused.iter().all(|refused| refused.id != lack.id));
            if !filled.is_empty() {
                self.index.ledger.fill_lacks(number, filled).await?;
                healed = true;
            }
        }
        if !healed && !lacks.is_empty() {
            self.rests_until.insert(number, Instant::now() + REFUSED_PAUSE);
        }
        Ok(healed)
    }

    /// Has the documents fetched anew that the served version lacks; what it refuses then is held.
    async fn fetch_lacks(&self, number: u32) -> Result<bool, StateError> {
        let lacks = self.index.ledger.lacks(number, LACKS).await?;
        if lacks.is_empty() {
            return Ok(false);
        }
        let entry = |lack: &Lack| Entry::new(lack.id.clone(), Lane::Live, Cause::Replay);
        let entries = lacks.iter().map(entry).collect();
        self.index.log.append(Append { entries, ..Append::default() }).await?;
        self.index.ledger.fill_lacks(number, lacks).await?;
        Ok(true)
    }

    /// Lets go of versions that were served, but for the newest of them.
    async fn remove_old(&self, versions: &[KnownVersion]) -> Result<bool, StateError> {
        let kept = versions.iter().rev().filter(|known| known.state == VersionState::Kept);
        let keep = usize::try_from(self.index.plan.keep_versions).unwrap_or(usize::MAX);
        let mut moved = false;
        for old in kept.skip(keep) {
            // A promotion that broke off may have left searches with it.
            lead_alias(&self.index).await?;
            moved |= self.change(old, &VersionState::Removing).await?;
        }
        Ok(moved)
    }

    /// Whether every process writes a version, and whatever one wrote before that is acknowledged or thrown away.
    async fn is_written_by_all(&mut self, number: u32) -> Result<bool, StateError> {
        if !self.index.live.contains(&number) {
            return Ok(false);
        }
        // One process alone ended what it did before it began to write this version.
        if !self.index.is_shared() {
            return Ok(true);
        }
        let figures = self.index.ledger.figures().await?;
        if !figures.iter().all(|figures| figures.versions.contains(&number)) {
            self.acknowledged.remove(&number);
            return Ok(false);
        }
        let deadline = longest_deadline(&figures, self.index.plan.graph.deadline_ms);
        let since = self.acknowledged.entry(number).or_insert_with(Instant::now);
        Ok(since.elapsed() >= Duration::from_millis(deadline))
    }

    async fn is_written_by_none(&self, number: u32) -> Result<bool, StateError> {
        if self.index.live.contains(&number) {
            return Ok(false);
        }
        if !self.index.is_shared() {
            return Ok(true);
        }
        let figures = self.index.ledger.figures().await?;
        Ok(!figures.iter().any(|figures| figures.versions.contains(&number)))
    }
}

/// Writes documents as they were stored elsewhere; gives those that are refused.
async fn write(store: &dyn Store, stored: Vec<StoredDocument>) -> Result<Vec<Lack>, StateError> {
    if stored.is_empty() {
        return Ok(Vec::new());
    }
    let documents: Vec<Document> = stored.into_iter().map(Document::from).collect();
    let offered: Vec<_> = documents.iter().map(|document| (document.id.clone(), document.version)).collect();
    let mut lacks = Vec::new();
    for ((id, version), outcome) in offered.into_iter().zip(store.write_patiently(documents).await?) {
        match outcome {
            Outcome::Written | Outcome::Superseded => {}
            Outcome::Rejected(reason) => lacks.push(Lack { id, version, reason }),
            Outcome::Again(reason) => {
                return Err(StateError::Unreachable { what: "the store".to_owned(), reason });
            }
        }
    }
    Ok(lacks)
}

#[cfg(test)]
mod tests;
