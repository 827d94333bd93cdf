//! What holds the backfill lane back: a person's word, its windows, the brakes, and its rate. Live changes know nothing of it.
//!
//! The lane is one: what large fan-outs and snapshots put into it waits as backfills do.

use std::{collections::VecDeque, time::Duration};

use plan::{
    index_plan::{BackOff, BackfillPlan},
    window::{Opening, UnknownZone, Windows},
};
use tokio::time::Instant;

use super::breaker::Pace;
use crate::{
    ledger::{
        Backfill,
        figures::{LaneFigures, LaneWait},
        pace::LaneWishes,
    },
    log::{Ends, Logged},
    now_ms,
};

/// How far back the brakes look.
const SIGHT: Duration = Duration::from_secs(30);

/// Requests that they look at, at most.
const SAMPLES: usize = 1_000;

/// Fewer than this say nothing.
const LEAST_SAMPLES: usize = 20;

/// How long the lane waits at least once a brake is on.
const BRAKED: Duration = Duration::from_secs(10);

/// What a limit is multiplied with for a brake to come off: else it would go on and off all the time.
const RELEASE: f64 = 0.8;

/// How often the brakes are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What holds the backfill lane of one rebuilding task back.
#[derive(Debug)]
pub(super) struct Throttle {
    planned_rate: Option<f64>,
    /// This task's part of the rate: processes that share the lane share it.
    share: f64,
    pace: Pace,
    windows: Windows,
    opening: Opening,
    /// When that was found, milliseconds of Unix time.
    opening_at: i64,
    brakes: Brakes,
    paused: bool,
    now: bool,
    stopped: Ends,
}

impl Throttle {
    /// A throttle by the plan; fails for a time zone that is not known here.
    pub(super) fn new(plan: &BackfillPlan, share: f64, now: Instant) -> Result<Self, UnknownZone> {
        let windows = Windows::new(&plan.windows)?;
        let opening_at = now_ms();
        Ok(Self {
            planned_rate: plan.rate_per_second,
            share,
            pace: Pace::new(plan.rate_per_second.map(|rate| rate * share), now),
            opening: windows.at(opening_at),
            windows,
            opening_at,
            brakes: Brakes::new(plan.back_off, now),
            paused: false,
            now: false,
            stopped: Ends::new(),
        })
    }

    /// Takes in what people want. Backfills share the lane: one that is in a hurry takes all of it along, and of several rates the
    /// lowest holds.
    pub(super) fn heed(&mut self, wishes: LaneWishes, open: &[Backfill], now: Instant) {
        let terms = || open.iter().filter_map(|backfill| wishes.terms.get(&backfill.number));
        let rate = terms().filter_map(|terms| terms.rate_per_second).min_by(f64::total_cmp);
        self.pace.set(rate.or(self.planned_rate).map(|rate| rate * self.share), now);
        self.now = terms().any(|terms| terms.now);
        self.paused = wishes.paused;
        self.stopped = wishes.stopped;
    }

    /// Notes how a request for documents ended.
    pub(super) fn note(&mut self, took: Duration, has_failed: bool, now: Instant) {
        self.brakes.note(took, has_failed, now);
    }

    /// Why nothing of the lane is fetched now.
    pub(super) fn waits(&mut self, now: Instant) -> Option<LaneWait> {
        self.brakes.look(now);
        if self.paused {
            return Some(LaneWait::Paused);
        }
        if !self.now && !self.opening().is_open {
            return Some(LaneWait::Window);
        }
        self.brakes.on
    }

    /// Whether it will be long until something of the lane is fetched.
    pub(super) fn is_shut(&mut self, now: Instant) -> bool {
        matches!(self.waits(now), Some(LaneWait::Paused | LaneWait::Window))
    }

    /// How many documents of the lane may go now.
    pub(super) fn allowance(&mut self, batch: usize, now: Instant) -> usize {
        if self.waits(now).is_some() { 0 } else { self.pace.allowance(batch, now) }
    }

    /// Notes documents of the lane that went.
    pub(super) fn spend(&mut self, documents: usize) {
        self.pace.spend(documents);
    }

    /// How long until a whole batch may go by the rate.
    pub(super) fn wait(&self, batch: usize) -> Option<Duration> {
        self.pace.wait(batch)
    }

    /// Up to where entries of backfills are dropped, by partition.
    pub(super) fn stopped(&self) -> &Ends {
        &self.stopped
    }

    /// Whether an entry is of a backfill that was stopped. What events put into the lane is never dropped.
    pub(super) fn drops(&self, Logged { partition, position, entry }: &Logged) -> bool {
        entry.is_of_backfill() && self.stopped.get(partition).is_some_and(|through| position <= through)
    }

    /// What `status` shows of it.
    pub(super) fn figures(&mut self, now: Instant) -> LaneFigures {
        let waits = self.waits(now);
        let until = (!self.windows.is_always() && !self.now).then(|| self.opening().until).flatten();
        let (p95_ms, error_rate) = self.brakes.measured().unzip();
        LaneFigures { waits, window_changes_at: until, p95_ms, error_rate }
    }

    fn opening(&mut self) -> Opening {
        let at = now_ms();
        // Where somebody set the clock back, what was found is of a time to come.
        if at < self.opening_at || self.opening.until.is_some_and(|until| at >= until) {
            self.opening = self.windows.at(at);
            self.opening_at = at;
        }
        self.opening
    }
}

/// Whether the gateway is worse than `back_off_when` says.
#[derive(Debug)]
struct Brakes {
    limits: BackOff,
    /// When requests ended, how many milliseconds they took, and whether they failed.
    samples: VecDeque<(Instant, u64, bool)>,
    on: Option<LaneWait>,
    since: Instant,
    looked: Instant,
}

impl Brakes {
    fn new(limits: BackOff, now: Instant) -> Self {
        Self { limits, samples: VecDeque::new(), on: None, since: now, looked: now }
    }

    fn note(&mut self, took: Duration, has_failed: bool, now: Instant) {
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back((now, u64::try_from(took.as_millis()).unwrap_or(u64::MAX), has_failed));
    }

    /// The 95th percentile in milliseconds and the share that failed; `None` where there is too little to tell.
    fn measured(&self) -> Option<(u64, f64)> {
        if self.samples.len() < LEAST_SAMPLES {
            return None;
        }
        let mut times: Vec<u64> = self.samples.iter().map(|(_, took, _)| *took).collect();
        let (_, p95, _) = times.select_nth_unstable(self.samples.len() * 95 / 100);
        let failed = self.samples.iter().filter(|(_, _, has_failed)| *has_failed).count();
        #[expect(clippy::cast_precision_loss, reason = "a thousand at most")]
        let error_rate = failed as f64 / self.samples.len() as f64;
        Some((*p95, error_rate))
    }

    fn look(&mut self, now: Instant) {
        if now < self.looked + LOOK {
            return;
        }
        self.looked = now;
        while self.samples.front().is_some_and(|(at, ..)| *at + SIGHT < now) {
            self.samples.pop_front();
        }
        // After a silence nobody knows, and a few requests tell.
        let measured = self.measured().unwrap_or_default();
        match self.on {
            None => {
                self.on = self.exceeded(measured, 1.0);
                self.since = now;
            }
            Some(_) if now < self.since + BRAKED => {}
            Some(_) => self.on = self.exceeded(measured, RELEASE),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a request")]
    fn exceeded(&self, (p95_ms, error_rate): (u64, f64), factor: f64) -> Option<LaneWait> {
        let is_slow = self.limits.p95_latency_ms.is_some_and(|limit| p95_ms as f64 > limit as f64 * factor);
        let is_failing = self.limits.error_rate.is_some_and(|limit| error_rate > limit * factor);
        match (is_slow, is_failing) {
            (true, _) => Some(LaneWait::Latency),
            (_, true) => Some(LaneWait::Errors),
            _ => None,
        }
    }
}
