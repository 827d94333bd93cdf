//! The rebuild path of the real program, from a lane on Kafka to the index, against a raw bulk loader of the same bytes that
//! makes the same traffic with the broker and the gateway beside it, interleaved in one run.
//!
//! `cargo build --release -p studio-search && cargo bench -p studio-search-tests --bench rebuild`, on a quiet machine; `--
//! opensearch` measures one engine alone. Everything runs on the same processors, so a document's share of the servers' work
//! is in both figures. What else runs on the machine makes both slower, and not evenly: then believe the processor time of all
//! that takes part, which says what the ratio would be on processors that nobody else uses and that are never idle.

mod loader;
mod processors;

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    folder::{Folder, Running},
    gateway::{self, Documents, Gateway},
    load,
    servers::{Rest, elasticsearch, kafka, opensearch, registry},
};
use indexer::documents::DocumentSchema;
use serde_json::Value;

use self::{
    loader::{Loader, Setting, WISH},
    processors::{Took, took},
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
    let folder = load::folder(kafka(), registry(), (engine, store), &gateway.url);
    copy_index(store, "rival");
    kafka().create_topics(&["rival.lane", "rival.documents"], PARTITIONS);
    let avsc = folder.succeed(&["-q", "generate", "avro", "index.yaml"]);
    let schema = DocumentSchema::parse(&serde_json::from_str(&avsc).expect("JSON")).expect("ours");
    let loader = Loader {
        store,
        index: "rival",
        gateway: &gateway.url,
        kafka: kafka(),
        lane: "rival.lane",
        log: "rival.documents",
        producer: kafka().producer(),
        consumer: loader::consumer(kafka(), "rival.lane", PARTITIONS),
        schema,
    };
    let ours = Ours { store, gateway: &gateway, documents: &documents, run: folder.run(), folder: &folder };

    // Cold servers say nothing about either.
    let mut version = 1;
    let mut load = |setting| {
        version += 1;
        loader.load(&documents, setting, version)
    };
    ours.rebuild();
    load(SETTINGS[1]);
    let tried = SETTINGS.map(|setting| (load(setting), setting));
    let (_, best) = tried.into_iter().min_by_key(|(took, _)| took.clock).expect("settings");
    for (took, setting) in tried {
        println!("{engine}: a loader with {setting:?}: {:.0} documents/s", per_second(took.clock));
    }
    ours.rebuild();

    let size = documents.values().map(String::len).sum::<usize>() / DOCUMENTS;
    println!("{engine}: {ROUNDS} rounds of {DOCUMENTS} documents of {size} bytes");
    let (mut ratios, mut shares, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (rebuilt, theirs) = (ours.rebuild(), load(best));
        let (here, there) = (per_second(rebuilt.took.clock), per_second(theirs.clock));
        ratios.push(here / there);
        shares.push(theirs.worked.as_secs_f64() / rebuilt.took.worked.as_secs_f64());
        own.push(micros(rebuilt.own));
        println!(
            "  ours {here:.0} documents/s, the loader {there:.0}; all processors: {:.0} us a document, beside the loader {:.0}; \
             our process {:.1}",
            micros(rebuilt.took.worked),
            micros(theirs.worked),
            micros(rebuilt.own),
        );
    }
    let [ratio, share, own] = [ratios, shares, own].map(median);
    println!("{engine}: ours / loader: median {ratio:.2} (wanted: at least {WANTED})");
    println!("{engine}: the same by processor time of all that takes part: median {share:.2}");
    println!(
        "{engine}: our own processor time a document: median {own:.1} us (wanted: at most {WANTED_MICROS})"
    );
    assert!(ratio >= WANTED && own <= WANTED_MICROS, "a figure is missed with {engine}");
}

/// The program with what it writes to.
struct Ours<'b> {
    store: &'b Rest,
    gateway: &'b Gateway,
    documents: &'b Documents,
    run: Running,
    folder: &'b Folder,
}

/// What it took to rebuild every document once.
struct Rebuilt {
    took: Took,
    /// Processor time of our own process, with what follows the last document.
    own: Duration,
}

impl Ours<'_> {
    fn rebuild(&self) -> Rebuilt {
        let before = self.run.processor_time();
        let (asked, written) = (self.gateway.answered(), self.written());
        let took = took(|| self.write_all(asked, written));
        // What follows the last document is part of it: its lane is committed.
        eventually(Duration::from_mins(1), || {
            let status = self.folder.status();
            let is_done = status["lag"]["backfill"] == 0 && status["held"] == 0;
            if is_done { Ok(()) } else { Err(format!("{status:#}\n{}", self.folder.log())) }
        });
        Rebuilt { took, own: self.run.processor_time().saturating_sub(before) }
    }

    /// Appends every id to the lane, as another process would, and waits until each document is written.
    fn write_all(&self, asked: usize, written: u64) {
        let start = Instant::now();
        kafka().append(LANE, self.documents.keys().map(|id| (id.as_str(), WISH)));
        // Asking the server costs it something, so it is asked only about the last of them.
        while self.gateway.answered() < asked + self.documents.len()
            || self.written() < written + self.documents.len() as u64
        {
            assert!(start.elapsed() < Duration::from_mins(3), "it has stopped:\n{}", self.folder.log());
            sleep(Duration::from_millis(50));
        }
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

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
