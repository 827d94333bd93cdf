//! Thousands of held documents heal by each other, and a subgraph that is still sick sees one of them now and then.

use plan::{DocumentVersion, Epoch};

use super::*;
use crate::{
    ambient::simulated,
    ledger::{Hold, HoldCause, RetryPauses, memory::MemoryLedger},
    log::{
        Tenure,
        memory::{MemoryLog, MemoryTenure},
    },
    testing,
};

/// How long a fetch takes here.
const FETCH: Duration = Duration::from_millis(100);

const PAUSES: RetryPauses = RetryPauses { initial_ms: 1_000, max_ms: 300_000 };

/// An index whose owner fetches whatever is appended, and what it fetched when.
struct Bench {
    ledger: MemoryLedger,
    log: MemoryLog,
    tenure: std::sync::Arc<MemoryTenure>,
    healing: Healing,
    version: u64,
    fetched: Vec<(Instant, DocumentId)>,
    /// Subgraphs that fail now.
    sick: HashSet<String>,
    owners: HashMap<DocumentId, Option<String>>,
    /// Documents that fail whoever is well.
    poisoned: HashSet<DocumentId>,
}

impl Bench {
    async fn of(held: impl IntoIterator<Item = (String, Option<&str>)>) -> Self {
        let log = MemoryLog::new(1);
        let tenure = log.rebalance(&[&[0]]).remove(0);
        let owners =
            held.into_iter().map(|(id, owner)| (DocumentId::new(id).unwrap(), owner.map(str::to_owned)));
        let mut bench = Self {
            ledger: MemoryLedger::new(testing::movies(), PAUSES),
            log,
            tenure,
            healing: Healing::new(),
            version: 0,
            fetched: Vec::new(),
            sick: HashSet::new(),
            owners: owners.collect(),
            poisoned: HashSet::new(),
        };
        let mut ids: Vec<DocumentId> = bench.owners.keys().cloned().collect();
        ids.sort_unstable();
        for id in ids {
            bench.fail(id).await;
        }
        bench
    }

    fn next_version(&mut self) -> DocumentVersion {
        self.version += 1;
        DocumentVersion::new(Epoch::ZERO, self.version)
    }

    async fn fail(&mut self, id: DocumentId) {
        let subgraph = self.owners[&id].clone();
        let cause = HoldCause { subgraph, code: "DOWN".to_owned(), path: None, message: "down".to_owned() };
        let hold = Hold { version: self.next_version(), id, cause, wants: crate::revision::Wants::default() };
        self.ledger.hold(vec![hold]).await.unwrap();
    }

    /// Fetches what was appended.
    async fn fetch(&mut self) {
        tokio::time::sleep(FETCH).await;
        for logged in self.tenure.read(Lane::Live, 10_000).await.unwrap() {
            let id = logged.entry.id;
            self.fetched.push((Instant::now(), id.clone()));
            let is_sick = self.owners[&id].as_ref().is_some_and(|owner| self.sick.contains(owner));
            if is_sick || self.poisoned.contains(&id) {
                self.fail(id).await;
            } else {
                let version = self.next_version();
                self.ledger.release(vec![(id, version)]).await.unwrap();
            }
        }
    }

    /// Lets this time pass; gives how many fetches there were.
    async fn live(&mut self, time: Duration) -> usize {
        let (start, before) = (Instant::now(), self.fetched.len());
        while start.elapsed() < time {
            self.healing.step(&self.ledger, &self.log).await.unwrap();
            self.fetch().await;
            tokio::time::sleep(POLL.saturating_sub(FETCH)).await;
        }
        self.fetched.len() - before
    }

    async fn held(&self) -> u64 {
        self.ledger.held_count().await.unwrap()
    }

    /// The most fetches within a second.
    fn busiest_second(&self) -> usize {
        let within = |start: &Instant| {
            let later =
                self.fetched.iter().filter(|(at, _)| *at >= *start && *at < *start + Duration::from_secs(1));
            later.count()
        };
        let mut starts: Vec<Instant> = self.fetched.iter().map(|(at, _)| *at).collect();
        starts.dedup();
        starts.iter().map(within).max().unwrap_or_default()
    }
}

#[tokio::test(start_paused = true)]
async fn thousands_heal_at_a_pace_and_a_relapse_stops_them() {
    let _machine = simulated::begin(1);
    let talent = (0..5_000).map(|n| (format!("m{n:04}"), Some("talent")));
    let mut bench = Bench::of(talent).await;
    bench.sick.insert("talent".to_owned());
    let probes = bench.live(Duration::from_mins(5)).await;
    assert!((8..=25).contains(&probes), "{probes} of 5,000 asked whether it answers again");

    bench.sick.clear();
    while bench.held().await > 2_500 {
        bench.live(POLL).await;
    }
    bench.sick.insert("talent".to_owned());
    let relapse = bench.live(Duration::from_mins(5)).await;
    assert!(relapse <= WAVE + 25, "{relapse} fetches of a subgraph that fails again");
    assert!(bench.held().await > 2_000);

    bench.sick.clear();
    bench.live(Duration::from_mins(1)).await;
    assert_eq!(bench.held().await, 0, "all heal");
    // The bucket holds one second's worth, and what has come in meanwhile.
    let busiest = bench.busiest_second();
    assert!(busiest <= 400, "{busiest} fetches in one second");
}

#[tokio::test(start_paused = true)]
async fn a_sick_subgraph_holds_up_nobody_else() {
    let _machine = simulated::begin(2);
    let sick = (0..1_000).map(|n| (format!("a{n:04}"), Some("talent")));
    let well = (0..50).map(|n| (format!("b{n:02}"), Some("movies")));
    let several = (0..20).map(|n| (format!("c{n:02}"), Some("one of movies, talent")));
    let unknown = (0..20).map(|n| (format!("d{n:02}"), None));
    let mut bench = Bench::of(sick.chain(well).chain(several).chain(unknown)).await;
    bench.sick.insert("talent".to_owned());
    bench.live(Duration::from_secs(20)).await;
    assert_eq!(bench.held().await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_few_that_never_heal_hold_up_nobody_else() {
    let _machine = simulated::begin(3);
    let mut bench = Bench::of((0..1_000).map(|n| (format!("m{n:04}"), Some("talent")))).await;
    let ids = bench.owners.keys().filter(|id| id.as_str().ends_with('7'));
    bench.poisoned = ids.cloned().collect();
    bench.live(Duration::from_mins(2)).await;
    assert_eq!(bench.held().await, bench.poisoned.len() as u64);
}
