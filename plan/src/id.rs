//! Document ids: the key of the root entity, a string or a decimal integer of at most 512 bytes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest id, in bytes. Elasticsearch refuses a longer `_id`.
pub const MAX_ID_BYTES: usize = 512;

/// What Debezium writes in place of an unchanged TOAST column; it says nothing about the value.
pub const DEBEZIUM_UNAVAILABLE: &str = "__debezium_unavailable_value";

/// How a key is written in GraphQL: `ID` and `String` are strings, integer scalars are integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// Sent to the gateway as a JSON string.
    String,
    /// Sent to the gateway as a JSON integer; kept as canonical decimal text.
    Integer,
}

/// The key of a root entity as text: never empty, never longer than [`MAX_ID_BYTES`], never with a NUL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DocumentId(Box<str>);

/// Why a value can't be a document id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The value is null, or the path leads nowhere.
    #[error("the id is missing")]
    Missing,
    /// The value is a boolean, a fraction, a list or an object.
    #[error("an id must be a string or an integer, this is {0}")]
    WrongType(&'static str),
    /// The key is an integer in the graph and the text isn't one.
    #[error("an integer id is wanted, this is {0:?}")]
    NotAnInteger(String),
    /// The text is empty.
    #[error("the id is empty")]
    Empty,
    /// The text is longer than [`MAX_ID_BYTES`].
    #[error("an id has at most {MAX_ID_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// The text holds a NUL character, which SQL and C strings cut.
    #[error("an id must not contain a NUL character")]
    Nul,
    /// Debezium's placeholder for a value that it doesn't know.
    #[error(
        "the id is Debezium's placeholder for an unavailable value; set REPLICA IDENTITY FULL on its table"
    )]
    Unavailable,
}

impl DocumentId {
    /// Takes text as an id of either kind.
    pub fn new(text: impl Into<Box<str>>) -> Result<Self, IdError> {
        let text = text.into();
        match () {
            () if text.is_empty() => Err(IdError::Empty),
            () if text.len() > MAX_ID_BYTES => Err(IdError::TooLong(text.len())),
            () if text.contains('\0') => Err(IdError::Nul),
            () if &*text == DEBEZIUM_UNAVAILABLE => Err(IdError::Unavailable),
            () => Ok(Self(text)),
        }
    }

    /// Takes text as an id of this kind; an integer loses a plus sign and leading zeros.
    pub fn parse(kind: IdKind, text: &str) -> Result<Self, IdError> {
        match kind {
            IdKind::String => Self::new(text),
            IdKind::Integer => match text.trim().parse::<i128>() {
                Ok(number) => Self::new(number.to_string()),
                Err(_) => Err(IdError::NotAnInteger(text.chars().take(64).collect())),
            },
        }
    }

    /// Takes the JSON value of an event or a document as an id of this kind.
    pub fn from_json(kind: IdKind, value: &Value) -> Result<Self, IdError> {
        match value {
            Value::String(text) => Self::parse(kind, text),
            Value::Number(number) if number.is_i64() || number.is_u64() => Self::new(number.to_string()),
            Value::Number(_) => Err(IdError::WrongType("a fraction")),
            Value::Null => Err(IdError::Missing),
            Value::Bool(_) => Err(IdError::WrongType("a boolean")),
            Value::Array(_) => Err(IdError::WrongType("a list")),
            Value::Object(_) => Err(IdError::WrongType("an object")),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a GraphQL variable of this kind. Ids travel to the gateway in no other way.
    pub fn to_variable(&self, kind: IdKind) -> Value {
        match kind {
            IdKind::String => Value::from(self.as_str()),
            IdKind::Integer => self.0.parse::<i64>().map_or_else(|_| Value::from(self.as_str()), Value::from),
        }
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DocumentId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl From<DocumentId> for String {
    fn from(id: DocumentId) -> Self {
        id.0.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_and_its_text_are_one_id() {
        let id = DocumentId::from_json(IdKind::Integer, &json!(7)).unwrap();
        assert_eq!(id, DocumentId::from_json(IdKind::Integer, &json!("007")).unwrap());
        assert_eq!(id.to_variable(IdKind::Integer), json!(7));
        assert_eq!(id.to_variable(IdKind::String), json!("7"));
    }

    #[test]
    fn what_is_no_id_says_why() {
        let refused = |value| DocumentId::from_json(IdKind::String, &value).unwrap_err();
        assert_eq!(refused(json!(null)), IdError::Missing);
        assert_eq!(refused(json!(1.5)), IdError::WrongType("a fraction"));
        assert_eq!(refused(json!("")), IdError::Empty);
        assert_eq!(refused(json!("a\0b")), IdError::Nul);
        assert_eq!(refused(json!("x".repeat(513))), IdError::TooLong(513));
        assert_eq!(refused(json!("__debezium_unavailable_value")), IdError::Unavailable);
    }
}
