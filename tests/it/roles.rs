//! `--role`: one process routes, another rebuilds; each does only its own half, and together they follow the graph.

use std::time::Duration;

use harness::{
    eventually,
    folder::{Folder, Running, assert_equal},
    openmetrics,
    servers::{elasticsearch, kafka},
};
use serde_json::json;

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

/// A metric of a process, by the sample's whole name, summed over those with these labels.
fn metric(run: &Running, name: &str, labels: &[(&str, &str)]) -> f64 {
    let (status, text) = run.get("/metrics");
    assert_eq!(status, 200, "{text}");
    openmetrics::value(&openmetrics::read(&text), name, labels)
}

/// Waits until a metric is so; fails with the log.
fn becomes(folder: &Folder, run: &Running, name: &str, labels: &[(&str, &str)], wanted: f64) {
    eventually(SETTLES, || {
        let told = metric(run, name, labels);
        let is_so = (told - wanted).abs() < f64::EPSILON;
        if is_so {
            Ok(())
        } else {
            Err(format!("{name}{labels:?} is {told}, not {wanted}\n{}", folder.log()))
        }
    });
}

fn is_healthy(run: &Running) {
    assert_eq!(run.get("/livez"), (200, "ok\n".to_owned()));
    assert_eq!(run.get("/readyz"), (200, "ok\n".to_owned()));
}

#[test]
fn who_routes_and_who_rebuilds_follow_the_graph_together() {
    let (folder, graph) = Folder::with_graph();
    let name = "roles";
    let first: Vec<String> = (10..=60).map(|n| format!("m{n}")).collect();
    let directed = graph.documents_of(&first);
    let director = |id: &String| directed[id]["directors"][0]["talentId"].as_str().map(str::to_owned);
    let (movie, director) = first.iter().find_map(|id| Some((id, director(id)?))).expect("someone directs");
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let _stream = folder.share_over(kafka(), None, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);

    // Who rebuilds alone: backfills are rebuilt, and events lie where they are.
    let rebuilding = folder.run_with(&["--role", "rebuild"]);
    graph.post("/edit/movies/m9", &json!({"title": "Ninth"}));
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m1", "--id", "m2", "--id", movie]);
    becomes(&folder, &rebuilding, "live_documents", &[], 3.0);
    becomes(&folder, &rebuilding, "source_lag", &[("source", "movie-changes")], 1.0);
    is_healthy(&rebuilding);
    assert!(metric(&rebuilding, "events_total", &[]) < 1.0, "it reads no source");
    assert!(metric(&rebuilding, "epoch", &[]) >= 1.0, "it owns the log");
    assert_eq!(rebuilding.terminate(), Some(0), "{}", folder.log());

    // Who routes alone: events become entries, and no document comes.
    let routing = folder.run_with(&["--role", "route"]);
    graph.post("/edit/productions/p2", &json!({"budget": 77}));
    becomes(&folder, &routing, "lag", &[("lane", "live")], 2.0);
    becomes(&folder, &routing, "source_lag", &[], 0.0);
    is_healthy(&routing);
    assert!(metric(&routing, "events_total", &[]) >= 2.0, "it reads the sources");
    assert!(metric(&routing, "fetch_requests_total", &[]) < 1.0, "it fetches nothing");
    assert!(metric(&routing, "epoch", &[]) < 1.0, "it owns nothing of the log");
    let before = folder.exported();
    assert!(before.len() == 3 && !before.contains_key("m9"), "{:?}", before.keys());
    assert_ne!(before["m2"], graph.documents_of(&["m2".to_owned()])["m2"]);

    let rebuilding = folder.run_with(&["--role", "rebuild"]);
    becomes(&folder, &rebuilding, "lag", &[], 0.0);
    graph.post(&format!("/edit/talents/{director}"), &json!({"name": "Renamed Everywhere"}));
    graph.delete_movie("m1");
    folder.settles_within(SETTLES);
    let indexed = folder.exported();
    let ids: Vec<String> = indexed.keys().cloned().collect();
    assert_equal(&indexed, &graph.documents_of(&ids), &folder.log());
    assert!(indexed.contains_key("m9") && !indexed.contains_key("m1"), "{:?}", indexed.keys());
    assert_eq!(folder.status()["processes"], 2);
    assert!(metric(&rebuilding, "events_total", &[]) < 1.0);
    assert!(metric(&routing, "documents_total", &[]) < 1.0);
    for run in [routing, rebuilding] {
        is_healthy(&run);
        assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    }
}
