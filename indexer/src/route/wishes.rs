//! What records ask for: roots to rebuild at once, and keys of related entities to look up.

use plan::{DocumentId, IdKind, Record, SourcePlan, filter::Filter, index_plan::SnapshotReads};

use super::event::{Change, Event, EventError};
use crate::{
    log::{Cause, Entry, Lane},
    metrics::Skip,
};

/// The keys of related entities with the lane and the time of their events.
pub type Keys = Vec<(DocumentId, Lane, Option<i64>)>;

/// What records of one source ask for.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Roots that the records name.
    pub entries: Vec<Entry>,
    /// Keys of related entities. None are collected for a source that looks nothing up.
    pub keys: Keys,
    /// Whether a table was truncated. Which rows it had, nobody tells.
    pub is_truncated: bool,
}

impl Wishes {
    /// Adds what one record asks for, all or nothing. Says why it asks for nothing, if it does.
    pub fn add(
        &mut self,
        source: &SourcePlan,
        root_kind: IdKind,
        filter: Option<&Filter>,
        record: &Record,
    ) -> Result<Option<Skip>, EventError> {
        let event = Event::read(source.format, record)?;
        let lane = match (event.change, source.snapshot_reads) {
            (Change::Nothing, _) => return Ok(Some(Skip::Connector)),
            (Change::SnapshotRead, SnapshotReads::Ignore) => return Ok(Some(Skip::Snapshot)),
            (Change::Truncate, _) => {
                self.is_truncated = true;
                return Ok(None);
            }
            (Change::SnapshotRead, SnapshotReads::Backfill) => Lane::Backfill,
            _ => Lane::Live,
        };
        if filter.is_some_and(|filter| !event.passes(filter)) {
            return Ok(Some(Skip::Filter));
        }
        let ids = source.id.as_ref().map_or(Ok(Vec::new()), |path| event.ids(path, source.id_kind))?;
        let named = source.root_id.as_ref().map_or(Ok(Vec::new()), |path| event.ids(path, root_kind))?;
        let path = source.id.as_ref().or(source.root_id.as_ref());
        if let Some(path) = path.filter(|_| event.is_deleted_row() && ids.is_empty() && named.is_empty()) {
            return Err(EventError::KeyOnly { path: path.to_string() });
        }
        let skip = (ids.is_empty() && named.is_empty()).then_some(Skip::NoId);
        let deleted = source.is_root && event.change == Change::Delete;
        let roots = if source.is_root { &ids[..] } else { &[] };
        self.entries.extend(roots.iter().chain(&named).map(|id| Entry {
            id: id.clone(),
            lane,
            cause: Cause::Event,
            event_at: event.at,
            deleted,
        }));
        if !source.reverse_lookup.is_empty() || source.back_reference.is_some() {
            self.keys.extend(ids.into_iter().map(|id| (id, lane, event.at)));
        }
        Ok(skip)
    }
}
