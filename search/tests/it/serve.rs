//! `serve` over HTTP in this process: what callers are answered, and what they are refused.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, IndexPlan};
use reqwest::{RequestBuilder, StatusCode};
use search::{
    DocumentWrite, Explanation, SearchError, SearchRequest, SearchResponse, Searcher, SuggestRequest,
    Suggestion,
    conformance::searches::movie_plan,
    memory::MemoryIndex,
    serve::{self, Catalogs, ServedIndex, subgraph_sdl},
    sqlite::{SqliteIndex, SqliteSearcher},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

/// A search port at work.
pub(crate) struct Port {
    address: SocketAddr,
    stop: CancellationToken,
    client: reqwest::Client,
}

pub(crate) fn plan() -> IndexPlan {
    let mut plan = movie_plan();
    plan.search.suggest = vec!["title".to_owned()];
    plan.search.facets = vec!["type".to_owned()];
    plan
}

/// Three movies in memory.
pub(crate) fn movies() -> Arc<dyn Searcher> {
    let index = MemoryIndex::new(Arc::new(plan()));
    for (id, title, kind) in
        [("m1", "Crash Landing", "FEATURE"), ("m2", "Crash", "SHORT"), ("m/3 ?", "Amélie", "SHORT")]
    {
        let body = json!({"title": title, "type": kind, "movieId": id}).to_string();
        let id = DocumentId::new(id).unwrap();
        let version = DocumentVersion::from_stored(1);
        index.write(&[DocumentWrite { id: &id, version, body: Some(&body), fetched_at_ms: 0, missing: &[] }]);
    }
    Arc::new(index)
}

impl Port {
    async fn open(searcher: Arc<dyn Searcher>) -> Self {
        Self::at("127.0.0.1:0", searcher, &[]).await
    }

    async fn at(listen: &str, searcher: Arc<dyn Searcher>, tokens: &[&str]) -> Self {
        Self::of(plan(), listen, searcher, tokens).await
    }

    /// Of a plan whose policies may be asked where nobody listens.
    pub(crate) async fn of(
        plan: IndexPlan,
        listen: &str,
        searcher: Arc<dyn Searcher>,
        tokens: &[&str],
    ) -> Self {
        let (catalogs, policy_url) = (Catalogs::new(), Some("http://127.0.0.1:1/policies".to_owned()));
        let index = ServedIndex { plan: Arc::new(plan), version: 1, searcher, policy_url };
        let (_, catalog) = watch::channel(Arc::new(catalogs.of(vec![index]).unwrap()));
        let listener = TcpListener::bind(listen).await.unwrap();
        let mut address = listener.local_addr().unwrap();
        address.set_ip([127, 0, 0, 1].into());
        let stop = CancellationToken::new();
        let (stopped, tokens) = (stop.clone(), tokens.iter().map(|token| (*token).into()).collect());
        tokio::spawn(async move { serve::serve(listener, None, tokens, &catalogs, catalog, stopped).await });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { address, stop, client }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("http://{}{path}", self.address))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("http://{}{path}", self.address)).json(body)
    }

    async fn graphql(&self, query: &str) -> Value {
        let (status, answer) = told(self.post("/graphql", &json!({"query": query}))).await;
        assert_eq!(status, StatusCode::OK);
        answer
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) async fn told(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status}: {error}: {text}")))
}

pub(crate) async fn refused(request: RequestBuilder) -> (u16, String) {
    let (status, answer) = told(request).await;
    (status.as_u16(), answer["error"]["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_alike_by_address_and_by_body() {
    let port = Port::open(movies()).await;
    let (status, page) = told(port.get("/indexes/movies/search?text=crash&sort=title:desc&first=1")).await;
    assert_eq!(
        (status.as_u16(), &page["total"], &page["hits"][0]["id"]),
        (200, &json!(2), &json!("m1")),
        "{page}"
    );
    assert_eq!(page["hits"][0]["highlights"]["title"], json!(["<em>Crash</em> Landing"]));
    let counted = json!([{"value": "FEATURE", "count": 1}, {"value": "SHORT", "count": 1}]);
    assert_eq!(page["facets"], json!({"type": counted}), "left out: those of the configuration");
    let body = json!({"text": "crash", "sort": ["title:desc"], "first": 1});
    let same = told(port.post("/indexes/movies/search", &body)).await.1;
    assert_eq!((&same["hits"], &same["facets"]), (&page["hits"], &page["facets"]));
    let next = page["next"].as_str().unwrap();
    let last = format!("/indexes/movies/search?text=crash&sort=title:desc&first=1&facets=&after={next}");
    let last = told(port.get(&last)).await.1;
    assert_eq!(
        (&last["hits"][0]["id"], &last["next"], &last["facets"]),
        (&json!("m2"), &json!(null), &json!({}))
    );

    let count = json!({"filter": "type == 'SHORT'"});
    assert_eq!(told(port.post("/indexes/movies/count", &count)).await.1, json!({"total": 2}));
    let suggested = told(port.get("/indexes/movies/suggest?prefix=cra&first=1")).await.1;
    let crash = json!([{"path": "title", "value": "Crash", "count": 1}]);
    assert_eq!(suggested, json!({ "suggestions": crash }));
    let odd = told(port.get("/indexes/movies/documents/m%2F3%20%3F")).await.1;
    assert_eq!((&odd["id"], &odd["document"]["title"]), (&json!("m/3 ?"), &json!("Amélie")));
    let chosen = "/indexes/movies/search?filter=type+%3D%3D+%27SHORT%27&facet_counts=alternatives";
    let beside = told(port.get(chosen)).await.1;
    assert_eq!((&beside["total"], beside["facets"]["type"].as_array().map(Vec::len)), (&json!(2), Some(2)));
    let indexes = told(port.get("/indexes")).await.1;
    assert_eq!(indexes["indexes"][0]["name"], "movies");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_shown_with_their_place_and_their_mend() {
    let port = Port::open(movies()).await;
    let wrong = json!({"filter": "type == 'SHORT' AND\n titel == 'x'"});
    for path in ["/indexes/movies/search", "/indexes/movies/count", "/indexes/movies/suggest"] {
        let (status, answer) = told(port.post(path, &wrong)).await;
        let finding = &answer["error"]["diagnostics"][0];
        assert_eq!((status.as_u16(), &answer["error"]["code"]), (400, &json!("SS702")), "{path}");
        assert_eq!(
            (&finding["line"], &finding["column"], &finding["end_column"]),
            (&json!(2), &json!(2), &json!(7))
        );
        assert_eq!(finding["excerpt"], " titel == 'x'\n ^^^^^");
        assert_eq!(finding["help"], "did you mean title?");
    }
    let search = |body: Value| port.post("/indexes/movies/search", &body);
    let long = "x".repeat(70_000);
    for (request, wanted) in [
        (search(json!({"first": 10_000_000})), (400, "SS712")),
        (search(json!({"first": -1})), (400, "SS719")),
        (search(json!({"frist": 1})), (400, "SS719")),
        (search(json!({"after": "7b7d"})), (400, "SS710")),
        (search(json!({"sort": ["synopsis"]})), (400, "SS711")),
        (search(json!({"facets": ["nowhere"]})), (400, "SS702")),
        (search(json!({"filter": "type =="})), (400, "SS701")),
        (search(json!({"filter": long.as_str()})), (400, "SS708")),
        (search(json!({"text": long.as_str()})), (400, "SS713")),
        (search(json!({"text": "x".repeat(300_000)})), (413, "SS719")),
        (search(json!([])), (400, "SS719")),
        (port.get("/indexes/movies/search?first=ten"), (400, "SS719")),
        (port.get("/indexes/movies/search?text=a&text=b"), (400, "SS719")),
        (port.get("/indexes/movies/suggest?prefix=a&paths=type"), (400, "SS718")),
        (port.get("/indexes/movies/documents/m9"), (404, "SS720")),
        (port.get(&format!("/indexes/movies/documents/{}", "x".repeat(600))), (404, "SS720")),
        (port.get("/indexes/films/search"), (404, "SS720")),
        (port.get("/nowhere"), (404, "SS720")),
        (port.get("/graphql"), (405, "SS719")),
        (port.post("/graphql", &json!([{"query": "{ __typename }"}])), (400, "SS719")),
    ] {
        let (status, code) = refused(request).await;
        assert_eq!((status, code.as_str()), wanted);
    }
}

/// A store that never answers, or never before its time.
struct Silent;

#[async_trait]
impl Searcher for Silent {
    async fn search(&self, _: SearchRequest) -> Result<SearchResponse, SearchError> {
        std::future::pending().await
    }

    async fn explain(&self, _: SearchRequest) -> Result<Explanation, SearchError> {
        std::future::pending().await
    }

    async fn suggest(&self, _: SuggestRequest) -> Result<Vec<Suggestion>, SearchError> {
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_told_of_and_no_more_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let index = SqliteIndex::new(Arc::new(plan()), 1);
    let port = Port::open(Arc::new(SqliteSearcher::new(folder.path().join("nowhere.db"), index))).await;
    let (status, answer) = told(port.get("/indexes/movies/search")).await;
    assert_eq!((status.as_u16(), &answer["error"]["code"]), (503, &json!("SS714")));
    assert!(
        !answer.to_string().contains("nowhere"),
        "where the store is, is the operator's to know: {answer}"
    );
    let ready = port.get("/readyz").send().await.unwrap();
    assert_eq!((ready.status().as_u16(), ready.text().await.unwrap().contains("SS714")), (503, true));
    assert_eq!(port.get("/livez").send().await.unwrap().status(), StatusCode::OK);
    let told = port.graphql("{ movieSearch { total } }").await;
    assert_eq!(told["errors"][0]["extensions"]["code"], "SS714", "{told}");
    let metrics = port.get("/metrics").send().await.unwrap().text().await.unwrap();
    let line = "studio_search_serve_questions_total{index=\"movies\",what=\"search\",code=\"SS714\"} 2\n";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_says_nothing_holds_up_nobody_for_ever() {
    let port = Port::open(Arc::new(Silent)).await;
    let ask = || tokio::spawn(refused(port.get("/indexes/movies/count")));
    // More than are asked at once, and fewer than are let in.
    let asked: Vec<_> = (0..60).map(|_| ask()).collect();
    for answer in asked {
        let answer = tokio::time::timeout(Duration::from_secs(25), answer).await.unwrap().unwrap();
        assert_eq!(answer, (504, "SS715".to_owned()));
    }
    assert_eq!(port.get("/livez").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_let_in_than_there_is_room_for() {
    let port = Port::open(Arc::new(Silent)).await;
    let asked: Vec<_> = (0..600).map(|_| tokio::spawn(refused(port.get("/indexes/movies/count")))).collect();
    let mut refused_at_once = 0;
    for answer in asked {
        let (status, code) = answer.await.unwrap();
        match (status, code.as_str()) {
            (503, "SS721") => refused_at_once += 1,
            other => assert_eq!(other, (504, "SS715")),
        }
    }
    assert_eq!(refused_at_once, 600 - 512);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_others_reach_wants_a_token() {
    let port = Port::at("0.0.0.0:0", movies(), &["secret"]).await;
    for request in [
        port.get("/indexes"),
        port.get("/metrics"),
        port.get("/openapi.json"),
        port.post("/graphql", &json!({})),
    ] {
        let (known, wrong) = (request.try_clone().unwrap(), request.try_clone().unwrap());
        assert_eq!(refused(request).await, (401, "SS722".to_owned()));
        assert_eq!(refused(wrong.bearer_auth("wrong")).await, (401, "SS722".to_owned()));
        assert_ne!(known.bearer_auth("secret").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(port.get("/readyz").send().await.unwrap().status(), StatusCode::OK);
    let closed = Port::at("0.0.0.0:0", movies(), &[]).await;
    assert_eq!(refused(closed.get("/indexes").bearer_auth("")).await, (403, "SS722".to_owned()));
    let own = Port::open(movies()).await;
    let foreign = own.get("/indexes").header("origin", "https://evil.example");
    assert_eq!(refused(foreign).await, (403, "SS722".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subgraph_answers_keys_pages_and_figures() {
    let port = Port::open(movies()).await;
    let query = "{ movieSearch(text: \"crash\", sort: [\"title:desc\"], first: 1) {
        total hits { score node { __typename movieId } highlights { path text } }
        facets { path values { value count } } pageInfo { hasNextPage endCursor }
    } movieSuggest(prefix: \"am\") { path value count } }";
    let data = port.graphql(query).await["data"].take();
    let page = &data["movieSearch"];
    assert_eq!((&page["total"], &page["pageInfo"]["hasNextPage"]), (&json!(2), &json!(true)), "{data}");
    let hit = &page["hits"][0];
    assert_eq!(hit["node"], json!({"__typename": "Movie", "movieId": "m1"}));
    assert!(hit["score"].is_f64(), "{hit}");
    assert_eq!(hit["highlights"], json!([{"path": "title", "text": "<em>Crash</em> Landing"}]));
    assert_eq!(page["facets"][0]["values"][0], json!({"value": "FEATURE", "count": 1}));
    assert_eq!(data["movieSuggest"], json!([{"path": "title", "value": "Amélie", "count": 1}]));

    let sdl =
        port.graphql("{ _service { sdl } }").await["data"]["_service"]["sdl"].as_str().unwrap().to_owned();
    let stub = "type Movie @key(fields: \"movieId\", resolvable: false) {";
    assert!(sdl.contains(stub) && sdl.contains("https://specs.apollo.dev/federation/v2"), "{sdl}");
    let introspected = port.graphql("{ __schema { queryType { fields { name } } } }").await;
    assert!(introspected["data"]["__schema"]["queryType"]["fields"].is_array(), "{introspected}");

    let chosen = port.graphql("{ movieSearch(filter: \"type == 'SHORT'\", facetCounts: ALTERNATIVES) { total facets { values { value } } } }");
    let told = chosen.await["data"]["movieSearch"].take();
    let both = json!([{"value": "SHORT"}, {"value": "FEATURE"}]);
    assert_eq!((&told["total"], &told["facets"][0]["values"]), (&json!(2), &both), "{told}");

    let aliases: Vec<String> = (0..11).map(|n| format!("a{n}: movieSearch {{ total }}")).collect();
    let many = port.graphql(&format!("{{ {} }}", aliases.join(" "))).await;
    assert_eq!(many["errors"][0]["extensions"]["code"], "SS712", "{many}");
    let fields = format!("{{ movieSearch {{ {} }} }}", "total ".repeat(600));
    assert!(
        port.graphql(&fields).await["errors"][0]["message"]
            .as_str()
            .is_some_and(|text| text.contains("complex"))
    );
    for wrong in [
        "{ movieSearch(first: -1) { total } }",
        "{ movieSearch(first: 10000) { total } }",
        "{ nothing }",
        "{",
        "mutation { a }",
    ] {
        let answer = port.graphql(wrong).await;
        assert!(answer["errors"][0]["message"].is_string(), "{wrong}: {answer}");
    }
}

#[test]
fn indexes_of_one_entity_go_by_their_own_names() {
    let (mut archive, mut other) = (plan(), plan());
    archive.name = "movies-archive".to_owned();
    let sdl = subgraph_sdl(&[&plan(), &archive]).unwrap();
    for name in ["moviesSearch(", "moviesArchiveSearch(", "type MoviesArchiveSearchResult "] {
        assert!(sdl.contains(name), "{name}: {sdl}");
    }
    assert_eq!(sdl.matches("type Movie @key").count(), 1);
    other.name = "others".to_owned();
    other.key.field = "slug".to_owned();
    let error = subgraph_sdl(&[&plan(), &other]).unwrap_err();
    assert!(error.to_string().contains("both hold Movie"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_described_is_what_is_served() {
    let port = Port::open(movies()).await;
    let (_, description) = told(port.get("/openapi.json")).await;
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().unwrap();
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let address = format!("http://{}{}", port.address, path.replace("{id}", "m1"));
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let body = json!({"query": "{ __typename }"});
            let request = port.client.request(method.clone(), address);
            let request = match (method.as_str(), path.as_str()) {
                ("POST", "/graphql") => request.json(&body),
                ("POST", _) => request.json(&json!({})),
                _ => request,
            };
            assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{method} {path}");
        }
    }
    let sorts =
        &description["paths"]["/indexes/movies/search"]["get"]["parameters"][4]["schema"]["items"]["enum"];
    assert!(sorts.as_array().unwrap().contains(&json!("budget:desc")), "{sorts}");
    assert_eq!(paths.len(), 9, "{:?}", paths.keys());
}
