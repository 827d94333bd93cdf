//! Dead letters: events that can't be understood, as they are kept, listed, and read back.

use std::{fmt, str::FromStr};

use plan::{Code, Record};
use serde::{Serialize, Serializer};

use crate::source::Original;

/// How much of a record a dead letter keeps: enough to see what it was, and what a full batch of them may take. A record of
/// a topic is kept whole.
pub const MAX_DEAD_LETTER_BYTES: usize = 64 << 10;

/// An event that can't be understood, kept with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The source.
    pub source: String,
    /// Where the source had it: a byte offset of a file, a number of the inbox.
    pub position: String,
    /// What is wrong.
    pub code: Code,
    /// What is wrong, in words.
    pub reason: String,
    /// The record as it came, at most its first [`MAX_DEAD_LETTER_BYTES`].
    pub record: Vec<u8>,
    /// The record as Kafka delivered it, whole.
    pub original: Option<Box<Original>>,
}

impl DeadLetter {
    /// A dead letter of a record that could be decoded as JSON and no further.
    pub fn of_record(source: &str, position: String, code: Code, reason: String, record: &Record) -> Self {
        let mut record = serde_json::to_vec(record).unwrap_or_default();
        record.truncate(MAX_DEAD_LETTER_BYTES);
        record.shrink_to_fit();
        Self { source: source.to_owned(), position, code, reason, record, original: None }
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let original = self.original.as_ref().map_or(0, |original| original.bytes());
        size_of::<Self>() + self.reason.len() + self.record.len() + original
    }
}

/// What a dead letter is called by: `7` in a state file, `0:7` (partition and offset) in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterNumber {
    /// The partition of the topic; none in a state file.
    pub partition: Option<i32>,
    /// The offset, or the number of the row.
    pub number: i64,
}

impl LetterNumber {
    /// The number of a row in the state file.
    pub fn of_row(number: i64) -> Self {
        Self { partition: None, number }
    }

    /// The place of a record in the topic.
    pub fn of_record(partition: i32, offset: i64) -> Self {
        Self { partition: Some(partition), number: offset }
    }
}

impl fmt::Display for LetterNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            Some(partition) => write!(f, "{partition}:{}", self.number),
            None => write!(f, "{}", self.number),
        }
    }
}

impl FromStr for LetterNumber {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |text: &str| text.parse::<u32>().ok();
        let parsed = match text.split_once(':') {
            Some((partition, offset)) => digits(partition)
                .and_then(|partition| i32::try_from(partition).ok())
                .zip(offset.parse::<i64>().ok())
                .map(|(partition, offset)| Self::of_record(partition, offset)),
            None => text.parse().ok().map(Self::of_row),
        };
        parsed
            .filter(|parsed| parsed.number >= 0)
            .ok_or_else(|| "use a number as `errors list` shows it, such as 7 or 0:7".to_owned())
    }
}

impl Serialize for LetterNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A dead letter as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterRow {
    /// What it is called by.
    pub number: LetterNumber,
    /// The source.
    pub source: String,
    /// Where the source had it.
    pub position: String,
    /// The diagnostic code.
    pub code: String,
    /// What is wrong with it.
    pub reason: String,
    /// When it was found, milliseconds of Unix time.
    pub at: i64,
}

/// A dead letter as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLetter {
    /// As it is listed.
    pub row: DeadLetterRow,
    /// What is kept of a record that came from no topic: a line, or a key.
    pub record: Vec<u8>,
    /// The record as its topic had it.
    pub original: Option<Box<Original>>,
}

impl KeptLetter {
    /// Whether it may be only the beginning of what came.
    pub fn may_be_cut(&self) -> bool {
        self.original.is_none() && self.record.len() >= MAX_DEAD_LETTER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_are_shown() {
        for text in ["7", "0:7", "12:9000000000"] {
            assert_eq!(text.parse::<LetterNumber>().unwrap().to_string(), text);
        }
        for text in ["", "x", "-1", "0:-1", "-1:0", "0:", ":7", "0:1:2"] {
            assert!(text.parse::<LetterNumber>().is_err(), "{text}");
        }
    }
}
