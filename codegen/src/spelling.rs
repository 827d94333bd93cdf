//! Valid GraphQL in the spelling that each parser reads: what is written otherwise than they know is written anew.

use std::borrow::Cow;

use async_graphql_parser::{
    Positioned,
    types::{Directive, ExecutableDocument, Selection, SelectionSet},
};
use async_graphql_value::{ConstValue, Name, Value};

use crate::lexer::{self, Kind, Token};

/// Words with which an enum value may not begin for async-graphql-parser.
const RESERVED: [&str; 3] = ["true", "false", "null"];

/// The text with blanks where descriptions of operations, fragments and variables stand: apollo-compiler knows none.
/// Every byte stays where it is.
pub(crate) fn without_descriptions<'t>(text: &'t str, tokens: &[Token]) -> Cow<'t, str> {
    let tokens: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
    let mut blanked = Cow::Borrowed(text);
    for token in descriptions(text, &tokens) {
        let blanks = text[token.range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' });
        let blanks: String = blanks.collect();
        blanked.to_mut().replace_range(token.range.clone(), &blanks);
    }
    blanked
}

/// Strings that stand before what they describe.
fn descriptions<'t>(text: &str, tokens: &[&'t Token]) -> Vec<&'t Token> {
    let mut found = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Punctuator(byte @ (b'(' | b'{' | b'[')) => open.push(byte),
            Kind::Punctuator(b')' | b'}' | b']') => drop(open.pop()),
            Kind::String | Kind::BlockString => {
                let Some(next) = tokens.get(n + 1) else { continue };
                let word = &text[next.range.clone()];
                let is_value = n > 0 && matches!(tokens[n - 1].kind, Kind::Punctuator(b'=' | b':'));
                let describes = match open.as_slice() {
                    [] => matches!(word, "query" | "mutation" | "subscription" | "fragment"),
                    [b'('] => word == "$" && !is_value,
                    _ => false,
                };
                if describes && has_known_escapes(&text[token.range.clone()]) {
                    found.push(*token);
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether every escape of a string is one of GraphQL's; a block string has none.
fn has_known_escapes(written: &str) -> bool {
    if written.starts_with("\"\"\"") {
        return true;
    }
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at + 1..];
        let hex = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let length = match escape.as_bytes().first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
            Some(b'u') => match escape[1..].strip_prefix('{').and_then(|braced| braced.split_once('}')) {
                Some((digits, _)) if hex(digits) => digits.len() + 3,
                _ if escape.get(1..5).is_some_and(hex) => 5,
                _ => return false,
            },
            _ => return false,
        };
        rest = &escape[length..];
    }
    true
}

/// A text of the same meaning that async-graphql-parser reads, one token a line.
pub(crate) struct Respelled {
    pub(crate) text: String,
    /// Where the token of each line begins in the text as it was written.
    pub(crate) starts: Vec<usize>,
    /// What stands before enum values that could not be read as they are.
    prefix: String,
}

/// Writes types without white space, directives of variables before their defaults, strings without escapes of
/// newer kinds, enum values behind a prefix where they look like a constant, and no descriptions.
pub(crate) fn respell(text: &str, tokens: &[Token]) -> Respelled {
    let tokens: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
    let described = descriptions(text, &tokens);
    let tokens: Vec<&Token> = tokens.into_iter().filter(|token| !described.contains(token)).collect();
    let mut prefix = "value_".to_owned();
    while text.contains(&prefix) {
        prefix.push('_');
    }
    let mut speller = Speller { text, tokens: &tokens, depth: 0, out: String::new(), starts: Vec::new() };
    let mut at = 0;
    while at < tokens.len() {
        at = speller.next(at, &prefix);
    }
    Respelled { text: speller.out, starts: speller.starts, prefix }
}

struct Speller<'t> {
    text: &'t str,
    tokens: &'t [&'t Token],
    /// Parentheses that are open.
    depth: usize,
    out: String,
    starts: Vec<usize>,
}

impl Speller<'_> {
    fn is(&self, at: usize, byte: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Punctuator(byte))
    }

    fn is_name(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Name)
    }

    fn line(&mut self, start: usize, word: &str) {
        self.starts.push(start);
        self.out.push_str(word);
        self.out.push('\n');
    }

    /// Writes a token, or a variable's definition, and says where the next one is.
    fn next(&mut self, at: usize, prefix: &str) -> usize {
        if self.is(at, b'$') && self.is_name(at + 1) && self.is(at + 2, b':') {
            (at..at + 3).for_each(|n| self.token(n, prefix));
            return self.definition(at + 3, prefix);
        }
        self.token(at, prefix);
        at + 1
    }

    fn token(&mut self, at: usize, prefix: &str) {
        let token = self.tokens[at];
        let word = &self.text[token.range.clone()];
        let start = token.range.start;
        match token.kind {
            Kind::Punctuator(b'(') => self.depth += 1,
            Kind::Punctuator(b')') => self.depth = self.depth.saturating_sub(1),
            Kind::String | Kind::BlockString => {
                let value = lexer::string_value(token, self.text);
                return self.line(start, &serde_json::Value::from(value).to_string());
            }
            Kind::Name => {
                let looks = RESERVED.iter().any(|reserved| word.starts_with(reserved) && word != *reserved);
                let stands_as_name =
                    self.is(at + 1, b':') || at > 0 && (self.is(at - 1, b'$') || self.is(at - 1, b'@'));
                if looks && self.depth > 0 && !stands_as_name {
                    return self.line(start, &format!("{prefix}{word}"));
                }
            }
            _ => {}
        }
        self.line(start, word);
    }

    /// The type in one word, the directives, the default.
    fn definition(&mut self, mut at: usize, prefix: &str) -> usize {
        let begin = at;
        while self.is(at, b'[') || self.is(at, b']') || self.is(at, b'!') || self.is_name(at) {
            at += 1;
            // A name behind a whole type would begin something else.
            if self.is_name(at) && !self.is(at - 1, b'[') {
                break;
            }
        }
        let ty: String = self.tokens[begin..at].iter().map(|token| &self.text[token.range.clone()]).collect();
        let start = self.tokens.get(begin).map_or(self.text.len(), |token| token.range.start);
        if !ty.is_empty() {
            self.line(start, &ty);
        }
        let default = at;
        if self.is(at, b'=') {
            at = self.group(at + 1);
        }
        let directives = at;
        while self.is(at, b'@') {
            at += 2;
            if self.is(at, b'(') {
                at = self.group(at);
            }
        }
        let at = at.min(self.tokens.len());
        (directives..at).chain(default..directives.min(at)).for_each(|n| self.token(n, prefix));
        at
    }

    /// The end of a value, or of what brackets hold.
    fn group(&self, mut at: usize) -> usize {
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(at) {
            at += 1;
            match token.kind {
                Kind::Punctuator(b'(' | b'[' | b'{') => depth += 1,
                Kind::Punctuator(b')' | b']' | b'}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        at
    }
}

impl Respelled {
    /// Takes the prefix from the enum values again.
    pub(crate) fn restore(&self, document: &mut ExecutableDocument) {
        for fragment in document.fragments.values_mut() {
            self.directives(&mut fragment.node.directives);
            self.selections(&mut fragment.node.selection_set.node);
        }
        let operations: Vec<_> = match &mut document.operations {
            async_graphql_parser::types::DocumentOperations::Single(operation) => vec![operation],
            async_graphql_parser::types::DocumentOperations::Multiple(operations) => {
                operations.values_mut().collect()
            }
        };
        for operation in operations {
            for definition in &mut operation.node.variable_definitions {
                self.directives(&mut definition.node.directives);
                if let Some(default) = &mut definition.node.default_value {
                    let mut value = std::mem::take(&mut default.node).into_value();
                    self.value(&mut value);
                    default.node = value.into_const().unwrap_or(ConstValue::Null);
                }
            }
            self.directives(&mut operation.node.directives);
            self.selections(&mut operation.node.selection_set.node);
        }
    }

    fn selections(&self, selections: &mut SelectionSet) {
        for selection in &mut selections.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    field.node.arguments.iter_mut().for_each(|(_, value)| self.value(&mut value.node));
                    self.directives(&mut field.node.directives);
                    self.selections(&mut field.node.selection_set.node);
                }
                Selection::InlineFragment(inline) => {
                    self.directives(&mut inline.node.directives);
                    self.selections(&mut inline.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => self.directives(&mut spread.node.directives),
            }
        }
    }

    fn directives(&self, directives: &mut [Positioned<Directive>]) {
        for directive in directives {
            directive.node.arguments.iter_mut().for_each(|(_, value)| self.value(&mut value.node));
        }
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::Enum(name) => {
                if let Some(written) = name.strip_prefix(self.prefix.as_str()) {
                    *name = Name::new(written);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.value(field)),
            _ => {}
        }
    }
}
