//! The adaptive limit against an oracle that always knows the knee, over a gateway whose knee moves.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use harness::load::{movie, movie_id};
use indexer::{
    graph::{Graph, GraphError, GraphRequest},
    log::{Append, Cause, Entry, Lane},
};
use plan::DocumentId;
use serde_json::{Map, Value};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{sleep, sleep_until},
};

use crate::{
    ratio,
    world::{World, plan, runtime},
};

/// Where the knee is, one after the other.
const KNEES: [usize; 3] = [8, 2, 16];

/// How long a limit may look for a knee that has moved, and how long it is measured then.
const SETTLING: Duration = Duration::from_secs(10);
const SETTLED: Duration = Duration::from_secs(20);

/// How long an answer takes while nobody waits.
const ANSWER: Duration = Duration::from_millis(100);

/// How long a refusal takes.
const REFUSAL: Duration = Duration::from_millis(2);

/// Documents of a request: few, so that the processors are no part of it.
const BATCH: usize = 5;

/// More than are fetched.
const IDS: usize = 120_000;

/// What must be reached of the oracle's throughput, and the share of requests that may be refused.
const WANTED: f64 = 0.90;
const REFUSED: f64 = 0.01;

/// A gateway that works on as many requests at once as its knee says, each for 75 to 125 ms. A quarter more, and one at least,
/// wait for a place, so that answers take longer past the knee; what comes beyond that is refused with 429.
struct Stub {
    knee: AtomicUsize,
    inside: AtomicUsize,
    working: AtomicUsize,
    freed: Notify,
    came: AtomicUsize,
    seen: Mutex<Vec<(Instant, bool)>>,
}

impl Stub {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            knee: KNEES[0].into(),
            inside: 0.into(),
            working: 0.into(),
            freed: Notify::new(),
            came: 0.into(),
            seen: Mutex::default(),
        })
    }

    fn knee(&self) -> usize {
        self.knee.load(Ordering::SeqCst)
    }

    /// Moves the knee; who waits may have a place now.
    fn move_to(&self, knee: usize) {
        self.knee.store(knee, Ordering::SeqCst);
        self.freed.notify_waiters();
    }

    fn note(&self, is_answered: bool) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), is_answered));
    }

    /// Requests that were answered in a span, and those that were refused.
    fn seen(&self, from: Instant, until: Instant) -> (usize, usize) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |wanted| {
            seen.iter().filter(|(at, answered)| (from..until).contains(at) && *answered == wanted).count()
        };
        (count(true), count(false))
    }

    /// Takes one of the places, or waits for it.
    async fn work(&self) {
        loop {
            let freed = self.freed.notified();
            let taken = self.working.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |working| {
                (working < self.knee()).then_some(working + 1)
            });
            if taken.is_ok() {
                break;
            }
            freed.await;
        }
        let number = self.came.fetch_add(1, Ordering::SeqCst);
        // From 75 to 125 of a hundred, without order.
        let hundredths = 75 + u32::try_from(number * 37 % 51).expect("less than 51");
        sleep(ANSWER * hundredths / 100).await;
        self.working.fetch_sub(1, Ordering::SeqCst);
        self.freed.notify_one();
    }
}

#[async_trait]
impl Graph for Stub {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let knee = self.knee();
        let most = knee + (knee / 4).max(1);
        if self.inside.fetch_add(1, Ordering::SeqCst) >= most {
            sleep(REFUSAL).await;
            self.inside.fetch_sub(1, Ordering::SeqCst);
            self.note(false);
            return Err(GraphError::Busy { reason: "429".to_owned(), retry_after: None });
        }
        self.work().await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.note(true);
        Ok(answer(request))
    }
}

/// The movies that a request asks for.
pub(crate) fn answer(request: &GraphRequest) -> Vec<u8> {
    let document = |(name, id): (&String, &Value)| {
        let number = id.as_str().and_then(|id| id.trim_start_matches('m').parse().ok());
        format!("\"{}\":{}", name.replacen("id", "d", 1), movie(number.expect("an id of ours")))
    };
    let documents: Vec<String> = request.variables.iter().map(document).collect();
    format!("{{\"data\":{{{}}}}}", documents.join(",")).into_bytes()
}

/// Asks as much as the knee lets, and never more.
fn oracle(stub: &Arc<Stub>) -> JoinSet<()> {
    let mut workers = JoinSet::new();
    for worker in 0..KNEES.into_iter().max().unwrap_or(1) {
        let stub = Arc::clone(stub);
        workers.spawn(async move {
            let variables = (0..BATCH).map(|n| (format!("id{n}"), movie_id(n).into()));
            let variables: Map<_, _> = variables.collect();
            let request = GraphRequest { query: "".into(), operation_name: String::new(), variables };
            loop {
                if worker < stub.knee() {
                    drop(stub.send(&request).await);
                } else {
                    sleep(REFUSAL).await;
                }
            }
        });
    }
    workers
}

/// Measures both at once, each over a gateway of its own.
pub(crate) fn measure() -> bool {
    runtime().block_on(async {
        let (stub, known) = (Stub::new(), Stub::new());
        let folder = tempfile::tempdir().expect("a folder");
        let mut plan = plan();
        plan.graph.batch_size = BATCH;
        plan.graph.max_concurrency = 64;
        let world = World::start(folder.path(), &plan, stub.clone()).await;
        let entry = |n| Entry::new(DocumentId::new(movie_id(n)).expect("an id"), Lane::Backfill, Cause::Backfill);
        let entries = (0..IDS).map(entry).collect();
        world.index.log.append(Append { entries, ..Append::default() }).await.expect("a lane");
        let _oracle = oracle(&known);
        let mut is_reached = true;
        for knee in KNEES {
            let moved = Instant::now();
            stub.move_to(knee);
            known.move_to(knee);
            sleep_until((moved + SETTLING + SETTLED).into()).await;
            let (from, until) = (moved + SETTLING, moved + SETTLING + SETTLED);
            let ((answered, refused), (best, _)) = (stub.seen(from, until), known.seen(from, until));
            let (share, refused) = (ratio(answered, best), ratio(refused, answered + refused));
            println!(
                "knee {knee}: {share:.3} of the oracle's {:.0} requests/s (wanted: at least {WANTED}), {:.2} % refused (wanted: at most {} %)",
                ratio(best, 1) / SETTLED.as_secs_f64(),
                refused * 100.0,
                REFUSED * 100.0
            );
            is_reached &= share >= WANTED && refused <= REFUSED;
        }
        world.end().await;
        is_reached
    })
}
