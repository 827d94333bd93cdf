//! Everything around the processes of one case: the graph, the servers, the weather, and the witness of what they see.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plan::IndexPlan;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};
use tokio::time::sleep;

use super::{
    movies::{self, PARTITIONS},
    mutant::{Mutant, Notes},
    servers::documents::Versions,
    sources::Events,
    truth::Truth,
    witness::Witness,
};
use crate::{
    ledger::{Backfill, FanOuts, Held, IndexState, Ledger as _, RetryPauses, memory::MemoryLedger},
    log::{Lane, ReindexLog as _, memory::MemoryLog},
};

/// The chance of one seed. Clones draw from one sequence.
#[derive(Clone)]
pub(super) struct Dice(Arc<Mutex<SmallRng>>);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))))
    }

    /// A number from 0 up to this one, without it.
    pub(super) fn below(&self, end: usize) -> usize {
        self.rng().random_range(0..end)
    }

    pub(super) fn millis(&self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.rng().random_range(range))
    }

    /// Whether something of this probability happens.
    pub(super) fn says(&self, probability: f64) -> bool {
        self.rng().random_bool(probability)
    }

    pub(super) fn one_of<T: Copy>(&self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn rng(&self) -> MutexGuard<'_, SmallRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a subgraph that is down shows in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its fields are null, each with an error at its path.
    Field,
    /// The null reaches the document's root; the error keeps its path.
    Root,
    /// The null empties the whole answer; the error keeps its path.
    Answer,
    /// The null empties the whole answer, and the error says nothing.
    Redacted,
}

/// What fails now, and how often.
#[derive(Debug, Clone, Default)]
pub(super) struct Weather {
    /// Subgraphs that are down.
    pub down: BTreeMap<&'static str, Failure>,
    /// The probability that a request to the gateway fails as a whole.
    pub gateway: f64,
    /// The probability that a write is lost on its way, that its acknowledgement is, or that a document of it is refused for now.
    pub store: f64,
    /// The probability that a question to the ledger is lost, or its answer.
    pub ledger: f64,
    /// The probability that a server takes long.
    pub slow: f64,
}

/// The world of one case.
pub(super) struct World {
    /// The plan of the query that asks for everything.
    pub plan: Arc<IndexPlan>,
    /// The plan of a shorter one.
    pub short: Arc<IndexPlan>,
    pub dice: Dice,
    pub mutant: Option<Mutant>,
    notes: Mutex<Notes>,
    /// Whether several processes share the log; else one has all to itself.
    pub is_shared: bool,
    pub truth: Mutex<Truth>,
    pub events: Events,
    weather: Mutex<Weather>,
    pub log: MemoryLog,
    pub ledger: MemoryLedger,
    pub versions: Versions,
    witness: Mutex<Witness>,
    /// The right to route each source: the newest generation.
    pub source_generation: Mutex<u64>,
}

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>) -> Arc<Self> {
        let dice = Dice::of(seed);
        let is_shared = dice.says(0.75);
        // Whoever sends again for as long as it takes, has no deadline.
        let deadline = if mutant == Some(Mutant::ResendOnFailure) { 600_000 } else { movies::DEADLINE_MS };
        // In half of the cases nearly every lookup finds more than there is room for.
        let max_fanout = dice.one_of(&[5_000, 5_000, 2, 1]);
        let plan = Arc::new(movies::plan(deadline, max_fanout));
        let retry = RetryPauses::from(&plan.errors);
        let mut ledger = MemoryLedger::new(IndexPlan::clone(&plan), retry);
        ledger.takes_asked_for_done = mutant == Some(Mutant::MergeIntoRun);
        Arc::new(Self {
            dice,
            mutant,
            notes: Mutex::default(),
            is_shared,
            truth: Mutex::default(),
            events: Events::default(),
            weather: Mutex::default(),
            log: MemoryLog::new(if is_shared { PARTITIONS } else { 1 }),
            ledger,
            versions: Versions::new(&plan),
            witness: Mutex::default(),
            source_generation: Mutex::default(),
            short: Arc::new(movies::short(&plan)),
            plan,
        })
    }

    pub(super) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn witness(&self) -> MutexGuard<'_, Witness> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something takes a while.
    pub(super) async fn pause(&self, millis: Range<u64>) {
        sleep(self.dice.millis(millis)).await;
    }

    /// A request is on its way to a server, or its answer on the way back.
    pub(super) async fn road(&self) {
        let is_slow = { self.dice.says(self.weather().slow) };
        self.pause(if is_slow { 50..1_600 } else { 1..50 }).await;
    }

    /// Whether everything is routed, rebuilt and released, and nothing is on its way.
    pub(super) async fn is_quiet(&self) -> bool {
        let doing = self.doing().await;
        let Doing { unrouted, lag, held, backfills, fan_outs, .. } = &doing;
        let is_asked_for = !backfills.is_empty() || !fan_outs.is_empty();
        unrouted.is_empty() && *lag == [0, 0] && held.is_empty() && !is_asked_for
    }

    /// What is left to be done.
    pub(super) async fn doing(&self) -> Doing {
        let mut unrouted = BTreeMap::new();
        let live = self.ledger.versions().await.expect("memory");
        let live: Vec<_> = live.iter().filter(|known| known.state.is_live()).collect();
        // What no living version asks for is routed by nobody.
        let is_routed = |name: &str| live.iter().any(|known| known.plan().source(name).is_some());
        for source in self.plan.sources.iter().filter(|source| is_routed(&source.name)) {
            let routed = self.log.source_position(&source.name).await.expect("memory").unwrap_or_default();
            let told = i64::try_from(self.events.count(&source.name)).expect("few events");
            if routed < told {
                unrouted.insert(source.name.clone(), (routed, told));
            }
        }
        let lag = |lane| async move { self.log.lag(lane).await.expect("memory") };
        Doing {
            unrouted,
            lag: [lag(Lane::Live).await, lag(Lane::Backfill).await],
            held: self.ledger.held(None, 100).await.expect("memory"),
            backfills: self.ledger.open_backfills().await.expect("memory"),
            fan_outs: self.ledger.fan_outs().await.expect("memory"),
            state: self.ledger.state().await.expect("memory"),
            waiting: self
                .ledger
                .figures()
                .await
                .expect("memory")
                .into_iter()
                .map(|figures| figures.waiting)
                .collect(),
        }
    }
}

/// What is left to be done.
#[derive(Debug)]
#[expect(dead_code, reason = "the rest is for whoever reads it")]
pub(super) struct Doing {
    /// Sources with what is routed of their events, and how many there are.
    unrouted: BTreeMap<String, (i64, i64)>,
    lag: [u64; 2],
    held: Vec<Held>,
    backfills: Vec<Backfill>,
    fan_outs: Vec<FanOuts>,
    state: IndexState,
    /// What each process waits for.
    waiting: Vec<Option<String>>,
}
