//! Rebuild: root ids in, documents out. Take ids, coalesce, batch, fetch under a limit, judge, write, settle.
//!
//! One task owns the coalescer and the progress of both lanes; each batch is a task of its own. Sizes of all queues are the
//! constants below, so that memory doesn't grow with the backlog.

pub mod attribution;
pub mod batch;
pub mod breaker;
pub mod coalescer;
pub mod fetches;
pub mod gone;
pub mod judge;
pub mod progress;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    batch::{BatchEnd, Batches, Fate, Ticket},
    breaker::{Breaker, Pace},
    coalescer::Coalescer,
    progress::LaneProgress,
};
use crate::{
    StateError,
    graph::GraphError,
    ledger::IndexState,
    log::{Lane, ReindexLog},
    now_ms,
};

/// Entries of a lane that are read and not complete, at most. About 200 bytes each; more would only wait here instead of
/// in the log, fewer would find fewer equal ids to coalesce.
const WINDOW: usize = 20_000;

/// Entries read at once.
const PAGE: usize = 2_000;

/// How often the log is looked at for entries of other processes, and progress is committed at the latest.
const POLL: Duration = Duration::from_millis(200);

/// How often the ledger is asked whether a person paused or resumed the index.
const STATE_POLL: Duration = Duration::from_secs(1);

/// Answers in a row that are no GraphQL before the address itself is suspected and the index pauses.
const MAX_NOT_GRAPHQL: u32 = 10;

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

/// The rebuilding task.
pub struct Rebuild {
    batches: Arc<Batches>,
    log: Arc<dyn ReindexLog>,
    signals: Signals,
    /// With `--once`: failures of the gateway in a row after which it is given up.
    give_up_after: Option<u32>,
    coalescer: Coalescer,
    lanes: [LaneProgress; 2],
    /// Whether a lane may hold entries that weren't read yet.
    unread: [bool; 2],
    running: JoinSet<Result<BatchEnd, StateError>>,
    max_batch: usize,
    breaker: Breaker,
    pace: Pace,
    not_graphql: u32,
    state: IndexState,
    state_read: Instant,
}

impl Rebuild {
    /// A task that goes on where the log was committed.
    pub async fn new(
        batches: Arc<Batches>,
        log: Arc<dyn ReindexLog>,
        signals: Signals,
        give_up_after: Option<u32>,
    ) -> Result<Self, StateError> {
        let lanes = [
            LaneProgress::from_committed(log.committed(Lane::Live).await?),
            LaneProgress::from_committed(log.committed(Lane::Backfill).await?),
        ];
        let now = Instant::now();
        Ok(Self {
            max_batch: batches.requests.max_batch(),
            pace: Pace::new(batches.plan.backfill.rate_per_second, now),
            state: batches.ledger.state().await?,
            batches,
            log,
            signals,
            give_up_after,
            coalescer: Coalescer::default(),
            lanes,
            unread: [true; 2],
            running: JoinSet::new(),
            breaker: Breaker::default(),
            not_graphql: 0,
            state_read: now,
        })
    }

    /// Rebuilds until it is stopped or drained. What is running then is finished first.
    pub async fn run(mut self) -> Result<(), RebuildError> {
        while !self.signals.stop.is_cancelled() {
            self.poll_state().await?;
            self.read_lanes().await?;
            self.dispatch();
            if self.signals.drain.is_cancelled() && self.is_drained().await? {
                break;
            }
            let (log, next_look) = (Arc::clone(&self.log), self.next_look());
            tokio::select! {
                Some(end) = self.running.join_next() => self.take_in(end).await?,
                () = log.appended().notified() => self.unread = [true; 2],
                () = tokio::time::sleep_until(next_look) => {
                    self.unread = [true; 2];
                    self.commit().await?;
                }
                () = self.signals.stop.cancelled() => {}
            }
        }
        while let Some(end) = self.running.join_next().await {
            self.take_in(end).await?;
        }
        self.commit().await?;
        Ok(())
    }

    /// Whether the index may work at all. After [`codes::SS406`](plan::code::fetch::SS406) only a person lets it go on.
    fn is_stopped(&self) -> bool {
        match &self.state {
            IndexState::Running => false,
            IndexState::Paused => true,
            IndexState::Failed { code, .. } => code == plan::code::fetch::SS406.id,
        }
    }

    async fn poll_state(&mut self) -> Result<(), StateError> {
        if self.state_read.elapsed() < STATE_POLL {
            return Ok(());
        }
        self.state_read = Instant::now();
        let before = std::mem::replace(&mut self.state, self.batches.ledger.state().await?);
        if before != IndexState::Running && self.state == IndexState::Running {
            tracing::info!("the index was resumed");
            self.breaker.succeed();
            self.batches.gone.lock().unwrap_or_else(PoisonError::into_inner).reset();
        }
        Ok(())
    }

    async fn read_lanes(&mut self) -> Result<(), StateError> {
        for lane in Lane::ALL {
            let at = lane.number();
            while self.unread[at] && self.lanes[at].outstanding() + PAGE <= WINDOW {
                let page = self.log.read(lane, self.lanes[at].read(), PAGE).await?;
                self.unread[at] = page.len() == PAGE;
                let now = Instant::now();
                for logged in page {
                    self.lanes[at].note_read(logged.position);
                    self.coalescer.arrive(logged, now);
                }
            }
        }
        Ok(())
    }

    fn dispatch(&mut self) {
        if self.is_stopped() {
            self.batches.meter.waits_for(Some("the index is paused".into()));
            return;
        }
        let now = Instant::now();
        let limit = self.breaker.allows(self.batches.plan.graph.max_concurrency, now);
        while self.running.len() < limit {
            let allowance = self.pace.allowance(self.max_batch, now);
            let Some(batch) = self.coalescer.take(self.max_batch, allowance, now) else { break };
            if batch.lane == Lane::Backfill {
                self.pace.spend(batch.ids.len());
            }
            let tickets = batch
                .ids
                .into_iter()
                .map(|id| {
                    let (fetch, version) = self.batches.fetches.start();
                    let deleted = self.coalescer.running(&id).iter().any(|entry| entry.deleted);
                    Ticket { id, fetch, version, deleted }
                })
                .collect();
            let batches = Arc::clone(&self.batches);
            self.running.spawn(async move { batches.run(tickets).await });
        }
    }

    async fn take_in(
        &mut self,
        end: Result<Result<BatchEnd, StateError>, tokio::task::JoinError>,
    ) -> Result<(), RebuildError> {
        let end = match end {
            Ok(end) => end?,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        };
        let now = Instant::now();
        let wall = now_ms();
        for (ticket, fate) in end.fates {
            match fate {
                Fate::Again { alone } => self.coalescer.give_back(&ticket.id, alone, now),
                Fate::Searchable | Fate::Complete => {
                    for entry in self.coalescer.finish(&ticket.id, now) {
                        self.lanes[entry.lane.number()].complete(entry.position);
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
        self.note_gateway(end.gateway, end.started, now).await?;
        if self.lanes.iter().all(|lane| lane.outstanding() == 0) || self.lanes.iter().any(has_much_to_commit)
        {
            self.commit().await?;
        }
        Ok(())
    }

    /// Opens, closes or keeps the breaker, and tells the ledger about failures that someone must mend.
    async fn note_gateway(
        &mut self,
        gateway: Result<(), GraphError>,
        started: Instant,
        now: Instant,
    ) -> Result<(), RebuildError> {
        let Err(error) = gateway else {
            self.not_graphql = 0;
            if self.breaker.failures() > 0 {
                tracing::info!("the gateway answers again");
                self.breaker.succeed();
                self.batches.meter.waits_for(None);
            }
            if matches!(&self.state, IndexState::Failed { .. }) && !self.is_stopped() {
                self.state = IndexState::Running;
                self.batches.ledger.set_state(IndexState::Running).await?;
            }
            return Ok(());
        };
        let retry_after = match &error {
            GraphError::Unavailable { retry_after, .. } => *retry_after,
            GraphError::TooLarge(_) => {
                self.max_batch = (self.max_batch / 2).max(1);
                tracing::warn!(batch = self.max_batch, "{error}: batches are smaller from here on");
                return Ok(());
            }
            GraphError::NotGraphql(_) => {
                self.not_graphql += 1;
                if self.not_graphql < MAX_NOT_GRAPHQL {
                    return Ok(());
                }
                None
            }
            GraphError::Refused(_) | GraphError::Unauthorized(_) => None,
        };
        if self.breaker.failures() == 0 {
            tracing::warn!(code = error.code().id, "{error}");
        }
        self.breaker.fail(started, retry_after, now);
        self.batches.meter.waits_for(Some(error.to_string()));
        if error.is_systemic() || self.not_graphql >= MAX_NOT_GRAPHQL {
            self.fail(error.code().id, error.to_string()).await?;
        }
        let give_up = self.give_up_after.is_some_and(|most| self.breaker.failures() >= most);
        if give_up || (self.give_up_after.is_some() && error.is_systemic()) {
            Err(error.into())
        } else {
            Ok(())
        }
    }

    async fn fail(&mut self, code: &str, reason: String) -> Result<(), StateError> {
        let failed = IndexState::Failed { code: code.to_owned(), reason };
        if self.state != failed {
            self.batches.ledger.set_state(failed.clone()).await?;
            self.state = failed;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StateError> {
        for lane in Lane::ALL {
            let progress = &mut self.lanes[lane.number()];
            if let Some(through) = progress.committable() {
                self.log.commit(lane, through).await?;
                progress.note_committed(through);
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
        for lane in Lane::ALL {
            if self.lanes[lane.number()].committed() < self.log.end(lane).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn next_look(&self) -> Instant {
        let now = Instant::now();
        let cooling = self.coalescer.next_wake();
        let pace = self.pace.wait(self.max_batch).map(|wait| now + wait);
        let probe = self.breaker.next_probe(now);
        [cooling, pace, probe]
            .into_iter()
            .flatten()
            .fold(now + POLL, Instant::min)
            .max(now + Duration::from_millis(1))
    }
}

/// Enough to be worth a transaction while more is under way.
fn has_much_to_commit(lane: &LaneProgress) -> bool {
    lane.committable().is_some_and(|through| through - lane.committed() >= 500)
}
