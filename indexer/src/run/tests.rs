//! The whole process over a state file, against a scripted gateway on loopback: what needs exact timing to be seen.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use plan::DocumentId;
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Process, RunError, RunOptions};
use crate::{
    Index,
    ledger::{BackfillIds, IndexState, versions::VersionState},
    promotion,
    provision::state::provision,
    source::inbox,
    testing,
};

/// What the graph holds, and how many answers it may give.
#[derive(Clone)]
struct World {
    movies: Arc<Mutex<BTreeMap<String, Value>>>,
    /// An answer is made, then waits here before it leaves: what it says may be old by then.
    answers: Arc<Semaphore>,
    /// A movie whose requests fail, whoever else is asked for in them.
    poison: Arc<Mutex<Option<String>>>,
    /// How many requests have read the movies, answered or not.
    asked: Arc<AtomicUsize>,
    /// Whether the caller is a stranger.
    is_denied: Arc<AtomicBool>,
}

impl World {
    fn new() -> Self {
        let answers = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self {
            movies: Arc::default(),
            answers,
            poison: Arc::default(),
            asked: Arc::default(),
            is_denied: Arc::default(),
        }
    }

    fn put(&self, id: &str, name: &str) {
        let movie = json!({"movieId": id, "actors": [{"talentId": "t1", "name": name}]});
        self.movies.lock().unwrap().insert(id.to_owned(), movie);
    }

    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", post(answer)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/")
    }
}

async fn answer(State(world): State<World>, Json(request): Json<Value>) -> Result<Json<Value>, StatusCode> {
    let movies = world.movies.lock().unwrap().clone();
    let poison = world.poison.lock().unwrap().clone();
    let variables = request["variables"].as_object().unwrap();
    if variables.values().any(|id| id.as_str() == poison.as_deref()) {
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    let data: serde_json::Map<String, Value> = variables
        .iter()
        .map(|(name, id)| {
            (name.replace("id", "d"), movies.get(id.as_str().unwrap()).cloned().unwrap_or_default())
        })
        .collect();
    world.asked.fetch_add(1, Ordering::Relaxed);
    world.answers.acquire().await.unwrap().forget();
    if world.is_denied.load(Ordering::Relaxed) {
        Err(StatusCode::UNAUTHORIZED)
    } else {
        Ok(Json(json!({"data": data})))
    }
}

/// A process at work in a folder of its own.
struct Running {
    folder: tempfile::TempDir,
    index: Index,
    stop: CancellationToken,
    process: JoinHandle<Result<super::RunEnd, RunError>>,
}

impl Running {
    async fn over(world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("movies.db");
        let plan = testing::movies();
        provision(&state, &plan).unwrap();
        let endpoints = testing::endpoints(folder.path(), &world.serve().await);
        let process = Process::start("movies", endpoints).await.unwrap();
        let (index, stop) = (process.index().clone(), CancellationToken::new());
        let process = tokio::spawn(process.run(RunOptions::default(), stop.clone()));
        Self { folder, index, stop, process }
    }

    fn movies_changed(&self, ids: impl IntoIterator<Item = String>) {
        let line = |id: String| {
            json!({"key": {"movie_id": id}, "value": {"op": "u", "after": {}}}).to_string() + "\n"
        };
        self.append(&ids.into_iter().map(line).collect::<String>());
    }

    /// Appends to the source's file, which never shrinks meanwhile: one that does is read from its start.
    fn append(&self, lines: &str) {
        let path = self.folder.path().join("movies.ndjson");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    async fn talent_changed(&self, id: &str) {
        let line = json!({"key": id, "value": {}}).to_string().into_bytes();
        inbox::accept(self.index.state().unwrap(), "talent", vec![line]).await.unwrap();
    }

    async fn indexed(&self, id: &str) -> Option<Value> {
        let stored = self.index.store.get(&DocumentId::new(id).unwrap()).await.unwrap();
        serde_json::from_str(&stored?.body?).ok()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.process.await.unwrap().unwrap();
    }
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(20), "it never came true");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Invariant 5. Without the lookup after the barrier the movie, fetched before the rename and written after the first
/// lookup, keeps the old name for ever; without the wait, a crash in between does the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_related_event_is_committed_only_after_its_barrier_lookup() {
    let world = World::new();
    world.put("m1", "Old");
    world.answers.forget_permits(usize::MAX);
    let running = Running::over(&world).await;
    running.movies_changed(["m1".to_owned()]);
    // The fetch of m1 reads the old name, and its answer waits.
    eventually(async || world.asked.load(Ordering::Relaxed) == 1).await;
    world.put("m1", "New");
    running.talent_changed("t1").await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(running.index.log.source_position("talent").await.unwrap(), None, "the barrier still stands");
    assert_eq!(running.indexed("m1").await, None);
    world.answers.add_permits(1_000);
    eventually(async || {
        running.indexed("m1").await.is_some_and(|movie| movie["actors"][0]["name"] == "New")
            && running.index.log.source_position("talent").await.unwrap().is_some()
    })
    .await;
    running.stop().await;
}

/// Invariant 8. A graph that answers null for everything, as one that lost its credentials does, empties nothing.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_gone_at_once_pause_the_index() {
    let world = World::new();
    let ids = || (0..200).map(|n| format!("m{n}"));
    ids().for_each(|id| world.put(&id, "Someone"));
    let running = Running::over(&world).await;
    running.movies_changed(ids());
    eventually(async || running.index.store.live_documents().await.unwrap() == 200).await;
    let remembered = std::mem::take(&mut *world.movies.lock().unwrap());
    running.movies_changed(ids());
    eventually(async || matches!(running.index.ledger.state().await.unwrap(), IndexState::Failed { code, .. } if code == "SS406")).await;
    let left = running.index.store.live_documents().await.unwrap();
    assert!(left >= 150, "at most fifty are believed to be gone, {left} are left");
    *world.movies.lock().unwrap() = remembered;
    sleep(Duration::from_millis(300)).await;
    assert!(running.index.status().await.unwrap().lag.live > 0, "nothing goes on before a person says so");
    running.index.ledger.set_state(IndexState::Running).await.unwrap();
    running.movies_changed(ids());
    eventually(async || running.index.store.live_documents().await.unwrap() == 200).await;
    running.stop().await;
}

/// A truncated table empties nothing, and nothing is fetched before a person has looked.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_table_pauses_the_index() {
    let world = World::new();
    ["m1", "m2"].iter().for_each(|id| world.put(id, "Someone"));
    let running = Running::over(&world).await;
    running.movies_changed(["m1".to_owned()]);
    eventually(async || running.indexed("m1").await.is_some()).await;
    running.append(&(json!({"value": {"op": "t", "before": null, "after": null}}).to_string() + "\n"));
    eventually(async || matches!(running.index.ledger.state().await.unwrap(), IndexState::Failed { code, .. } if code == "SS310")).await;
    sleep(Duration::from_millis(1_500)).await;
    let asked = BackfillIds::Given(vec![DocumentId::new("m2").unwrap()]);
    running.index.ledger.start_backfill(asked).await.unwrap();
    sleep(Duration::from_millis(1_500)).await;
    assert!(running.indexed("m1").await.is_some() && running.indexed("m2").await.is_none());
    running.index.ledger.set_state(IndexState::Running).await.unwrap();
    eventually(async || running.indexed("m2").await.is_some()).await;
    running.stop().await;
}

/// One document that makes every request fail is found, held, and stands in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisonous_document_is_held_and_the_others_go_on() {
    let world = World::new();
    let ids = || (0..100).map(|n| format!("m{n}"));
    ids().for_each(|id| world.put(&id, "Someone"));
    *world.poison.lock().unwrap() = Some("m13".to_owned());
    let running = Running::over(&world).await;
    running.movies_changed(ids());
    eventually(async || running.index.store.live_documents().await.unwrap() == 99).await;
    eventually(async || !running.index.ledger.held(None, 10).await.unwrap().is_empty()).await;
    let held = running.index.ledger.held(None, 10).await.unwrap();
    assert_eq!(
        held.iter().map(|row| (row.id.as_str(), row.code.as_str())).collect::<Vec<_>>(),
        [("m13", "SS401")]
    );
    eventually(async || running.index.status().await.unwrap().lag.live == 0).await;
    *world.poison.lock().unwrap() = None;
    eventually(async || running.index.store.live_documents().await.unwrap() == 100).await;
    // A document is written before its hold is released.
    eventually(async || running.index.ledger.held(None, 10).await.unwrap().is_empty()).await;
    running.stop().await;
}

/// What a person paused stays paused, whatever a request that was on its way comes back with.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_does_not_undo_a_pause() {
    let world = World::new();
    world.put("m1", "Someone");
    world.answers.forget_permits(usize::MAX);
    let running = Running::over(&world).await;
    running.movies_changed(["m1".to_owned()]);
    eventually(async || world.asked.load(Ordering::Relaxed) == 1).await;
    running.index.ledger.set_state(IndexState::Paused).await.unwrap();
    world.is_denied.store(true, Ordering::Relaxed);
    world.answers.add_permits(1_000);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(running.index.ledger.state().await.unwrap(), IndexState::Paused);
    world.is_denied.store(false, Ordering::Relaxed);
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(running.indexed("m1").await, None);
    running.index.ledger.set_state(IndexState::Running).await.unwrap();
    eventually(async || running.indexed("m1").await.is_some()).await;
    running.stop().await;
}

/// Another version that lives is written by the next generation of the same process, a promoted one is looked up in.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_follows_the_index_versions() {
    let world = World::new();
    world.put("m1", "Ann");
    let running = Running::over(&world).await;
    running.movies_changed(["m1".to_owned()]);
    eventually(async || running.indexed("m1").await.is_some()).await;
    let written = async || {
        let figures = running.index.ledger.figures().await.unwrap();
        figures.first().map(|figures| figures.versions.clone()).unwrap_or_default()
    };
    eventually(async || written().await == [1]).await;

    let mut plan = testing::movies();
    plan.fields.0.iter_mut().for_each(|field| field.mapping.indexed = field.name != "title");
    let state = running.folder.path().join("movies.db");
    provision(&state, &plan).unwrap();
    let made = Instant::now();
    let ready = async || {
        let states = running.index.ledger.version_states().await.unwrap();
        states.last() == Some(&(2, VersionState::Ready))
    };
    eventually(ready).await;
    eventually(async || written().await == [1, 2]).await;
    println!("both are written after {:?}", made.elapsed());

    promotion::promote(&running.index, None, &[]).await.unwrap();
    eventually(async || written().await == [2, 1]).await;
    world.put("m1", "Beth");
    running.talent_changed("t1").await;
    let open = async |number: u32| {
        let versions = running.index.versions().await.unwrap();
        let known = versions.iter().find(|known| known.number() == number).unwrap();
        let stored =
            running.index.open_version(known).unwrap().store().get(&DocumentId::new("m1").unwrap()).await;
        serde_json::from_str::<Value>(&stored.unwrap().unwrap().body.unwrap()).unwrap()
    };
    for number in [1, 2] {
        eventually(async || open(number).await["actors"][0]["name"] == "Beth").await;
    }
    assert_eq!(world.asked.load(Ordering::Relaxed), 2, "the graph is asked for changes alone");
    running.stop().await;
}
