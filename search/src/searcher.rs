//! The port that searches go through, the same for every store.

use async_trait::async_trait;

use crate::{Explanation, SearchError, SearchRequest, SearchResponse, SuggestRequest, Suggestion};

/// Answers searches of one index.
///
/// An answer is of one moment: total, hits and facets agree with each other. Requests are checked by the searcher
/// itself; it answers or refuses any of them in bounded time.
#[async_trait]
pub trait Searcher: Send + Sync {
    /// Answers one page.
    async fn search(&self, request: SearchRequest) -> Result<SearchResponse, SearchError>;

    /// Answers one page and explains it: how the store was asked, and what the scores are made of. Costs more than the answer.
    async fn explain(&self, request: SearchRequest) -> Result<Explanation, SearchError>;

    /// Suggests whole values of declared fields, the best first.
    async fn suggest(&self, request: SuggestRequest) -> Result<Vec<Suggestion>, SearchError>;
}
