//! Two queries over one state file, against a graph in memory: what each version holds, and whom a failure of one concerns.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use plan::{
    DocumentId, IndexPlan,
    index_plan::{FetchMode, IdSource},
};
use search::StoredDocument;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    Index,
    endpoints::Place,
    graph::{Graph, GraphError, GraphRequest},
    ledger::{BackfillIds, versions::VersionState},
    log::{Append, Cause, Entry, Lane},
    promotion,
    provision::state::provision,
    run::{Process, RunOptions},
    testing,
};

/// How the graph answers the query that asks for titles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Titles {
    Answered,
    /// 400: the schema of the gateway has no titles.
    Refused,
    /// The request with this document fails, whoever else is asked for in it.
    FailsFor(&'static str),
    /// Null, without an error.
    Nothing,
}

/// Movies, and who was asked for by which query.
struct Movies {
    titles: Mutex<BTreeMap<&'static str, &'static str>>,
    how: Mutex<Titles>,
    asked: Mutex<Vec<(bool, Vec<String>)>>,
}

impl Movies {
    fn new(movies: &[(&'static str, &'static str)]) -> Arc<Self> {
        let titles = Mutex::new(movies.iter().copied().collect());
        Arc::new(Self { titles, how: Mutex::new(Titles::Answered), asked: Mutex::default() })
    }

    fn answer_titles(&self, how: Titles) {
        *self.how.lock().unwrap() = how;
    }
}

#[async_trait]
impl Graph for Movies {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let asks_for_titles = request.query.contains("title");
        let ids: Vec<String> = request.variables.values().map(|id| id.as_str().unwrap().to_owned()).collect();
        self.asked.lock().unwrap().push((asks_for_titles, ids.clone()));
        let how = *self.how.lock().unwrap();
        match how {
            Titles::Refused if asks_for_titles => {
                return Err(GraphError::Refused("there is no field `title`".to_owned()));
            }
            Titles::FailsFor(id) if asks_for_titles && ids.iter().any(|asked| asked == id) => {
                return Err(GraphError::Unavailable { reason: "500".to_owned(), retry_after: None });
            }
            _ => {}
        }
        let titles = self.titles.lock().unwrap();
        let document = |(name, id): (&String, &Value)| {
            let id = id.as_str().unwrap();
            let document = match titles.get(id) {
                Some(_) if asks_for_titles && how == Titles::Nothing => Value::Null,
                Some(title) if asks_for_titles => json!({"movieId": id, "title": title}),
                Some(_) => json!({"movieId": id}),
                None => Value::Null,
            };
            (name.replace("id", "d"), document)
        };
        let data: Map<String, Value> = request.variables.iter().map(document).collect();
        Ok(json!({"data": data}).to_string().into_bytes())
    }
}

/// The plan with titles, which the other one's query doesn't ask for.
fn titled() -> IndexPlan {
    let mut plan = testing::movies();
    plan.fetch.query_hash = "fedcba9876543210".to_owned();
    if let FetchMode::Alias { fragments, .. } = &mut plan.fetch.mode {
        *fragments = "fragment F on Movie { movieId title }".to_owned();
    }
    plan.backfill.ids = Some(IdSource::Index);
    plan
}

struct World {
    folder: tempfile::TempDir,
    graph: Arc<Movies>,
}

impl World {
    /// An index that holds these movies, with a version for titles beside it.
    async fn new(movies: &[(&'static str, &'static str)]) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), graph: Movies::new(movies) };
        provision(&world.state(), &testing::movies()).unwrap();
        world.ask_for(&movies.iter().map(|(id, _)| *id).collect::<Vec<_>>()).await;
        world.work().await;
        provision(&world.state(), &titled()).unwrap();
        world.graph.asked.lock().unwrap().clear();
        world
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("movies.db")
    }

    async fn index(&self) -> Index {
        Index::open("movies", &Place::embedded(self.state())).await.unwrap()
    }

    async fn ask_for(&self, ids: &[&str]) {
        let entry = |id: &&str| Entry::new(DocumentId::new(*id).unwrap(), Lane::Live, Cause::Person);
        let entries = ids.iter().map(entry).collect();
        self.index().await.log.append(Append { entries, ..Append::default() }).await.unwrap();
    }

    /// Works until nothing is left to be done, as a process that begins now would, and once more for what follows from it.
    async fn work(&self) {
        for _ in 0..2 {
            let endpoints = testing::endpoints(self.folder.path(), "http://127.0.0.1:9/");
            let process = Process::over("movies", endpoints, self.graph.clone()).await.unwrap();
            let once = RunOptions { once: true, ..RunOptions::default() };
            process.run(once, CancellationToken::new()).await.unwrap();
        }
    }

    async fn stored(&self, number: u32) -> Vec<StoredDocument> {
        let index = self.index().await;
        let versions = index.versions().await.unwrap();
        let known = versions.iter().find(|known| known.number() == number).unwrap();
        index.open_version(known).unwrap().store().scan(None, 99).await.unwrap()
    }

    async fn bodies(&self, number: u32) -> Vec<Value> {
        let stored = self.stored(number).await.into_iter();
        stored.map(|stored| serde_json::from_str(stored.body.as_deref().unwrap()).unwrap()).collect()
    }

    async fn states(&self) -> Vec<(u32, VersionState)> {
        self.index().await.ledger.version_states().await.unwrap()
    }

    async fn lacks(&self) -> Vec<(String, String)> {
        let lacks = self.index().await.ledger.lacks(2, 99).await.unwrap();
        lacks.into_iter().map(|lack| (lack.id.to_string(), lack.reason)).collect()
    }

    async fn refused_to_promote(&self) -> String {
        promotion::promote(&self.index().await, None, &[]).await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn a_version_of_another_query_is_filled_by_a_backfill_served_and_kept() {
    let world = World::new(&[("m1", "Alien"), ("m2", "Brazil"), ("m3", "Cube")]).await;
    world.ask_for(&["m2"]).await;
    world.work().await;
    assert_eq!(world.bodies(2).await, [json!({"movieId": "m2", "title": "Brazil"})]);
    let filling = VersionState::Filling { cursor: None, filled: 0 };
    assert_eq!(
        world.states().await,
        [(1, VersionState::Served), (2, filling)],
        "nobody asked for the others"
    );
    assert!(world.refused_to_promote().await.contains("--into-new-version"));

    world.index().await.ledger.start_backfill(BackfillIds::IntoVersion(2)).await.unwrap();
    world.work().await;
    assert_eq!(world.states().await, [(1, VersionState::Served), (2, VersionState::Ready)]);
    let versions = |stored: Vec<StoredDocument>| -> Vec<_> {
        stored.into_iter().map(|stored| (stored.id, stored.version)).collect()
    };
    assert_eq!(versions(world.stored(1).await), versions(world.stored(2).await), "one fetch, one version");
    assert_eq!(world.bodies(1).await[0], json!({"movieId": "m1"}));

    let promoted = promotion::promote(&world.index().await, None, &[]).await.unwrap();
    assert_eq!((promoted.from, promoted.to, promoted.lacks), (1, 2, 0));
    world.graph.titles.lock().unwrap().remove("m3");
    world.graph.titles.lock().unwrap().insert("m4", "Dune");
    world.ask_for(&["m3", "m4"]).await;
    world.work().await;
    let index = world.index().await;
    assert_eq!((index.version, &*index.plan.fetch.query_hash), (2, "fedcba9876543210"));
    assert_eq!(world.bodies(2).await[2], json!({"movieId": "m4", "title": "Dune"}));
    assert_eq!(world.bodies(1).await[2], json!({"movieId": "m4"}), "it is fetched on for the way back");
    assert_eq!(world.stored(1).await.len(), 3);
    assert_eq!(promotion::roll_back(&index).await.unwrap().to, 1);
}

/// Each query asks in requests of its own, one after the other.
#[tokio::test]
async fn a_query_that_is_refused_holds_up_nobody_and_its_documents_are_lacking() {
    let world = World::new(&[("m1", "Alien"), ("m2", "Brazil")]).await;
    world.graph.answer_titles(Titles::Refused);
    world.graph.titles.lock().unwrap().insert("m3", "Cube");
    world.ask_for(&["m3"]).await;
    world.work().await;
    assert_eq!(world.stored(1).await.len(), 3, "the served version has it");
    let index = world.index().await;
    assert_eq!((index.ledger.held_count().await.unwrap(), index.log.lag(Lane::Live).await.unwrap()), (0, 0));
    let lacks = world.lacks().await;
    assert!(matches!(&*lacks, [(id, why)] if id == "m3" && why.contains("`title`")), "{lacks:?}");
    assert!(world.refused_to_promote().await.contains("1 are lacking, such as m3"));

    world.graph.answer_titles(Titles::Answered);
    index.ledger.start_backfill(BackfillIds::IntoVersion(2)).await.unwrap();
    world.work().await;
    assert_eq!((world.lacks().await, world.bodies(2).await.len()), (Vec::new(), 3));
    assert_eq!(world.states().await[1].1, VersionState::Ready);
}

#[tokio::test]
async fn a_document_that_fails_by_another_query_is_lacking_alone() {
    let world = World::new(&[("m1", "Alien"), ("m2", "Brazil"), ("m3", "Cube")]).await;
    world.graph.answer_titles(Titles::FailsFor("m2"));
    world.ask_for(&["m1", "m2", "m3"]).await;
    world.work().await;
    let lacks: Vec<String> = world.lacks().await.into_iter().map(|(id, _)| id).collect();
    assert_eq!((lacks, world.bodies(2).await.len()), (vec!["m2".to_owned()], 2));
    assert_eq!(world.index().await.ledger.held_count().await.unwrap(), 0, "nothing is the matter with it");
}

#[tokio::test]
async fn what_only_another_query_finds_gone_is_not_gone() {
    let world = World::new(&[("m1", "Alien")]).await;
    world.ask_for(&["m1"]).await;
    world.work().await;
    world.graph.answer_titles(Titles::Nothing);
    world.ask_for(&["m1"]).await;
    world.work().await;
    assert_eq!(world.bodies(2).await, [json!({"movieId": "m1", "title": "Alien"})]);
    assert!(matches!(&*world.lacks().await, [(id, why)] if id == "m1" && why.contains("null")));
    world.graph.answer_titles(Titles::Answered);
    world.graph.titles.lock().unwrap().clear();
    world.ask_for(&["m1"]).await;
    world.work().await;
    assert_eq!((world.stored(1).await, world.stored(2).await, world.lacks().await), (vec![], vec![], vec![]));
}

#[tokio::test]
async fn both_queries_are_asked_for_the_same_documents_in_requests_of_their_own() {
    let world = World::new(&[("m1", "Alien"), ("m2", "Brazil")]).await;
    world.ask_for(&["m1", "m2"]).await;
    world.work().await;
    let asked = world.graph.asked.lock().unwrap().clone();
    let both = vec!["m1".to_owned(), "m2".to_owned()];
    assert_eq!(asked, [(false, both.clone()), (true, both)]);
}

#[tokio::test]
async fn a_backfill_into_a_version_that_is_gone_fails() {
    let world = World::new(&[("m1", "Alien")]).await;
    let index = world.index().await;
    index.ledger.start_backfill(BackfillIds::IntoVersion(2)).await.unwrap();
    provision(&world.state(), &testing::movies()).unwrap();
    world.work().await;
    let backfill = index.newest_backfill().await.unwrap().unwrap().backfill;
    assert!(backfill.error.as_deref().unwrap_or_default().contains("index version 2"), "{backfill:?}");
}

/// Where a source's keys stand follows from the query, and a source may be needed by one of the queries alone.
#[tokio::test]
async fn keys_are_looked_up_in_both_versions_by_their_own_paths() {
    let world = World::new(&[("m1", "Alien")]).await;
    let mut plan = titled();
    plan.sources[1].reverse_lookup = vec!["crew.talentId".to_owned()];
    plan.sources.push(plan::SourcePlan { name: "studios".to_owned(), ..plan.sources[1].clone() });
    provision(&world.state(), &plan).unwrap();
    let index = world.index().await;
    let paths = |source: &str| -> Vec<Vec<String>> {
        index.looked_up(source).into_iter().map(|looked_up| looked_up.paths).collect()
    };
    assert_eq!(paths("talent"), [["actors.talentId"], ["crew.talentId"]]);
    assert_eq!(paths("studios"), [["crew.talentId"]]);
    assert_eq!(index.source("talent").unwrap().reverse_lookup, ["actors.talentId", "crew.talentId"]);
    let names: Vec<&str> = index.sources.iter().map(|source| &*source.name).collect();
    assert_eq!(names, ["movies", "talent", "studios"]);
}
