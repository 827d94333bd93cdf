//! Reads written nodes as typed values: takes the keys of a section, fills in variables, and collects what is wrong.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use plan::{Code, Diagnostic, SourceText, code::config as codes, diagnostic::nearest};

use super::{
    units,
    variables::{self, Failure, Lookup},
    written::{Entry, Node, Value},
};

/// A value with its place in `index.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value, variables filled in.
    pub value: T,
    /// Bytes of the file.
    pub range: Range<usize>,
}

/// A value on its way: the node, its full name, and the range that stands for it in reports.
#[derive(Clone)]
pub(crate) struct Item<'n> {
    pub(crate) node: &'n Node,
    /// Keys from the file's root, joined by dots.
    pub(crate) path: String,
    pub(crate) range: Range<usize>,
}

/// How much of a configuration a text means to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A file that is used: all of it must be there, its variables, too.
    File,
    /// A whole configuration in a document: nobody sets its variables.
    Example,
    /// Some keys of one: what isn't there stands elsewhere.
    Part,
}

/// What reading needs and gathers.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a Arc<SourceText>,
    variable: Lookup<'a>,
    standing: Standing,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Every key that was known and every word that was allowed, by the path of its section.
    #[cfg(test)]
    pub(crate) known: std::collections::BTreeMap<String, BTreeSet<String>>,
}

/// A map whose keys are fixed. What is left untaken at [`Section::finish`] is an unknown key.
pub(crate) struct Section<'n> {
    pub(crate) path: String,
    pub(crate) range: Range<usize>,
    entries: Vec<&'n Entry>,
    taken: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Arc<SourceText>, variable: Lookup<'a>, standing: Standing) -> Self {
        Self {
            source,
            variable,
            standing,
            diagnostics: Vec::new(),
            #[cfg(test)]
            known: std::collections::BTreeMap::new(),
        }
    }

    /// Reports what isn't there, where it ought to be.
    pub(crate) fn missing(
        &mut self,
        code: Code,
        range: &Range<usize>,
        message: String,
        help: impl Into<String>,
    ) {
        if self.standing != Standing::Part {
            self.error(code, range, message, help);
        }
    }

    /// Whether the text is all that there is of the configuration.
    pub(crate) fn is_whole(&self) -> bool {
        self.standing != Standing::Part
    }

    pub(crate) fn error(
        &mut self,
        code: Code,
        range: &Range<usize>,
        message: String,
        help: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic::error(code, message).at(self.source, range.clone()).help(help));
    }

    pub(crate) fn warn(
        &mut self,
        code: Code,
        range: &Range<usize>,
        message: String,
        help: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic::warning(code, message).at(self.source, range.clone()).help(help));
    }

    fn wrong_type(&mut self, item: &Item<'_>, wanted: &str, help: impl Into<String>) {
        let message = format!("`{}` must be {wanted}, this is {}", item.path, item.node.value.describe());
        self.error(codes::SS104, &item.range, message, help);
    }

    /// Opens a map with fixed keys; duplicates are reported here.
    pub(crate) fn section<'n>(&mut self, item: &Item<'n>) -> Option<Section<'n>> {
        let entries = self.entries(item)?;
        Some(Section { path: item.path.clone(), range: item.range.clone(), entries, taken: Vec::new() })
    }

    /// The entries of a map, the first of each key; duplicates are reported.
    fn entries<'n>(&mut self, item: &Item<'n>) -> Option<Vec<&'n Entry>> {
        let Value::Map(entries) = &item.node.value else {
            self.wrong_type(item, "a map", "write `key: value` lines below it, indented");
            return None;
        };
        let mut seen = BTreeSet::new();
        let mut first = Vec::new();
        for entry in entries {
            if seen.insert(entry.key.as_str()) {
                first.push(entry);
            } else {
                let message = format!("`{}` is given twice", join(&item.path, &entry.key));
                self.error(codes::SS118, &entry.key_range, message, "keep one of the two");
            }
        }
        Some(first)
    }

    /// The entries of a map with names of the user's choice, in the file's order; null values too.
    pub(crate) fn named<'n>(&mut self, item: &Item<'n>) -> Vec<(Located<String>, Item<'n>)> {
        let entries = self.entries(item).unwrap_or_default();
        let named = entries.into_iter().map(|entry| {
            let name = Located { value: entry.key.clone(), range: entry.key_range.clone() };
            (name, entry_item(&item.path, entry))
        });
        named.collect()
    }

    /// The elements of a list.
    pub(crate) fn list<'n>(&mut self, item: &Item<'n>) -> Option<Vec<Item<'n>>> {
        let Value::List(nodes) = &item.node.value else {
            self.wrong_type(item, "a list", "write `[a, b]`, or one `- a` line for each");
            return None;
        };
        let elements = nodes.iter().enumerate().map(|(n, node)| Item {
            node,
            path: format!("{}[{n}]", item.path),
            range: if node.range.is_empty() { item.range.clone() } else { node.range.clone() },
        });
        Some(elements.collect())
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, item: &Item<'_>) -> Option<Vec<Located<String>>> {
        let elements = self.list(item)?;
        Some(elements.iter().filter_map(|element| self.text(element)).collect())
    }

    /// One text or a list of them.
    pub(crate) fn text_or_texts(&mut self, item: &Item<'_>) -> Option<Vec<Located<String>>> {
        match item.node.value {
            Value::List(_) => self.texts(item),
            _ => self.text(item).map(|text| vec![text]),
        }
    }

    /// Text, with its variables filled in. A number is taken as it is written.
    pub(crate) fn text(&mut self, item: &Item<'_>) -> Option<Located<String>> {
        let value = match &item.node.value {
            Value::Text(text) => self.expand(item, text)?,
            Value::Number(number) => number.clone(),
            Value::Bool(_) => {
                self.wrong_type(item, "text", "put it in quotes if text is meant");
                return None;
            }
            _ => {
                self.wrong_type(item, "text", "write one value, in quotes where it holds `: ` or ` #`");
                return None;
            }
        };
        Some(Located { value, range: item.range.clone() })
    }

    /// Text, a number or a boolean, as text.
    pub(crate) fn scalar(&mut self, item: &Item<'_>) -> Option<String> {
        match item.node.value {
            Value::Bool(value) => Some(value.to_string()),
            _ => self.text(item).map(|text| text.value),
        }
    }

    /// Text that isn't empty.
    pub(crate) fn filled_text(&mut self, item: &Item<'_>) -> Option<Located<String>> {
        let text = self.text(item)?;
        if text.value.trim().is_empty() {
            let message = format!("`{}` is empty", item.path);
            self.error(codes::SS105, &item.range, message, "give it a value, or leave the key out");
            return None;
        }
        Some(text)
    }

    fn expand(&mut self, item: &Item<'_>, text: &str) -> Option<String> {
        let failures = match variables::expand(text, self.variable) {
            Ok(expanded) => return Some(expanded),
            Err(failures) => failures,
        };
        let start = value_start(self.source, &item.range, text);
        let place = |part: &Range<usize>| shifted(start, part).unwrap_or_else(|| item.range.clone());
        for failure in failures {
            match failure {
                Failure::Unset { .. } if self.standing != Standing::File => {}
                Failure::Unset { name, range, .. } if name.starts_with("file.") => {
                    let message = format!("the file of `${{{name}}}` can't be read");
                    let help = "it holds UTF-8 text of at most 1 MiB; its path is relative to the folder of index.yaml";
                    self.error(codes::SS106, &place(&range), message, help);
                }
                Failure::Unset { name, message, range } => {
                    let told = message.map_or(String::new(), |message| format!(": {message}"));
                    let range = place(&range);
                    let message = format!("the environment variable `{name}` is not set{told}");
                    let help = format!("set {name}, or write `${{{name}:-default}}`");
                    self.error(codes::SS106, &range, message, help);
                }
                Failure::Malformed { range } => {
                    // It may be a part of a secret, which no message shows.
                    let message = format!("`{}` holds `${{` and no variable behind it", item.path);
                    let range = self.locate(item, text, &range);
                    let help =
                        "write `${NAME}`, `${NAME:-default}` or `${NAME:?message}`; `$${` stands for `${`";
                    self.error(codes::SS107, &range, message, help);
                }
            }
        }
        None
    }

    /// The place of a part of an item's value: see [`part_of`].
    pub(crate) fn locate(&self, item: &Item<'_>, value: &str, part: &Range<usize>) -> Range<usize> {
        part_of(self.source, &item.range, value, part)
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, item: &Item<'_>) -> Option<bool> {
        if let Value::Bool(value) = item.node.value {
            return Some(value);
        }
        let text = match &item.node.value {
            Value::Text(text) => self.expand(item, text)?,
            _ => String::new(),
        };
        match text.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.wrong_type(item, "`true` or `false`", "YAML's yes, no, on and off are text here");
                None
            }
        }
    }

    /// A whole number within limits.
    pub(crate) fn integer(&mut self, item: &Item<'_>, limits: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let text = self.number_text(item)?;
        match text.trim().parse::<u64>() {
            Ok(number) if limits.contains(&number) => Some(number),
            _ => {
                let message = format!("`{}` can't be {text}", item.path);
                let help = format!("a whole number from {} to {}", limits.start(), limits.end());
                self.error(codes::SS105, &item.range, message, help);
                None
            }
        }
    }

    /// A finite number.
    pub(crate) fn float(&mut self, item: &Item<'_>) -> Option<f64> {
        let text = self.number_text(item)?;
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            let message = format!("`{}` can't be {text:?}", item.path);
            self.error(codes::SS105, &item.range, message, "a number, such as 0.2");
        }
        number
    }

    fn number_text(&mut self, item: &Item<'_>) -> Option<String> {
        match &item.node.value {
            Value::Number(number) => Some(number.clone()),
            Value::Text(text) => self.expand(item, text),
            _ => {
                self.wrong_type(item, "a number", "write a number");
                None
            }
        }
    }

    /// Milliseconds, greater than 0.
    pub(crate) fn duration(&mut self, item: &Item<'_>) -> Option<u64> {
        let help = "a number and its unit: 500ms, 10s, 2m, 1h, 7d; not 0 and at most a year";
        self.quantity(item, |text| units::duration_ms(text).filter(|&ms| ms > 0), "a duration", help)
    }

    /// Milliseconds, greater than 0, up to a hundred years.
    pub(crate) fn age(&mut self, item: &Item<'_>) -> Option<u64> {
        let help = "a number and its unit: 12h, 30d, 1826d; not 0 and at most a hundred years";
        self.quantity(item, |text| units::age_ms(text).filter(|&ms| ms > 0), "an age", help)
    }

    /// Times a second.
    pub(crate) fn rate(&mut self, item: &Item<'_>) -> Option<f64> {
        self.quantity(item, units::rate_per_second, "a rate", "a number and its span: 40/s, 200/m, 1000/h")
    }

    /// A share from 0 to 1.
    pub(crate) fn share(&mut self, item: &Item<'_>) -> Option<f64> {
        self.quantity(item, units::share, "a share", "a percentage such as 5%, or a number from 0 to 1")
    }

    fn quantity<T>(
        &mut self,
        item: &Item<'_>,
        parse: impl Fn(&str) -> Option<T>,
        what: &str,
        help: &str,
    ) -> Option<T> {
        let text = self.text(item)?.value;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.error(codes::SS117, &item.range, format!("{text:?} is not {what}"), help);
        }
        parsed
    }

    /// One of a few words.
    pub(crate) fn word<T: Clone>(&mut self, item: &Item<'_>, words: &[(&'static str, T)]) -> Option<T> {
        #[cfg(test)]
        let allowed = words.iter().map(|(word, _)| (*word).to_owned());
        #[cfg(test)]
        self.known.entry(format!("{}=", item.path)).or_default().extend(allowed);
        let text = self.text(item)?.value;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(value.clone());
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` can't be {text:?}", item.path);
        let help = match nearest(&text, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("one of: {}", names.join(", ")),
        };
        self.error(codes::SS105, &item.range, message, help);
        None
    }
}

impl<'n> Section<'n> {
    /// Takes a key; a key without a value counts as left out.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Item<'n>> {
        self.taken.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (entry.node.value != Value::Null).then(|| entry_item(&self.path, entry))
    }

    /// Whether the key stands in the file, readable or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Takes a key and reads it.
    pub(crate) fn read<'a, T>(
        &mut self,
        reader: &mut Reader<'a>,
        key: &'static str,
        read: impl FnOnce(&mut Reader<'a>, &Item<'n>) -> Option<T>,
    ) -> Option<T> {
        self.take(key).and_then(|item| read(reader, &item))
    }

    /// Takes a key that must be there and reads it.
    pub(crate) fn require<'a, T>(
        &mut self,
        reader: &mut Reader<'a>,
        key: &'static str,
        help: &str,
        read: impl FnOnce(&mut Reader<'a>, &Item<'n>) -> Option<T>,
    ) -> Option<T> {
        if let Some(item) = self.take(key) {
            return read(reader, &item);
        }
        let message = format!("`{}` is missing", join(&self.path, key));
        let range = self.range.clone();
        reader.missing(codes::SS103, &range, message, help);
        None
    }

    /// Takes a section inside this one.
    pub(crate) fn section(&mut self, reader: &mut Reader<'_>, key: &'static str) -> Option<Section<'n>> {
        self.take(key).and_then(|item| reader.section(&item))
    }

    /// Reports the keys that nobody took.
    pub(crate) fn finish(self, reader: &mut Reader<'_>) {
        #[cfg(test)]
        reader
            .known
            .entry(self.path.clone())
            .or_default()
            .extend(self.taken.iter().map(|&key| key.to_owned()));
        for entry in &self.entries {
            if self.taken.contains(&entry.key.as_str()) {
                continue;
            }
            let place = if self.path.is_empty() { "the file".into() } else { format!("`{}`", self.path) };
            let message = format!("unknown key `{}` in {place}", entry.key);
            let help = match nearest(&entry.key, self.taken.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", self.taken.join(", ")),
            };
            reader.error(codes::SS102, &entry.key_range, message, help);
        }
    }
}

/// The place of a part of a value that stands in this range: exact where the value stands there as it is, else all of it.
pub(crate) fn part_of(
    source: &SourceText,
    range: &Range<usize>,
    value: &str,
    part: &Range<usize>,
) -> Range<usize> {
    shifted(value_start(source, range, value), part).unwrap_or_else(|| range.clone())
}

/// Where a value begins in the file; `None` where it doesn't stand there as it is, because of escapes or folding.
fn value_start(source: &SourceText, range: &Range<usize>, value: &str) -> Option<usize> {
    source.text.get(range.clone())?.find(value).map(|at| range.start + at)
}

fn shifted(start: Option<usize>, part: &Range<usize>) -> Option<Range<usize>> {
    start.map(|start| start + part.start..start + part.end)
}

/// The full name of a key.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn entry_item<'n>(path: &str, entry: &'n Entry) -> Item<'n> {
    // A container is pointed at by its key: its own first token may be empty or a lone brace.
    let scalar = !matches!(entry.node.value, Value::Map(_) | Value::List(_) | Value::Null);
    let range = if scalar && !entry.node.range.is_empty() { &entry.node.range } else { &entry.key_range };
    Item { node: &entry.node, path: join(path, &entry.key), range: range.clone() }
}
