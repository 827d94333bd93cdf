//! Topics that go, come back and lose records under a running index: told, waited for, and nothing lost without a word.

use std::time::Duration;

use harness::{
    eventually,
    folder::{Folder, Running},
    graph::RealGraph,
    servers::{elasticsearch, kafka},
};
use serde_json::{Value, json};

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

/// Waits until the index holds what the graph says of a movie.
fn is_fresh(folder: &Folder, graph: &RealGraph, id: &str) {
    let wanted = graph.documents_of(&[id.to_owned()]);
    eventually(SETTLES, || match folder.exported().get(id) {
        found if found == wanted.get(id) => Ok(()),
        found => Err(format!("{id}: {found:?}\n{:#}\n{}", folder.status(), folder.log())),
    });
}

fn source<'s>(status: &'s Value, name: &str) -> &'s Value {
    let mut sources = status["sources"].as_array().expect("sources").iter();
    sources.find(|source| source["name"] == name).expect("a source of this name")
}

#[test]
fn a_topic_that_is_deleted_is_told_and_waited_for() {
    let (folder, graph) = Folder::with_graph();
    let name = "stream-deleted";
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let _stream = folder.share_over(kafka(), None, name);
    // A topic that is back is found by the next look at all of them, which is half a minute away by default.
    let refreshed = "session.timeout.ms: 10000, topic.metadata.refresh.interval.ms: 2000";
    folder.edit("index.yaml", "session.timeout.ms: 10000", refreshed);
    // Who reads a topic beside another has a group of its own, whose progress is told as well.
    let twice = format!(
        "sources:\n  movie-titles: {{ topic: {name}.public.movies, format: debezium, id: key.movie_id }}\n"
    );
    folder.edit("index.yaml", "sources:\n", &twice);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    graph.post("/edit/productions/p7", &json!({"status": "IN_PHOTOGRAPHY"}));
    is_fresh(&folder, &graph, "m7");

    // At once: what was routed of it still waits for its second lookup.
    let topic = format!("{name}.public.productions");
    kafka().delete_topic(&topic);
    eventually(SETTLES, || {
        let status = folder.status();
        let told = source(&status, "production-changes")["waiting"].as_str().unwrap_or_default();
        if told.contains(&topic) { Ok(()) } else { Err(format!("{status:#}")) }
    });
    let table = folder.succeed(&["status", "index.yaml"]);
    assert!(table.contains(&topic), "{table}");
    let checked = folder.output(&["status", "index.yaml", "--check"]);
    assert_eq!(checked.status.code(), Some(1), "{}", String::from_utf8_lossy(&checked.stdout));
    graph.post("/edit/movies/m8", &json!({"title": "Others Go On"}));
    is_fresh(&folder, &graph, "m8");
    assert_eq!(run.get("/livez").0, 200, "who waits is alive");
    let (_, metrics) = run.get("/metrics");
    assert!(metrics.contains("studio_search_live_documents"), "{metrics}");

    kafka().create_topics(&[&topic], 3);
    graph.post("/edit/productions/p7", &json!({"status": "WRAPPED"}));
    is_fresh(&folder, &graph, "m7");
    eventually(SETTLES, || {
        let status = folder.status();
        let is_read = ["movie-changes", "movie-titles", "production-changes"].iter().all(|name| {
            let source = source(&status, name);
            source["position"] == 1 && source["waiting"].is_null()
        });
        if is_read { Ok(()) } else { Err(format!("{status:#}\n{}", folder.log())) }
    });
    let status = folder.status();
    assert_eq!((&status["state"], &status["dead_letters"]), (&json!("RUNNING"), &json!(0)), "{status:#}");
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

/// A source with `on_gap: backfill`, one with `on_gap: audit` and one with `on_gap: pause` lose what nobody has read yet.
#[test]
fn records_that_expired_unread_are_told_and_answered() {
    let (folder, graph) = Folder::with_graph();
    let name = "stream-expired";
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let _stream = folder.share_over(kafka(), None, name);
    folder.edit("index.yaml", "    id: key.movie_id\n", "    id: key.movie_id\n    on_gap: pause\n");
    folder.edit("index.yaml", "    id: key.ptp_id\n", "    id: key.ptp_id\n    on_gap: backfill\n");
    let of_talents = "    id: key.talent_id\n";
    folder.edit("index.yaml", of_talents, &format!("{of_talents}    on_gap: audit\n"));
    folder.edit("index.yaml", "backfill:\n", "audit: { sample: 1/h, confirm_after: 1s }\nbackfill:\n");
    let ids: Vec<String> = (1..=40).map(|n| format!("m{n}")).collect();
    std::fs::write(folder.path("ids.txt"), ids.join("\n")).expect("the folder is writable");
    folder.edit("index.yaml", "ids: { query: ./movie-ids.graphql }", "ids: { file: ./ids.txt }");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let edit = |route: &str, body: Value| graph.post(&format!("/edit/{route}"), &body);
    // Records expire unread where nobody runs.
    let loses = |run: Running, table: &str, edit: &dyn Fn()| {
        assert_eq!(run.terminate(), Some(0), "{}", folder.log());
        let topic = format!("{name}.public.{table}");
        let before = kafka().length(&topic);
        edit();
        eventually(SETTLES, || if kafka().length(&topic) > before { Ok(()) } else { Err(topic.clone()) });
        kafka().expire(&topic);
        folder.run()
    };
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    edit("movies/m5", json!({"title": "First"}));
    edit("productions/p6", json!({"status": "IN_PHOTOGRAPHY"}));
    folder.settles_within(SETTLES);
    assert_eq!(folder.exported(), graph.documents_of(&ids));

    let run = loses(run, "productions", &|| edit("productions/p6", json!({"status": "WRAPPED"})));
    is_fresh(&folder, &graph, "m6");
    assert!(folder.log().contains("SS312"), "{}", folder.log());
    assert_eq!(backfills(&folder), 2);
    // A gap that is answered is no gap for the next process, though nothing came after it.
    assert_eq!(run.terminate(), Some(0));
    let run = folder.run();
    edit("movies/m8", json!({"title": "Eighth"}));
    is_fresh(&folder, &graph, "m8");
    let heard = folder.json(&["audit", "index.yaml", "--heartbeat"]);
    let arrived =
        heard["sources"].as_array().expect("a list").iter().all(|source| source["took_ms"].is_i64());
    assert!(arrived && heard["sources"].as_array().map(Vec::len) == Some(4), "through each topic: {heard:#}");
    folder.settles_within(SETTLES);
    assert_eq!(backfills(&folder), 2, "{}", folder.log());

    // Only what follows something that was committed is known to be missing, and of talents nothing is before its barrier.
    eventually(SETTLES, || {
        let status = folder.status();
        let sources = status["sources"].as_array().expect("a list");
        let is_committed =
            sources.iter().any(|source| source["name"] == "talent-changes" && source["position"].is_i64());
        if is_committed { Ok(()) } else { Err(format!("{status:#}\n{}", folder.log())) }
    });
    let run = loses(run, "talents", &|| edit("talents/t1", json!({"name": "Renamed Unread"})));
    eventually(SETTLES, || {
        let status = folder.status();
        let audits = status["audits"].as_array().expect("a list");
        let after_gap = audits.iter().find(|audit| audit["kind"] == "after_gap");
        match after_gap {
            Some(audit) if audit["ended_at"].is_i64() && audit["repaired"].as_u64() > Some(0) => Ok(()),
            _ => Err(format!("{status:#}\n{}", folder.log())),
        }
    });
    folder.settles_within(SETTLES);
    assert_eq!(folder.exported(), graph.documents_of(&ids), "{}", folder.log());
    assert_eq!(backfills(&folder), 2, "{}", folder.log());

    let run = loses(run, "movies", &|| edit("movies/m5", json!({"title": "Second"})));
    eventually(SETTLES, || match folder.status() {
        status if status["state"] == "FAILED" && status["code"] == "SS312" => Ok(()),
        status => Err(format!("{status:#}\n{}", folder.log())),
    });
    edit("movies/m10", json!({"title": "After The Gap"}));
    folder.succeed(&["resume", "index.yaml"]);
    is_fresh(&folder, &graph, "m10");
    assert_eq!(folder.exported()["m5"]["title"], "First", "nobody was told");
    let run = {
        assert_eq!(run.terminate(), Some(0), "{}", folder.log());
        folder.run()
    };
    folder.succeed(&["backfill", "start", "index.yaml"]);
    is_fresh(&folder, &graph, "m5");
    edit("movies/m5", json!({"title": "Third"}));
    is_fresh(&folder, &graph, "m5");
    folder.settles_within(SETTLES);
    assert_eq!(folder.exported(), graph.documents_of(&ids));
    assert_eq!(folder.status()["state"], "RUNNING", "{}", folder.log());
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

/// How many backfills were started.
fn backfills(folder: &Folder) -> u64 {
    folder.status()["backfill"]["number"].as_u64().unwrap_or(0)
}
