//! The rows that one document becomes, read off its JSON.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashSet},
};

use plan::{
    field::MappingKind,
    filter::{
        Scalar, flattened,
        point::Point,
        words::{sort_form, words},
    },
};
use rusqlite::{
    ToSql,
    types::{ToSqlOutput, Value as SqlValue, ValueRef},
};
use serde_json::{Map, Value};

use super::{
    kept,
    layout::{Form, Layout, PathId, Slot, WriteForm},
};
use crate::document::{MAX_ELEMENTS, too_many_elements};

/// Everything that the index keeps of one document beside its body.
pub(super) struct Rows {
    pub(super) values: HashSet<ValueRow>,
    /// One text for each column of the full-text index: folded words, joined by spaces.
    pub(super) texts: Vec<String>,
    /// The values that its entry keeps, as [`kept`] packs them.
    pub(super) kept: Vec<u8>,
}

/// One row of the value table, its document left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ValueRow {
    pub(super) path: i64,
    pub(super) value: RowValue,
    pub(super) element: i64,
}

/// A value as SQLite keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum RowValue {
    /// Long, boolean, date, or the last descendant of an element.
    Integer(i64),
    /// The bits of a double, which make it comparable.
    Double(u64),
    Text(String),
}

/// Reads the rows off a document; the error says why this body can't be indexed.
pub(super) fn read(layout: &Layout, body: &str) -> Result<Rows, String> {
    let document: Value =
        serde_json::from_str(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let Value::Object(document) = document else {
        return Err("the body is not a JSON object".to_owned());
    };
    let mut reader = Reader {
        values: HashSet::new(),
        texts: vec![String::new(); layout.text_columns.len()],
        words: BTreeMap::new(),
        elements: 0,
    };
    reader.object(&layout.slots, &document, 0);
    if reader.elements > MAX_ELEMENTS {
        return Err(too_many_elements());
    }
    Ok(reader.finish(layout))
}

impl RowValue {
    pub(super) fn of(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Text(text) => RowValue::Text(text.into_owned()),
            Scalar::Integer(integer) | Scalar::Instant(integer) => RowValue::Integer(integer),
            Scalar::Double(double) => RowValue::Double(double.to_bits()),
            Scalar::Boolean(truth) => RowValue::Integer(i64::from(truth)),
        }
    }

    /// Whether it is what SQLite answered.
    pub(super) fn equals(&self, value: ValueRef<'_>) -> bool {
        match (self, value) {
            (RowValue::Integer(one), ValueRef::Integer(two)) => *one == two,
            (RowValue::Double(one), ValueRef::Real(two)) => *one == two.to_bits(),
            (RowValue::Text(one), ValueRef::Text(two)) => one.as_bytes() == two,
            _ => false,
        }
    }

    pub(super) fn from_sql(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Integer(integer) => RowValue::Integer(integer),
            ValueRef::Real(double) => RowValue::Double(double.to_bits()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                RowValue::Text(String::from_utf8_lossy(bytes).into_owned())
            }
            ValueRef::Null => RowValue::Text(String::new()),
        }
    }
}

/// The order of the values of one field; a field has values of one type.
impl Ord for RowValue {
    fn cmp(&self, other: &Self) -> Ordering {
        let kind = |value: &Self| match value {
            RowValue::Integer(_) => 0,
            RowValue::Double(_) => 1,
            RowValue::Text(_) => 2,
        };
        match (self, other) {
            (RowValue::Integer(one), RowValue::Integer(two)) => one.cmp(two),
            (RowValue::Double(one), RowValue::Double(two)) => {
                f64::from_bits(*one).total_cmp(&f64::from_bits(*two))
            }
            (RowValue::Text(one), RowValue::Text(two)) => one.cmp(two),
            _ => kind(self).cmp(&kind(other)),
        }
    }
}

impl PartialOrd for RowValue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ToSql for RowValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            RowValue::Integer(integer) => ToSqlOutput::Owned(SqlValue::Integer(*integer)),
            RowValue::Double(bits) => ToSqlOutput::Owned(SqlValue::Real(f64::from_bits(*bits))),
            RowValue::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

struct Reader {
    values: HashSet<ValueRow>,
    texts: Vec<String>,
    /// The words of text below nested lists, by path and element, each with a space on both sides.
    words: BTreeMap<(i64, i64), String>,
    /// How many elements were met; the document itself is element 0.
    elements: i64,
}

impl Reader {
    fn object(&mut self, slots: &[Slot], object: &Map<String, Value>, element: i64) {
        for slot in slots {
            if let Some(value) = object.get(&slot.name) {
                self.value(slot, value, element);
            }
        }
    }

    fn value(&mut self, slot: &Slot, value: &Value, element: i64) {
        match (slot.kind, value) {
            // A body with too many elements is refused in the end; until then it must not cost more.
            _ if self.elements > MAX_ELEMENTS => {}
            (_, Value::Array(items)) => items.iter().for_each(|item| self.value(slot, item, element)),
            (MappingKind::Object, Value::Object(object)) => self.object(&slot.children, object, element),
            (MappingKind::Nested, Value::Object(object)) => {
                self.element(slot.path, |reader, element| reader.object(&slot.children, object, element));
            }
            (MappingKind::GeoPoint, value) => self.point(slot, value),
            (MappingKind::Flattened, Value::Object(object)) => {
                let Some(form) = slot.forms.first() else { return };
                flattened::each(object, &mut |key, text| {
                    self.add(form.path, RowValue::Text(flattened::term(key, text)), element);
                });
            }
            (MappingKind::Object | MappingKind::Nested | MappingKind::Flattened, _) => {}
            (_, value) => self.leaf(slot, value, element),
        }
    }

    /// Counts an element, reads what is in it, and then knows its last descendant.
    fn element(&mut self, path: PathId, inside: impl FnOnce(&mut Self, i64)) {
        self.elements += 1;
        let element = self.elements;
        inside(self, element);
        self.add(path, RowValue::Integer(self.elements), element);
    }

    fn point(&mut self, slot: &Slot, value: &Value) {
        let ([latitude, longitude], Some(point)) = (&slot.forms[..], Point::read(value)) else { return };
        self.element(slot.path, |reader, element| {
            reader.add(latitude.path, RowValue::of(Scalar::Double(point.lat)), element);
            reader.add(longitude.path, RowValue::of(Scalar::Double(point.lon)), element);
        });
    }

    fn leaf(&mut self, slot: &Slot, value: &Value, element: i64) {
        for form in &slot.forms {
            if let Some(scalar) = Scalar::read(form.kind, value) {
                self.add(form.path, form.row_value(scalar), if form.at_root { 0 } else { element });
            }
        }
        if slot.text_columns.is_empty() {
            return;
        }
        let Some(Scalar::Text(text)) = Scalar::read(MappingKind::Text, value) else { return };
        for word in words(&text) {
            for &column in &slot.text_columns {
                self.texts[column].push_str(&word.folded);
                self.texts[column].push(' ');
            }
            if let Some(path) = slot.words {
                let kept = self.words.entry((path.0, element)).or_insert_with(|| String::from(" "));
                kept.push_str(&word.folded);
                kept.push(' ');
            }
        }
    }

    fn add(&mut self, path: PathId, value: RowValue, element: i64) {
        self.values.insert(ValueRow { path: path.0, value, element });
    }

    fn finish(mut self, layout: &Layout) -> Rows {
        let words = std::mem::take(&mut self.words);
        self.values.extend(words.into_iter().map(|((path, element), words)| ValueRow {
            path,
            value: RowValue::Text(words),
            element,
        }));
        let kept = kept::pack(&layout.kept, &self.values);
        Rows { values: self.values, texts: self.texts, kept }
    }
}

impl Form {
    fn row_value(&self, scalar: Scalar<'_>) -> RowValue {
        match (self.write, scalar) {
            (WriteForm::Presence, _) => RowValue::Integer(1),
            (WriteForm::Lowercase, Scalar::Text(text)) => RowValue::Text(sort_form(&text)),
            (WriteForm::Exact | WriteForm::Lowercase, scalar) => RowValue::of(scalar),
        }
    }
}
