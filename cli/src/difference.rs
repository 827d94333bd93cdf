//! What of an expected document isn't there, in words, path by path.

use serde_json::Value;

/// Differences told of one document at most; the rest would say the same.
const MAX_TOLD: usize = 20;

/// What differs from what is expected, a line each. Keys that aren't expected may hold anything; lists are compared whole.
pub(crate) fn differences(path: &str, expected: &Value, found: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare(path, expected, found, &mut lines);
    if lines.len() > MAX_TOLD {
        let more = lines.len() - MAX_TOLD;
        lines.truncate(MAX_TOLD);
        lines.push(format!("{path}: {more} more differences"));
    }
    lines
}

fn compare(path: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, expected) in expected {
                compare(&format!("{path}.{key}"), expected, found.get(key).unwrap_or(&Value::Null), lines);
            }
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            for (number, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{path}[{number}]"), expected, found, lines);
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            lines.push(format!("{path}: expected {} elements, found {}", expected.len(), found.len()));
        }
        (expected, found) if is_same(expected, found) => {}
        (expected, found) => lines.push(format!("{path}: expected {expected}, found {found}")),
    }
}

/// `1` and `1.0` are one number.
pub(crate) fn is_same(expected: &Value, found: &Value) -> bool {
    expected == found || expected.as_f64().is_some_and(|expected| found.as_f64() == Some(expected))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_expected_is_compared() {
        let found = json!({ "a": 1.0, "b": [{ "c": "x", "d": 2 }], "e": null, "f": [1] });
        assert_eq!(
            differences("m1", &json!({ "a": 1, "b": [{ "c": "x" }], "e": null, "g": null }), &found),
            [""; 0]
        );
        let told = differences("m1", &json!({ "a": 2, "b": [{ "c": "y" }], "f": [], "e": {} }), &found);
        assert_eq!(
            told,
            [
                "m1.a: expected 2, found 1.0",
                "m1.b[0].c: expected \"y\", found \"x\"",
                "m1.f: expected 0 elements, found 1",
                "m1.e: expected {}, found null"
            ]
        );
    }
}
