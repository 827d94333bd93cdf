//! Saved searches in memory, and the matches that wait to be posted.

use std::collections::BTreeMap;

use async_trait::async_trait;
use plan::DocumentId;

use super::MemoryLedger;
use crate::{
    StateError,
    ledger::{BegunMatch, SavedSearch, SavedSearches},
};

/// All of an index.
#[derive(Debug, Default)]
pub(super) struct Saved {
    searches: BTreeMap<String, SavedSearch>,
    revision: u64,
    waiting: BTreeMap<(String, DocumentId), BegunMatch>,
}

#[async_trait]
impl SavedSearches for MemoryLedger {
    async fn saved_searches(&self) -> Result<Vec<SavedSearch>, StateError> {
        Ok(self.kept().saved.searches.values().cloned().collect())
    }

    async fn saved_revision(&self) -> Result<u64, StateError> {
        Ok(self.kept().saved.revision)
    }

    async fn save_search(&self, search: SavedSearch) -> Result<(), StateError> {
        let saved = &mut self.kept().saved;
        saved.searches.insert(search.name.clone(), search);
        saved.revision += 1;
        Ok(())
    }

    async fn remove_search(&self, name: &str) -> Result<bool, StateError> {
        let saved = &mut self.kept().saved;
        saved.revision += 1;
        Ok(saved.searches.remove(name).is_some())
    }

    async fn note_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError> {
        let waiting = &mut self.kept().saved.waiting;
        for begun in matches {
            let key = (begun.search.clone(), begun.id.clone());
            if waiting.get(&key).is_none_or(|there| there.version < begun.version) {
                waiting.insert(key, begun);
            }
        }
        Ok(())
    }

    async fn waiting_matches(
        &self,
        after: Option<&BegunMatch>,
        limit: usize,
    ) -> Result<Vec<BegunMatch>, StateError> {
        let key = |begun: &BegunMatch| (begun.at, begun.id.clone(), begun.search.clone());
        let mut waiting: Vec<BegunMatch> = self.kept().saved.waiting.values().cloned().collect();
        waiting.sort_by_key(key);
        let later = waiting.into_iter().filter(|begun| after.is_none_or(|after| key(begun) > key(after)));
        Ok(later.take(limit).collect())
    }

    async fn waiting_match_count(&self) -> Result<u64, StateError> {
        Ok(self.kept().saved.waiting.len() as u64)
    }

    async fn settle_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError> {
        let waiting = &mut self.kept().saved.waiting;
        for BegunMatch { search, id, version, .. } in matches {
            let key = (search, id);
            if waiting.get(&key).is_some_and(|there| there.version <= version) {
                waiting.remove(&key);
            }
        }
        Ok(())
    }
}
