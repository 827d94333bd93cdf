//! The configuration as written: a tree of YAML nodes, each with its place; the one file that knows serde-saphyr.
//!
//! Derived structs stop at the first unknown key. This tree carries every entry, duplicates included, so that
//! [`super::reader`] can report all of them at once.

use std::{fmt, ops::Range, sync::Arc};

use plan::{Diagnostic, SourceText, code::config as codes, diagnostic::line_and_column};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::unclosed;
use crate::position;

/// Containers inside each other at most. The deepest key of `index.yaml` stands at six, documents that a test expects go
/// deeper. serde-saphyr recurses: a thread of 2 MiB ends at some 60 levels of a build without optimisation.
const MAX_DEPTH: usize = 32;

/// Nodes at most: a full megabyte has fewer.
const MAX_NODES: usize = 200_000;

/// What aliases may repeat: a bomb of aliases ends here, soon.
const MAX_REPEATED: usize = 10_000;

/// A node of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Bytes of the text. A container's range is its first token.
    pub(crate) range: Range<usize>,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// A plain scalar that YAML reads as a number, as written.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map with its value; keys may repeat.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_range: Range<usize>,
    pub(crate) node: Node,
}

impl Value {
    /// What it is, for "this is …".
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Reads YAML; the error is a diagnostic where the reader gave up.
pub(crate) fn parse(source: &Arc<SourceText>) -> Result<Node, Box<Diagnostic>> {
    if let Some(at) = source.text.find('\0') {
        let refused = Diagnostic::error(codes::SS101, "this is not valid YAML: there is a NUL byte here");
        return Err(Box::new(refused.at(source, at..at + 1).help("remove it; is this a text file?")));
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPEATED },
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: MAX_NODES },
    };
    let raw: Raw = serde_saphyr::from_str_with_options(&source.text, options)
        .map_err(|error| Box::new(refusal(source, &error)))?;
    Ok(raw.into_node(&source.text))
}

impl Node {
    /// Moves every place by so many bytes: the text that was read stands there in a longer one.
    pub(crate) fn shift(&mut self, by: usize) {
        self.range = self.range.start + by..self.range.end + by;
        match &mut self.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.shift(by)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                entry.key_range = entry.key_range.start + by..entry.key_range.end + by;
                entry.node.shift(by);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }
}

fn refusal(source: &Arc<SourceText>, error: &serde_saphyr::Error) -> Diagnostic {
    let (message, help) = in_plain_words(error.without_snippet());
    let range = error.location().map_or(0..0, |location| {
        let start = byte_range(&location, &source.text).start;
        start..next_boundary(&source.text, start)
    });
    if let Some(opened) = unclosed::before(&source.text, range.start) {
        let what = if matches!(opened.sign, '[' | '{') { "bracket" } else { "quote" };
        let (line, _) = line_and_column(&source.text, range.start);
        return Diagnostic::error(codes::SS101, format!("this is not valid YAML: this {what} is not closed"))
            .at(source, opened.at..opened.at + 1)
            .help(format!("close it where its value ends; the reader went on to line {line}"));
    }
    Diagnostic::error(codes::SS101, message).at(source, range).help(help)
}

/// What stopped the reader, and the mend; its own words speak of budgets and recursion.
fn in_plain_words(error: &serde_saphyr::Error) -> (String, &'static str) {
    if matches!(error, serde_saphyr::Error::MultipleDocuments { .. }) {
        let message = "this is not valid YAML: a line `---` begins a second document";
        return (
            message.to_owned(),
            "one file holds one configuration: remove that line and what follows it",
        );
    }
    let mut told = error.render();
    // The place is told by the diagnostic; serde-saphyr repeats it in words.
    for separator in ["\n", " at line "] {
        if let Some(at) = told.find(separator) {
            told.truncate(at);
        }
    }
    let is = |start: &str| told.to_ascii_lowercase().starts_with(start);
    if is("budget breached: depth") || is("recursion limit") {
        let message = format!("its lists and maps stand inside each other in more than {MAX_DEPTH} levels");
        return (
            message,
            "the deepest key of a configuration stands at the sixth level: a bracket too many?",
        );
    }
    if is("budget breached") || is("alias replay") || is("alias expansion") {
        let message = "the file has more parts than a configuration can have";
        return (
            message.to_owned(),
            "aliases count as often as they repeat something: write out what is needed",
        );
    }
    if is("recursive references") {
        let message = "this alias stands inside what it repeats";
        return (message.to_owned(), "write the value out, or put it in quotes where text is meant");
    }
    let help = if is("alias references unknown anchor") {
        "`*name` repeats what `&name` marked above it; put it in quotes where text is meant"
    } else {
        "look at the caret and just before it: indentation by tabs, a missing colon, an open quote"
    };
    (format!("this is not valid YAML: {}", told.trim_end_matches('.')), help)
}

/// A caret of one character, never past the end of its line.
fn next_boundary(text: &str, start: usize) -> usize {
    text[start..]
        .chars()
        .next()
        .filter(|&first| first != '\n')
        .map_or(start, |first| start + first.len_utf8())
}

fn byte_range(location: &serde_saphyr::Location, text: &str) -> Range<usize> {
    let span = location.span();
    let bytes = span.byte_offset().and_then(|offset| {
        let start = usize::try_from(offset).ok()?;
        let length = usize::try_from(span.byte_len().unwrap_or(0)).ok()?;
        Some(floor_boundary(text, start)..floor_boundary(text, start.saturating_add(length)))
    });
    // Errors of the scanner know a line and a column alone.
    bytes.unwrap_or_else(|| {
        let number = |wide: u64| usize::try_from(wide).unwrap_or(usize::MAX);
        let start = position::offset(text, number(location.line()), number(location.column()));
        start..start
    })
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A node as serde delivers it.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    fn into_node(self, text: &str) -> Node {
        let range = byte_range(&self.0.referenced, text);
        let value = match self.0.value {
            RawValue::Null => Value::Null,
            RawValue::Bool(value) => Value::Bool(value),
            // As written, where the text can be found: `1.0` must not become `1`.
            RawValue::Number(value) => Value::Number(
                text.get(byte_range(&self.0.defined, text))
                    .map(str::trim)
                    .filter(|written| !written.is_empty())
                    .map_or(value, str::to_owned),
            ),
            RawValue::Text(value) => Value::Text(value),
            RawValue::List(items) => {
                Value::List(items.into_iter().map(|item| item.into_node(text)).collect())
            }
            RawValue::Map(entries) => {
                Value::Map(entries.into_iter().map(|(key, value)| Entry::new(key, value, text)).collect())
            }
        };
        Node { value, range }
    }
}

impl Entry {
    fn new(key: Raw, value: Raw, text: &str) -> Self {
        let key = key.into_node(text);
        let name = match key.value {
            Value::Text(name) | Value::Number(name) => name,
            Value::Bool(value) => value.to_string(),
            other => other.describe().to_owned(),
        };
        Entry { key: name, key_range: key.range, node: value.into_node(text) }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }
    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }
    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }
    fn visit_i128<E>(self, value: i128) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }
    fn visit_u128<E>(self, value: u128) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Number(value.to_string()))
    }
    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<RawValue, E> {
        Ok(RawValue::Text(value))
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        RawValue::deserialize(deserializer)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawValue::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawValue, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(RawValue::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Arc<SourceText> {
        Arc::new(SourceText { name: "index.yaml".into(), text: text.into() })
    }

    #[test]
    fn each_node_knows_its_place() {
        let text = "a: é\nb: { c: 1.0 }\nb: yes\n";
        let Value::Map(entries) = parse(&source(text)).unwrap().value else { panic!("a map") };
        assert_eq!(&text[entries[0].node.range.clone()], "é");
        let Value::Map(inner) = &entries[1].node.value else { panic!("a map") };
        assert_eq!(inner[0].node.value, Value::Number("1.0".into()));
        assert_eq!((entries[2].key.as_str(), &entries[2].node.value), ("b", &Value::Text("yes".into())));
        assert_eq!(&text[entries[2].key_range.clone()], "b");
    }

    #[test]
    fn what_is_no_yaml_is_refused_where_it_breaks() {
        let place = |text: &str| parse(&source(text)).unwrap_err().place.unwrap().1.start;
        assert_eq!(place("a: 1\nb: [1"), 8);
        assert_eq!(place("a: 1\nb: *x"), 8);
        assert!(parse(&source(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)))).is_err());
    }
}
