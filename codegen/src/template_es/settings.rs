//! The settings of an index: the user's own, and the limits that a large document needs raised.

use serde_json::{Map, Value, json};

use crate::config::Config;

/// What both engines allow without being asked: fields with their sub-fields, objects inside of each other, and nested
/// lists (`OpenSearch`'s 50; Elasticsearch 9 has 100). A document can have more of each.
const FIELDS: usize = 1_000;
const DEPTH: usize = 20;
const NESTED: usize = 50;

/// Elements of nested lists in one document, as many as the embedded store takes; search engines stop at 10,000 by
/// themselves. Each is a document of Lucene's, so that more would hold up every other write.
const ELEMENTS: usize = 100_000;

/// The settings below `index`, for all properties that it will have. What the user says wins.
pub(super) fn index(config: &Config, properties: &[&Map<String, Value>]) -> Map<String, Value> {
    let said = config.store.settings.iter().map(|(name, value)| {
        let name = name.strip_prefix("index.").unwrap_or(name);
        (name.to_owned(), Value::from(value.as_str()))
    });
    let mut index: Map<String, Value> = said.collect();
    // Left unset, a shard that nobody searches stops refreshing, and reverse lookups see the past.
    index.entry("refresh_interval").or_insert_with(|| json!("1s"));
    let mut size = Size::default();
    properties.iter().for_each(|properties| size.add(properties, 1));
    let limits = [
        ("mapping.total_fields.limit", size.fields, FIELDS),
        ("mapping.depth.limit", size.depth, DEPTH),
        ("mapping.nested_fields.limit", size.nested, NESTED),
    ];
    for (name, needed, allowed) in limits {
        if needed > allowed {
            index.entry(name).or_insert_with(|| json!(needed));
        }
    }
    if size.nested > 0 {
        index.entry("mapping.nested_objects.limit").or_insert_with(|| json!(ELEMENTS));
    }
    index
}

/// How much of each limit a mapping takes.
#[derive(Default)]
struct Size {
    fields: usize,
    depth: usize,
    nested: usize,
}

impl Size {
    fn add(&mut self, properties: &Map<String, Value>, depth: usize) {
        self.depth = self.depth.max(depth);
        for property in properties.values() {
            let below = |name: &str| property.get(name).and_then(Value::as_object);
            self.fields += 1 + below("fields").map_or(0, Map::len);
            self.nested += usize::from(property["type"] == "nested");
            if let Some(children) = below("properties") {
                self.add(children, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_fields_objects_and_nested_lists_all_count() {
        let mapping = json!({
            "title": { "type": "text", "fields": { "raw": {}, "words": {} } },
            "cast": { "type": "nested", "properties": { "agent": { "properties": { "name": {} } } } },
        });
        let mut size = Size::default();
        size.add(mapping.as_object().unwrap(), 1);
        assert_eq!((size.fields, size.depth, size.nested), (6, 3, 1));
    }
}
