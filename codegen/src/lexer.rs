//! GraphQL's tokens with their bytes: what the SDL reader parses, and what gives places in queries their ends.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Name,
    /// An integer or a float.
    Number,
    /// A quoted string, quotes included.
    String,
    /// A `"""` string, quotes included.
    BlockString,
    /// `{ } ( ) [ ] : = ! | & @ $`
    Punctuator(u8),
    /// `...`
    Spread,
    /// Everything after `#` to the end of the line.
    Comment,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

/// Where the text stops being GraphQL, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LexError {
    pub(crate) message: &'static str,
    pub(crate) range: Range<usize>,
}

/// Cuts a text into tokens.
#[derive(Clone)]
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self::starting(text, 0)
    }

    /// Begins at a byte that begins a token.
    pub(crate) fn starting(text: &'t str, at: usize) -> Self {
        Self { text, at }
    }

    /// Goes on behind the brace that closes the one which was read last, without a look at what is between.
    pub(crate) fn skip_braces(&mut self) -> Result<(), LexError> {
        let open = self.at.saturating_sub(1);
        let bytes = self.text.as_bytes();
        let mut depth = 1_usize;
        while depth > 0 {
            let Some(byte) = bytes.get(self.at) else {
                return Err(self.error("this brace is not closed", open..open + 1));
            };
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b'#' | b'"' => {
                    if let Some(Err(error)) = self.next() {
                        return Err(error);
                    }
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        Ok(())
    }

    /// The last item: what follows a mistake means nothing.
    fn error(&mut self, message: &'static str, range: Range<usize>) -> LexError {
        self.at = self.text.len();
        LexError { message, range }
    }

    /// The end of a quoted string that begins at `start`; `None` where it isn't closed on its line.
    fn string_end(&self, start: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = start + 1;
        loop {
            match bytes.get(at)? {
                b'"' => return Some(at + 1),
                b'\n' | b'\r' => return None,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }

    /// The end of a block string that begins at `start`.
    fn block_string_end(&self, start: usize) -> Option<usize> {
        let mut at = start + 3;
        loop {
            let quotes = at + self.text.get(at..)?.find("\"\"\"")?;
            if !self.text[..quotes].ends_with('\\') {
                return Some(quotes + 3);
            }
            at = quotes + 3;
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Result<Token, LexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b',' => self.at += 1,
                0xEF if self.text[self.at..].starts_with('\u{feff}') => self.at += 3,
                _ => break,
            }
        }
        let start = self.at;
        let rest = &bytes[start..];
        let (kind, end) = match *rest.first()? {
            b'#' => (
                Kind::Comment,
                start + rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len()),
            ),
            b'.' if rest.starts_with(b"...") => (Kind::Spread, start + 3),
            b'"' if rest.starts_with(b"\"\"\"") => match self.block_string_end(start) {
                Some(end) => (Kind::BlockString, end),
                None => return Some(Err(self.error("this block string is not closed", start..start + 3))),
            },
            b'"' => match self.string_end(start) {
                Some(end) => (Kind::String, end),
                None => {
                    return Some(Err(self.error("this string is not closed on its line", start..start + 1)));
                }
            },
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let length = rest.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'_');
                (Kind::Name, start + length.unwrap_or(rest.len()))
            }
            b'-' | b'0'..=b'9' => {
                let length = rest.iter().position(|b| !b.is_ascii_alphanumeric() && !b"+-._".contains(b));
                (Kind::Number, start + length.unwrap_or(rest.len()))
            }
            byte if b"{}()[]:=!|&@$".contains(&byte) => (Kind::Punctuator(byte), start + 1),
            _ => {
                let width = self.text[start..].chars().next().map_or(1, char::len_utf8);
                return Some(Err(self.error("GraphQL has no such character here", start..start + width)));
            }
        };
        self.at = end;
        Some(Ok(Token { kind, range: start..end }))
    }
}

/// The value of a string token, escapes and indentation resolved as the specification says.
pub(crate) fn string_value(token: &Token, text: &str) -> String {
    let written = &text[token.range.clone()];
    match token.kind {
        Kind::BlockString => block_value(&written[3..written.len().saturating_sub(3).max(3)]),
        Kind::String => quoted_value(&written[1..written.len().saturating_sub(1).max(1)]),
        _ => written.to_owned(),
    }
}

fn quoted_value(raw: &str) -> String {
    let mut value = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(next) = chars.next() {
        if next != '\\' {
            value.push(next);
            continue;
        }
        match chars.next() {
            Some('n') => value.push('\n'),
            Some('t') => value.push('\t'),
            Some('r') => value.push('\r'),
            Some('b') => value.push('\u{8}'),
            Some('f') => value.push('\u{c}'),
            Some('u') => value.push(escaped(&mut chars)),
            Some(other) => value.push(other),
            None => {}
        }
    }
    value
}

/// The character behind `\u`: four digits, two times four digits (a surrogate pair), or digits in braces.
fn escaped(chars: &mut std::str::Chars<'_>) -> char {
    let four = |chars: &mut std::str::Chars<'_>| {
        let digits = chars.as_str().get(..4).unwrap_or_default().to_owned();
        chars.by_ref().take(4).for_each(drop);
        u32::from_str_radix(&digits, 16).unwrap_or(u32::MAX)
    };
    let code = if chars.as_str().starts_with('{') {
        let digits: String = chars.by_ref().skip(1).take_while(|next| *next != '}').collect();
        u32::from_str_radix(&digits, 16).unwrap_or(u32::MAX)
    } else {
        let first = four(chars);
        if (0xD800..0xDC00).contains(&first) && chars.as_str().starts_with("\\u") {
            chars.by_ref().take(2).for_each(drop);
            let second = four(chars);
            0x1_0000 + ((first - 0xD800) << 10) + (second.wrapping_sub(0xDC00) & 0x3FF)
        } else {
            first
        }
    };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn block_value(raw: &str) -> String {
    let raw = raw.replace("\\\"\"\"", "\"\"\"");
    let lines: Vec<&str> = raw.lines().collect();
    let indent = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let common = lines.iter().skip(1).filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    let mut cut: Vec<&str> = lines
        .iter()
        .enumerate()
        .map(|(n, line)| if n == 0 { line } else { line.get(common..).unwrap_or_default() })
        .collect();
    while cut.first().is_some_and(|line| line.trim().is_empty()) {
        cut.remove(0);
    }
    while cut.last().is_some_and(|line| line.trim().is_empty()) {
        cut.pop();
    }
    cut.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        Lexer::new(text).map(|token| &text[token.unwrap().range]).collect()
    }

    #[test]
    fn a_text_is_cut_as_the_specification_says() {
        assert_eq!(
            words("\u{feff}{a(b:-1.5e+3,c:\"x\\\"y\")...F}#é\r\n@d"),
            [
                "{",
                "a",
                "(",
                "b",
                ":",
                "-1.5e+3",
                "c",
                ":",
                "\"x\\\"y\"",
                ")",
                "...",
                "F",
                "}",
                "#é",
                "@",
                "d"
            ]
        );
        assert_eq!(words("\"\"\"a \\\"\"\" b\"\"\" c"), ["\"\"\"a \\\"\"\" b\"\"\"", "c"]);
    }

    #[test]
    fn what_is_no_token_ends_the_text_without_a_panic() {
        for text in ["\"open", "\"\"\"open", "a é", "..", "\"\\", "\"é\\"] {
            assert!(Lexer::new(text).any(|token| token.is_err()), "{text}");
        }
    }

    #[test]
    fn strings_mean_what_they_say() {
        let value = |text: &str| string_value(&Lexer::new(text).next().unwrap().unwrap(), text);
        assert_eq!(value(r#""a\n\u00e9\"""#), "a\né\"");
        assert_eq!(value("\"\"\"\n    One.\n      Two.\n  \"\"\""), "One.\n  Two.");
        assert_eq!(value("\"\"\"\"\"\""), "");
        assert_eq!(value(r#""\u{1F600}\ud83d\ude00\u00e9\/""#), "😀😀é/");
        assert_eq!(value(r#""\ud83dx\u12é\u{110000}\u""#).chars().last(), Some('\u{fffd}'));
    }
}
