//! `config expand`: the file as it is understood, defaults and variables filled in, secrets hidden.

use std::{fmt::Write, sync::Arc};

use plan::SourceText;
use serde_json::{Map, Number, Value as Json};

use super::{
    Config, kafka,
    reader::join,
    schema::{Document, Place},
    sources::SourceEndpoint,
    variables::{self, Lookup},
    written::{self, Entry, Node, Value},
};
use crate::{Checked, parse_config};

/// What stands for a secret.
const HIDDEN: &str = "hidden";

/// A configuration with everything filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Expansion {
    /// Its keys and values.
    pub value: Json,
}

impl Expansion {
    /// As YAML, which reads back with the same meaning; only secrets that were written out are lost.
    pub fn to_yaml(&self) -> String {
        let mut yaml = String::new();
        print(&self.value, 0, &mut yaml);
        yaml
    }
}

/// Fills in defaults and variables. A secret stays as the variable it is taken from; one that is written out is hidden.
///
/// What this release doesn't act on stays as it is written and gets no defaults.
pub fn expand(
    source: &Arc<SourceText>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Checked<(Config, Expansion)> {
    let mut checked = parse_config(source, variable);
    let expanded = checked.value.take().and_then(|config| {
        let root = written::parse(source).ok()?;
        let value =
            Expander { config: &config, variable }.fill(Document::read().root(), Some(&root), "", true);
        Some((config, Expansion { value: value.unwrap_or_default() }))
    });
    Checked::new(expanded, checked.diagnostics)
}

struct Expander<'a> {
    config: &'a Config,
    variable: Lookup<'a>,
}

impl Expander<'_> {
    /// The value at a place; `None` where nothing is written and there is no default.
    fn fill(&self, place: Place<'_>, node: Option<&Node>, path: &str, defaults: bool) -> Option<Json> {
        let node = node.filter(|node| node.value != Value::Null);
        let defaults = defaults && !(place.is_not_yet());
        let Some(node) = node else {
            // Without `kafka:` there is no Kafka, and without `audit:` often no audit, so that defaults would change what the
            // file means.
            let is_off = path == "kafka" || (path == "audit" && self.config.policies.audit.is_none());
            if !defaults || is_off {
                return None;
            }
            return self.computed(path).or_else(|| place.default().cloned()).or_else(|| {
                let keys = place.keys()?;
                let filled = self.fill_keys(keys, &[], path, defaults);
                (!filled.is_empty()).then_some(Json::Object(filled))
            });
        };
        Some(match &node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => match hidden_at(place, path, &value.to_string()) {
                true => Json::String(HIDDEN.to_owned()),
                false => Json::Bool(*value),
            },
            Value::Number(number) => match hidden_at(place, path, number) {
                true => Json::String(HIDDEN.to_owned()),
                false => exact(number),
            },
            Value::Text(text) => self.text(place, path, text),
            Value::List(nodes) => match place.items() {
                Some(items) => {
                    nodes.iter().filter_map(|node| self.fill(items, Some(node), path, defaults)).collect()
                }
                None => self.fill_freely(node),
            },
            Value::Map(entries) => match (place.keys(), place.named()) {
                (Some(keys), _) => Json::Object(self.fill_keys(keys, entries, path, defaults)),
                (None, Some(named)) => Json::Object(self.fill_named(place, named, entries, path, defaults)),
                (None, None) => self.fill_freely(node),
            },
        })
    }

    fn fill_keys<'s>(
        &self,
        keys: impl Iterator<Item = (&'s str, Place<'s>)>,
        entries: &[Entry],
        path: &str,
        defaults: bool,
    ) -> Map<String, Json> {
        let filled = keys.filter_map(|(key, place)| {
            let node = entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
            Some((key.to_owned(), self.fill(place, node, &join(path, key), defaults)?))
        });
        filled.collect()
    }

    /// A default with names of its own is what holds beside those that are written.
    fn fill_named(
        &self,
        place: Place<'_>,
        named: Place<'_>,
        entries: &[Entry],
        path: &str,
        defaults: bool,
    ) -> Map<String, Json> {
        let filled = entries.iter().filter_map(|entry| {
            let below = join(path, &entry.key);
            Some((entry.key.clone(), self.fill(named, Some(&entry.node), &below, defaults)?))
        });
        let mut filled: Map<String, Json> = filled.collect();
        for (name, value) in place.default().and_then(Json::as_object).into_iter().flatten() {
            filled.entry(name.clone()).or_insert_with(|| value.clone());
        }
        filled
    }

    /// What the schema leaves open: documents that a test expects.
    fn fill_freely(&self, node: &Node) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(number) => exact(number),
            Value::Text(text) => Json::String(escaped(&self.expanded(text))),
            Value::List(nodes) => nodes.iter().map(|node| self.fill_freely(node)).collect(),
            Value::Map(entries) => {
                let entries = entries.iter().map(|entry| (entry.key.clone(), self.fill_freely(&entry.node)));
                Json::Object(entries.collect())
            }
        }
    }

    fn text(&self, place: Place<'_>, path: &str, text: &str) -> Json {
        if hidden_at(place, path, text) {
            return Json::String(hidden(text));
        }
        let expanded = self.expanded(text);
        // What a variable gives is text, and reads as a number or a boolean where one is wanted.
        let plain = match expanded.as_str() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            other => exact(other),
        };
        if expanded != text && !place.is_text() && !plain.is_string() {
            return plain;
        }
        Json::String(escaped(&without_credentials(&expanded)))
    }

    fn expanded(&self, text: &str) -> String {
        variables::expand(text, self.variable).unwrap_or_else(|_| text.to_owned())
    }

    /// Defaults of a source that follow from what it reads.
    fn of_source(&self, source: &str, key: &str) -> Option<String> {
        let source = self.config.sources.iter().find(|config| config.name.value == source)?;
        match (key, &source.endpoint) {
            ("id", _) => source.id.as_ref().map(ToString::to_string),
            ("on_gap", SourceEndpoint::Topic(_)) => Some("audit".to_owned()),
            _ => None,
        }
    }

    /// Defaults that follow from other keys.
    fn computed(&self, path: &str) -> Option<Json> {
        let parts: Vec<&str> = path.split('.').collect();
        let text = match parts.as_slice() {
            ["state", "path"] if self.config.kafka.is_none() => self.config.state_path.clone(),
            ["graph", "deadline"] => duration(self.config.graph.deadline_ms),
            ["freshness", "error_after"] => duration(self.config.policies.freshness.error_after_ms),
            ["sources", _, "entity"] => self.config.entity.value.clone(),
            ["sources", name, key] => self.of_source(name, key)?,
            _ => return None,
        };
        Some(Json::String(escaped(&text)))
    }
}

/// Whether a value must not be shown. Of what librdkafka is given only some is secret.
fn hidden_at(place: Place<'_>, path: &str, value: &str) -> bool {
    place.is_secret()
        && !path.strip_prefix("kafka.properties.").is_some_and(|name| kafka::is_shown(name, value))
}

/// A number as it is written, or else a text.
fn exact(number: &str) -> Json {
    let parsed: Option<Number> = number.parse().ok();
    let same = parsed.filter(|parsed| parsed.to_string() == number);
    same.map_or_else(|| Json::String(number.to_owned()), Json::Number)
}

/// The largest unit without a fraction.
fn duration(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = units.into_iter().find(|(_, length)| ms.is_multiple_of(*length));
    unit.map_or_else(|| format!("{ms}ms"), |(unit, length)| format!("{}{unit}", ms / length))
}

/// `${` in a value that is filled in stands for itself.
fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}

/// A secret: names of variables stay, and the word that says what kind of credentials they are.
fn hidden(text: &str) -> String {
    const SCHEMES: [&str; 4] = ["Bearer ", "Basic ", "Token ", "ApiKey "];
    if text.is_empty() {
        return String::new();
    }
    let Some(first) = text.find("${").filter(|&at| !text[..at].ends_with('$')) else {
        return HIDDEN.to_owned();
    };
    let mut shown = String::new();
    let (before, mut rest) = text.split_at(first);
    shown.push_str(if before.is_empty() || SCHEMES.contains(&before) { before } else { HIDDEN });
    while let Some(inner) = rest.strip_prefix("${") {
        let Some((inner, after)) = inner.split_once('}') else { break };
        let (name, alternative) = inner.split_at(inner.find(":-").unwrap_or(inner.len()));
        let default = if alternative.len() > 2 { format!(":-{HIDDEN}") } else { alternative.to_owned() };
        let _ = write!(shown, "${{{name}{default}}}");
        let next = after.find("${").unwrap_or(after.len());
        shown.push_str(if next > 0 { HIDDEN } else { "" });
        rest = &after[next..];
    }
    shown
}

/// An address without the user and the password in it.
fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{HIDDEN}{}", &rest[at..]),
        None => text.to_owned(),
    }
}

/// Block style; what holds nothing stands on one line.
fn print(value: &Json, depth: usize, yaml: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Json::Object(entries) => {
            for (key, value) in entries {
                let _ = write!(yaml, "{indent}{}:", scalar(key));
                print_value(value, depth, yaml);
            }
        }
        Json::Array(items) => {
            for item in items {
                let _ = write!(yaml, "{indent}-");
                print_value(item, depth, yaml);
            }
        }
        _ => drop(writeln!(yaml, "{indent}{value}")),
    }
}

fn print_value(value: &Json, depth: usize, yaml: &mut String) {
    match value {
        Json::Object(entries) if entries.is_empty() => yaml.push_str(" {}\n"),
        Json::Array(items) if items.is_empty() => yaml.push_str(" []\n"),
        Json::Object(_) | Json::Array(_) => {
            yaml.push('\n');
            print(value, depth + 1, yaml);
        }
        Json::String(text) => drop(writeln!(yaml, " {}", scalar(text))),
        other => drop(writeln!(yaml, " {other}")),
    }
}

/// Plain where no reader of YAML takes it for something else, in quotes otherwise.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    let is_quantity = ["ms", "s", "m", "h", "d", "%", "/s", "/m", "/h"].iter().any(|unit| {
        let number = text.strip_suffix(unit).unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        || text.starts_with("./")
        || text.starts_with('/');
    if is_quantity
        || is_word && text.bytes().all(is_plain) && !WORDS.contains(&text.to_ascii_lowercase().as_str())
    {
        return text.to_owned();
    }
    // JSON's quotes are YAML's; what YAML doesn't print stands escaped.
    let quoted = Json::String(text.to_owned()).to_string();
    let is_odd = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    quoted
        .chars()
        .map(|c| if is_odd(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        match name {
            "SIZE" => Some("50".into()),
            "GATEWAY" => Some("https://u:p4ss@gateway/graphql".into()),
            "TOKEN" => Some("t0p".into()),
            "ODD" => Some("a: ${B} # \u{85}\"é\"\n".into()),
            _ => None,
        }
    }

    fn expanded(text: &str) -> (Config, String) {
        let source = Arc::new(SourceText { name: "index.yaml".into(), text: text.into() });
        let checked = expand(&source, &variable);
        let (config, expansion) = checked.value.unwrap_or_else(|| panic!("{:?}", checked.diagnostics));
        (config, expansion.to_yaml())
    }

    const FILE: &str = r#"
version: 1
name: movies
description: ${ODD}
entity: Movie
query: ./query.graphql
graph:
  url: ${GATEWAY}
  headers: { authorization: "Bearer ${TOKEN:-dev}", x-key: "s3cret", x-two: "a${TOKEN}b${EMPTY:-}" }
  batch: { size: "${SIZE}" }
  scalars: { Money: long, Date: keyword }
sources:
  changes: { http: true, format: plain, id: key, snapshot_reads: live }
fields: { a.b: keyword, "1": { type: text, suggest: true } }
freshness: { warn_after: 10m }
serve: { tokens: ["${NONE:-}", "${TOKEN}"] }
"#;

    #[test]
    fn secrets_are_hidden_and_all_else_is_shown() {
        let (_, yaml) = expanded(FILE);
        for secret in ["p4ss", "t0p", "s3cret", "dev", "a$", "}b"] {
            assert!(!yaml.contains(secret), "{secret} in\n{yaml}");
        }
        for line in [
            "  url: \"https://hidden@gateway/graphql\"",
            "    authorization: \"Bearer ${TOKEN:-hidden}\"",
            "    size: 50",
            "  deadline: 30s",
            "    Date: keyword",
            "    JSON: flattened",
            "    entity: Movie",
            "  path: ./movies.db",
            "  error_after: 10m",
            "  listen: \"127.0.0.1:9467\"",
        ] {
            assert!(yaml.lines().any(|written| written == line), "{line} is not in\n{yaml}");
        }
    }

    const ON_KAFKA: &str = r#"
version: 1
name: movies
entity: Movie
query: ./query.graphql
graph: { url: "http://gateway/graphql" }
kafka:
  brokers: ["${BROKERS:-a:9092,b:9092}"]
  schema_registry: https://u:p4ss@registry
  registry_auth: { username: us3r, password: 81549300 }
  properties:
    session.timeout.ms: 45000
    socket.keepalive.enable: true
    security.protocol: SASL_SSL
    sasl.username: us3r
    sasl.password: 81549300
    ssl.key.password: "p4ss"
    ssl.key.pem: "p4ss"
    sasl.oauthbearer.client.secret: "${TOKEN}"
    sasl.jaas.config: password="p4ss"
sources:
  changes: { topic: movies, format: outbox }
  talents: { topic: talents, format: plain, id: key }
store: { type: opensearch, url: "http://search" }
"#;

    #[test]
    fn of_what_librdkafka_is_given_only_what_is_surely_no_secret_is_shown() {
        let (_, yaml) = expanded(ON_KAFKA);
        for secret in ["p4ss", "us3r", "8154", "t0p"] {
            assert!(!yaml.contains(secret), "{secret} in\n{yaml}");
        }
        for line in [
            "    - \"a:9092,b:9092\"",
            "    partitions: 12",
            "    replication: 3",
            "    session.timeout.ms: 45000",
            "    socket.keepalive.enable: true",
            "    security.protocol: SASL_SSL",
            "    sasl.oauthbearer.client.secret: \"${TOKEN}\"",
            "    sasl.password: hidden",
            "    id: key",
            "    on_gap: audit",
        ] {
            assert!(yaml.lines().any(|written| written == line), "{line} is not in\n{yaml}");
        }
        assert!(!yaml.contains("state:"), "there is no state file: {yaml}");
    }

    #[test]
    fn kafka_reads_back_with_the_same_meaning() {
        let (before, yaml) = expanded(ON_KAFKA);
        let (mut after, again) = expanded(&yaml);
        assert_eq!(again, yaml);
        let (mut kafka, was) = (after.kafka.take().unwrap(), before.kafka.clone().unwrap());
        kafka.registry = was.registry.clone();
        assert_eq!(kafka.properties.keys().collect::<Vec<_>>(), was.properties.keys().collect::<Vec<_>>());
        kafka.properties = was.properties;
        after.kafka = Some(kafka);
        assert_eq!(meaning(after), meaning(before));
    }

    /// What it says, without the places. A source without an entity is one of the root's.
    fn meaning(mut config: Config) -> String {
        for source in &mut config.sources {
            source.entity.get_or_insert_with(|| config.entity.clone());
        }
        config.source = Arc::new(SourceText { name: String::new(), text: String::new() });
        let text = format!("{config:?}");
        let mut parts = text.split("range: ");
        let first = parts.next().unwrap_or_default().to_owned();
        let places = |c: char| c.is_ascii_digit() || c == '.';
        parts.fold(first, |meaning, part| meaning + part.trim_start_matches(places))
    }

    #[test]
    fn it_reads_back_with_the_same_meaning_and_stays_as_it_is() {
        let file = FILE.replace("${GATEWAY}", "https://gateway/graphql");
        let (before, yaml) = expanded(&file);
        let (after, again) = expanded(&yaml);
        assert_eq!(meaning(after), meaning(before), "{yaml}");
        assert_eq!(again, yaml);
        let movies = include_str!("../../../configs/movies/index.yaml");
        let (before, yaml) = expanded(movies);
        assert_eq!(meaning(expanded(&yaml).0), meaning(before), "{yaml}");
    }
}
