//! Other ways in: events over HTTP, a schema by introspection, a query with a list root.

use std::{fs, time::Duration};

use harness::{eventually, folder::Folder};
use serde_json::{Value, json};

const SETTLES: Duration = Duration::from_mins(2);

#[test]
fn events_over_http_are_durable_before_they_are_acknowledged() {
    let (folder, graph) = Folder::with_graph();
    folder.edit(
        "index.yaml",
        "file: ${EVENTS_DIR:-./events}/movies.ndjson\n    format: debezium",
        "http: true\n    format: plain",
    );
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    let url = format!("http://{}/events/movies/movie-changes", run.admin());
    let client = reqwest::blocking::Client::new();
    let post = |url: &str, body: &str| {
        let response = client.post(url).body(body.to_owned()).send().expect("the admin port answers");
        (response.status().as_u16(), response.text().unwrap_or_default())
    };
    let lines = changed(40, &json!({}));
    let (status, said) = post(&url, &lines);
    assert_eq!((status, said.trim()), (202, r#"{"accepted":40}"#));
    // What was acknowledged survives the process, whether it was routed by then or not.
    run.kill();
    let run = folder.run();
    eventually(SETTLES, || match folder.status()["documents"].as_u64() {
        Some(40) => Ok(()),
        other => Err(format!("{other:?} documents\n{}", folder.log())),
    });
    assert_eq!(folder.exported()["m7"]["title"], graph.documents()["m7"]["title"]);
    // A heartbeat goes the same way, and only where the way is ours.
    let before = folder.status()["dead_letters"].clone();
    let heard = folder.json(&["audit", "index.yaml", "--heartbeat"]);
    let took = |name: &str| {
        let sources = heard["sources"].as_array().expect("a list");
        sources.iter().find(|source| source["name"] == name).expect("each source")["took_ms"].as_i64()
    };
    assert!(took("movie-changes").is_some_and(|took| took < 30_000), "{heard:#}");
    assert_eq!(took("cast-changes"), None, "a file is its producer's: {heard:#}");
    let status = folder.status();
    let source =
        status["sources"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "movie-changes"));
    let source = source.expect("each source");
    assert!(source["heartbeat"]["arrived_at"].is_i64(), "{status:#}");
    assert_eq!((&status["dead_letters"], &status["documents"]), (&before, &json!(40)), "it asks for nothing");
    let (_, metrics) = run.get("/metrics");
    let beat =
        "studio_search_source_heartbeat_timestamp_seconds{index=\"movies\",source=\"movie-changes\"} 1";
    assert!(metrics.contains(beat), "{metrics}");

    let url = format!("http://{}/events/movies/nobody", run.admin());
    assert_eq!(post(&url, &lines).0, 404);
    assert_eq!(run.terminate(), Some(0));
}

#[test]
fn a_schema_that_nobody_wrote_down_is_asked_for() {
    let (folder, _graph) = Folder::with_graph();
    folder.edit("index.yaml", "  schema: ./supergraph.graphql\n", "");
    let refused = folder.output(&["validate"]);
    assert_eq!(refused.status.code(), Some(1), "a gateway's introspection tells no keys");
    folder.edit("index.yaml", "entity: Movie\n", "entity: Movie\nkey: movieId\n");
    let output = folder.output(&["validate"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("SS216"), "what can't be proven is said: {stderr}");
}

#[test]
fn a_list_root_is_asked_with_its_ids() {
    let (folder, graph) = Folder::with_graph();
    let query = fs::read_to_string(folder.path("query.graphql")).expect("the query");
    let query =
        query.replace("$id: ID!", "$ids: [ID!]!").replace("movie(movieId: $id)", "moviesByIds(ids: $ids)");
    fs::write(folder.path("query.graphql"), query).expect("writable");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let events = changed(60, &json!({"op": "u", "after": {}}));
    fs::write(folder.path("events").join("movies.ndjson"), events).expect("writable");
    folder.succeed(&["run", "index.yaml", "--once"]);
    let (indexed, mut now) = (folder.exported(), graph.documents());
    now.retain(|id, _| indexed.contains_key(id));
    assert_eq!(indexed.len(), 60);
    harness::folder::assert_equal(&indexed, &now, &folder.log());
    let requests = graph.counts()["gateway"]["requests"].as_u64().expect("a count");
    assert!(requests > 0);
    graph.delete_movie("m5");
    folder.succeed(&["run", "index.yaml", "--once"]);
    assert!(
        !folder.exported().contains_key("m5"),
        "who is missing in the list is asked for alone, and is gone"
    );
}

/// A line of events for each of the first movies.
fn changed(movies: usize, value: &Value) -> String {
    let line = |n| json!({"key": {"movie_id": format!("m{n}")}, "value": value}).to_string();
    (1..=movies).map(line).collect::<Vec<_>>().join("\n") + "\n"
}
