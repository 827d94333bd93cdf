//! A day of a gateway that people use, with a backfill in its windows: all that holds a backfill back, over simulated time.
//!
//! `cargo test -p studio-search-indexer --lib a_day_with_a_window -- --ignored` draws it anew into `docs/backfill-day.svg`.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use plan::index_plan::BackOff;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Bench, plot, seconds};
use crate::{
    ambient::{jitter, simulated},
    graph::{Graph, GraphError, GraphRequest},
    log::Lane,
    now_ms,
};
use plan::window::Window;

/// How long an answer takes of a gateway that has time, in milliseconds.
const QUIET_MS: f64 = 800.0;

/// Requests that it works on at once before answers take longer.
const AT_ONCE: f64 = 14.0;

/// `back_off_when.p95_latency`, in milliseconds.
const BRAKE_MS: u64 = 1_400;

/// The plot begins and ends at noon: its night is in one piece. UTC, as everything here.
const NOON: f64 = 12.0;

const HOUR: f64 = 3_600.0;

/// A minute of the day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Minute {
    /// Hours since midnight of the first day.
    pub(super) hour: f64,
    /// Documents of the backfill that were answered in a second.
    pub(super) rate: f64,
    /// The 95th percentile of all answers, people's and ours.
    pub(super) p95_ms: f64,
}

/// A gateway that gets slower the more it has to do.
#[derive(Default)]
struct Busy {
    ours: AtomicUsize,
    answered: AtomicUsize,
    took_ms: Mutex<Vec<f64>>,
}

/// Hours since midnight, by the clock of the simulation.
fn hour_of_day() -> f64 {
    let of_day = now_ms().rem_euclid(86_400_000) as f64;
    of_day / 1_000.0 / HOUR
}

/// Requests of people in flight: few at four in the morning, most in the afternoon and once more at half past nine in the evening;
/// and others have their nightly work between three and half past three.
fn people(hour: f64) -> f64 {
    let by_day = 18.0 * (1.0 - ((hour - 4.0) / 24.0 * std::f64::consts::TAU).cos()) / 2.0;
    let evening = 9.0 * (-(hour - 21.5).powi(2) / 1.5).exp();
    let nightly = if (3.0..3.5).contains(&hour) { 20.0 } else { 0.0 };
    3.0 + by_day + evening + nightly
}

impl Busy {
    fn takes_ms(&self) -> f64 {
        let load = people(hour_of_day()) + self.ours.load(Ordering::Relaxed) as f64;
        QUIET_MS * (load / AT_ONCE).max(1.0).powf(1.5) * (1.0 + (jitter() - 1.0) / 2.0)
    }

    fn note(&self, took_ms: f64) {
        self.took_ms.lock().unwrap().push(took_ms);
    }

    /// What happened since it was asked last.
    fn minute(&self, hour: f64) -> Minute {
        let mut took = std::mem::take(&mut *self.took_ms.lock().unwrap());
        took.sort_by(f64::total_cmp);
        let p95_ms = took[took.len() * 95 / 100];
        Minute { hour, rate: self.answered.swap(0, Ordering::Relaxed) as f64 / 60.0, p95_ms }
    }
}

#[async_trait]
impl Graph for Busy {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        self.ours.fetch_add(1, Ordering::Relaxed);
        let took_ms = self.takes_ms();
        sleep(Duration::from_secs_f64(took_ms / 1_000.0)).await;
        self.ours.fetch_sub(1, Ordering::Relaxed);
        self.note(took_ms);
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(json!({"data": {"d0": {"movieId": request.variables["id0"]}}}).to_string().into_bytes())
    }
}

fn windows() -> Vec<Window> {
    let window = |from: u32, until: u32| Window { times: vec![(from * 60, until * 60)], ..Window::default() };
    vec![window(22, 24), window(0, 6)]
}

fn is_open(hour: f64) -> bool {
    !(6.0..22.0).contains(&(hour % 24.0))
}

async fn a_day() -> Vec<Minute> {
    let until_noon = (NOON + 24.0 - hour_of_day()) % 24.0;
    sleep(Duration::from_secs_f64(until_noon * HOUR)).await;
    let mut plan = Bench::plan();
    plan.graph.max_concurrency = 8;
    plan.backfill.windows = windows();
    plan.backfill.back_off = BackOff { p95_latency_ms: Some(BRAKE_MS), error_rate: None };
    let gateway = Arc::<Busy>::default();
    let bench = Bench::begin(plan, &gateway).await;
    bench.append(Lane::Backfill, "m", 300_000).await;
    let began = Instant::now();
    let mut minutes = Vec::new();
    for minute in 1..=24 * 60_u32 {
        for second in 1..=60 {
            sleep((began + seconds(u64::from(minute - 1) * 60 + second)).duration_since(Instant::now()))
                .await;
            gateway.note(gateway.takes_ms());
        }
        minutes.push(gateway.minute(NOON + f64::from(minute - 1) / 60.0));
    }
    bench.end().await;
    minutes
}

#[tokio::test(start_paused = true)]
#[ignore = "draws the plot of the documentation"]
async fn a_day_with_a_window() {
    let _machine = simulated::begin(1);
    let minutes = a_day().await;
    // What began before a window's end is still answered behind it.
    let outside = minutes.iter().filter(|minute| !is_open(minute.hour) && minute.hour % 1.0 > 0.05);
    assert!(outside.map(|minute| minute.rate).fold(0.0, f64::max) <= 0.0, "outside of the window");
    let rate = |from: f64, until: f64| {
        let rates: Vec<f64> = minutes
            .iter()
            .filter(|minute| (from..until).contains(&minute.hour))
            .map(|minute| minute.rate)
            .collect();
        rates.iter().sum::<f64>() / f64::from(u32::try_from(rates.len()).unwrap())
    };
    let (evening, night, nightly) = (rate(22.0, 22.5), rate(25.0, 27.0), rate(27.1, 27.5));
    println!(
        "{evening:.1} a second in the evening, {night:.1} at night, {nightly:.1} beside others' nightly work"
    );
    assert!(night > 2.0 * evening && night > 2.0 * nightly, "it takes what is left");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/backfill-day.svg");
    fs::write(path, plot::svg(&minutes, BRAKE_MS as f64, is_open)).unwrap();
}
