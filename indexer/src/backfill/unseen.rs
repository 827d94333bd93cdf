//! What an enumeration did not see: documents of the index that nothing fetched since it began. They are appended, too, and the
//! fetch decides; so a full backfill leaves no ghosts.
//!
//! No set of ids is kept. Once every id that was enumerated is rebuilt, its document has a version of a fetch that began later than
//! the enumeration, or it is held. What still has an older one was not enumerated.

use plan::{DocumentId, DocumentVersion};
use search::StoredDocument;
use serde::{Deserialize, Serialize};

use super::Backfills;
use crate::{
    StateError,
    ledger::{Backfill, BackfillState},
    log::{Append, Cause, Entry, Lane},
    now_ms,
};

/// Documents of the index that are read at once, with their bodies.
const PAGE: usize = 200;

/// How far the clocks of several processes may be apart, in milliseconds. What is fetched in this time is fetched twice.
pub(super) const CLOCKS_APART: i64 = 1_000;

/// Where a full backfill goes on, as its row keeps it in place of a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The highest version in the index before the first page.
    before: DocumentVersion,
    /// A fetch that began later than this read the graph after the enumeration began, milliseconds of Unix time.
    begun_at: i64,
    /// The cursor of the next page of ids; `None` before the first, and after the last.
    pub(super) ids: Option<String>,
    /// The document of the index that was looked at last.
    looked_at: Option<DocumentId>,
}

impl Mark {
    /// The mark of a row; `None` where it has none, as a row that an older program wrote.
    pub(super) fn of(backfill: &Backfill) -> Option<Self> {
        serde_json::from_str(backfill.cursor.as_deref()?).ok()
    }

    /// As a row keeps it, with the cursor of the next page.
    pub(super) fn at(self, ids: Option<String>) -> String {
        serde_json::to_string(&Self { ids, ..self }).expect("a mark has string keys only")
    }

    /// Whether a document's fetch began before the enumeration did. A fetch that was under way then has a higher version than
    /// anything that was stored, and one of a process of an older epoch a lower one: of both, the time tells. Within an epoch the
    /// version does, too, whatever has become of the clock.
    fn is_older(&self, document: &StoredDocument) -> bool {
        let is_of_epoch = document.version.epoch() == self.before.epoch();
        (is_of_epoch && document.version <= self.before) || document.fetched_at_ms <= self.begun_at
    }
}

impl Backfills {
    /// The mark of a full backfill that begins; `None` where there is nothing that it could miss.
    pub(super) async fn begin(&self, backfill: &Backfill) -> Result<Option<Mark>, StateError> {
        if !backfill.ids.is_full() || !self.can_enumerate(&backfill.ids) {
            return Ok(None);
        }
        let before = self.store.highest_version().await?;
        let begun_at = now_ms() + self.clocks_apart;
        Ok(before.map(|before| Mark { before, begun_at, ids: None, looked_at: None }))
    }

    /// Takes the next step with a backfill whose ids are all in the lane: waits for them, looks for what they don't name, ends it.
    pub(super) async fn go_on(&self, mut backfill: Backfill) -> Result<Step, StateError> {
        let lag = self.log.lag_through(Lane::Backfill, &backfill.through).await?;
        let Some(mut mark) = Mark::of(&backfill) else {
            if lag > 0 {
                return Ok(Step::Rebuilds);
            }
            let (state, ended_at) = (BackfillState::Done, Some(now_ms()));
            self.ledger.save_backfill(&Backfill { state, ended_at, error: None, ..backfill }).await?;
            return Ok(Step::Moved);
        };
        if mark.looked_at.is_none() && lag > 0 {
            return Ok(Step::Enumerated);
        }
        let page = match self.store.scan(mark.looked_at.as_ref(), PAGE).await {
            Err(error) if error.is_passing() => {
                self.ledger.save_backfill(&Backfill { error: Some(error.to_string()), ..backfill }).await?;
                return Ok(Step::Enumerated);
            }
            page => page?,
        };
        let unseen = self.unseen(&mark, &page).await?;
        if !unseen.is_empty() {
            backfill.enumerated += unseen.len() as u64;
            let entry = |id| Entry::new(id, Lane::Backfill, Cause::Backfill);
            let entries = unseen.into_iter().map(entry).collect();
            self.log.append(Append { entries, ..Append::default() }).await?;
            backfill.through = self.log.ends(Lane::Backfill).await?;
        }
        mark.looked_at = page.last().map(|document| document.id.clone());
        backfill.cursor = (page.len() == PAGE).then(|| mark.at(None));
        backfill.error = None;
        self.ledger.save_backfill(&backfill).await?;
        Ok(Step::Moved)
    }

    /// Those of these documents that nothing fetched since the enumeration began. What is held is fetched again anyway.
    async fn unseen(&self, mark: &Mark, page: &[StoredDocument]) -> Result<Vec<DocumentId>, StateError> {
        let older = page.iter().filter(|document| mark.is_older(document));
        let mut older: Vec<DocumentId> = older.map(|document| document.id.clone()).collect();
        if older.is_empty() {
            return Ok(older);
        }
        let held = self.ledger.held_among(&older).await?;
        older.retain(|id| held.iter().all(|held| held.id != *id));
        Ok(older)
    }
}

/// How a step of a backfill ended whose ids are all in the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is further, or it has ended.
    Moved,
    /// Its ids are being rebuilt; then the index is looked through.
    Enumerated,
    /// Its last ids are being rebuilt.
    Rebuilds,
}
