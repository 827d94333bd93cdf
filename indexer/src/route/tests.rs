//! A route alone, over a state file and a scripted gateway: what goes wrong outside, and what must not be lost then.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use plan::{
    Epoch, IndexPlan,
    index_plan::{IdQuery, Paging},
};
use serde_json::{Value, json};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{lookup::LookedUp, *};
use crate::{
    StateFile,
    graph::{Graph, GraphError, GraphRequest},
    ledger::{RetryPauses, sqlite::SqliteLedger},
    log::{Lane, sqlite::SqliteLog},
    provision::state::provision,
    rebuild::fetches::Fetches,
    source::{Position, file::FileSource, inbox},
    store::sqlite::SqliteStore,
    testing,
};

mod debezium;
mod versions;
mod wide_keys;

type Answer = Result<Value, GraphError>;

/// Answers each request by a function of its variables and of how many came before.
struct Scripted<F> {
    answer: F,
    asked: AtomicUsize,
}

#[async_trait]
impl<F: Fn(&Value, usize) -> Answer + Send + Sync> Graph for Scripted<F> {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let variables = Value::Object(request.variables.clone());
        let answer = (self.answer)(&variables, self.asked.fetch_add(1, Ordering::SeqCst));
        answer.map(|body| body.to_string().into_bytes())
    }
}

fn scripted(answer: impl Fn(&Value, usize) -> Answer + Send + Sync + 'static) -> Arc<dyn Graph> {
    Arc::new(Scripted { answer, asked: AtomicUsize::new(0) })
}

fn down(_: &Value, _: usize) -> Answer {
    Err(GraphError::Unavailable { reason: "connection refused".to_owned(), retry_after: None })
}

#[expect(clippy::unnecessary_wraps, reason = "one of many answers")]
fn movies_of(ids: &[&str]) -> Answer {
    let movies: Vec<Value> = ids.iter().map(|id| json!({"movieId": id})).collect();
    Ok(json!({"data": {"talent": {"movies": movies}}}))
}

#[expect(clippy::unnecessary_wraps, reason = "one of many answers")]
fn failed(message: &str, extra: &Value) -> Answer {
    let mut error = json!({"message": message, "path": ["talent"]});
    error.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap_or_default());
    Ok(json!({"data": {"talent": null}, "errors": [error]}))
}

/// A file of events of talents, and everything they are routed into.
struct Bench {
    folder: tempfile::TempDir,
    state: StateFile,
    plan: IndexPlan,
    log: Arc<SqliteLog>,
    ledger: Arc<SqliteLedger>,
    fetches: Arc<Fetches>,
    meter: Arc<Meter>,
    /// Ids asked of the index at once.
    page: usize,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        let mut plan = testing::movies();
        plan.sources.remove(0);
        plan.sources[0].back_reference = Some(IdQuery {
            query: String::new(),
            operation_name: String::new(),
            ids: ["talent", "movies", "movieId"].map(str::to_owned).to_vec(),
            id_variable: Some("talentId".to_owned()),
            paging: None,
            count: None,
        });
        provision(&path, &plan).unwrap();
        let state = StateFile::open(&path, &plan.name).unwrap();
        let fetches = Fetches::default();
        fetches.enter(Epoch::ZERO.next().unwrap());
        Self {
            log: Arc::new(SqliteLog::new(state.clone())),
            ledger: Arc::new(SqliteLedger::new(
                state.clone(),
                RetryPauses { initial_ms: 1_000, max_ms: 60_000 },
            )),
            fetches: Arc::new(fetches),
            meter: Arc::default(),
            page: lookup::PAGE,
            stop: CancellationToken::new(),
            folder,
            state,
            plan,
        }
    }

    /// Without a back-reference: events are routed and nobody is asked.
    fn of_roots() -> Self {
        let mut bench = Self::new();
        let source = &mut bench.plan.sources[0];
        (source.back_reference, source.is_root) = (None, true);
        source.reverse_lookup.clear();
        bench
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("talent.ndjson")
    }

    fn write(&self, keys: &[&str]) {
        fs::write(self.file(), lines(keys)).unwrap();
    }

    fn append(&self, keys: &[&str]) {
        let mut file = fs::OpenOptions::new().append(true).open(self.file()).unwrap();
        file.write_all(lines(keys).as_bytes()).unwrap();
    }

    fn route(&self, graph: Arc<dyn Graph>, once: bool) -> Route {
        let source = &self.plan.sources[0];
        let store = SqliteStore::new(self.state.clone(), Arc::new(self.plan.clone()), 1);
        Route {
            lookup: Arc::new(Lookup {
                source: source.clone(),
                root_kind: self.plan.key.kind,
                not_found_codes: self.plan.errors.not_found_codes.clone(),
                indexes: vec![LookedUp { store: Arc::new(store), paths: source.reverse_lookup.clone() }],
                graph,
                give_up_after: once.then_some(5),
                answered: std::sync::Mutex::default(),
                marks: wide::Marks::default(),
                page: self.page,
                meter: Arc::clone(&self.meter),
            }),
            filter: None,
            source: Box::new(FileSource::new(&source.name, &self.file())),
            log: self.log.clone(),
            ledger: self.ledger.clone(),
            barrier: Barrier::OwnFetches(Arc::clone(&self.fetches)),
            meter: Arc::clone(&self.meter),
            stop: self.stop.clone(),
            once,
        }
    }

    fn start(&self, graph: Arc<dyn Graph>) -> JoinHandle<Result<(), RouteError>> {
        tokio::spawn(self.route(graph, false).run())
    }

    async fn logged(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for lane in Lane::ALL {
            let page = self.log.read(lane, 0, 10_000).await.unwrap();
            ids.extend(page.into_iter().map(|logged| logged.entry.id.to_string()));
        }
        ids
    }

    async fn position(&self) -> Option<i64> {
        self.log.source_position("talent").await.unwrap()
    }

    async fn dead_letters(&self) -> Vec<(String, String, Vec<u8>)> {
        self.state
            .read(|conn| {
                let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
                conn.prepare("SELECT position, reason, record FROM dead_letter ORDER BY number")?
                    .query_map((), read)?
                    .collect()
            })
            .await
            .unwrap()
    }

    async fn eventually(&self, holds: impl AsyncFn() -> bool) {
        for _ in 0..6_000 {
            if holds().await {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("it never came true: {:?}, {:?}", self.logged().await, self.position().await);
    }
}

fn lines(keys: &[&str]) -> String {
    keys.iter().map(|key| json!({"key": key, "value": {}}).to_string() + "\n").collect()
}

fn length(keys: &[&str]) -> Option<i64> {
    i64::try_from(lines(keys).len()).ok()
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_emptied_is_read_from_its_start_when_it_grows() {
    let bench = Bench::of_roots();
    bench.write(&["t1", "t2"]);
    let run = bench.start(scripted(down));
    bench.eventually(async || bench.position().await == length(&["t1", "t2"])).await;
    bench.write(&[]);
    bench.eventually(async || bench.position().await == Some(0)).await;
    bench.write(&["t3", "t4", "t5"]);
    bench.eventually(async || bench.position().await == length(&["t3", "t4", "t5"])).await;
    assert_eq!(bench.logged().await, ["t1", "t2", "t3", "t4", "t5"]);
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_rotated_while_nobody_looked_is_read_from_its_start() {
    let bench = Bench::of_roots();
    bench.write(&["t1", "t2"]);
    bench.route(scripted(down), true).run().await.unwrap();
    fs::rename(bench.file(), bench.folder.path().join("talent.1")).unwrap();
    bench.write(&["t3", "t4", "t5"]);
    bench.route(scripted(down), true).run().await.unwrap();
    assert_eq!(bench.logged().await, ["t1", "t2", "t3", "t4", "t5"]);
    // The same inode with other content, as `copytruncate` leaves it.
    bench.write(&["t6", "t7", "t8", "t9"]);
    bench.route(scripted(down), true).run().await.unwrap();
    assert_eq!(bench.logged().await[5..], ["t6", "t7", "t8", "t9"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_to_a_file_after_it_was_renamed_is_read_first() {
    let bench = Bench::of_roots();
    bench.write(&["t1"]);
    let run = bench.start(scripted(down));
    bench.eventually(async || bench.position().await == length(&["t1"])).await;
    let renamed = bench.folder.path().join("talent.1");
    fs::rename(bench.file(), &renamed).unwrap();
    fs::OpenOptions::new().append(true).open(&renamed).unwrap().write_all(lines(&["t2"]).as_bytes()).unwrap();
    bench.write(&["t3"]);
    bench.eventually(async || bench.logged().await == ["t1", "t2", "t3"]).await;
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn blank_lines_at_the_end_are_read_past() {
    let bench = Bench::of_roots();
    bench.write(&["t1"]);
    bench.route(scripted(down), true).run().await.unwrap();
    fs::write(bench.file(), lines(&["t1"]) + "\n\n").unwrap();
    bench.route(scripted(down), true).run().await.unwrap();
    assert_eq!(bench.position().await, length(&["t1"]).map(|length| length + 2));
}

#[tokio::test(start_paused = true)]
async fn a_second_lookup_that_fails_ends_an_idle_source() {
    let bench = Bench::new();
    bench.write(&["t1"]);
    let (number, _) = bench.fetches.start();
    let run = bench.start(scripted(|_, _| movies_of(&["m1"])));
    bench.eventually(async || !bench.logged().await.is_empty()).await;
    bench.state.in_transaction(|tx| tx.execute_batch("DROP TABLE source_position")).unwrap();
    bench.fetches.end([number]);
    assert!(timeout(Duration::from_mins(1), run).await.expect("it ends").unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn many_small_batches_wait_for_their_barrier_and_hold_nobody_up() {
    let bench = Bench::new();
    bench.write(&[]);
    let (number, _) = bench.fetches.start();
    let run = bench.start(scripted(|variables, _| movies_of(&[variables["talentId"].as_str().unwrap()])));
    let keys: Vec<String> = (0..200).map(|number| format!("t{number}")).collect();
    for (at, key) in keys.iter().enumerate() {
        bench.append(&[key]);
        bench.eventually(async || bench.logged().await.len() == at + 1).await;
    }
    assert_eq!(bench.position().await, None, "the barrier has not passed");
    bench.fetches.end([number]);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    bench.eventually(async || bench.position().await == length(&keys)).await;
    assert_eq!(bench.logged().await, keys);
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_always_fails_is_a_dead_letter_and_the_others_go_on() {
    let bench = Bench::new();
    bench.write(&["t1", "t2", "t3"]);
    let run = bench.start(scripted(|variables, _| match variables["talentId"].as_str() {
        Some("t2") => failed("cannot read property 'id' of null", &json!({})),
        _ => movies_of(&["m1"]),
    }));
    bench.eventually(async || bench.position().await.is_some()).await;
    let letters = bench.dead_letters().await;
    let [(position, reason, record)] = &letters[..] else { panic!("{letters:?}") };
    assert!(position.contains("t2") && reason.contains("property 'id'"), "{position}: {reason}");
    assert_eq!(record, b"t2");
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_down_is_waited_for_and_nothing_is_given_up() {
    let bench = Bench::new();
    bench.write(&["t1", "t2"]);
    let run = bench.start(scripted(|variables, before| match before {
        0..15 => down(variables, before),
        _ => movies_of(&["m1"]),
    }));
    bench.eventually(async || bench.position().await.is_some()).await;
    assert_eq!(bench.dead_letters().await, []);
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_nobody_can_vouch_for_gets_more_time() {
    let bench = Bench::new();
    bench.write(&["t1"]);
    let run = bench.start(scripted(|_, _| failed("a subgraph starts", &json!({}))));
    sleep(Duration::from_mins(2)).await;
    assert_eq!(bench.position().await, None);
    bench.eventually(async || bench.position().await.is_some()).await;
    assert_eq!(bench.dead_letters().await.len(), 1);
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_subgraph_that_is_down_is_no_fault_of_the_keys() {
    let bench = Bench::new();
    bench.write(&["t1"]);
    // The first event is looked up twice, then the subgraph goes down.
    let start = Instant::now();
    let run = bench.start(scripted(move |_, before| match before {
        0..2 => movies_of(&["m1"]),
        _ if start.elapsed() > Duration::from_mins(30) => movies_of(&["m1"]),
        _ => failed("connect ECONNREFUSED", &json!({})),
    }));
    bench.eventually(async || bench.position().await.is_some()).await;
    bench.append(&["t2", "t3"]);
    sleep(Duration::from_mins(29)).await;
    assert_eq!(bench.position().await, length(&["t1"]));
    sleep(Duration::from_mins(2)).await;
    assert_eq!(bench.position().await, length(&["t1", "t2", "t3"]));
    assert_eq!(bench.dead_letters().await, []);
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn answers_that_gateways_give_are_understood() {
    let bench = Bench::new();
    bench.write(&["t1", "t2"]);
    let run = bench.start(scripted(|variables, _| match variables["talentId"].as_str() {
        Some("t1") => Ok(json!({"errors": null, "data": {"talent": {"movies": [{"movieId": "m1"}, null]}}})),
        _ => failed("no such talent", &json!({"extensions": {"code": "NOT_FOUND"}})),
    }));
    bench.eventually(async || bench.position().await.is_some()).await;
    assert_eq!((bench.logged().await, bench.dead_letters().await), (vec!["m1".to_owned()], vec![]));
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn pages_that_never_end_are_given_up() {
    let mut bench = Bench::new();
    let page_info = ["talent", "pageInfo"].map(str::to_owned).to_vec();
    bench.plan.sources[0].back_reference.as_mut().unwrap().paging =
        Some(Paging::Relay { page_info, after: "after".to_owned() });
    bench.write(&["t1", "t2"]);
    let run = bench.start(scripted(|variables, before| {
        assert!(before < 100, "it is asked for ever");
        let more = variables["talentId"] == "t2";
        let page_info = json!({"hasNextPage": more, "endCursor": "c"});
        Ok(json!({"data": {"talent": {"movies": [{"movieId": "m1"}], "pageInfo": page_info}}}))
    }));
    bench.eventually(async || bench.position().await.is_some()).await;
    assert_eq!(bench.dead_letters().await.len(), 1);
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_offset_counts_what_was_answered_and_not_what_was_an_id() {
    let mut bench = Bench::new();
    bench.plan.sources[0].back_reference.as_mut().unwrap().paging =
        Some(Paging::Offset { offset: "offset".to_owned() });
    bench.write(&["t1"]);
    let run = bench.start(scripted(|variables, before| {
        assert!(before < 100, "it is asked for ever");
        let all = [json!({"movieId": ""}), json!({"movieId": ""}), Value::Null, json!({"movieId": "m1"})];
        let offset = usize::try_from(variables["offset"].as_u64().unwrap_or(0)).unwrap();
        let page = all.get(offset).cloned().into_iter().collect::<Vec<Value>>();
        Ok(json!({"data": {"talent": {"movies": page}}}))
    }));
    bench.eventually(async || bench.position().await.is_some()).await;
    assert_eq!(bench.logged().await, ["m1"]);
    bench.stop.cancel();
    run.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_the_next_try() {
    let bench = Bench::new();
    bench.write(&["t1"]);
    let run = bench.start(scripted(down));
    sleep(Duration::from_secs(100)).await;
    let (stopped, stop) = (Instant::now(), bench.stop.clone());
    stop.cancel();
    run.await.unwrap().unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(1), "{:?}", stopped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn once_ends_when_the_gateway_is_down() {
    let bench = Bench::new();
    bench.write(&["t1"]);
    let ended = timeout(Duration::from_mins(5), bench.route(scripted(down), true).run()).await;
    assert!(ended.expect("it gives up").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_read_is_bounded_in_bytes() {
    let bench = Bench::of_roots();
    let body = "x".repeat(1_000_000);
    let line = |key: usize| json!({"key": key.to_string(), "value": {"body": body}}).to_string() + "\n";
    fs::write(bench.file(), (0..20).map(line).collect::<String>()).unwrap();
    let mut route = bench.route(scripted(down), true);
    let read = route.source.read(&Position::default(), BATCH).await.unwrap();
    assert!((1..=5).contains(&read.records.len()), "{}", read.records.len());
    let lines = (0..20).map(|key| line(key).trim().as_bytes().to_vec()).collect();
    inbox::accept(&bench.state, "talent", lines).await.unwrap();
    let mut inbox = inbox::InboxSource::new("talent", bench.state.clone());
    assert!((1..=5).contains(&inbox.read(&Position::default(), BATCH).await.unwrap().records.len()));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_cut() {
    let bench = Bench::of_roots();
    let line = json!({"key": null, "value": {"body": "x".repeat(900_000)}}).to_string();
    fs::write(bench.file(), line + "\n").unwrap();
    bench.route(scripted(down), true).run().await.unwrap();
    assert!(bench.dead_letters().await[0].2.len() <= 64 << 10);
}
