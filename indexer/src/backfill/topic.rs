//! Ids out of a topic: from the beginning of each partition to where it ended when the backfill began.
//!
//! No group remembers how far that is: the cursor does, the next offset of each partition and its end. Whatever a topic holds an
//! id for more than once is appended more than once, and costs a fetch only where the appends are far apart.

use futures::FutureExt;
use plan::{
    DocumentId, IdKind,
    index_plan::{Encoding, EventFormat, IdTopic},
};
use serde::{Deserialize, Serialize};

use super::{
    Backfills,
    enumerate::{Failure, Page, Refused},
};
use crate::{
    StateError,
    kafka::{Message, OwnedMessage, Topics},
    log::Ends,
    route::event::Event,
    source::{
        decode::{RawRecord, RecordDecoder},
        topic::headers,
    },
};

/// Offsets that one page goes over, of all partitions together. Each page has a reader of its own.
const PAGE: i64 = 5_000;

/// What is kept of a record that names no id, in bytes.
const KEPT: usize = 1_024;

/// How far the topic is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// What is read next, by partition.
    next: Ends,
    /// Where it ended when the backfill began.
    ends: Ends,
}

impl Cursor {
    async fn at_the_beginning(topics: &Topics, topic: &str) -> Result<Self, StateError> {
        // The ends first: what is deleted between the two questions is no end that lies before its beginning.
        let ends = topics.ends(topic).await?;
        Ok(Self { next: topics.beginnings(topic).await?, ends })
    }

    /// Records that are still to come, as far as offsets tell.
    pub(super) fn left(&self) -> u64 {
        let of = |(partition, end): (&i32, &i64)| (end - self.at(*partition)).max(0).unsigned_abs();
        self.ends.iter().map(of).sum()
    }

    fn at(&self, partition: i32) -> i64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    /// Goes on behind what expired meanwhile; gives a partition where something did.
    fn pass_over(&mut self, beginnings: &Ends) -> Option<i32> {
        let mut passed = None;
        for (partition, oldest) in beginnings {
            if self.at(*partition) < *oldest && self.ends.contains_key(partition) {
                self.next.insert(*partition, *oldest);
                passed = Some(*partition);
            }
        }
        passed
    }

    /// Where the next page begins and ends.
    fn page(&self) -> (Ends, Ends) {
        let open: Vec<(i32, i64, i64)> = self
            .ends
            .iter()
            .map(|(partition, end)| (*partition, self.at(*partition), *end))
            .filter(|(_, from, end)| from < end)
            .collect();
        let each = (PAGE / i64::try_from(open.len().max(1)).unwrap_or(PAGE)).max(1);
        let ends = open.iter().map(|(partition, from, end)| (*partition, (from + each).min(*end))).collect();
        (open.into_iter().map(|(partition, from, _)| (partition, from)).collect(), ends)
    }

    fn after(mut self, through: &Ends) -> Self {
        self.next.extend(through.iter().map(|(partition, next)| (*partition, *next)));
        self
    }
}

impl Backfills {
    /// The next records of the topic.
    pub(super) async fn topic_page(&self, of: &IdTopic, cursor: Option<&str>) -> Result<Page, Failure> {
        let Some(topics) = &self.topics else { return Err(Failure::Nowhere) };
        let mut cursor = match cursor.and_then(|cursor| serde_json::from_str(cursor).ok()) {
            Some(cursor) => cursor,
            None => Cursor::at_the_beginning(topics, &of.topic).await?,
        };
        if let Some(partition) = cursor.pass_over(&topics.beginnings(&of.topic).await?) {
            tracing::warn!(
                topic = of.topic,
                partition,
                "ids expired before they were read, and are passed over"
            );
        }
        let (from, through) = cursor.page();
        let mut page = Page { ids: Vec::new(), refused: Vec::new(), next: None };
        if !from.is_empty() {
            let reader = Reader { of: of.clone(), kind: self.plan.key.kind };
            let keep = move |record: OwnedMessage| reader.read(&record);
            for id in topics.select(&of.topic, from, through.clone(), keep).await? {
                match id {
                    Ok(id) => page.ids.push(id),
                    Err(refused) => page.refused.push(refused),
                }
            }
        }
        let cursor = cursor.after(&through);
        if cursor.left() > 0 {
            page.next = Some(serde_json::to_string(&cursor).expect("numbers are JSON"));
        }
        Ok(page)
    }
}

/// How many records a topic of ids holds now.
pub(super) async fn records(topics: &Topics, of: &IdTopic) -> Result<u64, StateError> {
    Ok(Cursor::at_the_beginning(topics, &of.topic).await?.left())
}

/// Reads the id of a record.
struct Reader {
    of: IdTopic,
    kind: IdKind,
}

impl Reader {
    /// The id, or why there is none; nothing of a tombstone that names no id.
    fn read(&self, message: &OwnedMessage) -> Option<Result<DocumentId, Refused>> {
        let refused = |reason: String| {
            let (partition, offset) = (message.partition(), message.offset());
            let mut value = message.payload().or(message.key()).unwrap_or_default().to_vec();
            value.truncate(KEPT);
            Refused {
                place: format!("{}: partition {partition}, offset {offset}", self.of.topic),
                reason,
                value,
            }
        };
        let headers: Vec<(&str, Option<&[u8]>)> = headers(message).collect();
        let raw = RawRecord {
            key: message.key(),
            value: message.payload().filter(|_| self.of.id.root() != plan::record::RecordRoot::Key),
            headers: &headers,
            timestamp: message.timestamp().to_millis(),
        };
        // JSON asks nobody.
        let decoded = RecordDecoder::new(Encoding::Json, None).decode(&raw).now_or_never()?;
        let record = match decoded {
            Ok(Ok(record)) => record,
            Ok(Err(bad)) => return Some(Err(refused(bad.reason))),
            Err(error) => return Some(Err(refused(error.to_string()))),
        };
        let ids =
            Event::read(EventFormat::Plain, &record).and_then(|event| event.ids(&self.of.id, self.kind));
        match ids {
            Ok(ids) => ids.into_iter().next().map(Ok),
            Err(_) if message.payload().is_none() => None,
            Err(error) => Some(Err(refused(error.to_string()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_over_so_many_offsets_of_all_partitions() {
        let mut cursor = Cursor {
            next: Ends::from([(0, 0), (1, 10), (2, 7)]),
            ends: Ends::from([(0, 100_000), (1, 10), (2, 60)]),
        };
        assert_eq!(cursor.left(), 100_053);
        assert_eq!(cursor.pass_over(&Ends::from([(0, 40), (1, 0), (2, 0)])), Some(0));
        let (from, through) = cursor.page();
        assert_eq!(from, Ends::from([(0, 40), (2, 7)]), "what expired is passed over, what is read is over");
        assert_eq!(through, Ends::from([(0, 40 + PAGE / 2), (2, 60)]));
        let after = cursor.after(&through);
        assert_eq!(after.left(), 100_000 - 2_540);
        let text = serde_json::to_string(&after).unwrap();
        assert_eq!(serde_json::from_str::<Cursor>(&text).unwrap(), after);
        let mut expired = after;
        expired.pass_over(&Ends::from([(0, 200_000), (2, 100)]));
        assert_eq!((expired.left(), expired.page()), (0, (Ends::new(), Ends::new())), "all of it");
    }

    fn message(key: Option<&str>, value: Option<&str>) -> OwnedMessage {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let (topic, at) = ("wanted".to_owned(), rdkafka::Timestamp::NotAvailable);
        OwnedMessage::new(value.map(bytes), key.map(bytes), topic, at, 2, 17, None)
    }

    fn read(path: &str, message: &OwnedMessage) -> Option<Result<String, String>> {
        let of = IdTopic { topic: "wanted".to_owned(), id: plan::RecordPath::parse(path).unwrap() };
        let read = Reader { of, kind: IdKind::String }.read(message)?;
        Some(
            read.map(|id| id.to_string()).map_err(|refused| format!("{}: {}", refused.place, refused.reason)),
        )
    }

    #[test]
    fn an_id_is_the_key_or_stands_in_the_record() {
        let id = |id: &str| Some(Ok(id.to_owned()));
        assert_eq!(read("key", &message(Some("m1"), Some("no JSON"))), id("m1"), "the value doesn't matter");
        assert_eq!(
            read("key", &message(Some("m1"), None)),
            id("m1"),
            "the graph decides what a tombstone is"
        );
        assert_eq!(read("key.id", &message(Some(r#"{"id": "m2"}"#), None)), id("m2"));
        assert_eq!(read("value.movie.id", &message(None, Some(r#"{"movie": {"id": 3}}"#))), id("3"));
        assert_eq!(read("value.movie.id", &message(Some("m1"), None)), None, "a tombstone names none");
        let refused = read("value.id", &message(Some("m1"), Some("{}"))).unwrap().unwrap_err();
        assert_eq!(refused, "wanted: partition 2, offset 17: value.id: the id is missing");
        let refused = read("value.id", &message(Some("m1"), Some("no JSON"))).unwrap().unwrap_err();
        assert!(refused.contains("it is no JSON"), "{refused}");
    }
}
