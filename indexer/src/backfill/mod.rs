//! Backfills: ids are enumerated into the backfill lane, quickly and cheaply; the lane is consumed at its pace.
//!
//! Each step appends a page of ids and then saves the cursor. After a crash between the two the page is appended again, which
//! costs at most one fetch an id and loses nothing.

mod enumerate;

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use plan::{DocumentId, IndexPlan, code::backfill as codes, index_plan::IdSource};
use search::Searcher;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::enumerate::{Failure, Page, Refused};
use crate::{
    StateError,
    graph::{Graph, GraphError},
    heartbeat,
    ledger::{Backfill, BackfillIds, BackfillState, Ledger},
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
    /// The file under `backfill.ids.file`.
    pub ids_file: Option<PathBuf>,
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
}

impl Backfills {
    /// Works on backfills until it is stopped, or with `give_up_after` until every backfill that is there is enumerated or has
    /// failed that often in a row.
    pub async fn run(&self, give_up_after: Option<u32>) -> Result<(), BackfillError> {
        let mut troubles: HashMap<i64, Trouble> = HashMap::new();
        loop {
            heartbeat::beat();
            let (mut enumerating, mut moved) = (false, false);
            for backfill in self.ledger.open_backfills().await? {
                if backfill.state != BackfillState::Enumerating {
                    self.end_if_rebuilt(backfill).await?;
                    continue;
                }
                enumerating = true;
                let number = backfill.number;
                if troubles.get(&number).is_some_and(|trouble| Instant::now() < trouble.until) {
                    continue;
                }
                let Some(failure) = self.enumerate(backfill).await? else {
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
            if self.stop.is_cancelled() || (give_up_after.is_some() && !enumerating) {
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
    pub(crate) fn can_enumerate(&self) -> bool {
        matches!(self.plan.backfill.ids, Some(IdSource::Query(_) | IdSource::File))
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
        for backfill in self.ledger.open_backfills().await? {
            if backfill.state == BackfillState::Rebuilding {
                self.end_if_rebuilt(backfill).await?;
            }
        }
        Ok(())
    }

    async fn end_if_rebuilt(&self, backfill: Backfill) -> Result<(), StateError> {
        if self.log.lag_through(Lane::Backfill, &backfill.through).await? == 0 {
            let (state, ended_at) = (BackfillState::Done, Some(now_ms()));
            self.ledger.save_backfill(&Backfill { state, ended_at, ..backfill }).await?;
        }
        Ok(())
    }

    /// Appends one page of ids and saves how far that is. Gives what is to be tried again.
    async fn enumerate(&self, mut backfill: Backfill) -> Result<Option<Failure>, StateError> {
        let asked = match &backfill.ids {
            BackfillIds::Given(ids) => Ok(Page { ids: ids.clone(), refused: Vec::new(), next: None }),
            BackfillIds::Enumerated | BackfillIds::Found(_) => {
                let Some(page) = self.stop.run_until_cancelled(self.next_page(&backfill)).await else {
                    return Ok(None);
                };
                page
            }
        };
        match asked {
            Ok(page) => {
                backfill.enumerated += page.ids.len() as u64;
                let cause = match backfill.ids {
                    BackfillIds::Given(_) => Cause::Person,
                    BackfillIds::Enumerated | BackfillIds::Found(_) => Cause::Backfill,
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
                backfill.cursor = page.next;
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
