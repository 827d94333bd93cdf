//! A document's body to an Avro datum and back, against apache-avro through values and against the making of a JSON tree alone,
//! interleaved in one run.
//!
//! `cargo bench -p studio-search-tests --bench avro` prints medians of fifteen rounds over documents of 1.7 KB. The rival reads
//! the body into a JSON tree, makes Avro's values of it, lets the schema resolve them and writes the datum; on the way back it
//! reads values and makes the JSON's text of their tree.

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value as Datum, writer::datum::GenericDatumWriter,
};
use codegen::{Texts, compile, parse_config};
use harness::{load::movie, repository};
use indexer::documents::DocumentSchema;
use plan::SourceText;
use serde_json::Value;

const ROUNDS: usize = 15;
const DOCUMENTS: usize = 500;

/// What both ways must be ahead of apache-avro at least; below it the program fails.
const WANTED: f64 = 4.0;

/// The same for the making of a JSON tree, before which the rival has not even begun.
const WANTED_OF_A_TREE: f64 = 2.0;

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn main() {
    let avsc = schema();
    let ours = DocumentSchema::parse(&avsc).expect("a document's schema");
    let theirs = Schema::parse(&avsc).expect("a schema");
    let bodies: Vec<String> = (0..DOCUMENTS).map(movie).collect();
    let encoded = |body: &String| {
        let mut datum = Vec::new();
        ours.encode(black_box(body), &mut datum).expect("it fits");
        datum
    };
    let writer = GenericDatumWriter::builder(&theirs).build().expect("a writer");
    let through_values = |body: &String| {
        let tree: Value = serde_json::from_str(black_box(body)).expect("JSON");
        let value = value_of(tree).resolve(&theirs).expect("it fits");
        writer.write_value_to_vec(value).expect("it fits")
    };
    let reader = GenericDatumReader::builder(&theirs).build().expect("a reader");
    let back_through_values = |datum: &Vec<u8>| {
        let value = reader.read_value(&mut black_box(datum).as_slice()).expect("our datum");
        Value::try_from(value).expect("JSON").to_string()
    };
    let datums: Vec<Vec<u8>> = bodies.iter().map(encoded).collect();
    assert!(
        bodies.iter().zip(&datums).all(|(body, datum)| through_values(body) == *datum),
        "the same datums"
    );
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let figures = [
            timed(&bodies, |body| serde_json::from_str::<Value>(body).expect("JSON")),
            timed(&bodies, encoded),
            timed(&bodies, through_values),
            timed(&datums, |datum| ours.decode(datum).expect("our datum")),
            timed(&datums, back_through_values),
        ];
        // The first round warms the caches up.
        if round > 0 {
            rounds.push(figures);
        }
    }
    let (json, avro) =
        (bodies.iter().map(String::len).sum::<usize>(), datums.iter().map(Vec::len).sum::<usize>());
    println!("{DOCUMENTS} documents of {} bytes as JSON, {} as Avro", json / DOCUMENTS, avro / DOCUMENTS);
    for (which, name) in
        ["JSON tree", "encode", "apache-avro", "decode", "apache-avro, back"].iter().enumerate()
    {
        println!("{name:18} {:6.1} us a document", median(rounds.iter().map(|round| micros(round[which]))));
    }
    let mut good = true;
    let mut told = |what: &str, slow: usize, fast: usize, wanted: f64| {
        let ratio = median(rounds.iter().map(|round| round[slow].as_secs_f64() / round[fast].as_secs_f64()));
        println!("{what:40} median {ratio:5.1}x (wanted: {wanted}x)");
        good &= ratio >= wanted;
    };
    told("apache-avro through values / encode", 2, 1, WANTED);
    told("apache-avro through values / decode", 4, 3, WANTED);
    told("serde_json::Value / encode", 0, 1, WANTED_OF_A_TREE);
    told("serde_json::Value / decode", 0, 3, WANTED_OF_A_TREE);
    assert!(good, "a figure is missed");
}

/// Avro's values of a JSON tree, as far as a tree tells them; the schema resolves them further. The crate's own way to values
/// has no unsigned integers that would resolve.
fn value_of(tree: Value) -> Datum {
    match tree {
        Value::Null => Datum::Null,
        Value::Bool(truth) => Datum::Boolean(truth),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Datum::Long(integer),
            None => Datum::Double(number.as_f64().expect("a number")),
        },
        Value::String(text) => Datum::String(text),
        Value::Array(items) => Datum::Array(items.into_iter().map(value_of).collect()),
        Value::Object(fields) => {
            Datum::Map(fields.into_iter().map(|(name, value)| (name, value_of(value))).collect())
        }
    }
}

/// The Avro schema of the benchmarks' index, as `generate avro` makes it.
fn schema() -> Value {
    let folder = repository().join("tests/benches/movies");
    let read = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).expect("a file of ours");
        Arc::new(SourceText { name: name.to_owned(), text })
    };
    let config = parse_config(&read("index.yaml"), &|_| None).value.expect("a configuration");
    let (query, schema) = (read("query.graphql"), read("schema.graphql"));
    let compiled = compile(&config, &Texts { query, schema, others: BTreeMap::new() });
    compiled.value.expect("it compiles").avro
}

fn timed<I, T>(items: &[I], mut work: impl FnMut(&I) -> T) -> Duration {
    let start = Instant::now();
    items.iter().for_each(|item| drop(black_box(work(item))));
    start.elapsed()
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark's counts are small")]
fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / DOCUMENTS as f64
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
