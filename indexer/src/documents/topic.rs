//! A document as a record of the documents log: its body as the value, what was done to get it in the headers.

use super::DocumentSchema;
use crate::{StateError, ledger::IndexVersion, store::Document};

/// The document's version, a decimal number.
pub const VERSION: &str = "studio-search.version";
/// When its fetch started, milliseconds of Unix time.
pub const FETCHED_AT: &str = "studio-search.fetched_at";
/// The paths that failed, joined by commas; without it, none did.
pub const MISSING: &str = "studio-search.missing";

/// How the values of a documents topic are written.
///
/// A document that is gone has no value: that is how compacted topics say it. Its version is in the header, and appends are
/// fenced, so that no older document can follow it once compaction has forgotten it.
#[derive(Debug)]
pub enum TopicValues {
    /// The JSON of the answer.
    Json,
    /// Avro under a schema of the registry: a zero byte, the schema's number in four, the datum.
    Avro {
        /// The schema.
        schema: DocumentSchema,
        /// Its number.
        id: u32,
    },
}

impl TopicValues {
    /// The values of the documents log of this index version.
    pub fn of(served: &IndexVersion) -> Result<Self, StateError> {
        let Some((text, id)) = served.schema.as_ref().and_then(|schema| Some((&schema.text, schema.id?)))
        else {
            return Ok(Self::Json);
        };
        let unreadable = |error: super::SchemaError| StateError::UnreadablePlan {
            place: "the ledger".to_owned(),
            reason: format!("its Avro schema: {error}"),
        };
        let text = serde_json::from_str(text).map_err(|error| StateError::UnreadablePlan {
            place: "the ledger".to_owned(),
            reason: format!("its Avro schema: {error}"),
        })?;
        Ok(Self::Avro { schema: DocumentSchema::parse(&text).map_err(unreadable)?, id })
    }

    /// The value of a document, `None` where it is gone; else why it can't be written so.
    pub fn value(&self, document: &Document) -> Result<Option<Vec<u8>>, String> {
        let Some(body) = &document.body else { return Ok(None) };
        match self {
            Self::Json => Ok(Some(body.as_bytes().to_vec())),
            Self::Avro { schema, id } => {
                let mut value = Vec::with_capacity(5 + body.len());
                value.push(0);
                value.extend(id.to_be_bytes());
                schema.encode(body, &mut value).map_err(|error| error.to_string())?;
                Ok(Some(value))
            }
        }
    }

    /// The headers of a document.
    pub fn headers(document: &Document) -> Vec<(String, Vec<u8>)> {
        let mut headers = vec![
            (VERSION.to_owned(), document.version.to_string().into_bytes()),
            (FETCHED_AT.to_owned(), document.fetched_at.to_string().into_bytes()),
        ];
        if !document.missing.is_empty() {
            headers.push((MISSING.to_owned(), document.missing.join(",").into_bytes()));
        }
        headers
    }
}
