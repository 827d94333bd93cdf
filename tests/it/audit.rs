//! Audits of a real index against the real graph, after a stranger changed documents, and the trace of one document.

use std::{collections::BTreeSet, sync::Arc, thread, time::Duration};

use harness::{
    background::Background,
    folder::{Folder, assert_equal},
    graph::RealGraph,
    servers::elasticsearch,
};
use indexer::{Index, endpoints::Place, store::Document};
use plan::{DocumentId, DocumentVersion};
use serde_json::{Value, json};

const MOVIES: usize = 800;

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

const FULL: [&str; 3] = ["audit", "index.yaml", "--full"];

/// A difference counts after a second, and the deadline of fetches on top of it.
fn is_audited_soon(folder: &Folder) {
    let batch = "  batch: { size: 25 }\n";
    folder.edit("index.yaml", batch, &format!("{batch}  timeout: 5s\n  deadline: 6s\n"));
    let state = "state: { path: ./movies.db }\n";
    let audit = "audit: { sample: 1/h, full: never, confirm_after: 1s }\n";
    folder.edit("index.yaml", state, &format!("{state}{audit}"));
}

/// What an audit says, and its exit code.
fn audited(folder: &Folder, more: &[&str]) -> (Value, Option<i32>) {
    let output = folder.output(&[&FULL[..], more, &["-o", "json"]].concat());
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stdout)));
    assert!(answer["error"].is_null(), "{answer:#}");
    (answer["data"].clone(), output.status.code())
}

fn found(report: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let findings = report["findings"].as_array().expect("a list").iter();
    findings.map(|finding| (text(&finding["id"]), text(&finding["kind"]))).collect()
}

fn expected() -> BTreeSet<(String, String)> {
    let expected = [("m5", "stale"), ("m6", "missing"), ("zz-ghost", "ghost")];
    expected.map(|(id, kind)| (id.to_owned(), kind.to_owned())).into()
}

/// Changes the documents of the state file, as a stranger would.
#[tokio::main(flavor = "current_thread")]
async fn tamper(folder: &Folder) {
    let index = Index::open("movies", &Place::embedded(folder.path("movies.db"))).await.expect("provisioned");
    let mut documents = Vec::new();
    for id in ["m5", "m6"] {
        let stored = index.store.get(&DocumentId::new(id).expect("an id")).await.expect("a read");
        let stored = stored.expect("it is indexed");
        let mut movie: Value = serde_json::from_str(&stored.body.expect("live")).expect("JSON");
        movie["title"] = json!("A Stranger's Title");
        documents.push(Document {
            id: stored.id,
            version: DocumentVersion::from_stored(stored.version.get() + 1),
            body: (id == "m5").then(|| movie.to_string()),
            fetched_at: 0,
            missing: Vec::new(),
        });
    }
    let ghost = DocumentId::new("zz-ghost").expect("an id");
    let tombstone = index.store.get(&ghost).await.expect("a read");
    documents.push(Document {
        id: ghost,
        version: DocumentVersion::from_stored(tombstone.map_or(0, |stored| stored.version.get()) + 1),
        body: Some(json!({"movieId": "zz-ghost", "title": "Never Made"}).to_string()),
        fetched_at: 0,
        missing: Vec::new(),
    });
    index.store.write(documents).await.expect("a write");
}

/// Edits movies and talents all the time, until it is ended; gives how often.
fn edits(graph: &Arc<RealGraph>) -> Background<u32> {
    let graph = Arc::clone(graph);
    Background::begin(move |is_ended| {
        let mut round = 0;
        while !is_ended() {
            round += 1;
            for step in 0..5 {
                let id = 100 + (round * 7 + step * 13) % 400;
                graph.post(&format!("/edit/movies/m{id}"), &json!({"title": format!("Edit {round}")}));
            }
            // Not every number is a person's.
            let person = format!("/edit/talents/t{}", 1 + round % 50);
            let _ = graph.try_post(&person, &json!({"name": format!("Name {round}")}));
            thread::sleep(Duration::from_millis(200));
        }
        round
    })
}

#[test]
fn what_a_stranger_changed_is_found_under_writes_repaired_and_traced() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    let graph = Arc::new(graph);
    is_audited_soon(&folder);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, &graph);

    // All is equal, and edits on their way are no findings.
    let editing = edits(&graph);
    let (report, code) = audited(&folder, &[]);
    let rounds = editing.end();
    assert!(rounds > 5, "{rounds} rounds of edits are none");
    assert_eq!((report["success"].as_bool(), code), (Some(true), Some(0)), "{report:#}");
    assert_eq!(found(&report), BTreeSet::new());
    assert_eq!((&report["enumerated"], &report["unanswered"]), (&json!(true), &json!(0)), "{report:#}");
    folder.settles_within(SETTLES);

    tamper(&folder);
    let editing = edits(&graph);
    let (report, code) = audited(&folder, &["--repair"]);
    editing.end();
    assert_eq!((found(&report), code), (expected(), Some(1)), "{report:#}");
    assert_eq!(report["repaired"], 3);
    assert_eq!(report["fields"], json!({"title": {"subgraphs": ["movies"], "documents": 1}}));
    assert_eq!(report["subgraphs"], json!({"movies": 1}));
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    let (report, code) = audited(&folder, &[]);
    assert_eq!((report["success"].as_bool(), code), (Some(true), Some(0)), "{report:#}");

    // What happened to one of them, beside `run`.
    graph.post("/edit/movies/m5", &json!({"title": "Fifth"}));
    folder.settles_within(SETTLES);
    thread::sleep(Duration::from_secs(2));
    let trace = folder.json(&["trace", "index.yaml", "m5"]);
    let steps: Vec<&str> =
        trace["steps"].as_array().expect("a list").iter().filter_map(|step| step["step"].as_str()).collect();
    assert!(steps.ends_with(&["event", "fetch"]), "{trace:#}");
    let asked: Vec<&str> =
        trace["steps"].as_array().expect("a list").iter().filter_map(|step| step["by"].as_str()).collect();
    assert!(asked.contains(&"audit"), "{trace:#}");
    let last = trace["steps"].as_array().and_then(|steps| steps.last()).expect("a step");
    assert_eq!((&last["result"], &last["version"]), (&json!("written"), &trace["index"]["version"]));
    assert_eq!((&trace["success"], &trace["graph"]["state"]), (&json!(true), &json!("found")));
    assert_eq!(run.terminate(), Some(0));

    // And without `run`, where nothing is on its way and nobody waits.
    tamper(&folder);
    let output = folder.output(&["trace", "index.yaml", "m5"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let told = ["movie-changes, byte ", "A Stranger's Title", "movies", "\"Fifth\"", "it is stale"];
    assert!(told.iter().all(|part| text.contains(part)), "{text}");
    let output = folder.output(&[&FULL[..], &["-o", "markdown"]].concat());
    let page = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{page}");
    assert!(page.contains("| zz-ghost | ghost |") && page.contains("| title | movies | 1 |"), "{page}");
    let text = folder.output(&FULL);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.starts_with("801 documents looked at: 1 missing, 1 stale, 1 ghost\n"), "{text}");
    // A graph that is away is told, and nothing is claimed.
    drop(graph);
    let output = folder.output(&["trace", "index.yaml", "m5"]);
    assert_eq!(output.status.code(), Some(69), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(folder.output(&FULL).status.code(), Some(69));
}

#[test]
fn what_a_stranger_changed_on_a_server_is_found_and_repaired() {
    let (server, name) = (elasticsearch(), "audited");
    let (folder, graph) = Folder::with_movies(MOVIES);
    is_audited_soon(&folder);
    folder.keep_on("elasticsearch", &server.url, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, &graph);
    let index = format!("{name}-000001");
    let source =
        |id: &str| server.succeed("GET", &format!("/{index}/_doc/{id}"), &Value::Null)["_source"].clone();
    let put = |id: &str, text: &str| {
        let changed: Value = serde_json::from_str(text).expect("JSON");
        server.succeed("PUT", &format!("/{index}/_doc/{id}"), &changed);
    };
    let fifth = source("m5");
    let title = fifth["title"].to_string();
    put("m5", &fifth.to_string().replace(&title, "\"A Stranger's Title\""));
    put("zz-ghost", &fifth.to_string().replace("\"m5\"", "\"zz-ghost\""));
    server.succeed("DELETE", &format!("/{index}/_doc/m6"), &Value::Null);

    let (report, code) = audited(&folder, &["--repair"]);
    assert_eq!((found(&report), code), (expected(), Some(1)), "{report:#}");
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    let (report, code) = audited(&folder, &[]);
    assert_eq!((report["success"].as_bool(), code), (Some(true), Some(0)), "{report:#}");
    let trace = folder.json(&["trace", "index.yaml", "zz-ghost"]);
    assert_eq!(
        (&trace["success"], &trace["index"]["state"]),
        (&json!(true), &json!("tombstone")),
        "{trace:#}"
    );
    assert_eq!(run.terminate(), Some(0));
}
