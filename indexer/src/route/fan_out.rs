//! The roots that one batch of events touches, queued as they are found.

use std::collections::HashSet;

use plan::DocumentId;

use super::wishes::Keys;
use crate::{
    StateError,
    log::{Append, Cause, Entry, Lane, ReindexLog},
};

/// Queues roots that aren't queued yet.
pub struct FanOut<'a> {
    log: &'a dyn ReindexLog,
    lane: Lane,
    event_at: Option<i64>,
    max_fanout: u64,
    queued: &'a mut HashSet<DocumentId>,
}

impl<'a> FanOut<'a> {
    /// The fan-out of these keys: in the fastest of their lanes, with the newest of their times.
    pub(super) fn of(
        keys: &Keys,
        max_fanout: u64,
        log: &'a dyn ReindexLog,
        queued: &'a mut HashSet<DocumentId>,
    ) -> Self {
        let lane = keys.iter().map(|(_, lane, _)| *lane).min().unwrap_or(Lane::Live);
        let event_at = keys.iter().filter_map(|(.., at)| *at).max();
        Self { log, lane, event_at, max_fanout, queued }
    }

    /// Queues what isn't queued yet. Past `max_fanout` roots go into the throttled lane and aren't remembered, so that memory
    /// stays flat; a root may be queued twice then.
    pub async fn queue(&mut self, roots: Vec<DocumentId>) -> Result<(), StateError> {
        let mut entries = Vec::new();
        for id in roots {
            let throttled = self.queued.len() as u64 >= self.max_fanout;
            if self.queued.contains(&id) {
                continue;
            }
            if !throttled {
                self.queued.insert(id.clone());
            }
            let lane = if throttled { Lane::Backfill } else { self.lane };
            entries.push(Entry { id, lane, cause: Cause::Lookup, event_at: self.event_at, deleted: false });
        }
        if entries.is_empty() {
            return Ok(());
        }
        self.log.append(Append { entries, ..Append::default() }).await
    }
}
