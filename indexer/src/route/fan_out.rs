//! The roots that keys touch, queued as they are found: at once while there is room, or page by page for as many as there are.

use std::collections::{BTreeMap, HashSet};

use plan::DocumentId;

use super::{lookup::Lookup, wide::Wide, wishes::Key};
use crate::{
    StateError,
    history::What,
    ledger::{FanOutRun, FanOutStep, Fanning, FoundIn, Ledger, WideKey},
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
    /// The keys with this number.
    Group(usize),
    /// This key.
    Key(DocumentId),
}

/// Queues the roots of keys.
pub struct FanOut<'a> {
    lookup: &'a Lookup,
    log: &'a dyn ReindexLog,
    event_at: Option<i64>,
    /// The latest version of each key that an event tells.
    revisions: BTreeMap<DocumentId, Revision>,
    finder: Finder,
    /// What roots must show that are found now.
    wants: Wants,
    /// How many roots were found by the same keys.
    found: usize,
    way: Way<'a>,
}

/// How roots go into the log.
enum Way<'a> {
    /// Into this lane, each once, up to `max_fanout`; keys that have more are set aside.
    AtOnce { lane: Lane, queued: &'a mut Queued, wide: Wide },
    /// All of them into the throttled lane. How far that is, is saved after each page.
    PageByPage { ledger: &'a dyn Ledger, of: &'a Fanning, run: &'a mut FanOutRun },
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
        let way = Way::AtOnce { lane, queued, wide: Wide::default() };
        let (finder, wants) = (Finder::Any, Wants::default());
        Self { lookup, log, event_at, revisions, finder, wants, found: 0, way }
    }

    /// The fan-out of keys that have too many roots, which goes on where the run was saved last.
    pub(super) fn of_run(
        of: &'a Fanning,
        run: &'a mut FanOutRun,
        lookup: &'a Lookup,
        log: &'a dyn ReindexLog,
        ledger: &'a dyn Ledger,
    ) -> Self {
        let keys = run.wanted.keys.iter();
        let revisions = keys.filter_map(|(id, wide)| Some((id.clone(), wide.revision?))).collect();
        let (finder, wants, event_at) = (Finder::Any, Wants::default(), run.wanted.event_at);
        let way = Way::PageByPage { ledger, of, run };
        Self { lookup, log, event_at, revisions, finder, wants, found: 0, way }
    }

    /// How many keys may be asked about together.
    pub(super) fn keys_at_once(&self) -> usize {
        if self.revisions.is_empty() { usize::MAX } else { KEYS_AT_ONCE }
    }

    /// Says by which keys the next roots are found.
    pub(super) fn found_by(&mut self, finder: Finder, keys: &[DocumentId]) {
        self.found = 0;
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

    /// Queues a page of roots that aren't queued yet; `next` is where the page after it begins. Says whether the next page is
    /// wanted: there was room for all of these.
    pub async fn queue(
        &mut self,
        mut roots: Vec<DocumentId>,
        next: Option<String>,
    ) -> Result<bool, StateError> {
        let found = roots.len();
        self.found += found;
        let (lane, has_room) = match &mut self.way {
            Way::PageByPage { .. } => (Lane::Backfill, true),
            Way::AtOnce { lane, queued, .. } => {
                let mut has_room = true;
                let finder = &self.finder;
                roots.retain(|id| {
                    let found = (finder.clone(), id.clone());
                    if queued.contains(&found) {
                        return false;
                    }
                    let fits = (queued.len() as u64) < self.lookup.source.max_fanout;
                    has_room &= fits;
                    fits && queued.insert(found)
                });
                (*lane, has_room)
            }
        };
        self.append(roots, lane).await?;
        let Way::PageByPage { ledger, of, run } = &mut self.way else { return Ok(has_room) };
        let mut further = run.clone();
        further.groups += usize::from(next.is_none());
        further.after = next;
        further.roots += found as u64;
        // Saved after the append: a crash in between appends the page again, and never not at all.
        let is_saved = ledger.step_fan_outs(of, FanOutStep::Save(further.clone())).await?.is_some();
        if is_saved {
            **run = further;
        }
        Ok(is_saved)
    }

    async fn append(&self, roots: Vec<DocumentId>, lane: Lane) -> Result<(), StateError> {
        if roots.is_empty() {
            return Ok(());
        }
        let entry = |id| {
            let wants = self.wants.clone();
            Entry { event_at: self.event_at, wants, ..Entry::new(id, lane, Cause::Lookup) }
        };
        let entries: Vec<Entry> = roots.into_iter().map(entry).collect();
        let found = |entry: &Entry| {
            let source = self.lookup.source.name.clone();
            (entry.id.clone(), What::Lookup { source, lane, event_at: entry.event_at })
        };
        self.lookup.meter.history.note(lane, entries.iter().map(found));
        self.log.append(Append { entries, ..Append::default() }).await
    }

    /// Sets keys aside whose roots have no room, from this page on.
    pub(super) fn set_aside(&mut self, found_in: FoundIn, keys: &[DocumentId], from: Option<&str>) {
        let Way::AtOnce { wide, .. } = &mut self.way else { return };
        for key in keys {
            let (from, revision) = (from.map(str::to_owned), self.revisions.get(key).copied());
            wide.add(found_in, key.clone(), WideKey { from, revision }, self.event_at);
        }
        // Others may have taken the room; whoever fills half of it needs much by itself.
        let is_wide = self.found as u64 * 2 >= self.lookup.source.max_fanout;
        if let ([key], true) = (keys, is_wide) {
            wide.note_alone(found_in, key.clone());
        }
    }

    /// What was set aside.
    pub(super) fn into_wide(self) -> Wide {
        match self.way {
            Way::AtOnce { wide, .. } => wide,
            Way::PageByPage { .. } => Wide::default(),
        }
    }
}
