//! Counting the values of a field over the documents that match.

use std::{cmp::Reverse, collections::HashMap};

use plan::{Field, field::MappingKind, filter::date};
use rusqlite::Connection;
use serde_json::Value;

use super::{SqliteIndex, layout::PathId, rows::RowValue, tally::FieldTally};
use crate::{FacetValue, response::MAX_FACET_VALUES};

/// Up to so many documents, each is asked for its values; beyond, one walk over all values of the field is quicker.
const FEW_DOCUMENTS: u64 = 1_000;

/// A set of document numbers. They are dense, so a bit each is the smallest and the quickest.
#[derive(Default)]
pub(super) struct DocSet {
    bits: Vec<u64>,
    len: u64,
}

impl DocSet {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn insert(&mut self, doc: i64) {
        let (word, bit) = place(doc);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.len += u64::from(self.bits[word] & bit == 0);
        self.bits[word] |= bit;
    }

    fn contains(&self, doc: i64) -> bool {
        let (word, bit) = place(doc);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn iter(&self) -> impl Iterator<Item = i64> {
        self.bits.iter().zip((0..).step_by(64)).flat_map(|(bits, first): (_, i64)| {
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| first + bit)
        })
    }
}

impl FromIterator<i64> for DocSet {
    fn from_iter<I: IntoIterator<Item = i64>>(docs: I) -> Self {
        let mut set = Self::default();
        docs.into_iter().for_each(|doc| set.insert(doc));
        set
    }
}

/// The word of a document number and the bit in it. SQLite numbers documents from 1.
fn place(doc: i64) -> (usize, u64) {
    let doc = usize::try_from(doc).unwrap_or(0);
    (doc / 64, 1 << (doc % 64))
}

impl SqliteIndex {
    /// The values of a field with their counts, the most frequent first. What the entries don't tell is looked up.
    pub(super) fn facet(
        &self,
        conn: &Connection,
        field: &Field,
        tally: &FieldTally,
    ) -> rusqlite::Result<Vec<FacetValue>> {
        let mut counted = tally.told();
        if tally.untold.len() > 0 {
            for (value, count) in self.value_counts(conn, field, &tally.untold)? {
                *counted.entry(value).or_default() += count;
            }
        }
        let mut counts: Vec<(RowValue, u64)> = counted.into_iter().collect();
        // Equal counts need an order of their own, or two answers would differ.
        counts.sort_by(|(one, one_count), (two, two_count)| {
            (Reverse(one_count), one).cmp(&(Reverse(two_count), two))
        });
        counts.truncate(MAX_FACET_VALUES);
        let kind = field.mapping.kind;
        Ok(counts
            .into_iter()
            .map(|(value, count)| FacetValue { value: to_json(kind, value), count })
            .collect())
    }

    /// All values of a field in these documents, each with how many of them hold it.
    pub(super) fn value_counts(
        &self,
        conn: &Connection,
        field: &Field,
        docs: &DocSet,
    ) -> rusqlite::Result<HashMap<RowValue, u64>> {
        let path = PathId::of(&field.path);
        match docs.len() <= FEW_DOCUMENTS {
            true => self.count_by_document(conn, path, docs),
            false => self.count_by_value(conn, path, docs),
        }
    }

    fn count_by_document(
        &self,
        conn: &Connection,
        path: PathId,
        docs: &DocSet,
    ) -> rusqlite::Result<HashMap<RowValue, u64>> {
        let sql = format!("SELECT DISTINCT value FROM {} WHERE doc = ? AND path = ?", self.tables.value);
        let mut statement = conn.prepare_cached(&sql)?;
        let mut counts = HashMap::new();
        for doc in docs.iter() {
            let mut rows = statement.query((doc, path.0))?;
            while let Some(row) = rows.next()? {
                *counts.entry(RowValue::from_sql(row.get_ref(0)?)).or_default() += 1;
            }
        }
        Ok(counts)
    }

    fn count_by_value(
        &self,
        conn: &Connection,
        path: PathId,
        docs: &DocSet,
    ) -> rusqlite::Result<HashMap<RowValue, u64>> {
        // In the order of the primary key: equal values follow each other, and in them equal documents.
        let sql = format!("SELECT value, doc FROM {} WHERE path = ? ORDER BY value, doc", self.tables.value);
        let mut statement = conn.prepare_cached(&sql)?;
        let mut rows = statement.query([path.0])?;
        let mut counts = HashMap::new();
        let mut current: Option<(RowValue, u64)> = None;
        let mut last_doc = None;
        while let Some(row) = rows.next()? {
            let value = row.get_ref(0)?;
            let same = current.as_ref().is_some_and(|(current, _)| current.equals(value));
            if !same {
                counts.extend(current.replace((RowValue::from_sql(value), 0)));
                last_doc = None;
            }
            let doc: i64 = row.get(1)?;
            if last_doc.replace(doc) != Some(doc) && docs.contains(doc) {
                current.iter_mut().for_each(|(_, count)| *count += 1);
            }
        }
        counts.extend(current);
        counts.retain(|_, count| *count > 0);
        Ok(counts)
    }
}

fn to_json(kind: MappingKind, value: RowValue) -> Value {
    match (kind, value) {
        (MappingKind::Boolean, RowValue::Integer(truth)) => Value::from(truth != 0),
        (MappingKind::Date, RowValue::Integer(instant)) => Value::from(date::timestamp(instant).to_string()),
        (_, RowValue::Integer(integer)) => Value::from(integer),
        (_, RowValue::Double(bits)) => Value::from(f64::from_bits(bits)),
        (_, RowValue::Text(text)) => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: DocSet = [1, 64, 63, 64, 1000].into_iter().collect();
        assert_eq!(
            (set.len(), set.contains(63), set.contains(62), set.contains(5000)),
            (4, true, false, false)
        );
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 63, 64, 1000]);
    }
}
