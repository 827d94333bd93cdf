//! The store in memory, for tests and simulations. Clones are the connections of several processes to one store.

use std::sync::Arc;

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, IndexPlan};
use search::{
    DocumentWrite, StoredDocument,
    memory::{MemoryIndex, UnknownPath},
};

use super::{Document, Outcome, Store};
use crate::StateError;

/// An index version in memory.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    index: MemoryIndex,
}

impl MemoryStore {
    /// A new store for the documents of this plan.
    pub fn new(plan: Arc<IndexPlan>) -> Self {
        Self { index: MemoryIndex::new(plan) }
    }

    /// The index, for those who search it.
    pub fn index(&self) -> &MemoryIndex {
        &self.index
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        let writes: Vec<DocumentWrite<'_>> = documents.iter().map(DocumentWrite::from).collect();
        Ok(self.index.write(&writes).into_iter().map(Outcome::from).collect())
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, StateError> {
        Ok(self.index.lookup(paths, keys, after, limit)?)
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<DocumentId>, StateError> {
        Ok(self.index.ids(after, limit))
    }

    async fn get(&self, id: &DocumentId) -> Result<Option<StoredDocument>, StateError> {
        Ok(self.index.get(id))
    }

    async fn scan(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<StoredDocument>, StateError> {
        Ok(self.index.scan(after, limit))
    }

    async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
        Ok(self.index.highest_version())
    }

    async fn live_documents(&self) -> Result<u64, StateError> {
        Ok(self.index.counts().live)
    }
}

impl From<UnknownPath> for StateError {
    fn from(error: UnknownPath) -> Self {
        Self::Refused { what: "the store in memory".to_owned(), reason: error.to_string() }
    }
}
