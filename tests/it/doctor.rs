//! `doctor` finds what is wrong with real servers, each fault made for real, and changes nothing.

use std::{collections::BTreeMap, process::Output, time::Duration};

use harness::{
    eventually,
    folder::Folder,
    servers::{Kafka, Rest, elasticsearch, kafka, opensearch, registry},
};
use indexer::{endpoints::KafkaEndpoint, kafka::Topics};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What `doctor` says, and how it ended.
fn examined(folder: &Folder) -> (Option<i32>, Vec<Value>) {
    let Output { status, stdout, stderr } = folder.output(&["doctor", "index.yaml", "-o", "json"]);
    let answer: Value =
        serde_json::from_slice(&stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr)));
    (status.code(), answer["data"]["checks"].as_array().expect("checks").clone())
}

/// What isn't as it should be: check, status and message.
fn ill(checks: &[Value]) -> Vec<(&str, &str, &str)> {
    let text = |check: &'_ Value, member: &str| check[member].as_str().map(str::to_owned);
    assert!(
        checks.iter().all(|check| (check["status"] == "ok") == text(check, "help").is_none()),
        "{checks:#?}"
    );
    let told = checks.iter().filter(|check| check["status"] != "ok");
    told.map(|check| {
        let text = |member: &str| check[member].as_str().expect("text");
        (text("check"), text("status"), text("message"))
    })
    .collect()
}

/// Fails unless exactly this is wrong; the message is only a part of what is said.
fn is_ill_with(folder: &Folder, exit: i32, wanted: &[(&str, &str, &str)]) {
    let (code, checks) = examined(folder);
    let found = ill(&checks);
    let equal = found.len() == wanted.len()
        && found
            .iter()
            .zip(wanted)
            .all(|(found, wanted)| found.0 == wanted.0 && found.1 == wanted.1 && found.2.contains(wanted.2));
    assert!(equal, "wanted {wanted:#?}, found {found:#?}");
    assert_eq!(code, Some(exit), "{found:#?}");
}

fn is_well(folder: &Folder) {
    is_ill_with(folder, 0, &[]);
}

#[test]
fn an_embedded_index_and_its_gateway() {
    let (folder, graph) = Folder::with_graph();
    for table in ["movies", "productions", "talents", "cast"] {
        std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.path("events").join(format!("{table}.ndjson")))
            .expect("the folder is writable");
    }
    let version = "index version movies-000001";
    let unprovisioned =
        [("state file movies.db", "failed", "it does not exist"), (version, "failed", "it does not exist")];
    is_ill_with(&folder, 1, &unprovisioned);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_well(&folder);
    let (_, checks) = examined(&folder);
    let said = |name: &str| {
        let check = checks.iter().find(|check| check["check"] == name).expect("it was looked at");
        check["message"].as_str().expect("text").to_owned()
    };
    assert_eq!(said("gateway clock"), "its clock is ours");
    assert_eq!(said("run"), "no `run` works on the index now");

    let run = folder.run();
    run.admin();
    eventually(Duration::from_secs(30), || {
        let (_, checks) = examined(&folder);
        let is = |name: &str, message: &str| {
            checks.iter().any(|check| check["check"] == name && check["message"] == message)
        };
        let works = is("run", "one `run` works on the index") && is("lock", "a `run` holds the state file");
        if works { Ok(()) } else { Err(format!("{checks:#?}")) }
    });
    folder.succeed(&["pause", "index.yaml"]);
    is_ill_with(&folder, 0, &[("state", "warning", "paused by hand")]);
    folder.succeed(&["resume", "index.yaml"]);
    assert_eq!(run.terminate(), Some(0));

    folder.edit("index.yaml", "owner: content-search@example.com", "owner: nobody@example.com");
    is_ill_with(&folder, 0, &[(version, "warning", "the files make another plan")]);
    folder.edit("index.yaml", "owner: nobody@example.com", "owner: content-search@example.com");
    graph.fail("movies", Some("down"));
    is_ill_with(&folder, 0, &[("gateway", "warning", "(movies)")]);
    drop(graph);
    is_ill_with(&folder, 69, &[("gateway", "failed", "Connection refused")]);
}

#[test]
fn an_index_on_elasticsearch() {
    on_a_server(elasticsearch(), "elasticsearch", "doctored");
}

#[test]
fn an_index_on_opensearch() {
    on_a_server(opensearch(), "opensearch", "doctored");
}

fn on_a_server(server: &Rest, kind: &str, name: &str) {
    let (folder, _graph) = Folder::with_graph();
    for table in ["movies", "productions", "talents", "cast"] {
        std::fs::write(folder.path("events").join(format!("{table}.ndjson")), "").expect("writable");
    }
    folder.keep_on(kind, &server.url, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_well(&folder);
    let (index, alias) = (format!("{name}-000001"), format!("alias {name}"));
    let set = |settings: Value| server.succeed("PUT", &format!("/{index}/_settings"), &settings);
    let (writing, refresh) = (format!("writing {index}"), format!("refresh of {index}"));

    set(json!({"index.blocks.read_only_allow_delete": true}));
    let (code, checks) = examined(&folder);
    let found = ill(&checks);
    assert!(
        found.contains(&(
            &*writing,
            "failed",
            "the index is blocked by read_only_allow_delete (its disk passed the flood stage)"
        )),
        "{found:#?}"
    );
    assert!(code == Some(1) || code == Some(69), "{found:#?}");
    set(json!({"index.blocks.read_only_allow_delete": null}));
    set(json!({"index.refresh_interval": "-1"}));
    is_ill_with(&folder, 0, &[(&refresh, "warning", "it is off")]);
    set(json!({"index.refresh_interval": "1s"}));
    is_well(&folder);

    server.succeed("PUT", "/somewhere-else", &Value::Null);
    let moved = json!({"actions": [
        {"remove": {"index": index, "alias": name}}, {"add": {"index": "somewhere-else", "alias": name}}]});
    server.succeed("POST", "/_aliases", &moved);
    is_ill_with(&folder, 1, &[(&alias, "failed", &format!("to {index} alone"))]);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    server.succeed("DELETE", "/somewhere-else", &Value::Null);

    let rival = format!("/_index_template/rival-of-{name}");
    let body = json!({"index_patterns": [format!("{name}-*")], "priority": 100_000, "template": {}});
    server.succeed("PUT", &rival, &body);
    let template = format!("index template studio-search-{name}");
    is_ill_with(&folder, 0, &[(&template, "warning", &format!("rival-of-{name} (priority 100000)"))]);
    server.succeed("DELETE", &format!("/{index}"), &Value::Null);
    let refused = folder.output(&["provision", "index.yaml", "--yes"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("SS521") && said.contains(&format!("rival-of-{name}")), "{said}");
    server.succeed("DELETE", &rival, &Value::Null);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_well(&folder);

    let other = if kind == "elasticsearch" { "opensearch" } else { "elasticsearch" };
    folder.edit("index.yaml", &format!("type: {kind}"), &format!("type: {other}"));
    let (code, checks) = examined(&folder);
    assert_eq!(code, Some(1), "{checks:#?}");
    assert!(
        ill(&checks).iter().any(|(check, status, said)| (*check, *status) == ("store", "failed")
            && said.contains("the other engine"))
    );
    folder.edit("index.yaml", &format!("type: {other}"), &format!("type: {kind}"));
    folder.edit("index.yaml", &server.url, "http://127.0.0.1:1");
    is_ill_with(&folder, 69, &[("store", "failed", "http://127.0.0.1:1")]);
}

#[test]
fn an_index_that_processes_share() {
    let (folder, _graph) = Folder::with_graph();
    let (server, kafka, registry) = (elasticsearch(), kafka(), registry());
    let (name, registered) = ("doctored-shared", format!("{}/apis/ccompat/v7", registry.url));
    folder.keep_on("elasticsearch", &server.url, name);
    let _stream = folder.share_over(kafka, Some(registry), name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_well(&folder);

    let live = format!("studio-search.{name}.live");
    alter(kafka, &live, "retention.ms", "1000");
    let topic = format!("topic {live}");
    is_ill_with(&folder, 1, &[(&topic, "failed", "`retention.ms` is 1000, -1 is wanted")]);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_well(&folder);

    let subject = format!("{}-value", documents(&folder));
    let level = json!({"compatibility": "NONE"});
    registry.succeed("PUT", &format!("/apis/ccompat/v7/config/{subject}"), &level);
    is_ill_with(
        &folder,
        1,
        &[(&format!("subject {subject}"), "failed", "its compatibility is not BACKWARD")],
    );
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_well(&folder);

    kafka.delete_topic(&format!("{name}.public.cast"));
    kafka.delete_topic(&format!("studio-search.{name}.dlq"));
    let gone = [
        (&*format!("topic studio-search.{name}.dlq"), "failed", "it does not exist"),
        ("source cast-changes", "failed", "does not exist"),
    ];
    eventually(Duration::from_secs(30), || {
        let (_, checks) = examined(&folder);
        if ill(&checks).len() == 2 { Ok(()) } else { Err(format!("{checks:#?}")) }
    });
    is_ill_with(&folder, 69, &gone);
    kafka.create_topics(&[&format!("{name}.public.cast")], 3);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    is_well(&folder);

    folder.edit("index.yaml", &registered, "http://127.0.0.1:1");
    is_ill_with(&folder, 69, &[("schema registry", "failed", "does not answer")]);
    folder.edit("index.yaml", "http://127.0.0.1:1", &registered);
    folder.edit("index.yaml", &kafka.brokers, "127.0.0.1:1");
    let (code, checks) = examined(&folder);
    assert_eq!(code, Some(69), "{checks:#?}");
    assert!(ill(&checks).iter().any(|(check, status, _)| (*check, *status) == ("kafka", "failed")));
}

/// Changes a setting of a topic, as an administrator would.
pub(crate) fn alter(kafka: &Kafka, topic: &str, key: &str, value: &str) {
    let endpoint = KafkaEndpoint {
        brokers: vec![kafka.brokers.clone()],
        properties: BTreeMap::new(),
        instance_id: None,
        registry: None,
    };
    let settings = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let altered = async { Topics::new(&endpoint).alter(topic, settings).await };
    Runtime::new().expect("threads can be started").block_on(altered).expect("the broker takes it");
}

/// The topic of the documents.
pub(crate) fn documents(folder: &Folder) -> String {
    let plan: Value =
        serde_json::from_str(&folder.succeed(&["generate", "plan", "index.yaml"])).expect("a plan");
    plan["kafka"]["documents"].as_str().expect("a topic").to_owned()
}
