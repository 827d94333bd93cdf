//! The route of the real program: Debezium's events out of a topic, root ids into the lanes, by processor time of our process.
//!
//! `cargo build --release -p studio-search && cargo bench -p studio-search-tests --bench route`, on a quiet machine. Each round
//! starts a process over a full topic and ends it when all of it is committed, so that a start is part of the figure. Events a
//! second of processor time are what one core does; a clock on the wall also measures who else is busy. The floor is the
//! making of a JSON tree of each value and nothing else, in the same rounds.

use std::{
    hint::black_box,
    thread::sleep,
    time::{Duration, Instant},
};

use harness::{
    folder::Folder,
    load::{self, movie_id},
    servers::{elasticsearch, kafka, registry},
};
use serde_json::{Value, json};

const ROUNDS: usize = 5;
const EVENTS: usize = 100_000;

/// Events a second of processor time that must be reached at least.
const WANTED: f64 = 20_000.0;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let nobody = "http://127.0.0.1:1/graphql";
    let folder = load::folder(kafka(), registry(), ("elasticsearch", elasticsearch()), nobody);
    let events: Vec<(String, Vec<u8>)> = (0..EVENTS).map(event).collect();
    let size = events.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() / EVENTS;
    println!("{ROUNDS} rounds of {EVENTS} events of {size} bytes");
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        kafka().append(
            "bench.public.movies",
            events.iter().map(|(key, value)| (key.as_str(), value.as_slice())),
        );
        let floor = timed(|| events.iter().for_each(|(_, value)| drop(black_box(tree(value)))));
        let (took, worked) = route(&folder, round * EVENTS);
        let [floor, took, worked] = [floor, took, worked].map(per_second);
        println!("  {worked:.0} events/s of processor time, {took:.0} on the wall; the floor {floor:.0}");
        rounds.push((worked, floor / worked));
    }
    let worked = median(rounds.iter().map(|(worked, _)| *worked));
    let floor = median(rounds.iter().map(|(_, floor)| *floor));
    println!("events a second of processor time: median {worked:.0} (wanted: at least {WANTED:.0})");
    println!("all of the route / a bare JSON tree: median {floor:.1}x");
    assert!(worked >= WANTED, "a figure is missed");
}

/// Runs a process until so many events are routed and committed: its time on the wall, and of processors.
fn route(folder: &Folder, through: usize) -> (Duration, Duration) {
    let start = Instant::now();
    let run = folder.run_with(&["--role", "route"]);
    loop {
        let status = folder.status();
        if status["sources"][0]["position"] == through {
            break;
        }
        assert!(start.elapsed() < Duration::from_mins(3), "it has stopped: {status:#}\n{}", folder.log());
        sleep(Duration::from_millis(200));
    }
    let figures = (start.elapsed(), run.processor_time());
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    figures
}

fn tree(value: &[u8]) -> Value {
    serde_json::from_slice(value).expect("JSON")
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark's counts are small")]
fn per_second(took: Duration) -> f64 {
    EVENTS as f64 / took.as_secs_f64()
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// An update as Debezium 3 tells it of a table with REPLICA IDENTITY FULL, without the schema of Kafka Connect's converter.
fn event(n: usize) -> (String, Vec<u8>) {
    let id = movie_id(n);
    let row = |title: String| {
        json!({
            "movie_id": id, "title": title, "type": "FEATURE", "genre": "Action", "release_date": 19_782, "running_time": 117,
            "imdb_rating": 7.9, "popularity": 123_456, "updated_at": "2026-11-22T02:21:39.119248Z",
        })
    };
    let value = json!({
        "before": row(format!("The Crash Landing, part {n}")), "after": row(format!("The Crash Landing, part {n}, restored")),
        "source": {
            "version": "3.6.3.Final", "connector": "postgresql", "name": "studio", "ts_ms": 1_795_314_099_119_u64, "snapshot": "false",
            "db": "studio", "sequence": "[\"22263096\",\"22263192\"]", "ts_us": 1_795_314_099_119_912_u64,
            "ts_ns": 1_795_314_099_119_912_000_u64, "schema": "public", "table": "movies", "txId": 734, "lsn": 22_263_192, "xmin": null,
            "origin": null, "origin_lsn": null,
        },
        "transaction": null, "op": "u", "ts_ms": 1_795_314_099_629_u64, "ts_us": 1_795_314_099_629_513_u64,
        "ts_ns": 1_795_314_099_629_513_912_u64,
    });
    (json!({"movie_id": id}).to_string(), value.to_string().into_bytes())
}
