//! Kills, freezes and broken connections, under a steady stream of changes: whatever happens, the index equals the graph at the end.
//!
//! `KILLS_SEED` decides what happens, `KILLS_ROUNDS` how often: three rounds in five with one process and its file, the others
//! with three processes over Kafka and Elasticsearch; `KILLS_FIRST` is the number of the first one. Only what happens is the same
//! for the same seed, not what it meets.

mod fault;
mod world;

use std::{collections::BTreeMap, env, ops::Range, sync::Arc, time::Duration};

use harness::{
    folder::Folder,
    graph::RealGraph,
    link::{Link, NOBODY},
    push::Push,
    servers::{Kafka, elasticsearch, kafka_linked},
};
use serde_json::json;

use self::{
    fault::Pace,
    world::{INBOX, Inbox, Seat, World},
};

/// Few, so that changes meet each other, and a round compares all of them in a second.
const MOVIES: usize = 400;

/// Of the seeds up to 400, none has more kinds of faults in its first rounds: each process' ways to all its servers are broken.
fn seed() -> u64 {
    number("KILLS_SEED", 14)
}

/// The numbers of the rounds of each world.
fn rounds() -> [Range<u64>; 2] {
    let (first, rounds) = (number("KILLS_FIRST", 1), number("KILLS_ROUNDS", 25));
    let embedded = rounds * 3 / 5;
    [embedded, rounds - embedded].map(|rounds| first..first + rounds)
}

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// A folder and its graph, whose gateway is asked through `GATEWAY_URL`; its fetches have two seconds.
fn hurried() -> (Folder, Arc<RealGraph>, BTreeMap<&'static str, Link>) {
    let mut folder = Folder::new();
    let (graph, subgraphs) = RealGraph::start_linked(&folder.path("events"), MOVIES);
    folder.ask(&graph);
    let batch = "  batch: { size: 25 }\n";
    // Three processes of the default would have Node answer later than that on two busy cores.
    let hurry = "  max_concurrency: 2\n  timeout: 1500ms\n  deadline: 2s\n";
    folder.edit("index.yaml", batch, &format!("{batch}{hurry}"));
    folder.edit("index.yaml", "errors:\n", "errors:\n  retry: { initial: 500ms, max: 2s }\n");
    // A person with two movies is a wide fan-out.
    let asked = "    back_reference: { query: ./movies-of-talent.graphql }\n";
    folder.edit("index.yaml", asked, &format!("{asked}    max_fanout: 1\n"));
    (folder, Arc::new(graph), subgraphs)
}

/// A way to a gateway, and its URL.
fn gateway(graph: &RealGraph) -> (Link, String) {
    let link = Link::to(graph.gateway.strip_suffix("/graphql").expect("its path"));
    let url = format!("{}/graphql", link.url);
    (link, url)
}

#[test]
fn one_process_and_its_file_lose_nothing() {
    let (folder, graph, subgraphs) = hurried();
    // Edges come over HTTP, rows by files.
    let inbox = Link::to(NOBODY);
    let mut inboxes = Vec::new();
    for (table, source) in [("talents", "talent-changes"), ("cast", "cast-changes")] {
        let file = format!("file: ${{EVENTS_DIR:-./events}}/{table}.ndjson");
        folder.edit("index.yaml", &file, "http: true");
        let url = format!("{}/events/movies/{source}", inbox.url);
        let push = Push::start(folder.path("events").join(format!("{table}.ndjson")), url);
        inboxes.push(Inbox { source: source.to_owned(), push });
    }
    let (gateway, url) = gateway(&graph);
    let variables = vec![("GATEWAY_URL", url)];
    let seat = Seat { links: vec![gateway, inbox], variables, run: None, is_new: true };
    let pace = Pace { seats: 1, links: &["gateway", INBOX], frozen: (2_500, 4_000), broken: (300, 4_000) };
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let pause = Duration::from_millis(20);
    let mut world = World { folder, graph, subgraphs, seats: vec![seat], inboxes, pace, pause };
    let [rounds, _] = rounds();
    world.goes_through(rounds, seed(), |line| println!("{line}"));
    world.ends();
}

#[test]
fn three_processes_over_kafka_lose_nothing() {
    const SEATS: usize = 3;
    let (mut folder, graph, subgraphs) = hurried();
    let name = "kills";
    let (kafka, brokers) = kafka_linked(SEATS);
    folder.keep_on("elasticsearch", "${STORE_URL}", name);
    let _stream = folder.share_over(&kafka, None, name);
    let text = |from: &str, to: &str| folder.edit("index.yaml", from, to);
    text(&format!("\"{}\"", kafka.brokers), "\"${BROKERS}\"");
    text("session.timeout.ms: 10000", "session.timeout.ms: 6000");
    text("  deadline: 12s\n", "");
    folder.set("STORE_URL", &elasticsearch().url);
    folder.set("BROKERS", &kafka.brokers);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    // Whoever is frozen has slept through what the server remembers of natively deleted documents.
    let forgets = json!({"index": {"gc_deletes": "1s"}});
    elasticsearch().succeed("PUT", &format!("/{name}-000001/_settings"), &forgets);
    let seats = brokers.into_iter().map(|broker| {
        let (gateway, url) = gateway(&graph);
        let store = Link::to(&elasticsearch().url);
        let variables = vec![
            ("GATEWAY_URL", url),
            ("STORE_URL", store.url.clone()),
            ("BROKERS", broker.address.to_string()),
        ];
        Seat { links: vec![gateway, store, broker], variables, run: None, is_new: true }
    });
    let pace = Pace {
        seats: SEATS,
        links: &["gateway", "store", "broker"],
        frozen: (7_000, 9_000),
        broken: (500, 8_000),
    };
    let (seats, pause) = (seats.collect(), Duration::from_millis(40));
    let mut world = World { folder, graph, subgraphs, seats, inboxes: Vec::new(), pace, pause };
    let [_, rounds] = rounds();
    world.goes_through(rounds, seed(), |line| println!("{line}"));
    versions_only_grow(&kafka, name);
    world.ends();
}

/// Whoever reads the documents log sees each document only grow newer.
fn versions_only_grow(kafka: &Kafka, name: &str) {
    let mut newest = BTreeMap::<Vec<u8>, u64>::new();
    let documents = kafka.records(&format!("studio-search\\.{name}\\.documents\\..*"));
    assert!(documents.len() >= MOVIES, "{} documents were appended", documents.len());
    for record in documents {
        let header = record.headers.iter().find(|header| header.name == "studio-search.version");
        let text = header.and_then(|header| header.value.clone()).expect("each says its version");
        let version: u64 = String::from_utf8(text).expect("digits").parse().expect("a number");
        let key = record.key.expect("each has its id");
        let before = newest.insert(key.clone(), version).unwrap_or(0);
        assert!(before < version, "{}: {version} follows {before}", String::from_utf8_lossy(&key));
    }
}
