//! Route: source events in, root ids into the reindex log.
//!
//! A root's own event names its id. A related entity's event is looked up twice: at once, which is freshness, and again after
//! the barrier, when every fetch that began before the event has ended, which is correctness: a document that was fetched
//! before the change and written after the first lookup would stay stale for ever. Only then the source's progress is
//! committed; after a crash the event comes again and so does its barrier.
//!
//! Roots beyond `max_fanout` hold nobody up: [`wide`] says how they are asked for, and [`run`] goes through them.

pub mod barrier;
pub mod event;
pub mod fan_out;
mod format;
pub mod lookup;
pub mod run;
mod second_lookup;
pub(crate) mod truncate;
pub mod wide;
pub mod wishes;

use std::{collections::HashSet, sync::Arc};

use plan::filter::Filter;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

pub(crate) use self::second_lookup::{LookedUp, look_up};
use self::{
    barrier::{Barrier, Mark},
    fan_out::{Finder, Queued},
    lookup::Lookup,
    second_lookup::{Pending, SecondLookup, Waiting},
    wishes::Wishes,
};
use crate::{
    StateError,
    graph::GraphError,
    heartbeat::{self, waiting},
    history::What,
    ledger::{Ledger, figures::Meter},
    log::{Append, DeadLetter, Entry, Progress, ReindexLog},
    metrics::Skip,
    now_ms,
    source::{
        Records, Source, SourceError, SourceRecord,
        pulse::{self, Heartbeat, Pulse},
    },
    tasks::joined,
};

/// Records read at once, or fewer where they are large ([`MAX_READ_BYTES`](crate::source::MAX_READ_BYTES)). They share their
/// lookups and their transactions.
const BATCH: usize = 4_000;

/// What may wait for its barrier, in bytes; then the source pauses. Some 900,000 ids of ten letters: at 20,000 events a second
/// they are more than thirty seconds of `graph.deadline` bring.
const WAITING: u32 = 64 << 20;

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
    /// Where a truncated table is told.
    pub ledger: Arc<dyn Ledger>,
    /// What the second lookup waits for.
    pub barrier: Barrier,
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
    wishes: Wishes,
    dead_letters: Vec<DeadLetter>,
    /// Where the first record stands that tells of a truncated table.
    truncated: Option<String>,
}

impl Route {
    /// Routes until it is stopped, or with `once` until the source's end.
    pub async fn run(mut self) -> Result<(), RouteError> {
        // Bounded by the room that each batch takes before it is sent.
        let (pending, barriers) = mpsc::unbounded_channel();
        let second = SecondLookup {
            lookup: Arc::clone(&self.lookup),
            log: Arc::clone(&self.log),
            ledger: Arc::clone(&self.ledger),
            barrier: self.barrier.clone(),
            stop: self.stop.clone(),
        };
        let heartbeat = heartbeat::beside(format!("the second lookups of {}", self.lookup.source.name));
        let second = tokio::spawn(heartbeat.drive(second.run(barriers)));
        let first = self.read_on(pending).await;
        first.and(joined(second.await))
    }

    async fn read_on(&mut self, pending: mpsc::UnboundedSender<Waiting>) -> Result<(), RouteError> {
        let name = self.lookup.source.name.clone();
        let room = Arc::new(Semaphore::new(WAITING as usize));
        let mut position = self.log.source_progress(&name).await?.unwrap_or_default();
        let end = if self.once { self.source.end().await? } else { i64::MAX };
        // A truncate may have paused the process before this one.
        let mut may_be_paused = true;
        while !self.stop.is_cancelled() {
            heartbeat::beat();
            if may_be_paused && truncate::is_unanswered(&*self.ledger).await? {
                if self.once {
                    return Ok(());
                }
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return Ok(()),
                    () = pending.closed() => return Ok(()), // the second lookup failed, and says why
                    () = tokio::time::sleep(truncate::POLL) => continue,
                }
            }
            may_be_paused = false;
            let Records { records, next } = self.source.read(&position, BATCH).await?;
            // Taken when the events have arrived: whatever starts later reads the graph after them.
            let arrived = self.barrier.now();
            if next == position {
                if self.once {
                    if position.at < end {
                        tracing::warn!(source = %name, "what is left after {} is only half written", position.at);
                    }
                    return Ok(());
                }
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return Ok(()),
                    () = pending.closed() => return Ok(()), // the second lookup failed, and says why
                    () = waiting(self.source.arrived()) => continue,
                }
            }
            let records = self.without_heartbeats(records);
            Meter::add(&self.meter.events, records.len());
            self.meter.metrics.events(&name, records.len());
            let routed = self.understand(records);
            if let Some(place) = &routed.truncated {
                // Told before the position moves past it, so that a crash in between tells it again.
                truncate::pause(&*self.ledger, &name, place).await?;
                may_be_paused = true;
            }
            let progress = Progress { source: name.clone(), position: next.clone() };
            if self.lookup.is_needed() {
                // A position that moved without records goes this way, too: it must not overtake those before it.
                let batch = self.look_up_at_once(routed, arrived, progress).await?;
                let weight = u32::try_from(batch.weight()).map_or(WAITING, |weight| weight.min(WAITING));
                let taken = waiting(Arc::clone(&room).acquire_many_owned(weight)).await;
                let room = taken.expect("it is never closed");
                if pending.send(Waiting { batch, room }).is_err() {
                    return Ok(()); // the second lookup failed, and says why
                }
            } else {
                let Routed { wishes: Wishes { entries, .. }, dead_letters, .. } = routed;
                let append = Append { entries, dead_letters, progress: Some(progress), ..Append::default() };
                self.log.append(append).await?;
            }
            position = next;
            if self.once && position.at >= end {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes heartbeats out, and notes when the source was heard.
    fn without_heartbeats(&self, mut records: Vec<SourceRecord>) -> Vec<SourceRecord> {
        let (source, arrived_at) = (&self.lookup.source.name, now_ms());
        let read = records.len();
        records.retain(|record| {
            let sent_at = record.content.as_ref().ok().and_then(pulse::sent_at);
            let heartbeat = sent_at.map(|sent_at| Heartbeat { sent_at, arrived_at });
            if heartbeat.is_some() {
                self.meter.pulse(source, Pulse { heartbeat, newest_at: None });
            }
            heartbeat.is_none()
        });
        self.meter.metrics.skipped(source, Skip::Heartbeat, (read - records.len()) as u64);
        if !records.is_empty() {
            self.meter.pulse(source, Pulse { newest_at: Some(arrived_at), heartbeat: None });
        }
        records
    }

    fn understand(&self, records: Vec<SourceRecord>) -> Routed {
        let mut routed = Routed::default();
        let plan = &self.lookup.source;
        let source = &plan.name;
        for SourceRecord { place, content, original } in records {
            match content {
                Ok(record) => {
                    let filter = self.filter.as_ref();
                    let before = routed.wishes.is_truncated;
                    let named_before = routed.wishes.entries.len();
                    let added = routed.wishes.add(plan, self.lookup.root_kind, filter, &record);
                    if let Ok(Some(skip)) = added {
                        self.meter.metrics.skipped(source, skip, 1);
                    }
                    if let Err(error) = added {
                        let code = error.code();
                        tracing::error!(%source, code = code.id, "{place}: {error}; kept as a dead letter");
                        let letter =
                            DeadLetter::of_record(source, place.clone(), code, error.to_string(), &record);
                        routed.dead_letters.push(DeadLetter { original, ..letter });
                    }
                    self.note(&place, &routed.wishes.entries[named_before..]);
                    if routed.wishes.is_truncated && !before {
                        routed.truncated = Some(place.clone());
                    }
                }
                Err(bad) => {
                    tracing::error!(%source, code = bad.code.id, "{place}: {}; kept as a dead letter", bad.reason);
                    routed.dead_letters.push(DeadLetter {
                        source: source.clone(),
                        position: place,
                        code: bad.code,
                        reason: bad.reason,
                        record: bad.raw,
                        original,
                    });
                }
            }
        }
        self.meter.metrics.skipped(source, Skip::DeadLetter, routed.dead_letters.len() as u64);
        routed
    }

    /// Notes which documents the record at this place named, for `trace`.
    fn note(&self, place: &str, named: &[Entry]) {
        let Some(Entry { lane, .. }) = named.first() else { return };
        let step = |entry: &Entry| {
            let what = What::Event {
                source: self.lookup.source.name.clone(),
                place: place.to_owned(),
                lane: entry.lane,
                event_at: entry.event_at,
                deleted: entry.deleted,
            };
            (entry.id.clone(), what)
        };
        self.meter.history.note(*lane, named.iter().map(step));
    }

    /// Queues at once what the events name and what the index and the graph know of their keys.
    async fn look_up_at_once(
        &self,
        routed: Routed,
        arrived: Mark,
        progress: Progress,
    ) -> Result<Pending, RouteError> {
        let Routed { wishes: Wishes { entries, keys, .. }, mut dead_letters, .. } = routed;
        let mut queued: Queued = entries.iter().map(|entry| (Finder::Any, entry.id.clone())).collect();
        if !entries.is_empty() {
            self.log.append(Append { entries, ..Append::default() }).await?;
        }
        let named = queued.len();
        let mut given_up = HashSet::new();
        let fanning = self.lookup.being_fanned_out(&keys, &*self.ledger).await?;
        let looked_up =
            look_up(&self.lookup, &*self.log, &keys, (&given_up, &fanning), &mut queued, &self.stop).await?;
        let LookedUp { unanswered, mut wide } = looked_up;
        for unanswered in unanswered {
            dead_letters.push(self.lookup.dead_letter(&unanswered));
            given_up.insert(unanswered.key);
        }
        if !keys.is_empty() {
            self.meter.metrics.looked_up(queued.len() - named);
        }
        wide.merge_alone(&fanning);
        let marked = self.lookup.marks.enter(wide);
        Ok(Pending { arrived, keys, dead_letters, given_up, queued, fanning, marked, progress })
    }
}

#[cfg(test)]
mod tests;
