//! Two documents side by side: by hash, and where they differ, field by field with the owner of each difference.
//!
//! What counts is the value: the order of an object's keys and white space don't, the order of a list does.

use plan::IndexPlan;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::history::beginning;

/// Differences of one document that are told at most.
const MAX_DIFFERENCES: usize = 1_000;

/// The hash of a document's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueHash([u8; 32]);

/// A field whose value in the graph is not the one in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where: response keys and places in lists, such as `actors[1].name`.
    pub path: String,
    /// The subgraphs that can answer the field; empty where the schema doesn't tell.
    pub subgraphs: Vec<String>,
    /// The graph's value as JSON, its beginning; nothing where it has none there.
    pub graph: Option<String>,
    /// The index' value.
    pub index: Option<String>,
}

impl ValueHash {
    /// The hash of a document's body. A body that is no JSON, which only a stranger could have written, is hashed as text.
    pub fn of(body: &str) -> Self {
        let mut hasher = Sha256::new();
        if let Ok(value) = serde_json::from_str::<Value>(body) {
            add(&value, &mut hasher);
        } else {
            hasher.update(b"?");
            hasher.update(body);
        }
        Self(hasher.finalize().into())
    }
}

/// Feeds a value with a letter for its type and the length of what has one, so that no two values give the same bytes.
fn add(value: &Value, hasher: &mut Sha256) {
    let text = |letter: u8, text: &str, hasher: &mut Sha256| {
        hasher.update([letter]);
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    };
    match value {
        Value::Null => hasher.update(b"n"),
        Value::Bool(false) => hasher.update(b"f"),
        Value::Bool(true) => hasher.update(b"t"),
        Value::Number(number) => text(b'd', &number.to_string(), hasher),
        Value::String(string) => text(b's', string, hasher),
        Value::Array(elements) => {
            hasher.update(b"a");
            hasher.update((elements.len() as u64).to_le_bytes());
            elements.iter().for_each(|element| add(element, hasher));
        }
        Value::Object(fields) => {
            hasher.update(b"o");
            hasher.update((fields.len() as u64).to_le_bytes());
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in fields {
                text(b'k', name, hasher);
                add(value, hasher);
            }
        }
    }
}

/// Where two bodies differ; empty where they are equal.
pub fn differences(plan: &IndexPlan, graph: &str, index: &str) -> Vec<Difference> {
    let parse = |body: &str| serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
    let mut walk = Walk { plan, found: Vec::new() };
    walk.compare("", Some(&parse(graph)), Some(&parse(index)));
    walk.found
}

/// The subgraphs that can answer the field at a path without places in lists, or else what stands around it.
fn owners(plan: &IndexPlan, path: &str) -> Vec<String> {
    let mut path = path;
    loop {
        if let Some(field) = plan.fields.get(path) {
            return field.owners.clone();
        }
        match path.rsplit_once('.') {
            Some((around, _)) => path = around,
            None => return Vec::new(),
        }
    }
}

/// A path without places in lists: `actors[1].name` is of the field `actors.name`.
pub(super) fn field_of(path: &str) -> String {
    let mut field = String::with_capacity(path.len());
    let mut is_place = false;
    for letter in path.chars() {
        match letter {
            '[' => is_place = true,
            ']' => is_place = false,
            letter if !is_place => field.push(letter),
            _ => {}
        }
    }
    field
}

struct Walk<'p> {
    plan: &'p IndexPlan,
    found: Vec<Difference>,
}

impl Walk<'_> {
    fn compare(&mut self, path: &str, graph: Option<&Value>, index: Option<&Value>) {
        if graph == index || self.found.len() >= MAX_DIFFERENCES {
            return;
        }
        match (graph, index) {
            (Some(Value::Object(graph)), Some(Value::Object(index))) => self.objects(path, graph, index),
            (Some(Value::Array(graph)), Some(Value::Array(index))) => self.lists(path, graph, index),
            _ => {
                let text = |value: &Value| beginning(&value.to_string());
                self.found.push(Difference {
                    path: path.to_owned(),
                    subgraphs: owners(self.plan, &field_of(path)),
                    graph: graph.map(text),
                    index: index.map(text),
                });
            }
        }
    }

    fn objects(&mut self, path: &str, graph: &Map<String, Value>, index: &Map<String, Value>) {
        let only_index = index.keys().filter(|name| !graph.contains_key(*name));
        for name in graph.keys().chain(only_index) {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.compare(&inner, graph.get(name), index.get(name));
        }
    }

    /// One element more or less makes none of the others differ: what is equal at both ends is set aside, and only what lies
    /// between is compared place by place.
    fn lists(&mut self, path: &str, graph: &[Value], index: &[Value]) {
        let shorter = graph.len().min(index.len());
        let before = graph.iter().zip(index).take_while(|(one, other)| one == other).count();
        let pairs = graph.iter().rev().zip(index.iter().rev()).take(shorter - before);
        let after = pairs.take_while(|(one, other)| one == other).count();
        let between = graph.len().max(index.len()) - before - after;
        for at in before..before + between {
            let of = |list: &[Value]| (at < list.len() - after).then(|| list[at].clone());
            let (graph, index) = (of(graph), of(index));
            self.compare(&format!("{path}[{at}]"), graph.as_ref(), index.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn told(graph: &Value, index: &Value) -> Vec<String> {
        let found = differences(&testing::movies(), &graph.to_string(), &index.to_string());
        let side = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let line = |found: Difference| {
            format!("{} {:?} {} {}", found.path, found.subgraphs, side(found.graph), side(found.index))
        };
        found.into_iter().map(line).collect()
    }

    #[test]
    fn each_difference_is_told_with_its_owner() {
        let graph =
            json!({"movieId": "m1", "title": "New", "production": {"status": "WRAPPED"}, "actors": []});
        let index =
            json!({"movieId": "m1", "title": "Old", "production": null, "actors": [{"name": "A"}], "odd": 1});
        let found = told(&graph, &index);
        assert_eq!(
            found,
            [
                r#"title ["movies"] "New" "Old""#,
                r#"production ["productions"] {"status":"WRAPPED"} null"#,
                r#"actors[0] ["talent"] - {"name":"A"}"#,
                "odd [] - 1",
            ]
        );
    }

    #[test]
    fn an_element_more_makes_no_other_differ() {
        let actor = |id: &str| json!({"talentId": id, "name": id});
        let (a, b, c, d) = (actor("a"), actor("b"), actor("c"), actor("d"));
        let graph = json!({"actors": [a, b, c, d]});
        assert_eq!(told(&graph, &json!({"actors": [a, c, d]})).len(), 1);
        assert_eq!(
            told(&graph, &json!({"actors": [a, b, {"talentId": "c", "name": "old"}, d]})),
            [r#"actors[2].name ["talent"] "c" "old""#]
        );
        assert_eq!(told(&json!({"actors": [a, a]}), &json!({"actors": [a]})).len(), 1);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3_i64..3).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab]{1,2}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn turned(value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(
                fields.iter().rev().map(|(name, value)| (name.clone(), turned(value))).collect(),
            ),
            Value::Array(elements) => elements.iter().map(turned).collect(),
            value => value.clone(),
        }
    }

    proptest! {
        /// The hash says what the walk says, and the order of keys says nothing.
        #[test]
        fn hashes_are_equal_where_values_are(one in values(), other in values()) {
            let hash = |value: &Value| ValueHash::of(&format!(" {value:#}\n"));
            prop_assert_eq!(hash(&one), ValueHash::of(&turned(&one).to_string()));
            prop_assert_eq!(hash(&one) == hash(&other), one == other);
            prop_assert_eq!(told(&one, &other).is_empty(), one == other);
        }
    }
}
