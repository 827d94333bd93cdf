//! `audit:` of the plan, done by the one executor: a full audit when its time has come or a source lost records, and a sample
//! all the time.

use std::{path::PathBuf, sync::Arc, time::Duration};

use plan::index_plan::AuditPlan;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{AuditError, AuditKind, AuditRow, Auditor, Gate, Report, Sweep, Walk};
use crate::{Index, StateError, graph::Graph, heartbeat, ledger::figures::Meter, now_ms};

/// How often it is asked what is due.
const POLL: Duration = Duration::from_secs(1);

/// How long what failed is left alone before it is tried again.
const PAUSE: Duration = Duration::from_secs(30);

/// How often it is written where a full audit stands.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// The audits of an index that nobody asks for by hand.
pub(crate) struct Audits {
    pub(crate) plan: AuditPlan,
    pub(crate) index: Index,
    pub(crate) graph: Arc<dyn Graph>,
    pub(crate) ids_file: Option<PathBuf>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) stop: CancellationToken,
}

impl Audits {
    /// Does what is due until it is stopped.
    pub(crate) async fn run(self) -> Result<(), StateError> {
        let mut auditor = self.auditor(self.plan.repair);
        let mut next_sample = Instant::now() + self.between_samples(auditor.batch()).unwrap_or_default();
        loop {
            let worked = match self.full_that_is_due().await? {
                Some(row) if row.kind == AuditKind::AfterGap => self.full(&mut self.auditor(true), row).await,
                Some(row) => self.full(&mut auditor, row).await,
                None => match self.between_samples(auditor.batch()) {
                    Some(pause) if Instant::now() >= next_sample => {
                        next_sample = Instant::now() + pause;
                        self.sample(&mut auditor).await
                    }
                    _ => Ok(()),
                },
            };
            let pause = match worked {
                Ok(()) => POLL,
                Err(AuditError::Stopped) => return Ok(()),
                Err(AuditError::State(error)) if !error.is_of_a_server() => return Err(error),
                Err(error) => {
                    tracing::warn!(code = error.code().id, "the audit goes on later: {error}");
                    PAUSE
                }
            };
            heartbeat::beat();
            if self.stop.run_until_cancelled(heartbeat::waiting(tokio::time::sleep(pause))).await.is_none() {
                return Ok(());
            }
        }
    }

    fn auditor(&self, repair: bool) -> Auditor {
        let (gate, stop) = (Gate::Run(Arc::clone(&self.meter)), self.stop.clone());
        Auditor::new(&self.index, Arc::clone(&self.graph), self.ids_file.clone(), gate, repair, stop)
    }

    /// The time between two samples of one request each.
    fn between_samples(&self, batch: usize) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let seconds = batch as f64 / self.plan.sample_per_second.filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// The full audit that has begun and not ended, or whose time has come; what a gap hides goes first. Of a new index everything is about to be fetched, so
    /// the first one has its time a whole span later.
    async fn full_that_is_due(&self) -> Result<Option<AuditRow>, StateError> {
        let after_gap = self.newest(AuditKind::AfterGap).await?.filter(|row| row.ended_at.is_none());
        let Some(every) = self.plan.full.filter(|_| after_gap.is_none()) else { return Ok(after_gap) };
        let now = now_ms();
        Ok(match self.newest(AuditKind::ScheduledFull).await? {
            None => {
                let baseline = AuditRow {
                    ended_at: Some(now),
                    walk: Walk::Over,
                    ..AuditRow::new(AuditKind::ScheduledFull, now)
                };
                self.index.ledger.save_audit(&baseline).await?;
                None
            }
            Some(row) if row.ended_at.is_none() => Some(row),
            Some(row) if now.saturating_sub(row.started_at) >= every.milliseconds() => {
                Some(AuditKind::ScheduledFull.begin())
            }
            Some(_) => None,
        })
    }

    async fn newest(&self, kind: AuditKind) -> Result<Option<AuditRow>, StateError> {
        Ok(self.index.ledger.audits().await?.into_iter().find(|row| row.kind == kind))
    }

    async fn full(&self, auditor: &mut Auditor, row: AuditRow) -> Result<(), AuditError> {
        tracing::info!(index = %self.index.plan.name, "a full audit begins, or goes on");
        let mut sweep = Sweep::full(row);
        let mut saved = Instant::now();
        self.index.ledger.save_audit(&sweep.row).await?;
        while auditor.step(&mut sweep).await? {
            if sweep.is_settled() && saved.elapsed() >= CHECKPOINT {
                self.index.ledger.save_audit(&sweep.row).await?;
                saved = Instant::now();
            }
        }
        self.index.ledger.save_audit(&sweep.row).await?;
        self.tell("full audit", &sweep.row.report);
        Ok(())
    }

    /// One request's documents more of this round, or the first of a new one.
    async fn sample(&self, auditor: &mut Auditor) -> Result<(), AuditError> {
        let row = self.newest(AuditKind::ScheduledSample).await?.filter(|row| row.ended_at.is_none());
        let row = row.unwrap_or_else(|| AuditKind::ScheduledSample.begin());
        let before = row.report.clone();
        let mut sweep = Sweep::sample(row, auditor.batch());
        while auditor.step(&mut sweep).await? {}
        self.index.ledger.save_audit(&sweep.row).await?;
        if sweep.row.report.different() > before.different() {
            self.tell("audited sample", &sweep.row.report);
        }
        Ok(())
    }

    fn tell(&self, what: &str, report: &Report) {
        let Report { looked, missing, stale, ghosts, repaired, .. } = report;
        let index = &self.index.plan.name;
        if report.different() == 0 {
            tracing::info!(%index, "the {what} of {looked} documents found no difference");
        } else {
            tracing::warn!(
                %index,
                "the {what} of {looked} documents found {missing} missing, {stale} stale and {ghosts} ghosts; \
                 {repaired} are fetched anew"
            );
        }
    }
}
