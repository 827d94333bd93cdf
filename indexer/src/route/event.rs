//! What a record says: the images of the row, whether it is gone, and the ids in it. One reading a format.

use plan::{
    DocumentId, IdKind, Record, RecordPath, filter::Filter, id::IdError, index_plan::EventFormat,
    record::RecordRoot,
};
use serde_json::Value;

/// A record, understood.
#[derive(Debug)]
pub struct Event<'r> {
    /// What happened to the row.
    pub change: Change,
    /// When it happened, milliseconds of Unix time.
    pub at: Option<i64>,
    record: &'r Record,
    key: &'r Value,
    value: &'r Value,
    /// Before and after the change, whichever exist.
    images: Vec<&'r Value>,
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
}

/// Why a record isn't an event of its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Debezium's envelope is missing.
    #[error("the value is no Debezium envelope: it has no `op`")]
    NoEnvelope,
    /// The operation is none that concerns a row.
    #[error("Debezium's operation {0:?} concerns no row; a truncated table needs a backfill")]
    Operation(String),
    /// An id is missing or unusable.
    #[error("{path}: {error}")]
    Id {
        /// The path in the configuration.
        path: String,
        /// What is wrong.
        error: IdError,
    },
}

impl<'r> Event<'r> {
    /// Reads a record of this format.
    pub fn read(format: EventFormat, record: &'r Record) -> Result<Self, EventError> {
        let key = unwrap(&record.key);
        let value = unwrap(&record.value);
        let plain = |change, images| Self { change, at: record.timestamp, record, key, value, images };
        if value.is_null() {
            // Kafka's tombstone: it follows a delete, or is all that a compacted topic has left of it.
            return Ok(plain(Change::Delete, Vec::new()));
        }
        if format != EventFormat::Debezium {
            return Ok(plain(Change::Upsert, vec![value]));
        }
        let operation = value.get("op").and_then(Value::as_str).ok_or(EventError::NoEnvelope)?;
        let change = match operation {
            "c" | "u" => Change::Upsert,
            "d" => Change::Delete,
            "r" => Change::SnapshotRead,
            other => return Err(EventError::Operation(other.to_owned())),
        };
        let images = ["before", "after"]
            .iter()
            .filter_map(|name| value.get(name))
            .filter(|row| row.is_object())
            .collect();
        let committed = value.get("source").and_then(|source| source.get("ts_ms"));
        let at = committed.or_else(|| value.get("ts_ms")).and_then(Value::as_i64).or(record.timestamp);
        Ok(Self { at, ..plain(change, images) })
    }

    /// The ids at a path, without repetition: one, or for `row.…` those of both images. None is an error, except where a
    /// row path meets a tombstone or nulls: a row that belongs to nothing.
    pub fn ids(&self, path: &RecordPath, kind: IdKind) -> Result<Vec<DocumentId>, EventError> {
        let mut ids: Vec<DocumentId> = Vec::new();
        for value in self.values(path) {
            match DocumentId::from_json(kind, value) {
                Ok(id) if ids.contains(&id) => {}
                Ok(id) => ids.push(id),
                Err(IdError::Missing) => {}
                Err(error) => return Err(EventError::Id { path: path.to_string(), error }),
            }
        }
        if ids.is_empty() && path.root() != RecordRoot::Row {
            return Err(EventError::Id { path: path.to_string(), error: IdError::Missing });
        }
        Ok(ids)
    }

    /// Whether a source's `where` lets the event pass. It is asked of each image alone: an event is dropped only where every
    /// image holds all fields that are tested and none matches, so that a delete that carries only its key always passes.
    pub fn passes(&self, filter: &Filter) -> bool {
        let tested = filter.paths();
        self.images.is_empty()
            || self.images.iter().any(|image| {
                let resolve = |names: &[String]| {
                    self.value_beside(image, names).cloned().into_iter().collect::<Vec<_>>()
                };
                let complete = tested.iter().all(|names| self.value_beside(image, names).is_some());
                !complete || filter.matches_record(&resolve)
            })
    }

    /// The value at a path, where `row` is this image.
    fn value_beside(&self, image: &'r Value, names: &[String]) -> Option<&'r Value> {
        let path = RecordPath::parse(&names.join(".")).ok()?;
        match path.root() {
            RecordRoot::Row => path.follow(image),
            _ => self.values(&path).first().copied(),
        }
    }

    /// The values at a path that exist.
    pub fn values(&self, path: &RecordPath) -> Vec<&'r Value> {
        match path.root() {
            RecordRoot::Key => path.follow(self.key).into_iter().collect(),
            RecordRoot::Value => path.follow(self.value).into_iter().collect(),
            RecordRoot::Row => self.images.iter().filter_map(|image| path.follow(image)).collect(),
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

/// Kafka Connect's JSON converter wraps everything in `{schema, payload}` unless it is told not to.
fn unwrap(value: &Value) -> &Value {
    match value {
        Value::Object(fields) if fields.len() == 2 && fields.contains_key("schema") => {
            fields.get("payload").unwrap_or(value)
        }
        _ => value,
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
        assert_eq!(read(json!({"op": "t"})), Err(EventError::Operation("t".into())));
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
