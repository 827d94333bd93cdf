//! A document's body to an Avro datum and back, against the making of a JSON tree alone, interleaved in one run.
//!
//! `cargo bench -p studio-search-tests --bench avro` prints medians of fifteen rounds. A rival would have the tree first,
//! and the writing of the datum still before it.

use std::{
    fs,
    hint::black_box,
    time::{Duration, Instant},
};

use harness::repository;
use indexer::documents::DocumentSchema;
use serde_json::{Value, json};

const ROUNDS: usize = 15;
const DOCUMENTS: usize = 2_000;

/// What both ways must reach at least; below it the program fails.
const WANTED: f64 = 2.0;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let avsc = repository().join("configs/movies/generated/movies.avsc");
    let avsc = serde_json::from_str(&fs::read_to_string(avsc).expect("a schema")).expect("JSON");
    let schema = DocumentSchema::parse(&avsc).expect("a document's schema");
    let bodies: Vec<String> = (0..DOCUMENTS).map(body).collect();
    let encoded = |body: &String| {
        let mut datum = Vec::new();
        schema.encode(black_box(body), &mut datum).expect("it fits");
        datum
    };
    let datums: Vec<Vec<u8>> = bodies.iter().map(encoded).collect();
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let tree = timed(&bodies, |body| serde_json::from_str::<Value>(body).expect("JSON"));
        let encode = timed(&bodies, encoded);
        let decode = timed(&datums, |datum| schema.decode(datum).expect("our datum"));
        // The first round warms the caches up.
        if round > 0 {
            rounds.push((tree, encode, decode));
        }
    }
    let (json, avro) = (bytes(&bodies), datums.iter().map(Vec::len).sum::<usize>());
    println!("{DOCUMENTS} documents of {} bytes as JSON, {} as Avro", json / DOCUMENTS, avro / DOCUMENTS);
    let encode = median(rounds.iter().map(|(tree, encode, _)| ratio(*tree, *encode)).collect());
    let decode = median(rounds.iter().map(|(tree, _, decode)| ratio(*tree, *decode)).collect());
    println!("serde_json::Value / encode: median {encode:.1}x (wanted: {WANTED}x)");
    println!("serde_json::Value / decode: median {decode:.1}x (wanted: {WANTED}x)");
    assert!(encode >= WANTED && decode >= WANTED, "a figure is missed");
}

fn timed<I, T>(items: &[I], mut work: impl FnMut(&I) -> T) -> Duration {
    let start = Instant::now();
    items.iter().for_each(|item| drop(black_box(work(item))));
    start.elapsed()
}

fn ratio(slow: Duration, fast: Duration) -> f64 {
    slow.as_secs_f64() / fast.as_secs_f64()
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn bytes(bodies: &[String]) -> usize {
    bodies.iter().map(String::len).sum()
}

/// A movie as the graph answers it.
fn body(n: usize) -> String {
    json!({
        "movieId": format!("m{n}"),
        "title": format!("The \"Movie\" of number {n}"),
        "type": "FEATURE",
        "genre": "Action",
        "creativeType": "Science Fiction",
        "source": "Original Screenplay",
        "mpaaRating": "PG-13",
        "releaseDate": "2009-12-18",
        "runningTime": 162,
        "imdbRating": 8.3,
        "rottenTomatoesRating": 83,
        "popularity": 261_439 + n,
        "production": {
            "ptpId": format!("p{n}"),
            "status": "IN_PHOTOGRAPHY",
            "distributor": "20th Century Fox",
            "budget": 237_000_000,
            "grossUS": 760_167_650,
            "grossWorldwide": 2_767_891_499_u64,
        },
        "directors": [{"talentId": "t110", "name": "James Cameron", "role": "DIRECTOR"}],
    })
    .to_string()
}
