//! The free text of a search: its words, and how the full-text index is asked for them.

use plan::filter::words::words;

use crate::SearchError;

/// The longest text in bytes.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// The most words. A hit must hold them all, and each is one walk through the full-text index.
pub const MAX_WORDS: usize = 128;

/// The different words of a text, folded, in order; the last one may be unfinished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FreeText {
    words: Vec<String>,
}

impl FreeText {
    pub(crate) fn new(text: &str) -> Result<Self, SearchError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(SearchError::TextTooLong);
        }
        let mut distinct: Vec<String> = Vec::new();
        for word in words(text) {
            // The last mention counts, so that the unfinished word stays the last.
            distinct.retain(|known| *known != word.folded);
            distinct.push(word.folded);
            if distinct.len() > MAX_WORDS {
                return Err(SearchError::TextTooLong);
            }
        }
        Ok(Self { words: distinct })
    }

    /// Whether the text has no word at all: nothing holds it.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The FTS5 expression: every word in any of the columns, the last one also as a prefix. No column is all of them, which
    /// FTS5 has less to look at for.
    ///
    /// Words hold letters and digits only, so none can be read as syntax, and each is quoted all the same.
    pub(crate) fn match_expression(&self, columns: &[String]) -> String {
        let last = self.words.len().saturating_sub(1);
        let terms: Vec<String> = self
            .words
            .iter()
            .enumerate()
            .map(|(at, word)| match at == last {
                // The finished word beside its prefix: who holds it exactly ranks higher.
                true => format!("({0} OR {0} *)", quote(word)),
                false => quote(word),
            })
            .collect();
        let words = terms.join(" AND ");
        if columns.is_empty() { words } else { format!("{{{}}} : ({words})", columns.join(" ")) }
    }

    /// The word that may be unfinished, and those that are finished.
    pub(crate) fn last_and_others(&self) -> (Option<&str>, &[String]) {
        match self.words.split_last() {
            Some((last, others)) => (Some(last), others),
            None => (None, &[]),
        }
    }

    /// Whether a word of a document is one of those asked for.
    pub(crate) fn finds(&self, folded: &str) -> bool {
        let unfinished = self.words.last().is_some_and(|last| folded.starts_with(last.as_str()));
        unfinished || self.words.iter().any(|word| word == folded)
    }
}

/// A word as an FTS5 string.
pub(crate) fn quote(word: &str) -> String {
    format!("\"{}\"", word.replace('"', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_user_writes_is_syntax() {
        let text = FreeText::new("NEAR(\"crash\" landing) OR * -title: {x} crash").unwrap();
        let expression = text.match_expression(&["\"f:title\"".to_owned()]);
        let wanted =
            r#"{"f:title"} : ("near" AND "landing" AND "or" AND "title" AND "x" AND ("crash" OR "crash" *))"#;
        assert_eq!(expression, wanted);
    }

    #[test]
    fn a_text_has_limits() {
        assert!(FreeText::new("*** \" !").unwrap().is_empty());
        assert!(FreeText::new(&"x ".repeat(8_000)).is_ok());
        let different: Vec<String> = (0..129).map(|n| format!("w{n}")).collect();
        assert!(FreeText::new(&different.join(" ")).is_err() && FreeText::new(&"x".repeat(17_000)).is_err());
    }
}
