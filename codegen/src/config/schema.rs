//! The JSON Schema of `index.yaml`, for editors; tests hold it to what the reader knows, key by key and word by word.

use serde_json::{Map, Value};

/// The schema, draft 2020-12, as a file beside this one.
///
/// `x-not-yet` marks what this release doesn't act on, `writeOnly` marks secrets.
pub const SCHEMA: &str = include_str!("schema.json");

/// The schema as a tree.
pub(super) struct Document(Value);

/// A place in the schema.
#[derive(Clone, Copy)]
pub(super) struct Place<'s> {
    document: &'s Document,
    value: &'s Value,
}

impl Document {
    pub(super) fn read() -> Self {
        Self(serde_json::from_str(SCHEMA).expect("a test reads it"))
    }

    pub(super) fn root(&self) -> Place<'_> {
        Place { document: self, value: &self.0 }
    }
}

impl<'s> Place<'s> {
    /// The first of this place, what it refers to, and its alternatives, that has a keyword.
    fn keyword(self, name: &str) -> Option<&'s Value> {
        self.forms().into_iter().find_map(|form| form.get(name))
    }

    fn forms(self) -> Vec<&'s Map<String, Value>> {
        let mut forms = Vec::new();
        let mut open = vec![self.value];
        while let Some(value) = open.pop() {
            let Some(form) = value.as_object() else { continue };
            forms.push(form);
            if let Some(target) = form.get("$ref").and_then(Value::as_str) {
                open.extend(self.document.0.pointer(target.trim_start_matches('#')));
            }
            open.extend(form.get("anyOf").and_then(Value::as_array).into_iter().flatten());
        }
        forms
    }

    fn at(self, value: &'s Value) -> Self {
        Self { value, ..self }
    }

    /// The keys of a map with fixed keys, in the schema's order.
    pub(super) fn keys(self) -> Option<impl Iterator<Item = (&'s str, Place<'s>)>> {
        let keys = self.keyword("properties")?.as_object()?;
        Some(keys.iter().map(move |(key, value)| (key.as_str(), self.at(value))))
    }

    /// What stands under the names of a map with names of the user's choice.
    pub(super) fn named(self) -> Option<Self> {
        self.keyword("additionalProperties").filter(|value| value.is_object()).map(|value| self.at(value))
    }

    /// The elements of a list.
    pub(super) fn items(self) -> Option<Self> {
        self.keyword("items").map(|value| self.at(value))
    }

    /// What holds where nothing is written.
    pub(super) fn default(self) -> Option<&'s Value> {
        self.value.get("default")
    }

    /// Whether this release doesn't act on it.
    pub(super) fn is_not_yet(self) -> bool {
        self.value.get("x-not-yet").is_some()
    }

    /// Whether it must not be shown.
    pub(super) fn is_secret(self) -> bool {
        self.value.get("writeOnly").is_some()
    }

    /// Whether a text is as good here as a number or a boolean: a value that a variable gave stays in quotes then.
    pub(super) fn is_text(self) -> bool {
        self.forms().iter().any(|form| form.get("type") == Some(&serde_json::json!(["string", "number"])))
    }

    /// The words that are allowed here, where only some are.
    #[cfg(test)]
    fn words(self) -> Option<Vec<&'s str>> {
        let words = self.keyword("enum")?.as_array()?;
        Some(words.iter().filter_map(Value::as_str).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::Arc,
    };

    use plan::SourceText;

    use super::*;
    use crate::config::{
        read,
        reader::{Reader, Standing},
        written,
    };

    /// A configuration that uses every key there is.
    const WHOLE: &str = include_str!("../../tests/diagnostics/whole_language.case");

    /// What is known, by path; names of the user's choice are `*`, lists `[]`, and words stand under `PATH=`.
    type Known = BTreeMap<String, BTreeSet<String>>;

    fn known_by_schema(place: Place<'_>, path: &str, known: &mut Known) {
        if let Some(words) = place.words().filter(|words| !words.contains(&"true")) {
            known.entry(format!("{path}=")).or_default().extend(words.into_iter().map(str::to_owned));
        }
        if let Some(keys) = place.keys() {
            for (key, below) in keys {
                known.entry(path.to_owned()).or_default().insert(key.to_owned());
                let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                known_by_schema(below, &path, known);
            }
        }
        if let Some(named) = place.named() {
            known_by_schema(named, &format!("{path}.*"), known);
        }
        if let Some(items) = place.items() {
            known_by_schema(items, &format!("{path}[]"), known);
        }
    }

    fn known_by_reader() -> Known {
        let text = WHOLE.split("### ").find_map(|part| part.strip_prefix("index.yaml\n")).unwrap();
        let source = Arc::new(SourceText { name: "index.yaml".into(), text: text.into() });
        let root = written::parse(&source).unwrap();
        let mut reader = Reader::new(&source, &|_| None, Standing::File);
        read(&mut reader, &root, 0);
        let names = ["sources", "coverage", "fields", "graph.scalars"];
        let mut known = Known::new();
        for (path, keys) in reader.known {
            let mut path = path;
            for map in names {
                if let Some(name) = path.strip_prefix(&format!("{map}.")) {
                    // A field's own name has dots.
                    let end = if map == "fields" {
                        name.find(['=']).into_iter().chain(name.find(".type")).min()
                    } else {
                        name.find(['.', '='])
                    };
                    let rest = end.map_or("", |at| &name[at..]);
                    let analyzer = [".analyzer=", ".keyword="].into_iter().find(|tail| name.ends_with(tail));
                    path = format!("{map}.*{}", analyzer.unwrap_or(rest));
                }
            }
            let mut plain = String::new();
            for part in path.split_inclusive(']') {
                let Some((before, _)) = part.rsplit_once('[') else {
                    plain.push_str(part);
                    continue;
                };
                plain.push_str(before);
                plain.push_str("[]");
            }
            known.entry(plain).or_default().extend(keys);
        }
        known
    }

    #[test]
    fn the_schema_and_the_reader_know_the_same_keys_and_words() {
        let document = Document::read();
        let mut by_schema = Known::new();
        known_by_schema(document.root(), "", &mut by_schema);
        let by_reader = known_by_reader();
        for path in by_schema.keys().chain(by_reader.keys()) {
            assert_eq!(by_schema.get(path), by_reader.get(path), "at {path:?}: schema, reader");
        }
        let top: Vec<&str> = document.root().keys().unwrap().map(|(key, _)| key).collect();
        let markdown: BTreeSet<&str> = crate::config::markdown::KEYS.into();
        assert_eq!(markdown, top.into_iter().collect());
    }

    /// The keys that are marked, what stands below them left out.
    fn marked<'s>(place: Place<'s>, key: &'s str, found: &mut Vec<&'s str>) {
        if place.is_not_yet() {
            found.push(key);
            return;
        }
        place.keys().into_iter().flatten().for_each(|(key, below)| marked(below, key, found));
        place.named().into_iter().chain(place.items()).for_each(|below| marked(below, key, found));
    }

    #[test]
    fn what_is_marked_as_not_yet_is_told() {
        let text = WHOLE.split("### ").find_map(|part| part.strip_prefix("index.yaml\n")).unwrap();
        let source = Arc::new(SourceText { name: "index.yaml".into(), text: text.into() });
        let told: Vec<String> = crate::parse_config(&source, &|_| None)
            .diagnostics
            .into_iter()
            .filter(|found| ["SS111", "SS112"].contains(&found.code.id))
            .filter_map(|found| found.place.map(|(source, range)| source.text[range].to_owned()))
            .collect();
        let document = Document::read();
        let mut keys = Vec::new();
        marked(document.root(), "", &mut keys);
        assert!(!keys.is_empty(), "then this test is to go");
        for key in keys {
            // A container is pointed at by its key, a value by itself.
            let is_told = told
                .iter()
                .any(|told| told == key || text.lines().any(|line| line.contains(&format!("{key}: {told}"))));
            assert!(is_told, "{key} is marked as not yet, and nobody is told: {told:?}");
        }
    }
}
