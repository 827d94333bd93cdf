//! Held documents are fetched again: of each subgraph that failed one first, and more the more of them heal.
//!
//! A subgraph that was down for an hour leaves thousands of documents behind. While it fails, one of them asks for all; once
//! one heals, the others follow in waves that double, at a pace that leaves the gateway to live changes. A wave of which
//! nothing heals is the last one, until the next single document.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use plan::{DocumentId, DocumentVersion};
use tokio::time::Instant;

use crate::{
    StateError,
    ledger::{Held, Ledger},
    log::{Append, Cause, Entry, Lane, ReindexLog},
    rebuild::breaker::{Breaker, Pace},
};

/// How often held documents are looked at.
pub(super) const POLL: Duration = Duration::from_millis(500);

/// Documents of one subgraph that are on their way at once, at most. It is what a subgraph that fails again gets to see, and
/// what a live change waits for.
pub(super) const WAVE: usize = 200;

/// Documents a second, of all subgraphs together. Ten thousand heal in a minute and a half, by eight requests a second in
/// batches of 25 (`graph.batch.size`): a small part of what a gateway does for live changes.
const RATE: f64 = 200.0;

/// A wave isn't waited for any longer. What was lost, by an owner that died, is due again after the longest pause.
const OVERDUE: Duration = Duration::from_mins(5);

/// How far the documents of each subgraph have healed. It is the memory of one executor; the next one begins with one document.
pub(super) struct Healing {
    pace: Pace,
    /// In an order of their own, so that a simulation goes the same way twice.
    subgraphs: BTreeMap<String, Subgraph>,
}

/// A subgraph that made documents fail, by the name that their holds say; `one of a, b` is a name of its own.
struct Subgraph {
    /// How many may be on their way.
    window: usize,
    /// Closed after a wave of which nothing healed.
    breaker: Breaker,
    wave: Option<Wave>,
}

/// Documents of one subgraph that are on their way.
struct Wave {
    started: Instant,
    /// Each with the version of the fetch that had failed.
    out: BTreeMap<DocumentId, DocumentVersion>,
    healed: usize,
    failed: usize,
}

impl Healing {
    pub(super) fn new() -> Self {
        Self { pace: Pace::new(Some(RATE), Instant::now()), subgraphs: BTreeMap::new() }
    }

    /// Learns what became of those that are on their way, and appends others that are due.
    pub(super) async fn step(&mut self, ledger: &dyn Ledger, log: &dyn ReindexLog) -> Result<(), StateError> {
        self.learn(ledger).await?;
        let now = Instant::now();
        let room = self.pace.allowance(1, now).min(WAVE);
        if room == 0 {
            return Ok(());
        }
        let taken = self.take(ledger, room, now).await?;
        self.pace.spend(taken.len());
        replay(ledger, log, taken).await
    }

    /// Closes the waves of which everything is known.
    async fn learn(&mut self, ledger: &dyn Ledger) -> Result<(), StateError> {
        let waves = self.subgraphs.values().filter_map(|subgraph| subgraph.wave.as_ref());
        let out: Vec<DocumentId> = waves.flat_map(|wave| wave.out.keys().cloned()).collect();
        if out.is_empty() {
            return Ok(());
        }
        let rows = ledger.held_among(&out).await?;
        let held: HashMap<&DocumentId, DocumentVersion> =
            rows.iter().map(|row| (&row.id, row.version)).collect();
        let now = Instant::now();
        for subgraph in self.subgraphs.values_mut() {
            let Some(wave) = &mut subgraph.wave else { continue };
            wave.learn(&held);
            if wave.out.is_empty() || now.duration_since(wave.started) >= OVERDUE {
                subgraph.end_wave(now);
            }
        }
        Ok(())
    }

    /// Held documents that are due, of each subgraph no more than it may be asked for.
    async fn take(
        &mut self,
        ledger: &dyn Ledger,
        room: usize,
        now: Instant,
    ) -> Result<Vec<Held>, StateError> {
        let mut taken: Vec<Held> = Vec::new();
        let mut ids = HashSet::new();
        loop {
            let closed = self.subgraphs.iter().filter(|(_, subgraph)| subgraph.room(now) == 0);
            let closed: Vec<String> = closed.map(|(name, _)| name.clone()).collect();
            let page = ledger.due(room, &closed).await?;
            let (is_last, before) = (page.len() < room, taken.len());
            for held in page {
                if taken.len() < room && !ids.contains(&held.id) && self.admits(&held, now) {
                    ids.insert(held.id.clone());
                    taken.push(held);
                }
            }
            // Those of a subgraph that is full now stand before the others no more.
            if is_last || taken.len() == room || taken.len() == before {
                return Ok(taken);
            }
        }
    }

    /// Whether a document may go now; then it is on its way. Nobody else is to be spared where nobody can be named.
    fn admits(&mut self, held: &Held, now: Instant) -> bool {
        let Some(name) = &held.subgraph else { return true };
        let subgraph = self.subgraphs.entry(name.clone()).or_insert_with(Subgraph::new);
        let has_room = subgraph.room(now) > 0;
        if has_room {
            let wave = subgraph.wave.get_or_insert_with(|| Wave::begin(now));
            wave.out.insert(held.id.clone(), held.version);
        }
        has_room
    }
}

impl Subgraph {
    fn new() -> Self {
        Self { window: 1, breaker: Breaker::default(), wave: None }
    }

    /// How many more may go now. A wave takes others in only until the first of it is answered.
    fn room(&self, now: Instant) -> usize {
        let allowed = self.breaker.allows(self.window, now);
        match &self.wave {
            None => allowed,
            Some(wave) if wave.healed + wave.failed > 0 => 0,
            Some(wave) => allowed.saturating_sub(wave.out.len()),
        }
    }

    fn end_wave(&mut self, now: Instant) {
        let Some(Wave { started, healed, failed, .. }) = self.wave.take() else { return };
        if healed == 0 {
            self.window = 1;
            if failed > 0 {
                self.breaker.fail(started, None, now);
            }
            return;
        }
        self.breaker.succeed(now);
        // Some documents fail for reasons of their own, and don't hold up the others.
        self.window = if failed > healed { (self.window / 2).max(1) } else { (self.window * 2).min(WAVE) };
    }
}

impl Wave {
    fn begin(started: Instant) -> Self {
        Self { started, out: BTreeMap::new(), healed: 0, failed: 0 }
    }

    /// Who isn't held any more has healed; whose hold is of another fetch has failed again.
    fn learn(&mut self, held: &HashMap<&DocumentId, DocumentVersion>) {
        let (mut healed, mut failed) = (0, 0);
        self.out.retain(|id, version| match held.get(id) {
            None => {
                healed += 1;
                false
            }
            Some(now) => {
                failed += usize::from(now != version);
                now == version
            }
        });
        self.healed += healed;
        self.failed += failed;
    }
}

/// Appends what is due, once and without looking what becomes of it.
pub(super) async fn replay_once(ledger: &dyn Ledger, log: &dyn ReindexLog) -> Result<(), StateError> {
    let due = ledger.due(WAVE, &[]).await?;
    replay(ledger, log, due).await
}

/// Appends held documents to the live lane.
async fn replay(ledger: &dyn Ledger, log: &dyn ReindexLog, due: Vec<Held>) -> Result<(), StateError> {
    if due.is_empty() {
        return Ok(());
    }
    let seen = due.iter().map(|held| (held.id.clone(), held.version)).collect();
    let entry = |held: Held| Entry { wants: held.wants, ..Entry::new(held.id, Lane::Live, Cause::Replay) };
    // Marked after it is in the log: a crash in between replays twice, and never not at all.
    log.append(Append { entries: due.into_iter().map(entry).collect(), ..Append::default() }).await?;
    ledger.mark_replayed(seen).await
}

#[cfg(test)]
mod tests;
