//! Elasticsearch and both lines of `OpenSearch` do what every store must do.
//!
//! `AGREEMENT_SEED=<first seed>` and `AGREEMENT_ROUNDS=<n>` run other and more cases than the share that is always run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use codegen::{Config, index_templates};
use harness::servers::{Rest, elasticsearch, opensearch, opensearch_2};
use plan::{DocumentId, DocumentVersion, IndexPlan};
use search::{
    Counts, DocumentWrite, Explanation, PutOutcome, SearchError, SearchRequest, SearchResponse,
    StoredDocument, SuggestRequest, Suggestion,
    conformance::{TestIndex, World, agreement, choices, ranks, searches, store, suggestions},
    elastic::{Client, ElasticEndpoint, ElasticIndex, Engine},
};
use serde_json::Value;

use crate::{compiled::movies, engines::create_index};

/// Rounds of sixty documents and sixty filters on each server, in less than a minute, and the pairs of a document and a filter
/// that they try at least.
const ROUNDS: u64 = 8;
const PAIRS: usize = 20_000;

/// Indexes get names of their own, because tests of one server run beside each other.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// A server as a world of the suite.
pub(crate) struct SearchServer {
    pub(crate) server: &'static Rest,
    pub(crate) client: Client,
    pub(crate) engine: Engine,
    config: Config,
}

impl SearchServer {
    pub(crate) async fn new(server: fn() -> &'static Rest) -> Self {
        let server = tokio::task::spawn_blocking(server).await.expect("it starts");
        let endpoint = ElasticEndpoint {
            url: server.url.clone(),
            auth: None,
            ca: None,
            timeout: Duration::from_mins(1),
        };
        let client = Client::new(&endpoint).expect("an address");
        let engine = client.server().await.expect("it answers").engine;
        Self { server, client, engine, config: movies().config }
    }

    /// A new index by the templates of this plan.
    pub(crate) async fn made(&self, mut plan: IndexPlan) -> ElasticIndex {
        plan.name = format!("world{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = format!("{}-000001", plan.name);
        let engine = match self.engine {
            Engine::Elasticsearch => codegen::Engine::Elasticsearch,
            Engine::OpenSearch => codegen::Engine::OpenSearch,
        };
        let templates = index_templates(&self.config, &plan, engine);
        let (server, made) = (self.server, name.clone());
        let put = move || {
            for (api, kind) in
                [("_component_template", "component_template"), ("_index_template", "index_template")]
            {
                let template: &Value = &templates[kind];
                let name = template["name"].as_str().expect("a name");
                server.succeed("PUT", &format!("/{api}/{name}"), &template["body"]);
            }
            create_index(server, &made);
        };
        tokio::task::spawn_blocking(put).await.expect("the index is made");
        ElasticIndex::new(self.client.clone(), self.engine, Arc::new(plan), &name)
    }
}

#[async_trait]
impl World for SearchServer {
    async fn index(&self, plan: IndexPlan) -> Box<dyn TestIndex> {
        Box::new(OnServer(self.made(plan).await))
    }
}

struct OnServer(ElasticIndex);

#[async_trait]
impl TestIndex for OnServer {
    async fn write(&self, documents: &[DocumentWrite<'_>]) -> Vec<PutOutcome> {
        let outcomes = self.0.write(documents).await.expect("it answers");
        self.0.refresh().await.expect("it answers");
        outcomes
    }

    async fn get(&self, id: &DocumentId) -> Option<StoredDocument> {
        self.0.get(id).await.expect("it answers")
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Option<Vec<DocumentId>> {
        self.0.lookup(paths, keys, after, limit).await.ok()
    }

    async fn scan(&self, after: Option<&DocumentId>, limit: usize) -> Vec<StoredDocument> {
        self.0.scan(after, limit).await.expect("it answers")
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Vec<DocumentId> {
        self.0.ids(after, limit).await.expect("it answers")
    }

    async fn counts(&self) -> Counts {
        self.0.counts().await.expect("it answers")
    }

    async fn highest_version(&self) -> Option<DocumentVersion> {
        self.0.highest_version().await.expect("it answers")
    }

    async fn search(&self, request: &SearchRequest, now_ms: i64) -> Result<SearchResponse, SearchError> {
        self.0.answer(request, now_ms).await
    }

    async fn explain(&self, request: &SearchRequest, now_ms: i64) -> Result<Explanation, SearchError> {
        self.0.explained(request, now_ms).await
    }

    async fn suggest(&self, request: &SuggestRequest, now_ms: i64) -> Result<Vec<Suggestion>, SearchError> {
        self.0.suggestions(request, now_ms).await
    }
}

/// All that the suite runs on.
pub(crate) const SERVERS: [fn() -> &'static Rest; 3] = [elasticsearch, opensearch, opensearch_2];

#[tokio::test]
async fn documents_are_kept() {
    for server in SERVERS {
        store::run(&SearchServer::new(server).await).await;
    }
}

#[tokio::test]
async fn searches_are_answered() {
    for server in SERVERS {
        let world = SearchServer::new(server).await;
        searches::run(&world).await;
        ranks::run(&world).await;
        choices::run(&world).await;
    }
}

#[tokio::test]
async fn values_are_suggested() {
    for server in SERVERS {
        suggestions::run(&SearchServer::new(server).await).await;
    }
}

async fn agrees(server: fn() -> &'static Rest) {
    let pairs = agreement::run(&SearchServer::new(server).await, agreement::seeds(ROUNDS)).await;
    assert!(pairs >= PAIRS || agreement::is_asked(), "{pairs}");
}

#[tokio::test]
async fn elasticsearch_finds_what_the_evaluator_says() {
    agrees(elasticsearch).await;
}

#[tokio::test]
async fn opensearch_finds_what_the_evaluator_says() {
    agrees(opensearch).await;
}

#[tokio::test]
async fn opensearch_2_finds_what_the_evaluator_says() {
    agrees(opensearch_2).await;
}
