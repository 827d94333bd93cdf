//! Backfills as people have them: estimated, started, paused, killed, resumed, stopped; and no ghost is left behind.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    folder::{Folder, assert_equal},
    graph::{RealGraph, SUBGRAPHS},
    servers::{elasticsearch, kafka},
};
use serde_json::Value;

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(2);

/// What finds some hundred movies.
const POPULAR: &str = "popularity > 100000";

/// Documents of one request.
const BATCH: u64 = 25;

/// Few enough requests at once, with time enough for each, that none is given up and sent again where the machine is busy.
fn unhurried(folder: &Folder) {
    let patient = "  batch: { size: 25 }\n  max_concurrency: 4\n  timeout: 60s\n  deadline: 2m\n";
    folder.edit("index.yaml", "  batch: { size: 25 }\n", patient);
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Whether a value lies in an interval, widened by so many times its half.
fn holds(range: &Value, value: f64, wider: f64) -> bool {
    let [low, likely, high] = ["low", "likely", "high"].map(|end| number(&range[end]));
    (likely - (likely - low) * wider..=likely + (high - likely) * wider).contains(&value)
}

#[test]
fn an_estimate_says_what_the_backfill_takes() {
    let (folder, graph) = Folder::with_graph();
    unhurried(&folder);
    let planned = folder.json(&["plan", "index.yaml"])["backfill"].clone();
    graph.reset_counts();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    assert_eq!(folder.json(&["plan", "index.yaml"])["backfill"], Value::Null, "nothing is to be made");
    let asked = ["backfill", "start", "index.yaml", "--estimate", "--sample", "200"];
    let estimate = folder.json(&asked)["estimate"].clone();
    println!("{estimate:#}\n{}", folder.succeed(&asked));
    let fetched = number(&graph.counts()["documents"]);
    assert!(fetched <= 2.0 * 200.0 + 1.0, "{fetched} documents were fetched for two samples of 200");
    assert_eq!(folder.status()["backfill"], Value::Null, "nothing was started");
    assert_eq!(folder.status()["lag"]["backfill"], 0);
    assert_eq!((&estimate["ids"]["count"], &estimate["ids"]["counted"]), (&3_201.into(), &"exactly".into()));

    graph.reset_counts();
    let run = folder.run();
    let started = Instant::now();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    folder.settles_within(SETTLES);
    let took = started.elapsed();
    let counts = graph.counts();
    assert_eq!(run.terminate(), Some(0));
    println!("{counts:#}, {took:?}");
    assert_eq!(folder.exported().len(), 3_201);
    assert!(holds(&estimate["documents"], 3_201.0, 1.0), "{}", estimate["documents"]);
    let requests = number(&counts["gateway"]["requests"]);
    let [of_documents, of_ids] = ["requests", "id_requests"].map(|kind| &estimate[kind]);
    let [low, high] = ["low", "high"].map(|end| number(&of_documents[end]) + number(&of_ids[end]));
    assert!((low..=high).contains(&requests), "{requests} requests, estimated from {low} to {high}");
    assert_eq!((&planned["documents"], &planned["counted"]), (&3_201.into(), &"told".into()), "{planned}");
    assert!((low..=high).contains(&number(&planned["requests"])), "{planned}");
    assert!(number(&planned["seconds"]) > 0.0 && planned["next_window"].is_null(), "{planned}");
    // The sample is random: at three times its 90 % interval, chance fails one test in a million.
    let bytes: usize = graph.bodies().values().map(|body| body.get().len()).sum();
    let bytes = f64::from(u32::try_from(bytes).expect("some megabytes"));
    assert!(holds(&estimate["bytes"], bytes, 3.0), "{bytes} bytes, estimated {}", estimate["bytes"]);
    let subgraphs = estimate["subgraphs"].as_array().expect("subgraphs");
    assert_eq!(subgraphs.len(), SUBGRAPHS.len());
    for load in subgraphs {
        let name = load["name"].as_str().expect("a name");
        let calls = number(&counts[name]["requests"]);
        assert!(holds(&load["calls"], calls, 1.0), "{calls} calls to {name}, estimated {}", load["calls"]);
    }
    // The whole file: the log, the ledger and the history are in it, too.
    let file = fs::metadata(folder.path("movies.db")).expect("the state").len();
    println!("{file} bytes of state for {bytes} bytes of documents");
    let index = number(&estimate["index_bytes"]["high"]);
    assert!(
        f64::from(u32::try_from(file).expect("some megabytes")) <= index,
        "{file} bytes, estimated {index}"
    );

    // With documents in the index, what one takes is measured.
    let again = folder.json(&asked)["estimate"].clone();
    let measured = number(&again["index_bytes"]["likely"]);
    println!("measured: {measured}");
    let found = folder.json(&["search", "index.yaml", "--filter", POPULAR])["total"].clone();
    let some = ["backfill", "start", "index.yaml", "--estimate", "--where", POPULAR, "--rate", "10/s"];
    let some = folder.json(&some)["estimate"].clone();
    assert_eq!((&some["ids"]["count"], &some["ids"]["counted"]), (&found, &"exactly".into()));
    assert_eq!(some["schedule"]["held_back_by"], "rate");
    let work = number(&some["schedule"]["work_ms"]["likely"]);
    assert!((work - number(&found) * 100.0).abs() < 1.0, "{work} ms for {found} documents at ten a second");
}

/// The newest backfill as `backfill list` shows it.
fn newest(folder: &Folder) -> Value {
    let all = folder.json(&["backfill", "list", "index.yaml"])["backfills"].clone();
    all.as_array().and_then(|all| all.last()).cloned().unwrap_or_default()
}

fn fetched(graph: &RealGraph) -> u64 {
    graph.counts()["documents"].as_u64().expect("a count")
}

/// Waits until nothing is fetched for longer than the rate would let a batch wait, however long it takes until somebody notices
/// that nothing is to be; gives the documents that were fetched by then.
fn stands_still(graph: &RealGraph) -> u64 {
    let mut before = fetched(graph);
    eventually(SETTLES, || {
        sleep(Duration::from_secs(3));
        let now = fetched(graph);
        if std::mem::replace(&mut before, now) == now { Ok(()) } else { Err(format!("{now} documents")) }
    });
    before
}

fn waits_until(folder: &Folder, what: &str, holds: impl Fn(&Value) -> bool) {
    eventually(SETTLES, || {
        let newest = newest(folder);
        if holds(&newest) { Ok(()) } else { Err(format!("{what}: {newest}\n{}", folder.log())) }
    });
}

#[test]
fn a_backfill_is_paused_killed_resumed_and_stopped() {
    let (folder, graph) = Folder::with_graph();
    folder.edit("index.yaml", "backfill:\n", "backfill:\n  rate: 50/s\n");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    waits_until(&folder, "it begins", |newest| newest["rebuilt"].as_u64() > Some(200));

    folder.succeed(&["backfill", "pause", "index.yaml"]);
    let paused = stands_still(&graph);
    let waiting = newest(&folder);
    assert_eq!(waiting["state"], "REBUILDING", "{waiting}, {paused} fetched by then\n{}", folder.log());

    folder.succeed(&["backfill", "resume", "index.yaml"]);
    eventually(SETTLES, || {
        let now = fetched(&graph);
        if now > paused + 4 * BATCH { Ok(()) } else { Err(format!("{now} after {paused}")) }
    });

    // It goes on where it was: what was rebuilt is not fetched again, but for what was on its way.
    run.kill();
    let before = newest(&folder);
    assert_eq!(before["state"], "REBUILDING", "{before}");
    let (ids, rebuilt) = (before["enumerated"].as_u64(), before["rebuilt"].as_u64());
    assert_eq!(ids, Some(3_201));
    graph.reset_counts();
    let run = folder.run();
    waits_until(&folder, "it goes on", |newest| {
        newest["rebuilt"].as_u64() > rebuilt.map(|rebuilt| rebuilt + 500)
    });
    let (newly, since) = (fetched(&graph), newest(&folder)["rebuilt"].as_u64().expect("a count"));
    let fetched_twice = (newly + rebuilt.expect("a count")).saturating_sub(since);
    assert!(fetched_twice <= 20 * BATCH, "{newly} documents fetched, from {rebuilt:?} to {since}");

    let told = folder.json(&["backfill", "stop", "index.yaml"]);
    assert_eq!(told["stopped"], serde_json::json!([1]));
    eventually(SETTLES, || match &folder.status()["lag"]["backfill"] {
        lag if *lag == 0 => Ok(()),
        lag => Err(format!("{lag} entries are left")),
    });
    stands_still(&graph);
    assert_eq!(newest(&folder)["state"], "STOPPED");
    let documents = folder.exported();
    assert!((500..3_201).contains(&documents.len()), "what was left is dropped: {}", documents.len());

    // What a filter finds, and nothing else.
    graph.reset_counts();
    let found = folder.json(&["search", "index.yaml", "--filter", POPULAR])["total"].as_u64();
    folder.succeed(&["backfill", "start", "index.yaml", "--where", POPULAR]);
    waits_until(&folder, "the filtered one", |newest| newest["state"] == "DONE");
    let done = newest(&folder);
    assert_eq!((done["enumerated"].as_u64(), done["rebuilt"].as_u64()), (found, found));
    assert_eq!(Some(fetched(&graph)), found);
    assert_eq!(run.terminate(), Some(0));
}

#[test]
fn a_full_backfill_leaves_no_ghosts() {
    let (_elsewhere, graph) = Folder::with_movies(800);
    // This one hears no event: what is deleted stays, until a backfill comes.
    let folder = Folder::beside(&graph);
    unhurried(&folder);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    folder.backfills_within(SETTLES, &graph);
    graph.delete_movie("m11");
    graph.delete_movie("m724");
    assert!(folder.exported().contains_key("m11"));
    graph.reset_counts();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    folder.settles_within(SETTLES);
    let asked = graph.counts()["gateway"]["requests"].as_u64().expect("a count");
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    let (ids, ghosts) = (798_u64, 2);
    assert_eq!(newest(&folder)["enumerated"], ids + ghosts);
    let at_most = (ids.div_ceil(BATCH) * 102).div_ceil(100) + 8 + ghosts;
    assert!(asked <= at_most, "{asked} requests, {at_most} at most");
    assert_eq!(run.terminate(), Some(0));

    // A file that names one document: every other one is looked at, too, also by a run that is killed and by one that ends.
    fs::write(folder.path("ids.txt"), "m7\n").expect("the folder is writable");
    folder.edit("index.yaml", "ids: { query: ./movie-ids.graphql }", "ids: { file: ./ids.txt }");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    graph.delete_movie("m777");
    folder.succeed(&["backfill", "start", "index.yaml", "--rate", "100/s"]);
    let run = folder.run();
    waits_until(&folder, "it looks for what the file doesn't name", |newest| {
        newest["rebuilt"].as_u64() > Some(100) && newest["rebuilt"].as_u64() < Some(700)
    });
    run.kill();
    folder.succeed(&["run", "index.yaml", "--once"]);
    assert_eq!(newest(&folder)["state"], "DONE", "{}", newest(&folder));
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
}

/// Records of the topic of ids: each movie several times, so that there are several pages.
const RECORDS: usize = 20_000;

#[test]
fn ids_come_out_of_a_topic_and_kills_lose_none() {
    let (folder, graph) = Folder::with_movies(800);
    let name = "topic-of-ids";
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let _stream = folder.share_over(kafka(), None, name);
    kafka().create_topics(&["wanted-movies"], 3);
    let documents = graph.documents();
    let ids: Vec<&String> = documents.keys().collect();
    let records =
        ids.iter().cycle().take(RECORDS).map(|id| (id.as_str(), &b"{\"why\": \"it is wanted\"}"[..]));
    let too_long = "x".repeat(600);
    kafka().append("wanted-movies", records.chain([(too_long.as_str(), &b"{}"[..])]));
    folder.edit("index.yaml", "ids: { query: ./movie-ids.graphql }", "ids: { topic: wanted-movies }");
    let planned = folder.json(&["plan", "index.yaml"])["backfill"].clone();
    assert_eq!((&planned["documents"], &planned["counted"]), (&(RECORDS + 1).into(), &"at_most".into()));
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["backfill", "start", "index.yaml"]);
    let (mut kills, mut furthest) = (0, 0);
    while newest(&folder)["state"] == "ENUMERATING" {
        let run = folder.run();
        eventually(SETTLES, || {
            let newest = newest(&folder);
            let enumerated = newest["enumerated"].as_u64().expect("a count");
            assert!(enumerated >= furthest, "it began anew: {enumerated} after {furthest}");
            let is_further = enumerated > furthest || newest["state"] != "ENUMERATING";
            furthest = enumerated;
            if is_further { Ok(()) } else { Err(format!("{newest}\n{}", folder.log())) }
        });
        run.kill();
        kills += 1;
    }
    // A page that was appended when its process was killed is appended again, and counted once.
    assert_eq!(
        (newest(&folder)["enumerated"].as_u64(), kills > 1),
        (Some(RECORDS as u64), true),
        "{kills} kills"
    );
    let run = folder.run();
    waits_until(&folder, "it is done", |newest| newest["state"] == "DONE");
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &documents, &folder.log());
    let letters = folder.json(&["errors", "list", "index.yaml"])["dead_letters"].clone();
    let letters = letters.as_array().expect("a list");
    assert!(!letters.is_empty() && letters.iter().all(|letter| letter["code"] == "SS603"), "{letters:?}");
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

/// Bytes that a file may have where the disk is full: less than the movies take.
const DISK: u64 = 3 << 20;

#[test]
fn a_full_disk_loses_nothing() {
    let (folder, graph) = Folder::with_graph();
    unhurried(&folder);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["backfill", "start", "index.yaml"]);
    let mut run = folder.run_within(DISK);
    eventually(SETTLES, || match run.ended() {
        Some(status) if status.code() == Some(69) => Ok(()),
        other => Err(format!("{other:?}\n{}", folder.log())),
    });
    let log = folder.log();
    assert!(log.contains("error[SS503]") && log.contains("the disk isn't full"), "{log}");
    let there = folder.exported();
    assert!(there.len() < 3_201, "it was full before the end: {}", there.len());
    assert_eq!(folder.status()["version"], 1);

    let run = folder.run();
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    assert_eq!(run.terminate(), Some(0));
}
