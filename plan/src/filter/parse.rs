//! From text to syntax tree, by recursive descent: `OR` binds weakest, then `AND`, then `NOT`.

use std::{ops::Range, sync::Arc};

use super::{
    MAX_CLAUSES, MAX_DEPTH, MAX_LIST_VALUES, MAX_PATTERN_CHARS, MAX_TEXT_BYTES,
    ast::{Circle, Expr, Filter, Literal, LiteralValue, Operator, OperatorKind, Order, Path, Segment},
    lex::{self, LexError, Token, TokenKind},
    pattern::Pattern,
    point::Point,
    words::words,
};
use crate::{Code, Diagnostic, SourceText, code::search as codes};

/// Parses a filter; the error is the first mistake, with its place.
pub fn parse(source: &Arc<SourceText>) -> Result<Filter, Diagnostic> {
    let size = source.text.len();
    if size > MAX_TEXT_BYTES {
        let message = format!("the filter has {size} bytes, the limit is {MAX_TEXT_BYTES}");
        return Err(Diagnostic::error(codes::SS708, message).at(source, 0..0).help(SMALLER));
    }
    let tokens = lex::tokens(&source.text).map_err(|error| lex_diagnostic(source, error))?;
    let mut parser = Parser { source, tokens, next: 0, depth: 0, clauses: 0, list_values: 0 };
    let root = parser.any_of()?;
    match parser.peek() {
        TokenKind::End => Ok(Filter { source: Arc::clone(source), root }),
        _ => Err(parser.unexpected("AND, OR or the end")),
    }
}

fn lex_diagnostic(source: &Arc<SourceText>, error: LexError) -> Diagnostic {
    Diagnostic::error(codes::SS701, error.message).at(source, error.span).help(error.help)
}

/// The mend of what is too large.
const SMALLER: &str = "ask for it in several searches";

type Parsed<T> = Result<T, Diagnostic>;

struct Parser<'s> {
    source: &'s Arc<SourceText>,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    clauses: usize,
    list_values: usize,
}

impl Parser<'_> {
    fn any_of(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.all_of()?];
        while self.take_keyword("OR") {
            parts.push(self.all_of()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn all_of(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.condition()?];
        while self.take_keyword("AND") {
            parts.push(self.condition()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn condition(&mut self) -> Parsed<Expr> {
        if self.take_keyword("NOT") {
            return self.deeper(|parser| Ok(Expr::Not(Box::new(parser.condition()?))));
        }
        if self.take_symbol("(") {
            return self.deeper(|parser| {
                let inner = parser.any_of()?;
                parser.expect_symbol(")")?;
                Ok(inner)
            });
        }
        if self.take_keyword("TRUE") {
            return Ok(Expr::Constant(true));
        }
        if self.take_keyword("FALSE") {
            return Ok(Expr::Constant(false));
        }
        let path = self.path()?;
        if self.take_symbol("[") {
            return self.deeper(|parser| {
                let inner = parser.any_of()?;
                parser.expect_symbol("]")?;
                Ok(Expr::Bind(path, Box::new(inner)))
            });
        }
        let operator = self.operator(&path)?;
        self.clauses += if let OperatorKind::All(values) = &operator.kind { values.len() } else { 1 };
        if self.clauses > MAX_CLAUSES {
            let message = format!("the filter compares more than {MAX_CLAUSES} times");
            let help = "ask for several values of one field with IN [...], or in several searches";
            return Err(self.error_at(codes::SS708, message, self.last_span()).help(help));
        }
        Ok(Expr::Test(path, operator))
    }

    /// Goes one level down; the last token opened it.
    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<Expr>) -> Parsed<Expr> {
        if self.depth == MAX_DEPTH {
            let message = format!("the filter is nested deeper than {MAX_DEPTH} levels");
            return Err(self.error_at(codes::SS708, message, self.last_span()).help(SMALLER));
        }
        self.depth += 1;
        let expr = inner(self)?;
        self.depth -= 1;
        Ok(expr)
    }

    fn path(&mut self) -> Parsed<Path> {
        let first = match self.peek() {
            TokenKind::Word(word) if !is_keyword(word) => self.segment("a field")?,
            TokenKind::QuotedWord(_) => self.segment("a field")?,
            _ => return Err(self.unexpected("a field, NOT or an opening parenthesis")),
        };
        let mut segments = vec![first];
        while self.take_symbol(".") {
            // After a dot a keyword is a name like any other.
            segments.push(self.segment("the name of a field after the dot")?);
        }
        Ok(Path { segments })
    }

    fn segment(&mut self, wanted: &str) -> Parsed<Segment> {
        match self.peek().clone() {
            TokenKind::Word(name) | TokenKind::QuotedWord(name) if !name.is_empty() => {
                Ok(Segment { name, span: self.advance() })
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn operator(&mut self, path: &Path) -> Parsed<Operator> {
        let token = self.tokens[self.next].clone();
        let keyword = match &token.kind {
            TokenKind::Word(word) => word.to_ascii_uppercase(),
            TokenKind::Symbol(symbol) => (*symbol).to_owned(),
            _ => String::new(),
        };
        // The keyword is taken before its value is read; one that is none stays for the message.
        let span = if OPERATORS.contains(&keyword.as_str()) { self.advance() } else { token.span };
        let kind = match keyword.as_str() {
            "==" => OperatorKind::Equal(self.literal()?),
            "!=" => OperatorKind::NotEqual(self.literal()?),
            "<" => OperatorKind::Order(Order::Less, self.literal()?),
            "<=" => OperatorKind::Order(Order::LessOrEqual, self.literal()?),
            ">" => OperatorKind::Order(Order::Greater, self.literal()?),
            ">=" => OperatorKind::Order(Order::GreaterOrEqual, self.literal()?),
            "IN" | "ANY" => OperatorKind::In(self.list()?),
            "ALL" => OperatorKind::All(self.list()?),
            "LIKE" => OperatorKind::Like(self.pattern()?),
            "MATCHES" => OperatorKind::Matches(self.words()?),
            "EXISTS" => OperatorKind::Exists,
            "WITHIN" => OperatorKind::Within(self.circle()?),
            "NOT" => {
                let path = path.text();
                return Err(self.unexpected("an operator").help(format!("write NOT ({path} IN [...])")));
            }
            "AND" | "OR" | ")" | "]" | "" if !self.at_value() => {
                let path = path.text();
                return Err(self
                    .unexpected("an operator")
                    .help(format!("write {path} == true for a boolean, {path} EXISTS for any value")));
            }
            _ => {
                return Err(self
                    .unexpected("an operator")
                    .help("the operators are == != < <= > >= IN ANY ALL LIKE MATCHES EXISTS WITHIN"));
            }
        };
        Ok(Operator { kind, span })
    }

    fn at_value(&self) -> bool {
        matches!(self.peek(), TokenKind::Text(_) | TokenKind::Number(_) | TokenKind::QuotedWord(_))
    }

    fn literal(&mut self) -> Parsed<Literal> {
        let value = match self.peek() {
            TokenKind::Text(text) => LiteralValue::Text(text.clone()),
            TokenKind::Number(number) => LiteralValue::Number(number.clone()),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("true") => LiteralValue::Boolean(true),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("false") => LiteralValue::Boolean(false),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("null") => LiteralValue::Null,
            TokenKind::Word(word) => {
                let help = format!("texts, dates and enum values stand in quotes: '{word}'");
                return Err(self.unexpected("a value").help(help));
            }
            TokenKind::Symbol("[") => {
                return Err(self.unexpected("one value").help("a list goes with IN, ANY or ALL"));
            }
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Literal { value, span: self.advance() })
    }

    fn list(&mut self) -> Parsed<Vec<Literal>> {
        if matches!(self.peek(), TokenKind::Symbol("(")) {
            return Err(self.unexpected("a list").help("lists stand in square brackets: ['a', 'b']"));
        }
        self.expect_symbol("[")?;
        let mut values = Vec::new();
        while !self.take_symbol("]") {
            if !values.is_empty() {
                self.expect_symbol(",")?;
            }
            let value = self.literal()?;
            if matches!(value.value, LiteralValue::Null) {
                let error = self.error_at(codes::SS701, "null is no value of a list", value.span);
                return Err(error.help("ask for a missing value with path == null"));
            }
            self.list_values += 1;
            if self.list_values > MAX_LIST_VALUES {
                let message = format!("the lists of the filter hold more than {MAX_LIST_VALUES} values");
                return Err(self.error_at(codes::SS708, message, value.span).help(SMALLER));
            }
            values.push(value);
        }
        Ok(values)
    }

    fn text(&mut self, wanted: &str) -> Parsed<(String, Range<usize>)> {
        match self.peek().clone() {
            TokenKind::Text(text) => Ok((text, self.advance())),
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn pattern(&mut self) -> Parsed<Pattern> {
        let (text, span) = self.text("a pattern in quotes")?;
        if text.chars().count() > MAX_PATTERN_CHARS {
            let message = format!("the pattern has more than {MAX_PATTERN_CHARS} characters");
            return Err(self
                .error_at(codes::SS708, message, span)
                .help("a shorter pattern finds the same and more"));
        }
        Ok(Pattern::new(&text))
    }

    fn words(&mut self) -> Parsed<Vec<String>> {
        let (text, span) = self.text("words in quotes")?;
        let mut folded: Vec<String> = words(&text).map(|word| word.folded).collect();
        folded.sort_unstable();
        folded.dedup();
        if folded.is_empty() {
            let error = self.error_at(codes::SS701, "there is no word to match", span);
            return Err(error.help("a word has a letter or a digit; LIKE compares signs"));
        }
        if folded.len() > super::MAX_MATCH_WORDS {
            let message = format!("MATCHES takes at most {} words", super::MAX_MATCH_WORDS);
            return Err(self.error_at(codes::SS708, message, span).help("keep the words that matter"));
        }
        Ok(folded)
    }

    fn circle(&mut self) -> Parsed<Circle> {
        self.expect_symbol("(")?;
        let (lat, lat_span) = self.number("a latitude")?;
        self.expect_symbol(",")?;
        let (lon, lon_span) = self.number("a longitude")?;
        self.expect_symbol(",")?;
        let metres = self.distance()?;
        self.expect_symbol(")")?;
        let center = Point::new(lat, lon).ok_or_else(|| {
            let error = self.error_at(codes::SS703, "there is no such point", lat_span.start..lon_span.end);
            error.help("latitude comes first and lies between -90 and 90, longitude between -180 and 180")
        })?;
        Ok(Circle { center, metres })
    }

    fn number(&mut self, wanted: &str) -> Parsed<(f64, Range<usize>)> {
        match self.peek() {
            TokenKind::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                Ok((number, self.advance()))
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    fn distance(&mut self) -> Parsed<f64> {
        let (metres, span) = match self.peek().clone() {
            TokenKind::Number(number) => (number.as_f64(), self.advance()),
            TokenKind::Text(text) => (metres(&text), self.advance()),
            _ => return Err(self.unexpected("a distance such as '50km'")),
        };
        metres.filter(|metres| metres.is_finite() && *metres >= 0.0).ok_or_else(|| {
            let error = self.error_at(codes::SS703, "this is no distance", span);
            error.help("a distance is a number of metres, or a text with m, km, mi, nmi, yd or ft: '50km'")
        })
    }

    fn peek(&self) -> &TokenKind {
        &self.tokens[self.next].kind
    }

    /// Takes the next token and answers its place. The end is never passed.
    fn advance(&mut self) -> Range<usize> {
        let span = self.tokens[self.next].span.clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        span
    }

    fn last_span(&self) -> Range<usize> {
        self.tokens[self.next.saturating_sub(1)].span.clone()
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Symbol(next) if *next == symbol);
        if found {
            self.advance();
        }
        found
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword));
        if found {
            self.advance();
        }
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Parsed<()> {
        if self.take_symbol(symbol) {
            return Ok(());
        }
        let error = self.unexpected(symbol);
        Err(match symbol {
            "," => error.help("put commas between the values"),
            ")" | "]" => error.help(format!("what was opened is closed by {symbol}")),
            _ => error,
        })
    }

    fn unexpected(&self, wanted: &str) -> Diagnostic {
        let token = &self.tokens[self.next];
        let found = match &token.kind {
            TokenKind::End => "the filter ends here".to_owned(),
            _ => {
                format!("found {}", self.source.text[token.span.clone()].chars().take(40).collect::<String>())
            }
        };
        let error = self.error_at(codes::SS701, format!("expected {wanted}, {found}"), token.span.clone());
        error.help("a condition is a path, an operator and a value: type == 'FEATURE'; AND, OR and NOT join conditions")
    }

    fn error_at(&self, code: Code, message: impl Into<String>, span: Range<usize>) -> Diagnostic {
        Diagnostic::error(code, message).at(self.source, span)
    }
}

const OPERATORS: [&str; 13] =
    ["==", "!=", "<", "<=", ">", ">=", "IN", "ANY", "ALL", "LIKE", "MATCHES", "EXISTS", "WITHIN"];

fn is_keyword(word: &str) -> bool {
    const WORDS: [&str; 13] = [
        "AND", "OR", "NOT", "IN", "ANY", "ALL", "LIKE", "MATCHES", "EXISTS", "WITHIN", "TRUE", "FALSE",
        "NULL",
    ];
    WORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

fn metres(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let factor = match text[unit..].to_ascii_lowercase().as_str() {
        "" | "m" => 1.0,
        "km" => 1000.0,
        "mi" => 1609.344,
        "nmi" => 1852.0,
        "yd" => 0.9144,
        "ft" => 0.3048,
        _ => return None,
    };
    text[..unit].trim().parse::<f64>().ok().map(|number| number * factor)
}
