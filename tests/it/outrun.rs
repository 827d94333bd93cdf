//! Events that outrun their data: a gateway whose answers lag behind, and an index that is right all the same.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use harness::{
    eventually,
    folder::{Folder, Running, assert_equal},
    graph::RealGraph,
    http, openmetrics,
};
use serde_json::{Value, json};

const SETTLES: Duration = Duration::from_mins(2);

/// A cache before the real gateway. While it stands still, it answers what it has seen before.
#[derive(Default)]
struct Cache {
    seen: Mutex<BTreeMap<String, Value>>,
    stands_still: AtomicBool,
    /// Documents that were answered as they were, and aren't.
    stale: AtomicUsize,
}

impl Cache {
    /// Starts before this gateway, and gives its address.
    fn before(gateway: &str) -> (Arc<Self>, String) {
        let cache = Arc::new(Self::default());
        let (serving, gateway) =
            (Arc::clone(&cache), gateway.strip_suffix("/graphql").expect("its path").to_owned());
        let address = http::serve(move |request| {
            let asked: Value = serde_json::from_slice(&request.body).ok()?;
            let mut answer = request.pass_on(&gateway).ok()?;
            let mut body: Value = serde_json::from_slice(&answer.body).ok()?;
            for (alias, document) in body["data"].as_object_mut()? {
                // `d7` is the document of `$id7`.
                if let Some(id) = asked["variables"][alias.replacen('d', "id", 1)].as_str() {
                    serving.pass(id, document);
                }
            }
            answer.body = body.to_string().into_bytes();
            Some(answer)
        });
        (cache, format!("http://{address}/graphql"))
    }

    fn pass(&self, id: &str, document: &mut Value) {
        let mut seen = self.seen.lock().expect("nobody panicked");
        match seen.get(id).filter(|_| self.stands_still.load(Ordering::SeqCst)) {
            Some(old) => {
                self.stale.fetch_add(usize::from(old != document), Ordering::SeqCst);
                document.clone_from(old);
            }
            None => drop(seen.insert(id.to_owned(), document.clone())),
        }
    }

    fn stand_still(&self, stands_still: bool) {
        self.stands_still.store(stands_still, Ordering::SeqCst);
    }
}

/// An index of the first movies that is asked over a cache; changed so that a test can leave versions out.
fn movies(count: usize, change: impl FnOnce(&Folder)) -> (Folder, RealGraph, Arc<Cache>, Running) {
    let (mut folder, graph) = Folder::with_graph();
    let (cache, address) = Cache::before(&graph.gateway);
    folder.connect(&address);
    change(&folder);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    let ids: Vec<String> = (1..=count).map(|n| format!("m{n}")).collect();
    let mut start = vec!["backfill", "start", "index.yaml"];
    ids.iter().for_each(|id| start.extend(["--id", id]));
    folder.succeed(&start);
    folder.settles_within(SETTLES);
    assert_eq!(folder.exported().len(), count);
    (folder, graph, cache, run)
}

/// Names the columns that grow with every change here.
fn with_versions(folder: &Folder) {
    folder.edit("index.yaml", "id: key.movie_id\n", "id: key.movie_id\n    version: row.popularity\n");
    folder.edit("index.yaml", "id: key.ptp_id\n", "id: key.ptp_id\n    version: row.budget\n");
    // Pauses that don't grow: a loaded machine may see many replays before the cache moves on.
    folder.edit("index.yaml", "errors:\n", "errors:\n  retry: { initial: 1s, max: 2s }\n");
}

/// Changes a movie, and the production of another, while the cache stands still.
fn change_behind(folder: &Folder, graph: &RealGraph, cache: &Cache) {
    let before = folder.exported();
    let more = |value: &Value| json!(value.as_i64().unwrap_or(0) + 1_000);
    cache.stand_still(true);
    let popularity = more(&before["m3"]["popularity"]);
    graph.post("/edit/movies/m3", &json!({"title": "The Event Outran Me", "popularity": popularity}));
    let budget = more(&before["m5"]["production"]["budget"]);
    graph.post("/edit/productions/p5", &json!({"distributor": "Nobody Yet", "budget": budget}));
}

fn assert_is_the_graph(folder: &Folder, graph: &RealGraph) {
    let indexed = folder.exported();
    let mut now = graph.documents();
    now.retain(|id, _| indexed.contains_key(id));
    assert_equal(&indexed, &now, &folder.log());
    assert_eq!(indexed["m3"]["title"], "The Event Outran Me");
    assert_eq!(indexed["m5"]["production"]["distributor"], "Nobody Yet");
}

fn counted(run: &Running, name: &str, result: &str) -> f64 {
    let (_, text) = run.get("/metrics");
    openmetrics::value(&openmetrics::read(&text), name, &[("result", result)])
}

fn checked(run: &Running, result: &str) -> f64 {
    counted(run, "version_checks_total", result)
}

#[test]
fn without_versions_a_lagging_answer_stays() {
    let (folder, graph, cache, run) = movies(10, |_| {});
    change_behind(&folder, &graph, &cache);
    folder.settles_within(SETTLES);
    cache.stand_still(false);
    assert!(cache.stale.load(Ordering::SeqCst) >= 2, "both were answered as they were");
    folder.settles_within(SETTLES);
    let indexed = folder.exported();
    assert_ne!(indexed["m3"]["title"], "The Event Outran Me", "nobody knows that it is old");
    assert_ne!(indexed["m5"]["production"]["distributor"], "Nobody Yet");
    assert_eq!(run.terminate(), Some(0));
}

#[test]
fn a_lagging_answer_is_asked_for_again() {
    let (folder, graph, cache, run) = movies(10, with_versions);
    change_behind(&folder, &graph, &cache);
    eventually(SETTLES, || match cache.stale.load(Ordering::SeqCst) {
        0..2 => Err("nothing was answered as it was".to_owned()),
        _ => Ok(()),
    });
    cache.stand_still(false);
    folder.settles_within(SETTLES);
    assert_is_the_graph(&folder, &graph);
    let behind = checked(&run, "behind");
    assert!((1.0..=8.0).contains(&behind), "{behind} older answers");
    assert!(checked(&run, "fresh") >= 2.0);
    assert_eq!(run.terminate(), Some(0));
}

#[test]
fn what_lags_for_long_is_held_with_its_cause_and_heals() {
    let (folder, graph, cache, run) = movies(10, with_versions);
    change_behind(&folder, &graph, &cache);
    eventually(SETTLES, || {
        let held = folder.json(&["errors", "list", "index.yaml"])["held"].clone();
        let causes: BTreeMap<&str, [&Value; 3]> = held
            .as_array()
            .expect("a list")
            .iter()
            .map(|row| {
                (row["id"].as_str().expect("an id"), ["code", "subgraph", "path"].map(|key| &row[key]))
            })
            .collect();
        let is_so = causes.len() == 2
            && causes["m3"] == [&json!("SS409"), &json!("movies"), &json!("popularity")]
            && causes["m5"] == [&json!("SS409"), &json!("productions"), &json!("production.budget")];
        if is_so { Ok(()) } else { Err(format!("{held:#}\n{}", folder.log())) }
    });
    assert!(checked(&run, "given_up") >= 2.0);
    // Neither the replays nor another process forget what is wanted.
    run.kill();
    let run = folder.run();
    let asked = cache.stale.load(Ordering::SeqCst);
    eventually(SETTLES, || match cache.stale.load(Ordering::SeqCst) {
        stale if stale > asked => Ok(()),
        _ => Err("no replay came".to_owned()),
    });
    assert_ne!(folder.status()["held"], 0, "an answer that is as old as before heals nothing");
    cache.stand_still(false);
    folder.settles_within(SETTLES);
    assert_is_the_graph(&folder, &graph);
    assert_eq!(run.terminate(), Some(0));
}

/// As many events as it takes to verify one of them. That one was old, so that all of them are asked for again.
#[test]
fn one_verification_that_differs_heals_what_else_was_old() {
    const EVENTS: usize = 64;
    let (folder, graph, cache, run) = movies(EVENTS, |_| {});
    cache.stand_still(true);
    for n in 1..=EVENTS {
        graph.post(&format!("/edit/movies/m{n}"), &json!({"title": format!("Changed {n}")}));
    }
    eventually(SETTLES, || match cache.stale.load(Ordering::SeqCst) {
        0..EVENTS => Err("not all were answered as they were".to_owned()),
        _ => Ok(()),
    });
    cache.stand_still(false);
    eventually(SETTLES, || {
        let indexed = folder.exported();
        let old =
            (1..=EVENTS).filter(|n| indexed[&format!("m{n}")]["title"] != format!("Changed {n}")).count();
        if old == 0 { Ok(()) } else { Err(format!("{old} are old\n{}", folder.log())) }
    });
    assert!(counted(&run, "verifications_total", "differed") >= 1.0);
    assert_eq!(run.terminate(), Some(0));
}

#[test]
fn a_deleted_movie_that_is_still_answered_is_asked_for_again() {
    let (folder, graph, cache, run) = movies(10, |_| {});
    cache.stand_still(true);
    graph.delete_movie("m7");
    eventually(SETTLES, || match cache.stale.load(Ordering::SeqCst) {
        0 => Err("it was not answered".to_owned()),
        _ => Ok(()),
    });
    cache.stand_still(false);
    eventually(SETTLES, || match folder.exported().get("m7") {
        Some(ghost) => Err(format!("{ghost}\n{}", folder.log())),
        None => Ok(()),
    });
    assert_eq!(run.terminate(), Some(0));
}
