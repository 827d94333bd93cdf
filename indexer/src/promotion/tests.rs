//! The sampled audit among the checks, over a state file and a graph of mocks.

use std::path::PathBuf;

use plan::{DocumentId, DocumentVersion, Epoch, IndexPlan, field::MappingKind};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    endpoints::Place,
    filling::Filling,
    graph::{GraphError, GraphRequest, mocks::MockGraph},
    provision::state::provision,
    store::Document,
    testing,
};

/// A first version, and a second one that is filled from it.
struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    index: Index,
}

impl World {
    async fn new(movies: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        let mut first: IndexPlan = testing::movies();
        first.fields.0[3].mapping.kind = MappingKind::Object;
        provision(&path, &first).unwrap();
        let index = Index::open("movies", &Place::embedded(&path)).await.unwrap();
        index.store.write((0..movies).map(movie).collect()).await.unwrap();
        provision(&path, &testing::movies()).unwrap();
        let index = Index::open("movies", &Place::embedded(&path)).await.unwrap();
        Filling::new(index.clone(), CancellationToken::new()).run(true).await.unwrap();
        Self { _folder: folder, path, index }
    }

    /// Lets the second version lose a document, or find it again. Of one query, versions share the documents themselves.
    fn move_entry(&self, id: &str, by: i64) {
        let state = rusqlite::Connection::open(&self.path).unwrap();
        let sql = "UPDATE entry_000002 SET doc = doc + ?1 WHERE id = ?2";
        assert_eq!(state.execute(sql, (by, id)).unwrap(), 1);
    }

    /// A graph of so many movies, with these titles for some of them.
    fn graph(&self, movies: u64, titles: &[(u64, &str)]) -> Arc<MockGraph> {
        let response = |at: u64| {
            let title = titles.iter().find(|(other, _)| *other == at).map_or("as it is", |(_, title)| *title);
            (format!("m{at}"), json!({"data": {"movie": {"movieId": format!("m{at}"), "title": title}}}))
        };
        Arc::new(MockGraph::new(Arc::clone(&self.index.plan), (0..movies).map(response).collect()))
    }

    async fn promote(&self, graph: Arc<dyn Graph>) -> Result<Promoted, PromotionError> {
        promote_audited(&self.index, None, &[], graph).await
    }

    async fn served(&self) -> u32 {
        served(&self.index.versions().await.unwrap()).unwrap().number()
    }
}

fn movie(at: u64) -> Document {
    let body: Value = json!({"movieId": format!("m{at}"), "title": "as it is"});
    Document {
        id: DocumentId::new(format!("m{at}")).unwrap(),
        version: DocumentVersion::new(Epoch::ZERO, 1),
        body: Some(body.to_string()),
        fetched_at: 0,
        missing: Vec::new(),
    }
}

/// Answers nothing.
struct Away;

#[async_trait::async_trait]
impl Graph for Away {
    async fn send(&self, _: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        Err(GraphError::Unavailable { reason: "connection refused".to_owned(), retry_after: None })
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_graph_does_not_say_is_not_promoted() {
    let world = World::new(40).await;
    // The new version alone has got something wrong.
    world.move_entry("m7", 1_000);
    let refused = world.promote(world.graph(40, &[])).await.unwrap_err();
    assert_eq!(refused.code(), SS604);
    assert_eq!(
        refused.to_string(),
        "index version 2 is not promoted: 1 of 40 documents that were compared differ from the graph: m7 (missing)"
    );
    assert_eq!(world.served().await, 1);
    world.move_entry("m7", -1_000);
    let graph = world.graph(40, &[]);
    assert_eq!(world.promote(graph.clone()).await.unwrap().to, 2);
    assert_eq!((graph.asked().documents.len(), world.served().await), (40, 2), "all of so few");
}

#[tokio::test(start_paused = true)]
async fn what_the_served_version_shows_too_holds_nothing_back() {
    let world = World::new(40).await;
    let promoted = world.promote(world.graph(40, &[(3, "renamed, and nobody told")])).await.unwrap();
    assert_eq!((promoted.from, promoted.to), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn of_many_documents_some_are_compared() {
    let world = World::new(1_000).await;
    let graph = world.graph(1_000, &[]);
    world.promote(graph.clone()).await.unwrap();
    let compared = graph.asked().documents.len();
    assert!((80..=100).contains(&compared), "{compared}: a document may be picked of both versions");
}

#[tokio::test(start_paused = true)]
async fn without_a_graph_nothing_is_promoted_unless_nothing_is_to_be_compared() {
    let world = World::new(3).await;
    let refused = world.promote(Arc::new(Away)).await.unwrap_err();
    assert_eq!(refused.code(), SS604);
    assert!(refused.to_string().contains("connection refused"), "{refused}");
    assert_eq!(world.served().await, 1);
    let mut plan = testing::movies();
    plan.backfill.checks.sample = 0;
    provision(&world.path, &plan).unwrap();
    assert_eq!(world.promote(Arc::new(Away)).await.unwrap().to, 2);
}

#[tokio::test(start_paused = true)]
async fn of_two_promotions_at_once_one_comes_second() {
    let world = World::new(40).await;
    let graph = world.graph(40, &[]);
    let (one, other) = tokio::join!(world.promote(graph.clone()), world.promote(graph.clone()));
    let (first, second) = if one.is_ok() { (one, other) } else { (other, one) };
    let first = first.unwrap();
    assert_eq!((first.from, first.to), (1, 2));
    // Too late to begin with, or overtaken.
    assert!([SS605, SS606].contains(&second.unwrap_err().code()));
    assert_eq!(world.served().await, 2);
}
