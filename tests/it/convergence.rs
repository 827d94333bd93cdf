//! The index equals the graph: after a backfill, after changes in every subgraph, after a burst.

use std::{fs, io::Write, time::Duration};

use harness::folder::{Folder, assert_equal};
use serde_json::{Value, json};

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(2);

#[test]
fn changes_in_every_subgraph_reach_the_index() {
    let (folder, graph) = Folder::with_movies(800);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    let before = folder.backfills_within(SETTLES, &graph);

    let requests = graph.counts();
    let asked = |name: &str| requests[name].as_f64().expect("a count");
    let ratio = asked("documents") / requests["gateway"]["requests"].as_f64().expect("a count");
    assert!(ratio >= 20.0, "{ratio:.1} documents a gateway request: {requests}");

    // One of each kind: a field of each owner, a rename that touches many, a move, a new movie, a deleted one.
    graph.post("/edit/movies/m7", &json!({"title": "Seventh \"Heaven\""}));
    graph.post("/edit/productions/p9", &json!({"status": "IN_PHOTOGRAPHY"}));
    let busiest = busiest_director(&before);
    graph.post(&format!("/edit/talents/{busiest}"), &json!({"name": "Renamed Everywhere"}));
    let (movie, from) = someone_elses_movie(&before, &busiest);
    graph.post("/move", &json!({"movieId": movie, "from": from, "to": busiest}));
    graph.delete_movie("m11");
    graph.post(
        "/movies",
        &json!({"movieId": "m9001", "title": "Brand New", "production": {}, "directors": [busiest]}),
    );
    folder.settles_within(SETTLES);

    let after = folder.exported();
    assert_equal(&after, &graph.documents(), &folder.log());
    assert_eq!(after["m7"]["title"], "Seventh \"Heaven\"");
    assert_eq!(after["m9"]["production"]["status"], "IN_PHOTOGRAPHY");
    assert_eq!(after[&movie]["directors"][0]["name"], "Renamed Everywhere");
    assert!(!after.contains_key("m11") && after.contains_key("m9001"));
    let renamed = after.values().filter(|movie| directs(movie, &busiest)).count();
    let with_new_name =
        after.values().filter(|movie| movie.to_string().contains("Renamed Everywhere")).count();
    assert_eq!(renamed, with_new_name, "the rename reached every movie of hers");
    assert_eq!(run.terminate(), Some(0), "SIGTERM drains and exits 0");
}

#[test]
fn a_burst_of_events_on_few_ids_costs_few_fetches() {
    let (folder, graph) = Folder::with_graph();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.settles_within(SETTLES);
    for id in 1..=20 {
        graph.post(&format!("/edit/movies/m{id}"), &json!({"popularity": id}));
    }
    folder.settles_within(SETTLES);
    graph.reset_counts();
    // A burst is what a bulk update makes: the same rows again and again within moments.
    let path = folder.path("events").join("movies.ndjson");
    let events = fs::read_to_string(&path).expect("the events");
    assert_eq!(events.lines().count(), 20);
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(events.repeat(50).as_bytes()))
        .expect("the events can be written");
    folder.settles_within(SETTLES);
    let documents = graph.counts()["documents"].as_u64().expect("a count");
    println!("1,000 events on 20 ids cost {documents} document fetches");
    assert!(documents >= 20, "every id is fetched after its last event");
    assert!(documents <= 60, "{documents} fetches");
    assert_eq!(run.terminate(), Some(0));
}

fn directs(movie: &Value, talent: &str) -> bool {
    movie["directors"]
        .as_array()
        .is_some_and(|directors| directors.iter().any(|one| one["talentId"] == talent))
}

fn busiest_director(documents: &std::collections::BTreeMap<String, Value>) -> String {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for director in documents.values().flat_map(|movie| movie["directors"].as_array().into_iter().flatten()) {
        *counts.entry(director["talentId"].as_str().expect("a key").to_owned()).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, movies)| *movies).expect("someone directs").0
}

fn someone_elses_movie(
    documents: &std::collections::BTreeMap<String, Value>,
    talent: &str,
) -> (String, String) {
    documents
        .iter()
        .filter(|(id, movie)| !directs(movie, talent) && *id != "m7" && *id != "m9" && *id != "m11")
        .find_map(|(id, movie)| Some((id.clone(), movie["directors"][0]["talentId"].as_str()?.to_owned())))
        .expect("someone else directs, too")
}
