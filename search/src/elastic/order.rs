//! What hits are ordered by, and how a page goes on after the last hit of the one before.

use plan::field::MappingKind;
use serde_json::{Value, json};

use super::{
    ElasticIndex,
    layout::{nested_around, sort_field},
};
use crate::{SearchError, Sort, cursor::Key, request::comparable_field};

/// One key that hits are ordered by before their id decides.
pub(super) enum SortKey {
    Score,
    Value { field: String, nested: Option<String>, descending: bool, missing: Missing },
}

/// How both engines sort and tell a document without the value; all of them after every value there is.
#[derive(Clone, Copy)]
pub(super) enum Missing {
    /// As a 64-bit integer that a document may hold as well.
    Integer,
    /// As a 64-bit integer that is no date and no boolean.
    BeyondValues,
    /// As infinity, which JSON writes as text.
    Infinity,
    /// As null.
    Null,
}

impl SortKey {
    pub(super) fn new(index: &ElasticIndex, sort: &Sort) -> Result<Self, SearchError> {
        let field = comparable_field(&index.plan.fields, &sort.path)?;
        let missing = match field.mapping.kind {
            MappingKind::Long => Missing::Integer,
            MappingKind::Date | MappingKind::Boolean => Missing::BeyondValues,
            MappingKind::Double => Missing::Infinity,
            _ => Missing::Null,
        };
        Ok(Self::Value {
            field: sort_field(field),
            nested: nested_around(&index.plan, &sort.path),
            descending: sort.descending,
            missing,
        })
    }

    /// How the engine is asked: of several values the one that comes first in the direction of the order.
    ///
    /// An integer is sorted by twice, the other way round the second time: a document without it is then the last among those
    /// that hold the last integer there is.
    pub(super) fn sorts(&self) -> Vec<Value> {
        let Self::Value { field, nested, descending, missing } = self else {
            return vec![json!({"_score": "desc"})];
        };
        let mode = if *descending { "max" } else { "min" };
        let by = |descending: bool| {
            let order = if descending { "desc" } else { "asc" };
            let mut by = json!({"order": order, "mode": mode, "missing": "_last"});
            if let Some(list) = nested {
                by["nested"] = json!({"path": list});
            }
            json!({field.as_str(): by})
        };
        match missing {
            Missing::Integer => vec![by(*descending), by(!*descending)],
            _ => vec![by(*descending)],
        }
    }

    /// What a hit was sorted by; takes its part of what the engine tells of the hit.
    pub(super) fn key<'v>(&self, told: &mut impl Iterator<Item = &'v Value>) -> Key {
        let first = told.next().unwrap_or(&Value::Null);
        let Self::Value { missing, .. } = self else { return to_key(first) };
        let is_missing = match missing {
            Missing::Integer => told.next() != Some(first),
            Missing::BeyondValues => *first == self.last_integer(),
            Missing::Infinity => first.is_string(),
            Missing::Null => false,
        };
        if is_missing { Key::Missing } else { to_key(first) }
    }

    /// The values that the next page begins after.
    pub(super) fn search_after(&self, key: &Key) -> Vec<Value> {
        let value = match key {
            Key::Missing => return self.missing_values(),
            Key::Integer(integer) => Value::from(*integer),
            Key::Double(bits) => Value::from(f64::from_bits(*bits)),
            Key::Text(text) => Value::from(text.as_str()),
        };
        vec![value; self.sorts().len()]
    }

    fn missing_values(&self) -> Vec<Value> {
        let Self::Value { descending, missing, .. } = self else { return vec![Value::Null] };
        let last = self.last_integer();
        match missing {
            Missing::Integer => vec![last.into(), (!last).into()],
            Missing::BeyondValues => vec![last.into()],
            Missing::Infinity => vec![if *descending { "-Infinity" } else { "Infinity" }.into()],
            Missing::Null => vec![Value::Null],
        }
    }

    /// The last 64-bit integer in the direction of the order; its complement is the first.
    fn last_integer(&self) -> i64 {
        match self {
            Self::Value { descending: true, .. } => i64::MIN,
            _ => i64::MAX,
        }
    }
}

fn to_key(value: &Value) -> Key {
    match value {
        Value::Bool(truth) => Key::Integer(i64::from(*truth)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Key::Integer(integer),
            (None, Some(double)) => Key::Double(double.to_bits()),
            (None, None) => Key::Missing,
        },
        Value::String(text) => Key::Text(text.clone()),
        _ => Key::Missing,
    }
}
