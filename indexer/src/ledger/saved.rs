//! Saved searches as a ledger keeps them, and the matches that wait to be posted.

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion};
use serde::{Deserialize, Serialize};

use crate::StateError;

/// A filter under a name, which documents are held against as they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSearch {
    /// What it is called.
    pub name: String,
    /// The filter as it was written.
    pub filter: String,
    /// When it was saved, milliseconds of Unix time.
    pub saved_at: i64,
}

/// A document that begins to match a saved search with the write of this version, and was not posted yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BegunMatch {
    /// The saved search.
    pub search: String,
    /// The document.
    pub id: DocumentId,
    /// The version that begins to match.
    pub version: DocumentVersion,
    /// When it was fetched, milliseconds of Unix time.
    pub at: i64,
}

/// Saved searches, and the matches that wait. Of a search and a document there is one match at most: the newest.
#[async_trait]
pub trait SavedSearches: Send + Sync {
    /// All saved searches, by name.
    async fn saved_searches(&self) -> Result<Vec<SavedSearch>, StateError>;

    /// A number that is another one after each change of the saved searches; cheap to ask for. One who reads it, then the
    /// searches, and finds it the same later, has missed nothing but what a process that died in between had just begun.
    async fn saved_revision(&self) -> Result<u64, StateError>;

    /// Saves a search, in the place of the one of its name.
    async fn save_search(&self, search: SavedSearch) -> Result<(), StateError>;

    /// Forgets a saved search; says whether there was one.
    async fn remove_search(&self, name: &str) -> Result<bool, StateError>;

    /// Adds matches to those that wait, each in the place of an older one of its search and document.
    async fn note_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError>;

    /// Matches that wait, the longest first, at most `limit`, after one.
    async fn waiting_matches(
        &self,
        after: Option<&BegunMatch>,
        limit: usize,
    ) -> Result<Vec<BegunMatch>, StateError>;

    /// How many matches wait.
    async fn waiting_match_count(&self) -> Result<u64, StateError>;

    /// Forgets matches that were posted, or don't match any more; one that was noted anew under a higher version stays.
    async fn settle_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError>;
}
