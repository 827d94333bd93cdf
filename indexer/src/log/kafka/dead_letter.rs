//! Dead letters as records: the original's bytes, under the header names that Kafka Connect gives.

use std::sync::Arc;

use rdkafka::message::Headers;

use crate::{
    kafka::{Message, Outgoing, OwnedMessage},
    log::{DeadLetter, DeadLetterRow},
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

/// The record of a dead letter. One without an original has what is left of it as its value.
pub(super) fn record(to: &Arc<str>, letter: DeadLetter) -> Outgoing {
    let DeadLetter { source, position, code, reason, record, original } = letter;
    let mut headers = Vec::new();
    let mut say = |name: &str, value: String| headers.push((name.to_owned(), value.into_bytes()));
    let (key, payload) = match original.map(|original| *original) {
        Some(Original { topic, partition, offset, key, value, headers, .. }) => {
            say(TOPIC, topic.to_string());
            say(PARTITION, partition.to_string());
            say(OFFSET, offset.to_string());
            for (name, value) in headers {
                let value = value.unwrap_or_default();
                say(&name, String::from_utf8_lossy(&value).into_owned());
            }
            (key, value)
        }
        None => (None, Some(record)),
    };
    say(STAGE, "TRANSFORMATION".to_owned());
    say(MESSAGE, format!("{}: {reason}", code.id));
    say(SOURCE, source);
    say(POSITION, position);
    say(CODE, code.id.to_owned());
    say(AT, now_ms().to_string());
    Outgoing { topic: Arc::clone(to), key, payload, headers, partition: None }
}

/// A dead letter as it is listed. A record that is not ours has no source.
pub(super) fn row(message: &OwnedMessage) -> DeadLetterRow {
    let header = |name: &str| {
        let headers = message.headers()?;
        // Ours come last, whatever the original's are called.
        let found = headers.iter().filter(|header| header.key == name).last()?;
        Some(String::from_utf8_lossy(found.value?).into_owned())
    };
    let reason = header(MESSAGE).unwrap_or_default();
    let code = header(CODE).unwrap_or_default();
    DeadLetterRow {
        number: message.offset(),
        source: header(SOURCE).unwrap_or_default(),
        position: header(POSITION).unwrap_or_default(),
        reason: reason.strip_prefix(&format!("{code}: ")).unwrap_or(&reason).to_owned(),
        code,
        at: header(AT).and_then(|at| at.parse().ok()).or(message.timestamp().to_millis()).unwrap_or(0),
    }
}
