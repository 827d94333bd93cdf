//! Keys with more roots than `max_fanout`: nobody is held up by them, nothing is lost, and a hot one costs no more than it must.

use std::collections::BTreeMap;

use plan::{DocumentId, DocumentVersion, RecordPath, index_plan::ShownVersion};

use super::*;
use crate::{
    ledger::{FanOutStep, FanOuts, Fanning, FoundIn},
    revision::{Revision, Want, Wants},
    route::run::FanOutRuns,
    store::{Document, Store},
};

/// An index in which each of these movies has this talent, looked up two at a time, four at most at once.
async fn holding(movies: impl IntoIterator<Item = (String, &'static str)>) -> Bench {
    let mut bench = Bench::new();
    bench.page = 2;
    bench.plan.sources[0].back_reference = None;
    bench.plan.sources[0].max_fanout = 4;
    let store = SqliteStore::new(bench.state.clone(), Arc::new(bench.plan.clone()), 1);
    let document = |(movie, talent): (String, &str)| Document {
        id: DocumentId::new(movie.as_str()).unwrap(),
        version: DocumentVersion::from_stored(1),
        body: Some(json!({"movieId": movie, "actors": [{"talentId": talent, "name": "Ann"}]}).to_string()),
        fetched_at: 1,
        missing: Vec::new(),
    };
    store.write(movies.into_iter().map(document).collect()).await.unwrap();
    bench
}

fn ten(talent: &'static str) -> impl Iterator<Item = (String, &'static str)> {
    (0..10).map(move |number| (format!("m{number}"), talent))
}

impl Bench {
    /// Goes through the fan-outs that are there, and through those that follow from them.
    async fn fan_out(&self, graph: Arc<dyn Graph>) {
        self.runs(graph).run().await.unwrap();
    }

    fn runs(&self, graph: Arc<dyn Graph>) -> Arc<FanOutRuns> {
        let routed = CancellationToken::new();
        routed.cancel();
        let lookup = self.route(graph, true).lookup;
        Arc::new(FanOutRuns {
            lookups: BTreeMap::from([("talent".to_owned(), lookup)]),
            log: self.log.clone(),
            ledger: self.ledger.clone(),
            stop: self.stop.clone(),
            routed: Some(routed),
        })
    }

    async fn open(&self) -> Vec<FanOuts> {
        self.ledger.fan_outs().await.unwrap()
    }

    async fn lane(&self, lane: Lane) -> Vec<String> {
        let page = self.log.read(lane, 0, 10_000).await.unwrap();
        page.into_iter().map(|logged| logged.entry.id.to_string()).collect()
    }
}

fn ids(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("m{number}")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_goes_page_by_page_into_the_throttled_lane() {
    let bench = holding(ten("t1")).await;
    bench.write(&["t1"]);
    bench.route(scripted(down), true).run().await.unwrap();
    assert!(bench.position().await.is_some(), "what is asked for durably holds nobody up");
    assert_eq!((bench.lane(Lane::Live).await, bench.lane(Lane::Backfill).await), (ids(0..4), vec![]));
    let [open] = &bench.open().await[..] else { panic!("one is open") };
    assert_eq!(open.of, Fanning { source: "talent".to_owned(), found_in: FoundIn::Index });
    bench.fan_out(scripted(down)).await;
    // Each root once: what was queued at once was looked up again after the barrier.
    assert_eq!(bench.lane(Lane::Backfill).await, ids(4..10));
    assert_eq!((bench.open().await, bench.lane(Lane::Live).await), (vec![], ids(0..4)));
}

#[tokio::test(start_paused = true)]
async fn a_wide_answer_of_the_graph_goes_into_the_throttled_lane() {
    let mut bench = Bench::new();
    bench.plan.sources[0].max_fanout = 3;
    bench.write(&["t1"]);
    let graph = || scripted(|_, _| movies_of(&["m0", "m1", "m2", "m3", "m4"]));
    bench.route(graph(), true).run().await.unwrap();
    assert_eq!(bench.lane(Lane::Live).await, ids(0..3));
    assert_eq!(bench.open().await[0].of.found_in, FoundIn::Graph);
    bench.fan_out(graph()).await;
    assert_eq!((bench.lane(Lane::Backfill).await, bench.open().await), (ids(0..5), vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_breaks_off_goes_on_where_it_was() {
    let bench = holding(ten("t1")).await;
    bench.write(&["t1"]);
    bench.route(scripted(down), true).run().await.unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON log WHEN (SELECT count(*) FROM log) >= 8
                BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";
    bench.state.in_transaction(|tx| tx.execute_batch(full)).unwrap();
    bench.runs(scripted(down)).run().await.unwrap_err();
    bench.state.in_transaction(|tx| tx.execute_batch("DROP TRIGGER full")).unwrap();
    assert_eq!(bench.lane(Lane::Backfill).await, ids(4..8));
    let run = bench.open().await[0].running.clone().unwrap();
    assert_eq!((run.roots, run.after.as_deref()), (4, Some("m7")));
    bench.fan_out(scripted(down)).await;
    assert_eq!(bench.lane(Lane::Backfill).await, ids(4..10));
}

#[tokio::test(start_paused = true)]
async fn a_wide_key_leaves_the_others_their_room() {
    let cold = [("n1".to_owned(), "t2"), ("n2".to_owned(), "t3")];
    let bench = holding(ten("t1").chain(cold)).await;
    bench.write(&["t1", "t2", "t3"]);
    bench.route(scripted(down), true).run().await.unwrap();
    assert_eq!(bench.lane(Lane::Live).await, ["n1", "n2", "m0", "m1"]);
    bench.fan_out(scripted(down)).await;
    let throttled = bench.lane(Lane::Backfill).await;
    assert!(ids(2..10).iter().all(|id| throttled.contains(id)), "{throttled:?}");
}

/// A thousand events of a hot key, some before its fan-out, some while it goes on.
#[tokio::test(start_paused = true)]
async fn a_hot_key_costs_two_fan_outs_however_often_it_changes() {
    let bench = holding(ten("t1")).await;
    bench.write(&[]);
    let (number, _) = bench.fetches.start();
    let route = bench.start(scripted(down));
    let told = async |from: usize| {
        for batch in from..from + 25 {
            bench.append(&["t1"; 20]);
            let read = (batch as u64 + 1) * 20;
            bench.eventually(async || bench.meter.events.load(Ordering::SeqCst) == read).await;
        }
    };
    told(0).await;
    bench.eventually(async || bench.lane(Lane::Live).await.len() == 4).await;
    bench.fetches.end([number]);
    bench.eventually(async || bench.position().await == length(&["t1"; 500])).await;
    let of = bench.open().await.remove(0).of;
    bench.ledger.step_fan_outs(&of, FanOutStep::Begin).await.unwrap();
    told(25).await;
    bench.eventually(async || bench.position().await == length(&["t1"; 1_000])).await;
    bench.fan_out(scripted(down)).await;
    assert_eq!(bench.open().await, []);
    let appended = bench.lane(Lane::Live).await.len() + bench.lane(Lane::Backfill).await.len();
    assert!(appended <= 2 * 10 + 4, "{appended} entries for ten roots");
    let asked = bench.meter.metrics.pages_asked(FoundIn::Index);
    assert!(asked <= 25, "{asked} pages were asked for, of five");
    bench.stop.cancel();
    route.await.unwrap().unwrap();
}

/// What waits for one barrier together is looked up once after it, however few roots it has.
#[tokio::test(start_paused = true)]
async fn batches_that_are_due_together_share_a_lookup() {
    let bench = holding([("m1".to_owned(), "t1"), ("m2".to_owned(), "t2")]).await;
    bench.write(&[]);
    let (number, _) = bench.fetches.start();
    let route = bench.start(scripted(down));
    let rounds: Vec<&[&str]> =
        (0..100).map(|round| if round == 7 { &["t1", "t2"][..] } else { &["t1"] }).collect();
    let keys = rounds.concat();
    let mut queued = 0;
    for round in rounds {
        bench.append(round);
        queued += round.len();
        bench.eventually(async || bench.lane(Lane::Live).await.len() == queued).await;
    }
    bench.fetches.end([number]);
    bench.eventually(async || bench.position().await == length(&keys)).await;
    // Each batch at once, where two fill a page each alone; after the barrier t1 and t2 once.
    assert_eq!(bench.meter.metrics.pages_asked(FoundIn::Index), 99 + 3 + 2);
    assert_eq!(bench.lane(Lane::Live).await.len(), queued, "nothing is queued after the barrier");
    bench.stop.cancel();
    route.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn roots_of_a_wide_key_must_show_its_version() {
    let mut bench = holding(ten("t1")).await;
    let source = &mut bench.plan.sources[0];
    source.version = RecordPath::parse("value.updated_at").ok();
    source.shown =
        vec![ShownVersion { path: "actors.name".to_owned(), key: Some("actors.talentId".to_owned()) }];
    let line = |version: u32| json!({"key": "t1", "value": {"updated_at": version}}).to_string() + "\n";
    fs::write(bench.file(), line(7) + &line(5)).unwrap();
    bench.route(scripted(down), true).run().await.unwrap();
    bench.fan_out(scripted(down)).await;
    let revision = Revision::read(&json!(7)).unwrap();
    let key = DocumentId::new("t1").ok();
    let wanted = Wants::from_iter([Want { source: "talent".to_owned(), key, revision }]);
    let throttled = bench.log.read(Lane::Backfill, 0, 100).await.unwrap();
    assert_eq!(throttled.len(), 6);
    assert!(throttled.iter().all(|logged| logged.entry.wants == wanted), "{throttled:?}");
}
