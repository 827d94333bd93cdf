//! An entry as a record of its lane: the id is the key, and the value says who asked and when.

use std::sync::Arc;

use plan::DocumentId;
use serde::{Deserialize, Serialize};

use super::keyed;
use crate::{
    kafka::Outgoing,
    log::{Cause, Entry, Lane},
    revision::Wants,
};

/// The value of a lane's record.
#[derive(Serialize, Deserialize)]
struct Wish {
    cause: Cause,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_at: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(default, skip_serializing_if = "Wants::is_empty")]
    wants: Wants,
}

/// The record of an entry.
pub(super) fn record(topic: &Arc<str>, entry: &Entry) -> Outgoing {
    let Entry { cause, event_at, deleted, wants, .. } = entry;
    let wish = Wish { cause: *cause, event_at: *event_at, deleted: *deleted, wants: wants.clone() };
    let value = serde_json::to_vec(&wish).expect("a wish is JSON");
    keyed(topic, entry.id.as_str(), Some(value))
}

/// The entry of a record. What can't be read is still a wish for its id, if its key is one: a fetch too many is harmless.
pub(super) fn entry(lane: Lane, key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Entry> {
    let id = DocumentId::new(std::str::from_utf8(key?).ok()?).ok()?;
    let wish = value.and_then(|value| serde_json::from_slice(value).ok());
    let unread = Wish { cause: Cause::Person, event_at: None, deleted: false, wants: Wants::default() };
    let Wish { cause, event_at, deleted, wants } = wish.unwrap_or(unread);
    Some(Entry { id, lane, cause, event_at, deleted, wants })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revision::{Revision, Want};

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let id = DocumentId::new("m1").unwrap();
        let wanted = Want {
            source: "movies".to_owned(),
            key: None,
            revision: Revision::Time(1_767_225_600_123_456, 1),
        };
        for (cause, event_at, deleted, wants) in [
            (Cause::Event, Some(7), true, Wants::from_iter([wanted])),
            (Cause::Lookup, None, false, Wants::default()),
            (Cause::Backfill, Some(-1), false, Wants::default()),
        ] {
            let written = Entry { id: id.clone(), lane: Lane::Live, cause, event_at, deleted, wants };
            let record = record(&"live".into(), &written);
            assert_eq!(entry(Lane::Live, record.key.as_deref(), record.payload.as_deref()), Some(written));
        }
    }

    #[test]
    fn an_entry_of_an_older_release_wants_nothing() {
        let wish = entry(Lane::Live, Some(b"m1"), Some(br#"{"cause":"event","event_at":7}"#)).unwrap();
        assert_eq!((wish.cause, wish.event_at, wish.wants), (Cause::Event, Some(7), Wants::default()));
    }

    #[test]
    fn what_another_wrote_is_a_wish_where_its_key_is_an_id() {
        let wish = entry(Lane::Backfill, Some(b"m1"), Some(b"\xff")).unwrap();
        assert_eq!((wish.id.as_str(), wish.cause), ("m1", Cause::Person));
        assert_eq!(entry(Lane::Live, Some(b"\xff"), None), None);
        assert_eq!(entry(Lane::Live, None, None), None);
    }
}
