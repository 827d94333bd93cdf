//! Filters as SQL. A test is a set of documents or elements, found by an index, so that `NOT` is "not in the set"; or, where
//! something else leaves few to be tried, a look at the values of each of them.

use std::fmt::Write;

use plan::{
    field::MappingKind,
    filter::{Circle, Condition, List, Place, Scalar, Test, TestKind, flattened, point::Point},
};
use rusqlite::{Connection, types::Value as SqlValue};

use super::{
    SqliteIndex,
    estimate::{COUNTED, COUNTED_BESIDE_FEW, MOST_COUNTED, leaves_in, parts_of},
    functions::{FITS_PATTERN, IN_CIRCLE},
    kept::{ANY, EQUAL, KEPT},
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

/// Tests of one filter that are tried on documents one by one at most: each costs a walk down an index for each document, and a
/// set only once.
const MOST_TRIED: usize = 16;

/// Values of a list that kept values are compared with, one after the other.
const MOST_COMPARED: usize = 16;

impl SqliteIndex {
    /// Writes what must hold for `d.doc` to match. `few` says that something else leaves only some documents to be tried.
    pub(super) fn write_filter(
        &self,
        conn: &Connection,
        condition: &Condition,
        now_ms: i64,
        few: bool,
        sql: &mut Sql,
    ) {
        Translator::new(self, conn, now_ms, sql).document(condition, few);
    }
}

/// What a condition is asked of.
enum Scope {
    /// The document `d.doc`.
    Document,
    /// The row of the value table under this alias, of an element of this list.
    Element { alias: String, list: String },
}

pub(super) struct Translator<'a> {
    pub(super) index: &'a SqliteIndex,
    pub(super) conn: &'a Connection,
    pub(super) now_ms: i64,
    /// How many tests may still be counted, and up to how many rows.
    pub(super) counts: usize,
    pub(super) counted: usize,
    sql: &'a mut Sql,
    aliases: usize,
    /// Whether tests are tried on each row, and not written as sets.
    tries: bool,
}

impl<'a> Translator<'a> {
    pub(super) fn new(index: &'a SqliteIndex, conn: &'a Connection, now_ms: i64, sql: &'a mut Sql) -> Self {
        Self { index, conn, now_ms, counts: MOST_COUNTED, counted: COUNTED, sql, aliases: 0, tries: false }
    }

    /// The parts that must all hold. What few documents pass stays a set, which SQLite follows; what is left is so little that
    /// the other parts are tried on it.
    fn document(&mut self, condition: &Condition, few: bool) {
        let parts = parts_of(condition);
        if parts.is_empty() || leaves_in(condition) > MOST_TRIED {
            return self.condition(condition, &Scope::Document);
        }
        self.counted = if few { COUNTED_BESIDE_FEW } else { COUNTED };
        let rare: Vec<bool> = parts.iter().map(|part| self.is_rare(part)).collect();
        let tries = few || rare.contains(&true);
        for (at, (part, is_rare)) in parts.into_iter().zip(rare).enumerate() {
            self.sql.push(if at == 0 { "" } else { " AND " });
            self.tries = tries && !is_rare;
            self.condition(part, &Scope::Document);
        }
    }

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
        let may_begin_inside =
            !self.tries && matches!(scope, Scope::Document) && leaves_in(inner) <= MOST_TRIED;
        let Some(rarest) = may_begin_inside.then(|| self.rarest(list, inner)).flatten() else {
            let inside = Scope::Element { alias: alias.clone(), list: list.path.clone() };
            self.open_set(scope, &alias, false);
            let _ = write!(self.sql.text, "{alias}.path = {} AND (", PathId::of(&list.path).0);
            self.condition(inner, &inside);
            return self.sql.push("))");
        };
        // From the values that pass the rarest test to their elements, where the other tests are tried.
        let table = &self.index.tables.value;
        let _ = write!(self.sql.text, "d.doc IN (SELECT {alias}.doc FROM {table} {alias} WHERE ");
        self.values_of(&alias, &rarest.test.place, &rarest.test.kind);
        let inside = Scope::Element { alias, list: list.path.clone() };
        self.tries = true;
        for (_, part) in parts_of(inner).into_iter().enumerate().filter(|(at, _)| *at != rarest.at) {
            self.sql.push(" AND ");
            self.condition(part, &inside);
        }
        self.tries = false;
        self.sql.push(")");
    }

    fn test(&mut self, test: &Test, scope: &Scope) {
        let Test { place, kind } = test;
        match kind {
            TestKind::Matches(words) => self.matches(place, words, scope),
            TestKind::Within(circle) => self.within(place, circle, scope),
            _ => self.values(place, kind, scope),
        }
    }

    /// `d.doc IN (SELECT … FROM value v WHERE `, ready for the conditions on `v` and the closing parenthesis; or, where rows are
    /// tried, `EXISTS (SELECT 1 FROM value v WHERE v.doc = d.doc AND `.
    ///
    /// `same_element` says that the rows carry the number of the element that the scope is, or of none.
    fn open_set(&mut self, scope: &Scope, rows: &str, same_element: bool) {
        let table = &self.index.tables.value;
        let text = &mut self.sql.text;
        let list = match scope {
            Scope::Element { list, .. } => PathId::of(list).0,
            Scope::Document => 0,
        };
        let _ = match (scope, self.tries) {
            (Scope::Document, false) => {
                write!(text, "d.doc IN (SELECT {rows}.doc FROM {table} {rows} WHERE ")
            }
            (Scope::Document, true) => write!(
                text,
                "EXISTS (SELECT 1 FROM {table} {rows} INDEXED BY {table}_by_doc WHERE {rows}.doc = d.doc AND "
            ),
            (Scope::Element { alias, .. }, false) if same_element => {
                write!(
                    text,
                    "({alias}.doc, {alias}.element) IN (SELECT {rows}.doc, {rows}.element FROM {table} {rows} WHERE "
                )
            }
            (Scope::Element { alias, .. }, true) if same_element => write!(
                text,
                "EXISTS (SELECT 1 FROM {table} {rows} INDEXED BY {table}_by_doc \
                 WHERE {rows}.doc = {alias}.doc AND {rows}.element = {alias}.element AND "
            ),
            (Scope::Element { alias, .. }, false) => write!(
                text,
                "({alias}.doc, {alias}.element) IN (SELECT a.doc, a.element FROM {table} {rows} \
                 CROSS JOIN {table} a ON a.doc = {rows}.doc AND a.path = {list} AND {rows}.element BETWEEN a.element AND a.value \
                 WHERE "
            ),
            (Scope::Element { alias, .. }, true) => write!(
                text,
                "EXISTS (SELECT 1 FROM {table} a INDEXED BY {table}_by_doc \
                 CROSS JOIN {table} {rows} INDEXED BY {table}_by_doc ON {rows}.doc = a.doc AND {rows}.element BETWEEN a.element AND a.value \
                 WHERE a.doc = {alias}.doc AND a.path = {list} AND a.element = {alias}.element AND "
            ),
        };
    }

    /// Opens the set of the rows at one place, or what tries them.
    fn open_set_of(&mut self, place: &Place, scope: &Scope) {
        let has_own_elements = matches!(place.kind, MappingKind::Nested | MappingKind::GeoPoint);
        let same_element = match scope {
            Scope::Document => true,
            Scope::Element { list, .. } => !has_own_elements && place.element.as_ref() == Some(list),
        };
        self.open_set(scope, "v", same_element);
    }

    fn values(&mut self, place: &Place, kind: &TestKind, scope: &Scope) {
        let is_kept = self.tries && matches!(scope, Scope::Document) && self.kept(place, kind);
        self.open_set_of(place, scope);
        self.values_of("v", place, kind);
        self.sql.push(if is_kept { "))" } else { ")" });
    }

    /// Writes the test of what entries keep, ready for what decides where an entry doesn't tell, and a closing parenthesis.
    fn kept(&mut self, place: &Place, kind: &TestKind) -> bool {
        let path = PathId::of(&place.path);
        let (order, values): (_, Vec<_>) = match kind {
            TestKind::Equals(operand) => (EQUAL, vec![operand.resolve(self.now_ms).into_owned()]),
            TestKind::Ordered(order, operand) => {
                (order.symbol(), vec![operand.resolve(self.now_ms).into_owned()])
            }
            TestKind::In(operands) => {
                (EQUAL, operands.resolve(self.now_ms).take(MOST_COMPARED + 1).collect())
            }
            TestKind::Exists => (ANY, Vec::new()),
            TestKind::Like(_) | TestKind::Matches(_) | TestKind::Within(_) => return false,
        };
        if values.len() > MOST_COMPARED || place.key.is_some() || !self.index.layout.keeps(path) {
            return false;
        }
        let _ = write!(self.sql.text, "coalesce({KEPT}(d.kept, {}, '{order}'", path.0);
        for value in values {
            self.sql.push(", ");
            self.scalar(place, value);
        }
        self.sql.push("), ");
        true
    }

    /// The rows under this alias that stand at the place and pass.
    pub(super) fn values_of(&mut self, rows: &str, place: &Place, kind: &TestKind) {
        let _ = write!(self.sql.text, "{rows}.path = {}", PathId::of(&place.path).0);
        match kind {
            TestKind::Equals(operand) => {
                let _ = write!(self.sql.text, " AND {rows}.value = ");
                self.scalar(place, operand.resolve(self.now_ms).into_owned());
            }
            TestKind::In(operands) => {
                let _ = write!(self.sql.text, " AND {rows}.value IN (");
                for (at, scalar) in operands.resolve(self.now_ms).enumerate() {
                    self.sql.push(if at == 0 { "" } else { ", " });
                    self.scalar(place, scalar);
                }
                self.sql.push(")");
            }
            TestKind::Ordered(order, operand) => {
                let _ = write!(self.sql.text, " AND {rows}.value {} ", order.symbol());
                self.scalar(place, operand.resolve(self.now_ms).into_owned());
            }
            TestKind::Like(pattern) => {
                self.begins_with(rows, &pattern.prefix());
                let _ = write!(self.sql.text, " AND {FITS_PATTERN}({rows}.value, ");
                self.sql.bind(pattern.text());
                self.sql.push(")");
            }
            TestKind::Exists => {
                if let Some(key) = &place.key {
                    self.begins_with(rows, &flattened::term(key, ""));
                }
            }
            // These have sets of their own.
            TestKind::Matches(_) | TestKind::Within(_) => {}
        }
    }

    fn scalar(&mut self, place: &Place, scalar: Scalar<'static>) {
        let value = match (&place.key, scalar) {
            (Some(key), Scalar::Text(text)) => RowValue::Text(flattened::term(key, &text)),
            (_, scalar) => RowValue::of(scalar),
        };
        self.sql.bind(value);
    }

    /// Narrows the values to the texts with this beginning, which lie together in the index.
    fn begins_with(&mut self, rows: &str, prefix: &str) {
        if prefix.is_empty() {
            return;
        }
        let _ = write!(self.sql.text, " AND {rows}.value >= ");
        self.sql.bind(prefix.to_owned());
        if let Some(end) = after_all_with_prefix(prefix) {
            let _ = write!(self.sql.text, " AND {rows}.value < ");
            self.sql.bind(end);
        }
    }

    /// All words in one column of the full-text index; below a nested list also in one element.
    fn matches(&mut self, place: &Place, words: &[String], scope: &Scope) {
        let text = &self.index.tables.text;
        if place.element.is_none() {
            let _ = write!(self.sql.text, "d.doc IN (SELECT rowid FROM {text} WHERE {text} MATCH ");
            self.sql.bind(expression(place, words));
            return self.sql.push(")");
        }
        self.open_set_of(place, scope);
        let _ = write!(self.sql.text, "v.path = {}", PathId::words(&place.path).0);
        for word in words {
            self.sql.push(" AND instr(v.value, ");
            self.sql.bind(format!(" {word} "));
            self.sql.push(")");
        }
        if !self.tries {
            let _ = write!(self.sql.text, " AND v.doc IN (SELECT rowid FROM {text} WHERE {text} MATCH ");
            self.sql.bind(expression(place, words));
            self.sql.push(")");
        }
        self.sql.push(")");
    }

    fn within(&mut self, place: &Place, circle: &Circle, scope: &Scope) {
        let latitude = PathId::latitude(&place.path);
        let Circle { center: Point { lat, lon }, metres } = *circle;
        self.open_set_of(place, scope);
        let _ = write!(self.sql.text, "v.path = {}", latitude.0);
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

/// The words as FTS5 is asked for them in the column of a place.
pub(super) fn expression(place: &Place, words: &[String]) -> String {
    let terms: Vec<String> = words.iter().map(|word| quote(word)).collect();
    format!("{} : ({})", text_column(&place.path), terms.join(" AND "))
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
