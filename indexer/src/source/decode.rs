//! From the bytes of a topic's record to a record: JSON, plain text, and Avro under a schema of the registry.

use plan::{Code, Record, code::kafka as codes, kafka_plan::Encoding};
use serde_json::{Map, Value};

use super::{BadRecord, pulse};
use crate::{
    log::MAX_DEAD_LETTER_BYTES,
    registry::{RegistryError, SchemaId, Schemas},
};

/// The longest key or value, in bytes: Kafka's default limit of a record, and the longest line of a file.
pub const MAX_PART_BYTES: usize = super::line::MAX_LINE_BYTES;

/// In which headers Confluent's serializers name the schemas, where they leave the payload bare.
const KEY_SCHEMA: &str = "__key_schema_id";
const VALUE_SCHEMA: &str = "__value_schema_id";

/// The first byte of Confluent's framing: a number of four bytes follows, or a GUID of 16.
const FRAME_NUMBER: u8 = 0;
const FRAME_GUID: u8 = 1;

/// A record as Kafka delivers it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawRecord<'r> {
    /// The key's bytes.
    pub key: Option<&'r [u8]>,
    /// The value's bytes; none: a tombstone.
    pub value: Option<&'r [u8]>,
    /// Header names and bytes, in their order. A name may stand there twice; the last one counts.
    pub headers: &'r [(&'r str, Option<&'r [u8]>)],
    /// When it was written, milliseconds of Unix time.
    pub timestamp: Option<i64>,
}

/// Reads the records of one source.
#[derive(Clone)]
pub struct RecordDecoder {
    encoding: Encoding,
    schemas: Option<Schemas>,
}

/// What stands before a payload, and the payload itself.
type Framed<'r> = (SchemaId, &'r [u8]);

impl RecordDecoder {
    /// Reads this encoding; Avro needs the schemas of a registry.
    pub fn new(encoding: Encoding, schemas: Option<Schemas>) -> Self {
        Self { encoding, schemas }
    }

    /// The record, or why nobody can read it.
    ///
    /// Errors: the registry doesn't answer, or refuses to. They say nothing about the record, which is to be read again.
    pub async fn decode(&self, raw: &RawRecord<'_>) -> Result<Result<Record, BadRecord>, RegistryError> {
        if let Some(heartbeat) = pulse::of_headers(raw.headers, raw.timestamp) {
            return Ok(Ok(heartbeat));
        }
        let bad = |code, reason: String| BadRecord {
            code,
            reason,
            raw: raw.value.or(raw.key).map(kept).unwrap_or_default(),
        };
        for (what, part) in [("key", raw.key), ("value", raw.value)] {
            if part.is_some_and(|bytes| bytes.len() > MAX_PART_BYTES) {
                let reason = format!("the {what} is longer than {MAX_PART_BYTES} bytes");
                return Ok(Err(bad(codes::SS301, reason)));
            }
        }
        let key = match self.key(raw).await? {
            Ok(key) => key,
            Err((code, reason)) => return Ok(Err(bad(code, format!("the key: {reason}")))),
        };
        let value = match self.value(raw).await? {
            Ok(value) => value,
            Err((code, reason)) => return Ok(Err(bad(code, format!("the value: {reason}")))),
        };
        let headers = raw.headers.iter().map(|(name, bytes)| ((*name).to_owned(), header(*bytes)));
        let headers = headers.collect::<Map<_, _>>();
        Ok(Ok(Record { key, value, headers, timestamp: raw.timestamp }))
    }

    async fn key(&self, raw: &RawRecord<'_>) -> Result<Result<Value, (Code, String)>, RegistryError> {
        let Some(bytes) = raw.key else { return Ok(Ok(Value::Null)) };
        if self.encoding == Encoding::Json {
            return Ok(Ok(json_or_text(unframed(bytes))));
        }
        // Beside values in Avro a key is often plain text: only what is framed is Avro.
        match named(raw.headers, KEY_SCHEMA, bytes).or_else(|| framed(bytes)) {
            Some(framed) => self.avro(framed).await,
            None => Ok(Ok(json_or_text(bytes))),
        }
    }

    async fn value(&self, raw: &RawRecord<'_>) -> Result<Result<Value, (Code, String)>, RegistryError> {
        let Some(bytes) = raw.value else { return Ok(Ok(Value::Null)) };
        if self.encoding == Encoding::Json {
            let value = serde_json::from_slice(unframed(bytes));
            return Ok(value.map_err(|error| (codes::SS301, format!("it is no JSON: {error}"))));
        }
        if let Some(framed) = named(raw.headers, VALUE_SCHEMA, bytes).or_else(|| framed(bytes)) {
            return self.avro(framed).await;
        }
        let reason =
            "it names no schema: before its bytes there is neither a number nor a GUID, and no header";
        Ok(Err((codes::SS323, format!("{reason} {VALUE_SCHEMA}"))))
    }

    async fn avro(&self, (id, datum): Framed<'_>) -> Result<Result<Value, (Code, String)>, RegistryError> {
        let Some(schemas) = &self.schemas else {
            return Ok(Err((
                codes::SS323,
                format!("it is written with schema {id}, and there is no registry"),
            )));
        };
        let schema = match schemas.get(id).await? {
            Ok(schema) => schema,
            Err(reason) => return Ok(Err((codes::SS323, reason))),
        };
        let value = schema.decode(datum);
        Ok(value.map_err(|error| (codes::SS301, format!("it is no datum of schema {id}: {error}"))))
    }
}

/// What a header names as the schema, with the payload that is bare then. Its value is what stands before a payload
/// otherwise.
fn named<'r>(headers: &[(&str, Option<&[u8]>)], wanted: &str, payload: &'r [u8]) -> Option<Framed<'r>> {
    let (_, bytes) = headers.iter().rfind(|(name, _)| *name == wanted)?;
    let (id, rest) = framed((*bytes)?)?;
    rest.is_empty().then_some((id, payload))
}

/// Confluent's framing: the schema, and the payload behind it. No registry gives a schema the number 0.
fn framed(bytes: &[u8]) -> Option<Framed<'_>> {
    match bytes {
        [FRAME_NUMBER, rest @ ..] => {
            let (number, payload) = rest.split_first_chunk()?;
            let number = u32::from_be_bytes(*number);
            (number > 0).then_some((SchemaId::Number(number), payload))
        }
        [FRAME_GUID, rest @ ..] => {
            let (guid, payload) = rest.split_first_chunk()?;
            Some((SchemaId::Guid(u128::from_be_bytes(*guid)), payload))
        }
        _ => None,
    }
}

/// JSON under a JSON Schema of a registry is framed, too, and says by itself what it holds.
fn unframed(bytes: &[u8]) -> &[u8] {
    match framed(bytes) {
        Some((_, payload)) if payload.first().is_some_and(|first| b"{[\"".contains(first)) => payload,
        _ => bytes,
    }
}

/// A key: a container or a text of JSON, else the text as it is. A number that JSON would bend, such as one of 30 digits or
/// `1e5`, stays text, and so does every word; what is no text is nobody's id.
fn json_or_text(bytes: &[u8]) -> Value {
    let Ok(text) = std::str::from_utf8(bytes) else { return Value::Null };
    if text.contains('\0') || text == "null" {
        return Value::Null;
    }
    let is_json = text.trim_start().starts_with(['{', '[', '"']);
    let integer = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    match integer {
        Some(number) => number.into(),
        None if is_json => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        None => text.into(),
    }
}

/// A header's value. Kafka Connect writes texts as they are; other bytes say nothing that a path could name.
fn header(bytes: Option<&[u8]>) -> Value {
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.map_or(Value::Null, Value::from)
}

fn kept(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(MAX_DEAD_LETTER_BYTES)].to_vec()
}

#[cfg(test)]
mod tests;
