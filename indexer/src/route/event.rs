//! What a record says: what happened to the row, and the ids in its images. [`super::format`] reads each format.

use std::borrow::Cow;

use plan::{
    Code, DocumentId, IdKind, Record, RecordPath, code::kafka as codes, filter::Filter, id::IdError,
    index_plan::EventFormat, record::RecordRoot,
};
use serde_json::Value;

use super::format::{self, Reading, Rows};
use crate::revision::Revision;

/// A record, understood.
#[derive(Debug)]
pub struct Event<'r> {
    /// What happened to the row.
    pub change: Change,
    /// When it happened, milliseconds of Unix time.
    pub at: Option<i64>,
    record: &'r Record,
    key: &'r Value,
    value: Cow<'r, Value>,
    /// Where the images are in the value: before and after the change, whichever exist.
    rows: Rows,
}

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was created or changed.
    Upsert,
    /// It was deleted.
    Delete,
    /// It was read by a snapshot.
    SnapshotRead,
    /// All rows of its table were removed at once.
    Truncate,
    /// Nothing: the record is about the connector.
    Nothing,
}

/// Why a record isn't an event of its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Debezium's envelope is missing.
    #[error("the value is no Debezium envelope: it has no `op`")]
    NoEnvelope,
    /// The operation is none of Debezium's.
    #[error("the operation {0:?} is none of Debezium's")]
    Operation(String),
    /// Neither form of CloudEvents.
    #[error("no CloudEvent: neither is there a `specversion` in the value nor a header `ce_specversion`")]
    NoCloudEvent,
    /// An id is missing or unusable.
    #[error("{path}: {error}")]
    Id {
        /// The path in the configuration.
        path: String,
        /// What is wrong.
        error: IdError,
    },
    /// A deleted row, of which the database tells only the key, where ids are wanted from other columns.
    #[error("{path}: the deleted row came with its key alone; set REPLICA IDENTITY FULL on its table")]
    KeyOnly {
        /// The path in the configuration.
        path: String,
    },
}

impl EventError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::Id { .. } | Self::KeyOnly { .. } => codes::SS302,
            Self::NoEnvelope | Self::Operation(_) | Self::NoCloudEvent => codes::SS301,
        }
    }
}

impl<'r> Event<'r> {
    /// Reads a record of this format.
    pub fn read(format: EventFormat, record: &'r Record) -> Result<Self, EventError> {
        let Reading { change, at, value, rows } = format::read(format, record)?;
        Ok(Self { change, at, record, key: format::unwrap(&record.key), value, rows })
    }

    /// The ids at a path, without repetition: one, or for `row.…` those of both images. None is an error, except where a
    /// row path meets a tombstone or nulls: a row that belongs to nothing, or a deleted one of which only the key is told.
    pub fn ids(&self, path: &RecordPath, kind: IdKind) -> Result<Vec<DocumentId>, EventError> {
        let mut ids: Vec<DocumentId> = Vec::new();
        let mut unavailable = None;
        for value in self.values(path) {
            match DocumentId::from_json(kind, value) {
                _ if self.is_filler(path, value) => {}
                Ok(id) if ids.contains(&id) => {}
                Ok(id) => ids.push(id),
                Err(IdError::Missing) => {}
                // It did not change: the other image may tell it.
                Err(error @ IdError::Unavailable) => unavailable = Some(error),
                Err(error) => return Err(EventError::Id { path: path.to_string(), error }),
            }
        }
        match unavailable {
            _ if !ids.is_empty() => Ok(ids),
            Some(error) => Err(EventError::Id { path: path.to_string(), error }),
            None if path.root() == RecordRoot::Row => Ok(ids),
            None => Err(EventError::Id { path: path.to_string(), error: IdError::Missing }),
        }
    }

    /// The version at a path, the later one of both images. None where it is missing or has no order, and of a deleted row, which
    /// no document can show.
    pub fn revision(&self, path: &RecordPath) -> Option<Revision> {
        let is_there = matches!(self.change, Change::Upsert | Change::SnapshotRead);
        let values = if is_there { self.values(path) } else { Vec::new() };
        values.into_iter().filter_map(Revision::read).reduce(Revision::later)
    }

    /// Whether a row was deleted, and this is no tombstone that follows.
    pub fn is_deleted_row(&self) -> bool {
        self.change == Change::Delete && !self.rows.is_empty()
    }

    /// Whether a value may stand for a column that the database didn't tell. Of a deleted row it tells the key alone unless
    /// REPLICA IDENTITY is FULL; Debezium writes null for the other columns, and an empty text or a zero where null isn't
    /// allowed.
    fn is_filler(&self, path: &RecordPath, value: &Value) -> bool {
        let may_be_untold = self.change == Change::Delete && path.root() == RecordRoot::Row;
        may_be_untold && (*value == "" || *value == 0)
    }

    /// Whether a source's `where` lets the event pass. It is asked of each image alone: an event is dropped only where every
    /// image holds all fields that are tested and none matches, so that a delete that carries only its key always passes.
    pub fn passes(&self, filter: &Filter) -> bool {
        let tested = filter.paths();
        let fields = tested.iter().filter_map(|names| RecordPath::parse(&names.join(".")).ok());
        // A column of a deleted row holds null, a zero or its default where the database told only the key.
        let is_unsure =
            self.change == Change::Delete && fields.into_iter().any(|path| path.root() == RecordRoot::Row);
        let mut images = self.images().peekable();
        is_unsure
            || images.peek().is_none()
            || images.any(|image| {
                let resolve = |names: &[String]| {
                    self.value_beside(image, names).cloned().into_iter().collect::<Vec<_>>()
                };
                let complete = tested.iter().all(|names| self.value_beside(image, names).is_some());
                !complete || filter.matches_record(&resolve)
            })
    }

    /// Before and after the change, whichever exist.
    fn images(&self) -> impl Iterator<Item = &Value> {
        let row = |path: &&[&str]| path.iter().try_fold(&*self.value, |value, name| value.get(name));
        self.rows.iter().filter_map(row).filter(|row| !row.is_null())
    }

    /// The value at a path, where `row` is this image; not what Debezium writes for a large value that did not change.
    fn value_beside<'e>(&'e self, image: &'e Value, names: &[String]) -> Option<&'e Value> {
        let path = RecordPath::parse(&names.join(".")).ok()?;
        let value = match path.root() {
            RecordRoot::Row => path.follow(image),
            _ => self.values(&path).first().copied(),
        };
        value.filter(|value| **value != plan::id::DEBEZIUM_UNAVAILABLE)
    }

    /// The values at a path that exist.
    pub fn values(&self, path: &RecordPath) -> Vec<&Value> {
        match path.root() {
            RecordRoot::Key => path.follow(self.key).into_iter().collect(),
            RecordRoot::Value => path.follow(&self.value).into_iter().collect(),
            RecordRoot::Row => self.images().filter_map(|image| path.follow(image)).collect(),
            RecordRoot::Headers => path
                .segments()
                .split_first()
                .and_then(|(name, rest)| {
                    let header = self.record.headers.get(name)?;
                    rest.iter().try_fold(header, |value, name| value.get(name))
                })
                .into_iter()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use plan::SourceText;
    use serde_json::json;

    use super::*;

    fn record(key: Value, value: Value) -> Record {
        Record { key, value, ..Record::default() }
    }

    fn ids(record: &Record, path: &str) -> Vec<String> {
        let event = Event::read(EventFormat::Debezium, record).unwrap();
        let ids = event.ids(&RecordPath::parse(path).unwrap(), IdKind::String).unwrap();
        ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_move_names_the_old_and_the_new_row() {
        let value = json!({"op": "u", "before": {"movie_id": "m1"}, "after": {"movie_id": "m2"}, "source": {"ts_ms": 5}});
        let moved = record(json!({"id": 7}), value);
        assert_eq!(ids(&moved, "row.movie_id"), ["m1", "m2"]);
        assert_eq!(ids(&moved, "key.id"), ["7"]);
        assert_eq!(Event::read(EventFormat::Debezium, &moved).unwrap().at, Some(5));
    }

    #[test]
    fn wrapped_and_bare_records_read_alike() {
        let value = json!({"op": "d", "before": {"movie_id": "m1"}, "after": null});
        let bare = record(json!({"movie_id": "m1"}), value.clone());
        let wrapped = record(
            json!({"schema": {}, "payload": {"movie_id": "m1"}}),
            json!({"schema": {}, "payload": value}),
        );
        for record in [bare, wrapped] {
            assert_eq!(Event::read(EventFormat::Debezium, &record).unwrap().change, Change::Delete);
            assert_eq!(ids(&record, "key.movie_id"), ["m1"]);
        }
    }

    #[test]
    fn a_tombstone_still_has_its_key_and_no_row() {
        let tombstone = record(json!({"movie_id": "m1"}), Value::Null);
        assert_eq!(ids(&tombstone, "key.movie_id"), ["m1"]);
        assert!(ids(&tombstone, "row.movie_id").is_empty());
    }

    #[test]
    fn what_is_no_event_says_why() {
        let read = |value| Event::read(EventFormat::Debezium, &record(json!({}), value)).map(drop);
        assert_eq!(read(json!({"movie_id": 1})), Err(EventError::NoEnvelope));
        assert_eq!(read(json!({"op": "z"})), Err(EventError::Operation("z".into())));
        let event = record(json!({"movie_id": {}}), json!({"op": "c", "after": {}}));
        let event = Event::read(EventFormat::Debezium, &event).unwrap();
        let wrong = event.ids(&RecordPath::parse("key.movie_id").unwrap(), IdKind::String).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "key.movie_id: an id must be a string or an integer, this is an object"
        );
    }

    #[test]
    fn a_condition_drops_only_what_it_knows_all_of() {
        let source = SourceText { name: "where".to_owned(), text: "row.kind != 'TEST'".to_owned() };
        let filter = plan::filter::parse(&source.into()).unwrap();
        let passes = |value| {
            let record = record(json!({"id": 1}), value);
            Event::read(EventFormat::Debezium, &record).unwrap().passes(&filter)
        };
        assert!(!passes(json!({"op": "c", "after": {"kind": "TEST"}})));
        assert!(
            passes(json!({"op": "u", "before": {"kind": "TEST"}, "after": {"kind": "REAL"}})),
            "it became real"
        );
        assert!(!passes(json!({"op": "u", "before": {"kind": "TEST"}, "after": {"kind": "TEST"}})));
        assert!(passes(json!({"op": "d", "before": {"id": 1}, "after": null})), "only the key is known");
        assert!(passes(Value::Null), "a tombstone");
    }
}
