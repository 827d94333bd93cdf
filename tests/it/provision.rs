//! Provision on the real servers of a shared index: what it makes, what breaks off is finished, what can't be is refused.

use harness::{
    folder::Folder,
    servers::{elasticsearch, kafka, registry},
    stream::Stream,
};
use serde_json::{Value, json};

use crate::doctor::{alter, documents};

/// The registry's API under its address.
const CONFLUENT: &str = "/apis/ccompat/v7";

/// A shared index of this name, not provisioned yet.
fn shared(name: &str) -> (Folder, Stream) {
    let folder = Folder::new();
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let stream = folder.share_over(kafka(), Some(registry()), name);
    (folder, stream)
}

/// What is to be done: action and kind.
fn wanted(folder: &Folder) -> Vec<(String, String)> {
    let planned = folder.json(&["plan", "index.yaml"]);
    let changes = planned["changes"].as_array().expect("changes");
    let text = |change: &Value, member: &str| change[member].as_str().expect("text").to_owned();
    let wanted = changes.iter().filter(|change| change["action"] != "none");
    wanted.map(|change| (text(change, "action"), text(change, "kind"))).collect()
}

fn is(wanted: &[(String, String)], expected: &[(&str, &str)]) -> bool {
    wanted.len() == expected.len()
        && wanted.iter().zip(expected).all(|(one, other)| (&*one.0, &*one.1) == *other)
}

/// Runs a command that must be refused, and gives what was said.
fn refused(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.output(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

/// Everything that provision makes, in its order: `add` for what the index had lost, `none` for the rest.
#[test]
fn what_is_lost_is_made_again_and_nothing_else() {
    let (folder, _stream) = shared("remade");
    let all = [
        "ledger",
        "index version",
        "component template",
        "index template",
        "index",
        "alias",
        "topic",
        "topic",
        "topic",
        "topic",
        "subject",
    ];
    let fresh = wanted(&folder);
    assert!(is(&fresh, &all.map(|kind| ("add", kind))), "{fresh:?}");
    let dry = folder.json(&["provision", "index.yaml", "--dry-run"]);
    assert_eq!((&dry["applied"], &dry["summary"]["add"]), (&json!(false), &json!(11)), "{dry:#}");
    assert_eq!(wanted(&folder), fresh, "a dry run makes nothing");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    assert_eq!(wanted(&folder), []);

    let (server, documents) = (elasticsearch(), documents(&folder));
    let provisions = |expected: &[(&str, &str)]| {
        let found = wanted(&folder);
        assert!(is(&found, expected), "wanted {expected:?}, found {found:?}");
        folder.succeed(&["provision", "index.yaml", "--yes"]);
        assert_eq!(wanted(&folder), []);
    };
    // A provision that was killed leaves what its last steps would have made undone: these, step by step from the end.
    let ledger = "/studio-search-remade-ledger-000001";
    let forget_plan =
        || drop(server.succeed("DELETE", &format!("{ledger}/_doc/versions?refresh=true"), &Value::Null));
    let plan = ("add", "index version");
    forget_plan();
    provisions(&[plan]);
    forget_plan();
    delete_subject(&documents);
    provisions(&[plan, ("add", "subject")]);
    forget_plan();
    delete_subject(&documents);
    kafka().tool("TopicCommand", &["--delete", "--topic", "studio-search\\.remade\\..*"]);
    let topics = [("add", "topic"); 4];
    provisions(&[&[plan], &topics[..], &[("add", "subject")]].concat());
    forget_plan();
    server.succeed("DELETE", "/remade-000001", &Value::Null);
    provisions(&[plan, ("add", "index"), ("add", "alias")]);
    for path in [ledger, "/remade-000001", "/_index_template/studio-search-remade"] {
        server.succeed("DELETE", path, &Value::Null);
    }
    let templates = [("add", "ledger"), plan, ("add", "index template"), ("add", "index"), ("add", "alias")];
    provisions(&templates);

    alter(kafka(), &documents, "delete.retention.ms", "1000");
    provisions(&[("change", "topic")]);
    let level = json!({"compatibility": "FULL"});
    registry().succeed("PUT", &format!("{CONFLUENT}/config/{documents}-value"), &level);
    provisions(&[("change", "subject")]);
    let told = registry().succeed("GET", &format!("{CONFLUENT}/config/{documents}-value"), &Value::Null);
    assert_eq!(told["compatibilityLevel"], "BACKWARD");
}

fn delete_subject(documents: &str) {
    registry().succeed("DELETE", &format!("{CONFLUENT}/subjects/{documents}-value"), &Value::Null);
}

#[test]
fn what_can_not_be_made_is_refused_before_anything_is() {
    let (folder, _stream) = shared("unmade");
    let documents = documents(&folder);
    kafka().create_topics(&["studio-search.unmade.backfill"], 5);
    let planned = folder.json(&["plan", "index.yaml"]);
    let rebuilt = planned["changes"].as_array().expect("changes").iter();
    let rebuilt: Vec<&Value> = rebuilt.filter(|change| change["action"] == "rebuild").collect();
    assert_eq!((rebuilt.len(), &rebuilt[0]["name"]), (1, &json!("studio-search.unmade.backfill")));
    let said = refused(&folder, &["provision", "index.yaml", "--yes"]);
    assert!(said.contains("SS505") && said.contains("it has 5 partitions and 6 are planned"), "{said}");
    let (status, _) = elasticsearch().call("GET", "/studio-search-unmade-ledger-000001", &Value::Null);
    assert_eq!(status, 404, "nothing was made");
    kafka().delete_topic("studio-search.unmade.backfill");

    // A schema that somebody registered under our subject, and that ours can't follow.
    let other = json!({"type": "record", "name": "Other", "fields": [{"name": "a", "type": "int"}]});
    let subject = format!("{CONFLUENT}/subjects/{documents}-value/versions");
    let level = json!({"compatibility": "BACKWARD"});
    registry().succeed("PUT", &format!("{CONFLUENT}/config/{documents}-value"), &level);
    registry().succeed("POST", &subject, &json!({"schemaType": "AVRO", "schema": other.to_string()}));
    let said = refused(&folder, &["plan", "index.yaml"]);
    assert!(said.contains("SS322") && said.contains(&documents), "{said}");
    delete_subject(&documents);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    assert_eq!(wanted(&folder), []);
}

#[test]
fn a_saved_change_set_is_made_or_refused() {
    let (folder, _stream) = shared("saved");
    let saved = |folder: &Folder| {
        folder.succeed(&["plan", "index.yaml", "--out", "changes.json"]);
        std::fs::read_to_string(folder.path("changes.json")).expect("the change set")
    };
    let text = saved(&folder);
    let addresses = [elasticsearch().url.as_str(), &kafka().brokers, &registry().url];
    assert!(addresses.iter().all(|address| !text.contains(address)), "{text}");
    let set: Value = serde_json::from_str(&text).expect("JSON");
    let planned = folder.json(&["plan", "index.yaml"]);
    assert_eq!((&set["plan_hash"], &set["changes"]), (&planned["plan_hash"], &planned["changes"]));

    kafka().create_topics(&["studio-search.saved.live"], 6);
    let said = refused(&folder, &["provision", "index.yaml", "--plan", "changes.json"]);
    assert!(said.contains("SS520") && said.contains("the topic studio-search.saved.live"), "{said}");
    saved(&folder);
    folder.succeed(&["provision", "index.yaml", "--plan", "changes.json"]);
    assert_eq!(wanted(&folder), []);
    let output = folder.output(&["plan", "index.yaml", "--detailed-exitcode"]);
    assert_eq!(output.status.code(), Some(0));

    folder.edit("query.graphql", "    runningTime\n", "");
    let output = folder.output(&["plan", "index.yaml", "--detailed-exitcode", "-o", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let planned: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let changes = planned["data"]["changes"].as_array().expect("changes");
    let action =
        |kind: &str| changes.iter().find(|change| change["kind"] == kind).expect("it")["action"].clone();
    assert_eq!(
        (action("index version"), action("index"), action("alias")),
        (json!("rebuild"), json!("add"), json!("none"))
    );
    let markdown = folder.succeed(&["plan", "index.yaml", "-o", "markdown"]);
    assert!(
        markdown.contains("| **rebuild** | index version | `saved-000002` | the query is another one"),
        "{markdown}"
    );
    let said = refused(&folder, &["provision", "index.yaml", "--plan", "changes.json"]);
    assert!(said.contains("SS520") && said.contains("it is of the plan"), "{said}");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    assert_eq!(wanted(&folder), [], "another query has a version, a topic and a subject of its own");
}

/// The server that a provision meets may be gone between two of its steps; each step may be repeated.
#[test]
fn a_provision_that_meets_no_registry_is_finished_by_the_next() {
    use std::{collections::BTreeMap, time::Duration};

    use indexer::{
        endpoints::{ElasticEndpoint, KafkaEndpoint, Place, RegistryEndpoint},
        provision::{Action, Artifacts, changes, provision},
    };
    use plan::{KafkaPlan, index_plan::StoreKind, kafka_plan::Encoding};

    use crate::compiled::movies;

    let made = movies();
    let mut plan = made.compiled.plan.clone();
    let mut kafka_plan = KafkaPlan::new("broken-off", &plan.fetch.query_hash, 3, 1);
    kafka_plan.documents_encoding = Encoding::Avro;
    (plan.name, plan.store, plan.kafka) =
        ("broken-off".to_owned(), StoreKind::Elasticsearch, Some(kafka_plan));
    let templates = codegen::index_templates(&made.config, &plan, codegen::Engine::Elasticsearch);
    let place = |registry: &str| Place {
        state: "/nowhere/state.db".into(),
        store: Some(ElasticEndpoint {
            url: elasticsearch().url.clone(),
            auth: None,
            ca: None,
            timeout: Duration::from_mins(1),
        }),
        kafka: Some(KafkaEndpoint {
            brokers: vec![kafka().brokers.clone()],
            properties: BTreeMap::new(),
            instance_id: None,
            registry: Some(RegistryEndpoint { url: format!("{registry}{CONFLUENT}"), auth: None, ca: None }),
        }),
    };
    let (broken, whole) = (place("http://127.0.0.1:1"), place(&registry().url));
    let artifacts = Artifacts { templates: &templates, avro: &made.compiled.avro };
    tokio::runtime::Runtime::new().expect("threads can be started").block_on(async {
        provision(&broken, &plan, artifacts).await.expect_err("there is no registry");
        let left = changes(&whole, &plan, artifacts).await.expect("it can be told");
        let left: Vec<String> = left
            .iter()
            .filter(|change| change.action != Action::None)
            .map(|change| change.kind.to_string())
            .collect();
        assert_eq!(left, ["index version", "subject"], "all else was made before it broke off");
        provision(&whole, &plan, artifacts).await.expect("it is finished");
        let left = changes(&whole, &plan, artifacts).await.expect("it can be told");
        assert!(left.iter().all(|change| change.action == Action::None), "{left:?}");
    });
}
