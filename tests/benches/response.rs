//! A gateway's answer to stored bodies: through raw slices, and through `serde_json::Value`, interleaved in one run.
//!
//! `cargo bench -p studio-search-tests --bench response` prints the median and the best ratio of fifteen rounds. The answer
//! has 25 documents of about 1.7 KB each, the size that the figures of rivals are told for.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use indexer::graph::response::{Answer, body_of, field_of};
use serde_json::{Value, json};

const ROUNDS: usize = 15;
const ANSWERS_A_ROUND: usize = 40;
const DOCUMENTS: usize = 25;

/// What both ways must reach at least; below it the program fails.
const WANTED: f64 = 4.0;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let body = answer();
    let size = body.len() / DOCUMENTS;
    assert_eq!(raw(&body).len(), tree(&body).len());
    let mut ratios: Vec<f64> = Vec::new();
    let mut each = Duration::ZERO;
    for round in 0..=ROUNDS {
        let slow = timed(|| tree(&body));
        let fast = timed(|| raw(&body));
        // The first round warms the caches up.
        if round > 0 {
            ratios.push(slow.as_secs_f64() / fast.as_secs_f64());
            each += fast;
        }
    }
    ratios.sort_by(f64::total_cmp);
    let documents = u32::try_from(ROUNDS * ANSWERS_A_ROUND * DOCUMENTS).expect("small");
    let median = ratios[ROUNDS / 2];
    println!("response -> body, {DOCUMENTS} documents of {size} bytes, {ROUNDS} rounds interleaved");
    println!("raw slice: {:?} a document", each / documents);
    println!(
        "serde_json::Value / raw slice: median {median:.1}x, least {:.1}x (wanted: {WANTED}x)",
        ratios[0]
    );
    assert!(median >= WANTED, "the raw slice lost its lead");
}

fn timed(mut work: impl FnMut() -> Vec<String>) -> Duration {
    let start = Instant::now();
    for _ in 0..ANSWERS_A_ROUND {
        black_box(work());
    }
    start.elapsed()
}

/// The way of the indexer: slices, and one look for the key.
fn raw(body: &[u8]) -> Vec<String> {
    let answer = Answer::parse(black_box(body)).expect("an answer");
    let data = answer.data.expect("data");
    let bodies = data.values().map(|raw| {
        black_box(field_of(raw, "movieId"));
        body_of(raw)
    });
    bodies.collect()
}

/// The obvious way: a tree, and its text again.
fn tree(body: &[u8]) -> Vec<String> {
    let answer: Value = serde_json::from_slice(black_box(body)).expect("an answer");
    let data = answer["data"].as_object().expect("data");
    let bodies = data.values().map(|document| {
        black_box(&document["movieId"]);
        serde_json::to_string(document).expect("JSON")
    });
    bodies.collect()
}

fn answer() -> Vec<u8> {
    let actors: Vec<Value> = (0..10)
        .map(|n| json!({"talentId": format!("t{n}"), "name": format!("Ana Núñez {n}"), "role": "ACTOR", "billing": n, "age": 31.5}))
        .collect();
    let document = |n: usize| {
        json!({
            "movieId": format!("m{n}"), "title": format!("The Crash Landing, part {n}"), "type": "FEATURE",
            "synopsis": "A pilot who lost her licence flies one more time. ".repeat(14),
            "releaseDate": "2024-02-29", "runningTime": 117, "imdbRating": 7.9, "popularity": 123_456,
            "countries": ["FR", "ES", "PT"], "production": {"ptpId": format!("p{n}"), "status": "IN_PHOTOGRAPHY", "budget": 12_000_000},
            "actors": actors,
        })
    };
    let data: serde_json::Map<String, Value> =
        (0..DOCUMENTS).map(|n| (format!("d{n}"), document(n))).collect();
    json!({"data": data}).to_string().into_bytes()
}
