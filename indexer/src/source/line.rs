//! One event a line: `{"key": …, "value": …, "headers": {…}, "timestamp": ms}`, what a Kafka record would carry.

use std::io::{self, BufRead};

use plan::{Record, code::kafka as codes};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::BadRecord;
use crate::log::MAX_DEAD_LETTER_BYTES;

/// The longest line, in bytes. Kafka's default limit of a record.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default, deserialize_with = "present")]
    key: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    timestamp: Option<i64>,
}

/// Reads a line without its end.
pub fn parse(line: &[u8]) -> Result<Record, BadRecord> {
    if line.len() > MAX_LINE_BYTES {
        return Err(bad(line, format!("the line is longer than {MAX_LINE_BYTES} bytes")));
    }
    let text = std::str::from_utf8(line).map_err(|error| {
        bad(line, format!("the line is not UTF-8 text from byte {} on", error.valid_up_to()))
    })?;
    let line: Line = serde_json::from_str(text).map_err(|error| {
        let kind = if error.is_eof() { "the line is only half written" } else { "the line is no event" };
        bad(line, format!("{kind}: {error}"))
    })?;
    if line.key.is_none() && line.value.is_none() {
        return Err(bad(text.as_bytes(), "an event has a key, a value or both".to_owned()));
    }
    Ok(Record {
        key: line.key.unwrap_or_default(),
        value: line.value.unwrap_or_default(),
        headers: line.headers,
        timestamp: line.timestamp,
    })
}

/// Whether the bytes are the whole of an event, so that no line end need be waited for.
pub fn is_whole(line: &[u8]) -> bool {
    line.first() == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Skips to the end of a line without keeping it: how many bytes, and whether there was an end.
pub(crate) fn skip(reader: &mut impl BufRead) -> io::Result<(u64, bool)> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((skipped, false));
        }
        let (used, found) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (at + 1, true),
            None => (buffer.len(), false),
        };
        reader.consume(used);
        skipped += used as u64;
        if found {
            return Ok((skipped, true));
        }
    }
}

fn bad(line: &[u8], reason: String) -> BadRecord {
    BadRecord { code: codes::SS301, reason, raw: line[..line.len().min(MAX_DEAD_LETTER_BYTES)].to_vec() }
}

/// Tells `null`, a tombstone's value, from a missing field.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_say_why() {
        let reason = |line: &[u8]| parse(line).unwrap_err().reason;
        assert!(reason(br#"{"key": {"movie_id": "m"#).contains("half written"));
        assert!(reason(b"\xff\xfe\x00").contains("not UTF-8"));
        assert!(reason(br#"{"movie_id": 1}"#).contains("unknown field `movie_id`"));
        assert!(reason(b"{}").contains("a key, a value or both"));
        assert!(parse(br#"{"key": 1, "value": null}"#).is_ok(), "a tombstone");
    }

    #[test]
    fn only_a_whole_object_is_whole() {
        assert!(is_whole(br#"{"key": 1}"#));
        assert!(!is_whole(br#"{"key": 1"#));
        assert!(!is_whole(b"12"), "the number may go on");
    }
}
