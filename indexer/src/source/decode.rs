//! The bytes of a topic's record, decoded.

use plan::{Record, code::kafka as codes};
use serde_json::Value;

use super::{BadRecord, Original, SourceError};
use crate::log::MAX_DEAD_LETTER_BYTES;

/// Decodes records.
pub struct Decoder;

impl Decoder {
    /// Decodes a record, or says what is wrong with it.
    pub async fn decode(&self, original: &Original) -> Result<Result<Record, BadRecord>, SourceError> {
        let parse = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| BadRecord {
                code: codes::SS301,
                reason: format!("it is no JSON: {error}"),
                raw: bytes[..bytes.len().min(MAX_DEAD_LETTER_BYTES)].to_vec(),
            }),
            None => Ok(Value::Null),
        };
        let record = || {
            let text = |value: &Option<Vec<u8>>| match value {
                Some(value) => Value::String(String::from_utf8_lossy(value).into_owned()),
                None => Value::Null,
            };
            Ok(Record {
                key: parse(&original.key)?,
                value: parse(&original.value)?,
                headers: original.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
                timestamp: original.timestamp,
            })
        };
        Ok(record())
    }
}
