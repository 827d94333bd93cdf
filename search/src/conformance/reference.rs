//! The in-memory store as a world of the suite: the one that the others are compared with.

use std::sync::Arc;

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, IndexPlan};

use super::{TestIndex, World};
use crate::{
    Counts, DocumentWrite, Explanation, PutOutcome, SearchError, SearchRequest, SearchResponse,
    StoredDocument, SuggestRequest, Suggestion, memory::MemoryIndex,
};

/// Indexes in memory.
#[derive(Debug, Clone, Copy)]
pub struct InMemory;

#[async_trait]
impl World for InMemory {
    async fn index(&self, plan: IndexPlan) -> Box<dyn TestIndex> {
        Box::new(MemoryIndex::new(Arc::new(plan)))
    }
}

#[async_trait]
impl TestIndex for MemoryIndex {
    async fn write(&self, documents: &[DocumentWrite<'_>]) -> Vec<PutOutcome> {
        self.write(documents)
    }

    async fn get(&self, id: &DocumentId) -> Option<StoredDocument> {
        self.get(id)
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Option<Vec<DocumentId>> {
        self.lookup(paths, keys, after, limit).ok()
    }

    async fn scan(&self, after: Option<&DocumentId>, limit: usize) -> Vec<StoredDocument> {
        self.scan(after, limit)
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Vec<DocumentId> {
        self.ids(after, limit)
    }

    async fn counts(&self) -> Counts {
        self.counts()
    }

    async fn highest_version(&self) -> Option<DocumentVersion> {
        self.highest_version()
    }

    async fn search(&self, request: &SearchRequest, now_ms: i64) -> Result<SearchResponse, SearchError> {
        self.answer(request, now_ms)
    }

    async fn explain(&self, request: &SearchRequest, now_ms: i64) -> Result<Explanation, SearchError> {
        self.explained(request, now_ms)
    }

    async fn suggest(&self, request: &SuggestRequest, now_ms: i64) -> Result<Vec<Suggestion>, SearchError> {
        self.suggestions(request, now_ms)
    }
}
