//! What fan-outs and bursts cost: requests against the fewest that are possible, and the freshness of live events beside them.
//!
//! `cargo bench -p studio-search-tests --bench fanout`, on a quiet machine; `-- 20000` fans out to fewer
//! movies, of which those that are fetched at once as well are a larger part. The real process runs on SQLite over a gateway in
//! process, which answers after 20 ms. A sample is the time from an accepted event to its document being readable; it is taken
//! idle, under load, and while a director of 100,000 movies is renamed, so that the ratios are of one run.

#![expect(
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark prints its figures, and its counts are small"
)]

mod gateway;

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use codegen::{Texts, compile, parse_config};
use gateway::{Gateway, HOLDER, movie};
use harness::repository;
use indexer::{
    Endpoints, Index, StateFile,
    endpoints::{GraphEndpoint, Place},
    log::Lane,
    provision::state::provision,
    run::{Process, RunOptions},
    source::inbox,
    store::Document,
};
use plan::{DocumentId, DocumentVersion, Epoch, IndexPlan, SourceText};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

/// Movies of the director, unless another number is asked for.
const ROOTS: usize = 100_000;

/// Documents of one request, and roots of one page of a lookup: the defaults.
const BATCH: usize = 25;
const PAGE: usize = 1_000;

/// Live events that are timed, idle and under load.
const SAMPLES: usize = 150;

/// Events of a window, which are told together, and the time between two of them: more than a document is left alone for.
const WINDOW: usize = 1_000;
const BETWEEN: Duration = Duration::from_millis(1_500);
const WINDOWS: usize = 5;

/// Changes of the director that are told together.
const AT_ONCE: usize = 50;

/// What requests may cost against the fewest that are possible, and what a fan-out may cost live events.
const WANTED: f64 = 1.05;
const WANTED_LIVE: f64 = 1.2;

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let asked = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let bench = Bench::start(folder.path(), asked.unwrap_or(ROOTS)).await;
    let mut missed = bench.windows().await;
    bench.fill().await;

    let idle = bench.samples(async |samples| samples < SAMPLES).await;
    show("idle", &idle, &idle);
    let (told, beside) = bench.fan_out(1).await;
    show("during the fan-out", &beside, &idle);
    missed |= told > WANTED;

    let (stop, load) = bench.load().await;
    let loaded = bench.samples(async |samples| samples < SAMPLES).await;
    show("under load", &loaded, &idle);
    let (_, beside) = bench.fan_out(1).await;
    show("during the fan-out under load", &beside, &loaded);
    stop.cancel();
    load.await.expect("the load ends");

    let (told, beside) = bench.fan_out(1_000).await;
    show("during a thousand changes", &beside, &idle);
    missed |= told > 2.0 * WANTED;
    bench.end().await;
    assert!(!missed, "a figure of requests is missed");
}

struct Bench {
    roots: usize,
    index: Index,
    state: StateFile,
    gateway: Arc<Gateway>,
    /// Live events that were timed. Each changes its movie to what it never was.
    timed: AtomicUsize,
    stop: CancellationToken,
    process: JoinHandle<()>,
}

impl Bench {
    async fn start(folder: &Path, roots: usize) -> Self {
        let path = folder.join("fanout.db");
        let plan = plan();
        provision(&path, &plan).expect("a state file");
        let endpoints = Endpoints {
            graph: GraphEndpoint { url: "http://127.0.0.1:9/".to_owned(), headers: Vec::new(), ca: None },
            place: Place::embedded(&path),
            source_files: [].into(),
            ids_file: None,
            admin: None,
            tokens: Vec::new(),
            identity: None,
            webhook: None,
        };
        let gateway = Arc::new(Gateway::default());
        let process = Process::over(&plan.name, endpoints, gateway.clone()).await.expect("it starts");
        let (index, stop) = (process.index().clone(), CancellationToken::new());
        let run = process.run(RunOptions::default(), stop.clone());
        let process = tokio::spawn(async move { drop(run.await.expect("it runs")) });
        let state = index.state().expect("it is embedded").clone();
        Self { roots, index, state, gateway, timed: AtomicUsize::new(0), stop, process }
    }

    async fn end(self) {
        self.stop.cancel();
        self.process.await.expect("it ends");
    }

    /// Writes the movies of the hot director, as an earlier run did.
    async fn fill(&self) {
        let ids: Vec<String> = (0..self.roots).map(|number| format!("{HOLDER}{number:06}")).collect();
        for (page, ids) in ids.chunks(PAGE).enumerate() {
            let document = |id: &String| Document {
                id: DocumentId::new(id.as_str()).expect("an id"),
                version: DocumentVersion::new(Epoch::ZERO, page as u64 + 1),
                body: Some(movie(id, 0).to_string()),
                fetched_at: 0,
                missing: Vec::new(),
            };
            self.index.store.write(ids.iter().map(document).collect()).await.expect("it is written");
        }
        println!("{} movies of one director", self.roots);
    }

    /// Tells events of movies.
    async fn tell(&self, source: &str, ids: impl IntoIterator<Item = String>) {
        let line =
            |id: String| serde_json::json!({"key": id, "value": {"revision": 1}}).to_string().into_bytes();
        inbox::accept(&self.state, source, ids.into_iter().map(line).collect())
            .await
            .expect("it is accepted");
    }

    /// Whether every change of the director is routed and rebuilt.
    async fn is_settled(&self) -> bool {
        let sql = "SELECT coalesce(max(seq) + 1, 0) FROM inbox WHERE source = 'talents'";
        let end: i64 = self
            .state
            .with_reader(|conn| conn.query_row(sql, (), |row| row.get(0)))
            .expect("the inbox can be read");
        let log = &self.index.log;
        log.source_position("talents").await.expect("it answers").unwrap_or(0) >= end
            && self.index.ledger.fan_outs().await.expect("it answers").is_empty()
            && log.lag(Lane::Backfill).await.expect("it answers") == 0
    }

    /// Requests for windows of events against the fewest that are possible. Says whether one takes too many.
    async fn windows(&self) -> bool {
        let mut missed = false;
        for (name, id) in [("uniform", uniform as fn(u64) -> u64), ("Zipf 1.0", zipf), ("bursts", burst)] {
            let (before, mut fewest) = (self.gateway.requests.load(Ordering::Relaxed), 0);
            for window in 0..WINDOWS {
                let number = |event: usize| (window * WINDOW + event) as u64;
                let ids: Vec<String> = (0..WINDOW).map(|event| format!("w{}", id(number(event)))).collect();
                fewest += ids.iter().collect::<HashSet<_>>().len().div_ceil(BATCH);
                self.tell("movies", ids).await;
                sleep(BETWEEN).await;
            }
            while self.index.log.lag(Lane::Live).await.expect("it answers") > 0 {
                sleep(Duration::from_millis(50)).await;
            }
            let requests = self.gateway.requests.load(Ordering::Relaxed) - before;
            let ratio = share(requests, fewest);
            println!(
                "{name}: {} requests per 1,000 events, {ratio:.3}x the fewest (wanted: at most {WANTED})",
                requests / WINDOWS
            );
            missed |= ratio > WANTED;
        }
        missed
    }

    /// Changes the hot director so often, and times live events until all of it is rebuilt. Gives the pages and requests that
    /// it took against those of one fan-out, and the times.
    async fn fan_out(&self, changes: usize) -> (f64, Vec<Duration>) {
        let count = || self.gateway.requests_for_holders.load(Ordering::Relaxed);
        let (pages, requests) = (self.lookups().await, count());
        let start = Instant::now();
        let is_told = AtomicBool::new(false);
        let teller = async {
            // Within a second or two: what changes for longer than a fan-out takes is another one.
            for told in (0..changes).step_by(AT_ONCE) {
                let some = (changes - told).min(AT_ONCE);
                self.tell("talents", std::iter::repeat_n("hot".to_owned(), some)).await;
                sleep(Duration::from_millis(5)).await;
            }
            is_told.store(true, Ordering::Relaxed);
        };
        let samples = self.samples(async |_| !is_told.load(Ordering::Relaxed) || !self.is_settled().await);
        let ((), samples) = tokio::join!(teller, samples);
        sleep(Duration::from_secs(2)).await; // figures are told once a second
        let (pages, requests) = (self.lookups().await - pages, count() - requests);
        let ratio = share(pages + requests, self.roots.div_ceil(PAGE) + self.roots.div_ceil(BATCH));
        println!(
            "{changes} changes of the director: {pages} pages and {requests} requests in {:.0} s, {ratio:.3}x those of one fan-out",
            start.elapsed().as_secs_f64()
        );
        (ratio, samples)
    }

    async fn lookups(&self) -> usize {
        let figures = self.index.ledger.figures().await.expect("it answers");
        figures.iter().map(|figures| usize::try_from(figures.lookups).expect("few")).sum()
    }

    /// Times one live event after the other for as long as `more` says.
    async fn samples(&self, more: impl AsyncFn(usize) -> bool) -> Vec<Duration> {
        let mut samples: Vec<Duration> = Vec::new();
        while more(samples.len()).await {
            let number = self.timed.fetch_add(1, Ordering::Relaxed) + 1;
            let id = format!("z{}", number % 1_000);
            self.gateway.rename(&id, number);
            let start = Instant::now();
            self.tell("movies", [id.clone()]).await;
            let (wanted, key) = (movie(&id, number).to_string(), DocumentId::new(id).expect("an id"));
            while !self.shows(&key, &wanted).await {
                assert!(start.elapsed() < Duration::from_mins(2), "{key} is never written");
                sleep(Duration::from_millis(2)).await;
            }
            samples.push(start.elapsed());
            sleep(Duration::from_millis(20)).await;
        }
        samples
    }

    async fn shows(&self, id: &DocumentId, wanted: &str) -> bool {
        let stored = self.index.store.get(id).await.expect("it answers");
        stored.and_then(|stored| stored.body).is_some_and(|body| body == wanted)
    }

    /// Tells of as many movies as are 80 % of what the process does at most, until it is stopped.
    async fn load(&self) -> (CancellationToken, JoinHandle<()>) {
        const MANY: usize = 10_000;
        let start = Instant::now();
        self.tell("movies", (0..MANY).map(|number| format!("c{number}"))).await;
        sleep(Duration::from_millis(500)).await;
        while self.index.log.lag(Lane::Live).await.expect("it answers") > 0 {
            sleep(Duration::from_millis(20)).await;
        }
        let took = start.elapsed();
        let pause = Duration::from_millis(100);
        let at_once = (share(MANY, 1) / took.as_secs_f64() * 0.8 * pause.as_secs_f64()) as usize;
        println!("load: {} events a second", at_once * 10);
        let (stop, state) = (CancellationToken::new(), self.state.clone());
        let stopped = stop.clone();
        let load = tokio::spawn(async move {
            let mut number = 0;
            while !stopped.is_cancelled() {
                let ids = number..number + at_once;
                let line = |id: usize| {
                    serde_json::json!({"key": format!("y{}", id % 50_000), "value": {"revision": 1}})
                        .to_string()
                        .into_bytes()
                };
                inbox::accept(&state, "movies", ids.map(line).collect()).await.expect("it is accepted");
                number += at_once;
                sleep(pause).await;
            }
        });
        (stop, load)
    }
}

fn plan() -> IndexPlan {
    let read = |name: &str| {
        let path = repository().join("tests/benches/fanout").join(name.trim_start_matches("./"));
        let text = fs::read_to_string(path).expect("a file of ours");
        Arc::new(SourceText { name: name.to_owned(), text })
    };
    let parsed = parse_config(&read("index.yaml"), &|_| None);
    let config = parsed.value.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    let schema = config.graph.schema.as_ref().expect("it names its schema");
    let texts = Texts { query: read(&config.query.value), schema: read(&schema.value), others: [].into() };
    let checked = compile(&config, &texts);
    checked.value.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics)).plan
}

fn show(name: &str, samples: &[Duration], compared: &[Duration]) {
    let at = |samples: &[Duration], share: usize| {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        sorted[(sorted.len() * share / 100).min(sorted.len() - 1)].as_secs_f64()
    };
    let of = |share| (at(samples, share) * 1_000.0, at(samples, share) / at(compared, share));
    let ((p50, p50_ratio), (p99, p99_ratio)) = (of(50), of(99));
    println!(
        "live events {name}: {} samples, p50 {p50:.0} ms ({p50_ratio:.2}x), p99 {p99:.0} ms ({p99_ratio:.2}x); wanted: at most {WANTED_LIVE}x",
        samples.len()
    );
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark's counts are small")]
fn share(count: usize, of: usize) -> f64 {
    count as f64 / of as f64
}

/// A number that looks like chance, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn chance(number: u64) -> f64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// One of ten thousand.
fn uniform(event: u64) -> u64 {
    (chance(event) * 10_000.0) as u64
}

/// One of ten thousand, the first of them most often: the inverse of the logarithm that sums up 1/n.
fn zipf(event: u64) -> u64 {
    10_000_f64.powf(chance(event)) as u64
}

/// Twenty events of one, one after the other.
fn burst(event: u64) -> u64 {
    event / 20
}
