//! Objects of unknown keys: their leaves as pairs of a dotted key and a keyword.

use serde_json::{Map, Value};

use super::Scalar;
use crate::field::MappingKind;

/// Between key and value in a term, as in Elasticsearch. Keys that hold it are left out.
const SEPARATOR: char = '\0';

/// Calls back with every leaf; objects inside of objects join their keys by dots, lists repeat the key.
pub fn each(object: &Map<String, Value>, found: &mut dyn FnMut(&str, &str)) {
    each_below(object, &mut String::new(), found);
}

fn each_below(object: &Map<String, Value>, key: &mut String, found: &mut dyn FnMut(&str, &str)) {
    let parent = key.len();
    for (name, value) in object.iter().filter(|(name, _)| !name.contains(SEPARATOR)) {
        if parent > 0 {
            key.push('.');
        }
        key.push_str(name);
        each_leaf(value, key, found);
        key.truncate(parent);
    }
}

fn each_leaf(value: &Value, key: &mut String, found: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| each_leaf(item, key, found)),
        Value::Object(object) => each_below(object, key, found),
        leaf => {
            if let Some(Scalar::Text(text)) = Scalar::read(MappingKind::Keyword, leaf) {
                found(key, &text);
            }
        }
    }
}

/// Key and value as one text, the form in which stores index them.
pub fn term(key: &str, value: &str) -> String {
    format!("{key}{SEPARATOR}{value}")
}
