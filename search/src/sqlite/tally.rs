//! Counting the values of facets from what each entry keeps of them, so that no index is walked for it.
//!
//! An entry keeps the values of the fields that its plan declares as facets, field by field:
//!
//! ```text
//! path       8 bytes, little endian
//! length     4 bytes, of the values that follow
//! values     each once: `i` and 8 bytes | `d` and the 8 bytes of a double's bits | `t`, 4 bytes of length and the text
//! ```
//! A field that it doesn't name was no facet when the document was written: then its values are looked up.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::Row;

use super::{
    facets::DocSet,
    layout::PathId,
    rows::{RowValue, ValueRow},
};

/// What an entry keeps of its facets' values.
pub(super) fn kept(facets: &[PathId], values: &HashSet<ValueRow>) -> Vec<u8> {
    let mut kept = Vec::new();
    for path in facets {
        let of_path: BTreeSet<&RowValue> =
            values.iter().filter(|row| row.path == path.0).map(|row| &row.value).collect();
        let mut written = Vec::new();
        of_path.into_iter().for_each(|value| write(value, &mut written));
        kept.extend(path.0.to_le_bytes());
        kept.extend(u32::try_from(written.len()).unwrap_or(u32::MAX).to_le_bytes());
        kept.extend(written);
    }
    kept
}

fn write(value: &RowValue, to: &mut Vec<u8>) {
    match value {
        RowValue::Integer(integer) => {
            to.push(b'i');
            to.extend(integer.to_le_bytes());
        }
        RowValue::Double(bits) => {
            to.push(b'd');
            to.extend(bits.to_le_bytes());
        }
        RowValue::Text(text) => {
            to.push(b't');
            to.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            to.extend(text.as_bytes());
        }
    }
}

/// How many documents hold each value of some fields.
pub(super) struct Tally {
    fields: Vec<FieldTally>,
}

/// The counts of one field.
pub(super) struct FieldTally {
    path: PathId,
    /// By the value as it is kept.
    counts: HashMap<Vec<u8>, u64>,
    /// Documents whose entry doesn't tell.
    pub(super) untold: DocSet,
}

impl Tally {
    pub(super) fn new(paths: impl IntoIterator<Item = PathId>) -> Self {
        let field = |path| FieldTally { path, counts: HashMap::new(), untold: DocSet::default() };
        Self { fields: paths.into_iter().map(field).collect() }
    }

    /// Counts the document of a row: its number comes first, what its entry keeps is in the other column.
    pub(super) fn add_row(&mut self, row: &Row<'_>, kept: usize) -> rusqlite::Result<()> {
        self.add(row.get(0)?, row.get_ref(kept)?.as_blob()?);
        Ok(())
    }

    fn add(&mut self, doc: i64, kept: &[u8]) {
        for field in &mut self.fields {
            match values_of(kept, field.path) {
                None => field.untold.insert(doc),
                Some(mut values) => {
                    while let Some((value, rest)) = next_value(values) {
                        // The key is copied only for a value that was not met before.
                        match field.counts.get_mut(value) {
                            Some(count) => *count += 1,
                            None => drop(field.counts.insert(value.to_vec(), 1)),
                        }
                        values = rest;
                    }
                }
            }
        }
    }

    /// The fields, in the order of their paths as they were asked for.
    pub(super) fn fields(&self) -> impl Iterator<Item = &FieldTally> {
        self.fields.iter()
    }
}

impl FieldTally {
    /// The counts of the documents whose entries tell.
    pub(super) fn told(&self) -> HashMap<RowValue, u64> {
        self.counts.iter().filter_map(|(value, count)| Some((read(value)?, *count))).collect()
    }
}

/// The values of one field; `None` where the entry doesn't name it.
fn values_of(mut kept: &[u8], path: PathId) -> Option<&[u8]> {
    loop {
        let (named, rest) = kept.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (values, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        if i64::from_le_bytes(*named) == path.0 {
            return Some(values);
        }
        kept = rest;
    }
}

/// The first value, with its kind, and what follows it.
fn next_value(values: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match values.first()? {
        b't' => 5 + u32::from_le_bytes(*values.get(1..)?.first_chunk()?) as usize,
        _ => 9,
    };
    values.split_at_checked(length)
}

fn read(value: &[u8]) -> Option<RowValue> {
    let (kind, bytes) = value.split_first()?;
    Some(match kind {
        b'i' => RowValue::Integer(i64::from_le_bytes(*bytes.first_chunk()?)),
        b'd' => RowValue::Double(u64::from_le_bytes(*bytes.first_chunk()?)),
        _ => RowValue::Text(String::from_utf8_lossy(bytes.get(4..)?).into_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_as_they_were_kept() {
        let [year, genre, other] = ["year", "genre", "other"].map(PathId::of);
        let row = |path: PathId, value, element| ValueRow { path: path.0, value, element };
        let text = |text: &str| RowValue::Text(text.to_owned());
        let rows = [
            row(year, RowValue::Integer(-7), 0),
            row(genre, text("é"), 1),
            row(genre, text("é"), 2),
            row(genre, text(""), 2),
            row(genre, RowValue::Double(0.5_f64.to_bits()), 3),
            row(other, text("x"), 0),
        ];
        let document = kept(&[year, genre], &rows.into_iter().collect());
        let nothing = kept(&[year, genre], &HashSet::new());
        let mut tally = Tally::new([genre, other, year]);
        for (doc, kept) in [(1, &document), (2, &document), (3, &nothing), (4, &Vec::new())] {
            tally.add(doc, kept);
        }
        let [genres, others, years] = tally.fields().collect::<Vec<_>>()[..] else { panic!() };
        let told = [(text("é"), 2), (text(""), 2), (RowValue::Double(0.5_f64.to_bits()), 2)];
        assert_eq!(genres.told(), told.into());
        assert_eq!(years.told(), [(RowValue::Integer(-7), 2)].into());
        assert_eq!((genres.untold.len(), others.untold.len(), others.told().len()), (1, 4, 0));
    }
}
