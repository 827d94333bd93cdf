//! OpenSearch with its security plugin, over TLS, and no right there but those that the README names.

use std::{fs, time::Duration};

use harness::{
    eventually,
    folder::Folder,
    servers::{Rest, kafka, opensearch_secured},
    tls::Authority,
};
use serde_json::{Value, json};

const NAME: &str = "guarded";
const SETTLES: Duration = Duration::from_mins(4);

/// Strong enough for the plugin, which refuses others.
const PASSWORD: &str = "Rhubarb-Compass-5503";

/// Rights on the indexes of the documents and of the ledger, as the README's table names them.
fn role(cluster: &[&str], indexes: &[&str]) -> Value {
    let patterns = [NAME.to_owned(), format!("{NAME}-*"), format!("studio-search-{NAME}-ledger*")];
    json!({
        "cluster_permissions": cluster,
        "index_permissions": [{ "index_patterns": patterns, "allowed_actions": indexes }],
    })
}

const RUN: [&str; 5] =
    ["read", "write", "indices:admin/refresh*", "indices:admin/get", "indices:admin/aliases/get"];

fn let_in(store: &Rest) {
    let everybody = ["cluster_composite_ops", "cluster_monitor"];
    store.allow("runner", PASSWORD, &role(&everybody, &RUN));
    let templates = [&everybody[..], &["cluster_manage_index_templates"]].concat();
    store.allow("provisioner", PASSWORD, &role(&templates, &["read", "write", "manage"]));
}

/// The finding of a check of `doctor`, and how `doctor` ended.
fn found(folder: &Folder, check: &str) -> (Option<i32>, String, String) {
    let output = folder.output(&["doctor", "index.yaml", "-o", "json"]);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = told["data"]["checks"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    let found = checks.iter().find(|found| found["check"] == check).unwrap_or_else(|| panic!("{told:#}"));
    let text = |member: &str| found[member].as_str().expect("text").to_owned();
    (output.status.code(), text("status"), text("message"))
}

fn is_refused(folder: &Folder, arguments: &[&str], reason: &str) {
    let refused = folder.output(arguments);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("SS510") && told.contains(reason), "{told}");
    assert!(!told.contains(PASSWORD), "{told}");
}

#[test]
fn whoever_has_the_rights_of_the_readme_can_work() {
    let authority = Authority::new();
    let store = opensearch_secured(&authority);
    let_in(&store);
    let (mut folder, graph) = Folder::with_graph();
    folder.set("CA", &authority.ca().display().to_string());
    folder.set("STORE_PASSWORD", PASSWORD);
    folder.keep_on("opensearch", &store.url, NAME);
    folder.edit(
        "index.yaml",
        "store: { type: opensearch,",
        "store: { type: opensearch, auth: { username: \"${STORE_USER}\", password: \"${STORE_PASSWORD}\" }, tls: { ca: \"${CA}\" },",
    );
    let _stream = folder.share_over(kafka(), None, NAME);

    folder.set("STORE_USER", "runner");
    is_refused(&folder, &["provision", "index.yaml", "--yes"], "cluster:admin/component_template/get");
    folder.set("STORE_USER", "provisioner");
    let rights = |folder: &Folder| found(folder, "store rights");
    let (_, status, message) = rights(&folder);
    assert_eq!((&*status, &*message), ("ok", "nothing that is needed was refused"), "before all is there");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let again = folder.output(&["plan", "index.yaml", "--detailed-exitcode"]);
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stdout));
    let (code, status, message) = rights(&folder);
    assert_eq!((code, &*status, &*message), (Some(0), "ok", "nothing that is needed was refused"));

    folder.set("STORE_USER", "runner");
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m7", "--id", "m8", "--id", "m11"]);
    folder.settles_within(SETTLES);
    graph.post("/edit/movies/m7", &json!({"title": "Seventh"}));
    graph.delete_movie("m11");
    folder.settles_within(SETTLES);
    let documents = folder.exported();
    assert_eq!(documents.keys().collect::<Vec<_>>(), ["m7", "m8"], "{}", folder.log());
    let found_by_search = folder.json(&["search", "index.yaml", "seventh"]);
    assert_eq!(found_by_search["hits"][0]["id"], "m7", "{found_by_search:#}");
    let (code, status, message) = rights(&folder);
    assert_eq!((code, &*status), (Some(0), "warning"), "{message}");
    assert!(
        message.contains("only `provision` needs")
            && message.contains("indices:admin/index_template/put")
            && message.contains(&format!("indices:admin/create on {NAME}-000001"))
            && message.contains(&format!("indices:admin/settings/update on {NAME}-000001"))
            && !message.contains("`run` needs"),
        "{message}"
    );
    let (_, status, message) = found(&folder, &format!("alias {NAME}"));
    assert_eq!((&*status, &*message), ("ok", "it is as it should be"));

    // One right less, while it runs: it waits, and goes on by itself.
    store.allow("runner", PASSWORD, &role(&["cluster_monitor"], &RUN));
    let (code, status, message) = rights(&folder);
    assert_eq!((code, &*status), (Some(1), "failed"), "{message}");
    assert!(message.contains("`run` needs indices:data/"), "{message}");
    assert!(message.contains("indices:data/write/bulk"), "{message}");
    graph.post("/edit/movies/m7", &json!({"title": "Seventh again"}));
    eventually(SETTLES, || {
        let log = folder.log();
        if log.contains("no permissions for [indices:data/write/bulk]") { Ok(()) } else { Err(log) }
    });
    let_in(&store);
    folder.settles_within(SETTLES);
    assert_eq!(folder.exported()["m7"]["title"], "Seventh again");
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());

    store.allow(
        "runner",
        PASSWORD,
        &role(&["cluster_composite_ops", "cluster_monitor"], &["read", "indices:admin/get"]),
    );
    let (code, status, message) = rights(&folder);
    assert_eq!((code, &*status), (Some(1), "failed"), "{message}");
    for right in ["indices:data/write/index", "indices:data/write/bulk[s]", "indices:admin/refresh"] {
        assert!(message.contains(&format!("{right} on {NAME}-000001")), "{right}: {message}");
    }
    folder.set("STORE_PASSWORD", "another");
    is_refused(&folder, &["status", "index.yaml"], "401");
    let log = fs::read_to_string(folder.path("run.log")).expect("a log");
    assert!(!log.contains(PASSWORD), "{log}");
}
