//! Counting the values of facets from what each entry keeps of them, so that no index is walked for it.

use std::collections::HashMap;

use rusqlite::Row;

use super::{
    facets::DocSet,
    kept::{next_value, read, values_of},
    layout::PathId,
    rows::RowValue,
};

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
        let told = self.counts.iter();
        told.filter_map(|(value, count)| Some((RowValue::from_sql(read(value)?), *count))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::sqlite::{kept::pack, layout::KeptField, rows::ValueRow};

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
        let facets = [year, genre].map(|path| KeptField { path, is_facet: true });
        let document = pack(&facets, &rows.into_iter().collect());
        let nothing = pack(&facets, &HashSet::new());
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
