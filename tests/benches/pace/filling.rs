//! A new index version out of the served one's documents, against the same documents from memory: into the same tables of a state
//! file, and as bulks of prepared bytes into an index of the same mapping on Elasticsearch.

use std::{
    fs,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use harness::{
    folder::Folder,
    gateway,
    load::{movie, movie_id},
    servers::{Rest, elasticsearch},
};
use indexer::{
    Index,
    endpoints::Place,
    graph::{Graph, GraphError, GraphRequest},
    provision::state::provision,
    store::Document,
};
use plan::{DocumentId, DocumentVersion, Epoch, IndexPlan, field::MappingKind};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    median, ratio,
    whole::{folder, is_done},
    world::{World, plan, runtime},
};

const DOCUMENTS: usize = 20_000;
const ROUNDS: usize = 5;

/// Documents that the loader writes at once into the state file: as many as a filling.
const PAGE: usize = 1_000;

/// What the loader is tried with on a server: bulks in flight, and documents of one.
const SETTINGS: [(usize, usize); 4] = [(1, 1_000), (2, 500), (2, 2_000), (4, 500)];

/// Two mappings, neither of which is the served one, so that each takes a new version.
const TYPE: &str = "  type: keyword\n";
const COUNTRIES: &str = "  countries: keyword\n";

/// What must be reached at least: documents of ours for each of the loader's.
const WANTED: f64 = 0.90;

/// A version is filled without a graph.
struct Nobody;

#[async_trait::async_trait]
impl Graph for Nobody {
    async fn send(&self, _: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        Err(GraphError::Unavailable { reason: "nobody is to be asked".to_owned(), retry_after: None })
    }
}

pub(crate) fn measure() -> bool {
    let on_sqlite = runtime().block_on(on_sqlite());
    let on_server = on_elasticsearch();
    on_sqlite && on_server
}

fn report(store: &str, ours: Vec<f64>, theirs: Vec<f64>) -> bool {
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let (ours, theirs, ratio) = (median(ours), median(theirs), median(ratios));
    println!(
        "filling on {store}: {ours:.0} documents/s, the loader {theirs:.0}; median {ratio:.2} (wanted: at least {WANTED})"
    );
    ratio >= WANTED
}

fn documents() -> Vec<Document> {
    let document = |n: usize| Document {
        id: DocumentId::new(movie_id(n)).expect("an id"),
        version: DocumentVersion::new(Epoch::ZERO, n as u64 + 1),
        body: Some(movie(n)),
        fetched_at: 0,
        missing: Vec::new(),
    };
    (0..DOCUMENTS).map(document).collect()
}

/// The plan with another mapping, which takes another version.
fn changed() -> IndexPlan {
    let mut plan = plan();
    let field = plan.fields.0.iter_mut().find(|field| field.name == "type").expect("a field of ours");
    field.mapping.kind = MappingKind::Keyword;
    plan
}

async fn on_sqlite() -> bool {
    let base = tempfile::tempdir().expect("a folder");
    provision(&base.path().join("pace.db"), &plan()).expect("a state file");
    let all = documents();
    let index = open(base.path()).await;
    for page in all.chunks(PAGE) {
        index.store.write(page.to_vec()).await.expect("it is written");
    }
    drop(index);
    provision(&base.path().join("pace.db"), &changed()).expect("a second version");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(ratio(DOCUMENTS, 1) / filled(&copy(base.path())).await.as_secs_f64());
        theirs.push(ratio(DOCUMENTS, 1) / loaded(&copy(base.path()), &all).await.as_secs_f64());
    }
    report("SQLite", ours, theirs)
}

async fn open(folder: &Path) -> Index {
    Index::open("pace", &Place::embedded(folder.join("pace.db"))).await.expect("it is provisioned")
}

/// A copy of a state file that nobody works on, whole on its disk.
fn copy(of: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for file in fs::read_dir(of).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), folder.path().join(file.file_name())).expect("a copy");
    }
    folder
}

/// A process fills the version: from its first step to the last.
async fn filled(folder: &tempfile::TempDir) -> Duration {
    let world = World::go_on(folder.path(), &plan(), Arc::new(Nobody)).await;
    let state = async || {
        let states = world.index.ledger.version_states().await.expect("it answers");
        states.last().map(|(_, state)| state.name()).expect("two versions")
    };
    let mut start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_mins(5), "it has stopped");
        match state().await {
            "BUILDING" => start = Instant::now(),
            "READY" => break,
            _ => {}
        }
        sleep(Duration::from_millis(5)).await;
    }
    let took = start.elapsed();
    world.end().await;
    took
}

/// The loader writes what it has in memory into the same tables.
async fn loaded(folder: &tempfile::TempDir, all: &[Document]) -> Duration {
    let index = open(folder.path()).await;
    let versions = index.versions().await.expect("it answers");
    let store = index.open_version(versions.last().expect("two versions")).expect("its tables").store();
    let pages: Vec<Vec<Document>> = all.chunks(PAGE).map(<[Document]>::to_vec).collect();
    let start = Instant::now();
    for page in pages {
        store.write(page).await.expect("it is written");
    }
    start.elapsed()
}

fn on_elasticsearch() -> bool {
    let store = elasticsearch();
    let gateway = gateway::start(&gateway::documents(DOCUMENTS));
    let folder = folder(&gateway.url, DOCUMENTS);
    let server = format!(
        "store: {{ type: elasticsearch, url: \"{}\", settings: {{ number_of_shards: 1, number_of_replicas: 0 }} }}\n",
        store.url
    );
    folder.edit("index.yaml", "state: {", &format!("{server}state: {{"));
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    is_done(&folder);
    let loader = Loader::new(store);
    // A cold server says nothing about either.
    let first = fill(&folder, store, 2);
    loader.load("pace-000002", SETTINGS[0]);
    let tried = SETTINGS.map(|setting| (loader.load("pace-000002", setting), setting));
    let (_, best) = tried.into_iter().min_by_key(|(took, _)| *took).expect("settings");
    println!("on Elasticsearch the first filling took {first:?}; the loader is best with {best:?}");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let version = 3 + round;
        ours.push(1.0 / fill(&folder, store, version).as_secs_f64());
        theirs.push(1.0 / loader.load(&format!("pace-{version:06}"), best).as_secs_f64());
    }
    assert_eq!(run.terminate(), Some(0));
    let all = |each: Vec<f64>| each.into_iter().map(|each| each * ratio(DOCUMENTS, 1)).collect();
    report("Elasticsearch", all(ours), all(theirs))
}

/// Makes another version that is filled, in place of the one before, which nobody served; how long that takes from its first
/// documents to its last, as if all had come in that time.
fn fill(folder: &Folder, store: &Rest, version: usize) -> Duration {
    let [before, after] = if version.is_multiple_of(2) { [COUNTRIES, TYPE] } else { [TYPE, COUNTRIES] };
    match version {
        2 => folder.edit("index.yaml", "fields:\n", &format!("fields:\n{after}")),
        _ => folder.edit("index.yaml", before, after),
    }
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let index = format!("pace-{version:06}");
    let written = || {
        let stats = store.succeed("GET", &format!("/{index}/_stats/indexing"), &Value::Null);
        usize::try_from(stats["_all"]["primaries"]["indexing"]["index_total"].as_u64().expect("a number"))
            .expect("few")
    };
    let wait = || thread::sleep(Duration::from_millis(10));
    let asked = Instant::now();
    while written() == 0 {
        assert!(asked.elapsed() < Duration::from_mins(1), "it has not begun:\n{}", folder.log());
        wait();
    }
    let (start, first) = (Instant::now(), written());
    while written() < DOCUMENTS {
        assert!(start.elapsed() < Duration::from_mins(2), "it has stopped:\n{}", folder.log());
        wait();
    }
    start.elapsed().mul_f64(ratio(DOCUMENTS, DOCUMENTS - first))
}

/// Sends bulks that were made beforehand.
struct Loader<'s> {
    store: &'s Rest,
    client: reqwest::blocking::Client,
}

impl<'s> Loader<'s> {
    fn new(store: &'s Rest) -> Self {
        Self { store, client: reqwest::blocking::Client::new() }
    }

    /// Loads all documents into an index like this one.
    fn load(&self, like: &str, (in_flight, size): (usize, usize)) -> Duration {
        let made = self.store.succeed("GET", &format!("/{like}"), &Value::Null);
        let mut settings = made[like]["settings"]["index"].clone();
        for own in ["uuid", "version", "provided_name", "creation_date", "history_uuid"] {
            settings.as_object_mut().expect("settings").remove(own);
        }
        let copy = serde_json::json!({"settings": {"index": settings}, "mappings": made[like]["mappings"]});
        self.store.succeed("PUT", "/rival", &copy);
        let numbers: Vec<usize> = (0..DOCUMENTS).collect();
        let bulks: Mutex<Vec<Vec<u8>>> = Mutex::new(numbers.chunks(size).map(bulk).collect());
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..in_flight {
                scope.spawn(|| {
                    let next = || bulks.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    while let Some(bulk) = next() {
                        let url = format!("{}/rival/_bulk?filter_path=errors", self.store.url);
                        let post = self.client.post(url).header("content-type", "application/x-ndjson");
                        let answer = post.body(bulk).send().and_then(reqwest::blocking::Response::text);
                        assert_eq!(answer.expect("it answers"), r#"{"errors":false}"#);
                    }
                });
            }
        });
        let took = start.elapsed();
        self.store.succeed("DELETE", "/rival", &Value::Null);
        took
    }
}

fn bulk(numbers: &[usize]) -> Vec<u8> {
    let mut bulk = Vec::new();
    for n in numbers {
        let (id, body, version) = (movie_id(*n), movie(*n), n + 1);
        let fields = body.strip_suffix('}').expect("an object");
        writeln!(
            bulk,
            "{{\"index\":{{\"_id\":\"{id}\",\"version\":{version},\"version_type\":\"external\"}}}}\n\
             {fields},\"__search\":{{\"id\":\"{id}\",\"version\":{version},\"deleted\":false,\"fetched_at\":1700000000000,\"missing\":[]}}}}"
        )
        .expect("memory takes it");
    }
    bulk
}
