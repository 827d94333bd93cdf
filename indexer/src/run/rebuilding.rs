//! The rebuilding half of a process: one share of the log after another, each under an epoch of its own.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plan::{DocumentVersion, Epoch, SourcePlan, index_plan::AuditPlan};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    ONCE_GIVES_UP_AFTER, Process, RunError, Tasks,
    healing::{self, Healing},
    routing, sleeps_through,
};
use crate::{
    StateError,
    audit::schedule::Audits,
    backfill::Backfills,
    filling::Filling,
    graph::request::DocumentRequests,
    heartbeat::{self, waiting},
    ledger::IndexState,
    log::{Lane, Ownership, Tenure},
    rebuild::{Rebuild, Signals, batch::Batches, beside::Beside, gone::GoneGuard, unchanged::Unchanged},
    route::{lookup::Lookup, run::FanOutRuns},
    saved::{Watch, posting::Posting},
    tasks::joined,
};

/// How long what runs may take to end when a share is asked back. Then it is abandoned: the next owner fetches it anew.
/// Kafka waits for five minutes (`max.poll.interval.ms`), but nobody rebuilds these ids meanwhile.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// How long is waited before a server that didn't answer at a takeover is asked again.
pub(super) const TAKEOVER_PAUSE: Duration = Duration::from_secs(1);

/// Rebuilds whatever share of the log this process owns.
pub(super) struct Rebuilding {
    pub process: Arc<Process>,
    pub ownership: Box<dyn Ownership>,
    pub stop: CancellationToken,
    pub once: bool,
    /// With `once`: is cancelled when every source is routed up to its end.
    pub routed: CancellationToken,
}

impl Rebuilding {
    /// Works on shares until it is stopped, or with `once` until the first share is complete up to its end.
    pub(super) async fn run(mut self) -> Result<(), RunError> {
        while let Some(tenure) = waiting(self.ownership.next_tenure(&self.stop)).await? {
            let worked = self.work(&tenure).await;
            tenure.release();
            match worked {
                Err(RunError::State(StateError::Fenced(share))) => {
                    tracing::warn!("another process took over {share}; what was begun here is thrown away");
                }
                worked => worked?,
            }
            if self.once {
                break;
            }
        }
        waiting(self.ownership.leave()).await;
        Ok(())
    }

    async fn work(&self, tenure: &Arc<dyn Tenure>) -> Result<(), RunError> {
        let ended = self.stop.child_token();
        if !self.take_over(&**tenure).await? {
            return Ok(());
        }
        let signals = Signals { stop: ended.clone(), drain: CancellationToken::new() };
        let drain = signals.drain.clone();
        let give_up_after = self.once.then_some(ONCE_GIVES_UP_AFTER);
        let log = self.process.index.log.clone();
        let rebuild = Rebuild::new(Arc::new(self.batches(tenure)), log, signals, give_up_after).await?;
        let backfills = Arc::new(self.backfills(&ended));
        let mut executing = Tasks::new();
        if tenure.is_executor() {
            let replays = self.process.index.plan.errors.auto_replay;
            if replays && self.once && self.process.can_replay().await? {
                healing::replay_once(&*self.process.index.ledger, &*self.process.index.log).await?;
            }
            let enumerating = Arc::clone(&backfills);
            let heartbeat = heartbeat::beside("backfills");
            executing.spawn(heartbeat.drive(async move { Ok(enumerating.run(give_up_after).await?) }));
            let fan_outs = Arc::new(self.fan_outs(&ended));
            let heartbeat = heartbeat::beside("wide fan-outs");
            executing.spawn(heartbeat.drive(async move { Ok(fan_outs.run().await?) }));
            if replays && !self.once {
                let heartbeat = heartbeat::beside("trying held documents again");
                executing.spawn(heartbeat.drive(Arc::clone(&self.process).heal_until(ended.clone())));
            }
            let filling = Filling::new(self.process.index.clone(), ended.clone());
            let (heartbeat, once) = (heartbeat::beside("filling index versions"), self.once);
            executing.spawn(heartbeat.drive(async move { Ok(filling.run(once).await?) }));
            if let (Some(posting), false) = (self.posting(), self.once) {
                let (heartbeat, ended) = (heartbeat::beside("posting matches"), ended.clone());
                executing.spawn(heartbeat.drive(async move { Ok(posting.run(ended).await?) }));
            }
            if let (Some(audits), false) = (self.audits(&ended), self.once) {
                let heartbeat = heartbeat::beside("audits");
                executing.spawn(heartbeat.drive(async move { Ok(audits.run().await?) }));
            }
        }

        let rebuilding = rebuild.run();
        tokio::pin!(rebuilding);
        let mut result = Ok(());
        loop {
            tokio::select! {
                biased;
                end = &mut rebuilding => {
                    result = result.and(end.map_err(RunError::from));
                    break;
                }
                Some(end) = executing.join_next() => {
                    result = result.and(joined(end));
                    if result.is_err() {
                        ended.cancel();
                    }
                }
                () = self.routed.cancelled(), if executing.is_empty() && !drain.is_cancelled() => drain.cancel(),
                () = tenure.revoked().cancelled(), if !ended.is_cancelled() => ended.cancel(),
                () = overdue(&**tenure) => {
                    tracing::warn!("what ran was not done when the share was asked back, and is abandoned");
                    break;
                }
            }
        }
        ended.cancel();
        while let Some(end) = executing.join_next().await {
            result = result.and(joined(end));
        }
        if result.is_ok() && tenure.is_executor() && !tenure.revoked().is_cancelled() {
            backfills.end_rebuilt().await?;
            if let (Some(posting), true) = (self.posting(), self.once) {
                posting.run_once().await?;
            }
        }
        result
    }

    /// Takes the next epoch and proves that the share is still our own; false where it was stopped or revoked before that.
    async fn take_over(&self, tenure: &dyn Tenure) -> Result<bool, RunError> {
        loop {
            heartbeat::beat();
            let taken = async {
                let highest = self.process.index.highest_version().await?;
                let stored = highest.map_or(Epoch::ZERO, DocumentVersion::epoch);
                let epoch = self.process.index.ledger.take_epoch(stored).await?;
                tenure.prove().await?;
                Ok::<_, StateError>(epoch)
            };
            let failure = tokio::select! {
                biased;
                taken = taken => match taken {
                    Ok(epoch) => {
                        self.process.fetches.enter(epoch);
                        self.process.meter.metrics.epoch.set(epoch.get().into());
                        let Process { index, .. } = &*self.process;
                        let name = &index.plan.name;
                        tracing::info!(index = %name, epoch = epoch.get(), version = index.version, "took the index over");
                        return Ok(true);
                    }
                    Err(error) if error.is_of_a_server() && !self.once => error,
                    Err(error) => return Err(error.into()),
                },
                () = self.stop.cancelled() => return Ok(false),
                () = tenure.revoked().cancelled() => return Ok(false),
            };
            tracing::warn!(code = failure.code().id, "{failure}; the takeover waits for it");
            if sleeps_through(TAKEOVER_PAUSE, &self.stop).await {
                return Ok(false);
            }
        }
    }

    fn batches(&self, tenure: &Arc<dyn Tenure>) -> Batches {
        let Process { index, graph, fetches, meter, .. } = &*self.process;
        Batches {
            requests: DocumentRequests::new(Arc::clone(&index.plan)),
            others: index.queries.iter().cloned().map(Beside::new).collect(),
            saved: Watch::new(&index.plan, &index.ledger, meter, self.process.webhook.is_some()),
            plan: Arc::clone(&index.plan),
            graph: Arc::clone(graph),
            tenure: Arc::clone(tenure),
            store: index.store.clone(),
            ledger: index.ledger.clone(),
            fetches: Arc::clone(fetches),
            gone: Mutex::new(GoneGuard::new(index.plan.errors.max_gone)),
            refusals: Mutex::default(),
            unchanged: Unchanged::of(index.live.len()),
            meter: Arc::clone(meter),
        }
    }

    /// The audits that the plan schedules, and those that a gap of a topic may want.
    fn audits(&self, stop: &CancellationToken) -> Option<Audits> {
        let Process { index, graph, endpoints, meter, .. } = &*self.process;
        let unscheduled = || AuditPlan { sample_per_second: None, full: None, ..AuditPlan::default() };
        let plan = index.plan.audit.clone().or_else(|| index.plan.kafka.as_ref().map(|_| unscheduled()))?;
        Some(Audits {
            plan,
            index: index.clone(),
            graph: Arc::clone(graph),
            ids_file: endpoints.ids_file.clone(),
            meter: Arc::clone(meter),
            stop: stop.clone(),
        })
    }

    /// What posts matches of saved searches, where the configuration names a webhook.
    fn posting(&self) -> Option<Posting> {
        let Process { index, webhook, meter, .. } = &*self.process;
        webhook.as_ref().map(|webhook| Posting::new(index, webhook, meter))
    }

    fn fan_outs(&self, stop: &CancellationToken) -> FanOutRuns {
        let Process { index, graph, meter, .. } = &*self.process;
        let give_up_after = self.once.then_some(ONCE_GIVES_UP_AFTER);
        let lookup = |plan: &SourcePlan| {
            let lookup = routing::lookup(index, plan, Arc::clone(graph), give_up_after);
            (plan.name.clone(), Arc::new(Lookup { meter: Arc::clone(meter), ..lookup }))
        };
        FanOutRuns {
            lookups: index.sources.iter().map(lookup).collect(),
            log: index.log.clone(),
            ledger: index.ledger.clone(),
            stop: stop.clone(),
            routed: self.once.then(|| self.routed.clone()),
        }
    }

    fn backfills(&self, stop: &CancellationToken) -> Backfills {
        let Process { index, graph, endpoints, .. } = &*self.process;
        Backfills::over(index, Arc::clone(graph), endpoints.ids_file.clone(), stop.clone())
    }
}

/// Ends when a share was asked back and [`DRAIN`] is over.
async fn overdue(tenure: &dyn Tenure) {
    tenure.revoked().cancelled().await;
    sleep(DRAIN).await;
}

impl Process {
    /// Whether held documents may be tried again: not while the index waits for something, or live changes are behind.
    async fn can_replay(&self) -> Result<bool, StateError> {
        let is_running =
            self.index.ledger.state().await? == IndexState::Running && self.meter.waiting().is_none();
        Ok(is_running && self.index.log.lag(Lane::Live).await? <= healing::WAVE as u64)
    }

    async fn heal_until(self: Arc<Self>, stop: CancellationToken) -> Result<(), RunError> {
        let mut healing = Healing::new();
        while !sleeps_through(healing::POLL, &stop).await {
            heartbeat::beat();
            if self.can_replay().await? {
                healing.step(&*self.index.ledger, &*self.index.log).await?;
            }
        }
        Ok(())
    }
}
