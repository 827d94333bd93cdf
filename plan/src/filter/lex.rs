//! The words of the filter language: tokens with their places.

use std::{iter::Peekable, ops::Range, str::CharIndices};

use serde_json::Number;

/// A token and its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A name or a keyword.
    Word(String),
    /// A name in backticks, never a keyword.
    QuotedWord(String),
    Text(String),
    Number(Number),
    /// `(`, `==` and their kin.
    Symbol(&'static str),
    /// After the last token.
    End,
}

/// What can't be a token, where, and what to do about it.
#[derive(Debug)]
pub(super) struct LexError {
    pub(super) message: String,
    pub(super) help: &'static str,
    pub(super) span: Range<usize>,
}

/// Longer symbols first: `<=` is not `<` and `=`.
const SYMBOLS: [&str; 12] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "."];

/// What people write by habit of other languages.
const HABITS: [(&str, &str); 6] = [
    ("=", "equality is written =="),
    ("<>", "inequality is written !="),
    ("&&", "write AND"),
    ("||", "write OR"),
    ("!", "write NOT"),
    ("{", "lists stand in square brackets"),
];

/// Splits the text; the last token is always [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, LexError> {
    let mut lexer = Lexer { text, rest: text.char_indices().peekable() };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token()? {
        tokens.push(token);
    }
    tokens.push(Token { kind: TokenKind::End, span: text.len()..text.len() });
    Ok(tokens)
}

struct Lexer<'t> {
    text: &'t str,
    rest: Peekable<CharIndices<'t>>,
}

impl Lexer<'_> {
    fn token(&mut self) -> Result<Option<Token>, LexError> {
        self.skip_blanks();
        let Some(&(start, first)) = self.rest.peek() else { return Ok(None) };
        let kind = match first {
            '\'' | '"' => TokenKind::Text(self.quoted(start, first)?),
            '`' => TokenKind::QuotedWord(self.quoted(start, first)?),
            c if c.is_ascii_digit() || (c == '-' && self.digit_follows(start)) => self.number(start)?,
            c if begins_word(c) => TokenKind::Word(self.take_while(continues_word).to_owned()),
            _ => TokenKind::Symbol(self.symbol(start, first)?),
        };
        Ok(Some(Token { kind, span: start..self.position() }))
    }

    /// Leaves out white space and comments.
    fn skip_blanks(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if !self.text[self.position()..].starts_with("--") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn quoted(&mut self, start: usize, quote: char) -> Result<String, LexError> {
        self.rest.next();
        let mut text = String::new();
        while let Some((at, c)) = self.rest.next() {
            match c {
                c if c == quote => return Ok(text),
                '\\' => text.push(self.escape(at)?),
                c => text.push(c),
            }
        }
        let message = "the quote is not closed".to_owned();
        Err(LexError {
            message,
            help: "close it with the same sign; inside, write it with a backslash before it",
            span: start..start + 1,
        })
    }

    fn escape(&mut self, start: usize) -> Result<char, LexError> {
        let escaped = match self.rest.next() {
            Some((_, c @ ('\\' | '\'' | '"' | '`' | '/'))) => Some(c),
            Some((_, 'n')) => Some('\n'),
            Some((_, 'r')) => Some('\r'),
            Some((_, 't')) => Some('\t'),
            Some((at, 'u')) => {
                let digits = self
                    .text
                    .get(at + 1..at + 5)
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
                digits
                    .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                    .and_then(char::from_u32)
                    .inspect(|_| {
                        self.rest.nth(3);
                    })
            }
            _ => None,
        };
        escaped.ok_or_else(|| LexError {
            message: "there is no such escape".to_owned(),
            help: r#"the escapes are \\ \' \" \n \r \t and \u with four hexadecimal digits; a backslash itself is \\, a star in LIKE is \\*"#,
            span: start..self.position(),
        })
    }

    fn number(&mut self, start: usize) -> Result<TokenKind, LexError> {
        self.rest.next();
        self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
        // The sign of an exponent.
        if self.text[start..self.position()].ends_with(['e', 'E'])
            && self.rest.next_if(|&(_, c)| c == '+' || c == '-').is_some()
        {
            self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        }
        let span = start..self.position();
        // The same reader as the documents': one text, one number, to the last bit.
        serde_json::from_str(&self.text[span.clone()]).map(TokenKind::Number).map_err(|_| LexError {
            message: format!("{} is not a number", &self.text[span.clone()]),
            help: "numbers are written as in JSON: 12, -0.5, 1e6; texts and dates stand in quotes",
            span,
        })
    }

    fn symbol(&mut self, start: usize, first: char) -> Result<&'static str, LexError> {
        let rest = &self.text[start..];
        // A habit that is longer than the symbol it begins with, `<>`, comes first.
        let habit = HABITS.iter().find(|(habit, _)| rest.starts_with(habit));
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        match (symbol, habit) {
            (Some(symbol), habit) if habit.is_none_or(|(habit, _)| habit.len() < symbol.len()) => {
                self.rest.nth(symbol.len() - 1);
                Ok(symbol)
            }
            (_, Some((habit, help))) => Err(LexError {
                message: format!("{habit} is no operator here"),
                help,
                span: start..start + habit.len(),
            }),
            (_, None) => Err(LexError {
                message: format!("unexpected character {first:?}"),
                help: "texts stand in quotes; a name with other characters than letters, digits and _ in backticks",
                span: start..start + first.len_utf8(),
            }),
        }
    }

    fn digit_follows(&self, at: usize) -> bool {
        self.text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit)
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> &str {
        let start = self.position();
        while self.rest.next_if(|&(_, c)| accepts(c)).is_some() {}
        let end = self.position();
        &self.text[start..end]
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.text.len(), |&(at, _)| at)
    }
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn continues_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
