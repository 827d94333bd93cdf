//! One reading a format: what a record says happened, when, and where the images of the row stand in its value.
//!
//! The forms are those of Debezium 3 and Kafka Connect 4, as `tests/it/debezium.rs` takes them from real servers.

use std::borrow::Cow;

use plan::{Record, index_plan::EventFormat};
use serde_json::{Map, Value};

use super::event::{Change, EventError};

/// What a format makes of a record.
#[derive(Debug)]
pub(super) struct Reading<'r> {
    pub(super) change: Change,
    /// Milliseconds of Unix time.
    pub(super) at: Option<i64>,
    /// What `value.…` paths see.
    pub(super) value: Cow<'r, Value>,
    /// The paths in `value` where the images of the row are, before and after.
    pub(super) rows: Rows,
}

/// Paths in a value.
pub(super) type Rows = &'static [&'static [&'static str]];

const NO_ROW: Rows = &[];
const WHOLE: Rows = &[&[]];
const ENVELOPE: Rows = &[&["before"], &["after"]];
const DATA: Rows = &[&["data"]];
const DATA_ENVELOPE: Rows = &[&["data", "before"], &["data", "after"]];

/// Reads a record of this format.
pub(super) fn read(format: EventFormat, record: &Record) -> Result<Reading<'_>, EventError> {
    let value = unwrap(&record.value);
    // The binary form of a CloudEvent without data has no value either.
    if value.is_null() && !(format == EventFormat::Cloudevents && is_binary_cloud_event(record)) {
        // Kafka's tombstone: it follows a delete, or is all that a compacted topic has left of it.
        let value = Cow::Borrowed(value);
        return Ok(Reading { change: Change::Delete, at: record.timestamp, value, rows: NO_ROW });
    }
    match format {
        EventFormat::Debezium => debezium(record, value),
        EventFormat::DebeziumFlat => Ok(debezium_flat(record, value)),
        EventFormat::Outbox => Ok(whole(record, parsed(value))),
        EventFormat::Cloudevents => cloud_event(record, value),
        EventFormat::Plain => Ok(whole(record, Cow::Borrowed(value))),
    }
}

/// Kafka Connect's JSON converter wraps everything in `{schema, payload}` unless it is told not to.
pub(super) fn unwrap(value: &Value) -> &Value {
    match value {
        Value::Object(fields) if fields.len() == 2 && fields.contains_key("schema") => {
            fields.get("payload").unwrap_or(value)
        }
        _ => value,
    }
}

fn whole<'r>(record: &Record, value: Cow<'r, Value>) -> Reading<'r> {
    Reading { change: Change::Upsert, at: record.timestamp, value, rows: WHOLE }
}

/// Debezium's letter for what happened.
fn operation(letter: &str) -> Result<Change, EventError> {
    match letter {
        "c" | "u" => Ok(Change::Upsert),
        "d" => Ok(Change::Delete),
        "r" => Ok(Change::SnapshotRead),
        "t" => Ok(Change::Truncate),
        // A message of `pg_logical_emit_message`.
        "m" => Ok(Change::Nothing),
        other => Err(EventError::Operation(other.to_owned())),
    }
}

fn debezium<'r>(record: &'r Record, value: &'r Value) -> Result<Reading<'r>, EventError> {
    let change = match value.get("op").and_then(Value::as_str) {
        Some(letter) => operation(letter)?,
        None if is_about_the_connector(unwrap(&record.key), value) => Change::Nothing,
        None => return Err(EventError::NoEnvelope),
    };
    let committed = value.get("source").and_then(|source| source.get("ts_ms"));
    let at = committed.or_else(|| value.get("ts_ms")).and_then(millis).or(record.timestamp);
    Ok(Reading { change, at, value: Cow::Borrowed(value), rows: ENVELOPE })
}

/// A heartbeat, or the border of a transaction. They come in topics of their own, unless a transform leads all into one.
fn is_about_the_connector(key: &Value, value: &Value) -> bool {
    let is_heartbeat = key.get("serverName").is_some() && value.get("ts_ms").is_some();
    let is_border = value.get("status").is_some_and(|status| status == "BEGIN" || status == "END")
        && value.get("id").is_some()
        && value.get("event_count").is_some();
    is_heartbeat || is_border
}

/// The transform `ExtractNewRecordState` leaves the row and, where it is told to, says more in fields or headers that begin
/// with two underscores. It drops truncates.
fn debezium_flat<'r>(record: &'r Record, value: &'r Value) -> Reading<'r> {
    let told = |name: &str| value.get(name).or_else(|| record.headers.get(name));
    let is_deleted = told("__deleted").is_some_and(|told| told == "true" || *told == Value::Bool(true));
    let letter = told("__op").and_then(Value::as_str).unwrap_or("u");
    let change = match operation(letter) {
        _ if is_deleted => Change::Delete,
        Ok(change) => change,
        // A column of the table that happens to have this name.
        Err(_) => Change::Upsert,
    };
    let at = told("__source_ts_ms").or_else(|| told("__ts_ms")).and_then(millis).or(record.timestamp);
    Reading { change, at, value: Cow::Borrowed(value), rows: WHOLE }
}

/// An event of CloudEvents in its structured form, or put together from the headers of its binary form, so that
/// `value.data.…` leads to the same place in both. What Debezium makes of a row has the images in its data and the letter
/// beside it.
fn cloud_event<'r>(record: &'r Record, value: &'r Value) -> Result<Reading<'r>, EventError> {
    let value = if is_binary_cloud_event(record) {
        Cow::Owned(from_binary(record, value))
    } else if value.get("specversion").is_some() {
        with_plain_data(value)
    } else {
        return Err(EventError::NoCloudEvent);
    };
    let attribute = |name: &str| value.get(name);
    let letter = attribute("iodebeziumop").and_then(Value::as_str);
    let (change, rows) = match letter {
        Some(letter) => (operation(letter)?, DATA_ENVELOPE),
        None => (Change::Upsert, DATA),
    };
    let told = attribute("time").and_then(Value::as_str);
    let told = told.and_then(|time| Some(time.parse::<jiff::Timestamp>().ok()?.as_millisecond()));
    let at = attribute("iodebeziumtsms").and_then(millis).or(told).or(record.timestamp);
    Ok(Reading { change, at, value, rows })
}

fn is_binary_cloud_event(record: &Record) -> bool {
    record.headers.contains_key("ce_specversion")
}

fn from_binary(record: &Record, value: &Value) -> Value {
    let attributes = record
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("ce_")?.to_owned(), value.clone())));
    let mut event: Map<String, Value> = attributes.collect();
    if !value.is_null() {
        event.insert("data".to_owned(), parsed(value).into_owned());
    }
    Value::Object(event)
}

/// The event with its data bare: not wrapped with its schema, not JSON written as a string.
fn with_plain_data(event: &Value) -> Cow<'_, Value> {
    let Some(data) = event.get("data") else { return Cow::Borrowed(event) };
    let plain = parsed(unwrap(data));
    if matches!(&plain, Cow::Borrowed(plain) if std::ptr::eq(*plain, data)) {
        return Cow::Borrowed(event);
    }
    let mut event = event.clone();
    event["data"] = plain.into_owned();
    Cow::Owned(event)
}

/// JSON that travels as a string, as the outbox router does with a payload of `jsonb` unless it is told to expand it.
fn parsed(value: &Value) -> Cow<'_, Value> {
    let Value::String(text) = value else { return Cow::Borrowed(value) };
    match serde_json::from_str(text) {
        Ok(inner @ (Value::Object(_) | Value::Array(_))) => Cow::Owned(inner),
        _ => Cow::Borrowed(value),
    }
}

/// A number, also as text: in headers and in attributes of CloudEvents it is text.
fn millis(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
