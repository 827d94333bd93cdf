//! A setting that makes the server refuse nearly every document, each by itself: the index pauses, and goes on when it is mended.

use std::{thread::sleep, time::Duration};

use harness::{
    eventually,
    folder::{Folder, Running, assert_equal},
    graph::RealGraph,
    servers::elasticsearch,
};
use serde_json::{Value, json};

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

/// So many may be refused, and are held, before it isn't the documents that are suspected.
const ALWAYS_ALLOWED: u64 = 50;

/// A `run` whose server refuses every document that has a director, and that says so.
fn refused(name: &str) -> (Folder, RealGraph, Running) {
    let (folder, graph) = Folder::with_graph();
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    allow_directors(name, &json!(0));
    let run = folder.run();
    let ids = movies();
    let wanted = ids.iter().flat_map(|id| ["--id", id]);
    folder.succeed(&["backfill", "start", "index.yaml"].into_iter().chain(wanted).collect::<Vec<_>>());
    is_so(&folder, |status| {
        let reason = status["reason"].as_str().unwrap_or_default();
        status["state"] == "FAILED"
            && reason.contains("refuses too many documents")
            && reason.contains("nested")
    });
    (folder, graph, run)
}

/// Movies enough to be more than a few.
fn movies() -> Vec<String> {
    (1..=300).map(|number| format!("m{number}")).collect()
}

/// How many nested documents one document may have; `null` for the server's own limit.
fn allow_directors(name: &str, most: &Value) {
    let settings = json!({"index.mapping.nested_objects.limit": most});
    elasticsearch().succeed("PUT", &format!("/{name}-000001/_settings"), &settings);
}

fn is_so(folder: &Folder, is_so: impl Fn(&Value) -> bool) {
    eventually(SETTLES, || {
        let status = folder.status();
        if is_so(&status) { Ok(()) } else { Err(format!("{status:#}\n{}", folder.log())) }
    });
}

fn held(folder: &Folder) -> u64 {
    folder.status()["held"].as_u64().expect("a number")
}

#[test]
fn many_refused_documents_pause_the_index_until_it_is_mended() {
    let (folder, graph, run) = refused("refusing");
    // Some probes later.
    sleep(Duration::from_secs(5));
    assert_eq!(folder.status()["state"], "FAILED", "{}", folder.log());
    assert!(held(&folder) <= ALWAYS_ALLOWED, "{}", held(&folder));
    assert_eq!(folder.output(&["status", "index.yaml", "--check"]).status.code(), Some(1));

    allow_directors("refusing", &Value::Null);
    is_so(&folder, |status| status["state"] == "RUNNING" && status["lag"]["backfill"] == 0);
    folder.succeed(&["errors", "replay", "index.yaml", "--all"]);
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents_of(&movies()), &folder.log());
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

#[test]
fn a_person_may_let_refused_documents_be_held() {
    let (folder, _graph, run) = refused("refusing-on");
    folder.succeed(&["resume", "index.yaml"]);
    is_so(&folder, |status| status["state"] == "RUNNING" && status["lag"]["backfill"] == 0);
    assert!(held(&folder) > 2 * ALWAYS_ALLOWED, "{}", held(&folder));
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    allow_directors("refusing-on", &Value::Null);
}
