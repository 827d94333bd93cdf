//! The index that many processes share over Kafka equals the graph, whatever becomes of any of them.

use std::time::Duration;

use harness::{
    folder::{Folder, assert_equal},
    servers::{elasticsearch, kafka},
};
use serde_json::json;

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

#[test]
fn one_process_follows_the_graph_over_kafka() {
    let (folder, graph) = Folder::with_graph();
    folder.keep_on("elasticsearch", &elasticsearch().url, "shared-one");
    let _stream = folder.share_over(kafka(), "shared-one");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let again = folder.json(&["plan", "index.yaml"]);
    let changes = again["changes"].as_array().expect("changes");
    assert!(changes.iter().all(|change| change["action"] == "none"), "{again:#}");

    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    folder.settles_within(SETTLES);
    let before = folder.exported();
    assert_equal(&before, &graph.documents(), &folder.log());
    assert_eq!(before.len(), 3_201);

    graph.post("/edit/movies/m7", &json!({"title": "Seventh \"Heaven\""}));
    graph.post("/edit/productions/p9", &json!({"status": "IN_PHOTOGRAPHY"}));
    let directors = before.values().find_map(|movie| movie["directors"][0]["talentId"].as_str());
    let director = directors.expect("someone directs").to_owned();
    graph.post(&format!("/edit/talents/{director}"), &json!({"name": "Renamed Everywhere"}));
    graph.delete_movie("m11");
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    assert_eq!(run.terminate(), Some(0), "SIGTERM drains and exits 0: {}", folder.log());
}
