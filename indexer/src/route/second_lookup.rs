//! The second lookup: batches of events after their barrier, in the order of their source.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use plan::DocumentId;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    RouteError,
    barrier::{Barrier, Mark},
    fan_out::{FanOut, Queued},
    lookup::{Lookup, Unanswered},
    wide::Wide,
    wishes::Key,
};
use crate::{
    heartbeat::waiting,
    ledger::{FoundIn, Ledger},
    log::{Append, DeadLetter, Progress, ReindexLog},
};

/// A batch whose second lookup is due when every fetch up to `arrived` has ended.
pub(super) struct Pending {
    pub arrived: Mark,
    pub keys: Vec<Key>,
    pub dead_letters: Vec<DeadLetter>,
    /// Keys that the graph doesn't answer. They are dead letters by now, and not asked about again.
    pub given_up: HashSet<DocumentId>,
    /// What the first lookup found and queued. It is fetched after the event, so the second need not queue it again.
    pub queued: Queued,
    /// Keys that were being fanned out. The next run is their second lookup.
    pub fanning: Wide,
    /// Keys that are marked as wide for as long as this waits.
    pub marked: Vec<(FoundIn, DocumentId)>,
    pub progress: Progress,
}

impl Pending {
    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let queued = self.queued.iter().map(|(_, id)| id);
        let marked = self.marked.iter().map(|(_, id)| id);
        let keys = self.keys.iter().map(|key| &key.id).chain(&self.given_up);
        let ids = keys.chain(queued).chain(marked).chain(self.fanning.ids());
        let letters = self.dead_letters.iter().map(DeadLetter::weight);
        size_of::<Self>() + ids.map(|id| ID + id.as_str().len()).chain(letters).sum::<usize>()
    }

    /// Leaves keys to a later batch that is due, too: looked up after that one's barrier, they are looked up after this one's.
    /// Versions are compared by what keys were looked up together, so that such a batch leaves all of them or none.
    fn leave_to(&mut self, later: &BTreeSet<DocumentId>) {
        let has_versions = self.keys.iter().any(|key| key.revision.is_some());
        if !has_versions || self.keys.iter().all(|key| later.contains(&key.id)) {
            self.keys.retain(|key| !later.contains(&key.id));
        }
    }
}

/// What an id takes beside its letters, in bytes: its place among the keys or in a set, and what the allocator adds.
const ID: usize = 64;

/// A batch in the queue, with the room that it takes there.
pub(super) struct Waiting {
    pub batch: Pending,
    pub room: OwnedSemaphorePermit,
}

/// What a lookup did not queue.
pub(crate) struct LookedUp {
    /// Keys that the graph doesn't answer.
    pub unanswered: Vec<Unanswered>,
    /// Keys with more roots than there is room for, and those that weren't asked about because they are being fanned out.
    pub wide: Wide,
}

/// Looks keys up and queues every root that isn't queued yet, while there is room. Keys that were given up are not asked about in
/// the graph, and those that are being fanned out not where they are.
#[tracing::instrument(name = "lookup", skip_all, fields(source = &*lookup.source.name, keys = keys.len()))]
pub(crate) async fn look_up(
    lookup: &Lookup,
    log: &dyn ReindexLog,
    keys: &[Key],
    (given_up, fanning): (&HashSet<DocumentId>, &Wide),
    queued: &mut Queued,
    stop: &CancellationToken,
) -> Result<LookedUp, RouteError> {
    let distinct: BTreeSet<&DocumentId> = keys.iter().map(|key| &key.id).collect();
    let asked_in = |found_in| distinct.iter().copied().filter(move |key| !fanning.holds(found_in, key));
    let in_index: Vec<DocumentId> = asked_in(FoundIn::Index).cloned().collect();
    let in_graph = asked_in(FoundIn::Graph).filter(|key| !given_up.contains(*key));
    let in_graph = in_graph.map(|key| (key.clone(), None)).collect();
    let mut found = FanOut::of(keys, lookup, log, queued);
    // The index first: it answers at once, and the graph may have to be waited for.
    lookup.in_index(&in_index, &mut found, stop).await?;
    let unanswered = lookup.in_graph(in_graph, &mut found, stop).await?;
    Ok(LookedUp { unanswered, wide: found.into_wide() })
}

/// Looks batches up again once their barrier has passed, and commits them.
pub(super) struct SecondLookup {
    pub lookup: Arc<Lookup>,
    pub log: Arc<dyn ReindexLog>,
    pub ledger: Arc<dyn Ledger>,
    pub barrier: Barrier,
    pub stop: CancellationToken,
}

impl SecondLookup {
    pub(super) async fn run(self, mut barriers: mpsc::UnboundedReceiver<Waiting>) -> Result<(), RouteError> {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(first) => Some(first),
                None => waiting(barriers.recv()).await,
            };
            let Some(Waiting { batch, mut room }) = first else { return Ok(()) };
            tokio::select! {
                biased;
                // Uncommitted, the events come again and so does their barrier.
                () = self.stop.cancelled() => return Ok(()),
                () = waiting(self.barrier.passed(batch.arrived)) => {}
            }
            let mut due = vec![batch];
            while let Ok(later) = barriers.try_recv() {
                if !self.barrier.has_passed(later.batch.arrived) {
                    next = Some(later);
                    break;
                }
                room.merge(later.room);
                due.push(later.batch);
            }
            if !self.commit(due).await? {
                return Ok(()); // stopped: the index or the graph may have been left unasked
            }
        }
    }

    /// Looks up what batches whose barrier has passed ask for, a key once, and commits all of them; false after `stop`.
    async fn commit(&self, mut due: Vec<Pending>) -> Result<bool, RouteError> {
        let mut later = BTreeSet::new();
        for batch in due.iter_mut().rev() {
            batch.leave_to(&later);
            later.extend(batch.keys.iter().map(|key| key.id.clone()));
        }
        let (mut wide, mut dead_letters, mut marked) = (Wide::default(), Vec::new(), Vec::new());
        let mut progress = None;
        for batch in due {
            let Pending { keys, given_up, mut queued, fanning, .. } = batch;
            let skipped = (&given_up, &fanning);
            let looked_up =
                look_up(&self.lookup, &*self.log, &keys, skipped, &mut queued, &self.stop).await?;
            if self.stop.is_cancelled() {
                return Ok(false);
            }
            let unanswered = looked_up.unanswered.iter();
            dead_letters.extend(batch.dead_letters);
            dead_letters.extend(unanswered.map(|unanswered| self.lookup.dead_letter(unanswered)));
            wide.merge(fanning);
            wide.merge(looked_up.wide);
            marked.extend(batch.marked);
            progress = Some(batch.progress);
        }
        wide.ask(&self.lookup.source.name, &*self.ledger, &self.stop).await?;
        if self.stop.is_cancelled() {
            return Ok(false);
        }
        self.log.append(Append { dead_letters, progress, ..Append::default() }).await?;
        self.lookup.marks.leave(&marked);
        Ok(true)
    }
}
