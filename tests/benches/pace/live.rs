//! What a backfill costs those who wait for a live change: the time from an accepted event to its document being readable, while
//! the backfill lane goes on and while it is paused, in turns.

use std::{
    fmt::Write,
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use harness::load::movie_id;
use indexer::{
    graph::{Graph, GraphError, GraphRequest},
    ledger::{BackfillIds, pace::change_wishes},
    source::inbox,
};
use plan::DocumentId;
use tokio::time::sleep;

use crate::{
    knee::answer,
    world::{World, plan, runtime},
};

/// Turns of each kind, and events that are timed in one.
const TURNS: usize = 4;
const SAMPLES: usize = 100;

/// More than are fetched meanwhile.
const IDS: usize = 600_000;

/// How long the lane has to notice that it is paused, or goes on.
const NOTICED: Duration = Duration::from_secs(2);

/// What a backfill may cost live events.
const WANTED: f64 = 1.2;

/// How long the gateway takes.
const ANSWER: Duration = Duration::from_millis(20);

/// Answers after the same while, and knows how often the movie that is renamed has been.
#[derive(Default)]
struct Steady {
    renamed: Mutex<Option<(String, usize)>>,
    answered: AtomicUsize,
}

#[async_trait]
impl Graph for Steady {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let body = answer(request);
        self.answered.fetch_add(request.variables.len(), Ordering::Relaxed);
        sleep(ANSWER).await;
        let renamed = self.renamed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_asked = |id: &str| request.variables.values().any(|value| value == id);
        Ok(match renamed {
            Some((id, count)) if is_asked(&id) => {
                let text = String::from_utf8(body).expect("UTF-8");
                text.replace("The Crash Landing", &format!("Take {count}")).into_bytes()
            }
            _ => body,
        })
    }
}

struct Live {
    world: World,
    gateway: Arc<Steady>,
    told: usize,
}

impl Live {
    /// Times one event after the other.
    async fn samples(&mut self) -> Vec<Duration> {
        let mut samples = Vec::new();
        for _ in 0..SAMPLES {
            self.told += 1;
            // Behind all that the backfill comes to: nothing but its event asks for it.
            let id = movie_id(900_000 + self.told);
            let renamed = Some((id.clone(), self.told));
            *self.gateway.renamed.lock().unwrap_or_else(PoisonError::into_inner) = renamed;
            let line = serde_json::json!({"key": id, "value": {}}).to_string().into_bytes();
            let (key, wanted) = (DocumentId::new(id).expect("an id"), format!("Take {}", self.told));
            let start = Instant::now();
            let state = self.world.index.state().expect("it is embedded");
            inbox::accept(state, "movies", vec![line]).await.expect("it is accepted");
            while !self.shows(&key, &wanted).await {
                assert!(start.elapsed() < Duration::from_mins(1), "{key} is never written");
                sleep(Duration::from_millis(1)).await;
            }
            samples.push(start.elapsed());
            sleep(Duration::from_millis(15)).await;
        }
        samples
    }

    async fn shows(&self, id: &DocumentId, wanted: &str) -> bool {
        let stored = self.world.index.store.get(id).await.expect("it answers");
        stored.and_then(|stored| stored.body).is_some_and(|body| body.contains(wanted))
    }

    async fn pause(&self, paused: bool) {
        change_wishes(&*self.world.index.ledger, |wishes| wishes.paused = paused).await.expect("it is noted");
        sleep(NOTICED).await;
    }
}

pub(crate) fn measure() -> bool {
    runtime().block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let ids = (0..IDS).fold(String::new(), |mut ids, n| {
            let _ = writeln!(ids, "{}", movie_id(n));
            ids
        });
        fs::write(folder.path().join("ids.txt"), ids).expect("the folder is writable");
        let gateway = Arc::<Steady>::default();
        let world = World::start(folder.path(), &plan(), gateway.clone()).await;
        let mut live = Live { world, gateway, told: 0 };
        live.pause(true).await;
        live.world.index.ledger.start_backfill(BackfillIds::Enumerated).await.expect("it is noted");
        while live.world.index.ledger.backfills().await.expect("it answers")[0].enumerated < IDS as u64 {
            sleep(NOTICED).await;
        }
        live.samples().await;
        let (mut without, mut beside, mut fetched) = (Vec::new(), Vec::new(), 0);
        for _ in 0..TURNS {
            live.pause(true).await;
            without.extend(live.samples().await);
            live.pause(false).await;
            let before = live.gateway.answered.load(Ordering::Relaxed);
            beside.extend(live.samples().await);
            fetched += live.gateway.answered.load(Ordering::Relaxed) - before;
        }
        assert!(fetched > 10 * TURNS * SAMPLES, "the backfill stood still: {fetched} documents");
        let (p50, p50_beside) = (at(&mut without, 50), at(&mut beside, 50));
        let (p99, p99_beside) = (at(&mut without, 99), at(&mut beside, 99));
        println!(
            "live events beside a backfill ({fetched} documents meanwhile): p50 {p50_beside:.0} ms, {:.2}x of without; p99 {p99_beside:.0} ms, {:.2}x (wanted: at most {WANTED}x)",
            p50_beside / p50,
            p99_beside / p99
        );
        live.world.end().await;
        p99_beside / p99 <= WANTED
    })
}

/// A percentile in milliseconds.
fn at(samples: &mut [Duration], percent: usize) -> f64 {
    samples.sort_unstable();
    samples[samples.len() * percent / 100].as_secs_f64() * 1_000.0
}
