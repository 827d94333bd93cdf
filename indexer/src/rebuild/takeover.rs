//! Several processes that rebuild shares of one log and take over from each other, over the ports in memory.
//!
//! `TAKEOVER_SEED=<seed>` runs one other case of chance. Time is tokio's and stands still while anything can go on, so that
//! minutes of waiting take none.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, Epoch};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use search::StoredDocument;
use serde_json::{Value, json};
use tokio::{
    sync::Semaphore,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    Rebuild, RebuildError, Signals, batch::Batches, fetches::Fetches, gone::GoneGuard, unchanged::Unchanged,
};
use crate::{
    StateError,
    graph::{Graph, GraphError, GraphRequest, request::DocumentRequests},
    ledger::{Ledger, RetryPauses, memory::MemoryLedger},
    log::{
        Append, Cause, Entry, Lane, ReindexLog, Tenure,
        memory::{MemoryLog, MemoryTenure},
    },
    saved::Watch,
    store::{Document, Outcome, Store, memory::MemoryStore},
    testing,
};

/// Titles of movies by their ids: what is true.
type Titles = Arc<Mutex<BTreeMap<String, u64>>>;

/// How long something is under way.
#[derive(Clone)]
enum Road {
    Free,
    /// As many pass as there are permits.
    Gate(Arc<Semaphore>),
    /// Up to so many milliseconds, by chance.
    Slow(Arc<Mutex<StdRng>>, u64),
}

impl Road {
    async fn pass(&self) {
        match self {
            Road::Free => {}
            Road::Gate(gate) => gate.acquire().await.unwrap().forget(),
            Road::Slow(dice, most) => {
                let takes = dice.lock().unwrap().random_range(0..*most);
                sleep(Duration::from_millis(takes)).await;
            }
        }
    }
}

/// Answers what was true when the request came, after a while.
struct Movies {
    titles: Titles,
    road: Road,
}

#[async_trait]
impl Graph for Movies {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let document = |n: usize| {
            let id = request.variables[&format!("id{n}")].as_str().unwrap();
            let title = self.titles.lock().unwrap().get(id).copied();
            let document = title.map(|title| json!({"movieId": id, "title": title.to_string()}));
            (format!("d{n}"), document.unwrap_or_default())
        };
        let documents: serde_json::Map<String, Value> = (0..request.variables.len()).map(document).collect();
        self.road.pass().await;
        Ok(json!({"data": documents}).to_string().into_bytes())
    }
}

/// The store, a road away: what was sent arrives, whether anybody still waits for the outcome or not.
struct Remote {
    store: MemoryStore,
    road: Road,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

#[async_trait]
impl Store for Remote {
    async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        let (store, road, all) = (self.store.clone(), self.road.clone(), Arc::clone(&self.outcomes));
        let sent = tokio::spawn(async move {
            road.pass().await;
            let outcomes = store.write(documents).await?;
            all.lock().unwrap().extend(outcomes.clone());
            Ok(outcomes)
        });
        sent.await.unwrap()
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, StateError> {
        self.store.lookup(paths, keys, after, limit).await
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<DocumentId>, StateError> {
        self.store.ids(after, limit).await
    }

    async fn get(&self, id: &DocumentId) -> Result<Option<StoredDocument>, StateError> {
        self.store.get(id).await
    }

    async fn scan(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<StoredDocument>, StateError> {
        self.store.scan(after, limit).await
    }

    async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
        self.store.highest_version().await
    }

    async fn live_documents(&self) -> Result<u64, StateError> {
        self.store.live_documents().await
    }
}

/// What all processes share.
struct World {
    log: MemoryLog,
    ledger: MemoryLedger,
    store: MemoryStore,
    titles: Titles,
    /// What became of all writes.
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

/// A process at work on its share.
struct Working {
    signals: Signals,
    task: JoinHandle<Result<(), RebuildError>>,
}

impl Working {
    async fn ended(self) -> Result<(), RebuildError> {
        timeout(Duration::from_mins(10), self.task).await.expect("it ends").unwrap()
    }

    async fn drained(self) -> Result<(), RebuildError> {
        self.signals.drain.cancel();
        self.ended().await
    }

    /// Ends as a process does whose share is asked back: what runs is finished first.
    async fn stopped(self) -> Result<(), RebuildError> {
        self.signals.stop.cancel();
        self.ended().await
    }
}

impl World {
    fn new() -> Self {
        let plan = testing::movies();
        let retry = RetryPauses::from(&plan.errors);
        Self {
            log: MemoryLog::new(4),
            ledger: MemoryLedger::new(plan.clone(), retry),
            store: MemoryStore::new(plan.into()),
            titles: Titles::default(),
            outcomes: Arc::default(),
        }
    }

    /// A process that takes this share over.
    async fn takes_over(&self, tenure: Arc<MemoryTenure>, graph: Road, store: Road) -> Working {
        let highest = self.store.highest_version().await.unwrap();
        let stored = highest.map_or(Epoch::ZERO, DocumentVersion::epoch);
        let epoch = self.ledger.take_epoch(stored).await.unwrap();
        tenure.prove().await.unwrap();
        let fetches = Fetches::default();
        fetches.enter(epoch);
        let plan = Arc::new(testing::movies());
        let (ledger, meter): (Arc<dyn Ledger>, _) = (Arc::new(self.ledger.clone()), Arc::default());
        let batches = Batches {
            saved: Watch::new(&plan, &ledger, &meter, false),
            requests: DocumentRequests::new(Arc::clone(&plan)),
            others: Vec::new(),
            plan,
            graph: Arc::new(Movies { titles: Arc::clone(&self.titles), road: graph }),
            tenure,
            store: Arc::new(Remote {
                store: self.store.clone(),
                road: store,
                outcomes: Arc::clone(&self.outcomes),
            }),
            ledger,
            fetches: Arc::new(fetches),
            gone: Mutex::new(GoneGuard::new(1.0)),
            refusals: Mutex::default(),
            unchanged: Unchanged::of(1),
            meter,
        };
        let (signals, log) = (Signals::default(), Arc::new(self.log.clone()));
        let rebuild = Rebuild::new(Arc::new(batches), log, signals.clone(), None).await.unwrap();
        Working { signals, task: tokio::spawn(rebuild.run()) }
    }

    /// Changes movies in the graph, and then says so; no title deletes.
    async fn change(&self, lane: Lane, movies: &[&str], title: Option<u64>) {
        for movie in movies {
            let mut titles = self.titles.lock().unwrap();
            match title {
                Some(title) => titles.insert((*movie).to_owned(), title),
                None => titles.remove(*movie),
            };
        }
        let entry = |movie: &&str| Entry {
            deleted: title.is_none(),
            ..Entry::new(DocumentId::new(*movie).unwrap(), lane, Cause::Event)
        };
        let entries = movies.iter().map(entry).collect();
        self.log.append(Append { entries, ..Append::default() }).await.unwrap();
    }

    /// The titles in the store, by id.
    async fn stored(&self) -> BTreeMap<String, u64> {
        let documents = self.store.scan(None, 1_000).await.unwrap();
        let title = |document: StoredDocument| {
            let body: Value = serde_json::from_str(&document.body.unwrap()).unwrap();
            (document.id.to_string(), body["title"].as_str().unwrap().parse().unwrap())
        };
        documents.into_iter().map(title).collect()
    }

    async fn lag(&self) -> u64 {
        self.log.lag(Lane::Live).await.unwrap() + self.log.lag(Lane::Backfill).await.unwrap()
    }
}

const ALL: &[i32] = &[0, 1, 2, 3];
const MOVIES: [&str; 8] = ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"];

fn is_fenced(end: &Result<(), RebuildError>) -> bool {
    matches!(end, Err(RebuildError::State(StateError::Fenced(_))))
}

fn closed() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

/// Long enough for everything that nothing holds up.
async fn a_while() {
    sleep(Duration::from_secs(2)).await;
}

/// Asserts that the store holds what is true, under the second epoch.
async fn assert_second_owner_won(world: &World) {
    assert_eq!(world.stored().await, *world.titles.lock().unwrap());
    let epochs = world.store.scan(None, 1_000).await.unwrap();
    assert!(epochs.iter().all(|document| document.version.epoch().get() == 2));
    assert_eq!(world.lag().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_a_takeover_is_thrown_away() {
    let (world, gate) = (World::new(), closed());
    world.change(Lane::Live, &MOVIES, Some(1)).await;
    let [first] = &world.log.rebalance(&[ALL])[..] else { panic!() };
    let old = world.takes_over(Arc::clone(first), Road::Gate(Arc::clone(&gate)), Road::Free).await;
    a_while().await;
    assert_eq!(world.stored().await, BTreeMap::new(), "its fetch runs");

    // Both read the old title before this change, whose entry only the second one reads.
    let [second] = &world.log.rebalance(&[ALL])[..] else { panic!() };
    assert!(first.revoked().is_cancelled());
    world.change(Lane::Live, &MOVIES[..4], Some(2)).await;
    let new = world.takes_over(Arc::clone(second), Road::Free, Road::Free).await;
    new.drained().await.unwrap();
    assert_second_owner_won(&world).await;
    gate.add_permits(100);
    assert!(is_fenced(&old.ended().await));
    a_while().await;
    assert_second_owner_won(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_arrives_after_a_takeover_is_superseded() {
    let (world, gate) = (World::new(), closed());
    world.change(Lane::Live, &MOVIES, Some(1)).await;
    let [first] = &world.log.rebalance(&[ALL])[..] else { panic!() };
    let old = world.takes_over(Arc::clone(first), Road::Free, Road::Gate(Arc::clone(&gate))).await;
    a_while().await;
    let [second] = &world.log.rebalance(&[ALL])[..] else { panic!() };
    world.change(Lane::Live, &MOVIES, Some(2)).await;
    let new = world.takes_over(Arc::clone(second), Road::Free, Road::Free).await;
    new.drained().await.unwrap();
    let written = world.outcomes.lock().unwrap().len();
    gate.add_permits(100);
    assert!(is_fenced(&old.ended().await));
    a_while().await;
    let late = world.outcomes.lock().unwrap().split_off(written);
    assert_eq!(late, vec![Outcome::Superseded; MOVIES.len()], "it was on its way, and arrived");
    assert_second_owner_won(&world).await;
}

#[tokio::test(start_paused = true)]
async fn a_share_that_is_asked_back_is_finished_first() {
    let (world, gate) = (World::new(), closed());
    world.change(Lane::Live, &MOVIES, Some(1)).await;
    let [first] = &world.log.rebalance(&[ALL])[..] else { panic!() };
    let old = world.takes_over(Arc::clone(first), Road::Gate(Arc::clone(&gate)), Road::Free).await;
    a_while().await;
    world.log.ask_back();
    assert!(first.revoked().is_cancelled());
    gate.add_permits(100);
    old.stopped().await.unwrap();
    assert_eq!(world.lag().await, 0, "what ran is committed");
    let shares = world.log.rebalance(&[&ALL[..2], &ALL[2..]]);
    assert_eq!([true, false], [0, 1].map(|at| shares[at].is_executor()));
    for share in shares {
        assert_eq!(share.read(Lane::Live, 100).await.unwrap(), [], "and not fetched again");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_order_takeovers_come_in_the_index_converges() {
    let asked = std::env::var("TAKEOVER_SEED").ok().and_then(|seed| seed.parse().ok());
    let (mut fenced, mut superseded) = (0, 0);
    for seed in asked.map_or(1..=40, |seed: u64| seed..=seed) {
        let (seen_fenced, seen_superseded) = converges(seed).await;
        fenced += seen_fenced;
        superseded += seen_superseded;
    }
    // Cases in which nobody is ever overtaken would prove nothing.
    assert!(asked.is_some() || (fenced > 0 && superseded > 0), "{fenced} fenced, {superseded} superseded");
}

/// Changes movies and moves shares by chance, then lets everything come to an end. Says how many processes were fenced, and how
/// many writes superseded.
async fn converges(seed: u64) -> (usize, usize) {
    let mut dice = StdRng::seed_from_u64(seed);
    let world = World::new();
    let roads = Arc::new(Mutex::new(StdRng::seed_from_u64(!seed)));
    // Answers and writes together may take longer than the deadline of a batch.
    let (graph, store) = (Road::Slow(Arc::clone(&roads), 3_000), Road::Slow(roads, 4_000));
    let (mut working, mut left): (Vec<Working>, Vec<Working>) = (Vec::new(), Vec::new());
    for title in 1..=60 {
        sleep(Duration::from_millis(dice.random_range(0..1_500))).await;
        let movies: Vec<&str> = MOVIES.into_iter().filter(|_| dice.random_range(0..4) == 0).collect();
        let lane = if dice.random_range(0..4) == 0 { Lane::Backfill } else { Lane::Live };
        let is_deleted = dice.random_range(0..6) == 0;
        world.change(lane, &movies, (!is_deleted).then_some(title)).await;
        if title % 6 != 1 {
            continue;
        }
        if dice.random_range(0..2) == 0 {
            world.log.ask_back();
            for process in working.drain(..) {
                process.stopped().await.unwrap_or_else(|error| panic!("TAKEOVER_SEED={seed}: {error}"));
            }
        }
        // Whoever wasn't asked goes on, until it finds out.
        left.append(&mut working);
        let cut = dice.random_range(0..=ALL.len());
        let shares = [&ALL[..cut], &ALL[cut..]];
        for tenure in world.log.rebalance(&shares) {
            working.push(world.takes_over(tenure, graph.clone(), store.clone()).await);
        }
    }
    for process in working {
        // Each ends when both lanes are complete in its own partitions; the other one sees to the rest.
        process.signals.drain.cancel();
        left.push(process);
    }
    sleep(Duration::from_mins(2)).await;
    let mut fenced = 0;
    for process in left {
        process.signals.stop.cancel();
        let end = process.ended().await;
        assert!(end.is_ok() || is_fenced(&end), "TAKEOVER_SEED={seed}: {end:?}");
        fenced += usize::from(end.is_err());
    }
    a_while().await;
    assert_eq!(world.stored().await, *world.titles.lock().unwrap(), "TAKEOVER_SEED={seed}");
    assert_eq!(world.lag().await, 0, "TAKEOVER_SEED={seed}");
    let outcomes = world.outcomes.lock().unwrap();
    (fenced, outcomes.iter().filter(|outcome| **outcome == Outcome::Superseded).count())
}
