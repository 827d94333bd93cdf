//! Every server behind TLS and credentials, and at Kafka no right but those that the README names.

use std::{fs, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use harness::{
    folder::Folder,
    servers::{Kafka, elasticsearch, kafka_for, registry},
    tls::{Authority, Door},
};
use serde_json::json;

const NAME: &str = "secured";
const SETTLES: Duration = Duration::from_mins(4);

const GATEWAY: &str = "gateway-token-5502";
const STORE: &str = "c3RvcmU6YXBpLWtleS01NTAy";
const REGISTRY: &str = "registry-password-5502";
/// Who provisions, and who runs.
const USERS: [(&str, &str); 2] = [("provisioner", "provisioner-5502"), ("runner", "runner-5502")];

/// What the README's table says that each needs.
fn allow(kafka: &Kafka) {
    let (own, sources) = (format!("--topic studio-search.{NAME}"), format!("--topic {NAME}.public."));
    let rights = [
        (
            "provisioner",
            format!("--operation Create --operation AlterConfigs --operation DescribeConfigs {own}."),
        ),
        ("provisioner", format!("--operation Describe {own}. {sources}")),
        ("runner", format!("--operation Read {sources} --group {NAME}-route --group {NAME}-rebuild")),
        (
            "runner",
            format!(
                "--operation Read --operation Write --operation Delete {own}.live {own}.backfill {own}.dlq"
            ),
        ),
        ("runner", format!("--operation Write {own}.documents.")),
        ("runner", format!("--operation Write --transactional-id {NAME}-")),
    ];
    std::thread::scope(|scope| {
        for (user, right) in rights {
            scope.spawn(move || kafka.allow(user, &format!("{right} --resource-pattern-type prefixed")));
        }
    });
}

#[test]
fn whoever_has_the_rights_of_the_readme_can_work() {
    let authority = Authority::new();
    let (kafka, guarded) = kafka_for(&USERS, &authority);
    allow(&kafka);
    let (mut folder, graph) = Folder::with_graph();
    let origin = graph.gateway.strip_suffix("/graphql").expect("its path");
    let gateway = Door::before(origin, &authority, &format!("Bearer {GATEWAY}"));
    let store = Door::before(&elasticsearch().url, &authority, &format!("ApiKey {STORE}"));
    let login = BASE64.encode(format!("indexer:{REGISTRY}"));
    let schemas = Door::before(&registry().url, &authority, &format!("Basic {login}"));

    folder.connect(&format!("{}/graphql", gateway.url));
    fs::write(folder.path("gateway-token"), format!("{GATEWAY}\n")).expect("the folder is writable");
    let ca = authority.ca().display().to_string();
    for (name, value) in [("CA", ca.as_str()), ("STORE_KEY", STORE), ("REGISTRY_PASSWORD", REGISTRY)] {
        folder.set(name, value);
    }
    folder.keep_on("elasticsearch", &store.url, NAME);
    let _stream = folder.share_over(&kafka, Some(registry()), NAME);
    for (from, to) in [
        (kafka.brokers.as_str(), guarded.as_str()),
        (&registry().url, &schemas.url),
        (
            "schema_registry:",
            "registry_auth: { username: indexer, password: \"${REGISTRY_PASSWORD}\" }, registry: { tls: { ca: \"${CA}\" } }, schema_registry:",
        ),
        (
            "session.timeout.ms: 10000",
            "session.timeout.ms: 10000, security.protocol: SASL_SSL, ssl.ca.location: \"${CA}\", sasl.mechanism: SCRAM-SHA-256, sasl.username: \"${KAFKA_USER}\", sasl.password: \"${KAFKA_PASSWORD}\"",
        ),
        (
            "store: { type: elasticsearch,",
            "store: { type: elasticsearch, auth: { api_key: \"${STORE_KEY}\" }, tls: { ca: \"${CA}\" },",
        ),
        (
            "  batch: { size: 25 }\n",
            "  batch: { size: 25 }\n  headers: { authorization: \"Bearer ${file.gateway-token}\" }\n  tls: { ca: \"${CA}\" }\n",
        ),
    ] {
        folder.edit("index.yaml", from, to);
    }
    let [provisioner, runner] = USERS;
    let become_user = |folder: &mut Folder, (user, password): (&'static str, &str)| {
        folder.set("KAFKA_USER", user);
        folder.set("KAFKA_PASSWORD", password);
    };

    become_user(&mut folder, runner);
    let refused = folder.output(&["provision", "index.yaml", "--yes"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.to_lowercase().contains("authoriz"), "{told}");

    become_user(&mut folder, provisioner);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let again = folder.output(&["plan", "index.yaml", "--detailed-exitcode"]);
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stdout));

    become_user(&mut folder, runner);
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m7", "--id", "m8", "--id", "m11"]);
    folder.settles_within(SETTLES);
    graph.post("/edit/movies/m7", &json!({"title": "Seventh"}));
    graph.delete_movie("m11");
    folder.settles_within(SETTLES);
    let documents = folder.exported();
    assert_eq!(documents.keys().collect::<Vec<_>>(), ["m7", "m8"], "{}", folder.log());
    assert_eq!(documents["m7"]["title"], "Seventh");
    assert_eq!(folder.json(&["errors", "list", "index.yaml"])["dead_letters"], json!([]));
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    let log = folder.log();
    assert!(!log.to_lowercase().contains("authoriz") && !log.contains(" ERROR "), "{log}");
    for door in [&gateway, &store, &schemas] {
        assert!(door.passed() > 0, "{} was not asked", door.url);
    }

    // Whoever is not trusted is told of, and gets no credentials.
    folder.edit(
        "index.yaml",
        "api_key: \"${STORE_KEY}\" }, tls: { ca: \"${CA}\" }",
        "api_key: \"${STORE_KEY}\" }",
    );
    let passed = store.passed();
    let untrusted = folder.output(&["status", "index.yaml"]);
    let told = String::from_utf8_lossy(&untrusted.stderr).into_owned();
    assert!(!untrusted.status.success() && told.contains("certificate"), "{told}");
    assert_eq!(store.passed(), passed);
}
