//! The one place that every question about an index passes through, whoever asks and however: limits, time, figures, and the
//! policy that its caller is held to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use plan::{DocumentId, IndexPlan, code::search as codes, filter::CheckedFilter};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    ServedIndex,
    asker::Asker,
    metrics::Metrics,
    question::{CountQuestion, SearchQuestion, SuggestQuestion},
    refusal::Refusal,
};
use crate::{
    Hit, SearchError, SearchRequest, SearchResponse, SuggestRequest, Suggestion,
    policy::{Access, AccessError},
};

/// Questions that stores are asked at once. More wait for their turn: on a few cores, and in a server's queue, more at once make each
/// of them slower.
const AT_ONCE: usize = 32;

/// How long a question waits for its turn and for its answer. Stores stop a search after ten seconds by themselves.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// What all indexes of a process share.
pub(super) struct Hall {
    places: Semaphore,
    pub(super) metrics: Metrics,
}

impl Hall {
    pub(super) fn new() -> Self {
        Self { places: Semaphore::new(AT_ONCE), metrics: Metrics::new() }
    }
}

/// Where questions about one index are asked. Clones share it.
#[derive(Clone)]
pub(super) struct Desk {
    index: ServedIndex,
    /// What callers may see; `None`: everything.
    access: Option<Arc<Access>>,
    hall: Arc<Hall>,
}

impl Desk {
    /// Fails where the plan holds callers to policies that can't be had.
    pub(super) fn new(index: ServedIndex, hall: Arc<Hall>) -> Result<Self, AccessError> {
        let access = Access::of(&index.plan, index.policy_url.as_deref())?.map(Arc::new);
        Ok(Self { index, access, hall })
    }

    pub(super) fn plan(&self) -> &Arc<IndexPlan> {
        &self.index.plan
    }

    pub(super) fn version(&self) -> u32 {
        self.index.version
    }

    pub(super) async fn search(
        &self,
        asker: &Asker,
        question: SearchQuestion,
    ) -> Result<SearchResponse, Refusal> {
        self.answer("search", async { self.find(asker, question.check(self.plan())?).await }).await
    }

    pub(super) async fn count(&self, asker: &Asker, question: CountQuestion) -> Result<u64, Refusal> {
        self.answer("count", async { Ok(self.find(asker, question.check(self.plan())?).await?.total) }).await
    }

    pub(super) async fn suggest(
        &self,
        asker: &Asker,
        question: SuggestQuestion,
    ) -> Result<Vec<Suggestion>, Refusal> {
        let suggestions = async {
            let request: SuggestRequest = question.check(self.plan())?;
            let filter = match (self.policy(asker).await?, request.filter) {
                (Some(policy), Some(own)) => Some(own.and(policy)),
                (policy, own) => policy.or(own),
            };
            let request = SuggestRequest { filter, ..request };
            Ok(self.index.searcher.suggest(request).await?)
        };
        self.answer("suggest", suggestions).await
    }

    /// One document, found as a search would find it.
    pub(super) async fn document(&self, asker: &Asker, id: &str) -> Result<Hit, Refusal> {
        let document = async {
            let nothing = || {
                let message = format!("{} has no document {id:?}", self.plan().name);
                Refusal::new(StatusCode::NOT_FOUND, codes::SS720, message)
            };
            let id = DocumentId::new(id).map_err(|_| nothing())?;
            let request = SearchRequest { id: Some(id), first: 1, ..SearchRequest::default() };
            self.find(asker, request).await?.hits.pop().ok_or_else(nothing)
        };
        self.answer("document", document).await
    }

    /// Whether the store answers.
    pub(super) async fn is_ready(&self) -> Result<(), SearchError> {
        let nothing = SearchRequest { first: 0, ..SearchRequest::default() };
        self.index.searcher.search(nothing).await.map(drop)
    }

    async fn find(&self, asker: &Asker, request: SearchRequest) -> Result<SearchResponse, Refusal> {
        let restriction = self.policy(asker).await?;
        Ok(self.index.searcher.search(SearchRequest { restriction, ..request }).await?)
    }

    /// What must hold of every document that the asker sees; `None`: nothing.
    async fn policy(&self, asker: &Asker) -> Result<Option<CheckedFilter>, Refusal> {
        let Some(access) = &self.access else { return Ok(None) };
        Ok(Some(access.filter(asker.name(access)?).await?))
    }

    /// Lets a question wait for its turn, bounds its time and counts how it ended.
    async fn answer<A>(
        &self,
        what: &'static str,
        question: impl Future<Output = Result<A, Refusal>>,
    ) -> Result<A, Refusal> {
        let began = Instant::now();
        let _in_flight = self.hall.metrics.begin();
        let in_turn = async {
            let _place = self.hall.places.acquire().await.map_err(|_| Refusal::too_many())?;
            question.await
        };
        let answer = match timeout(ANSWERED_WITHIN, in_turn).await {
            Ok(answer) => answer,
            Err(_) => Err(SearchError::TimedOut { seconds: ANSWERED_WITHIN.as_secs() }.into()),
        };
        let code = answer.as_ref().err().map_or("ok", |refusal| refusal.code.id);
        self.hall.metrics.count(&self.plan().name, what, code, began.elapsed());
        answer
    }
}
