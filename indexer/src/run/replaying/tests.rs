//! Dead letters of a state file, replayed beside nobody: what goes, what stays, and when.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use plan::{DocumentVersion, Epoch, IndexPlan, index_plan::IdQuery};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::{
    endpoints::Place,
    graph::{GraphError, GraphRequest},
    log::{Cause, DeadLetter, MAX_DEAD_LETTER_BYTES, sqlite::SqliteLog},
    provision::state::provision,
    store::Document,
    testing,
};

/// Answers each request alike.
struct Fixed(Result<Value, ()>);

#[async_trait]
impl Graph for Fixed {
    async fn send(&self, _: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        match &self.0 {
            Ok(body) => Ok(body.to_string().into_bytes()),
            Err(()) => {
                Err(GraphError::Unavailable { reason: "connection refused".to_owned(), retry_after: None })
            }
        }
    }
}

struct Bench {
    folder: tempfile::TempDir,
    index: Index,
    log: SqliteLog,
}

impl Bench {
    async fn new(plan: &IndexPlan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (index, log) = provisioned(folder.path(), plan).await;
        Self { folder, index, log }
    }

    async fn bury(&self, source: &str, code: Code, record: &[u8]) -> LetterNumber {
        let letter = DeadLetter {
            source: source.to_owned(),
            position: "byte 0".to_owned(),
            code,
            reason: "it was not understood".to_owned(),
            record: record.to_vec(),
            original: None,
        };
        let append = Append { dead_letters: vec![letter], ..Append::default() };
        self.index.log.append(append).await.unwrap();
        self.index.log.dead_letters(1).await.unwrap()[0].number
    }

    async fn replay(
        &self,
        graph: Result<Value, ()>,
        numbers: &[LetterNumber],
    ) -> Result<Vec<Outcome>, RunError> {
        Replay::over(&self.index, Arc::new(Fixed(graph))).replay(numbers).await
    }

    async fn logged(&self) -> Vec<(String, Cause)> {
        let page = self.log.read(Lane::Live, 0, 1_000).await.unwrap();
        page.into_iter().map(|logged| (logged.entry.id.to_string(), logged.entry.cause)).collect()
    }

    async fn left(&self) -> u64 {
        self.index.log.dead_letter_count().await.unwrap()
    }

    async fn put(&self, id: &str, talent: &str, version: u64) {
        let body = json!({"movieId": id, "actors": [{"talentId": talent, "name": "x"}]}).to_string();
        let document = Document {
            id: DocumentId::new(id).unwrap(),
            version: DocumentVersion::new(Epoch::ZERO, version),
            body: Some(body),
            fetched_at: 0,
            missing: Vec::new(),
        };
        self.index.store.write(vec![document]).await.unwrap();
    }
}

async fn provisioned(folder: &Path, plan: &IndexPlan) -> (Index, SqliteLog) {
    let path = folder.join("movies.db");
    provision(&path, plan).unwrap();
    let index = Index::open(&plan.name, &Place::embedded(&path)).await.unwrap();
    let log = SqliteLog::new(index.state().unwrap().clone());
    (index, log)
}

fn with_back_reference() -> IndexPlan {
    let mut plan = testing::movies();
    plan.sources[1].back_reference = Some(IdQuery {
        query: String::new(),
        operation_name: String::new(),
        ids: ["talent", "movies", "movieId"].map(str::to_owned).to_vec(),
        id_variable: Some("talentId".to_owned()),
        paging: None,
        count: None,
    });
    plan
}

fn movies_of(ids: &[&str]) -> Value {
    let movies: Vec<Value> = ids.iter().map(|id| json!({"movieId": id})).collect();
    json!({"data": {"talent": {"movies": movies}}})
}

fn still(code: Code, outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Still { code: found, reason } if *found == code => reason,
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn what_a_corrected_plan_understands_is_replayed_and_the_rest_stays() {
    let bench = Bench::new(&testing::movies()).await;
    let good = bench.bury("movies", codes::SS302, br#"{"key": {"id": "m1"}, "value": null}"#).await;
    let bad = bench.bury("movies", codes::SS301, b"no event").await;
    let outcomes = bench.replay(Err(()), &[bad, good]).await.unwrap();
    assert!(still(codes::SS301, &outcomes[0]).contains("no event"));
    assert!(still(codes::SS302, &outcomes[1]).contains("key.movie_id"));
    assert_eq!((bench.left().await, bench.logged().await), (2, vec![]));

    let mut plan = testing::movies();
    plan.sources[0].id = plan::RecordPath::parse("key.id").ok();
    let (index, log) = provisioned(bench.folder.path(), &plan).await;
    let bench = Bench { index, log, ..bench };
    let outcomes = bench.replay(Err(()), &[good, bad]).await.unwrap();
    assert_eq!(outcomes[0], Outcome::Replayed);
    still(codes::SS301, &outcomes[1]);
    assert_eq!(bench.logged().await, [("m1".to_owned(), Cause::Event)]);
    assert_eq!(bench.index.log.dead_letters(9).await.unwrap()[0].number, bad);
    assert_eq!(bench.replay(Err(()), &[good]).await.unwrap(), [Outcome::Missing]);
    assert_eq!((bench.left().await, bench.logged().await.len()), (1, 1));
}

#[tokio::test]
async fn what_nobody_can_understand_says_why() {
    let bench = Bench::new(&testing::movies()).await;
    let mut long = br#"{"key": {"movie_id": "m1"}, "value": ""#.to_vec();
    long.resize(MAX_DEAD_LETTER_BYTES, b'x');
    let letters = [
        bench.bury("movies", codes::SS301, &long).await,
        bench.bury("gone", codes::SS301, b"{}").await,
        bench.bury("backfill 1", plan::code::backfill::SS603, b"{}").await,
    ];
    let outcomes = bench.replay(Err(()), &letters).await.unwrap();
    let reasons: Vec<&str> = outcomes.iter().map(|outcome| still(codes::SS330, outcome)).collect();
    assert!(reasons[0].contains("64 KiB") && reasons[1].contains("\"gone\""), "{reasons:?}");
    assert!(reasons[2].contains("backfill"), "{reasons:?}");
    assert_eq!(bench.left().await, 3);
}

#[tokio::test]
async fn a_truncate_pauses_the_index_as_it_does_when_it_arrives() {
    let bench = Bench::new(&testing::movies()).await;
    let letter = bench.bury("movies", codes::SS301, br#"{"value": {"op": "t"}}"#).await;
    assert_eq!(bench.replay(Err(()), &[letter]).await.unwrap(), [Outcome::Replayed]);
    assert!(truncate::is_unanswered(&*bench.index.ledger).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_related_event_is_looked_up_again_after_the_longest_deadline() {
    let bench = Bench::new(&testing::movies()).await;
    bench.put("m1", "t1", 1).await;
    let figures = crate::ledger::Figures {
        process: "other".to_owned(),
        at: crate::now_ms() + 60_000,
        deadline_ms: 60_000,
        ..Default::default()
    };
    bench.index.ledger.publish(&figures).await.unwrap();
    let letter = bench.bury("talent", codes::SS301, br#"{"key": "t1"}"#).await;
    let replay = Replay::over(&bench.index, Arc::new(Fixed(Err(()))));
    let running = tokio::spawn(async move { replay.replay(&[letter]).await });
    sleep(Duration::from_secs(59)).await;
    assert_eq!(bench.logged().await, [("m1".to_owned(), Cause::Lookup)]);
    assert_eq!(bench.left().await, 1, "a crash here must not lose it");
    bench.put("m2", "t1", 2).await;
    assert_eq!(running.await.unwrap().unwrap(), [Outcome::Replayed]);
    let logged = bench.logged().await;
    assert_eq!(logged, [("m1".to_owned(), Cause::Lookup), ("m2".to_owned(), Cause::Lookup)]);
    assert_eq!(bench.left().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_given_up_is_asked_about_again() {
    let bench = Bench::new(&with_back_reference()).await;
    let letter = bench.bury("talent", codes::SS304, b"t9").await;
    assert!(bench.replay(Err(()), &[letter]).await.is_err(), "the gateway is down");
    assert_eq!(bench.left().await, 1);
    let error = json!({"data": {"talent": null}, "errors": [{"message": "no name", "path": ["talent"]}]});
    let outcomes = bench.replay(Ok(error), &[letter]).await.unwrap();
    assert!(still(codes::SS304, &outcomes[0]).contains("no name"));
    assert_eq!(bench.left().await, 1);
    assert_eq!(bench.replay(Ok(movies_of(&["m7"])), &[letter]).await.unwrap(), [Outcome::Replayed]);
    assert_eq!((bench.left().await, bench.logged().await), (0, vec![("m7".to_owned(), Cause::Lookup)]));
}
