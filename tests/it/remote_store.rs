//! The index on a search server equals the graph as the embedded one does, and provision converges there.

use std::time::Duration;

use harness::{
    folder::{Folder, assert_equal},
    graph::RealGraph,
    servers::{Rest, elasticsearch, opensearch, opensearch_2},
};
use serde_json::{Value, json};

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

#[test]
fn the_index_follows_the_graph_on_elasticsearch() {
    follows(elasticsearch(), "elasticsearch", "followed", Folder::with_graph());
}

#[test]
fn the_index_follows_the_graph_on_opensearch() {
    follows(opensearch(), "opensearch", "followed", Folder::with_movies(800));
}

#[test]
fn the_index_follows_the_graph_on_the_older_opensearch() {
    follows(opensearch_2(), "opensearch", "followed", Folder::with_movies(800));
}

fn follows(server: &Rest, kind: &str, name: &str, (folder, graph): (Folder, RealGraph)) {
    folder.keep_on(kind, &server.url, name);
    let planned = folder.json(&["plan", "index.yaml"]);
    assert_eq!(actions(&planned), ["add"; 6], "{planned:#}");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let again = folder.json(&["plan", "index.yaml"]);
    assert_eq!(actions(&again), ["none"; 6], "what a server tells in its own words is no change: {again:#}");

    let run = folder.run();
    let before = folder.backfills_within(SETTLES, &graph);

    graph.post("/edit/movies/m7", &json!({"title": "Seventh \"Heaven\""}));
    graph.post("/edit/productions/p9", &json!({"status": "IN_PHOTOGRAPHY"}));
    let directors = before.values().find_map(|movie| movie["directors"][0]["talentId"].as_str());
    let director = directors.expect("someone directs").to_owned();
    graph.post(&format!("/edit/talents/{director}"), &json!({"name": "Renamed Everywhere"}));
    graph.delete_movie("m11");
    graph.post(
        "/movies",
        &json!({"movieId": "m9001", "title": "Brand New", "production": {}, "directors": [director]}),
    );
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());

    server.succeed("POST", &format!("/{name}/_refresh"), &Value::Null);
    let found = folder.json(&["search", "index.yaml", "renamed", "-n", "1000"]);
    let renamed =
        graph.documents().values().filter(|movie| movie.to_string().contains("Renamed Everywhere")).count();
    assert_eq!(found["total"].as_u64(), u64::try_from(renamed).ok(), "{found:#}");
    let held = folder.json(&[
        "search",
        "index.yaml",
        "--filter",
        "production.status == 'IN_PHOTOGRAPHY' AND movieId == 'm9'",
    ]);
    assert_eq!(held["hits"][0]["document"]["movieId"], "m9", "{held:#}");
    // Through the alias, by any client of the server: documents, and no tombstones.
    let counted = server.succeed("GET", &format!("/{name}/_count"), &Value::Null);
    assert_eq!(counted["count"].as_u64(), u64::try_from(graph.documents().len()).ok());
    assert_eq!(run.terminate(), Some(0), "SIGTERM drains and exits 0");
}

/// A state file that is lost takes its epochs with it; those in the index count on.
#[test]
fn a_new_state_file_goes_on_above_what_the_index_holds() {
    let (folder, graph) = Folder::with_graph();
    folder.keep_on("elasticsearch", &elasticsearch().url, "goes-on");
    for title in ["First", "Second"] {
        graph.post("/edit/movies/m7", &json!({"title": title}));
        folder.succeed(&["provision", "index.yaml", "--yes"]);
        folder.succeed(&["backfill", "start", "index.yaml", "--id", "m7"]);
        folder.succeed(&["run", "index.yaml", "--once"]);
        assert_eq!(folder.exported()["m7"]["title"], title);
        std::fs::remove_file(folder.path("movies.db")).expect("the state file");
    }
}

#[test]
fn provision_finishes_what_broke_off_and_refuses_what_is_not_its_own() {
    let server = elasticsearch();
    let folder = Folder::new();
    folder.keep_on("elasticsearch", &server.url, "halfway");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let broken = |method: &str, path: &str, body: &Value, wanted: &[(&str, &str)]| {
        server.succeed(method, path, body);
        let planned = folder.json(&["plan", "index.yaml"]);
        let changes = planned["changes"].as_array().expect("changes");
        let wrong: Vec<(&str, &str)> = changes
            .iter()
            .map(|change| {
                (change["action"].as_str().expect("an action"), change["kind"].as_str().expect("a kind"))
            })
            .filter(|(action, _)| *action != "none")
            .collect();
        assert_eq!(wrong, wanted, "{path}: {planned:#}");
        folder.succeed(&["provision", "index.yaml", "--yes"]);
        assert_eq!(actions(&folder.json(&["plan", "index.yaml"])), ["none"; 6]);
    };
    broken("DELETE", "/halfway-000001/_alias/halfway", &Value::Null, &[("add", "alias")]);
    broken("DELETE", "/halfway-000001", &Value::Null, &[("add", "index"), ("add", "alias")]);
    broken("DELETE", "/_index_template/studio-search-halfway", &Value::Null, &[("add", "index template")]);
    let templates = folder.succeed(&["generate", "template", "index.yaml"]);
    let mut settings: Value = serde_json::from_str(&templates).expect("the templates");
    let mut settings = settings["component_template"]["body"].take();
    settings["template"]["settings"]["index"]["refresh_interval"] = json!("60s");
    broken(
        "PUT",
        "/_component_template/studio-search-halfway-settings",
        &settings,
        &[("change", "component template")],
    );

    server.succeed("DELETE", "/halfway-000001", &Value::Null);
    server.succeed(
        "PUT",
        "/halfway-000001",
        &json!({"mappings": {"dynamic": true, "properties": {"title": {"type": "long"}}}}),
    );
    let output = folder.output(&["provision", "index.yaml", "--yes"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("halfway-000001 maps `"), "{said}");
}

#[test]
fn a_server_that_is_away_is_told_with_what_to_do() {
    let folder = Folder::new();
    folder.keep_on("elasticsearch", "http://127.0.0.1:1", "nowhere");
    let output = folder.output(&["plan", "index.yaml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains("SS509") && said.contains("http://127.0.0.1:1"), "{said}");
}

fn actions(planned: &Value) -> Vec<&str> {
    let changes = planned["changes"].as_array().expect("changes");
    changes.iter().map(|change| change["action"].as_str().expect("an action")).collect()
}
