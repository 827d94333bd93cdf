//! Route: source events in, root ids into the reindex log.
//!
//! A root's own event names its id. A related entity's event is looked up twice: at once, which is freshness, and again after
//! the barrier, when every fetch that began before the event has ended, which is correctness: a document that was fetched
//! before the change and written after the first lookup would stay stale for ever. Only then the source's progress is
//! committed; after a crash the event comes again and so does its barrier.

pub mod event;
pub mod lookup;

use std::{collections::HashSet, sync::Arc, time::Duration};

use plan::{DocumentId, Record, code::kafka as codes, filter::Filter, index_plan::SnapshotReads};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    event::{Change, Event, EventError},
    lookup::Lookup,
};
use crate::{
    StateError,
    ledger::figures::Meter,
    log::{Append, Cause, DeadLetter, Entry, Lane, Progress, ReindexLog},
    rebuild::fetches::Fetches,
    source::{Source, SourceError, SourceRecord},
};

/// Records read at once. They share their lookups and their transactions.
const BATCH: usize = 500;

/// Batches that wait for their barrier, at most; then the source pauses. Each holds the keys of at most [`BATCH`] records.
const BARRIERS: usize = 64;

/// How long an exhausted source is left alone.
const IDLE: Duration = Duration::from_millis(100);

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
    /// The keys of related entities with the newest time of their events, by lane.
    keys: Vec<(DocumentId, Lane, Option<i64>)>,
    dead_letters: Vec<DeadLetter>,
}

/// A batch whose second lookup is due when every fetch up to `through` has ended.
struct Pending {
    through: u64,
    routed: Routed,
    /// What the first lookup found and queued. It is fetched after the event, so the second need not queue it again.
    queued: HashSet<DocumentId>,
    progress: Progress,
}

impl Route {
    /// Routes until it is stopped, or with `once` until the source's end.
    pub async fn run(mut self) -> Result<(), SourceError> {
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
            Ok(result) => first.and(result.map_err(SourceError::from)),
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    async fn read_on(&mut self, pending: mpsc::Sender<Pending>) -> Result<(), SourceError> {
        let name = self.lookup.source.name.clone();
        let mut position = self.log.source_position(&name).await?.unwrap_or(0);
        let end = self.source.end().await?;
        while !self.stop.is_cancelled() {
            let records = self.source.read(position, BATCH).await?;
            // Taken when the events have arrived: whatever starts later reads the graph after them.
            let through = self.fetches.newest();
            let Some(last) = records.last() else {
                if self.once {
                    if position < end {
                        tracing::warn!(source = %name, "the last line is only half written and was left, from byte {position} on");
                    }
                    return Ok(());
                }
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => continue,
                    () = self.stop.cancelled() => return Ok(()),
                }
            };
            let next = last.next;
            Meter::add(&self.meter.events, records.len());
            let routed = self.understand(&records);
            let progress = Progress { source: name.clone(), position: next };
            if self.lookup.is_needed() {
                let queued = self.look_up_at_once(&routed).await?;
                let batch = Pending { through, routed, queued, progress };
                if pending.send(batch).await.is_err() {
                    return Ok(()); // the second lookup failed, and says why
                }
            } else {
                let Routed { entries, dead_letters, .. } = routed;
                self.log.append(Append { entries, dead_letters, progress: Some(progress) }).await?;
            }
            position = next;
            if self.once && position >= end {
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
    async fn look_up_at_once(&self, routed: &Routed) -> Result<HashSet<DocumentId>, StateError> {
        if !routed.entries.is_empty() {
            self.log.append(Append { entries: routed.entries.clone(), ..Append::default() }).await?;
        }
        let mut queued: HashSet<DocumentId> = routed.entries.iter().map(|entry| entry.id.clone()).collect();
        look_up(&self.lookup, &*self.log, &routed.keys, &mut queued, &self.stop).await?;
        Ok(queued)
    }
}

/// Looks keys up and queues every root that isn't queued yet.
async fn look_up(
    lookup: &Lookup,
    log: &dyn ReindexLog,
    keys: &[(DocumentId, Lane, Option<i64>)],
    queued: &mut HashSet<DocumentId>,
    stop: &CancellationToken,
) -> Result<(), StateError> {
    let Some(event_at) = keys.iter().map(|(.., at)| *at).max() else { return Ok(()) };
    let lane = keys.iter().map(|(_, lane, _)| *lane).min().unwrap_or(Lane::Live);
    let mut distinct: Vec<DocumentId> = keys.iter().map(|(key, ..)| key.clone()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut found: Vec<DocumentId> =
        lookup.in_graph(&distinct, || stop.is_cancelled()).await.into_iter().collect();
    let mut after = None;
    loop {
        let (page, next) = lookup.in_index(&distinct, after.as_ref()).await?;
        found.extend(page);
        let entries = fan_out(std::mem::take(&mut found), lookup.source.max_fanout, lane, event_at, queued);
        if !entries.is_empty() {
            log.append(Append { entries, ..Append::default() }).await?;
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Entries for the roots that aren't queued yet. Past `max_fanout` they go into the throttled lane and aren't remembered, so
/// that memory stays flat; a root may be queued twice then.
fn fan_out(
    roots: Vec<DocumentId>,
    max_fanout: u64,
    lane: Lane,
    event_at: Option<i64>,
    queued: &mut HashSet<DocumentId>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for id in roots {
        let throttled = queued.len() as u64 >= max_fanout;
        if queued.contains(&id) {
            continue;
        }
        if !throttled {
            queued.insert(id.clone());
        }
        let lane = if throttled { Lane::Backfill } else { lane };
        entries.push(Entry { id, lane, cause: Cause::Lookup, event_at, deleted: false });
    }
    entries
}

/// The second lookup, in the order of the source.
struct SecondLookup {
    lookup: Arc<Lookup>,
    log: Arc<dyn ReindexLog>,
    fetches: Arc<Fetches>,
    stop: CancellationToken,
}

impl SecondLookup {
    async fn run(self, mut barriers: mpsc::Receiver<Pending>) -> Result<(), StateError> {
        while let Some(mut pending) = barriers.recv().await {
            tokio::select! {
                () = self.fetches.all_ended(pending.through) => {}
                // Uncommitted, the events come again and so does their barrier.
                () = self.stop.cancelled() => return Ok(()),
            }
            look_up(&self.lookup, &*self.log, &pending.routed.keys, &mut pending.queued, &self.stop).await?;
            if self.stop.is_cancelled() {
                return Ok(()); // a back-reference may have been left unasked
            }
            let dead_letters = pending.routed.dead_letters;
            let append = Append { entries: Vec::new(), dead_letters, progress: Some(pending.progress) };
            self.log.append(append).await?;
        }
        Ok(())
    }
}
