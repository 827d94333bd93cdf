//! What begins to match, what is posted of it, and what a webhook that fails costs.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, response::IntoResponse, routing::post};
use plan::{DocumentId, DocumentVersion};
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Known, Watch, posting::Posting, refused, unfit, webhook::Webhook};
use crate::{
    Index,
    endpoints::{Place, WebhookEndpoint},
    ledger::{SavedSearch, figures::Meter},
    provision::state::provision,
    store::{Document, Outcome},
    testing,
};

/// What a webhook was sent, and what it answers next; in the end always 200.
#[derive(Clone, Default)]
struct Hook {
    posts: Arc<Mutex<Vec<(String, Value)>>>,
    answers: Arc<Mutex<VecDeque<(StatusCode, HeaderMap)>>>,
}

impl Hook {
    /// Serves until the test ends; gives its address.
    async fn serve(&self) -> String {
        async fn take(State(hook): State<Hook>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
            assert_eq!(headers["authorization"], "Bearer hidden");
            let key = headers["idempotency-key"].to_str().unwrap().to_owned();
            hook.posts.lock().unwrap().push((key, serde_json::from_slice(&body).unwrap()));
            hook.answers.lock().unwrap().pop_front().unwrap_or_default()
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/hook", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        format!("http://{address}/hook")
    }

    fn answers(&self, statuses: &[u16]) {
        let mut location = HeaderMap::new();
        location.insert("location", "/elsewhere".parse().unwrap());
        let answer = |status: &u16| (StatusCode::from_u16(*status).unwrap(), location.clone());
        self.answers.lock().unwrap().extend(statuses.iter().map(answer));
    }

    fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.posts.lock().unwrap())
    }
}

/// An index with saved searches, whose documents are written as a process writes them.
struct World {
    index: Index,
    meter: Arc<Meter>,
    watch: Watch,
    _folder: TempDir,
}

impl World {
    async fn new(searches: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::embedded(folder.path().join("movies.db"));
        provision(&place.state, &testing::movies()).unwrap();
        let index = Index::open("movies", &place).await.unwrap();
        for (name, filter) in searches {
            index.ledger.save_search(search(name, filter)).await.unwrap();
        }
        let meter: Arc<Meter> = Arc::default();
        let watch = Watch::new(&index.plan, &index.ledger, &meter, true);
        Self { index, meter, watch, _folder: folder }
    }

    /// Notes and writes one document.
    async fn write(&self, id: &str, version: u64, body: impl Into<Option<Value>>) {
        let body = body.into();
        self.note(id, version, body.clone(), &[]).await;
        let outcomes = self.index.store.write(vec![document(id, version, body, &[])]).await.unwrap();
        assert_eq!(outcomes, [Outcome::Written]);
    }

    async fn note(&self, id: &str, version: u64, body: impl Into<Option<Value>>, missing: &[&str]) {
        self.watch.note(&*self.index.store, &[document(id, version, body, missing)]).await.unwrap();
    }

    /// What waits, as `search document`.
    async fn waiting(&self) -> Vec<String> {
        let waiting = self.index.ledger.waiting_matches(None, 100).await.unwrap();
        waiting.into_iter().map(|begun| format!("{} {}", begun.search, begun.id)).collect()
    }

    fn posting(&self, url: &str) -> Posting {
        let headers = vec![("authorization".to_owned(), SecretString::from("Bearer hidden"))];
        let webhook = Webhook::new(&WebhookEndpoint { url: SecretString::from(url), headers }).unwrap();
        Posting::new(&self.index, &Arc::new(webhook), &self.meter)
    }

    async fn post(&self, url: &str) {
        self.posting(url).run_once().await.unwrap();
    }

    fn trouble(&self) -> Option<String> {
        self.meter.figures("test", 0, [0, 0]).webhook_waits
    }
}

fn search(name: &str, filter: &str) -> SavedSearch {
    SavedSearch { name: name.to_owned(), filter: filter.to_owned(), saved_at: 0 }
}

fn document(id: &str, version: u64, body: impl Into<Option<Value>>, missing: &[&str]) -> Document {
    Document {
        id: DocumentId::new(id).unwrap(),
        version: DocumentVersion::from_stored(i64::try_from(version).unwrap()),
        body: body.into().map(|body: Value| body.to_string()),
        fetched_at: i64::try_from(version).unwrap(),
        missing: missing.iter().map(|path| (*path).to_owned()).collect(),
    }
}

fn movie(status: &str) -> Value {
    json!({"title": "Brazil", "production": {"status": status}})
}

#[tokio::test]
async fn a_match_begins_where_what_was_there_did_not_match() {
    let world = World::new(&[
        ("wrapped", "production.status == 'WRAPPED'"),
        ("broken", "titel == 'x'"),
        ("unwrapped", "NOT production.status == 'WRAPPED'"),
    ])
    .await;
    world.write("m1", 1, movie("FILMING")).await;
    assert_eq!(world.waiting().await, ["unwrapped m1"], "what is new begins");
    world.write("m1", 2, movie("FILMING")).await;
    world.write("m1", 3, movie("WRAPPED")).await;
    assert_eq!(world.waiting().await, ["unwrapped m1", "wrapped m1"]);
    // Once more after the write: it matched before.
    world.note("m1", 4, movie("WRAPPED"), &[]).await;
    // One that comes too late is not written, and one that isn't whole not judged.
    world.note("m1", 2, movie("FILMING"), &[]).await;
    world.note("m2", 5, Some(json!({})), &["production"]).await;
    world.write("m3", 6, None).await;
    assert_eq!(world.waiting().await, ["unwrapped m1", "wrapped m1"]);
    // After a tombstone it begins anew.
    world.write("m3", 7, movie("WRAPPED")).await;
    assert_eq!(world.waiting().await, ["unwrapped m1", "wrapped m1", "wrapped m3"]);
    let figures = world.meter.figures("test", 0, [0, 0]).saved.unwrap();
    assert_eq!((figures.searches, figures.broken), (3, vec!["broken".to_owned()]));
}

#[tokio::test]
async fn what_is_still_true_is_posted_once_it_is_written() {
    let world = World::new(&[("wrapped", "production.status == 'WRAPPED'"), ("all", "true")]).await;
    let (hook, later) = (Hook::default(), movie("FILMING"));
    let url = hook.serve().await;
    world.write("m1", 1, movie("WRAPPED")).await;
    world.write("m1", 2, later.clone()).await;
    world.note("m2", 3, movie("WRAPPED"), &[]).await;
    world.post(&url).await;
    let posts = hook.take();
    let (_, body) = &posts[0];
    assert_eq!(posts.len(), 1);
    assert_eq!(body["index"], "movies");
    let matches = body["matches"].as_array().unwrap();
    assert_eq!(matches.len(), 1, "m1 is wrapped no more, and m2 is not written: {body}");
    let key = matches[0]["key"].clone();
    let wanted =
        json!({"key": key, "search": "all", "id": "m1", "version": "2", "fetched_at": 1, "document": later});
    assert_eq!(matches[0], wanted);
    assert_eq!(world.waiting().await, ["all m2", "wrapped m2"]);
    // A search that is removed takes its matches with it.
    world.index.ledger.remove_search("all").await.unwrap();
    let stored = world.index.store.write(vec![document("m2", 3, movie("WRAPPED"), &[])]).await.unwrap();
    assert_eq!(stored, [Outcome::Written]);
    world.post(&url).await;
    let posted: Vec<Value> =
        hook.take().into_iter().map(|(_, body)| body["matches"][0]["search"].clone()).collect();
    assert_eq!(posted, ["wrapped"]);
    assert_eq!(world.waiting().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_webhook_that_fails_gets_the_same_keys_again() {
    let world = World::new(&[("all", "true")]).await;
    let hook = Hook::default();
    let url = hook.serve().await;
    world.write("m1", 1, movie("WRAPPED")).await;
    for (status, reason) in [
        (500, "the webhook answers 500 Internal Server Error"),
        (307, "the webhook answers 307 Temporary Redirect; a redirect is not followed"),
        (400, "the webhook answers 400 Bad Request"),
    ] {
        hook.answers(&[status]);
        world.post(&url).await;
        assert_eq!(world.trouble().as_deref(), Some(reason));
    }
    world.post(&url).await;
    let posts = hook.take();
    assert_eq!(posts.len(), 4, "{posts:?}");
    assert!(posts.iter().all(|post| *post == posts[0]), "{posts:?}");
    assert_eq!(world.waiting().await, Vec::<String>::new());

    world.write("m2", 2, movie("WRAPPED")).await;
    world.post("http://user:hidden@127.0.0.1:9/hook?token=hidden").await;
    let trouble = world.trouble().unwrap();
    assert!(trouble.starts_with("the webhook can't be reached") && !trouble.contains("hidden"), "{trouble}");
    assert_eq!(world.waiting().await, ["all m2"]);
}

#[tokio::test]
async fn what_is_too_large_is_posted_in_parts() {
    let world = World::new(&[("all", "true")]).await;
    let hook = Hook::default();
    let url = hook.serve().await;
    for number in 1..=3 {
        world.write(&format!("m{number}"), number, movie("WRAPPED")).await;
    }
    // All three, the first, and the other two; the second and the third alone, the last one without its document.
    hook.answers(&[413, 200, 413, 200, 413, 200]);
    world.post(&url).await;
    let posts = hook.take();
    let ids = |body: &Value| {
        let ids = body["matches"].as_array().unwrap().iter().map(|posted| posted["id"].as_str().unwrap());
        ids.collect::<Vec<_>>().join(" ")
    };
    let sent: Vec<String> = posts.iter().map(|(_, body)| ids(body)).collect();
    assert_eq!(sent, ["m1 m2 m3", "m1", "m2 m3", "m2", "m3", "m3"]);
    assert!(posts[5].1["matches"][0].get("document").is_none() && posts[4].0 == posts[5].0);
    assert_eq!(world.waiting().await, Vec::<String>::new());
}

#[tokio::test]
async fn posting_goes_on_by_itself_and_stops_at_once() {
    let world = World::new(&[("all", "true")]).await;
    let (hook, stop) = (Hook::default(), CancellationToken::new());
    let url = hook.serve().await;
    hook.answers(&[503]);
    let posting = tokio::spawn(world.posting(&url).run(stop.clone()));
    world.write("m1", 1, movie("WRAPPED")).await;
    let told = async {
        while world.index.ledger.waiting_match_count().await.unwrap() > 0 || world.trouble().is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
    assert_eq!(hook.take().len(), 2);
    stop.cancel();
    posting.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_plan_that_breaks_saved_searches_is_warned_of() {
    let world =
        World::new(&[("good", "title == 'x'"), ("bad", "production.status == 'x' OR actors.name == 'x'")])
            .await;
    let mut plan = testing::movies();
    assert_eq!(unfit(&world.index.place, &plan).await.unwrap(), []);
    plan.fields.0.retain(|field| field.name != "production");
    let warnings = unfit(&world.index.place, &plan).await.unwrap();
    let told: Vec<_> = warnings.iter().map(|warning| (warning.code.id, warning.is_error())).collect();
    assert_eq!(told, [("SS730", false)]);
    let (source, range) = warnings[0].place.clone().unwrap();
    assert_eq!((source.name.as_str(), &source.text[range]), ("saved search \"bad\"", "production"));
    let nowhere = Place::embedded(world.index.place.state.with_extension("none"));
    assert_eq!(unfit(&nowhere, &plan).await.unwrap(), []);
}

#[test]
fn ten_thousand_searches_are_quick() {
    let fields = testing::movies().fields;
    let filter =
        |number: usize| format!("title == 'Movie {number}' AND production.status IN ['WRAPPED', 'FILMING']");
    let searches = (0..10_000).map(|number| search(&format!("{number:05}"), &filter(number)));
    let known = Known::read(searches.collect(), &fields);
    let documents: Vec<Value> = (0..1_000)
        .map(|number| json!({"title": format!("Movie {number}"), "production": {"status": "WRAPPED"}}))
        .collect();
    let began = std::time::Instant::now();
    for (number, document) in documents.iter().enumerate() {
        assert_eq!(known.matching(document, 0), [format!("{number:05}")]);
    }
    let each = began.elapsed() / 1_000;
    // Ten million evaluations would take seconds; looked up, a thousand documents take milliseconds even without optimisation.
    assert!(each < Duration::from_millis(1), "{each:?} a document");
}

#[test]
fn names_and_sizes_are_bounded() {
    let others: Vec<SavedSearch> = (0..super::MAX_SEARCHES).map(|n| search(&n.to_string(), "true")).collect();
    let code =
        |search: &SavedSearch, others: &[SavedSearch]| refused(search, others).map(|found| found.code.id);
    for name in ["", " x", "x\n", &"n".repeat(121)] {
        assert_eq!(code(&search(name, "true"), &[]), Some("SS731"), "{name:?}");
    }
    assert_eq!(code(&search("Ünïcode, blanks", "true"), &others[1..]), None);
    assert_eq!(code(&search("one more", "true"), &others), Some("SS731"));
    assert_eq!(code(&search("7", "false"), &others), None, "one may be replaced");
    let large = search("large", &"x".repeat(super::MAX_TOTAL_BYTES));
    assert_eq!(code(&search("small", "true"), &[large]), Some("SS731"));
}
