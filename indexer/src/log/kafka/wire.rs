//! An entry as a record of its lane: the id is the key, and the value says who asked and when.

use std::sync::Arc;

use plan::DocumentId;
use serde::{Deserialize, Serialize};

use super::keyed;
use crate::{
    kafka::Outgoing,
    log::{Cause, Entry, Lane},
};

/// The value of a lane's record.
#[derive(Serialize, Deserialize)]
struct Wish {
    cause: Cause,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_at: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

/// The record of an entry.
pub(super) fn record(topic: &Arc<str>, entry: &Entry) -> Outgoing {
    let wish = Wish { cause: entry.cause, event_at: entry.event_at, deleted: entry.deleted };
    let value = serde_json::to_vec(&wish).expect("a wish is JSON");
    keyed(topic, entry.id.as_str(), Some(value))
}

/// The entry of a record. What can't be read is still a wish for its id, if its key is one: a fetch too many is harmless.
pub(super) fn entry(lane: Lane, key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Entry> {
    let id = DocumentId::new(std::str::from_utf8(key?).ok()?).ok()?;
    let wish = value.and_then(|value| serde_json::from_slice(value).ok());
    let Wish { cause, event_at, deleted } =
        wish.unwrap_or(Wish { cause: Cause::Person, event_at: None, deleted: false });
    Some(Entry { id, lane, cause, event_at, deleted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let id = DocumentId::new("m1").unwrap();
        for (cause, event_at, deleted) in
            [(Cause::Event, Some(7), true), (Cause::Lookup, None, false), (Cause::Backfill, Some(-1), false)]
        {
            let written = Entry { id: id.clone(), lane: Lane::Live, cause, event_at, deleted };
            let record = record(&"live".into(), &written);
            assert_eq!(entry(Lane::Live, record.key.as_deref(), record.payload.as_deref()), Some(written));
        }
    }

    #[test]
    fn what_another_wrote_is_a_wish_where_its_key_is_an_id() {
        let wish = entry(Lane::Backfill, Some(b"m1"), Some(b"\xff")).unwrap();
        assert_eq!((wish.id.as_str(), wish.cause), ("m1", Cause::Person));
        assert_eq!(entry(Lane::Live, Some(b"\xff"), None), None);
        assert_eq!(entry(Lane::Live, None, None), None);
    }
}
