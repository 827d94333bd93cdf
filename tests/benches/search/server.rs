//! What we add to a search on Elasticsearch: ours through its port, and the same query sent raw by the same HTTP client.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use codegen::{Config, index_templates};
use harness::{
    http,
    servers::{Rest, elasticsearch},
};
use plan::{DocumentVersion, Epoch, IndexPlan};
use search::{
    DocumentWrite, PutOutcome, SearchRequest, SearchResponse, Searcher,
    elastic::{Client, ElasticEndpoint, ElasticIndex, ElasticSearcher},
};
use serde_json::Value;

/// Documents of one bulk.
const AT_ONCE: usize = 1_000;

pub(crate) struct Elastic {
    searcher: ElasticSearcher,
    /// The same by way of a witness, who keeps the query as it was sent.
    witnessed: ElasticSearcher,
    sent: Arc<Mutex<Vec<u8>>>,
    raw: reqwest::Client,
    url: String,
}

impl Elastic {
    /// Writes the movies into one segment, so that every search does the same work.
    pub(crate) async fn new(config: &Config, plan: &Arc<IndexPlan>, movies: &[String]) -> Self {
        let server = tokio::task::spawn_blocking(elasticsearch).await.expect("it starts");
        let endpoint = ElasticEndpoint {
            url: server.url.clone(),
            auth: None,
            ca: None,
            timeout: Duration::from_mins(1),
        };
        let client = Client::new(&endpoint).expect("an address");
        let engine = client.server().await.expect("it answers").engine;
        let name = format!("{}-000001", plan.name);
        let templates = index_templates(config, plan, codegen::Engine::Elasticsearch);
        let made = name.clone();
        tokio::task::spawn_blocking(move || make(server, &templates, &made)).await.expect("it is made");
        let index = ElasticIndex::new(client, engine, Arc::clone(plan), &name);
        for (page, movies) in movies.chunks(AT_ONCE).enumerate() {
            let ids: Vec<_> = (0..movies.len()).map(|at| super::id(page * AT_ONCE + at)).collect();
            let version = DocumentVersion::new(Epoch::ZERO, 1);
            let write =
                |(id, body)| DocumentWrite { id, version, body: Some(body), fetched_at_ms: 0, missing: &[] };
            let writes: Vec<_> = ids.iter().zip(movies.iter().map(String::as_str)).map(write).collect();
            let outcomes = index.write(&writes).await.expect("it answers");
            assert!(outcomes.iter().all(|outcome| *outcome == PutOutcome::Written));
        }
        let merge = format!("/{name}/_forcemerge?max_num_segments=1");
        tokio::task::spawn_blocking(move || server.succeed("POST", &merge, &Value::Null))
            .await
            .expect("it merges");
        index.refresh().await.expect("it answers");
        let sent = Arc::<Mutex<Vec<u8>>>::default();
        let (kept, url) = (Arc::clone(&sent), server.url.clone());
        let witness = http::serve(move |request| {
            request.body.clone_into(&mut kept.lock().expect("nobody panics"));
            request.pass_on(&url).ok()
        });
        let through = ElasticEndpoint { url: format!("http://{witness}"), ..endpoint };
        let through = Client::new(&through).expect("an address");
        Self {
            searcher: ElasticSearcher::new(index),
            witnessed: ElasticSearcher::new(ElasticIndex::new(through, engine, Arc::clone(plan), &name)),
            sent,
            raw: reqwest::Client::new(),
            url: format!("{}/{name}/_search?allow_partial_search_results=false", server.url),
        }
    }

    /// The query that a search is sent as.
    pub(crate) async fn query(&self, request: SearchRequest) -> Vec<u8> {
        self.witnessed.search(request).await.expect("an answer");
        self.sent.lock().expect("nobody panics").clone()
    }

    /// Sends a query and reads the answer to its end, as bytes.
    pub(crate) async fn send(&self, query: Vec<u8>) -> usize {
        let request = self.raw.post(&self.url).header("content-type", "application/json").body(query);
        let answer = request.send().await.and_then(reqwest::Response::error_for_status).expect("an answer");
        answer.bytes().await.expect("an answer").len()
    }

    pub(crate) async fn search(&self, request: SearchRequest) -> SearchResponse {
        self.searcher.search(request).await.expect("an answer")
    }
}

fn make(server: &Rest, templates: &Value, index: &str) {
    for (api, kind) in [("_component_template", "component_template"), ("_index_template", "index_template")]
    {
        let template = &templates[kind];
        let name = template["name"].as_str().expect("a name");
        server.succeed("PUT", &format!("/{api}/{name}"), &template["body"]);
    }
    server.succeed("PUT", &format!("/{index}"), &Value::Null);
}
