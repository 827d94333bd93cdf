//! Keys that touch more roots than `max_fanout`: set aside by a lookup, asked for durably by the second one.
//!
//! A first lookup queues as many roots as there is room for, which is freshness, and leaves the rest to the second. That one
//! pages through what was queued once more, and writes the keys into the ledger with the page from which on there is more.
//! From then on they are as good as queued, and their events are committed: every page of the run that takes them up is read
//! after their barrier. Pages go by id over an index that changes meanwhile. A root that comes to hold a key behind the page
//! that is being read was written after the barrier, so it was fetched after the event, and shows the change.
//!
//! While a key is being fanned out, its events are neither looked up at once nor a second time. They wait for their barrier
//! and then for the next run, however many they are: a run goes on until its documents are rebuilt, so that a key that changes
//! all the time costs one fan-out after the other, and no two at once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plan::DocumentId;
use tokio_util::sync::CancellationToken;

use super::{lookup::Lookup, wishes::Key};
use crate::{
    StateError, heartbeat,
    ledger::{FanOutStep, Fanning, FoundIn, Ledger, WideKey, WideKeys},
};

/// How long a source waits where too many keys wait before its own.
const FULL_PAUSE: Duration = Duration::from_millis(500);

/// Marks of keys that nobody waits with any more, at most. One more fan-out at once is all that a lost mark costs.
const MARKS: usize = 4_096;

/// Keys that were set aside by the lookups of one batch.
#[derive(Debug, Default)]
pub struct Wide {
    keys: BTreeMap<FoundIn, WideKeys>,
    /// Those of them that are known to be wide by themselves.
    alone: Vec<(FoundIn, DocumentId)>,
}

impl Wide {
    /// Adds a key.
    pub(super) fn add(&mut self, found_in: FoundIn, id: DocumentId, key: WideKey, event_at: Option<i64>) {
        let wanted = self.keys.entry(found_in).or_default();
        wanted.add(id, key);
        wanted.event_at = wanted.event_at.max(event_at);
    }

    /// Notes that a key is wide without any other.
    pub(super) fn note_alone(&mut self, found_in: FoundIn, id: DocumentId) {
        self.alone.push((found_in, id));
    }

    /// Adds all of the others.
    pub(super) fn merge(&mut self, others: Self) {
        for (found_in, keys) in others.keys {
            self.keys.entry(found_in).or_default().merge(keys);
        }
        self.alone.extend(others.alone);
    }

    /// Adds the keys that are wide by themselves, and nothing else of the others.
    pub(super) fn merge_alone(&mut self, others: &Self) {
        self.alone.extend(others.alone.iter().cloned());
    }

    /// Whether the key was set aside there.
    pub(super) fn holds(&self, found_in: FoundIn, id: &DocumentId) -> bool {
        self.keys.get(&found_in).is_some_and(|wanted| wanted.keys.contains_key(id))
    }

    /// The keys.
    pub(super) fn ids(&self) -> impl Iterator<Item = &DocumentId> {
        self.keys.values().flat_map(|wanted| wanted.keys.keys())
    }

    /// Asks for the keys durably; after `stop`, some of them may not be asked for.
    pub(crate) async fn ask(
        self,
        source: &str,
        ledger: &dyn Ledger,
        stop: &CancellationToken,
    ) -> Result<(), StateError> {
        for (found_in, wanted) in self.keys {
            let of = Fanning { source: source.to_owned(), found_in };
            while ledger.step_fan_outs(&of, FanOutStep::Ask(wanted.clone())).await?.is_none() {
                let pause = heartbeat::waiting(tokio::time::sleep(FULL_PAUSE));
                if stop.run_until_cancelled(pause).await.is_none() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Wide keys of a source, each with the number of batches that wait with it for their barrier.
#[derive(Debug, Default)]
pub struct Marks(Mutex<HashMap<(FoundIn, DocumentId), usize>>);

impl Marks {
    fn marks(&self) -> MutexGuard<'_, HashMap<(FoundIn, DocumentId), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a batch waits with keys that were found to be wide. Gives them back, for [`Marks::leave`].
    pub(super) fn enter(&self, wide: Wide) -> Vec<(FoundIn, DocumentId)> {
        let mut marks = self.marks();
        if marks.len() + wide.alone.len() > MARKS {
            marks.retain(|_, batches| *batches > 0);
        }
        wide.alone.iter().for_each(|key| *marks.entry(key.clone()).or_default() += 1);
        wide.alone
    }

    /// Notes that a batch waits no more: what it asks for is in the ledger.
    pub(super) fn leave(&self, keys: &[(FoundIn, DocumentId)]) {
        let mut marks = self.marks();
        for key in keys {
            if let Some(batches) = marks.get_mut(key) {
                *batches -= 1;
            }
        }
    }

    fn of(&self, key: &Key) -> Vec<(FoundIn, usize)> {
        let marks = self.marks();
        let batches = |found_in| Some((found_in, *marks.get(&(found_in, key.id.clone()))?));
        [FoundIn::Index, FoundIn::Graph].into_iter().filter_map(batches).collect()
    }

    fn forget(&self, found_in: FoundIn, id: &DocumentId) {
        self.marks().remove(&(found_in, id.clone()));
    }

    fn is_empty(&self) -> bool {
        self.marks().is_empty()
    }
}

impl Lookup {
    /// Those of these keys that are being fanned out already. Their events need the next run, and nothing else.
    pub(super) async fn being_fanned_out(
        &self,
        keys: &[Key],
        ledger: &dyn Ledger,
    ) -> Result<Wide, StateError> {
        let mut wide = Wide::default();
        // Nearly always nobody is wide.
        if self.marks.is_empty() || keys.iter().all(|key| self.marks.of(key).is_empty()) {
            return Ok(wide);
        }
        let mut open = ledger.fan_outs().await?;
        open.retain(|fan_outs| fan_outs.of.source == self.source.name);
        for key in keys {
            for (found_in, batches) in self.marks.of(key) {
                let is_of_it = |of: &Fanning| of.found_in == found_in;
                let goes_on = open.iter().any(|open| is_of_it(&open.of) && open.holds(&key.id));
                if batches == 0 && !goes_on {
                    self.marks.forget(found_in, &key.id);
                    continue;
                }
                if !wide.holds(found_in, &key.id) {
                    wide.alone.push((found_in, key.id.clone()));
                }
                let from_the_first = WideKey { from: None, revision: key.revision };
                wide.add(found_in, key.id.clone(), from_the_first, key.event_at);
            }
        }
        Ok(wide)
    }
}
