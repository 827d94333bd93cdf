//! Route: source events in, root ids into the reindex log.
//!
//! A root's own event names its id. A related entity's event is looked up twice: at once, which is freshness, and again after
//! the barrier, when every fetch that began before the event has ended, which is correctness: a document that was fetched
//! before the change and written after the first lookup would stay stale for ever. Only then the source's progress is
//! committed; after a crash the event comes again and so does its barrier.

pub mod event;
pub mod fan_out;
pub mod lookup;

use std::{collections::HashSet, sync::Arc, time::Duration};

use plan::{DocumentId, Record, code::kafka as codes, filter::Filter, index_plan::SnapshotReads};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    event::{Change, Event, EventError},
    fan_out::{FanOut, Keys},
    lookup::{Lookup, Unanswered},
};
use crate::{
    StateError,
    graph::GraphError,
    ledger::figures::Meter,
    log::{Append, Cause, DeadLetter, Entry, Lane, Progress, ReindexLog},
    rebuild::fetches::Fetches,
    source::{Records, Source, SourceError, SourceRecord},
};

/// Records read at once, or fewer where they are large ([`MAX_READ_BYTES`](crate::source::MAX_READ_BYTES)). They share their
/// lookups and their transactions.
const BATCH: usize = 500;

/// Batches that wait for their barrier, at most; then the source pauses. Each holds the keys of at most [`BATCH`] records, their
/// dead letters, and `max_fanout` roots.
const BARRIERS: usize = 64;

/// How long an exhausted source is left alone.
const IDLE: Duration = Duration::from_millis(100);

/// Why a source is routed no further.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The source can't be read, or the state failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// With `--once`: the gateway didn't answer for long.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl From<StateError> for RouteError {
    fn from(error: StateError) -> Self {
        Self::Source(error.into())
    }
}

/// Routes one source.
pub struct Route {
    /// Finds the roots of related entities.
    pub lookup: Arc<Lookup>,
    /// Only records that satisfy it count.
    pub filter: Option<Filter>,
    /// Where the records come from.
    pub source: Box<dyn Source>,
    /// Where the ids go.
    pub log: Arc<dyn ReindexLog>,
    /// What the barrier waits for.
    pub fetches: Arc<Fetches>,
    /// Counters.
    pub meter: Arc<Meter>,
    /// Stop.
    pub stop: CancellationToken,
    /// Stop at the end that the source had at start (`--once`).
    pub once: bool,
}

/// What a batch of records asks for.
#[derive(Default)]
struct Routed {
    entries: Vec<Entry>,
    keys: Keys,
    dead_letters: Vec<DeadLetter>,
}

/// A batch whose second lookup is due when every fetch up to `through` has ended.
struct Pending {
    through: u64,
    keys: Keys,
    dead_letters: Vec<DeadLetter>,
    /// Keys that the graph doesn't answer. They are dead letters by now, and not asked about again.
    given_up: HashSet<DocumentId>,
    /// What the first lookup found and queued. It is fetched after the event, so the second need not queue it again.
    queued: HashSet<DocumentId>,
    progress: Progress,
}

impl Route {
    /// Routes until it is stopped, or with `once` until the source's end.
    pub async fn run(mut self) -> Result<(), RouteError> {
        let (pending, barriers) = mpsc::channel(BARRIERS);
        let second = SecondLookup {
            lookup: Arc::clone(&self.lookup),
            log: Arc::clone(&self.log),
            fetches: Arc::clone(&self.fetches),
            stop: self.stop.clone(),
        };
        let second = tokio::spawn(second.run(barriers));
        let first = self.read_on(pending).await;
        match second.await {
            Ok(result) => first.and(result),
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    async fn read_on(&mut self, pending: mpsc::Sender<Pending>) -> Result<(), RouteError> {
        let name = self.lookup.source.name.clone();
        let mut position = self.log.source_progress(&name).await?.unwrap_or_default();
        let end = self.source.end().await?;
        while !self.stop.is_cancelled() {
            let Records { records, next } = self.source.read(&position, BATCH).await?;
            // Taken when the events have arrived: whatever starts later reads the graph after them.
            let through = self.fetches.newest();
            if next == position {
                if self.once {
                    if position.at < end {
                        tracing::warn!(source = %name, "the last line is only half written and was left, from byte {} on", position.at);
                    }
                    return Ok(());
                }
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => continue,
                    () = self.stop.cancelled() => return Ok(()),
                    () = pending.closed() => return Ok(()), // the second lookup failed, and says why
                }
            }
            Meter::add(&self.meter.events, records.len());
            let routed = self.understand(&records);
            let progress = Progress { source: name.clone(), position: next.clone() };
            if self.lookup.is_needed() {
                // A position that moved without records goes this way, too: it must not overtake those before it.
                let batch = self.look_up_at_once(routed, through, progress).await?;
                if pending.send(batch).await.is_err() {
                    return Ok(()); // the second lookup failed, and says why
                }
            } else {
                let Routed { entries, dead_letters, .. } = routed;
                self.log.append(Append { entries, dead_letters, progress: Some(progress) }).await?;
            }
            position = next;
            if self.once && position.at >= end {
                return Ok(());
            }
        }
        Ok(())
    }

    fn understand(&self, records: &[SourceRecord]) -> Routed {
        let mut routed = Routed::default();
        let source = &self.lookup.source.name;
        for SourceRecord { place, content, .. } in records {
            match content {
                Ok(record) => {
                    if let Err(error) = self.route_record(record, &mut routed) {
                        let code =
                            if matches!(error, EventError::Id { .. }) { codes::SS302 } else { codes::SS301 };
                        tracing::error!(%source, code = code.id, "{place}: {error}; kept as a dead letter");
                        let letter =
                            DeadLetter::of_record(source, place.clone(), code, error.to_string(), record);
                        routed.dead_letters.push(letter);
                    }
                }
                Err(bad) => {
                    tracing::error!(%source, code = bad.code.id, "{place}: {}; kept as a dead letter", bad.reason);
                    routed.dead_letters.push(DeadLetter {
                        source: source.clone(),
                        position: place.clone(),
                        code: bad.code,
                        reason: bad.reason.clone(),
                        record: bad.raw.clone(),
                    });
                }
            }
        }
        routed
    }

    /// Adds what one record asks for, all or nothing.
    fn route_record(&self, record: &Record, routed: &mut Routed) -> Result<(), EventError> {
        let plan = &self.lookup.source;
        let event = Event::read(plan.format, record)?;
        if self.filter.as_ref().is_some_and(|filter| !event.passes(filter)) {
            return Ok(());
        }
        let lane = match (event.change, plan.snapshot_reads) {
            (Change::SnapshotRead, SnapshotReads::Ignore) => return Ok(()),
            (Change::SnapshotRead, SnapshotReads::Backfill) => Lane::Backfill,
            _ => Lane::Live,
        };
        let ids = plan.id.as_ref().map_or(Ok(Vec::new()), |path| event.ids(path, plan.id_kind))?;
        let named =
            plan.root_id.as_ref().map_or(Ok(Vec::new()), |path| event.ids(path, self.lookup.root_kind))?;
        let deleted = plan.is_root && event.change == Change::Delete;
        let roots = if plan.is_root { &ids[..] } else { &[] };
        routed.entries.extend(roots.iter().chain(&named).map(|id| Entry {
            id: id.clone(),
            lane,
            cause: Cause::Event,
            event_at: event.at,
            deleted,
        }));
        if self.lookup.is_needed() {
            routed.keys.extend(ids.into_iter().map(|id| (id, lane, event.at)));
        }
        Ok(())
    }

    /// Queues at once what the events name and what the index and the graph know of their keys.
    async fn look_up_at_once(
        &self,
        routed: Routed,
        through: u64,
        progress: Progress,
    ) -> Result<Pending, RouteError> {
        let Routed { entries, keys, mut dead_letters } = routed;
        let mut queued: HashSet<DocumentId> = entries.iter().map(|entry| entry.id.clone()).collect();
        if !entries.is_empty() {
            self.log.append(Append { entries, ..Append::default() }).await?;
        }
        let mut given_up = HashSet::new();
        let unanswered = look_up(&self.lookup, &*self.log, &keys, &given_up, &mut queued, &self.stop).await?;
        for unanswered in unanswered {
            dead_letters.push(self.lookup.dead_letter(&unanswered));
            given_up.insert(unanswered.key);
        }
        Ok(Pending { through, keys, dead_letters, given_up, queued, progress })
    }
}

/// Looks keys up and queues every root that isn't queued yet. Gives the keys that the graph doesn't answer.
async fn look_up(
    lookup: &Lookup,
    log: &dyn ReindexLog,
    keys: &Keys,
    given_up: &HashSet<DocumentId>,
    queued: &mut HashSet<DocumentId>,
    stop: &CancellationToken,
) -> Result<Vec<Unanswered>, RouteError> {
    let mut distinct: Vec<DocumentId> = keys.iter().map(|(key, ..)| key.clone()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut found = FanOut::of(keys, lookup.source.max_fanout, log, queued);
    // The index first: it answers at once, and the graph may have to be waited for.
    lookup.in_index(&distinct, &mut found).await?;
    distinct.retain(|key| !given_up.contains(key));
    lookup.in_graph(distinct, &mut found, stop).await
}

/// The second lookup, in the order of the source.
struct SecondLookup {
    lookup: Arc<Lookup>,
    log: Arc<dyn ReindexLog>,
    fetches: Arc<Fetches>,
    stop: CancellationToken,
}

impl SecondLookup {
    async fn run(self, mut barriers: mpsc::Receiver<Pending>) -> Result<(), RouteError> {
        while let Some(pending) = barriers.recv().await {
            let Pending { through, keys, mut dead_letters, given_up, mut queued, progress } = pending;
            tokio::select! {
                () = self.fetches.all_ended(through) => {}
                // Uncommitted, the events come again and so does their barrier.
                () = self.stop.cancelled() => return Ok(()),
            }
            let unanswered =
                look_up(&self.lookup, &*self.log, &keys, &given_up, &mut queued, &self.stop).await?;
            if self.stop.is_cancelled() {
                return Ok(()); // a back-reference may have been left unasked
            }
            dead_letters.extend(unanswered.iter().map(|unanswered| self.lookup.dead_letter(unanswered)));
            let append = Append { entries: Vec::new(), dead_letters, progress: Some(progress) };
            self.log.append(append).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
