//! Suggestions of the in-memory store: every live document is asked for the values of the field.

use std::collections::{BTreeMap, BTreeSet};

use super::{MemoryIndex, live, values::Values};
use crate::{
    SearchError, SuggestRequest, Suggestion,
    suggest::{Counted, Typed},
};

impl MemoryIndex {
    /// Suggests values. `now_ms` is the time that date maths count from.
    pub fn suggestions(&self, request: &SuggestRequest, now_ms: i64) -> Result<Vec<Suggestion>, SearchError> {
        let typed = Typed::new(&self.plan, request)?;
        let documents = self.documents();
        let passes = |document| request.filter.as_ref().is_none_or(|filter| filter.matches(document, now_ms));
        let found = typed.fields.iter().map(|field| {
            let values = Values::of(&self.plan.fields, field);
            let mut counts = BTreeMap::<String, u64>::new();
            for (_, document) in live(&documents, None).filter(|(_, document)| passes(document)) {
                let of_document: BTreeSet<String> = values.texts(document).into_iter().collect();
                of_document.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
            }
            counts.into_iter().collect::<Vec<Counted>>()
        });
        Ok(typed.best(found.collect()))
    }
}
