//! Records as a source delivers them, and the paths that a configuration writes into them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a Kafka record carries, wherever it came from. Absent parts are `Null`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Record {
    /// The key, decoded.
    #[serde(default)]
    pub key: Value,
    /// The value, decoded; `Null` is a tombstone.
    #[serde(default)]
    pub value: Value,
    /// Header names and values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    /// When it was written, milliseconds since the epoch of Unix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
}

/// Where a [`RecordPath`] starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordRoot {
    /// `key` or `key.…`
    Key,
    /// `value` or `value.…`
    Value,
    /// `headers.…`
    Headers,
    /// `row.…`: the row before AND after the change, whichever exist.
    Row,
}

/// A path into a record, such as `key.movie_id`, `value.data.movieId`, `headers.id` or `row.movie_id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordPath {
    root: RecordRoot,
    segments: Vec<String>,
}

/// Why a text is no record path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordPathError {
    /// It starts with another word.
    #[error("a record path starts with key, value, headers or row, not {0:?}")]
    Root(String),
    /// Two dots in a row, or a dot at an end.
    #[error("a record path has no empty part")]
    EmptySegment,
    /// `headers` or `row` alone.
    #[error("{0:?} alone is no value; name a field of it")]
    Bare(String),
}

impl RecordPath {
    /// Parses `key.movie_id` and its kind.
    pub fn parse(text: &str) -> Result<Self, RecordPathError> {
        let mut parts = text.split('.');
        let first = parts.next().unwrap_or_default();
        let root = match first {
            "key" => RecordRoot::Key,
            "value" => RecordRoot::Value,
            "headers" => RecordRoot::Headers,
            "row" => RecordRoot::Row,
            other => return Err(RecordPathError::Root(other.to_owned())),
        };
        let segments: Vec<String> = parts.map(str::to_owned).collect();
        if segments.iter().any(String::is_empty) {
            return Err(RecordPathError::EmptySegment);
        }
        if segments.is_empty() && matches!(root, RecordRoot::Headers | RecordRoot::Row) {
            return Err(RecordPathError::Bare(first.to_owned()));
        }
        Ok(Self { root, segments })
    }

    /// Where it starts.
    pub fn root(&self) -> RecordRoot {
        self.root
    }

    /// The names after the root.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Follows the names into one value; `None` where a name is missing or stands in something else than an object.
    pub fn follow<'v>(&self, start: &'v Value) -> Option<&'v Value> {
        self.segments.iter().try_fold(start, |value, name| value.as_object()?.get(name))
    }
}

impl std::fmt::Display for RecordPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.root {
            RecordRoot::Key => "key",
            RecordRoot::Value => "value",
            RecordRoot::Headers => "headers",
            RecordRoot::Row => "row",
        })?;
        self.segments.iter().try_for_each(|segment| write!(f, ".{segment}"))
    }
}

impl TryFrom<String> for RecordPath {
    type Error = RecordPathError;
    fn try_from(text: String) -> Result<Self, RecordPathError> {
        Self::parse(&text)
    }
}

impl From<RecordPath> for String {
    fn from(path: RecordPath) -> Self {
        path.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_what_is_wrong_with_them() {
        assert_eq!(RecordPath::parse("key.movie_id").unwrap().to_string(), "key.movie_id");
        assert!(RecordPath::parse("key").is_ok());
        assert_eq!(RecordPath::parse("kye.id"), Err(RecordPathError::Root("kye".into())));
        assert_eq!(RecordPath::parse("value..id"), Err(RecordPathError::EmptySegment));
        assert_eq!(RecordPath::parse("row"), Err(RecordPathError::Bare("row".into())));
    }
}
