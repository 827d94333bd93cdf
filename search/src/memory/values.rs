//! The values of one field in a document, read as they are indexed.

use std::cmp::Ordering;

use plan::{
    Field, FieldTree,
    field::MappingKind,
    filter::{Scalar, routes, values_at},
};
use serde_json::Value;

use crate::cursor::Key;

/// A field, seen from the document.
pub(crate) struct Values {
    kind: MappingKind,
    /// A virtual field has one route for each field that is copied to it.
    routes: Vec<Vec<String>>,
}

impl Values {
    pub(crate) fn of(fields: &FieldTree, field: &Field) -> Self {
        Self { kind: field.mapping.kind, routes: routes(fields, field) }
    }

    #[must_use]
    pub(super) fn read_as(self, kind: MappingKind) -> Self {
        Self { kind, ..self }
    }

    /// The kind that values are read as.
    pub(super) fn kind(&self) -> MappingKind {
        self.kind
    }

    /// All values that fit the field, in the order of the document.
    pub(super) fn keys(&self, document: &Value) -> Vec<Key> {
        let values = self.routes.iter().flat_map(|route| flat(values_at(document, route)));
        values.filter_map(|value| Scalar::read(self.kind, &value).map(key)).collect()
    }

    /// The values as text: keywords and whole texts as they are, integers in decimal.
    pub(super) fn texts(&self, document: &Value) -> Vec<String> {
        let text = |key| match key {
            Key::Text(text) => Some(text),
            Key::Integer(integer) => Some(integer.to_string()),
            Key::Double(_) | Key::Missing => None,
        };
        self.keys(document).into_iter().filter_map(text).collect()
    }

    /// A key as [`Values::texts`] writes it; `None` where no value can equal it.
    pub(super) fn written(&self, key: &str) -> Option<String> {
        match self.kind {
            MappingKind::Long => Some(key.parse::<i64>().ok()?.to_string()),
            _ => Some(key.to_owned()),
        }
    }
}

/// The values inside of lists.
pub(super) fn flat(values: Vec<Value>) -> Vec<Value> {
    let open = |value| match value {
        Value::Array(items) => flat(items),
        value => vec![value],
    };
    values.into_iter().flat_map(open).collect()
}

fn key(scalar: Scalar<'_>) -> Key {
    match scalar {
        Scalar::Text(text) => Key::Text(text.into_owned()),
        Scalar::Integer(integer) | Scalar::Instant(integer) => Key::Integer(integer),
        Scalar::Double(double) => Key::Double(double.to_bits()),
        Scalar::Boolean(truth) => Key::Integer(i64::from(truth)),
    }
}

/// The order of the values of one field, what is missing last. Values of two types never meet but in a forged cursor.
pub(super) fn compare(one: &Key, two: &Key) -> Ordering {
    let kind = |key: &Key| match key {
        Key::Integer(_) => 0,
        Key::Double(_) => 1,
        Key::Text(_) => 2,
        Key::Missing => 3,
    };
    match (one, two) {
        (Key::Integer(one), Key::Integer(two)) => one.cmp(two),
        (Key::Double(one), Key::Double(two)) => f64::from_bits(*one).total_cmp(&f64::from_bits(*two)),
        (Key::Text(one), Key::Text(two)) => one.cmp(two),
        _ => kind(one).cmp(&kind(two)),
    }
}
