//! What an operator sees of a running process: health, metrics, logs, and how it ends.

use std::{
    collections::BTreeSet,
    io::Read,
    net::TcpListener,
    sync::mpsc,
    time::{Duration, Instant},
};

use harness::{
    folder::Folder,
    openmetrics::{self, Family},
};
use indexer::admin::metric_names;
use serde_json::{Value, json};

const SETTLES: Duration = Duration::from_mins(2);

#[test]
fn a_working_process_tells_how_it_is() {
    let (folder, graph) = Folder::with_graph();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run_with(&["--log-format", "json"]);
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m1", "--id", "m2", "--id", "m3"]);
    folder.settles_within(SETTLES);
    graph.post("/edit/movies/m2", &json!({"title": "Counted"}));
    graph.post("/edit/productions/p3", &json!({"budget": 77}));
    folder.settles_within(SETTLES);

    assert_eq!(run.get("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(run.get("/readyz"), (200, "ok\n".to_owned()));
    let (status, text) = run.get("/metrics");
    assert_eq!(status, 200, "{text}");
    let families = openmetrics::read(&text);
    names_are_those_of_the_file(&families);

    let is = |name: &str, labels: &[(&str, &str)], wanted: f64| {
        let told = openmetrics::value(&families, name, labels);
        assert!((told - wanted).abs() < f64::EPSILON, "{name}{labels:?}: {told}, not {wanted}\n{text}");
    };
    is("events_total", &[("source", "movie-changes")], 1.0);
    is("events_total", &[("source", "production-changes")], 1.0);
    is("skipped_events_total", &[], 0.0);
    is("live_documents", &[("index", "movies")], 3.0);
    is("lag", &[], 0.0);
    is("source_lag", &[], 0.0);
    is("freshness_seconds_count", &[], 2.0);
    is("documents_total", &[("result", "gone")], 0.0);
    is("backfill_enumerated", &[], 3.0);
    is("backfill_rebuilt", &[], 3.0);
    is("backfill_running", &[], 0.0);
    is("epoch", &[], 1.0);
    is("running", &[], 1.0);
    is("stalled_loops", &[], 0.0);
    is("build_info", &[("index_version", "1")], 1.0);
    assert!(openmetrics::value(&families, "documents_total", &[("result", "written")]) >= 4.0, "{text}");
    assert!(
        openmetrics::value(&families, "fetch_requests_total", &[("outcome", "answered")]) >= 2.0,
        "{text}"
    );

    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    let log = folder.log();
    assert!(log.lines().count() >= 2, "it says when it takes the index over and when it ends: {log}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

fn names_are_those_of_the_file(families: &[Family]) {
    let told: BTreeSet<(&str, &str)> = families
        .iter()
        .map(|family| (family.name.strip_prefix("studio_search_").expect("our prefix"), family.kind.as_str()))
        .collect();
    let wanted: BTreeSet<(&str, &str)> =
        metric_names::ALL.iter().map(|metric| (metric.name, metric.kind.name())).collect();
    assert_eq!(told, wanted);
    for family in families {
        let named =
            |metric: &&metric_names::MetricName| family.name == format!("studio_search_{}", metric.name);
        let metric = metric_names::ALL.iter().find(named).expect("one of them");
        assert_eq!(family.meaning.trim_end_matches('.'), metric.meaning);
        assert!(!family.samples.is_empty(), "{} has a value before anything happened", family.name);
        for sample in &family.samples {
            let mut labels: Vec<&str> = sample.labels.keys().map(String::as_str).collect();
            labels.retain(|label| !["index", "le"].contains(label));
            let wanted: BTreeSet<&str> = metric.labels.iter().copied().collect();
            assert_eq!(labels.into_iter().collect::<BTreeSet<_>>(), wanted, "{sample:?}");
        }
    }
}

/// A gateway that takes a request and never answers keeps nobody from ending.
#[test]
fn a_gateway_that_hangs_delays_the_end_by_its_deadline_at_most() {
    const DEADLINE: Duration = Duration::from_secs(6);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (asked, requests) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for connection in listener.incoming() {
            let mut connection = connection.expect("a connection");
            let mut first = [0; 4];
            if connection.read_exact(&mut first).is_ok() && &first == b"POST" {
                let _ = asked.send(());
            }
            kept.push(connection); // open, and silent
        }
    });
    let mut folder = Folder::new();
    folder.connect(&format!("http://{address}/graphql"));
    folder.edit(
        "index.yaml",
        "  batch: { size: 25 }\n",
        "  batch: { size: 25 }\n  deadline: 6s\n  timeout: 5s\n",
    );
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m1"]);
    requests.recv_timeout(SETTLES).expect("the gateway is asked");
    let told = Instant::now();
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    let took = told.elapsed();
    assert!(took < DEADLINE + Duration::from_secs(1), "it took {took:?}: {}", folder.log());
}
