//! Audits of an index whose documents were changed by a stranger, and of one that is being worked on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use plan::{
    DocumentId, DocumentVersion, Epoch, IndexPlan,
    index_plan::{AuditPlan, IdSource},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    Index,
    endpoints::Place,
    graph::{Graph, GraphRequest},
    ledger::{Figures, Hold, HoldCause},
    log::{
        Append, Cause, Entry, Lane, Ownership,
        sqlite::{SqliteLog, WholeLog},
    },
    now_ms,
    provision::state::provision,
    revision::Wants,
    run::{Process, RunEnd, RunError, RunOptions},
    store::Document,
    testing,
};

/// A graph of movies that anybody may change.
#[derive(Default)]
struct World {
    movies: Mutex<BTreeMap<String, Value>>,
    /// An id whose title is another one at each answer.
    restless: Mutex<Option<String>>,
    answers: AtomicU64,
    /// An id that makes every request fail.
    poison: Mutex<Option<String>>,
}

impl World {
    fn put(&self, id: &str, title: &str) {
        let movie = json!({"movieId": id, "title": title, "production": {"status": "WRAPPED"},
            "actors": [{"talentId": "t1", "name": "A"}, {"talentId": "t2", "name": "B"}]});
        self.movies.lock().unwrap().insert(id.to_owned(), movie);
    }

    fn movie(&self, id: &str) -> Option<Value> {
        self.movies.lock().unwrap().get(id).cloned()
    }
}

#[async_trait]
impl Graph for World {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let answer = self.answers.fetch_add(1, Ordering::Relaxed);
        let ids: Vec<(&String, &str)> =
            request.variables.iter().map(|(name, id)| (name, id.as_str().unwrap())).collect();
        if ids.iter().any(|(_, id)| self.poison.lock().unwrap().as_deref() == Some(*id)) {
            return Err(GraphError::Unavailable { reason: "500".to_owned(), retry_after: None });
        }
        let data: serde_json::Map<String, Value> = ids
            .into_iter()
            .map(|(name, id)| {
                let mut movie = self.movie(id).unwrap_or_default();
                if self.restless.lock().unwrap().as_deref() == Some(id) {
                    movie["title"] = json!(format!("title {answer}"));
                }
                (name.replace("id", "d"), movie)
            })
            .collect();
        Ok(json!({ "data": data }).to_string().into_bytes())
    }
}

struct Bench {
    folder: tempfile::TempDir,
    index: Index,
    world: Arc<World>,
    written: AtomicU64,
}

fn plan() -> IndexPlan {
    let mut plan = testing::movies();
    plan.graph.deadline_ms = 1_000;
    plan.backfill.ids = Some(IdSource::File);
    plan.audit = Some(AuditPlan { confirm_after_ms: 500, full: None, sample_per_second: None, repair: true });
    plan
}

impl Bench {
    /// An index of so many movies, equal to the graph.
    async fn of(plan: IndexPlan, movies: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        provision(&path, &plan).unwrap();
        let index = Index::open("movies", &Place::embedded(&path)).await.unwrap();
        let bench = Self { folder, index, world: Arc::default(), written: AtomicU64::new(0) };
        let ids: Vec<String> = (0..movies).map(|number| format!("m{number:05}")).collect();
        for id in &ids {
            bench.world.put(id, "A title");
        }
        for ids in ids.chunks(500) {
            bench.write(ids.iter().map(|id| (id.as_str(), bench.world.movie(id))).collect()).await;
        }
        bench.enumerates(&ids);
        bench
    }

    fn enumerates(&self, ids: &[String]) {
        std::fs::write(self.folder.path().join("ids.txt"), ids.join("\n") + "\n").unwrap();
    }

    /// Writes into the index, whatever the graph says.
    async fn write(&self, documents: Vec<(&str, Option<Value>)>) {
        let documents = documents.into_iter().map(|(id, body)| Document {
            id: DocumentId::new(id).unwrap(),
            version: DocumentVersion::new(Epoch::ZERO, self.written.fetch_add(1, Ordering::Relaxed) + 1),
            body: body.map(|body| body.to_string()),
            fetched_at: 0,
            missing: Vec::new(),
        });
        self.index.store.write(documents.collect()).await.unwrap();
    }

    fn auditor(&self, repair: bool) -> Auditor {
        let graph: Arc<dyn Graph> = Arc::clone(&self.world) as Arc<dyn Graph>;
        let ids = Some(self.folder.path().join("ids.txt"));
        Auditor::new(&self.index, graph, ids, Gate::Command, repair, CancellationToken::new())
    }

    async fn full(&self, repair: bool) -> Report {
        let mut sweep = Sweep::full(AuditKind::AskedFull.begin());
        let mut auditor = self.auditor(repair);
        while auditor.step(&mut sweep).await.unwrap() {}
        assert!(sweep.row.ended_at.is_some() && sweep.row.walk == Walk::Over);
        sweep.row.report
    }

    /// Says that a process works on the index, for a moment.
    async fn somebody_works(&self) {
        let figures =
            Figures { process: "p".to_owned(), at: now_ms(), deadline_ms: 1_000, ..Figures::default() };
        self.index.ledger.publish(&figures).await.unwrap();
    }

    async fn wish(&self, id: &str) {
        let entry = Entry::new(DocumentId::new(id).unwrap(), Lane::Live, Cause::Event);
        self.index.log.append(Append { entries: vec![entry], ..Append::default() }).await.unwrap();
    }

    /// The share of the log, as a process would have it.
    fn log(&self) -> SqliteLog {
        SqliteLog::new(self.index.state().unwrap().clone())
    }

    fn run(&self) -> Running {
        let endpoints = testing::endpoints(self.folder.path(), "http://127.0.0.1:1/");
        let endpoints = crate::Endpoints { ids_file: Some(self.folder.path().join("ids.txt")), ..endpoints };
        let graph: Arc<dyn Graph> = Arc::clone(&self.world) as Arc<dyn Graph>;
        let stop = CancellationToken::new();
        let ended = stop.clone();
        let process = tokio::spawn(async move {
            Process::over("movies", endpoints, graph).await?.run(RunOptions::default(), ended).await
        });
        Running { stop, process }
    }
}

struct Running {
    stop: CancellationToken,
    process: JoinHandle<Result<RunEnd, RunError>>,
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.process.await.unwrap().unwrap();
    }
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_mins(1), "it never came true");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn found(report: &Report) -> BTreeSet<(&str, Kind)> {
    report.findings.iter().map(|finding| (finding.id.as_str(), finding.kind)).collect()
}

#[tokio::test]
async fn what_a_stranger_changed_is_found_told_by_owner_and_repaired() {
    let bench = Bench::of(plan(), 230).await;
    assert_eq!(
        bench.full(false).await,
        Report { looked: 230, equal: 230, enumerated: true, ..Report::default() }
    );
    let mut stale = bench.world.movie("m00007").unwrap();
    stale["title"] = json!("Another");
    stale["actors"][1]["name"] = json!("C");
    let mut untouched = bench.world.movie("m00008").unwrap();
    untouched.as_object_mut().unwrap().sort_keys();
    bench
        .write(vec![
            ("m00007", Some(stale)),
            ("m00008", Some(untouched)),
            ("m00009", None),
            ("ghost", Some(json!({"movieId": "ghost"}))),
        ])
        .await;
    bench.world.put("never-indexed", "New");
    let ids: Vec<String> = bench.world.movies.lock().unwrap().keys().cloned().collect();
    bench.enumerates(&ids);

    let report = bench.full(true).await;
    assert_eq!(
        found(&report),
        [
            ("ghost", Kind::Ghost),
            ("m00007", Kind::Stale),
            ("m00009", Kind::Missing),
            ("never-indexed", Kind::Missing)
        ]
        .into(),
        "{report:#?}"
    );
    assert_eq!((report.missing, report.stale, report.ghosts, report.repaired), (2, 1, 1, 4));
    assert_eq!((report.looked, report.equal, report.unsettled), (232, 228, 0));
    let fields: Vec<(&str, &str)> =
        report.fields.iter().map(|(path, count)| (path.as_str(), count.subgraphs[0].as_str())).collect();
    assert_eq!(fields, [("actors.name", "talent"), ("title", "movies")]);
    assert_eq!(report.subgraphs, [("movies".to_owned(), 1), ("talent".to_owned(), 1)].into());
    let differences =
        &report.findings.iter().find(|finding| finding.kind == Kind::Stale).unwrap().differences;
    assert_eq!(
        (differences[0].path.as_str(), differences[0].index.as_deref(), differences[1].path.as_str()),
        ("title", Some("\"Another\""), "actors[1].name")
    );
    let logged = bench.log().read(Lane::Backfill, 0, 100).await.unwrap();
    assert_eq!(logged.len(), 4);
    assert!(logged.iter().all(|logged| logged.entry.cause == Cause::Audit));
}

/// What is being rebuilt may differ for a moment, and says so no second time.
#[tokio::test]
async fn entries_in_the_log_are_waited_for_and_without_a_process_nothing_is_claimed() {
    let bench = Bench::of(plan(), 30).await;
    bench.world.put("m00003", "Changed");
    bench.wish("m00003").await;
    let report = bench.full(true).await;
    assert_eq!((report.stale, report.unsettled, report.equal, report.repaired), (0, 1, 29, 0));

    bench.somebody_works().await;
    let mut auditor = bench.auditor(true);
    let mut sweep = Sweep::full(AuditKind::AskedFull.begin());
    let (mut waited, begun) = (false, std::time::Instant::now());
    loop {
        bench.somebody_works().await;
        let more = auditor.step(&mut sweep).await.unwrap();
        if sweep.waits_for.is_some() && !waited {
            waited = true;
            assert!(
                begun.elapsed() > Duration::from_millis(1_400),
                "the deadline, and for the event to come"
            );
            bench.write(vec![("m00003", bench.world.movie("m00003"))]).await;
            let ends = bench.index.log.ends(Lane::Live).await.unwrap();
            let lock = bench.index.state().unwrap().lock_for_run().unwrap();
            let tenure = WholeLog::new(bench.log(), lock.into()).next_tenure(&CancellationToken::new()).await;
            tenure.unwrap().unwrap().commit(Lane::Live, &ends).await.unwrap();
        }
        if !more {
            break;
        }
    }
    assert!(waited);
    assert_eq!((sweep.row.report.stale, sweep.row.report.equal), (0, 30));
}

#[tokio::test]
async fn what_changes_all_the_time_is_no_finding() {
    let bench = Bench::of(plan(), 3).await;
    *bench.world.restless.lock().unwrap() = Some("m00001".to_owned());
    let report = bench.full(true).await;
    assert_eq!((report.different(), report.unsettled, report.equal), (0, 1, 2));
}

#[tokio::test]
async fn what_is_held_or_unanswered_is_told_apart() {
    let bench = Bench::of(plan(), 30).await;
    bench.world.put("m00003", "Changed");
    let cause = HoldCause { subgraph: None, code: "SS404".into(), path: None, message: "down".into() };
    let hold = Hold {
        id: DocumentId::new("m00003").unwrap(),
        version: DocumentVersion::from_stored(1),
        cause,
        wants: Wants::default(),
    };
    bench.index.ledger.hold(vec![hold]).await.unwrap();
    *bench.world.poison.lock().unwrap() = Some("m00004".to_owned());
    bench.world.put("m00005", "Changed, and nobody told");
    let report = bench.full(true).await;
    assert_eq!((report.unanswered, report.equal, report.stale, report.repaired), (2, 27, 1, 1));
    assert_eq!(found(&report), [("m00005", Kind::Stale)].into());
}

#[tokio::test]
async fn samples_go_round() {
    let bench = Bench::of(plan(), 10).await;
    bench.world.put("m00001", "Changed");
    let mut row = AuditKind::AskedSample.begin();
    let mut seen = Vec::new();
    for _ in 0..5 {
        let mut sweep = Sweep::sample(row, 4).around();
        let mut auditor = bench.auditor(false);
        while auditor.step(&mut sweep).await.unwrap() {}
        seen.push((sweep.row.report.looked, sweep.row.report.stale));
        row = AuditRow { walk: sweep.row.walk, ..AuditKind::AskedSample.begin() };
    }
    assert_eq!(
        seen,
        [(4, 1), (4, 0), (4, 1), (4, 0), (4, 0)],
        "from where the last one ended, around the end"
    );
    let mut sweep = Sweep::sample(row, 1_000).around();
    let mut auditor = bench.auditor(false);
    while auditor.step(&mut sweep).await.unwrap() {}
    assert_eq!((sweep.row.report.looked, sweep.row.report.stale), (10, 1), "none is looked at twice");
}

/// The matrix of faults: a thousand of each kind, while others change all the time, and the log repairs what was found.
#[tokio::test(flavor = "multi_thread")]
async fn under_live_changes_all_is_found_nothing_is_claimed_and_all_is_repaired() {
    const EACH: usize = 1_000;
    let mut planned = plan();
    planned.graph.max_concurrency = 8;
    // A thousand ghosts are many for the guard against an emptied index, which would ask a person.
    planned.errors.max_gone = 1.0;
    let bench = Arc::new(Bench::of(planned, 4 * EACH).await);
    let id = |number: usize| format!("m{number:05}");
    let mut wrong = bench.world.movie("m00000").unwrap();
    wrong["title"] = json!("Wrong");
    for numbers in (0..EACH).collect::<Vec<_>>().chunks(200) {
        let stale = |number: &usize| {
            wrong["movieId"] = json!(id(*number));
            (id(*number), Some(wrong.clone()))
        };
        let stale: Vec<_> = numbers.iter().map(stale).collect();
        bench.write(stale.iter().map(|(id, body)| (id.as_str(), body.clone())).collect()).await;
        let missing: Vec<_> = numbers.iter().map(|number| id(EACH + number)).collect();
        bench.write(missing.iter().map(|id| (id.as_str(), None)).collect()).await;
        for number in numbers {
            bench.world.movies.lock().unwrap().remove(&id(2 * EACH + number));
        }
    }
    let running = bench.run();
    eventually(async || !bench.index.ledger.figures().await.unwrap().is_empty()).await;
    let stop = CancellationToken::new();
    let (writer, ended) = (Arc::clone(&bench), stop.clone());
    // The events of these come a moment after the change.
    let writing = tokio::spawn(async move {
        let mut round = 0;
        while !ended.is_cancelled() {
            round += 1;
            let changed: Vec<String> =
                (0..20).map(|step| id(3 * EACH + (round * 37 + step * 41) % EACH)).collect();
            for id in &changed {
                writer.world.put(id, &format!("round {round}"));
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
            for id in &changed {
                writer.wish(id).await;
            }
        }
        round
    });
    let report = bench.full(true).await;
    assert_eq!(
        (report.missing, report.stale, report.ghosts),
        (1_000, 1_000, 1_000),
        "{:?}",
        report.findings.last()
    );
    let changed_in_vain =
        report.findings.iter().filter(|finding| finding.id.as_str() >= "m03000").collect::<Vec<_>>();
    assert!(changed_in_vain.is_empty(), "{changed_in_vain:?}");
    assert_eq!(report.repaired, 3_000);
    stop.cancel();
    let rounds = writing.await.unwrap();
    assert!(rounds > 20, "{rounds} rounds of changes are none");
    eventually(async || {
        bench.index.log.lag(Lane::Backfill).await.unwrap() + bench.index.log.lag(Lane::Live).await.unwrap()
            == 0
    })
    .await;
    let report = bench.full(false).await;
    assert_eq!((report.different(), report.unsettled, report.unanswered), (0, 0, 0), "{report:#?}");
    running.end().await;
}

/// Where nobody sees an event, the scheduled audits alone keep the index equal to the graph.
#[tokio::test(flavor = "multi_thread")]
async fn scheduled_audits_keep_fresh_what_no_event_tells() {
    let mut planned = plan();
    planned.audit = Some(AuditPlan {
        sample_per_second: Some(100.0),
        full: Some(plan::index_plan::Every::Daily),
        confirm_after_ms: 100,
        repair: true,
    });
    let bench = Bench::of(planned, 60).await;
    let long_ago = now_ms() - 2 * 24 * 60 * 60 * 1_000;
    let ended = AuditRow { ended_at: Some(long_ago), ..AuditRow::new(AuditKind::ScheduledFull, long_ago) };
    bench.index.ledger.save_audit(&ended).await.unwrap();
    bench.world.put("m00031", "Nobody tells");
    bench.world.put("new", "Nobody tells");
    let ids: Vec<String> = bench.world.movies.lock().unwrap().keys().cloned().collect();
    bench.enumerates(&ids);
    let running = bench.run();
    let is_indexed = async |id: &str| {
        let stored = bench.index.store.get(&DocumentId::new(id).unwrap()).await.unwrap();
        stored.and_then(|stored| stored.body).is_some_and(|body| body.contains("Nobody tells"))
    };
    eventually(async || is_indexed("m00031").await && is_indexed("new").await).await;
    let newest = async |kind: AuditKind| {
        bench.index.ledger.audits().await.unwrap().into_iter().find(|row| row.kind == kind)
    };
    eventually(async || {
        newest(AuditKind::ScheduledFull).await.is_some_and(|row| row.ended_at.is_some_and(|at| at > long_ago))
    })
    .await;
    let full = newest(AuditKind::ScheduledFull).await.unwrap();
    assert_eq!((full.report.missing, full.report.stale, full.report.repaired), (1, 1, 2), "{full:?}");
    bench.world.put("m00040", "Nobody tells");
    eventually(async || is_indexed("m00040").await).await;
    running.end().await;
}

#[test]
fn a_row_goes_forward_only() {
    let row = |started_at, looked, ended_at| AuditRow {
        ended_at,
        report: Report { looked, ..Report::default() },
        ..AuditRow::new(AuditKind::ScheduledFull, started_at)
    };
    assert!(row(1, 10, None).gives_way_to(&row(1, 20, None)));
    assert!(!row(1, 20, None).gives_way_to(&row(1, 10, None)));
    assert!(!row(1, 20, Some(5)).gives_way_to(&row(1, 30, None)), "it has ended");
    assert!(row(1, 20, Some(5)).gives_way_to(&row(2, 0, None)));
    assert!(!row(2, 0, None).gives_way_to(&row(1, 99, Some(5))));
}
