//! Documents that are a little smaller than another one, so that a disagreement can be narrowed down.

use serde_json::Value;

/// The document without one of its values, for each of them; the largest parts are left out first.
pub(super) fn documents(document: &Value) -> Vec<Value> {
    let mut smaller = Vec::new();
    match document {
        Value::Object(object) => {
            for name in object.keys() {
                let mut without = object.clone();
                without.shift_remove(name);
                smaller.push(Value::Object(without));
            }
            for (name, value) in object {
                smaller.extend(documents(value).into_iter().map(|value| {
                    let mut changed = object.clone();
                    changed.insert(name.clone(), value);
                    Value::Object(changed)
                }));
            }
        }
        Value::Array(items) => {
            for at in 0..items.len() {
                let mut without = items.clone();
                without.remove(at);
                smaller.push(Value::Array(without));
            }
            for (at, item) in items.iter().enumerate() {
                smaller.extend(documents(item).into_iter().map(|item| {
                    let mut changed = items.clone();
                    changed[at] = item;
                    Value::Array(changed)
                }));
            }
        }
        _ => {}
    }
    smaller
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_is_left_out_once() {
        let smaller = documents(&json!({"a": [1, {"b": null}], "c": 2}));
        let wanted = [
            json!({"c": 2}),
            json!({"a": [1, {"b": null}]}),
            json!({"a": [{"b": null}], "c": 2}),
            json!({"a": [1], "c": 2}),
            json!({"a": [1, {}], "c": 2}),
        ];
        assert_eq!(smaller, wanted);
    }
}
