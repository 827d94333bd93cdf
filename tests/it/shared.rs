//! The index over Kafka equals the graph, whatever becomes of its servers; `kills.rs` has what becomes of its processes.

use std::{collections::BTreeMap, sync::Arc, thread::sleep, time::Duration};

use harness::{
    eventually,
    folder::{Folder, assert_equal},
    servers::{Rest, elasticsearch, kafka, kafka_of_its_own, registry},
    storm::{Storm, Subjects},
};
use indexer::documents::DocumentSchema;
use serde_json::{Value, json};

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

#[test]
fn one_process_follows_the_graph_over_kafka() {
    let (folder, graph) = Folder::with_movies(800);
    folder.keep_on("elasticsearch", &elasticsearch().url, "shared-one");
    let _stream = folder.share_over(kafka(), Some(registry()), "shared-one");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let again = folder.json(&["plan", "index.yaml"]);
    let changes = again["changes"].as_array().expect("changes");
    assert!(changes.iter().all(|change| change["action"] == "none"), "{again:#}");

    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    folder.settles_within(SETTLES);
    let before = folder.exported();
    assert_equal(&before, &graph.documents(), &folder.log());
    assert_eq!(before.len(), 800);

    graph.post("/edit/movies/m7", &json!({"title": "Seventh \"Heaven\""}));
    graph.post("/edit/productions/p9", &json!({"status": "IN_PHOTOGRAPHY"}));
    let directors = before.values().find_map(|movie| movie["directors"][0]["talentId"].as_str());
    let director = directors.expect("someone directs").to_owned();
    graph.post(&format!("/edit/talents/{director}"), &json!({"name": "Renamed Everywhere"}));
    graph.delete_movie("m11");
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    assert_eq!(run.terminate(), Some(0), "SIGTERM drains and exits 0: {}", folder.log());
    assert_equal(&logged_documents(&folder, registry(), "shared-one"), &graph.documents(), "");
}

/// What a reader of the documents topic knows at its end, by the schema that each record names.
fn logged_documents(folder: &Folder, registry: &Rest, name: &str) -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::new();
    let mut schemas: BTreeMap<u32, DocumentSchema> = BTreeMap::new();
    for record in kafka().records(&format!("studio-search\\.{name}\\.documents\\..*")) {
        let id = String::from_utf8(record.key.expect("each has its id")).expect("ours are text");
        let Some(value) = record.value else {
            documents.remove(&id);
            continue;
        };
        let (frame, datum) = value.split_at(5);
        let number = u32::from_be_bytes(frame[1..].try_into().expect("four bytes"));
        assert_eq!(frame[0], 0, "the magic byte of the registry's framing");
        let schema = schemas.entry(number).or_insert_with(|| {
            let path = format!("/apis/ccompat/v7/schemas/ids/{number}");
            let told = registry.succeed("GET", &path, &Value::Null);
            let text = told["schema"].as_str().expect("a schema");
            DocumentSchema::parse(&serde_json::from_str(text).expect("JSON")).expect("ours")
        });
        let document = schema.decode(datum).unwrap_or_else(|error| panic!("{id}: {error}\n{}", folder.log()));
        documents.insert(id, serde_json::from_str(&document).expect("JSON"));
    }
    documents
}

/// The broker is killed and comes back, and then the index is read-only for a while: what happens meanwhile is indexed after.
#[test]
fn servers_that_go_and_come_back_are_waited_for() {
    let (folder, graph) = Folder::with_movies(1_600);
    let graph = Arc::new(graph);
    let (name, broker) = ("shared-faults", kafka_of_its_own());
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let _stream = folder.share_over(&broker, None, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let storm = Storm::over(&graph, Subjects::of(&graph), 11, Duration::from_millis(100));
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    sleep(Duration::from_secs(8));
    broker.kill();
    sleep(Duration::from_secs(8));
    broker.start_again();
    sleep(Duration::from_secs(5));

    let block = |is_blocked: Value| {
        let body = json!({"index": {"blocks": {"read_only_allow_delete": is_blocked}}});
        elasticsearch().succeed("PUT", &format!("/{name}-000001/_settings"), &body);
    };
    block(json!(true));
    sleep(Duration::from_secs(8));
    block(Value::Null);
    storm.calm();
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    assert_eq!(run.terminate(), Some(0), "SIGTERM drains and exits 0: {}", folder.log());
}

/// The first source's events name their ids elsewhere than the configuration believes, until that is corrected.
#[test]
fn dead_letters_are_replayed_after_their_cause_is_mended() {
    let (folder, graph) = Folder::with_graph();
    folder.keep_on("elasticsearch", &elasticsearch().url, "shared-letters");
    let _stream = folder.share_over(kafka(), None, "shared-letters");
    folder.edit("index.yaml", "id: key.movie_id", "id: key.movie");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    graph.post("/edit/movies/m7", &json!({"title": "Seventh"}));
    graph.post("/edit/movies/m8", &json!({"title": "Eighth"}));
    let letters = || folder.json(&["errors", "list", "index.yaml"])["dead_letters"].clone();
    eventually(SETTLES, || match letters().as_array().map(Vec::len) {
        Some(2) => Ok(()),
        found => Err(format!("{found:?}\n{}", folder.log())),
    });
    let listed = letters();
    let number = |at: usize| listed[at]["number"].as_str().expect("a number").to_owned();
    assert_eq!((&listed[0]["code"], &listed[0]["source"]), (&json!("SS302"), &json!("movie-changes")));
    let shown = folder.json(&["errors", "show", "index.yaml", "--number", &number(1)]);
    let record = &shown["dead_letter"]["record"];
    assert_eq!(record["topic"], "shared-letters.public.movies", "{shown:#}");
    assert_eq!(record["key"]["json"]["movie_id"], "m7", "{shown:#}");
    assert_eq!(record["value"]["json"]["after"]["title"], "Seventh", "{shown:#}");
    assert_eq!(folder.status()["dead_letters"], 2);
    let still = folder.output(&["errors", "replay", "index.yaml", "--all"]);
    assert_eq!(still.status.code(), Some(1), "nothing is mended yet");
    assert_eq!(run.terminate(), Some(0));

    folder.edit("index.yaml", "id: key.movie", "id: key.movie_id");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.succeed(&["errors", "replay", "index.yaml", "--number", &number(1)]);
    eventually(SETTLES, || match &folder.exported().get("m7") {
        Some(movie) if movie["title"] == "Seventh" => Ok(()),
        found => Err(format!("{found:?}\n{}", folder.log())),
    });
    assert_eq!(letters().as_array().map(Vec::len), Some(1));
    assert_eq!(folder.status()["dead_letters"], 1);
    assert!(!folder.exported().contains_key("m8"));
    folder.succeed(&["errors", "drop", "index.yaml", "--all"]);
    assert_eq!((letters(), &folder.status()["dead_letters"]), (json!([]), &json!(0)));
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}
