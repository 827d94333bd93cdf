//! Documents that differed at the last look, each with the moment from which a second look may say something.

use std::{sync::Arc, time::Duration};

use plan::DocumentId;
use tokio::time::Instant;

use super::look::Sight;
use crate::{
    StateError,
    ledger::{Ledger, longest_deadline},
    log::{Ends, Lane, ReindexLog},
};

/// Looks at one document before it counts as changing all the time.
pub(super) const LOOKS: u32 = 5;

/// How long the log is waited for. An index that is further behind says nothing about itself.
const LAG_PATIENCE: Duration = Duration::from_mins(10);

/// How often a lane that isn't complete yet is looked at again.
const LAG_POLL: Duration = Duration::from_secs(1);

/// A document that differed.
pub(super) struct Suspect {
    pub(super) id: DocumentId,
    /// What was seen.
    pub(super) sight: Sight,
    /// How often it was looked at.
    pub(super) looks: u32,
    /// When.
    pub(super) seen_at: Instant,
    /// When it may be looked at again.
    pub(super) due: Instant,
    /// Where the lanes ended when that moment had come. What stands before it is to be complete first.
    pub(super) ends: Option<Arc<[Ends; 2]>>,
}

/// Whether everything that was on its way to a document has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It has.
    Yes,
    /// Not yet.
    NotYet,
    /// It will not for long: entries wait in the log.
    Never,
}

/// What everybody waits for.
pub(crate) struct Barrier<'a> {
    pub(crate) log: &'a dyn ReindexLog,
    pub(crate) ledger: &'a dyn Ledger,
    /// `audit.confirm_after`.
    pub(crate) confirm_after: Duration,
    /// `graph.deadline` of the plan.
    pub(crate) deadline_ms: u64,
    /// Whether this process works on the index itself. What it is to tell of that, it has perhaps not told yet.
    pub(crate) works: bool,
    /// Entries that the audit itself appended. Where nobody works they are still there, and say nothing of what else differs.
    pub(crate) appended: u64,
}

impl Barrier<'_> {
    /// How long after a look everything that it should have seen is in the log: `confirm_after` for the event to come, and the
    /// deadline for the barrier of its lookup. Where no process runs, nothing is on its way.
    pub(crate) async fn pause(&self) -> Result<Duration, StateError> {
        let figures = self.ledger.figures().await?;
        if figures.is_empty() && !self.works {
            return Ok(Duration::ZERO);
        }
        Ok(self.confirm_after + Duration::from_millis(longest_deadline(&figures, self.deadline_ms)))
    }

    /// Where the lanes end now.
    pub(crate) async fn ends_now(&self) -> Result<Arc<[Ends; 2]>, StateError> {
        Ok(Arc::new([self.log.ends(Lane::Live).await?, self.log.ends(Lane::Backfill).await?]))
    }

    /// Whether the entries up to there are complete, for what was seen at this time.
    pub(crate) async fn has_arrived(
        &self,
        ends: &[Ends; 2],
        seen_at: Instant,
    ) -> Result<Arrived, StateError> {
        let mut waiting = 0;
        for lane in Lane::ALL {
            waiting += self.log.lag_through(lane, &ends[lane.number()]).await?;
        }
        // What is asked for and not in the lane yet.
        let is_fanning_out = !self.ledger.fan_outs().await?.is_empty();
        if waiting == 0 && !is_fanning_out {
            return Ok(Arrived::Yes);
        }
        let nobody_works = !self.works && self.ledger.figures().await?.is_empty();
        let is_late = seen_at.elapsed() > LAG_PATIENCE;
        Ok(match () {
            () if nobody_works && !is_fanning_out && waiting <= self.appended => Arrived::Yes,
            () if nobody_works || is_late => Arrived::Never,
            () => Arrived::NotYet,
        })
    }
}

impl Suspect {
    /// A document that differed in this way just now, for the first time or once more.
    pub(super) fn new(id: DocumentId, sight: Sight, looks: u32, seen_at: Instant, pause: Duration) -> Self {
        Self { id, sight, looks, seen_at, due: seen_at + pause, ends: None }
    }

    /// Looks again later, because the log isn't complete up to there.
    pub(super) fn postpone(&mut self, ends: Arc<[Ends; 2]>) {
        self.ends = Some(ends);
        self.due = Instant::now() + LAG_POLL;
    }
}
