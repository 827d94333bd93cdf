//! A failing graph: nothing good is overwritten, what failed is held with its cause, and heals by itself.

use std::time::Duration;

use harness::{
    eventually,
    folder::{Folder, assert_equal},
};
use serde_json::{Value, json};

const SETTLES: Duration = Duration::from_mins(2);

/// Ids that are changed while a subgraph is down.
const CHANGED: [&str; 3] = ["m1", "m2", "m3"];

/// A folder whose index holds the first thirty movies, so that a test takes seconds.
fn thirty_movies() -> (Folder, harness::graph::RealGraph, harness::folder::Running) {
    let (folder, graph) = Folder::with_graph();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    let ids: Vec<String> = (1..=30).map(|n| format!("m{n}")).collect();
    let mut start = vec!["backfill", "start", "index.yaml"];
    for id in &ids {
        start.extend(["--id", id]);
    }
    folder.succeed(&start);
    folder.settles_within(SETTLES);
    assert_eq!(folder.exported().len(), 30);
    (folder, graph, run)
}

fn held(folder: &Folder) -> Vec<Value> {
    folder.json(&["errors", "list", "index.yaml"])["held"].as_array().expect("a list").clone()
}

fn loses_nothing_and_heals(subgraph: &str, mode: &str) {
    let (folder, graph, run) = thirty_movies();
    let before = folder.exported();
    graph.fail(subgraph, Some(mode));
    for id in CHANGED {
        let production = id.replace('m', "p");
        graph.post(
            &format!("/edit/movies/{id}"),
            &json!({"title": format!("{id} while {subgraph} is {mode}")}),
        );
        graph.post(&format!("/edit/productions/{production}"), &json!({"budget": 12_345}));
    }
    eventually(SETTLES, || {
        let held = held(&folder);
        let ids: Vec<&str> = held.iter().filter_map(|row| row["id"].as_str()).collect();
        if CHANGED.iter().all(|id| ids.contains(id)) {
            Ok(())
        } else {
            Err(format!("held: {held:?}\n{}", folder.log()))
        }
    });
    assert_eq!(folder.exported(), before, "the last good documents stay as they were");
    for row in held(&folder) {
        assert_eq!(row["subgraph"], subgraph, "whose fault it is: {row}");
    }
    graph.fail(subgraph, None);
    folder.settles_within(Duration::from_mins(1));
    let mut now = graph.documents();
    now.retain(|id, _| before.contains_key(id));
    assert_equal(&folder.exported(), &now, &folder.log());
    assert_eq!(folder.exported()["m1"]["title"], format!("m1 while {subgraph} is {mode}"));
    assert_eq!(run.terminate(), Some(0));
}

#[test]
fn a_subgraph_that_is_down_costs_no_field() {
    loses_nothing_and_heals("productions", "down");
}

#[test]
fn a_subgraph_that_throws_costs_no_document() {
    loses_nothing_and_heals("talent", "error");
}

#[test]
fn a_bad_event_is_a_dead_letter_and_the_stream_goes_on() {
    let (folder, graph, run) = thirty_movies();
    let bad = "{\"key\":{\"movie_id\":{\"nested\":1}},\"value\":null}\nnot an event\n\u{0}\u{1}\u{2}\n";
    let path = folder.path("events").join("movies.ndjson");
    let before = std::fs::read_to_string(&path).expect("the events");
    std::fs::write(&path, format!("{before}{bad}")).expect("writable");
    graph.post("/edit/movies/m5", &json!({"title": "after the noise"}));
    folder.settles_within(SETTLES);
    assert_eq!(folder.exported()["m5"]["title"], "after the noise");
    let letters =
        folder.json(&["errors", "list", "index.yaml"])["dead_letters"].as_array().expect("a list").clone();
    assert_eq!(letters.len(), 3, "{letters:?}");
    assert!(
        letters.iter().all(|letter| letter["source"] == "movie-changes" && letter["position"].is_string())
    );
    assert_eq!(run.terminate(), Some(0));
}

/// The events name their ids elsewhere than the configuration believes, until that is corrected.
#[test]
fn a_dead_letter_is_replayed_after_its_cause_is_mended() {
    let (folder, graph) = Folder::with_graph();
    folder.edit("index.yaml", "id: key.movie_id", "id: key.movie");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    graph.post("/edit/movies/m7", &json!({"title": "Seventh"}));
    folder.succeed(&["run", "index.yaml", "--once"]);
    assert_eq!(folder.status()["dead_letters"], 1);
    let shown = folder.json(&["errors", "show", "index.yaml", "--number", "1"]);
    assert_eq!(shown["dead_letter"]["record"]["line"]["json"]["key"]["movie_id"], "m7", "{shown:#}");
    assert!(!folder.exported().contains_key("m7"));

    folder.edit("index.yaml", "id: key.movie", "id: key.movie_id");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["errors", "replay", "index.yaml", "--all"]);
    folder.succeed(&["run", "index.yaml", "--once"]);
    assert_eq!(folder.exported()["m7"]["title"], "Seventh");
    assert_eq!(folder.status()["dead_letters"], 0);
}
