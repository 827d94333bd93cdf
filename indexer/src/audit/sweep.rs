//! The walk of an audit: page by page, suspects aside until they may be looked at again, memory flat however large the index is.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use plan::{DocumentId, IndexPlan, code::backfill::SS607};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    AuditError, AuditKind, AuditRow, Look, Walk, compare,
    look::{Seen, Sides, Sight},
    report::{Kind, Report},
    suspects::{Arrived, Barrier, LOOKS, Suspect},
};
use crate::{
    Index, StateError,
    backfill::{Backfills, circle::Circle},
    graph::Graph,
    heartbeat,
    ledger::{BackfillIds, IndexState, figures::Meter},
    log::{Append, Cause, Ends, Entry, Lane},
    now_ms,
    rebuild::breaker::Pace,
};

/// Ids of the index that are read at once.
const PAGE: usize = 100;

/// Documents that wait for their second look; then the walk waits, too. About 300 bytes each.
const MOST_SUSPECTS: usize = 1_000;

/// The walk waits where a suspect is older than this: where it stands is remembered only without suspects.
const OLDEST_SUSPECT: Duration = Duration::from_mins(10);

/// Live entries that aren't complete, from which an audit in `run` stands back.
const BUSY: u64 = 200;

/// How often it is asked whether it may go on, and what it waits for is looked at.
const POLL: Duration = Duration::from_secs(1);

/// The first pause after a failure of the gateway. It doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Failures of one request in a row after which each of its documents is asked for alone.
const TRIES: u32 = 3;

/// Failures in a row after which a command gives up: about eight seconds.
const GIVES_UP_AFTER: u32 = 5;

/// Where an audit runs, and so how it stands back.
pub enum Gate {
    /// In a command: somebody waits for it, and it gives up where the gateway doesn't answer.
    Command,
    /// In `run`: everything else goes first, and what is away is waited for.
    Run(Arc<Meter>),
}

/// Looks at an index, one request at a time.
pub struct Auditor {
    index: Index,
    look: Look,
    ids: Backfills,
    pace: Pace,
    gate: Gate,
    confirm_after: Duration,
    repair: bool,
    stop: CancellationToken,
    looked_at: Option<Instant>,
    appended: u64,
    circle: Circle,
}

/// One audit on its way.
pub struct Sweep {
    /// How far it is. What waits for a second look is not in it.
    pub row: AuditRow,
    suspects: Vec<Suspect>,
    /// Ids of the index that may still be looked at; `None`: all of them.
    left: Option<usize>,
    /// Where a sample ends that began in the middle.
    until: Option<DocumentId>,
    /// What it can't tell now, and why, in words.
    pub waits_for: Option<String>,
}

impl Sweep {
    /// Goes on with an audit of everything.
    pub fn full(row: AuditRow) -> Self {
        Self { row, suspects: Vec::new(), left: None, until: None, waits_for: None }
    }

    /// Looks at so many documents of the index, from where the row stands.
    pub fn sample(row: AuditRow, documents: usize) -> Self {
        Self { left: Some(documents), ..Self::full(row) }
    }

    /// As [`Sweep::sample`], and begins anew at the end of the index, up to where it began.
    #[must_use]
    pub fn around(mut self) -> Self {
        match &self.row.walk {
            Walk::Index(after) => self.until.clone_from(after),
            Walk::Graph(_) | Walk::Over => self.row.walk = Walk::Index(None),
        }
        self
    }

    /// Whether nothing waits for a second look, so that the row tells all.
    pub fn is_settled(&self) -> bool {
        self.suspects.is_empty()
    }

    fn is_walked(&self) -> bool {
        self.row.walk == Walk::Over || self.left == Some(0)
    }

    fn must_settle(&self) -> bool {
        let oldest = self.suspects.iter().map(|suspect| suspect.seen_at).min();
        self.suspects.len() >= MOST_SUSPECTS || oldest.is_some_and(|oldest| oldest.elapsed() > OLDEST_SUSPECT)
    }
}

impl Auditor {
    /// Looks over this gateway. With `repair` what differs is appended to the log.
    pub fn new(
        index: &Index,
        graph: Arc<dyn Graph>,
        ids_file: Option<PathBuf>,
        gate: Gate,
        repair: bool,
        stop: CancellationToken,
    ) -> Self {
        let plan: &Arc<IndexPlan> = &index.plan;
        let ids = Backfills::over(index, Arc::clone(&graph), ids_file, stop.clone());
        Self {
            look: Look::new(Arc::clone(plan), graph, index.store.clone()),
            ids,
            pace: Pace::new(plan.backfill.rate_per_second, Instant::now()),
            gate,
            confirm_after: Duration::from_millis(plan.audit.clone().unwrap_or_default().confirm_after_ms),
            repair,
            stop,
            index: index.clone(),
            looked_at: None,
            appended: 0,
            circle: Circle::default(),
        }
    }

    /// Documents that one request is about.
    pub fn batch(&self) -> usize {
        self.look.batch()
    }

    /// Does the next piece of an audit; false when it is done.
    ///
    /// Errors: the index, the log or the ledger fail; a command's gateway doesn't answer; it was stopped.
    pub async fn step(&mut self, sweep: &mut Sweep) -> Result<bool, AuditError> {
        heartbeat::beat();
        if self.stop.is_cancelled() {
            return Err(AuditError::Stopped);
        }
        self.settle(sweep).await?;
        if sweep.is_walked() && sweep.is_settled() {
            if sweep.row.walk == Walk::Over || sweep.row.kind == AuditKind::AskedSample {
                sweep.row.ended_at.get_or_insert_with(now_ms);
            }
            return Ok(false);
        }
        if sweep.is_walked() || sweep.must_settle() {
            let due = sweep.suspects.iter().map(|suspect| suspect.due).min().unwrap_or_else(Instant::now);
            self.unless_stopped(sleep_until(due.min(Instant::now() + POLL))).await?;
            return Ok(true);
        }
        self.walk_on(sweep).await?;
        Ok(true)
    }

    /// Looks at the next page.
    async fn walk_on(&mut self, sweep: &mut Sweep) -> Result<(), AuditError> {
        match sweep.row.walk.clone() {
            Walk::Index(after) => {
                let limit = sweep.left.unwrap_or(PAGE).min(PAGE);
                let mut ids = self.index.store.ids(after.as_ref(), limit).await?;
                let is_last = ids.len() < limit;
                let has_begun_anew = sweep.until.is_some() && after < sweep.until;
                if let Some(until) = sweep.until.as_ref().filter(|_| has_begun_anew) {
                    ids.retain(|id| id <= until);
                }
                let is_around = has_begun_anew && (ids.len() < limit || ids.last() == sweep.until.as_ref());
                let next = ids.last().cloned().or(after);
                if let Some(left) = &mut sweep.left {
                    *left -= ids.len();
                }
                self.look_at_all(sweep, &ids).await?;
                sweep.row.walk = match () {
                    () if is_around => {
                        sweep.left = Some(0);
                        Walk::Index(next)
                    }
                    () if !is_last => Walk::Index(next),
                    () if sweep.until.is_some() => Walk::Index(None),
                    () if sweep.row.kind.is_full() && self.ids.can_enumerate(&BackfillIds::Enumerated) => {
                        Walk::Graph(None)
                    }
                    () => Walk::Over,
                };
            }
            Walk::Graph(cursor) => {
                if cursor.is_none() {
                    self.circle = Circle::default();
                }
                let (ids, mut next) = self.page_of_graph(cursor).await?;
                if next.as_ref().is_some_and(|next| self.circle.closes(&ids, next)) {
                    tracing::warn!(code = SS607.id, "{}: the audit has seen all that they hold", SS607.title);
                    next = None;
                }
                for ids in ids.chunks(PAGE) {
                    let stored = self.index.store.get_many(ids).await?;
                    let live = |id: &DocumentId| {
                        stored.iter().any(|stored| stored.id == *id && stored.body.is_some())
                    };
                    // What the index has was looked at on the way through it.
                    let absent: Vec<DocumentId> = ids.iter().filter(|id| !live(id)).cloned().collect();
                    self.look_at_all(sweep, &absent).await?;
                }
                sweep.row.report.enumerated = true;
                sweep.row.walk = next.map_or(Walk::Over, |next| Walk::Graph(Some(next)));
            }
            Walk::Over => {}
        }
        Ok(())
    }

    async fn page_of_graph(
        &mut self,
        cursor: Option<String>,
    ) -> Result<(Vec<DocumentId>, Option<String>), AuditError> {
        let mut failures = 0;
        loop {
            self.may_go_on().await?;
            let error = match self.ids.ids_after(cursor.clone()).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            failures += 1;
            if matches!(self.gate, Gate::Command) && failures >= GIVES_UP_AFTER {
                return Err(error.into());
            }
            self.pause_after(failures, &error.to_string()).await?;
        }
    }

    /// The first look at documents.
    async fn look_at_all(&mut self, sweep: &mut Sweep, ids: &[DocumentId]) -> Result<(), AuditError> {
        let mut differing = Vec::new();
        for ids in ids.chunks(self.look.batch()) {
            sweep.row.report.looked += ids.len() as u64;
            for sides in self.look_at(ids).await? {
                match sides.seen() {
                    Seen::Equal => self.count(&mut sweep.row.report.equal, "equal"),
                    Seen::Unanswered => self.count(&mut sweep.row.report.unanswered, "unanswered"),
                    Seen::Different(sight) => differing.push((sides.id, sight)),
                }
            }
        }
        if !differing.is_empty() {
            let (seen_at, pause) = (Instant::now(), self.barrier().pause().await?);
            let suspect = |(id, sight)| Suspect::new(id, sight, 1, seen_at, pause);
            sweep.suspects.extend(differing.into_iter().map(suspect));
        }
        Ok(())
    }

    /// Looks again at what is due.
    async fn settle(&mut self, sweep: &mut Sweep) -> Result<(), AuditError> {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut sweep.suspects).into_iter().partition(|suspect| suspect.due <= now);
        sweep.suspects = later;
        sweep.waits_for = None;
        if due.is_empty() {
            return Ok(());
        }
        let (mut arrived, postponed) = self.arrived(due, &mut sweep.row.report).await?;
        if !postponed.is_empty() {
            sweep.waits_for = Some("entries wait in the log that may be about what differs".to_owned());
        }
        sweep.suspects.extend(postponed);
        let mut confirmed = Vec::new();
        while !arrived.is_empty() {
            let batch: Vec<Suspect> = arrived.drain(..arrived.len().min(self.look.batch())).collect();
            let ids: Vec<DocumentId> = batch.iter().map(|suspect| suspect.id.clone()).collect();
            let seen = self.look_at(&ids).await?;
            let pause = self.barrier().pause().await?;
            for (suspect, sides) in batch.into_iter().zip(seen) {
                match sides.seen() {
                    Seen::Equal => self.count(&mut sweep.row.report.equal, "equal"),
                    Seen::Unanswered => self.count(&mut sweep.row.report.unanswered, "unanswered"),
                    // The same on both sides at both looks, and nothing on its way in between: nobody is going to mend it.
                    Seen::Different(sight) if sight == suspect.sight => confirmed.push((sides, sight)),
                    Seen::Different(_) if suspect.looks >= LOOKS => {
                        self.count(&mut sweep.row.report.unsettled, "unsettled");
                    }
                    Seen::Different(sight) => {
                        let Suspect { id, looks, .. } = suspect;
                        sweep.suspects.push(Suspect::new(id, sight, looks + 1, Instant::now(), pause));
                    }
                }
            }
        }
        self.conclude(sweep, confirmed).await
    }

    /// Parts the suspects about which nothing waits in the log from those that are looked at later. What waits for too long, or
    /// for a process that doesn't run, can't be told.
    async fn arrived(
        &self,
        due: Vec<Suspect>,
        report: &mut Report,
    ) -> Result<(Vec<Suspect>, Vec<Suspect>), AuditError> {
        let (mut arrived, mut postponed) = (Vec::new(), Vec::new());
        let now = self.barrier().ends_now().await?;
        let mut known: Vec<(Arc<[Ends; 2]>, Arrived)> = Vec::new();
        for mut suspect in due {
            let ends = suspect.ends.take().unwrap_or_else(|| Arc::clone(&now));
            let answer = known.iter().find(|(known, _)| Arc::ptr_eq(known, &ends)).map(|(_, answer)| *answer);
            let answer = if let Some(answer) = answer {
                answer
            } else {
                let answer = self.barrier().has_arrived(&ends, suspect.seen_at).await?;
                known.push((Arc::clone(&ends), answer));
                answer
            };
            match answer {
                Arrived::Yes => arrived.push(suspect),
                Arrived::NotYet => {
                    suspect.postpone(ends);
                    postponed.push(suspect);
                }
                Arrived::Never => self.count(&mut report.unsettled, "unsettled"),
            }
        }
        Ok((arrived, postponed))
    }

    /// Counts what differs without a cause that is told elsewhere, and repairs it where that is wanted.
    async fn conclude(
        &mut self,
        sweep: &mut Sweep,
        confirmed: Vec<(Sides, Sight)>,
    ) -> Result<(), AuditError> {
        let ids: Vec<DocumentId> = confirmed.iter().map(|(sides, _)| sides.id.clone()).collect();
        let held = self.index.ledger.held_among(&ids).await?.into_iter().map(|held| held.id);
        let held: HashSet<DocumentId> = held.collect();
        let report = &mut sweep.row.report;
        let mut entries = Vec::new();
        for (sides, Sight { kind, .. }) in confirmed {
            if held.contains(&sides.id) {
                self.count(&mut report.unanswered, "unanswered");
                continue;
            }
            let mut differences = Vec::new();
            if let (Kind::Stale, (Some(graph), Some(index))) = (kind, sides.bodies()) {
                differences = compare::differences(&self.index.plan, graph, index);
            }
            self.note(kind.name());
            entries.push(Entry::new(sides.id.clone(), Lane::Backfill, Cause::Audit));
            report.add(sides.id, kind, differences);
        }
        if self.repair && !entries.is_empty() {
            report.repaired += entries.len() as u64;
            self.appended += entries.len() as u64;
            self.index.log.append(Append { entries, ..Append::default() }).await?;
        }
        Ok(())
    }

    /// One look at a batch, as soon as its turn has come. A gateway that fails is asked again, at last for each document alone.
    async fn look_at(&mut self, ids: &[DocumentId]) -> Result<Vec<Sides>, AuditError> {
        let mut failures = 0;
        loop {
            self.may_go_on().await?;
            let alone = ids.len() > 1 && failures >= TRIES;
            let looking =
                async { if alone { self.look.at_each(ids).await } else { self.look.at(ids).await } };
            let looked = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(AuditError::Stopped),
                looked = looking => looked,
            };
            self.pace.spend(ids.len());
            let error = match looked {
                Ok(Ok(sides)) => return Ok(sides),
                Ok(Err(error)) => AuditError::Graph(error),
                Err(error) if error.is_passing() => AuditError::State(error),
                Err(error) => return Err(error.into()),
            };
            failures += 1;
            let is_systemic = matches!(&error, AuditError::Graph(error) if error.is_systemic());
            if matches!(self.gate, Gate::Command) && (is_systemic || failures >= GIVES_UP_AFTER) {
                return Err(error);
            }
            if let AuditError::Graph(failure) = &error
                && let Some(wait) = failure.retry_after()
            {
                self.unless_stopped(sleep(wait.min(LONGEST_PAUSE))).await?;
            }
            self.pause_after(failures, &error.to_string()).await?;
        }
    }

    async fn pause_after(&self, failures: u32, reason: &str) -> Result<(), AuditError> {
        if failures == 1 {
            tracing::warn!("the audit waits: {reason}");
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST_PAUSE);
        self.unless_stopped(heartbeat::waiting(sleep(pause))).await
    }

    /// Waits for its turn: within the rate of backfills, and in `run` behind everything that somebody waits for.
    async fn may_go_on(&mut self) -> Result<(), AuditError> {
        let is_recent = self.looked_at.is_some_and(|at| at.elapsed() < POLL);
        if !is_recent {
            while self.is_busy().await? {
                self.unless_stopped(heartbeat::waiting(sleep(POLL))).await?;
            }
            self.looked_at = Some(Instant::now());
        }
        let batch = self.look.batch();
        while self.pace.allowance(batch, Instant::now()) == 0 {
            let wait = self.pace.wait(batch).unwrap_or(POLL);
            self.unless_stopped(heartbeat::waiting(sleep(wait.max(Duration::from_millis(1))))).await?;
        }
        Ok(())
    }

    async fn is_busy(&self) -> Result<bool, StateError> {
        let Gate::Run(meter) = &self.gate else { return Ok(false) };
        let Index { ledger, log, .. } = &self.index;
        Ok(meter.waiting().is_some()
            || ledger.state().await? != IndexState::Running
            || log.lag(Lane::Live).await? > BUSY
            || log.lag(Lane::Backfill).await? > 0
            || !ledger.open_backfills().await?.is_empty()
            || !ledger.fan_outs().await?.is_empty())
    }

    async fn unless_stopped(&self, wait: impl Future<Output = ()>) -> Result<(), AuditError> {
        self.stop.run_until_cancelled(wait).await.ok_or(AuditError::Stopped)
    }

    fn barrier(&self) -> Barrier<'_> {
        Barrier {
            log: &*self.index.log,
            ledger: &*self.index.ledger,
            confirm_after: self.confirm_after,
            deadline_ms: self.index.plan.graph.deadline_ms,
            works: matches!(self.gate, Gate::Run(_)),
            appended: self.appended,
        }
    }

    fn count(&self, counter: &mut u64, result: &'static str) {
        *counter += 1;
        self.note(result);
    }

    fn note(&self, result: &'static str) {
        if let Gate::Run(meter) = &self.gate {
            meter.metrics.audited(result, 1);
        }
    }
}

impl AuditKind {
    /// A row of this kind that begins now.
    pub fn begin(self) -> AuditRow {
        AuditRow::new(self, now_ms())
    }
}
