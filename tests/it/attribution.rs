//! Whose fault a failure is, measured: every way to fail of every subgraph behind the real gateway, which shows or hides what
//! they said. The truth is known, for one subgraph is broken at a time.
//!
//! `SEED=7 cargo test -p studio-search-tests --test it attribution -- --nocapture` asks about other movies, and prints the table.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use harness::graph::RealGraph;
use indexer::{
    endpoints::GraphEndpoint,
    graph::{http::HttpGraph, request::DocumentRequests, response::Answer},
    rebuild::judge::{Verdict, judge},
};
use plan::{DocumentId, IndexPlan};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::compiled::{files, made};

/// The seed unless the environment says otherwise.
const SEED: u64 = 20_261_123;

/// How long the gateway waits for a slow subgraph here, in milliseconds, and how long that one takes.
const PATIENCE_MS: u64 = 100;
const SLOW_MS: u64 = 1_000;

/// Movies of a batch. One of them has no production, so that a null that is no failure stands beside those that are.
const BATCH: usize = 4;

const SUBGRAPHS: [&str; 3] = ["movies", "productions", "talent"];

/// The ways to fail: of a whole request, of an entity, of one field. A null without an error is told apart from a failure by nobody.
const REQUESTS: [&str; 8] = ["down", "busy", "refused", "closed", "slow", "cut", "page", "refuses"];
const ENTITIES: [&str; 3] = ["error", "blames", "mistakes"];
const FIELDS: [&str; 2] = ["field", "nonnull"];

/// What the gateway hides, from nothing to everything.
const HIDINGS: [Option<&str>; 6] =
    [None, Some("service"), Some("messages"), Some("extensions"), Some("router"), Some("all")];

/// One way to fail of one subgraph, behind one gateway.
#[derive(Clone, Copy)]
struct Fault {
    subgraph: &'static str,
    mode: &'static str,
    hiding: Option<&'static str>,
}

impl Fault {
    /// What the graph is asked to do. `blames` names a service that is none of the supergraph's, `mistakes` another subgraph.
    fn body(&self) -> serde_json::Value {
        let other = if self.subgraph == "talent" { "movies" } else { "talent" };
        let (mode, other) = match self.mode {
            "blames" => ("blames", "billing"),
            "mistakes" => ("blames", other),
            mode => (mode, other),
        };
        let patience = if mode == "slow" { PATIENCE_MS } else { 0 };
        json!({"subgraph": self.subgraph, "mode": mode, "ms": SLOW_MS, "patience": patience, "other": other})
    }

    /// Whether the answer itself leaves one subgraph only: by a name, by an address, or by a path that one of them owns.
    fn can_be_told(&self) -> bool {
        let has_name = match self.mode {
            "error" | "field" | "nonnull" | "refuses" => true,
            // Apollo Gateway adds `serviceName`, and Apollo Router adds nothing where a subgraph wrote a `service`.
            "blames" => self.hiding.is_none(),
            _ => false,
        };
        let is_shown = self.hiding.is_none() || self.hiding == Some("service");
        let has_address = REQUESTS.contains(&self.mode) && !matches!(self.mode, "page" | "refuses");
        // The address of one that answered with a status stands in the extensions; of others in the message alone.
        let is_addressed =
            is_shown || self.hiding == Some("extensions") && !matches!(self.mode, "down" | "busy");
        let has_path = FIELDS.contains(&self.mode) && self.hiding != Some("all");
        has_name && is_shown || has_address && is_addressed || has_path
    }
}

/// What was said of the documents of one hiding.
#[derive(Default)]
struct Score {
    told: usize,
    right: usize,
    several: usize,
    all: usize,
}

struct Bench {
    graph: RealGraph,
    _events: TempDir,
    plan: IndexPlan,
    http: HttpGraph,
    requests: DocumentRequests,
    runtime: Runtime,
}

impl Bench {
    fn start() -> Self {
        let events = tempfile::tempdir().expect("a folder");
        let graph = RealGraph::start(events.path());
        let mut texts = files("configs/movies");
        texts.insert("supergraph.graphql".to_owned(), graph.supergraph());
        let plan = made(&texts).compiled.plan;
        let endpoint = GraphEndpoint { url: graph.gateway.clone(), headers: Vec::new(), ca: None };
        let http = HttpGraph::new(&endpoint, Duration::from_secs(10)).expect("a client");
        let requests = DocumentRequests::new(plan.clone().into());
        let runtime = Runtime::new().expect("threads can be started");
        Self { graph, _events: events, plan, http, requests, runtime }
    }

    fn judged(&self, ids: &[DocumentId]) -> Vec<Verdict> {
        let reply = self.runtime.block_on(self.http.exchange(&self.requests.documents(ids)));
        let body = reply.expect("the gateway answers whatever its subgraphs do").body;
        judge(&self.plan, ids, &Answer::parse(&body).expect("it is GraphQL"))
    }

    /// The subgraph that is blamed for each document, as `run` would find it: together first, then alone.
    fn blamed(&self, ids: &[DocumentId]) -> Vec<Option<String>> {
        let blamed = |(id, verdict): (&DocumentId, Verdict)| {
            let verdict = match verdict {
                Verdict::Again { alone: true } => self.judged(std::slice::from_ref(id)).remove(0),
                verdict => verdict,
            };
            match verdict {
                Verdict::Held(cause) => cause.subgraph,
                other => panic!("{id} is not held: {other:?}"),
            }
        };
        ids.iter().zip(self.judged(ids)).map(blamed).collect()
    }
}

#[test]
fn a_failure_is_blamed_on_who_failed() {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED);
    let bench = Bench::start();
    let ids = movies(&bench.graph, seed);
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    let mut table = String::new();
    let mut wrong = Vec::new();
    for hiding in HIDINGS {
        bench.graph.post("/hide", &json!({"hiding": hiding}));
        for mode in REQUESTS.into_iter().chain(ENTITIES).chain(FIELDS) {
            let mut line = format!("{:<11}{mode:<10}", hiding.unwrap_or("nothing"));
            for subgraph in SUBGRAPHS {
                let fault = Fault { subgraph, mode, hiding };
                // The error says only this, and nothing that contradicts it.
                if mode == "mistakes" && hiding == Some("service") {
                    let _ = write!(line, "{:<28}", "-");
                    continue;
                }
                let said = blamed_for(&bench, fault, &ids);
                let score = scores.entry(hiding.unwrap_or("nothing")).or_default();
                for blamed in &said {
                    let suspects = suspects(blamed.as_deref());
                    score.all += 1;
                    score.several += usize::from(suspects.len() > 1);
                    if fault.can_be_told() {
                        score.told += 1;
                        score.right += usize::from(suspects == [subgraph]);
                    }
                    if !suspects.contains(&subgraph) {
                        wrong.push(format!("{hiding:?} {mode} of {subgraph}: {blamed:?}"));
                    }
                }
                let first = said[0].as_deref().unwrap_or("nobody").trim_start_matches("one of ").to_owned();
                let _ = write!(line, "{first:<28}");
            }
            let _ = writeln!(table, "{}", line.trim_end());
        }
    }
    let _ = writeln!(table, "hidden: documents, one of several; where it can be told: right");
    for (hiding, Score { told, right, several, all }) in &scores {
        let _ = writeln!(table, "{hiding:<11}{all:>5} {several:>5}   {right}/{told}");
    }
    eprintln!("seed {seed}: {ids:?}\n{table}");
    assert!(
        wrong.is_empty(),
        "seed {seed}: the guilty one is not among the blamed:\n{}\n{table}",
        wrong.join("\n")
    );
    let (told, right) = scores.values().fold((0, 0), |sum, score| (sum.0 + score.told, sum.1 + score.right));
    assert!(told > 100 && right * 100 >= told * 95, "seed {seed}: {right} of {told} right\n{table}");
}

fn blamed_for(bench: &Bench, fault: Fault, ids: &[DocumentId]) -> Vec<Option<String>> {
    bench.graph.post("/fail", &fault.body());
    // Who has no production loses nothing when a field of one fails.
    let concerned: Vec<DocumentId> = match (fault.subgraph, FIELDS.contains(&fault.mode)) {
        ("productions", true) => ids[..ids.len() - 1].to_vec(),
        _ => ids.to_vec(),
    };
    let said = bench.blamed(&concerned);
    bench.graph.fail(fault.subgraph, None);
    said
}

/// The names in a cause.
fn suspects(blamed: Option<&str>) -> Vec<&str> {
    let names = blamed.map(|text| text.trim_start_matches("one of ").split(", ").collect());
    names.unwrap_or_default()
}

/// Movies by the seed, each with a director and a production, and at last one without.
fn movies(graph: &RealGraph, seed: u64) -> Vec<DocumentId> {
    // Steps of a linear congruential generator (Knuth's MMIX).
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("m{}", 1 + (state >> 33) % 3_000)
    };
    let drawn: Vec<String> = (0..40).map(|_| next()).collect();
    let documents = graph.documents_of(&drawn);
    let is_whole = |id: &&String| {
        let movie = documents.get(*id);
        movie.is_some_and(|movie| movie["production"].is_object() && movie["directors"][0].is_object())
    };
    let mut ids: Vec<String> = drawn.iter().filter(is_whole).take(BATCH - 1).cloned().collect();
    let unmade = json!({"movieId": "m990001", "title": "Unmade", "production": null, "directors": ["t1"]});
    graph.post("/movies", &unmade);
    ids.push("m990001".to_owned());
    assert_eq!(ids.len(), BATCH, "seed {seed}: too few of {drawn:?} have a director");
    ids.into_iter().map(|id| DocumentId::new(id).expect("an id")).collect()
}
