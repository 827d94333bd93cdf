//! Dead letters as records: the original's bytes, under the header names that Kafka Connect gives.

use std::sync::Arc;

use rdkafka::message::Headers;

use crate::{
    kafka::{Message, Outgoing, OwnedMessage},
    log::{DeadLetter, DeadLetterRow, KeptLetter, LetterNumber},
    now_ms,
    source::Original,
};

// Connect's names: https://docs.confluent.io/platform/current/connect/ (errors.deadletterqueue.context.headers.enable).
const TOPIC: &str = "__connect.errors.topic";
const PARTITION: &str = "__connect.errors.partition";
const OFFSET: &str = "__connect.errors.offset";
const STAGE: &str = "__connect.errors.stage";
const MESSAGE: &str = "__connect.errors.exception.message";
// Ours.
const SOURCE: &str = "studio-search.source";
const POSITION: &str = "studio-search.position";
const CODE: &str = "studio-search.code";
const AT: &str = "studio-search.at";
const TIMESTAMP: &str = "studio-search.timestamp";

/// The record of a dead letter: what is said of its place, then the original's headers, then ours. One without an original
/// has what is left of it as its value.
pub(super) fn record(to: &Arc<str>, letter: DeadLetter) -> Outgoing {
    let DeadLetter { source, position, code, reason, record, original } = letter;
    let said = |name: &str, value: String| (name.to_owned(), value.into_bytes());
    let mut headers = Vec::new();
    let mut written_at = None;
    let (key, payload) = match original.map(|original| *original) {
        Some(Original { topic, partition, offset, timestamp, key, value, headers: theirs }) => {
            headers.push(said(TOPIC, topic.to_string()));
            headers.push(said(PARTITION, partition.to_string()));
            headers.push(said(OFFSET, offset.to_string()));
            headers.extend(theirs.into_iter().map(|(name, value)| (name, value.unwrap_or_default())));
            written_at = timestamp;
            (key, value)
        }
        None => (None, Some(record)),
    };
    headers.push(said(STAGE, "TRANSFORMATION".to_owned()));
    headers.push(said(MESSAGE, format!("{}: {reason}", code.id)));
    headers.push(said(SOURCE, source));
    headers.push(said(POSITION, position));
    headers.push(said(CODE, code.id.to_owned()));
    headers.push(said(AT, now_ms().to_string()));
    headers.extend(written_at.map(|at| said(TIMESTAMP, at.to_string())));
    Outgoing { topic: Arc::clone(to), key, payload, headers, partition: None }
}

/// A dead letter as it is listed. A record that is not ours has no source.
pub(super) fn row(message: &OwnedMessage) -> DeadLetterRow {
    let header = |name: &str| header(message, name);
    let reason = header(MESSAGE).unwrap_or_default();
    let code = header(CODE).unwrap_or_default();
    DeadLetterRow {
        number: LetterNumber::of_record(message.partition(), message.offset()),
        source: header(SOURCE).unwrap_or_default(),
        position: header(POSITION).unwrap_or_default(),
        reason: reason.strip_prefix(&format!("{code}: ")).unwrap_or(&reason).to_owned(),
        code,
        at: header(AT).and_then(|at| at.parse().ok()).or(message.timestamp().to_millis()).unwrap_or(0),
    }
}

/// A dead letter as it is read back.
pub(super) fn kept(message: &OwnedMessage) -> KeptLetter {
    let original = original(message).map(Box::new);
    let record = match original {
        Some(_) => Vec::new(),
        None => message.payload().or(message.key()).unwrap_or_default().to_vec(),
    };
    KeptLetter { row: row(message), record, original }
}

/// The record as its topic had it, if it came from one.
fn original(message: &OwnedMessage) -> Option<Original> {
    let topic = header(message, TOPIC)?;
    let headers: Vec<_> = message.headers()?.iter().collect();
    let ours = headers.iter().rposition(|header| header.key == STAGE)?;
    let first = headers.iter().position(|header| header.key == OFFSET)? + 1;
    let owned = |header: &rdkafka::message::Header<'_, &[u8]>| {
        (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
    };
    Some(Original {
        topic: topic.into(),
        partition: header(message, PARTITION)?.parse().ok()?,
        offset: header(message, OFFSET)?.parse().ok()?,
        timestamp: header(message, TIMESTAMP).and_then(|at| at.parse().ok()),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.get(first..ours)?.iter().map(owned).collect(),
    })
}

/// The text of one of our headers.
fn header(message: &OwnedMessage, name: &str) -> Option<String> {
    let mut headers = message.headers()?.iter();
    // What stands before the original's headers is ours by its place; else ours come last, whatever the original's are called.
    let found = match name {
        TOPIC | PARTITION | OFFSET => headers.find(|header| header.key == name),
        _ => headers.filter(|header| header.key == name).last(),
    }?;
    Some(String::from_utf8_lossy(found.value?).into_owned())
}

#[cfg(test)]
mod tests {
    use plan::code::kafka::SS301;
    use rdkafka::{
        Timestamp,
        message::{Header, OwnedHeaders},
    };

    use super::*;

    #[test]
    fn a_record_is_read_back_byte_by_byte() {
        let original = Original {
            topic: "movies".into(),
            partition: 2,
            offset: 11,
            timestamp: Some(5),
            key: Some(vec![0, 255]),
            value: None,
            headers: vec![
                ("__value_schema_id".to_owned(), Some(vec![1, 0, 255])),
                (STAGE.to_owned(), Some(b"theirs".to_vec())),
                (TOPIC.to_owned(), Some(b"theirs".to_vec())),
            ],
        };
        let letter = DeadLetter {
            source: "movie-changes".to_owned(),
            position: "partition 2, offset 11".to_owned(),
            code: SS301,
            reason: "no".to_owned(),
            record: Vec::new(),
            original: Some(Box::new(original.clone())),
        };
        let Outgoing { key, payload, headers, .. } = record(&"dlq".into(), letter);
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let message =
            OwnedMessage::new(payload, key, "dlq".to_owned(), Timestamp::CreateTime(9), 0, 7, Some(headers));
        let kept = kept(&message);
        assert_eq!(kept.original.as_deref(), Some(&original));
        let row = kept.row;
        assert_eq!(
            (row.number.to_string(), row.source, row.code),
            ("0:7".to_owned(), "movie-changes".to_owned(), "SS301".to_owned())
        );
        assert_eq!(row.reason, "no");
    }
}
