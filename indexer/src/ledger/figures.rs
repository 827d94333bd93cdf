//! The figures of one process, which `status` merges: counters since it started, lags and freshness now.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::FoundIn;
use crate::{history::History, metrics::Metrics, saved::SavedFigures, source::pulse::Pulse};

/// How many of the newest freshness samples are kept. Enough for a p99; 32 KB.
const SAMPLES: usize = 4_096;

/// Figures older than this belong to a process that is gone.
pub(super) const FIGURES_ARE_FRESH_MS: i64 = 10_000;

/// What a process writes into the ledger each second. Processes of two releases read each other's.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// The process.
    pub process: String,
    /// When they were written, milliseconds of Unix time.
    pub at: i64,
    /// Records read from sources.
    pub events: u64,
    /// Questions for the roots of related entities, a page each.
    pub lookups: u64,
    /// Requests sent to the gateway for documents.
    pub requests: u64,
    /// Documents asked for in them.
    pub fetched: u64,
    /// Documents written.
    pub written: u64,
    /// Documents that were not written, for the index held them already.
    pub unchanged: u64,
    /// Writes that met something newer.
    pub superseded: u64,
    /// Tombstones written.
    pub gone: u64,
    /// Documents held (each time).
    pub held: u64,
    /// Entries appended to the log and not yet complete, in the lanes live and backfill.
    pub lag: [u64; 2],
    /// Milliseconds from an event to its document being searchable, over the newest events; `None` before the first.
    pub freshness: Option<Freshness>,
    /// Why the gateway is not asked right now.
    pub waiting: Option<String>,
    /// How the backfill lane gets on; `None` where this process rebuilds nothing.
    pub lane: Option<LaneFigures>,
    /// Requests for documents that may be in flight now; 0 where this process rebuilds nothing.
    pub limit: u64,
    /// How long a fetch of this process may take from its start to the acknowledgement of its write, in milliseconds.
    pub deadline_ms: u64,
    /// What came through each source lately.
    pub pulses: BTreeMap<String, Pulse>,
    /// The index versions that this process writes, and no others, the served one first.
    pub versions: Vec<u32>,
    /// The saved searches, once they were looked at.
    pub saved: Option<SavedFigures>,
    /// Why the webhook of saved searches is not reached.
    pub webhook_waits: Option<String>,
}

/// The longest deadline of these processes and one's own, in milliseconds: by then each fetch that runs anywhere is acknowledged
/// or thrown away.
pub fn longest_deadline(all: &[Figures], own: u64) -> u64 {
    all.iter().map(|figures| figures.deadline_ms).fold(own, u64::max)
}

/// How the backfill lane gets on in one process.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneFigures {
    /// Why nothing of it is fetched now.
    pub waits: Option<LaneWait>,
    /// When its windows open next, or close; milliseconds of Unix time.
    pub window_changes_at: Option<i64>,
    /// Ninety-five of a hundred requests of the last half minute took at most so many milliseconds; `None`: there were too few.
    pub p95_ms: Option<u64>,
    /// The share of them that failed, 0 to 1.
    pub error_rate: Option<f64>,
}

/// How the backfill lane gets on in the process in which it waits for most; `None` while nobody rebuilds.
pub fn slowest_lane(all: &[Figures]) -> Option<LaneFigures> {
    all.iter().filter_map(|figures| figures.lane).max_by_key(|lane| (lane.waits, lane.p95_ms))
}

/// Why nothing of the backfill lane is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneWait {
    /// The gateway takes longer than `backfill.back_off_when.p95_latency`.
    Latency,
    /// The gateway fails more often than `backfill.back_off_when.error_rate`.
    Errors,
    /// No window is open.
    Window,
    /// A person paused it.
    Paused,
}

/// Milliseconds from event to searchable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Freshness {
    /// The median.
    pub p50: i64,
    /// 95 of 100 are at most this.
    pub p95: i64,
    /// 99 of 100 are at most this.
    pub p99: i64,
}

/// Counts what a process does. Shared by its tasks.
#[derive(Debug, Default)]
pub struct Meter {
    /// Records read from sources.
    pub events: AtomicU64,
    /// Questions for the roots of related entities, a page each.
    pub lookups: AtomicU64,
    /// Requests sent to the gateway for documents.
    pub requests: AtomicU64,
    /// Documents asked for in them.
    pub fetched: AtomicU64,
    /// Documents written.
    pub written: AtomicU64,
    /// Documents that were not written, for the index held them already.
    pub unchanged: AtomicU64,
    /// Writes that met something newer.
    pub superseded: AtomicU64,
    /// Tombstones written.
    pub gone: AtomicU64,
    /// Documents held.
    pub held: AtomicU64,
    /// What Prometheus is told.
    pub metrics: Metrics,
    /// What happened to documents lately.
    pub history: History,
    samples: Mutex<(Vec<i64>, usize)>,
    waiting: Mutex<Option<String>>,
    pulses: Mutex<BTreeMap<String, Pulse>>,
    lane: Mutex<Option<LaneFigures>>,
    saved: Mutex<Option<SavedFigures>>,
    webhook_waits: Mutex<Option<String>>,
}

impl Meter {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Ordering::Relaxed);
    }

    /// Notes a question for the roots of related entities.
    pub(crate) fn asked_for_roots(&self, found_in: FoundIn) {
        Self::add(&self.lookups, 1);
        self.metrics.asked_for_roots(found_in);
    }

    /// Notes how long an event took to be searchable, in milliseconds.
    pub fn searchable_after(&self, milliseconds: i64) {
        self.metrics.searchable_after(milliseconds);
        let mut guard = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let (samples, next) = &mut *guard;
        if samples.len() < SAMPLES {
            samples.push(milliseconds);
        } else {
            samples[*next] = milliseconds;
        }
        *next = (*next + 1) % SAMPLES;
    }

    /// Notes what came through a source.
    pub(crate) fn pulse(&self, source: &str, pulse: Pulse) {
        let mut pulses = self.pulses.lock().unwrap_or_else(PoisonError::into_inner);
        pulses.entry(source.to_owned()).or_default().merge(pulse);
    }

    /// Says why the gateway is not asked right now, or that it is.
    pub fn waits_for(&self, reason: Option<String>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Why the gateway is not asked right now.
    pub fn waiting(&self) -> Option<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says how many requests for documents may be in flight.
    pub(crate) fn limit_is(&self, places: usize) {
        self.metrics.limit.set(i64::try_from(places).unwrap_or(i64::MAX));
    }

    /// Says which saved searches there are.
    pub(crate) fn saved_are(&self, saved: SavedFigures) {
        *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
    }

    /// Says why the webhook of saved searches is not reached, or that it is.
    pub(crate) fn webhook_waits(&self, reason: Option<String>) {
        *self.webhook_waits.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Says how the backfill lane gets on.
    pub fn lane_gets_on(&self, figures: LaneFigures) {
        *self.lane.lock().unwrap_or_else(PoisonError::into_inner) = Some(figures);
    }

    /// The figures now.
    pub fn figures(&self, process: &str, at: i64, lag: [u64; 2]) -> Figures {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            process: process.to_owned(),
            at,
            events: count(&self.events),
            lookups: count(&self.lookups),
            requests: count(&self.requests),
            fetched: count(&self.fetched),
            written: count(&self.written),
            unchanged: count(&self.unchanged),
            superseded: count(&self.superseded),
            gone: count(&self.gone),
            held: count(&self.held),
            lag,
            freshness: self.freshness(),
            waiting: self.waiting(),
            lane: *self.lane.lock().unwrap_or_else(PoisonError::into_inner),
            limit: u64::try_from(self.metrics.limit.get()).unwrap_or(0),
            deadline_ms: 0,
            pulses: self.pulses.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            versions: Vec::new(),
            saved: self.saved.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            webhook_waits: self.webhook_waits.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn freshness(&self) -> Option<Freshness> {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
        samples.sort_unstable();
        let at = |share: usize| {
            samples.get((samples.len() * share / 100).min(samples.len().checked_sub(1)?)).copied()
        };
        Some(Freshness { p50: at(50)?, p95: at(95)?, p99: at(99)? })
    }
}
