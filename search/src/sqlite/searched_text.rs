//! The free text of a search as the full-text index is asked for it: words, columns, weights.

use super::{SqliteIndex, layout::text_column};
use crate::{SearchError, text::FreeText};

/// The free text, with the columns it is searched in.
pub(super) struct SearchedText {
    pub(super) words: FreeText,
    pub(super) columns: Vec<String>,
    /// Whether those are all columns that there are.
    is_everywhere: bool,
}

impl SearchedText {
    pub(super) fn new(index: &SqliteIndex, text: &str) -> Result<Self, SearchError> {
        let known = &index.layout.text_columns;
        let configured = &index.plan.search.text;
        let columns = match configured.is_empty() {
            true => known.clone(),
            false => configured
                .iter()
                .map(|weighted| &weighted.path)
                .filter(|path| known.contains(path))
                .cloned()
                .collect(),
        };
        let is_everywhere = known.iter().all(|path| columns.contains(path));
        Ok(Self { words: FreeText::new(text)?, columns, is_everywhere })
    }

    /// Whether nothing can match: the text has no words, or no field is searched.
    pub(super) fn finds_nothing(&self) -> bool {
        self.words.is_empty() || self.columns.is_empty()
    }

    pub(super) fn match_expression(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|path| text_column(path)).collect();
        self.words.match_expression(if self.is_everywhere { &[] } else { &columns })
    }

    /// The weight of every column of the full-text index, in their order.
    pub(super) fn weights(index: &SqliteIndex) -> impl Iterator<Item = f64> {
        index.layout.text_columns.iter().map(|column| {
            let weighted = index.plan.search.text.iter().find(|weighted| weighted.path == *column);
            weighted.map_or(1.0, |weighted| weighted.weight)
        })
    }
}
