//! How many rows a filter's tests find, as far as counting that is quick: by it a translation chooses where to begin.

use plan::{
    field::MappingKind,
    filter::{Condition, List, Place, Test, TestKind},
};
use rusqlite::params_from_iter;

use super::filter::{Sql, Translator, expression};

/// Rows that are counted at most: what finds as many is not rare.
pub(super) const COUNTED: usize = 4_000;

/// The same where a text or an id leaves few documents anyway, which cost less to try than many rows to count.
pub(super) const COUNTED_BESIDE_FEW: usize = 400;

/// Values of a list that are looked for: each is a walk down an index.
const MOST_VALUES: usize = 100;

/// Tests of one filter that are counted at most, in order.
pub(super) const MOST_COUNTED: usize = 16;

/// A test among the parts that must all hold, with the rows that pass it.
pub(super) struct Rarest<'c> {
    pub(super) at: usize,
    pub(super) test: &'c Test,
    rows: usize,
}

/// The conditions that must all hold.
pub(super) fn parts_of(condition: &Condition) -> Vec<&Condition> {
    match condition {
        Condition::All(parts) => parts.iter().flat_map(parts_of).collect(),
        part => vec![part],
    }
}

/// How many tests and constants a condition has.
pub(super) fn leaves_in(condition: &Condition) -> usize {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().map(leaves_in).sum(),
        Condition::Not(inner) | Condition::Bind(_, inner) => leaves_in(inner),
        Condition::Test(_) | Condition::Constant(_) => 1,
    }
}

impl Translator<'_> {
    /// Whether few documents pass this condition.
    pub(super) fn is_rare(&mut self, condition: &Condition) -> bool {
        let rows = match condition {
            Condition::Test(test) => self.rows(test),
            Condition::Bind(list, inner) => self.rarest(list, inner).map(|rarest| rarest.rows),
            _ => None,
        };
        rows.is_some_and(|rows| rows < self.counted)
    }

    /// The part of a condition on one element that the fewest values pass; `None` where none of them stands in the element itself
    /// and can be counted.
    pub(super) fn rarest<'c>(&mut self, list: &List, inner: &'c Condition) -> Option<Rarest<'c>> {
        let mut rarest: Option<Rarest<'c>> = None;
        for (at, part) in parts_of(inner).into_iter().enumerate() {
            let Condition::Test(test) = part else { continue };
            let rows = if stands_in(&test.place, list) { self.rows(test) } else { None };
            let found = rows.map(|rows| Rarest { at, test, rows });
            let is_rarer = |found: &Rarest<'_>| rarest.as_ref().is_none_or(|rarest| found.rows < rarest.rows);
            rarest = found.filter(is_rarer).or(rarest);
        }
        rarest
    }

    /// How many rows pass a test, at most as many as are counted; `None` where no index can tell, or enough was counted.
    fn rows(&mut self, test: &Test) -> Option<usize> {
        let mut sql = Sql::default();
        match &test.kind {
            TestKind::Matches(words) if test.place.element.is_none() => {
                let words_of = &self.index.tables.text;
                sql.push(&format!("SELECT count(*) FROM (SELECT 1 FROM {words_of} WHERE {words_of} MATCH "));
                sql.bind(expression(&test.place, words));
            }
            TestKind::In(operands) if operands.resolve(self.now_ms).nth(MOST_VALUES).is_some() => {
                return None;
            }
            TestKind::Equals(_) | TestKind::In(_) | TestKind::Ordered(..) => {
                sql.push(&format!(
                    "SELECT count(*) FROM (SELECT 1 FROM {} v WHERE ",
                    self.index.tables.value
                ));
                let (index, conn, now_ms) = (self.index, self.conn, self.now_ms);
                Translator::new(index, conn, now_ms, &mut sql).values_of("v", &test.place, &test.kind);
            }
            TestKind::Matches(_) | TestKind::Like(_) | TestKind::Within(_) | TestKind::Exists => return None,
        }
        sql.push(&format!(" LIMIT {})", self.counted));
        self.counts = self.counts.checked_sub(1)?;
        // Where counting fails, so does the search, which tells why.
        let mut statement = self.conn.prepare_cached(&sql.text).ok()?;
        statement.query_row(params_from_iter(sql.params), |row| row.get(0)).ok()
    }
}

/// Whether the values at a place belong to the elements of this list, and to no element inside of them.
fn stands_in(place: &Place, list: &List) -> bool {
    let has_own_elements = matches!(place.kind, MappingKind::Nested | MappingKind::GeoPoint);
    !has_own_elements && place.element.as_ref() == Some(&list.path)
}
