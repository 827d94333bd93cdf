//! Backfills: ids are enumerated into the backfill lane, quickly and cheaply; the lane is consumed at its pace.
//!
//! Each step appends a page of ids and then saves the cursor. After a crash between the two the page is appended again, which
//! costs at most one fetch an id and loses nothing.

pub(crate) mod circle;
mod enumerate;
pub mod estimate;
#[cfg(feature = "kafka")]
mod topic;
mod unseen;

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use plan::{
    DocumentId, IndexPlan,
    code::backfill as codes,
    index_plan::{IdSource, IdTopic},
};
use search::Searcher;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::{
    circle::Circle,
    enumerate::{Failure, Page, Refused},
    unseen::{CLOCKS_APART, Mark, Step},
};
#[cfg(feature = "kafka")]
use crate::kafka::Topics;
use crate::{
    Index, StateError,
    graph::{Graph, GraphError},
    heartbeat,
    index::OtherQuery,
    ledger::{
        Backfill, BackfillIds, BackfillState, Ledger,
        figures::{LaneWait, slowest_lane},
        versions::VersionState,
    },
    log::{Append, Cause, DeadLetter, Entry, Lane, ReindexLog},
    now_ms,
    source::SourceError,
    store::Store,
};

/// How often the ledger is asked for new backfills.
const POLL: Duration = Duration::from_millis(500);

/// How long a page that failed is left alone. It doubles at each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two tries of a page.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why backfills are worked on no further.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// With `--once`: the gateway didn't answer for long.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// With `--once`: the ids file could not be read for long.
    #[error(transparent)]
    File(SourceError),
}

/// Takes up the backfills that the ledger names.
pub struct Backfills {
    /// The plan.
    pub plan: Arc<IndexPlan>,
    /// The queries that are fetched beside it.
    pub queries: Vec<OtherQuery>,
    /// The file under `backfill.ids.file`.
    pub ids_file: Option<PathBuf>,
    /// The brokers, for `ids: { topic: … }`.
    #[cfg(feature = "kafka")]
    topics: Option<Topics>,
    /// The gateway.
    pub graph: Arc<dyn Graph>,
    /// The reindex log.
    pub log: Arc<dyn ReindexLog>,
    /// The index, for `ids: { index: true }`.
    pub store: Arc<dyn Store>,
    /// Searches of the index, for backfills of what a filter finds.
    pub searcher: Arc<dyn Searcher>,
    /// The backfills.
    pub ledger: Arc<dyn Ledger>,
    /// Stop.
    pub stop: CancellationToken,
    /// How far the clocks of those who fetch may be apart from ours, in milliseconds.
    clocks_apart: i64,
}

impl Backfills {
    /// The backfills of an index, over this gateway.
    pub fn over(
        index: &Index,
        graph: Arc<dyn Graph>,
        ids_file: Option<PathBuf>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            plan: Arc::clone(&index.plan),
            queries: index.queries.clone(),
            ids_file,
            #[cfg(feature = "kafka")]
            topics: index.place.kafka.as_ref().map(Topics::new),
            graph,
            log: index.log.clone(),
            store: index.store.clone(),
            searcher: index.searcher.clone(),
            ledger: index.ledger.clone(),
            stop,
            clocks_apart: if index.state().is_some() { 0 } else { CLOCKS_APART },
        }
    }

    /// Works on backfills until it is stopped, or with `give_up_after` until every backfill that is there is enumerated or has
    /// failed that often in a row.
    pub async fn run(&self, give_up_after: Option<u32>) -> Result<(), BackfillError> {
        let mut troubles: HashMap<i64, Trouble> = HashMap::new();
        let mut circles: HashMap<i64, Circle> = HashMap::new();
        loop {
            heartbeat::beat();
            let (mut enumerating, mut moved, mut unseen) = (false, false, false);
            for backfill in self.ledger.open_backfills().await? {
                if backfill.state != BackfillState::Enumerating {
                    circles.remove(&backfill.number);
                    match self.go_on(backfill).await? {
                        Step::Moved => moved = true,
                        Step::Enumerated => unseen = true,
                        Step::Rebuilds => {}
                    }
                    continue;
                }
                enumerating = true;
                let number = backfill.number;
                match self.may_begin(&backfill).await? {
                    Begin::Now => {}
                    Begin::Later => continue,
                    Begin::Never(reason) => {
                        let (state, ended_at) = (BackfillState::Failed, Some(now_ms()));
                        let failed = Backfill { state, ended_at, error: Some(reason), ..backfill };
                        self.ledger.save_backfill(&failed).await?;
                        moved = true;
                        continue;
                    }
                }
                if troubles.get(&number).is_some_and(|trouble| Instant::now() < trouble.until) {
                    continue;
                }
                let circle = circles.entry(number).or_default();
                let Some(failure) = self.enumerate(backfill, circle).await? else {
                    troubles.remove(&number);
                    moved = true;
                    continue;
                };
                let trouble = troubles.entry(number).or_default();
                trouble.note(failure.retry_after());
                if give_up_after.is_some_and(|most| trouble.failures >= most || failure.is_systemic()) {
                    return Err(failure.into());
                }
            }
            if self.stop.is_cancelled() {
                return Ok(());
            }
            // What was not seen is rebuilt by this run, too, unless the lane is shut.
            let goes_on = enumerating || moved || (unseen && self.is_lane_open().await?);
            if give_up_after.is_some() && !goes_on {
                return Ok(());
            }
            if !moved {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        }
    }

    /// Whether the plan names a place that tells the ids of the graph.
    pub(crate) fn can_enumerate(&self, ids: &BackfillIds) -> bool {
        matches!(self.id_source(ids), Some(IdSource::Query(_) | IdSource::File | IdSource::Topic(_)))
    }

    /// Where the ids of a backfill come from that names none: by the plan of the version that it fills, else by the served one.
    fn id_source(&self, ids: &BackfillIds) -> Option<&IdSource> {
        let filled = match ids {
            BackfillIds::IntoVersion(number) => {
                self.queries.iter().find(|query| query.versions.contains(number)).map(|query| &query.plan)
            }
            BackfillIds::Enumerated | BackfillIds::Given(_) | BackfillIds::Found(_) => None,
        };
        filled.unwrap_or(&self.plan).backfill.ids.as_ref()
    }

    /// Whether a backfill may begin: what it fetched for a version before every process writes it would be lost there.
    async fn may_begin(&self, backfill: &Backfill) -> Result<Begin, StateError> {
        let BackfillIds::IntoVersion(number) = backfill.ids else { return Ok(Begin::Now) };
        let states = self.ledger.version_states().await?;
        let state = states.into_iter().find(|(known, _)| *known == number).map(|(_, state)| state);
        Ok(match state {
            Some(VersionState::Building) => Begin::Later,
            Some(state) if state.is_live() => Begin::Now,
            Some(state) => Begin::Never(format!("index version {number} is {}", state.name())),
            None => Begin::Never(format!("there is no index version {number} any more")),
        })
    }

    /// How many records a topic of ids holds now.
    #[cfg(feature = "kafka")]
    async fn records(&self, of: &IdTopic) -> Result<u64, Failure> {
        let Some(topics) = &self.topics else { return Err(Failure::Nowhere) };
        Ok(topic::records(topics, of).await?)
    }

    /// Without Kafka there are no topics.
    #[cfg(not(feature = "kafka"))]
    async fn records(&self, _: &IdTopic) -> Result<u64, Failure> {
        Err(Failure::Nowhere)
    }

    /// Whether the backfill lane goes on: neither a person nor a window holds all of it back.
    async fn is_lane_open(&self) -> Result<bool, StateError> {
        let waits = slowest_lane(&self.ledger.figures().await?).and_then(|lane| lane.waits);
        Ok(!matches!(waits, Some(LaneWait::Paused | LaneWait::Window)))
    }

    /// A page of the graph's ids from a cursor on, and the cursor of the next one; what is no id is left out.
    pub(crate) async fn ids_after(
        &self,
        cursor: Option<String>,
    ) -> Result<(Vec<DocumentId>, Option<String>), BackfillError> {
        let page = self.next_page(&Backfill { cursor, ..Backfill::new(0, BackfillIds::Enumerated) }).await?;
        Ok((page.ids, page.next))
    }

    /// Ends every backfill whose ids are all rebuilt. Called once more after a `--once` run has drained the lanes.
    pub async fn end_rebuilt(&self) -> Result<(), StateError> {
        loop {
            let mut moved = false;
            for backfill in self.ledger.open_backfills().await? {
                let is_rebuilding = backfill.state == BackfillState::Rebuilding;
                moved |= is_rebuilding && self.go_on(backfill).await? == Step::Moved;
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// Appends one page of ids and saves how far that is. Gives what is to be tried again.
    async fn enumerate(
        &self,
        mut backfill: Backfill,
        circle: &mut Circle,
    ) -> Result<Option<Failure>, StateError> {
        let asked = match &backfill.ids {
            BackfillIds::Given(ids) => Ok((Page { ids: ids.clone(), refused: Vec::new(), next: None }, None)),
            BackfillIds::Enumerated | BackfillIds::IntoVersion(_) | BackfillIds::Found(_) => {
                let paged = self.stop.run_until_cancelled(self.page_of(&backfill, circle));
                let Some(page) = paged.await else { return Ok(None) };
                page
            }
        };
        match asked {
            Ok((page, mark)) => {
                backfill.enumerated += page.ids.len() as u64;
                let cause = match backfill.ids {
                    BackfillIds::Given(_) => Cause::Person,
                    BackfillIds::Enumerated | BackfillIds::IntoVersion(_) | BackfillIds::Found(_) => {
                        Cause::Backfill
                    }
                };
                let entries = page.ids.into_iter().map(|id| Entry::new(id, Lane::Backfill, cause)).collect();
                let letter = |refused: Refused| DeadLetter {
                    source: format!("backfill {}", backfill.number),
                    position: refused.place,
                    code: codes::SS603,
                    reason: refused.reason,
                    record: refused.value,
                    original: None,
                };
                let dead_letters = page.refused.into_iter().map(letter).collect();
                self.log.append(Append { entries, dead_letters, ..Append::default() }).await?;
                backfill.through = self.log.ends(Lane::Backfill).await?;
                backfill.error = None;
                if page.next.is_none() {
                    backfill.state = BackfillState::Rebuilding;
                }
                backfill.cursor = match mark {
                    Some(mark) => Some(mark.at(page.next)),
                    None => page.next,
                };
                self.ledger.save_backfill(&backfill).await?;
                Ok(None)
            }
            Err(failure) => {
                let reason = failure.to_string();
                if backfill.error.as_ref() != Some(&reason) {
                    tracing::warn!(backfill = backfill.number, "{reason}");
                }
                backfill.error = Some(reason);
                if failure.is_final() {
                    backfill.state = BackfillState::Failed;
                    backfill.ended_at = Some(now_ms());
                }
                self.ledger.save_backfill(&backfill).await?;
                Ok(Some(failure).filter(|failure| !failure.is_final()))
            }
        }
    }
}

impl Backfills {
    /// The next page of a backfill, and the mark of a full one.
    async fn page_of(
        &self,
        backfill: &Backfill,
        circle: &mut Circle,
    ) -> Result<(Page, Option<Mark>), Failure> {
        let mark = match &backfill.cursor {
            None => self.begin(backfill).await?,
            Some(_) => Mark::of(backfill),
        };
        let cursor = mark.as_ref().map_or_else(|| backfill.cursor.clone(), |mark| mark.ids.clone());
        let page = self.next_page(&Backfill { cursor, ..backfill.clone() }).await?;
        let is_asked =
            backfill.ids.is_full() && matches!(self.id_source(&backfill.ids), Some(IdSource::Query(_)));
        match &page.next {
            Some(next) if is_asked && circle.closes(&page.ids, next) => Err(Failure::Circle),
            _ => Ok((page, mark)),
        }
    }
}

/// When a backfill may begin.
enum Begin {
    Now,
    /// Some process doesn't write yet what it fills.
    Later,
    /// What it was to fill is written no more.
    Never(String),
}

/// A backfill whose page failed.
struct Trouble {
    failures: u32,
    until: Instant,
}

impl Default for Trouble {
    fn default() -> Self {
        Self { failures: 0, until: Instant::now() }
    }
}

impl Trouble {
    fn note(&mut self, retry_after: Option<Duration>) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.until = Instant::now() + pause.max(retry_after.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
