//! Rebuild: root ids in, documents out. Take ids, coalesce, batch, fetch under a limit, judge, write, settle.
//!
//! One task owns the coalescer and the progress of both lanes; each batch is a task of its own. Sizes of all queues are the
//! constants below, so that memory doesn't grow with the backlog.

pub mod attribution;
pub mod batch;
mod behind;
pub mod beside;
pub mod breaker;
pub mod coalescer;
mod deadline;
pub mod fetches;
pub mod gone;
pub mod judge;
pub mod limit;
mod outcome;
mod places;
pub mod progress;
mod recent;
pub mod refusals;
mod throttle;
pub mod unchanged;
mod verify;

pub(crate) use self::places::BEHIND_BYTES;
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use plan::{
    Code, DocumentId,
    code::{fetch::SS406, kafka::SS312, store::SS511},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    batch::{BatchEnd, Batches, Fate, Ticket},
    breaker::Breaker,
    coalescer::Coalescer,
    limit::Limit,
    places::Places,
    progress::LaneProgress,
    throttle::Throttle,
    verify::Verifier,
};
use crate::{
    StateError,
    graph::GraphError,
    heartbeat::{self, waiting},
    history::What,
    ledger::{self, IndexState},
    log::{Append, Cause, Entry, Lane, Logged, ReindexLog, Tenure},
    now_ms,
    tasks::joined,
};

/// Entries of a lane that are read and not complete, at most. About 200 bytes each; more would only wait here instead of
/// in the log, fewer would find fewer equal ids to coalesce.
pub(crate) const WINDOW: usize = 20_000;

/// Entries read at once.
const PAGE: usize = 2_000;

/// How often the log is looked at for entries of other processes, and progress is committed at the latest.
const POLL: Duration = Duration::from_millis(200);

/// How often the ledger is asked whether a person paused or resumed the index.
const STATE_POLL: Duration = Duration::from_secs(1);

/// How long after a live batch a place is kept free for the next one.
const LIVE_LATELY: Duration = Duration::from_secs(10);

/// Fewer places than this are shared by both lanes: the backfill lane would lose too much.
const PLACES_TO_SHARE: usize = 4;

/// Why rebuilding ended.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// With `--once`: the gateway didn't answer for long.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// What the rebuilding task is told from outside.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Stop taking ids, finish what is running, and end.
    pub stop: CancellationToken,
    /// End as soon as both lanes are complete up to their ends (`--once`).
    pub drain: CancellationToken,
}

/// The rebuilding task of one share of the log.
pub struct Rebuild {
    batches: Arc<Batches>,
    /// Tells where the lanes end.
    log: Arc<dyn ReindexLog>,
    tenure: Arc<dyn Tenure>,
    signals: Signals,
    /// With `--once`: failures of the gateway in a row after which it is given up.
    give_up_after: Option<u32>,
    coalescer: Coalescer,
    verifier: Verifier,
    lanes: [LaneProgress; 2],
    /// Whether a lane may hold entries that weren't read yet.
    unread: [bool; 2],
    running: JoinSet<Result<BatchEnd, StateError>>,
    places: Places,
    max_batch: usize,
    breaker: Breaker,
    limit: Limit,
    /// Whether the gateway last refused a request that was alone.
    is_refused_alone: bool,
    throttle: Throttle,
    /// When a live batch began last.
    live_at: Option<Instant>,
    /// Requests that were answered.
    successes: u64,
    /// Odd answers since the last success.
    oddities: u32,
    state: IndexState,
    state_read: Instant,
}

impl Rebuild {
    /// A task that goes on where the share of these batches was committed.
    pub async fn new(
        batches: Arc<Batches>,
        log: Arc<dyn ReindexLog>,
        signals: Signals,
        give_up_after: Option<u32>,
    ) -> Result<Self, StateError> {
        let tenure = Arc::clone(&batches.tenure);
        let lanes = [
            LaneProgress::from_committed(tenure.committed(Lane::Live).await?),
            LaneProgress::from_committed(tenure.committed(Lane::Backfill).await?),
        ];
        let now = Instant::now();
        // What was waited for under another share was waited for by its breaker.
        batches.meter.waits_for(None);
        let partitions = log.ends(Lane::Backfill).await?.len();
        let owned = tenure.committed(Lane::Backfill).await?.len();
        #[expect(clippy::cast_precision_loss, reason = "few partitions")]
        let share = if partitions == 0 { 1.0 } else { (owned as f64 / partitions as f64).min(1.0) };
        let throttle = Throttle::new(&batches.plan.backfill, share, now).map_err(|unknown| {
            let place = format!("the ledger of {}", batches.plan.name);
            StateError::UnreadablePlan { place, reason: unknown.to_string() }
        })?;
        let limit = Limit::new(batches.plan.graph.max_concurrency, now);
        batches.meter.limit_is(limit.places());
        let mut rebuild = Self {
            max_batch: batches.max_batch(),
            limit,
            throttle,
            state: batches.ledger.state().await?,
            batches,
            log,
            tenure,
            signals,
            give_up_after,
            coalescer: Coalescer::default(),
            verifier: Verifier::default(),
            lanes,
            unread: [true; 2],
            running: JoinSet::new(),
            places: Places::default(),
            breaker: Breaker::default(),
            is_refused_alone: false,
            live_at: None,
            successes: 0,
            oddities: 0,
            state_read: now,
        };
        rebuild.heed_wishes().await?;
        Ok(rebuild)
    }

    /// Rebuilds until it is stopped or drained. What is running then is finished first.
    pub async fn run(mut self) -> Result<(), RebuildError> {
        while !self.signals.stop.is_cancelled() {
            heartbeat::beat();
            self.poll_state().await?;
            self.read_lanes().await?;
            if let Some(loss) = self.tenure.take_loss() {
                ledger::halt(&*self.batches.ledger, SS312, loss).await?;
                self.state = self.batches.ledger.state().await?;
            }
            self.verify_due().await?;
            self.dispatch();
            if self.signals.drain.is_cancelled() && self.is_drained().await? {
                break;
            }
            let (tenure, places, next_look) =
                (Arc::clone(&self.tenure), self.places.clone(), self.next_look());
            tokio::select! {
                biased;
                () = self.signals.stop.cancelled() => {}
                Some(end) = self.running.join_next() => self.take_in(end).await?,
                () = tenure.appended() => self.unread = [true; 2],
                () = places.freed() => {}
                () = tokio::time::sleep_until(next_look) => {
                    self.unread = [true; 2];
                    self.commit().await?;
                }
            }
        }
        while let Some(end) = waiting(self.running.join_next()).await {
            self.take_in(end).await?;
        }
        self.commit().await?;
        Ok(())
    }

    /// Whether only a person can let the index go on.
    fn is_stopped(&self) -> bool {
        self.state.needs_a_person()
    }

    async fn poll_state(&mut self) -> Result<(), StateError> {
        if self.state_read.elapsed() < STATE_POLL {
            return Ok(());
        }
        self.state_read = Instant::now();
        let state = self.batches.ledger.state().await?;
        self.note_state(state);
        self.heed_wishes().await
    }

    /// Looks what people want of the backfill lane.
    async fn heed_wishes(&mut self) -> Result<(), StateError> {
        let now = Instant::now();
        let wishes = self.batches.ledger.lane_wishes().await?;
        let open =
            if wishes.terms.is_empty() { Vec::new() } else { self.batches.ledger.open_backfills().await? };
        let before = self.throttle.stopped().clone();
        self.throttle.heed(wishes, &open, now);
        if *self.throttle.stopped() != before {
            for entry in self.coalescer.drop_stopped(self.throttle.stopped()) {
                self.lanes[entry.lane.number()].complete(entry.partition, entry.position);
            }
        }
        self.batches.meter.lane_gets_on(self.throttle.figures(now));
        Ok(())
    }

    /// Takes in what the ledger says, and what it means that it says so now.
    fn note_state(&mut self, state: IndexState) {
        let before = std::mem::replace(&mut self.state, state);
        if before != IndexState::Running && self.state == IndexState::Running {
            tracing::info!("the index was resumed");
            self.breaker.reset();
            self.batches.meter.waits_for(None);
            if is_alarm(&before, SS511) {
                // Another process that has met none of them may say so, too: then they are held, as few would be.
                self.batches.refusals.lock().unwrap_or_else(PoisonError::into_inner).trust(Instant::now());
            }
            if is_alarm(&before, SS406) {
                self.batches.gone.lock().unwrap_or_else(PoisonError::into_inner).trust(Instant::now());
            }
        }
    }

    async fn read_lanes(&mut self) -> Result<(), StateError> {
        for lane in Lane::ALL {
            let at = lane.number();
            while self.unread[at] && self.lanes[at].outstanding() + PAGE <= WINDOW {
                let page = self.tenure.read(lane, PAGE).await?;
                self.unread[at] = page.len() == PAGE;
                let now = Instant::now();
                self.batches.meter.history.note(lane, page.iter().filter_map(asked));
                for logged in page {
                    self.lanes[at].note_read(logged.partition, logged.position);
                    if self.throttle.drops(&logged) {
                        self.lanes[at].complete(logged.partition, logged.position);
                    } else {
                        self.coalescer.arrive(logged, now);
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks for the verifications that are due. What drains ends without them.
    async fn verify_due(&mut self) -> Result<(), StateError> {
        if self.is_stopped() || self.signals.drain.is_cancelled() {
            return Ok(());
        }
        let due = self.verifier.take_due(Instant::now()).into_iter();
        let entries: Vec<Entry> = due.map(|id| Entry::new(id, Lane::Live, Cause::Verification)).collect();
        if entries.is_empty() {
            return Ok(());
        }
        self.log.append(Append { entries, ..Append::default() }).await
    }

    fn dispatch(&mut self) {
        let now = Instant::now();
        self.coalescer.wake(now);
        if self.is_stopped() {
            self.batches.meter.waits_for(Some("the index is paused".into()));
        }
        while self.has_place(now) {
            let allowance =
                if self.leaves_a_place(now) { self.throttle.allowance(self.max_batch, now) } else { 0 };
            let Some(batch) = self.coalescer.take(self.max_batch, allowance, now) else { break };
            match batch.lane {
                Lane::Backfill => self.throttle.spend(batch.ids.len()),
                Lane::Live => self.live_at = Some(now),
            }
            let tickets = batch
                .ids
                .into_iter()
                .map(|id| {
                    let (fetch, version) = self.batches.fetches.start();
                    let deleted = self.coalescer.running(&id).iter().any(|entry| entry.deleted);
                    let (wants, behind) = self.coalescer.wanted(&id);
                    let interest = self.verifier.interest(&id, self.coalescer.running(&id));
                    let is_doubted = self.coalescer.running(&id).iter().any(|entry| entry.is_doubted);
                    let lane = batch.lane;
                    Ticket {
                        id,
                        fetch,
                        version,
                        deleted,
                        lane,
                        wants,
                        behind,
                        interest,
                        is_doubted,
                        content: None,
                    }
                })
                .collect();
            let (batches, place) = (Arc::clone(&self.batches), self.places.take());
            self.limit.note_taken(self.places.taken() + self.kept_for_live(now));
            let heartbeat = heartbeat::beside("a batch of documents");
            self.running.spawn(heartbeat.drive(async move { batches.run(tickets, place).await }));
        }
    }

    /// Whether another request may be in flight now. A probe is over when its documents are written: the store may be why.
    fn has_place(&self, now: Instant) -> bool {
        let limit = self.breaker.allows(self.limit.places(), now);
        let taken = if self.breaker.failures() == 0 { self.places.taken() } else { self.running.len() };
        !self.is_stopped() && taken < limit
    }

    /// Whether a batch of the backfill lane leaves the place that is kept for the next live one.
    fn leaves_a_place(&self, now: Instant) -> bool {
        self.places.taken() + self.kept_for_live(now) < self.limit.places()
    }

    /// Places that the backfill lane leaves free: one, where something live came lately.
    fn kept_for_live(&self, now: Instant) -> usize {
        let is_live = self.live_at.is_some_and(|at| now < at + LIVE_LATELY);
        usize::from(is_live && self.limit.places() >= PLACES_TO_SHARE)
    }

    async fn take_in(
        &mut self,
        end: Result<Result<BatchEnd, StateError>, tokio::task::JoinError>,
    ) -> Result<(), RebuildError> {
        let mut end = joined(end)?;
        let now = Instant::now();
        let wall = now_ms();
        let asked = end.fates.len();
        self.note_in_limit(&end, now);
        let someone_is_blamed = self.blame(&mut end).await?;
        for (ticket, fate) in end.fates {
            match fate {
                Fate::Again { alone } => self.coalescer.give_back(&ticket.id, alone, now),
                Fate::Behind => self.coalescer.postpone(&ticket.id, now),
                Fate::Searchable | Fate::Complete => {
                    let content = ticket.content.filter(|_| fate == Fate::Searchable);
                    if let Some(finding) = self.verifier.ended(&ticket.id, content, ticket.interest, now) {
                        self.batches.meter.metrics.verified(finding.name());
                    }
                    for entry in self.coalescer.finish(&ticket.id, now) {
                        self.lanes[entry.lane.number()].complete(entry.partition, entry.position);
                        if let (Fate::Searchable, Some(event_at)) = (fate, entry.event_at) {
                            self.batches.meter.searchable_after(wall.saturating_sub(event_at).max(0));
                        }
                    }
                }
            }
        }
        if let Some((code, reason)) = end.alarm {
            tracing::error!(code = code.id, "{reason}: the index is paused");
            self.fail(code.id, reason).await?;
        }
        match (end.gateway, end.store) {
            (Ok(()), Ok(())) => self.note_success(now).await?,
            (Ok(()), Err(error)) => self.note_store_failure(error, end.started, now).await?,
            (Err(_), _) if someone_is_blamed => {}
            (Err(error), _) => self.note_failure(error, asked, end.started, now).await?,
        }
        if self.lanes.iter().all(|lane| lane.outstanding() == 0) || self.lanes.iter().any(has_much_to_commit)
        {
            self.commit().await?;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StateError> {
        for lane in Lane::ALL {
            let progress = &mut self.lanes[lane.number()];
            let through = progress.committable();
            if !through.is_empty() {
                self.tenure.commit(lane, &through).await?;
                progress.note_committed(&through);
            }
        }
        Ok(())
    }

    /// Whether everything that was ever appended is complete, or nothing can be done about it now.
    async fn is_drained(&mut self) -> Result<bool, StateError> {
        if !self.running.is_empty() {
            return Ok(false);
        }
        if self.is_stopped() {
            return Ok(true);
        }
        self.commit().await?;
        // Nobody waits for hours: what the lane holds is there for the next run.
        let is_shut = self.throttle.is_shut(Instant::now());
        for lane in Lane::ALL.into_iter().filter(|lane| *lane == Lane::Live || !is_shut) {
            if !self.lanes[lane.number()].has_reached(&self.log.ends(lane).await?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// When there may be something to do that no event announces. What couldn't be taken anyway wakes nobody.
    fn next_look(&self) -> Instant {
        let now = Instant::now();
        let can_take = self.has_place(now);
        let cooling = self.coalescer.next_wake().filter(|_| can_take);
        let pace = self.throttle.wait(self.max_batch).filter(|_| can_take).map(|wait| now + wait);
        let probe = self.breaker.next_probe(now);
        [cooling, pace, probe]
            .into_iter()
            .flatten()
            .fold(now + POLL, Instant::min)
            .max(now + Duration::from_millis(1))
    }
}

/// Who asked for a document, as far as a route doesn't tell it: that one knows its event.
fn asked(Logged { entry, .. }: &Logged) -> Option<(DocumentId, What)> {
    let is_told = matches!(entry.cause, Cause::Event | Cause::Lookup);
    (!is_told).then(|| (entry.id.clone(), What::Asked { by: entry.cause, lane: entry.lane }))
}

/// Whether a state is the alarm of this code.
fn is_alarm(state: &IndexState, alarm: Code) -> bool {
    matches!(state, IndexState::Failed { code, .. } if code == alarm.id)
}

/// Enough to be worth a transaction while more is under way.
fn has_much_to_commit(lane: &LaneProgress) -> bool {
    lane.committable_count() >= 500
}

#[cfg(test)]
mod pacing;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod tests;
