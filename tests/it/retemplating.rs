//! Another query beside the served one, while `run` goes on: made, filled by a backfill, promoted, rolled back.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use harness::{
    eventually,
    folder::{Folder, Running, assert_equal},
    graph::RealGraph,
    servers::{elasticsearch, kafka, opensearch, registry},
};
use serde_json::{Value, json};

use crate::versions::{exported, is_ready, moved, refused, search_once, the_alias_is_at, versions};

/// Enough that a backfill of them takes some seconds.
const MOVIES: usize = 800;

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

/// A server shows what it took at its next refresh.
const REFRESH: Duration = Duration::from_secs(10);

/// What the query asks for before and after.
const CREDITS: &str = "    directors: talent(role: DIRECTOR) {\n";
const CREW: &str =
    "    crew: talent {\n      talentId\n      name\n    }\n    directors: talent(role: DIRECTOR) {\n";

#[test]
fn a_changed_query_is_served_while_run_goes_on() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    changes_its_query(&folder, &graph, Duration::ZERO);
}

#[test]
fn a_changed_query_is_served_on_elasticsearch() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("elasticsearch", &elasticsearch().url, "retemplated");
    changes_its_query(&folder, &graph, REFRESH);
    the_alias_is_at(elasticsearch(), "retemplated", "retemplated-000002");
}

#[test]
fn a_changed_query_is_served_on_opensearch() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("opensearch", &opensearch().url, "retemplated");
    changes_its_query(&folder, &graph, REFRESH);
    the_alias_is_at(opensearch(), "retemplated", "retemplated-000002");
}

/// Under writes, and with somebody who searches all the time; killed once in the middle. At the end the second version is served.
fn changes_its_query(folder: &Folder, graph: &RealGraph, visible: Duration) {
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, graph);
    let run = under_writes(folder, graph, visible, || {
        provisions_another_query(folder);
        is_filling(folder);
        costs_both_queries(folder);
        let early = refused(folder, &["promote", "index.yaml"]);
        assert!(early.contains("SS605") && early.contains("--into-new-version"), "{early}");
        folder.succeed(&["backfill", "start", "index.yaml", "--into-new-version"]);
        thread::sleep(Duration::from_secs(1));
        run.kill();
        let run = folder.run();
        is_ready(folder, 2);
        assert_eq!(folder.status()["version"], 1, "nothing is promoted by itself");
        assert!(first(folder).get("source").is_some() && first(folder).get("crew").is_none());

        assert_eq!(moved(folder, "promote"), (1, 2));
        assert!(first(folder).get("source").is_none() && first(folder).get("crew").is_some());
        folder.succeed(&["search", "index.yaml", "--filter", "crew.name EXISTS"]);
        assert_eq!(moved(folder, "rollback"), (2, 1));
        assert!(first(folder).get("source").is_some());
        assert_eq!(moved(folder, "promote"), (1, 2));
        run
    });
    change(graph);
    folder.settles_within(SETTLES);
    are_equal(folder, graph);
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

/// What a backfill into the version of another query would cost, of what the file says or of what was made of it: each batch is
/// asked for twice.
fn costs_both_queries(folder: &Folder) {
    let start = ["backfill", "start", "index.yaml", "--into-new-version", "--estimate", "--sample", "50"];
    let estimate = folder.json(&start)["estimate"].take();
    let fewest = f64::from(u32::try_from(2 * MOVIES.div_ceil(25)).expect("few"));
    let likely = estimate["requests"]["likely"].as_f64().expect("requests");
    // Movies come and go meanwhile; by one query it would be half as many.
    assert!((0.7 * fewest..1.3 * fewest).contains(&likely), "{fewest}: {estimate:#}");
    assert!(estimate["notes"].to_string().contains("by the served query and by the new one"), "{estimate:#}");
}

/// Two processes over Kafka: the documents of the other query are in a log of their own; one process is killed on the way.
#[test]
fn processes_that_share_an_index_fetch_both_queries() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    let name = "shared-queries";
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let _stream = folder.share_over(kafka(), Some(registry()), name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let (victim, survivor) = (folder.run(), folder.run());
    folder.backfills_within(SETTLES, &graph);

    let planned = provisions_another_query(&folder);
    let added = |kind: &str| {
        let changes = planned["changes"].as_array().expect("changes").iter();
        let is_new = |change: &&Value| change["kind"] == kind && change["action"] == "add";
        changes.filter(is_new).map(|change| change["reasons"].to_string()).collect::<Vec<_>>()
    };
    for kind in ["topic", "subject"] {
        let reasons = added(kind);
        assert!(matches!(&*reasons, [one] if one.contains("belongs to one query")), "{kind}: {planned:#}");
    }
    is_filling(&folder);
    folder.succeed(&["backfill", "start", "index.yaml", "--into-new-version"]);
    thread::sleep(Duration::from_secs(2));
    victim.kill();
    let other = folder.run();
    change(&graph);
    is_ready(&folder, 2);
    folder.settles_within(SETTLES);
    assert_eq!(moved(&folder, "promote"), (1, 2));
    the_alias_is_at(elasticsearch(), name, "shared-queries-000002");
    graph.post("/edit/movies/m9", &json!({"title": "Ninth Gate"}));
    folder.settles_within(SETTLES);
    are_equal(&folder, &graph);
    assert_eq!(moved(&folder, "rollback"), (2, 1));
    graph.post("/edit/movies/m10", &json!({"title": "Tenth Kingdom"}));
    folder.settles_within(SETTLES);
    are_equal(&folder, &graph);
    for run in [survivor, other] {
        assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    }
}

/// `--watch-config` provisions what compiles, tells what doesn't, and never promotes.
#[test]
fn a_run_follows_its_files() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run_with(&["--watch-config"]);
    folder.backfills_within(SETTLES, &graph);
    folder.edit("query.graphql", "    source\n", "    sauce\n");
    logs(&folder, "the files changed and don't compile");
    assert!(folder.log().contains("sauce"), "{}", folder.log());
    graph.post("/edit/movies/m7", &json!({"title": "Seventh Heaven"}));
    folder.settles_within(SETTLES);

    folder.edit("query.graphql", "    sauce\n", "");
    folder.edit("query.graphql", CREDITS, CREW);
    is_filling(&folder);
    folder.succeed(&["backfill", "start", "index.yaml", "--into-new-version"]);
    is_ready(&folder, 2);
    assert_eq!(folder.status()["version"], 1, "nothing is promoted by itself");
    assert_eq!(moved(&folder, "promote"), (1, 2));
    // What can be changed in place is worked by at once.
    folder.edit("index.yaml", "backfill:\n", "backfill:\n  rate: 500/s\n");
    logs(&folder, "the index is opened anew");
    folder.edit("index.yaml", "entity: Movie\n", "entity: Production\n");
    logs(&folder, "`run` goes on with the plan that was there");
    change(&graph);
    folder.settles_within(SETTLES);
    are_equal(&folder, &graph);
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

/// Loses a field and gains a list; gives what was planned.
fn provisions_another_query(folder: &Folder) -> Value {
    folder.edit("query.graphql", "    source\n", "");
    folder.edit("query.graphql", CREDITS, CREW);
    let planned = folder.json(&["plan", "index.yaml"]);
    assert_eq!(planned["summary"]["rebuild"], 1, "{planned:#}");
    let told = planned.to_string();
    for reason in ["gains `crew`", "loses `source`", "a backfill fills it"] {
        assert!(told.contains(reason), "{planned:#}");
    }
    costs_both_queries(folder);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let planned_again = folder.output(&["plan", "index.yaml", "--detailed-exitcode"]);
    let said = String::from_utf8_lossy(&planned_again.stdout);
    assert_eq!(planned_again.status.code(), Some(0), "it is made: {said}");
    planned
}

/// Everybody writes both, and nobody has brought what was there before.
fn is_filling(folder: &Folder) {
    eventually(SETTLES, || {
        let all = versions(folder);
        let is_filling = |version: &Value| version["number"] == 2 && version["state"] == "FILLING";
        if all.iter().any(is_filling) { Ok(()) } else { Err(format!("{all:#?}\n{}", folder.log())) }
    });
}

fn logs(folder: &Folder, text: &str) {
    eventually(SETTLES, || if folder.log().contains(text) { Ok(()) } else { Err(folder.log()) });
}

fn change(graph: &RealGraph) {
    graph.post("/edit/movies/m7", &json!({"title": "Seventh Heaven"}));
    graph.post("/edit/talents/t2", &json!({"name": "R. Polanski"}));
    graph.post("/edit/productions/p9", &json!({"status": "IN_PHOTOGRAPHY"}));
    graph.delete_movie("m11");
}

/// Each version holds what the graph answers to its own query.
fn are_equal(folder: &Folder, graph: &RealGraph) {
    let (ids, query) = (graph.ids(), fs::read_to_string(folder.path("query.graphql")).expect("the query"));
    let wanted: [(&str, BTreeMap<String, Value>); 2] =
        [("1", graph.documents_of(&ids)), ("2", graph.documents_by(&query, &ids))];
    for (version, documents) in wanted {
        assert_equal(&exported(folder, version), &documents, &folder.log());
    }
}

/// Some document as searches show it.
fn first(folder: &Folder) -> Value {
    let filter = "movieId == 'm5'";
    folder.json(&["search", "index.yaml", "--filter", filter])["hits"][0]["document"].clone()
}

/// Does something while a movie changes all the time and somebody searches without a pause: every movie is found once, and nothing
/// goes back behind what was seen.
fn under_writes(
    folder: &Folder,
    graph: &RealGraph,
    visible: Duration,
    act: impl FnOnce() -> Running,
) -> Running {
    let (is_over, searches) = (AtomicBool::new(false), AtomicU64::new(0));
    let run = thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 1_000_000;
            while !is_over.load(Ordering::Relaxed) {
                count += 1;
                graph.post("/edit/movies/m5", &json!({"popularity": count}));
                thread::sleep(Duration::from_millis(50));
            }
        });
        scope.spawn(|| {
            let mut seen = VecDeque::new();
            while !is_over.load(Ordering::Relaxed) {
                search_once(folder, MOVIES, &mut seen, visible);
                searches.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ended = catch_unwind(AssertUnwindSafe(act));
        is_over.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|failure| resume_unwind(failure))
    });
    assert!(searches.into_inner() > 20, "too few to see anything");
    run
}
