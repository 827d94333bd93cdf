//! The rebuild path of the real program, from a lane on Kafka to the index, against a raw bulk loader of the same bytes that
//! makes the same traffic with the broker and the gateway beside it, interleaved in one run.
//!
//! `cargo build --release -p studio-search && cargo bench -p studio-search-tests --bench rebuild`, on a quiet machine; `--
//! opensearch` measures one engine alone. Everything runs on the same processors, so a document's share of the servers' work
//! is in both figures. What else runs on the machine makes both slower: believe the ratio and the processor time, which are
//! taken from the same rounds, before the documents a second.

mod gateway;
mod loader;

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    folder::{Folder, Running},
    load,
    servers::{Rest, elasticsearch, kafka, opensearch, registry},
};
use indexer::documents::DocumentSchema;
use serde_json::Value;

use self::{
    gateway::Documents,
    loader::{Loader, Setting, WISH},
};

const ROUNDS: usize = 7;
const DOCUMENTS: usize = 10_000;

/// What must be reached at least: documents of ours for each of the loader's.
const WANTED: f64 = 0.90;

/// What our own process may take for a document, in microseconds.
const WANTED_MICROS: f64 = 40.0;

/// What the loader is tried with, for the best to be its setting.
const SETTINGS: [Setting; 6] = [
    Setting { in_flight: 1, documents: 500 },
    Setting { in_flight: 2, documents: 500 },
    Setting { in_flight: 4, documents: 500 },
    Setting { in_flight: 1, documents: 2_000 },
    Setting { in_flight: 2, documents: 2_000 },
    Setting { in_flight: 4, documents: 2_000 },
];

const LANE: &str = "studio-search.bench.backfill";
const INDEX: &str = "bench-000001";
const PARTITIONS: i32 = 6;

/// One engine after the other, each in a process of its own: two would not fit into a small machine together.
fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match asked.first().map(String::as_str) {
        Some("elasticsearch") => measure("elasticsearch", elasticsearch()),
        Some("opensearch") => measure("opensearch", opensearch()),
        Some(other) => panic!("{other} is no engine: elasticsearch or opensearch"),
        None => {
            let here = std::env::current_exe().expect("a program knows its own path");
            let run = |engine: &&str| Command::new(&here).arg(engine).status().expect("it starts").success();
            let missed: Vec<&str> =
                ["elasticsearch", "opensearch"].into_iter().filter(|engine| !run(engine)).collect();
            assert!(missed.is_empty(), "a figure is missed with {}", missed.join(" and "));
        }
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn measure(engine: &'static str, store: &Rest) {
    let documents = gateway::documents(DOCUMENTS);
    let gateway = gateway::start(&documents);
    let folder = load::folder(kafka(), registry(), (engine, store), &gateway);
    copy_index(store, "rival");
    kafka().create_topic("rival.lane", PARTITIONS);
    kafka().create_topic("rival.documents", PARTITIONS);
    let avsc = folder.succeed(&["-q", "generate", "avro", "index.yaml"]);
    let schema = DocumentSchema::parse(&serde_json::from_str(&avsc).expect("JSON")).expect("ours");
    let loader = Loader {
        store,
        index: "rival",
        gateway: &gateway,
        kafka: kafka(),
        lane: "rival.lane",
        log: "rival.documents",
        producer: kafka().producer(),
        consumer: loader::consumer(kafka(), "rival.lane", PARTITIONS),
        schema,
    };
    let ours = Ours { store, documents: &documents, run: folder.run(), folder: &folder };

    // Cold servers say nothing about either.
    let mut version = 1;
    let mut load = |setting| {
        version += 1;
        loader.load(&documents, setting, version)
    };
    ours.rebuild();
    load(SETTINGS[1]);
    let tried = SETTINGS.map(|setting| (load(setting), setting));
    let (_, best) = tried.into_iter().min_by_key(|(took, _)| *took).expect("settings");
    for (took, setting) in tried {
        println!("{engine}: a loader with {setting:?}: {:.0} documents/s", per_second(took));
    }
    ours.rebuild();

    let size = documents.values().map(String::len).sum::<usize>() / DOCUMENTS;
    println!("{engine}: {ROUNDS} rounds of {DOCUMENTS} documents of {size} bytes");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let (rebuilt, loaded) = (ours.rebuild(), load(best));
        println!(
            "  ours {:.0} documents/s with {:.1} us of ours each, the loader {:.0} documents/s",
            per_second(rebuilt.took),
            micros(rebuilt.worked),
            per_second(loaded)
        );
        rounds.push((rebuilt, loaded));
    }
    let ratio = |(rebuilt, loaded): &(Rebuilt, Duration)| loaded.as_secs_f64() / rebuilt.took.as_secs_f64();
    let ratio = median(rounds.iter().map(ratio));
    let worked = median(rounds.iter().map(|(rebuilt, _)| micros(rebuilt.worked)));
    println!("{engine}: ours / loader: median {ratio:.2} (wanted: at least {WANTED})");
    println!(
        "{engine}: our own processor time a document: median {worked:.1} us (wanted: at most {WANTED_MICROS})"
    );
    assert!(ratio >= WANTED && worked <= WANTED_MICROS, "a figure is missed with {engine}");
}

/// The program with what it writes to.
struct Ours<'b> {
    store: &'b Rest,
    documents: &'b Documents,
    run: Running,
    folder: &'b Folder,
}

/// What it took to rebuild every document once.
struct Rebuilt {
    took: Duration,
    /// Processor time of our own process.
    worked: Duration,
}

impl Ours<'_> {
    /// Appends every id to the lane, as another process would, and waits until each document is written.
    fn rebuild(&self) -> Rebuilt {
        let before = (self.written(), self.run.processor_time());
        let start = Instant::now();
        kafka().append(LANE, self.documents.keys().map(|id| (id.as_str(), WISH)));
        while self.written() < before.0 + self.documents.len() as u64 {
            assert!(start.elapsed() < Duration::from_mins(3), "it has stopped:\n{}", self.folder.log());
            sleep(Duration::from_millis(20));
        }
        let took = start.elapsed();
        // What follows the last document is part of it: its lane is committed.
        eventually(Duration::from_mins(1), || {
            let status = self.folder.status();
            let is_done = status["lag"]["backfill"] == 0 && status["held"] == 0;
            if is_done { Ok(()) } else { Err(format!("{status:#}\n{}", self.folder.log())) }
        });
        Rebuilt { took, worked: self.run.processor_time() - before.1 }
    }

    /// How many documents the index has taken since it was made.
    fn written(&self) -> u64 {
        let stats = self.store.succeed("GET", &format!("/{INDEX}/_stats/indexing"), &Value::Null);
        stats["_all"]["primaries"]["indexing"]["index_total"].as_u64().expect("a number")
    }
}

/// Makes an index as ours is, without the name that our template applies to.
fn copy_index(store: &Rest, name: &str) {
    let made = store.succeed("GET", &format!("/{INDEX}"), &Value::Null);
    let mut settings = made[INDEX]["settings"]["index"].clone();
    for own in ["uuid", "version", "provided_name", "creation_date", "history_uuid"] {
        settings.as_object_mut().expect("settings").remove(own);
    }
    let mut like = serde_json::json!({"settings": {"index": settings}});
    like["mappings"] = made[INDEX]["mappings"].clone();
    store.succeed("PUT", &format!("/{name}"), &like);
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark's counts are small")]
fn per_second(took: Duration) -> f64 {
    DOCUMENTS as f64 / took.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark's counts are small")]
fn micros(worked: Duration) -> f64 {
    worked.as_secs_f64() * 1e6 / DOCUMENTS as f64
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
