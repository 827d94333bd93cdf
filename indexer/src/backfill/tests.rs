//! Enumeration over a state file, against a gateway that fails.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use plan::index_plan::{IdQuery, IdSource, Paging};
use tokio::time::timeout;

use super::*;
use crate::{
    Index, StateFile,
    endpoints::Place,
    graph::GraphRequest,
    ledger::Ledger,
    provision::state::provision,
    run::{Process, RunError, RunOptions},
    source::inbox,
    testing,
};

/// Fails so often, then names one movie.
struct Failing {
    error: GraphError,
    times: usize,
    asked: AtomicUsize,
}

#[async_trait]
impl Graph for Failing {
    async fn send(&self, _: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        match self.asked.fetch_add(1, Ordering::SeqCst) {
            asked if asked < self.times => Err(self.error.clone()),
            _ => Ok(br#"{"data":{"movies":[{"movieId":"m1"}]}}"#.to_vec()),
        }
    }
}

struct Bench {
    _folder: tempfile::TempDir,
    state: StateFile,
    ledger: Arc<dyn Ledger>,
    backfills: Backfills,
}

async fn bench(ids: IdSource, error: GraphError, times: usize) -> Bench {
    bench_over(ids, Arc::new(Failing { error, times, asked: AtomicUsize::new(0) })).await
}

async fn bench_over(ids: IdSource, graph: Arc<dyn Graph>) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movies.db");
    let mut plan = testing::movies();
    plan.backfill.ids = Some(ids);
    provision(&path, &plan).unwrap();
    let index = Index::open("movies", &Place::embedded(&path)).await.unwrap();
    let ids_file = Some(folder.path().join("ids.txt"));
    let backfills = Backfills::over(&index, graph, ids_file, CancellationToken::new());
    let state = index.state().unwrap().clone();
    Bench { _folder: folder, state, ledger: index.ledger, backfills }
}

fn query() -> IdSource {
    IdSource::Query(IdQuery {
        query: String::new(),
        operation_name: String::new(),
        ids: ["movies", "movieId"].map(str::to_owned).to_vec(),
        id_variable: None,
        paging: None,
        count: None,
    })
}

fn unauthorized() -> GraphError {
    GraphError::Unauthorized("401: who are you".to_owned())
}

fn down() -> GraphError {
    GraphError::Unavailable { reason: "connection refused".to_owned(), retry_after: None }
}

/// Pages whose cursors lead from 0 to 1, to 2, and back to 1.
struct Round;

#[async_trait]
impl Graph for Round {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let at = request.variables.get("after").and_then(|cursor| cursor.as_str()?.parse().ok()).unwrap_or(0);
        let next = if at == 2 { 1 } else { at + 1 };
        let page = serde_json::json!({"data": {"page": {"hasNextPage": true, "endCursor": next.to_string()},
            "movies": [{"movieId": format!("m{at}")}]}});
        Ok(page.to_string().into_bytes())
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_go_round_end_with_an_error() {
    let IdSource::Query(mut asked) = query() else { unreachable!("it is one") };
    asked.paging = Some(Paging::Relay { page_info: vec!["page".to_owned()], after: "after".to_owned() });
    let bench = bench_over(IdSource::Query(asked), Arc::new(Round)).await;
    bench.ledger.start_backfill(BackfillIds::Enumerated).await.unwrap();
    timeout(Duration::from_mins(1), bench.backfills.run(Some(5))).await.expect("it ends").unwrap();
    let backfill = bench.ledger.backfills().await.unwrap().remove(0);
    assert_eq!(backfill.state, BackfillState::Failed);
    assert!(backfill.error.is_some_and(|error| error.starts_with("SS607")));
    assert!((3..12).contains(&backfill.enumerated), "{}", backfill.enumerated);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_waited_for() {
    let bench = bench(query(), unauthorized(), 3).await;
    bench.ledger.start_backfill(BackfillIds::Enumerated).await.unwrap();
    let (stop, ledger) = (bench.backfills.stop.clone(), Arc::clone(&bench.ledger));
    let run = tokio::spawn(async move { bench.backfills.run(None).await });
    let mut shown = None;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let backfill = ledger.backfills().await.unwrap().remove(0);
        shown = backfill.error.or(shown);
        match backfill.state {
            BackfillState::Enumerating => {}
            BackfillState::Rebuilding => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(shown.is_some_and(|shown| shown.contains("who are you")));
    stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn once_gives_up_and_the_backfill_goes_on_later() {
    for (error, least) in [(down(), 10), (unauthorized(), 0)] {
        let bench = bench(query(), error.clone(), 100).await;
        bench.ledger.start_backfill(BackfillIds::Enumerated).await.unwrap();
        let started = Instant::now();
        let ended = timeout(Duration::from_mins(1), bench.backfills.run(Some(5))).await;
        let given_up = ended.expect("it ends").unwrap_err();
        assert!(matches!(given_up, BackfillError::Graph(graph) if graph == error));
        assert!(started.elapsed() >= Duration::from_secs(least), "{:?}", started.elapsed());
        assert_eq!(bench.ledger.backfills().await.unwrap()[0].state, BackfillState::Enumerating);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_file_fails_for_good() {
    let bench = bench(IdSource::File, down(), 0).await;
    bench.ledger.start_backfill(BackfillIds::Enumerated).await.unwrap();
    bench.backfills.run(Some(5)).await.unwrap();
    assert_eq!(bench.ledger.backfills().await.unwrap()[0].state, BackfillState::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_backfill_that_ended_is_not_looked_at_again() {
    let bench = bench(query(), down(), 0).await;
    bench.ledger.start_backfill(BackfillIds::Enumerated).await.unwrap();
    let ended = "UPDATE backfill SET state = '\"DONE\"', ids = 'not read any more'";
    bench.state.in_transaction(|tx| tx.execute_batch(ended)).unwrap();
    bench.backfills.run(Some(5)).await.unwrap();
}

/// The whole process, with a gateway that nobody listens at: an error, so that a script sees that its wish was not carried out.
#[tokio::test(start_paused = true)]
async fn a_run_once_without_a_gateway_ends_with_an_error() {
    for is_event in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("movies.db");
        let mut plan = testing::movies();
        plan.backfill.ids = Some(query());
        let IdSource::Query(back_reference) = query() else { unreachable!("it is one") };
        plan.sources[1].back_reference = Some(back_reference);
        provision(&state, &plan).unwrap();
        let endpoints = testing::endpoints(folder.path(), "http://127.0.0.1:1/");
        let process = Process::start("movies", endpoints).await.unwrap();
        if is_event {
            let event = br#"{"key":"t1","value":{}}"#.to_vec();
            inbox::accept(process.index().state().unwrap(), "talent", vec![event]).await.unwrap();
        } else {
            process.index().ledger.start_backfill(BackfillIds::Enumerated).await.unwrap();
        }
        let run = process.run(RunOptions { once: true, ..RunOptions::default() }, CancellationToken::new());
        let ended = timeout(Duration::from_mins(10), run).await.expect("it ends");
        assert!(matches!(ended, Err(RunError::Graph(GraphError::Unavailable { .. }))), "{ended:?}");
    }
}

/// Ids that are integers, in a file that doesn't only hold such.
#[tokio::test(start_paused = true)]
async fn what_is_no_id_is_a_dead_letter_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movies.db");
    let mut plan = testing::movies();
    plan.backfill.ids = Some(IdSource::File);
    plan.key.kind = plan::IdKind::Integer;
    provision(&path, &plan).unwrap();
    let ids = folder.path().join("ids.txt");
    std::fs::write(&ids, "17\nm18\n19.5\n\n20\n").unwrap();
    let index = Index::open("movies", &Place::embedded(&path)).await.unwrap();
    let graph = Arc::new(Failing { error: down(), times: 0, asked: AtomicUsize::new(0) });
    let backfills = Backfills::over(&index, graph, Some(ids), CancellationToken::new());
    index.ledger.start_backfill(BackfillIds::Enumerated).await.unwrap();
    backfills.run(Some(5)).await.unwrap();
    let backfill = index.ledger.backfills().await.unwrap().remove(0);
    assert_eq!((backfill.state, backfill.enumerated), (BackfillState::Rebuilding, 2));
    let letters = index.log.dead_letters(9).await.unwrap();
    let told: Vec<(&str, &str)> = letters.iter().map(|letter| (&*letter.code, &*letter.position)).collect();
    assert_eq!(told, [("SS603", "byte 7"), ("SS603", "byte 3")]);
}
