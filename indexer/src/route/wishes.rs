//! What records ask for: roots to rebuild at once, and keys of related entities to look up.

use plan::{DocumentId, IdKind, Record, SourcePlan, filter::Filter, index_plan::SnapshotReads};

use super::event::{Change, Event, EventError};
use crate::{
    log::{Cause, Entry, Lane},
    metrics::Skip,
    revision::{Revision, Want, Wants},
};

/// The key of a related entity that an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub id: DocumentId,
    /// The lane of what it asks for.
    pub lane: Lane,
    /// When the event happened, milliseconds of Unix time.
    pub event_at: Option<i64>,
    /// The version of the entity that the event tells.
    pub revision: Option<Revision>,
}

/// What records of one source ask for.
#[derive(Debug, Default)]
pub struct Wishes {
    /// Roots that the records name.
    pub entries: Vec<Entry>,
    /// Keys of related entities. None are collected for a source that looks nothing up.
    pub keys: Vec<Key>,
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
        let version = source.version.as_ref().filter(|_| !source.shown.is_empty());
        let revision = version.and_then(|path| event.revision(path));
        // The row has the last id now; under one that it had before, nothing can show its version.
        let told = ids.last();
        let of_root = |id: &DocumentId| wanted(source, None, revision.filter(|_| told == Some(id)));
        let of_named = || wanted(source, told, revision.filter(|_| told.is_some()));
        let wishes = roots.iter().map(|id| (id, of_root(id)));
        self.entries.extend(wishes.chain(named.iter().map(|id| (id, of_named()))).map(|(id, wants)| Entry {
            id: id.clone(),
            lane,
            cause: Cause::Event,
            event_at: event.at,
            deleted,
            wants,
        }));
        if !source.reverse_lookup.is_empty() || source.back_reference.is_some() {
            self.keys.extend(ids.iter().map(|id| Key {
                id: id.clone(),
                lane,
                event_at: event.at,
                revision: revision.filter(|_| told == Some(id)),
            }));
        }
        Ok(skip)
    }
}

/// What a document must show of the entity with this key, or of itself.
fn wanted(source: &SourcePlan, key: Option<&DocumentId>, revision: Option<Revision>) -> Wants {
    let want = |revision| Want { source: source.name.clone(), key: key.cloned(), revision };
    revision.map(want).into_iter().collect()
}
