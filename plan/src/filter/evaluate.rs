//! The meaning of a filter: whether it holds for a JSON document. Every translation for a store must agree with this file.

use serde_json::{Map, Value};

use super::{
    Scalar,
    checked::{CheckedFilter, Condition, Place, Test, TestKind},
    flattened,
    point::Point,
    words::words,
};
use crate::field::MappingKind;

impl CheckedFilter {
    /// Whether the document matches. `now_ms` is the time that date maths count from.
    pub fn matches(&self, document: &Value, now_ms: i64) -> bool {
        self.condition.holds(document, now_ms)
    }
}

impl Condition {
    fn holds(&self, scope: &Value, now_ms: i64) -> bool {
        match self {
            Condition::Constant(truth) => *truth,
            Condition::All(parts) => parts.iter().all(|part| part.holds(scope, now_ms)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(scope, now_ms)),
            Condition::Not(inner) => !inner.holds(scope, now_ms),
            Condition::Test(test) => test.holds(scope, now_ms),
            Condition::Bind(list, inner) => some_value(scope, &list.route, &mut |element| {
                element.is_object() && inner.holds(element, now_ms)
            }),
        }
    }
}

impl Test {
    fn holds(&self, scope: &Value, now_ms: i64) -> bool {
        let place = &self.place;
        match &self.kind {
            TestKind::Equals(operand) => {
                let operand = operand.resolve(now_ms);
                place.some_scalar(scope, &mut |value| value == *operand)
            }
            TestKind::In(operands) => {
                place.some_scalar(scope, &mut |value| operands.contains(&value, now_ms))
            }
            TestKind::Ordered(order, operand) => {
                let operand = operand.resolve(now_ms);
                place.some_scalar(scope, &mut |value| {
                    value.partial_cmp(&*operand).is_some_and(|ordering| order.holds(ordering))
                })
            }
            TestKind::Like(pattern) => place.some_scalar(scope, &mut |value| match value {
                Scalar::Text(text) => pattern.matches(&text),
                _ => false,
            }),
            TestKind::Matches(wanted) => place.has_words(scope, wanted),
            TestKind::Exists => place.exists(scope),
            TestKind::Within(circle) => {
                place.some(scope, &mut |value| Point::read(value).is_some_and(|point| circle.contains(point)))
            }
        }
    }
}

impl Place {
    fn some(&self, scope: &Value, passes: &mut dyn FnMut(&Value) -> bool) -> bool {
        self.routes.iter().any(|route| some_value(scope, route, passes))
    }

    fn some_scalar(&self, scope: &Value, passes: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        if let Some(key) = &self.key {
            return self.some(scope, &mut |value| {
                some_flattened(value, &mut |found, text| found == key && passes(Scalar::Text(text.into())))
            });
        }
        self.some(scope, &mut |value| Scalar::read(self.kind, value).is_some_and(&mut *passes))
    }

    fn exists(&self, scope: &Value) -> bool {
        match self.kind {
            MappingKind::Nested => self.some(scope, &mut Value::is_object),
            MappingKind::GeoPoint => self.some(scope, &mut |value| Point::read(value).is_some()),
            MappingKind::Flattened if self.key.is_none() => {
                self.some(scope, &mut |value| some_flattened(value, &mut |_, _| true))
            }
            _ => self.some_scalar(scope, &mut |_| true),
        }
    }

    /// Whether the values of one innermost element, or of the whole document, hold every word.
    fn has_words(&self, scope: &Value, wanted: &[String]) -> bool {
        let all_found = |element: &Value, routes: &[&[String]]| {
            let mut missing: Vec<&str> = wanted.iter().map(String::as_str).collect();
            routes.iter().any(|route| {
                some_value(element, route, &mut |value| {
                    if let Some(Scalar::Text(text)) = Scalar::read(MappingKind::Text, value) {
                        words(&text).for_each(|word| missing.retain(|wanted| *wanted != word.folded));
                    }
                    missing.is_empty()
                })
            })
        };
        match (self.element_depth, &self.routes[..]) {
            (depth @ 1.., [route]) => {
                let (to_element, inside) = route.split_at(depth);
                some_value(scope, to_element, &mut |element| all_found(element, &[inside]))
            }
            (_, routes) => all_found(scope, &routes.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        }
    }
}

/// Whether a value at the end of the route passes; lists, also lists of lists, are walked through.
pub(super) fn some_value(value: &Value, route: &[String], passes: &mut dyn FnMut(&Value) -> bool) -> bool {
    match (value, route) {
        (Value::Array(items), _) => items.iter().any(|item| some_value(item, route, passes)),
        (Value::Object(object), [name, rest @ ..]) => {
            member(object, name).is_some_and(|value| some_value(value, rest, passes))
        }
        (_, [_, ..]) => false,
        (value, []) => passes(value),
    }
}

/// Objects of so many members are walked through, which costs fewer steps into far memory than a hash table does.
const FEW_MEMBERS: usize = 16;

fn member<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    match object.len() <= FEW_MEMBERS {
        true => object.iter().find(|(other, _)| *other == name).map(|(_, value)| value),
        false => object.get(name),
    }
}

fn some_flattened(value: &Value, passes: &mut dyn FnMut(&str, &str) -> bool) -> bool {
    let mut found = false;
    if let Value::Object(object) = value {
        flattened::each(object, &mut |key, text| found = found || passes(key, text));
    }
    found
}
