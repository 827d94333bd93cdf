//! The roots that one batch of events touches, queued as they are found.

use std::collections::{BTreeMap, HashSet};

use plan::DocumentId;

use super::{lookup::Lookup, wishes::Key};
use crate::{
    StateError,
    history::What,
    log::{Append, Cause, Entry, Lane, ReindexLog},
    revision::{Revision, Want, Wants},
};

/// Keys that are asked about together where their events tell versions: a root is told to show those of all of them, as nobody
/// knows which of them it holds. More would make its entries long, fewer more lookups.
const KEYS_AT_ONCE: usize = 16;

/// Roots that are queued, each by what it was found by.
pub type Queued = HashSet<(Finder, DocumentId)>;

/// What a root was found by. One that others find later must show their versions, too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Finder {
    /// Whatever it was: no versions are compared.
    #[default]
    Any,
    /// The index, by the keys with this number.
    Index(usize),
    /// The graph, by this key.
    Graph(DocumentId),
}

/// Queues roots that aren't queued yet.
pub struct FanOut<'a> {
    lookup: &'a Lookup,
    log: &'a dyn ReindexLog,
    lane: Lane,
    event_at: Option<i64>,
    /// The latest version of each key that an event tells.
    revisions: BTreeMap<DocumentId, Revision>,
    finder: Finder,
    /// What roots must show that are found now.
    wants: Wants,
    queued: &'a mut Queued,
}

impl<'a> FanOut<'a> {
    /// The fan-out of these keys: in the fastest of their lanes, with the newest of their times.
    pub(super) fn of(
        keys: &[Key],
        lookup: &'a Lookup,
        log: &'a dyn ReindexLog,
        queued: &'a mut Queued,
    ) -> Self {
        let lane = keys.iter().map(|key| key.lane).min().unwrap_or(Lane::Live);
        let event_at = keys.iter().filter_map(|key| key.event_at).max();
        let mut revisions: BTreeMap<DocumentId, Revision> = BTreeMap::new();
        for (id, revision) in keys.iter().filter_map(|key| Some((&key.id, key.revision?))) {
            let latest = revisions.get(id).map_or(revision, |known| known.later(revision));
            revisions.insert(id.clone(), latest);
        }
        let (finder, wants) = (Finder::Any, Wants::default());
        Self { lookup, log, lane, event_at, revisions, finder, wants, queued }
    }

    /// How many keys may be asked about together.
    pub(super) fn keys_at_once(&self) -> usize {
        if self.revisions.is_empty() { usize::MAX } else { KEYS_AT_ONCE }
    }

    /// Says by which keys the next roots are found.
    pub(super) fn found_by(&mut self, finder: Finder, keys: &[DocumentId]) {
        if self.revisions.is_empty() {
            return;
        }
        self.finder = finder;
        let want = |key: &DocumentId| {
            let revision = *self.revisions.get(key)?;
            Some(Want { source: self.lookup.source.name.clone(), key: Some(key.clone()), revision })
        };
        self.wants = keys.iter().filter_map(want).collect();
    }

    /// Queues what isn't queued yet. Past `max_fanout` roots go into the throttled lane and aren't remembered, so that memory
    /// stays flat; a root may be queued twice then.
    pub async fn queue(&mut self, roots: Vec<DocumentId>) -> Result<(), StateError> {
        let mut entries = Vec::new();
        for id in roots {
            let throttled = self.queued.len() as u64 >= self.lookup.source.max_fanout;
            let found = (self.finder.clone(), id);
            if self.queued.contains(&found) {
                continue;
            }
            let id = found.1.clone();
            if !throttled {
                self.queued.insert(found);
            }
            let lane = if throttled { Lane::Backfill } else { self.lane };
            let wants = self.wants.clone();
            entries.push(Entry { event_at: self.event_at, wants, ..Entry::new(id, lane, Cause::Lookup) });
        }
        if entries.is_empty() {
            return Ok(());
        }
        let found = |entry: &Entry| {
            let (source, lane) = (self.lookup.source.name.clone(), entry.lane);
            (entry.id.clone(), What::Lookup { source, lane, event_at: entry.event_at })
        };
        self.lookup.meter.history.note(self.lane, entries.iter().map(found));
        self.log.append(Append { entries, ..Append::default() }).await
    }
}
