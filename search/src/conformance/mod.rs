//! What every store must do, as one suite of tests: it runs on the embedded store here, on servers from the workspace's tests.
//!
//! A world makes empty indexes; the suite writes and asks them through [`TestIndex`] and panics where one of them differs.

#![expect(clippy::unwrap_used, reason = "a suite of tests fails by panicking")]
#![expect(clippy::missing_panics_doc, reason = "a suite of tests fails by panicking")]

pub mod agreement;
pub mod choices;
mod dice;
mod documents;
mod filters;
pub mod plans;
mod questions;
pub mod ranks;
pub mod reference;
pub mod searches;
mod smaller;
pub mod store;
pub mod suggestions;

use async_trait::async_trait;
use plan::{
    DocumentId, DocumentVersion, FieldTree, IndexPlan,
    filter::{self, CheckedFilter},
};

use crate::{
    Counts, DocumentWrite, Explanation, PutOutcome, SearchError, SearchRequest, SearchResponse,
    StoredDocument, SuggestRequest, Suggestion,
};

/// A store that can make indexes.
#[async_trait]
pub trait World: Sync {
    /// A new index of this plan.
    async fn index(&self, plan: IndexPlan) -> Box<dyn TestIndex>;
}

/// One index. What was written is visible when a call returns.
#[async_trait]
pub trait TestIndex: Send + Sync {
    /// Writes documents in order.
    async fn write(&self, documents: &[DocumentWrite<'_>]) -> Vec<PutOutcome>;

    /// Reads one document or tombstone.
    async fn get(&self, id: &DocumentId) -> Option<StoredDocument>;

    /// Finds live documents by the keys that they hold; `None` where a path can't be asked.
    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Option<Vec<DocumentId>>;

    /// Reads live documents in order.
    async fn scan(&self, after: Option<&DocumentId>, limit: usize) -> Vec<StoredDocument>;

    /// The ids of live documents in order.
    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Vec<DocumentId>;

    /// Counts documents.
    async fn counts(&self) -> Counts;

    /// The highest version.
    async fn highest_version(&self) -> Option<DocumentVersion>;

    /// Answers a search, seen from `now_ms`.
    async fn search(&self, request: &SearchRequest, now_ms: i64) -> Result<SearchResponse, SearchError>;

    /// Answers a search and explains it, seen from `now_ms`.
    async fn explain(&self, request: &SearchRequest, now_ms: i64) -> Result<Explanation, SearchError>;

    /// Suggests values, seen from `now_ms`.
    async fn suggest(&self, request: &SuggestRequest, now_ms: i64) -> Result<Vec<Suggestion>, SearchError>;
}

/// A filter that fits these fields.
pub fn checked(text: &str, fields: &FieldTree) -> CheckedFilter {
    filter::checked("<filter>", text, fields).unwrap_or_else(|findings| panic!("{text}: {findings:?}"))
}

fn id(text: &str) -> DocumentId {
    DocumentId::new(text).unwrap()
}

fn ids(response: &SearchResponse) -> Vec<String> {
    response.hits.iter().map(|hit| hit.id.to_string()).collect()
}
