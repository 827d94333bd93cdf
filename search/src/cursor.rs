//! Where a page begins: opaque to whoever carries it, good for one search only.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use crate::SearchError;

/// A cursor as text. It is checked when a search uses it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

/// What a cursor says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The search that it belongs to.
    #[serde(rename = "s")]
    pub(crate) search: String,
    /// The time that the first page was seen from, so that date maths mean the same on every page.
    #[serde(rename = "n")]
    pub(crate) now_ms: i64,
    /// What the last hit was sorted by.
    #[serde(rename = "k")]
    pub(crate) keys: Vec<Key>,
    /// The last hit.
    #[serde(rename = "i")]
    pub(crate) id: String,
}

/// One value that a hit was sorted by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Key {
    #[serde(rename = "m")]
    Missing,
    #[serde(rename = "i")]
    Integer(i64),
    /// The bits of a double: decimal text could lose the last one.
    #[serde(rename = "d")]
    Double(u64),
    #[serde(rename = "t")]
    Text(String),
}

impl Cursor {
    /// Takes the text of a cursor; any text will do until it is used.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The cursor as text: hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn to(position: &Position) -> Self {
        let json = serde_json::to_vec(position).unwrap_or_default();
        Self(json.iter().fold(String::with_capacity(json.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    /// Reads the position, if it is one of this search with so many keys.
    pub(crate) fn position(&self, search: &str, keys: usize) -> Result<Position, SearchError> {
        let position = self.decode().ok_or(SearchError::Cursor)?;
        let belongs = position.search == search && position.keys.len() == keys;
        if belongs { Ok(position) } else { Err(SearchError::Cursor) }
    }

    fn decode(&self) -> Option<Position> {
        let (pairs, rest) = self.0.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        serde_json::from_slice(&bytes.filter(|_| rest.is_empty())?).ok()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_search() {
        let keys = vec![Key::Missing, Key::Double(0.1_f64.to_bits()), Key::Text("é\0".to_owned())];
        let position = Position { search: "a".to_owned(), now_ms: 7, keys, id: "m1".to_owned() };
        let cursor = Cursor::to(&position);
        assert_eq!(cursor.position("a", 3).unwrap(), position);
        assert!(cursor.position("b", 3).is_err() && cursor.position("a", 2).is_err());
        for forged in ["", "7", "zz", "7b7d", "é", &cursor.as_str()[2..]] {
            assert!(Cursor::new(forged).position("a", 3).is_err(), "{forged}");
        }
    }
}
