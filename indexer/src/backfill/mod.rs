//! Backfills: ids are enumerated into the backfill lane, quickly and cheaply; the lane is consumed at its pace.
//!
//! Each step appends a page of ids and then saves the cursor. After a crash between the two the page is appended again, which
//! costs at most one fetch an id and loses nothing.

mod enumerate;

use std::{path::PathBuf, sync::Arc, time::Duration};

use plan::{IndexPlan, code::backfill as codes};
use tokio_util::sync::CancellationToken;

use self::enumerate::{Page, Refused};
use crate::{
    StateError,
    graph::Graph,
    ledger::{Backfill, BackfillIds, BackfillState, Ledger},
    log::{Append, Cause, DeadLetter, Entry, Lane, ReindexLog},
    now_ms,
    store::Store,
};

/// How often the ledger is asked for new backfills.
const POLL: Duration = Duration::from_millis(500);

/// How long a failed page is left alone.
const RETRY: Duration = Duration::from_secs(2);

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
    /// The backfills.
    pub ledger: Arc<dyn Ledger>,
    /// Stop.
    pub stop: CancellationToken,
}

impl Backfills {
    /// Works on backfills until it is stopped, or with `once` until every backfill that is there is enumerated.
    pub async fn run(&self, once: bool) -> Result<(), StateError> {
        loop {
            let mut enumerating = false;
            for backfill in self.ledger.backfills().await? {
                match backfill.state {
                    BackfillState::Enumerating => {
                        self.enumerate(backfill).await?;
                        enumerating = true;
                    }
                    BackfillState::Rebuilding => self.end_if_rebuilt(backfill).await?,
                    BackfillState::Done | BackfillState::Failed => {}
                }
            }
            if self.stop.is_cancelled() || (once && !enumerating) {
                return Ok(());
            }
            if !enumerating {
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = self.stop.cancelled() => return Ok(()),
                }
            }
        }
    }

    /// Ends every backfill whose ids are all rebuilt. Called once more after a `--once` run has drained the lanes.
    pub async fn end_rebuilt(&self) -> Result<(), StateError> {
        for backfill in self.ledger.backfills().await? {
            if backfill.state == BackfillState::Rebuilding {
                self.end_if_rebuilt(backfill).await?;
            }
        }
        Ok(())
    }

    async fn end_if_rebuilt(&self, backfill: Backfill) -> Result<(), StateError> {
        if self.log.committed(Lane::Backfill).await? >= backfill.last_position {
            let (state, ended_at) = (BackfillState::Done, Some(now_ms()));
            self.ledger.save_backfill(&Backfill { state, ended_at, ..backfill }).await?;
        }
        Ok(())
    }

    /// Appends one page of ids and saves how far that is.
    async fn enumerate(&self, mut backfill: Backfill) -> Result<(), StateError> {
        let page = match &backfill.ids {
            BackfillIds::Given(ids) => Ok(Page { ids: ids.clone(), refused: Vec::new(), next: None }),
            BackfillIds::Enumerated => self.next_page(&backfill).await,
        };
        match page {
            Ok(page) => {
                backfill.enumerated += page.ids.len() as u64;
                let cause = match backfill.ids {
                    BackfillIds::Given(_) => Cause::Person,
                    BackfillIds::Enumerated => Cause::Backfill,
                };
                let entry = |id| Entry { id, lane: Lane::Backfill, cause, event_at: None, deleted: false };
                let entries = page.ids.into_iter().map(entry).collect();
                let letter = |refused: Refused| DeadLetter {
                    source: format!("backfill {}", backfill.number),
                    position: refused.place,
                    code: codes::SS603,
                    reason: refused.reason,
                    record: refused.value,
                };
                let dead_letters = page.refused.into_iter().map(letter).collect();
                self.log.append(Append { entries, dead_letters, progress: None }).await?;
                backfill.last_position = self.log.end(Lane::Backfill).await?;
                backfill.error = None;
                if page.next.is_none() {
                    backfill.state = BackfillState::Rebuilding;
                }
                backfill.cursor = page.next;
                self.ledger.save_backfill(&backfill).await
            }
            Err(failure) => {
                tracing::warn!(backfill = backfill.number, "{}", failure.reason);
                backfill.error = Some(failure.reason);
                if failure.is_final {
                    backfill.state = BackfillState::Failed;
                    backfill.ended_at = Some(now_ms());
                }
                self.ledger.save_backfill(&backfill).await?;
                tokio::select! {
                    () = tokio::time::sleep(RETRY) => {}
                    () = self.stop.cancelled() => {}
                }
                Ok(())
            }
        }
    }
}
