//! What a check found, with the place it was found at; the command line alone turns it into a report.

use std::{ops::Range, sync::Arc};

use crate::Code;

/// Whether a finding forbids to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The input is wrong.
    Error,
    /// The input is allowed, and probably not what was meant.
    Warning,
}

/// A text that a user wrote, with the name it is reported under.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceText {
    /// A path as the user gave it, or `<filter>` and its kind.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// One finding. `place` is a text and a range of bytes in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The code.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong with this input, one line, no full stop.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Where it stands.
    pub place: Option<(Arc<SourceText>, Range<usize>)>,
}

impl Diagnostic {
    /// An error without a place or help. Signs that no screen shows are escaped: messages quote what people wrote.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: one_line(message.into()), help: None, place: None }
    }

    /// A warning without a place or help.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Says where it stands, in bytes; the range is cut to the text.
    #[must_use]
    pub fn at(mut self, source: &Arc<SourceText>, range: Range<usize>) -> Self {
        let end = source.text.len();
        self.place =
            Some((Arc::clone(source), range.start.min(end)..range.end.clamp(range.start.min(end), end)));
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(one_line(help.into()));
        self
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Line breaks, NUL and their kin as `\n` and `\u{0}`: a report is lines, and a terminal obeys control characters.
fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// The line and column of a byte offset, both from 1, columns in characters.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    // Bytes that continue a UTF-8 sequence begin with 10.
    let column = before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
    (line, column)
}

/// The name nearest to `word` among `names`, if near enough to be a slip of the hand.
pub fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let limit = (length / 3).max(1);
    names
        .into_iter()
        // So many edits change the length by no more; most names of a large schema end here.
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| (strsim::damerau_levenshtein(&word, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, name)| (*distance, *name))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        assert_eq!(line_and_column("é: 1\nnäme: x", 6), (2, 1));
        assert_eq!(line_and_column("é: 1\nnäme: x", 9), (2, 3));
        assert_eq!(line_and_column("ab", 99), (1, 3));
    }

    #[test]
    fn messages_and_mends_are_one_line_without_control_characters() {
        let finding = Diagnostic::error(crate::code::config::SS101, "é\n\u{1b}[31m").help("a\0b");
        assert_eq!(
            (finding.message.as_str(), finding.help.as_deref()),
            ("é\\n\\u{1b}[31m", Some("a\\u{0}b"))
        );
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("titel", ["title", "type"]), Some("title"));
        assert_eq!(nearest("budget", ["title", "type"]), None);
    }
}
