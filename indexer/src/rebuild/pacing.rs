//! Rebuilding against a gateway whose knee moves, in virtual time.

#![expect(clippy::cast_precision_loss, reason = "requests of a few minutes")]

mod day;
mod plot;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use plan::{DocumentId, Epoch, IndexPlan, index_plan::BackOff, window::Window};
use serde_json::json;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    Rebuild, RebuildError, Signals, batch::Batches, fetches::Fetches, gone::GoneGuard, unchanged::Unchanged,
};
use crate::{
    ambient::simulated,
    graph::{Graph, GraphError, GraphRequest, request::DocumentRequests},
    ledger::{
        BackfillIds, LaneWishes, Ledger, RetryPauses,
        figures::{LaneWait, Meter},
        memory::MemoryLedger,
        pace::{Terms, change_wishes},
    },
    log::{Append, Cause, Entry, Lane, ReindexLog, Tenure, memory::MemoryLog},
    saved::Watch,
    store::memory::MemoryStore,
    testing,
};

/// How long an answer takes while nobody waits for another.
const ANSWER: Duration = Duration::from_millis(100);

/// What a gateway does with a request too many.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Beyond {
    /// Answers 429, and perhaps for how long it wants to be left alone.
    Refuse(Option<Duration>),
    /// Lets it wait.
    Queue,
}

/// A gateway that works on so many requests at a time.
struct Stub {
    knee: AtomicUsize,
    beyond: Beyond,
    /// How many times as long as else an answer takes.
    slowness: AtomicUsize,
    working: AtomicUsize,
    done: Notify,
    /// Every request.
    came: Mutex<Vec<Came>>,
}

/// A request.
struct Came {
    at: Instant,
    is_answered: bool,
    /// Its first document.
    id: String,
}

#[async_trait]
impl Graph for Stub {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let at = Instant::now();
        let id = request.variables["id0"].as_str().unwrap_or_default().to_owned();
        let came = |is_answered| self.came.lock().unwrap().push(Came { at, is_answered, id: id.clone() });
        let is_busy = || self.working.load(Ordering::Relaxed) >= self.knee.load(Ordering::Relaxed);
        match self.beyond {
            Beyond::Refuse(retry_after) if is_busy() => {
                came(false);
                sleep(Duration::from_millis(2)).await;
                return Err(GraphError::Busy { reason: "429".to_owned(), retry_after });
            }
            _ => {}
        }
        while is_busy() {
            self.done.notified().await;
        }
        self.working.fetch_add(1, Ordering::Relaxed);
        let slowness = self.slowness.load(Ordering::Relaxed) as f64;
        sleep(ANSWER.mul_f64(crate::ambient::jitter() * slowness)).await;
        self.working.fetch_sub(1, Ordering::Relaxed);
        self.done.notify_one();
        came(true);
        let document = |n: usize| (format!("d{n}"), json!({"movieId": request.variables[&format!("id{n}")]}));
        let documents: serde_json::Map<_, _> = (0..request.variables.len()).map(document).collect();
        Ok(json!({"data": documents}).to_string().into_bytes())
    }
}

impl Stub {
    fn new(knee: usize, beyond: Beyond) -> Arc<Self> {
        Arc::new(Self {
            knee: knee.into(),
            beyond,
            slowness: 1.into(),
            working: AtomicUsize::new(0),
            done: Notify::new(),
            came: Mutex::default(),
        })
    }

    /// Requests that came in a span and were answered, and those that were not.
    fn seen(&self, from: Instant, to: Instant) -> (usize, usize) {
        let came = self.came.lock().unwrap();
        let count = |wanted| {
            came.iter().filter(|came| (from..to).contains(&came.at) && came.is_answered == wanted).count()
        };
        (count(true), count(false))
    }
}

/// A process that rebuilds all of a log in memory.
struct Bench {
    log: MemoryLog,
    ledger: MemoryLedger,
    meter: Arc<Meter>,
    signals: Signals,
    task: JoinHandle<Result<(), RebuildError>>,
}

impl Bench {
    /// One document a request, so that requests can be counted.
    fn plan() -> IndexPlan {
        let mut plan = testing::movies();
        plan.graph.batch_size = 1;
        plan.graph.max_concurrency = 64;
        plan
    }

    async fn begin<G: Graph + 'static>(plan: IndexPlan, stub: &Arc<G>) -> Self {
        let log = MemoryLog::new(1);
        let ledger = MemoryLedger::new(plan.clone(), RetryPauses::from(&plan.errors));
        let plan = Arc::new(plan);
        let tenure: Arc<dyn Tenure> = log.rebalance(&[&[0]]).remove(0);
        let fetches = Fetches::default();
        fetches.enter(ledger.take_epoch(Epoch::ZERO).await.unwrap());
        let meter = Arc::<Meter>::default();
        let shared: Arc<dyn Ledger> = Arc::new(ledger.clone());
        let batches = Batches {
            saved: Watch::new(&plan, &shared, &meter, false),
            requests: DocumentRequests::new(Arc::clone(&plan)),
            others: Vec::new(),
            graph: stub.clone(),
            store: Arc::new(MemoryStore::new(Arc::clone(&plan))),
            plan,
            tenure,
            ledger: shared,
            fetches: Arc::new(fetches),
            gone: Mutex::new(GoneGuard::new(1.0)),
            refusals: Mutex::default(),
            unchanged: Unchanged::of(1),
            meter: Arc::clone(&meter),
        };
        let signals = Signals::default();
        let rebuild =
            Rebuild::new(Arc::new(batches), Arc::new(log.clone()), signals.clone(), None).await.unwrap();
        Self { log, ledger, meter, signals, task: tokio::spawn(rebuild.run()) }
    }

    /// Appends so many new ids to a lane.
    async fn append(&self, lane: Lane, name: &str, count: usize) {
        let entry = |n| Entry::new(DocumentId::new(format!("{name}{n}")).unwrap(), lane, Cause::Backfill);
        let entries = (0..count).map(entry).collect();
        self.log.append(Append { entries, ..Append::default() }).await.unwrap();
    }

    async fn end(self) {
        self.signals.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Moves the knee 8 -> 2 -> 16, 60 s each. Gives for each the share of what an oracle would have had answered from the tenth
/// second on, and the share that was refused.
async fn moved(beyond: Beyond) -> Vec<(usize, f64, f64)> {
    const SETTLING: Duration = Duration::from_secs(10);
    const SETTLED: Duration = Duration::from_secs(50);
    let stub = Stub::new(8, beyond);
    let bench = Bench::begin(Bench::plan(), &stub).await;
    bench.append(Lane::Backfill, "m", 30_000).await;
    let mut shares = Vec::new();
    for knee in [8, 2, 16] {
        stub.knee.store(knee, Ordering::Relaxed);
        let moved = Instant::now();
        sleep(SETTLING + SETTLED + Duration::from_secs(2)).await;
        let (answered, refused) = stub.seen(moved + SETTLING, moved + SETTLING + SETTLED);
        let oracle = SETTLED.as_secs_f64() / ANSWER.as_secs_f64() * knee as f64;
        let (answered, refused) = (answered as f64, refused as f64);
        shares.push((knee, answered / oracle, refused / (answered + refused)));
    }
    bench.end().await;
    shares
}

#[tokio::test(start_paused = true)]
async fn the_limit_follows_a_knee_that_refuses() {
    let _machine = simulated::begin(1);
    for (knee, answered, refused) in moved(Beyond::Refuse(None)).await {
        println!("knee {knee}: {answered:.3} of the oracle's, {refused:.4} refused");
        assert!(answered >= 0.9, "knee {knee}: {answered:.3} of the oracle's");
        assert!(refused <= 0.01, "knee {knee}: {refused:.4} refused");
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_follows_a_knee_that_only_slows_down() {
    let _machine = simulated::begin(1);
    for (knee, answered, _) in moved(Beyond::Queue).await {
        println!("knee {knee}: {answered:.3} of the oracle's");
        assert!(answered >= 0.9, "knee {knee}: {answered:.3} of the oracle's");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_gateway_asks_for_is_kept() {
    let _machine = simulated::begin(1);
    let asked = Duration::from_secs(3);
    let stub = Stub::new(8, Beyond::Refuse(Some(asked)));
    let bench = Bench::begin(Bench::plan(), &stub).await;
    bench.append(Lane::Backfill, "m", 30_000).await;
    sleep(Duration::from_mins(3)).await;
    bench.end().await;
    let came = stub.came.lock().unwrap();
    let refusals: Vec<Instant> = came.iter().filter(|came| !came.is_answered).map(|came| came.at).collect();
    assert!((1..=8).contains(&refusals.len()), "tried again, and seldom: {}", refusals.len());
    for refusal in refusals {
        let told = refusal + Duration::from_millis(3);
        let early = came.iter().filter(|came| (told..refusal + asked).contains(&came.at)).count();
        assert_eq!(early, 0, "requests in the pause");
    }
}

#[tokio::test(start_paused = true)]
async fn a_live_change_finds_a_place_beside_a_backfill() {
    let _machine = simulated::begin(1);
    let stub = Stub::new(8, Beyond::Queue);
    let mut plan = Bench::plan();
    plan.graph.max_concurrency = 8;
    let bench = Bench::begin(plan, &stub).await;
    bench.append(Lane::Backfill, "m", 10_000).await;
    bench.append(Lane::Live, "first", 1).await;
    sleep(Duration::from_secs(5)).await;
    let mut appended = Vec::new();
    for n in 0..50 {
        appended.push(Instant::now());
        bench.append(Lane::Live, &format!("live-{n}-"), 1).await;
        sleep(Duration::from_millis(187)).await;
    }
    assert_eq!(bench.meter.metrics.limit.get(), 8);
    bench.end().await;
    let came = stub.came.lock().unwrap();
    let live: Vec<Instant> =
        came.iter().filter(|came| came.id.starts_with("live-")).map(|came| came.at).collect();
    assert_eq!(live.len(), appended.len());
    for (came, appended) in live.into_iter().zip(appended) {
        let waited = came - appended;
        assert!(waited <= Duration::from_millis(2), "{waited:?} for a place");
    }
    assert!(came.len() > 900, "the backfill goes on: {}", came.len());
}

/// A window of the hour in which simulations begin (22:13:20 on a Tuesday), by its minutes.
fn window(from: u32, until: u32) -> Window {
    Window { times: vec![(22 * 60 + from, 22 * 60 + until)], ..Window::default() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_lane_goes_on_in_its_windows_and_live_changes_at_any_time() {
    let _machine = simulated::begin(1);
    let stub = Stub::new(8, Beyond::Queue);
    let mut plan = Bench::plan();
    plan.graph.max_concurrency = 8;
    plan.backfill.windows = vec![window(14, 15), window(17, 18)];
    let began = Instant::now();
    let bench = Bench::begin(plan, &stub).await;
    bench.append(Lane::Backfill, "m", 30_000).await;
    sleep(seconds(10)).await;
    assert_eq!(stub.came.lock().unwrap().len(), 0, "before the first window");
    bench.append(Lane::Live, "live", 5).await;
    sleep(seconds(2)).await;
    assert_eq!(stub.came.lock().unwrap().len(), 5);
    let lane = bench.meter.figures("", 0, [0; 2]).lane.unwrap();
    assert_eq!(lane.waits, Some(LaneWait::Window));
    assert_eq!(lane.window_changes_at, Some(crate::now_ms() + 28_000));
    sleep(seconds(350)).await;
    bench.end().await;
    let came = stub.came.lock().unwrap();
    let open = [(40, 100), (220, 280)]
        .map(|(from, until)| (began + seconds(from), began + seconds(until) + seconds(1)));
    for came in came.iter().filter(|came| came.id.starts_with('m')) {
        let is_inside = open.iter().any(|(from, until)| (*from..*until).contains(&came.at));
        assert!(is_inside, "a fetch {:?} after the beginning", came.at - began);
    }
    drop(came);
    for (from, until) in open {
        assert!(stub.seen(from, from + seconds(1)).0 > 0, "it goes on at once");
        assert!(stub.seen(from, until).0 > 4_000, "and all the time");
    }
}

#[tokio::test(start_paused = true)]
async fn people_pause_the_lane_hurry_it_and_drop_backfills() {
    let _machine = simulated::begin(1);
    let stub = Stub::new(8, Beyond::Queue);
    let mut plan = Bench::plan();
    plan.graph.max_concurrency = 4;
    plan.backfill.windows = vec![window(50, 51)];
    let bench = Bench::begin(plan, &stub).await;
    let number = bench.ledger.start_backfill(BackfillIds::Given(Vec::new())).await.unwrap();
    bench.append(Lane::Backfill, "m", 30_000).await;
    sleep(seconds(5)).await;
    assert_eq!(stub.came.lock().unwrap().len(), 0);
    let terms = Terms { now: true, rate_per_second: Some(10.0) };
    let wish = |change: fn(&mut LaneWishes)| change_wishes(&bench.ledger, change);
    change_wishes(&bench.ledger, |wishes| wishes.terms.extend([(number, terms)])).await.unwrap();
    sleep(seconds(60)).await;
    let came = stub.came.lock().unwrap().len();
    assert!((540..=620).contains(&came), "at the backfill's own rate: {came}");

    wish(|wishes| wishes.paused = true).await.unwrap();
    sleep(seconds(2)).await;
    let came = stub.came.lock().unwrap().len();
    sleep(seconds(60)).await;
    assert_eq!(stub.came.lock().unwrap().len(), came, "paused");
    wish(|wishes| wishes.paused = false).await.unwrap();
    sleep(seconds(3)).await;
    assert!(stub.came.lock().unwrap().len() > came, "resumed");

    // What an event put into the lane is no backfill's, and is fetched all the same.
    let event = Entry::new(DocumentId::new("event").unwrap(), Lane::Backfill, Cause::Lookup);
    bench.log.append(Append { entries: vec![event], ..Append::default() }).await.unwrap();
    let ends = bench.log.ends(Lane::Backfill).await.unwrap();
    change_wishes(&bench.ledger, |wishes| wishes.stopped.clone_from(&ends)).await.unwrap();
    sleep(seconds(10)).await;
    assert_eq!(bench.log.lag(Lane::Backfill).await.unwrap(), 0, "dropped");
    bench.end().await;
    let came = stub.came.lock().unwrap();
    assert!(came.len() < 700 && came.iter().any(|came| came.id == "event"));
}

#[tokio::test(start_paused = true)]
async fn brakes_are_on_while_the_gateway_is_worse_than_it_may_be() {
    let _machine = simulated::begin(1);
    let stub = Stub::new(100, Beyond::Queue);
    let mut plan = Bench::plan();
    plan.graph.max_concurrency = 4;
    plan.backfill.back_off = BackOff { p95_latency_ms: Some(300), error_rate: Some(0.1) };
    let bench = Bench::begin(plan, &stub).await;
    bench.append(Lane::Backfill, "m", 30_000).await;
    sleep(seconds(20)).await;
    let (began, waits) = (Instant::now(), || bench.meter.figures("", 0, [0; 2]).lane.unwrap().waits);
    assert_eq!(waits(), None);
    stub.slowness.store(4, Ordering::Relaxed);
    let mut braked = 0;
    for _ in 0..60 {
        sleep(seconds(1)).await;
        braked += u32::from(waits() == Some(LaneWait::Latency));
    }
    assert!((10..59).contains(&braked), "{braked} of 60 seconds: on, and off to see whether it got better");
    assert!(stub.seen(began, Instant::now()).0 < 400);
    stub.slowness.store(1, Ordering::Relaxed);
    sleep(seconds(60)).await;
    assert_eq!(waits(), None, "it got better");
    let now = Instant::now();
    assert!(stub.seen(now - seconds(10), now).0 > 300);
    bench.end().await;
}
