//! Values put into a YAML file in the place of others; comments, order and style of the rest stay as they are.

use std::{fmt::Write as _, ops::Range};

use serde_json::Value;
use yaml_edit::{Document, YamlNode, path::YamlPath as _};

use crate::difference::is_same;

/// A value that is to stand at a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Correction {
    /// Where, from the file's root.
    pub(crate) path: Vec<Step>,
    /// What.
    pub(crate) value: Value,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a map.
    Key(String),
    /// Into a list.
    Index(usize),
}

impl Correction {
    /// Corrects what stands at `path` into what was found, as far as something is expected there; a list of another length whole.
    pub(crate) fn of(path: &[Step], expected: &Value, found: &Value, into: &mut Vec<Self>) {
        let below = |step: Step| path.iter().cloned().chain([step]).collect::<Vec<_>>();
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => {
                for (key, expected) in expected {
                    let found = found.get(key).unwrap_or(&Value::Null);
                    Self::of(&below(Step::Key(key.clone())), expected, found, into);
                }
            }
            (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
                for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
                    Self::of(&below(Step::Index(at)), expected, found, into);
                }
            }
            (expected, found) if is_same(expected, found) => {}
            (_, found) => into.push(Self { path: path.to_vec(), value: found.clone() }),
        }
    }
}

/// The text with all corrections in it. `Err` names the first path at which nothing can be put: it is not there, or an alias.
pub(crate) fn corrected(text: &str, corrections: &[Correction]) -> Result<String, String> {
    let document: Document = text.parse().map_err(|error: yaml_edit::YamlError| error.to_string())?;
    let mut places = Vec::with_capacity(corrections.len());
    for Correction { path, value } in corrections {
        let path = written(path);
        let node = document.try_get_path(&path).map_err(|error| format!("{path}: {error}"))?;
        if matches!(node, YamlNode::Alias(_) | YamlNode::TaggedNode(_)) {
            return Err(format!("{path}: an alias or a tag stands there"));
        }
        places.push((range(text, &node), value));
    }
    // From the end, so that places before it stay where they are.
    places.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for (range, value) in places {
        let column = range.start - text[..range.start].rfind('\n').map_or(0, |newline| newline + 1);
        let was_block = text[range.clone()].starts_with("- ");
        let put = match value {
            Value::Array(items) if was_block && !items.is_empty() => {
                let items: Vec<String> = items.iter().map(|item| format!("- {}", flow(item))).collect();
                items.join(&format!("\n{:column$}", ""))
            }
            value => flow(value),
        };
        text.replace_range(range, &put);
    }
    Ok(text)
}

/// The path in the words of yaml-edit, which takes a bare dot for a step and a bare number for an index.
fn written(path: &[Step]) -> String {
    let mut written = String::new();
    for step in path {
        match step {
            Step::Index(index) => write!(written, "[{index}]").expect("a string takes all"),
            Step::Key(key) => {
                if !written.is_empty() {
                    written.push('.');
                }
                key.chars().for_each(|c| written.extend(['\\', c]));
            }
        }
    }
    written
}

/// Where a node stands, without the space behind it.
fn range(text: &str, node: &YamlNode) -> Range<usize> {
    let range = node.byte_range();
    let (start, end) = (range.start as usize, range.end as usize);
    start..start + text[start..end].trim_end().len()
}

/// A value in flow style: words without quotes where YAML reads them as text.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                let key = if is_plain(key) { key.clone() } else { Value::from(key.as_str()).to_string() };
                format!("{key}: {}", flow(value))
            };
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Whether YAML reads this as this very text, in any version and anywhere.
fn is_plain(text: &str) -> bool {
    const OTHER: [&str; 10] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan"];
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.');
    text.starts_with(char::is_alphabetic)
        && text.ends_with(char::is_alphanumeric)
        && text.chars().all(is_word)
        && !OTHER.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = r#"name: movies # ours
tests:
  - name: one
    expect:
      ids: [m1, m2] # why
      documents: { m1: { title: Avatar, "production.status": WRAPPED }, 7: null }
  # Goes on.
  - name: two
    search:
      expect:
        - m1 # the star
        - m2

  - name: three
    expect:
      documents:
        m1:
          title: "x"
          list:
            - a
end: 1
"#;

    fn path(steps: &str) -> Vec<Step> {
        let step = |step: &str| match step.parse() {
            Ok(index) => Step::Index(index),
            Err(_) => Step::Key(step.trim_matches('\'').to_owned()),
        };
        steps.split('/').map(step).collect()
    }

    #[test]
    fn only_what_is_corrected_changes() {
        let corrections = [
            ("tests/0/expect/ids", json!(["m1", "5", "true"])),
            ("tests/0/expect/documents/m1/title", json!("Avatar: \"2\"")),
            ("tests/0/expect/documents/m1/production.status", json!("IN_PHOTOGRAPHY")),
            ("tests/0/expect/documents/'7'", json!({ "a b": [1, null], "c": {} })),
            ("tests/1/search/expect", json!(["m3", "m4", "m5"])),
            ("tests/2/expect/documents/m1/title", json!("z")),
            ("tests/2/expect/documents/m1/list", json!([])),
        ];
        let corrections = corrections.map(|(steps, value)| Correction { path: path(steps), value });
        let wanted = FILE
            .replace("[m1, m2] #", "[m1, \"5\", \"true\"] #")
            .replace("title: Avatar,", "title: \"Avatar: \\\"2\\\"\",")
            .replace("\"production.status\": WRAPPED", "\"production.status\": IN_PHOTOGRAPHY")
            .replace("7: null", "7: { a b: [1, null], c: {} }")
            .replace("- m1 # the star\n        - m2\n", "- m3\n        - m4\n        - m5\n")
            .replace("title: \"x\"", "title: z")
            .replace("list:\n            - a", "list:\n            []");
        assert_eq!(corrected(FILE, &corrections).unwrap(), wanted);
    }

    #[test]
    fn what_is_not_there_can_not_be_corrected() {
        let missing = Correction { path: path("tests/0/expect/nothing"), value: json!(1) };
        assert!(corrected(FILE, &[missing]).unwrap_err().contains("nothing"));
        let alias = Correction { path: path("b"), value: json!(1) };
        assert!(corrected("a: &x 1\nb: *x\n", &[alias]).unwrap_err().contains("alias"));
    }
}
