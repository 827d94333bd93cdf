//! The index on a server behind the searcher port.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{ElasticError, ElasticIndex, answer::SearchAnswer, query::Search};
use crate::{Explanation, SearchError, SearchRequest, SearchResponse, Searcher, SuggestRequest, Suggestion};

/// Searches one index version on a server.
#[derive(Debug, Clone)]
pub struct ElasticSearcher {
    index: ElasticIndex,
}

impl ElasticSearcher {
    /// Searches this index; asks nothing before the first search.
    pub fn new(index: ElasticIndex) -> Self {
        Self { index }
    }
}

impl ElasticIndex {
    /// Answers a search. `now_ms` is the time that date maths count from; a cursor brings that of its first page.
    pub async fn answer(&self, request: &SearchRequest, now_ms: i64) -> Result<SearchResponse, SearchError> {
        let search = Search::new(self, request, now_ms)?;
        if let Some(known) = search.known() {
            return Ok(known);
        }
        let parameters = [("allow_partial_search_results", "false")];
        let body = self.search(&search.body(), &parameters).await?;
        let answer: SearchAnswer<'_> = self.client.read(&body)?;
        search.response(&answer)
    }
}

#[async_trait]
impl Searcher for ElasticSearcher {
    async fn search(&self, request: SearchRequest) -> Result<SearchResponse, SearchError> {
        self.index.answer(&request, Timestamp::now().as_millisecond()).await
    }

    async fn explain(&self, request: SearchRequest) -> Result<Explanation, SearchError> {
        self.index.explained(&request, Timestamp::now().as_millisecond()).await
    }

    async fn suggest(&self, request: SuggestRequest) -> Result<Vec<Suggestion>, SearchError> {
        self.index.suggestions(&request, Timestamp::now().as_millisecond()).await
    }
}

impl From<ElasticError> for SearchError {
    fn from(error: ElasticError) -> Self {
        SearchError::Server(error)
    }
}
