//! Index versions: a change that can't be made in place is filled beside the served version, promoted, and rolled back.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    folder::{Folder, assert_equal},
    graph::RealGraph,
    servers::{Rest, elasticsearch, kafka, opensearch, opensearch_2, registry},
};
use serde_json::{Value, json};

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

/// Enough that a filling of them can be killed on its way.
const MOVIES: usize = 800;

/// How often another version is served while people search.
const SWAPS: usize = 50;

/// The same on a server, where each takes ten times as long. `SWAPS=50` asks for as many there.
const REMOTE_SWAPS: usize = 10;

fn remote_swaps() -> usize {
    std::env::var("SWAPS").map_or(REMOTE_SWAPS, |swaps| swaps.parse().expect("SWAPS is a number"))
}

/// A server shows what it took at its next refresh, of each index version by itself: once a second, or much later on a busy machine.
const REFRESH: Duration = Duration::from_secs(10);

/// Free text finds the words of `source`, too, which it does not before.
const WORDS_OF_SOURCE: &str = "  source: { type: text, copy_to: people }\n";

#[test]
fn a_changed_mapping_is_served_without_asking_the_graph() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    changes_its_mapping(&folder, &graph);
}

#[test]
fn a_changed_mapping_is_served_on_elasticsearch() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("elasticsearch", &elasticsearch().url, "remapped");
    changes_its_mapping(&folder, &graph);
    the_alias_is_at(elasticsearch(), "remapped", "remapped-000002");
}

#[test]
fn a_changed_mapping_is_served_on_opensearch() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("opensearch", &opensearch().url, "remapped");
    changes_its_mapping(&folder, &graph);
    the_alias_is_at(opensearch(), "remapped", "remapped-000002");
}

#[test]
fn a_changed_mapping_is_served_on_the_older_opensearch() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("opensearch", &opensearch_2().url, "remapped");
    changes_its_mapping(&folder, &graph);
    the_alias_is_at(opensearch_2(), "remapped", "remapped-000002");
}

#[test]
fn another_version_of_an_unchanged_query_is_filled_from_the_served_one() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    makes_another(&folder, &graph);
}

#[test]
fn another_version_of_an_unchanged_query_is_filled_on_elasticsearch() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("elasticsearch", &elasticsearch().url, "another");
    makes_another(&folder, &graph);
    the_alias_is_at(elasticsearch(), "another", "another-000002");
}

#[test]
fn another_version_of_an_unchanged_query_is_filled_for_processes_that_share_it() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("opensearch", &opensearch().url, "another-shared");
    let _stream = folder.share_over(kafka(), Some(registry()), "another-shared");
    makes_another(&folder, &graph);
    the_alias_is_at(opensearch(), "another-shared", "another-shared-000002");
}

/// Asked for, and asked for again, it is made once; nothing is asked of the graph, and what is provisioned stays as it is.
fn makes_another(folder: &Folder, graph: &RealGraph) {
    const START: [&str; 4] = ["backfill", "start", "index.yaml", "--into-new-version"];
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, graph);
    graph.reset_counts();
    let estimate = folder.json(&[&START[..], &["--estimate"]].concat());
    assert_eq!(estimate["estimate"], Value::Null, "nothing is asked: {estimate:#}");
    let paced = folder.output(&[&START[..], &["--rate", "5/s"]].concat());
    assert_eq!(paced.status.code(), Some(64), "{}", String::from_utf8_lossy(&paced.stderr));
    for _ in 0..2 {
        assert_eq!(folder.json(&START)["version"], 2);
        let planned = folder.output(&["plan", "index.yaml", "--detailed-exitcode"]);
        let said = String::from_utf8_lossy(&planned.stdout);
        assert_eq!(planned.status.code(), Some(0), "it stays beside the served one: {said}");
    }
    let followed = folder.json(&[&START[..], &["--follow"]].concat());
    assert_eq!((&followed["version"], &followed["state"]["state"]), (&json!(2), &json!("READY")));
    nothing_was_asked_of(graph);
    graph.post("/edit/movies/m7", &json!({"title": "Seventh Heaven"}));
    graph.delete_movie("m11");
    folder.settles_within(SETTLES);
    assert_equal(&exported(folder, "2"), &graph.documents(), &folder.log());
    assert_eq!(moved(folder, "promote"), (1, 2));
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    remap(folder, WORDS_OF_SOURCE);
    let refused = refused(folder, &START);
    assert!(refused.contains("SS609"), "{refused}");
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

/// From a first version to a second, back, and forth again. At the end the second is served, and the first kept.
fn changes_its_mapping(folder: &Folder, graph: &RealGraph) {
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, graph);
    assert!(found(folder) < 100, "titles alone are searched");
    assert!(refused(folder, &["promote", "index.yaml"]).contains("SS605"), "there is nothing to promote");
    assert!(refused(folder, &["rollback", "index.yaml"]).contains("SS605"), "there is nothing behind");

    graph.reset_counts();
    remap(folder, WORDS_OF_SOURCE);
    let planned = folder.json(&["plan", "index.yaml"]);
    assert_eq!(planned["summary"]["rebuild"], 1, "{planned:#}");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let planned = folder.output(&["plan", "index.yaml", "--detailed-exitcode"]);
    let said = String::from_utf8_lossy(&planned.stdout);
    assert_eq!(planned.status.code(), Some(0), "it is made: {said}");
    is_ready(folder, 2);
    nothing_was_asked_of(graph);
    assert_eq!(folder.status()["version"], 1, "nothing is promoted by itself");

    // Both are written by now.
    graph.post("/edit/movies/m7", &json!({"title": "Seventh Heaven"}));
    graph.delete_movie("m11");
    folder.settles_within(SETTLES);
    let documents = graph.documents();
    for version in ["1", "2"] {
        assert_equal(&exported(folder, version), &documents, &folder.log());
    }

    assert_eq!(moved(folder, "promote"), (1, 2));
    assert!(found(folder) > 200, "the words of `source` are found");
    assert_equal(&folder.exported(), &documents, &folder.log());
    assert_eq!(moved(folder, "rollback"), (2, 1));
    assert!(found(folder) < 100, "titles alone are searched again");
    assert_eq!(moved(folder, "promote"), (1, 2));

    // The process that runs follows: what changes now is found by the new mapping, and kept for the way back.
    graph.post("/edit/movies/m8", &json!({"title": "Eighth Wonder"}));
    folder.settles_within(SETTLES);
    let documents = graph.documents();
    for version in ["1", "2"] {
        assert_equal(&exported(folder, version), &documents, &folder.log());
    }
    let states: Vec<Value> = versions(folder).iter().map(|version| version["state"].clone()).collect();
    assert_eq!(states, ["KEPT", "SERVED"]);
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

/// Two processes over Kafka: a version is filled when both write it, and one of them is killed on the way.
#[test]
fn processes_that_share_an_index_follow_its_versions() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    let name = "shared-versions";
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let _stream = folder.share_over(kafka(), Some(registry()), name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let (victim, survivor) = (folder.run(), folder.run());
    folder.backfills_within(SETTLES, &graph);
    assert!(found(&folder) < 100, "titles alone are searched");

    graph.reset_counts();
    remap(&folder, WORDS_OF_SOURCE);
    let planned = folder.json(&["plan", "index.yaml"]);
    assert_eq!(planned["summary"]["rebuild"], 1, "{planned:#}");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let planned = folder.output(&["plan", "index.yaml", "--detailed-exitcode"]);
    assert_eq!(planned.status.code(), Some(0), "{}", String::from_utf8_lossy(&planned.stdout));
    victim.kill();
    is_ready(&folder, 2);
    nothing_was_asked_of(&graph);
    assert_eq!(folder.status()["version"], 1, "nothing is promoted by itself");
    let other = folder.run();

    graph.post("/edit/movies/m7", &json!({"title": "Seventh Heaven"}));
    graph.delete_movie("m11");
    folder.settles_within(SETTLES);
    assert_eq!(moved(&folder, "promote"), (1, 2));
    the_alias_is_at(elasticsearch(), name, "shared-versions-000002");
    assert!(found(&folder) > 200, "the words of `source` are found");
    graph.post("/edit/movies/m8", &json!({"title": "Eighth Wonder"}));
    folder.settles_within(SETTLES);
    assert_eq!(moved(&folder, "rollback"), (2, 1));
    the_alias_is_at(elasticsearch(), name, "shared-versions-000001");
    assert!(found(&folder) < 100, "titles alone are searched again");
    graph.post("/edit/movies/m9", &json!({"title": "Ninth Gate"}));
    folder.settles_within(SETTLES);
    let documents = graph.documents();
    for version in ["1", "2"] {
        assert_equal(&exported(&folder, version), &documents, &folder.log());
    }
    for run in [survivor, other] {
        assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    }
}

pub(super) fn the_alias_is_at(server: &Rest, alias: &str, index: &str) {
    let there = server.succeed("GET", &format!("/_alias/{alias}"), &Value::Null);
    let indexes: Vec<&String> = there.as_object().expect("indexes").keys().collect();
    assert_eq!(indexes, [index], "{there:#}");
}

/// A filling that is killed goes on where it was, and a version that nobody wants any more is removed.
#[test]
fn a_filling_survives_kills_and_old_versions_go() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, &graph);
    run.kill();
    graph.reset_counts();
    remap(&folder, "  source: text\n");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let (mut kills, mut furthest) = (0, 0);
    loop {
        let status = versions(&folder)[1].clone();
        if status["state"] == "READY" {
            break;
        }
        let filled = status["filled"].as_u64().unwrap_or(0);
        assert!(filled >= furthest, "it began anew: {filled} after {furthest}");
        furthest = filled;
        let run = folder.run();
        thread::sleep(Duration::from_millis(200 + 20 * kills));
        run.kill();
        kills += 1;
        assert!(kills < 200, "it never ends: {status:#}");
    }
    println!("{kills} kills, the last one seen after {furthest} documents");
    assert!(kills > 1, "it was filled before the first kill, which proves nothing");
    nothing_was_asked_of(&graph);
    let documents = graph.documents();
    graph.reset_counts();
    assert_equal(&exported(&folder, "2"), &documents, &folder.log());

    // Another plan takes the place of what was never served.
    remap(&folder, "  creativeType: text\n");
    let planned = folder.json(&["plan", "index.yaml"]);
    assert_eq!((&planned["summary"]["rebuild"], &planned["summary"]["remove"]), (&json!(1), &json!(1)));
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    is_ready(&folder, 3);
    assert!(numbers(&folder).contains(&1) && !numbers(&folder).contains(&2), "{:?}", numbers(&folder));
    nothing_was_asked_of(&graph);
    assert_eq!(moved(&folder, "promote"), (1, 3));
    a_sample_was_asked_of(&graph);

    // One version is kept by the plan of the next, so that of two that were served the older one goes.
    remap(&folder, "  rottenTomatoesRating: { type: double }\n");
    folder.edit("index.yaml", "state: {", "store: { keep_versions: 1 }\nstate: {");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_ready(&folder, 4);
    nothing_was_asked_of(&graph);
    assert_eq!(moved(&folder, "promote"), (3, 4));
    a_sample_was_asked_of(&graph);
    eventually(SETTLES, || match numbers(&folder).as_slice() {
        [3, 4] => Ok(()),
        other => Err(format!("{other:?}")),
    });
    nothing_was_asked_of(&graph);
    assert_equal(&folder.exported(), &documents, &folder.log());
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

#[test]
fn a_promotion_whose_checks_fail_changes_nothing() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, &graph);
    let checks = "  checks: { min_count_ratio: 1, required: [title, directors.name], max_missing: 0% }\n";
    remap(&folder, "  source: text\n");
    folder.edit("index.yaml", "backfill:\n", &format!("backfill:\n{checks}"));
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let early = refused(&folder, &["promote", "index.yaml", "2"]);
    assert!(early.contains("SS605") || early.contains("SS604"), "{early}");
    is_ready(&folder, 2);
    let said = refused(&folder, &["promote", "index.yaml"]);
    assert!(said.contains("SS604") && said.contains("directors.name"), "{said}");
    assert_eq!(folder.status()["version"], 1);
    folder.edit("index.yaml", "required: [title, directors.name]", "required: [title]");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    assert_eq!(moved(&folder, "promote"), (1, 2), "another check is a change in place");
    assert_eq!(run.terminate(), Some(0));
}

#[test]
fn searches_see_no_gap_while_versions_are_swapped() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    println!("{}", swaps_under_writes(&folder, &graph, SWAPS, Duration::ZERO));
}

#[test]
fn searches_see_no_gap_while_versions_are_swapped_on_elasticsearch() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("elasticsearch", &elasticsearch().url, "swapped");
    println!("{}", swaps_under_writes(&folder, &graph, remote_swaps(), REFRESH));
}

#[test]
fn searches_see_no_gap_while_versions_are_swapped_on_opensearch() {
    let (folder, graph) = Folder::with_movies(MOVIES);
    folder.keep_on("opensearch", &opensearch().url, "swapped");
    println!("{}", swaps_under_writes(&folder, &graph, remote_swaps(), REFRESH));
}

/// Somebody searches without a pause while versions are swapped under writes. What was seen is not unseen after `visible`. Gives
/// what was done.
fn swaps_under_writes(folder: &Folder, graph: &RealGraph, count: usize, visible: Duration) -> String {
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, graph);
    remap(folder, "  source: text\n");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_ready(folder, 2);

    let admin = run.admin();
    let swaps = Mutex::new(Vec::new());
    let (is_over, searches, pages) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 1_000_000;
            while !is_over.load(Ordering::Relaxed) {
                count += 1;
                graph.post("/edit/movies/m5", &json!({"popularity": count}));
                thread::sleep(Duration::from_millis(15));
            }
        });
        scope.spawn(|| {
            let mut seen = VecDeque::new();
            while !is_over.load(Ordering::Relaxed) {
                search_once(folder, MOVIES, &mut seen, visible);
                searches.fetch_add(1, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let url = format!("http://{admin}/?filter=movieId+%3D%3D+%27m5%27");
                let page = reqwest::blocking::get(url).expect("the page is there").text().expect("text");
                assert!(page.contains("m5") && !page.contains("Nothing matches"), "{page}");
                pages.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for swap in 0..count {
                let started = Instant::now();
                let wanted = if swap % 2 == 0 { ("promote", (1, 2)) } else { ("rollback", (2, 1)) };
                assert_eq!(moved(folder, wanted.0), wanted.1);
                let took = started.elapsed();
                // Some swaps come before the process has noticed the last one, some after.
                thread::sleep(Duration::from_millis(if swap % 3 == 0 { 200 } else { 1_500 }));
                swaps.lock().expect("nobody panics with it").push(took);
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        if let Err(failure) = ended {
            std::panic::resume_unwind(failure);
        }
    });
    let swaps = swaps.into_inner().expect("nobody panicked with it");
    let done =
        format!("{searches:?} searches, {pages:?} pages; the slowest swap took {:?}", swaps.iter().max());
    assert!(searches.into_inner() > 20 && pages.into_inner() > 20, "too few to see anything");
    folder.settles_within(SETTLES);
    let documents = graph.documents();
    for version in ["1", "2"] {
        assert_equal(&exported(folder, version), &documents, &folder.log());
    }
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    done
}

/// One search: every movie is there once, and the one that changes is no older than it was seen before.
pub(super) fn search_once(
    folder: &Folder,
    movies: usize,
    seen: &mut VecDeque<(Instant, u64)>,
    visible: Duration,
) {
    let asked = Instant::now();
    let found = folder.json(&["search", "index.yaml", "--sort", "popularity:desc", "-n", "1"]);
    assert_eq!(found["total"], movies, "a gap, or a double");
    let first = &found["hits"][0];
    let popularity = first["document"]["popularity"].as_u64().expect("a number");
    let before = seen.iter().rev().find(|(at, _)| *at + visible <= asked).map_or(0, |(_, value)| *value);
    assert!(popularity >= before, "{popularity} was seen after {before}: {first:#}");
    let newest = seen.back().map_or(popularity, |(_, value)| popularity.max(*value));
    seen.push_back((Instant::now(), newest));
}

fn nothing_was_asked_of(graph: &RealGraph) {
    let counts = graph.counts();
    assert_eq!((&counts["gateway"]["requests"], &counts["documents"]), (&json!(0), &json!(0)), "{counts:#}");
}

/// A promotion compares some documents with the graph, and no more. Counts anew.
fn a_sample_was_asked_of(graph: &RealGraph) {
    let asked = graph.counts()["documents"].as_u64().expect("a count");
    assert!((1..=100).contains(&asked), "{asked} documents were asked for");
    graph.reset_counts();
}

/// How many movies free text finds by a word that stands in many sources, and in few titles.
fn found(folder: &Folder) -> u64 {
    folder.json(&["search", "index.yaml", "original"])["total"].as_u64().expect("a number")
}

fn remap(folder: &Folder, field: &str) {
    folder.edit("index.yaml", "  directors: nested\n", &format!("{field}  directors: nested\n"));
}

pub(super) fn versions(folder: &Folder) -> Vec<Value> {
    folder.status()["versions"].as_array().expect("versions").clone()
}

fn numbers(folder: &Folder) -> Vec<u64> {
    versions(folder).iter().map(|version| version["number"].as_u64().expect("a number")).collect()
}

pub(super) fn is_ready(folder: &Folder, number: u64) {
    eventually(SETTLES, || {
        let all = versions(folder);
        let is_ready = |version: &Value| version["number"] == number && version["state"] == "READY";
        if all.iter().any(is_ready) { Ok(()) } else { Err(format!("{all:#?}\n{}", folder.log())) }
    });
}

/// Runs `promote` or `rollback`, and gives the version before and the one that is served now.
pub(super) fn moved(folder: &Folder, command: &str) -> (u64, u64) {
    let told = folder.json(&[command, "index.yaml"]);
    let number = |name: &str| told[name].as_u64().expect("a number");
    (number("from"), number("version"))
}

pub(super) fn exported(folder: &Folder, version: &str) -> BTreeMap<String, Value> {
    let lines = folder.succeed(&["export", "index.yaml", "--version", version]);
    let row = |line: &str| {
        let row: Value = serde_json::from_str(line).expect("a line of JSON");
        (row["id"].as_str().expect("an id").to_owned(), row["document"].clone())
    };
    lines.lines().map(row).collect()
}

pub(super) fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.output(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
