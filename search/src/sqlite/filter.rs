//! Filters as SQL: every test is a set of documents or elements, found by an index, so that `NOT` is "not in the set".

use std::fmt::Write;

use plan::{
    field::MappingKind,
    filter::{
        CheckedFilter, Circle, Condition, List, Place, Scalar, Test, TestKind, flattened, point::Point,
    },
};
use rusqlite::types::Value as SqlValue;

use super::{
    SqliteIndex,
    functions::{FITS_PATTERN, IN_CIRCLE},
    layout::{PathId, text_column},
    rows::RowValue,
};
use crate::text::quote;

/// A piece of SQL that is being written, with the parameters of its question marks in order.
#[derive(Default)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) params: Vec<SqlValue>,
}

impl Sql {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a question mark. No value of a user reaches SQL in another way.
    pub(super) fn bind(&mut self, value: impl Into<SqlValue>) {
        self.text.push('?');
        self.params.push(value.into());
    }
}

impl SqliteIndex {
    /// Writes what must hold for `d.doc` to match.
    pub(super) fn write_filter(&self, filter: &CheckedFilter, now_ms: i64, sql: &mut Sql) {
        let mut translator = Translator { index: self, now_ms, sql, aliases: 0 };
        translator.condition(filter.condition(), &Scope::Document);
    }
}

/// What a condition is asked of.
enum Scope {
    /// The document `d.doc`.
    Document,
    /// The row of the value table under this alias, an element of this list.
    Element { alias: String, list: String },
}

struct Translator<'a> {
    index: &'a SqliteIndex,
    now_ms: i64,
    sql: &'a mut Sql,
    aliases: usize,
}

impl Translator<'_> {
    fn condition(&mut self, condition: &Condition, scope: &Scope) {
        match condition {
            Condition::Constant(truth) => self.sql.push(if *truth { "1" } else { "0" }),
            Condition::All(parts) => self.combine(parts, " AND ", "1", scope),
            Condition::Any(parts) => self.combine(parts, " OR ", "0", scope),
            Condition::Not(inner) => {
                // `IS TRUE` says that unknown counts as no: to tell them apart, SQLite would walk a whole set of
                // elements for each one that is not in it.
                self.sql.push("NOT ((");
                self.condition(inner, scope);
                self.sql.push(") IS TRUE)");
            }
            Condition::Test(test) => self.test(test, scope),
            Condition::Bind(list, inner) => self.bind(list, inner, scope),
        }
    }

    /// Halves a long chain instead of writing it flat: SQLite reads a flat one as a tree of that depth, and refuses it past 1,000.
    fn combine(&mut self, parts: &[Condition], operator: &str, empty: &str, scope: &Scope) {
        match parts {
            [] => self.sql.push(empty),
            [part] => self.condition(part, scope),
            parts => {
                let (left, right) = parts.split_at(parts.len() / 2);
                self.sql.push("(");
                self.combine(left, operator, empty, scope);
                self.sql.push(operator);
                self.combine(right, operator, empty, scope);
                self.sql.push(")");
            }
        }
    }

    fn bind(&mut self, list: &List, inner: &Condition, scope: &Scope) {
        // Some element passes one test exactly where some value in the list does: that is one walk less.
        if let Condition::Test(test) = inner {
            return self.test(test, scope);
        }
        self.aliases += 1;
        let alias = format!("e{}", self.aliases);
        let inside = Scope::Element { alias: alias.clone(), list: list.path.clone() };
        self.open_set(scope, &alias, false);
        let _ = write!(self.sql.text, "{alias}.path = {} AND (", PathId::of(&list.path).0);
        self.condition(inner, &inside);
        self.sql.push("))");
    }

    fn test(&mut self, test: &Test, scope: &Scope) {
        let Test { place, kind } = test;
        match kind {
            TestKind::Matches(words) => self.matches(place, words, scope),
            TestKind::Within(circle) => self.within(place, circle, scope),
            _ => self.values(place, kind, scope),
        }
    }

    /// `d.doc IN (SELECT … FROM value v WHERE `, ready for the conditions on `v` and the closing parenthesis.
    ///
    /// `same_element` says that the rows carry the number of the element that the scope is, or of none.
    fn open_set(&mut self, scope: &Scope, rows: &str, same_element: bool) {
        let table = &self.index.tables.value;
        let text = &mut self.sql.text;
        let _ = match scope {
            Scope::Document => write!(text, "d.doc IN (SELECT {rows}.doc FROM {table} {rows} WHERE "),
            Scope::Element { alias, .. } if same_element => {
                write!(
                    text,
                    "({alias}.doc, {alias}.element) IN (SELECT {rows}.doc, {rows}.element FROM {table} {rows} WHERE "
                )
            }
            Scope::Element { alias, list } => write!(
                text,
                "({alias}.doc, {alias}.element) IN (SELECT a.doc, a.element FROM {table} {rows} \
                 CROSS JOIN {table} a ON a.doc = {rows}.doc AND a.path = {} AND {rows}.element BETWEEN a.element AND a.value \
                 WHERE ",
                PathId::of(list).0
            ),
        };
    }

    /// The set of the rows of one path.
    fn open_values(&mut self, place: &Place, path: PathId, scope: &Scope) {
        let has_own_elements = matches!(place.kind, MappingKind::Nested | MappingKind::GeoPoint);
        let same_element = match scope {
            Scope::Document => true,
            Scope::Element { list, .. } => !has_own_elements && place.element.as_ref() == Some(list),
        };
        self.open_set(scope, "v", same_element);
        let _ = write!(self.sql.text, "v.path = {}", path.0);
    }

    fn values(&mut self, place: &Place, kind: &TestKind, scope: &Scope) {
        self.open_values(place, PathId::of(&place.path), scope);
        match kind {
            TestKind::Equals(operand) => {
                self.sql.push(" AND v.value = ");
                self.scalar(place, operand.resolve(self.now_ms).into_owned());
            }
            TestKind::In(operands) => {
                self.sql.push(" AND v.value IN (");
                for (at, scalar) in operands.resolve(self.now_ms).enumerate() {
                    self.sql.push(if at == 0 { "" } else { ", " });
                    self.scalar(place, scalar);
                }
                self.sql.push(")");
            }
            TestKind::Ordered(order, operand) => {
                let _ = write!(self.sql.text, " AND v.value {} ", order.symbol());
                self.scalar(place, operand.resolve(self.now_ms).into_owned());
            }
            TestKind::Like(pattern) => {
                self.begins_with(&pattern.prefix());
                let _ = write!(self.sql.text, " AND {FITS_PATTERN}(v.value, ");
                self.sql.bind(pattern.text());
                self.sql.push(")");
            }
            TestKind::Exists => {
                if let Some(key) = &place.key {
                    self.begins_with(&flattened::term(key, ""));
                }
            }
            // These have sets of their own.
            TestKind::Matches(_) | TestKind::Within(_) => {}
        }
        self.sql.push(")");
    }

    fn scalar(&mut self, place: &Place, scalar: Scalar<'static>) {
        let value = match (&place.key, scalar) {
            (Some(key), Scalar::Text(text)) => RowValue::Text(flattened::term(key, &text)),
            (_, scalar) => RowValue::of(scalar),
        };
        self.sql.bind(value);
    }

    /// Narrows `v.value` to the texts with this beginning, which lie together in the index.
    fn begins_with(&mut self, prefix: &str) {
        if prefix.is_empty() {
            return;
        }
        self.sql.push(" AND v.value >= ");
        self.sql.bind(prefix.to_owned());
        if let Some(end) = after_all_with_prefix(prefix) {
            self.sql.push(" AND v.value < ");
            self.sql.bind(end);
        }
    }

    /// All words in one column of the full-text index; below a nested list also in one element.
    fn matches(&mut self, place: &Place, words: &[String], scope: &Scope) {
        let text = &self.index.tables.text;
        let terms: Vec<String> = words.iter().map(|word| quote(word)).collect();
        let expression = format!("{} : ({})", text_column(&place.path), terms.join(" AND "));
        if place.element.is_none() {
            let _ = write!(self.sql.text, "d.doc IN (SELECT rowid FROM {text} WHERE {text} MATCH ");
        } else {
            self.open_values(place, PathId::words(&place.path), scope);
            for word in words {
                self.sql.push(" AND instr(v.value, ");
                self.sql.bind(format!(" {word} "));
                self.sql.push(")");
            }
            let _ = write!(self.sql.text, " AND v.doc IN (SELECT rowid FROM {text} WHERE {text} MATCH ");
        }
        self.sql.bind(expression);
        self.sql.push(if place.element.is_none() { ")" } else { "))" });
    }

    fn within(&mut self, place: &Place, circle: &Circle, scope: &Scope) {
        let latitude = PathId::latitude(&place.path);
        let Circle { center: Point { lat, lon }, metres } = *circle;
        self.open_values(place, latitude, scope);
        // The band of latitudes that the circle touches, a little widened for rounding; the function decides.
        let band = metres / METRES_A_DEGREE * 1.001 + 1e-6;
        self.sql.push(" AND v.value BETWEEN ");
        self.sql.bind(lat - band);
        self.sql.push(" AND ");
        self.sql.bind(lat + band);
        let _ = write!(
            self.sql.text,
            " AND {IN_CIRCLE}(v.value, (SELECT o.value FROM {} o WHERE o.doc = v.doc AND o.path = {} AND o.element = v.element), ",
            self.index.tables.value,
            PathId::longitude(&place.path).0
        );
        for (at, number) in [lat, lon, metres].into_iter().enumerate() {
            self.sql.push(if at == 0 { "" } else { ", " });
            self.sql.bind(number);
        }
        self.sql.push("))");
    }
}

/// One degree of latitude on the ground.
const METRES_A_DEGREE: f64 = 111_195.0;

/// The first text after all that begin with the prefix; `None` where there is none.
fn after_all_with_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The range steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

impl From<RowValue> for SqlValue {
    fn from(value: RowValue) -> Self {
        match value {
            RowValue::Integer(integer) => SqlValue::Integer(integer),
            RowValue::Double(bits) => SqlValue::Real(f64::from_bits(bits)),
            RowValue::Text(text) => SqlValue::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_an_end() {
        assert_eq!(after_all_with_prefix("ab").as_deref(), Some("ac"));
        assert_eq!(after_all_with_prefix("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after_all_with_prefix("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(after_all_with_prefix("\u{10ffff}"), None);
    }
}
