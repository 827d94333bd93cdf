//! Filters in the engines' query language, which agrees with the evaluator: two truths, and elements bound one by one.

use plan::{
    IndexPlan,
    field::MappingKind,
    filter::{CheckedFilter, Circle, Condition, Operands, Order, Place, Scalar, Test, TestKind},
};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::{
    adapt::moment,
    layout::{in_nested, value_field, words_field},
};

/// Half the way around the earth, in metres: a circle of that radius holds every point.
const EVERYWHERE: f64 = 20_015_200.0;

/// How far a stored point may be from the one that was written: coordinates are kept in 32 bits each.
const ROUNDING: f64 = 0.02;

/// What must hold for a document to match.
pub(super) fn query(plan: &IndexPlan, filter: &CheckedFilter, now_ms: i64) -> Value {
    Translator { plan, now_ms }.condition(filter.condition(), None)
}

struct Translator<'a> {
    plan: &'a IndexPlan,
    now_ms: i64,
}

impl Translator<'_> {
    /// `list` is the nested list whose element the condition is asked of; `None` asks the document.
    fn condition(&self, condition: &Condition, list: Option<&str>) -> Value {
        match condition {
            Condition::Constant(true) => json!({"match_all": {}}),
            Condition::Constant(false) => json!({"match_none": {}}),
            Condition::All(parts) => match &parts[..] {
                [] => json!({"match_all": {}}),
                [part] => self.condition(part, list),
                parts => json!({"bool": {"filter": self.conditions(parts, list)}}),
            },
            Condition::Any(parts) => match &parts[..] {
                [] => json!({"match_none": {}}),
                [part] => self.condition(part, list),
                parts => json!({"bool": {"should": self.conditions(parts, list), "minimum_should_match": 1}}),
            },
            Condition::Not(inner) => match &**inner {
                // Depth counts: servers refuse clauses that stand in more than thirty others.
                Condition::Not(inner) => self.condition(inner, list),
                inner => json!({"bool": {"must_not": [self.condition(inner, list)]}}),
            },
            Condition::Test(test) => self.test(test, list),
            Condition::Bind(bound, inner) => {
                in_nested(Some(&bound.path), self.condition(inner, Some(&bound.path)))
            }
        }
    }

    fn conditions(&self, parts: &[Condition], list: Option<&str>) -> Vec<Value> {
        parts.iter().map(|part| self.condition(part, list)).collect()
    }

    fn test(&self, test: &Test, list: Option<&str>) -> Value {
        let Test { place, kind } = test;
        let query = match kind {
            TestKind::Equals(operand) => equals(place, operand.resolve(self.now_ms).into_owned()),
            TestKind::In(operands) => self.is_one_of(place, operands),
            TestKind::Ordered(order, operand) => {
                let bound = match order {
                    Order::Less => "lt",
                    Order::LessOrEqual => "lte",
                    Order::Greater => "gt",
                    Order::GreaterOrEqual => "gte",
                };
                range(place, &[bound], operand.resolve(self.now_ms).into_owned())
            }
            TestKind::Like(pattern) => match pattern.literal() {
                // A pattern without any sign doesn't find the empty text.
                Some(whole) => json!({"term": {field(place): whole}}),
                None => json!({"wildcard": {field(place): {"value": pattern.text()}}}),
            },
            TestKind::Matches(words) => self.has_words(place, words),
            TestKind::Exists => exists(place),
            TestKind::Within(circle) => within(place, circle),
        };
        // A list that is asked for is in itself where its elements are looked for.
        let innermost = match place.kind {
            MappingKind::Nested => Some(place.path.as_str()),
            _ => place.element.as_deref(),
        };
        in_nested(innermost.filter(|innermost| Some(*innermost) != list), query)
    }

    fn is_one_of(&self, place: &Place, operands: &Operands) -> Value {
        let values: Vec<Value> = operands.resolve(self.now_ms).map(value).collect();
        json!({"terms": {field(place): values}})
    }

    fn has_words(&self, place: &Place, words: &[String]) -> Value {
        let name = self.plan.fields.get(&place.path).map_or_else(|| place.path.clone(), words_field);
        let words: Vec<Value> = words.iter().map(|word| is_word(&name, word)).collect();
        json!({"bool": {"filter": words}})
    }
}

/// A word of the filter language. It is folded to single marks, and texts mostly come with marks and letters in one.
pub(super) fn is_word(field: &str, word: &str) -> Value {
    match forms(word) {
        (one, None) => json!({"term": {field: one}}),
        (one, Some(other)) => json!({"terms": {field: [one, other]}}),
    }
}

/// A word as it may stand in the index: with its marks apart, and composed.
pub(super) fn forms(word: &str) -> (String, Option<String>) {
    let composed: String = word.nfc().collect();
    let differs = composed != word;
    (word.to_owned(), differs.then_some(composed))
}

/// The field of whole values at a place.
fn field(place: &Place) -> String {
    match &place.key {
        Some(key) => format!("{}.{key}", place.path),
        None => value_field(&place.path, place.kind),
    }
}

fn value(scalar: Scalar<'_>) -> Value {
    match scalar {
        Scalar::Text(text) => text.into(),
        Scalar::Integer(integer) => integer.into(),
        Scalar::Double(double) => double.into(),
        Scalar::Boolean(truth) => truth.into(),
        Scalar::Instant(instant) => moment(instant),
    }
}

fn equals(place: &Place, scalar: Scalar<'static>) -> Value {
    match scalar {
        Scalar::Instant(_) => range(place, &["gte", "lte"], scalar),
        scalar => json!({"term": {field(place): value(scalar)}}),
    }
}

fn range(place: &Place, bounds: &[&str], scalar: Scalar<'static>) -> Value {
    let value = value(scalar);
    let bounds: serde_json::Map<String, Value> =
        bounds.iter().map(|bound| ((*bound).to_owned(), value.clone())).collect();
    json!({"range": {field(place): bounds}})
}

fn exists(place: &Place) -> Value {
    match (place.kind, &place.key) {
        (MappingKind::Nested, _) => json!({"match_all": {}}),
        // `OpenSearch` would find the last name of the key anywhere.
        (_, Some(_)) => json!({"prefix": {field(place): ""}}),
        // The words of a text, because a very long one has no whole value in the index.
        _ => json!({"exists": {"field": place.path}}),
    }
}

fn within(place: &Place, circle: &Circle) -> Value {
    if circle.metres >= EVERYWHERE {
        return json!({"exists": {"field": place.path}});
    }
    json!({"geo_distance": {
        "distance": format!("{}m", circle.metres + ROUNDING),
        place.path.as_str(): {"lat": circle.center.lat, "lon": circle.center.lon},
    }})
}
