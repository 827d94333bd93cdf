//! No secret leaves the process but to the server that it is for: not by output, logs at their loudest, pages, or files.

use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use harness::{
    eventually,
    folder::Folder,
    http::{self, Answer},
};

const GATEWAY: &str = "gateway-token-81549300";
const STORE: &str = "store-password-81549301";
const REGISTRY: &str = "registry-password-81549302";
const BROKER: &str = "broker-password-81549303";
const SERVE: &str = "serve-token-81549304";

/// What all of them have, in any place of any text.
const PLANTED: &str = "8154930";

/// A server that lets nobody in, says with whose words it was asked, and remembers the credentials.
struct Refuser {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Refuser {
    fn start(body: fn(&str) -> String) -> Self {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let remembered = Arc::clone(&seen);
        let address = http::serve(move |request| {
            let credentials = request.header("authorization").unwrap_or("nothing").to_owned();
            let body = body(&credentials);
            remembered.lock().expect("nobody panicked").push(credentials);
            Some(Answer::new(401, "application/json", body))
        });
        Self { address, seen }
    }

    fn was_asked_with(&self, credentials: &str) -> bool {
        self.seen.lock().expect("nobody panicked").iter().any(|told| told == credentials)
    }
}

fn as_a_gateway(credentials: &str) -> String {
    format!("{{\"errors\":[{{\"message\":\"nobody knows {credentials}\"}}]}}")
}

fn as_a_store(_: &str) -> String {
    "{\"error\":{\"type\":\"security_exception\",\"reason\":\"unable to authenticate\"},\"status\":401}"
        .to_owned()
}

/// Fails where a text tells a planted secret, plainly or as `Basic` does.
fn tells_nothing(what: &str, text: &[u8]) {
    let encoded = [("indexer", STORE), ("indexer", REGISTRY)]
        .map(|(user, password)| BASE64.encode(format!("{user}:{password}")));
    let wanted = [PLANTED.to_owned()].into_iter().chain(encoded);
    for secret in wanted {
        let found = text.windows(secret.len()).position(|window| window == secret.as_bytes());
        if let Some(at) = found {
            let from = at.saturating_sub(300);
            let around = String::from_utf8_lossy(&text[from..(at + 60).min(text.len())]);
            panic!("{what} tells a secret: …{around}…");
        }
    }
}

fn command_tells_nothing(folder: &Folder, arguments: &[&str]) {
    let output = folder.output(arguments);
    assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "{arguments:?} says something");
    tells_nothing(&format!("stdout of {arguments:?}"), &output.stdout);
    tells_nothing(&format!("stderr of {arguments:?}"), &output.stderr);
}

fn with_secrets() -> Folder {
    let mut folder = Folder::new();
    for (name, value) in [
        ("GATEWAY_TOKEN", GATEWAY),
        ("STORE_PASSWORD", STORE),
        ("REGISTRY_PASSWORD", REGISTRY),
        ("BROKER_PASSWORD", BROKER),
        ("SERVE_TOKEN", SERVE),
        // Everybody's logs, at their loudest.
        ("STUDIO_SEARCH_LOG", "trace"),
    ] {
        folder.set(name, value);
    }
    folder.edit(
        "index.yaml",
        "  batch: { size: 25 }\n",
        "  batch: { size: 25 }\n  headers: { authorization: \"Bearer ${GATEWAY_TOKEN}\" }\n",
    );
    folder.edit(
        "index.yaml",
        "state: { path: ./movies.db }\n",
        "state: { path: ./movies.db }\nserve: { tokens: [\"${SERVE_TOKEN}\"] }\n",
    );
    folder
}

#[test]
fn a_gateway_that_repeats_its_token_makes_nobody_tell_it() {
    let gateway = Refuser::start(as_a_gateway);
    let mut folder = with_secrets();
    folder.connect(&format!("http://{}/graphql", gateway.address));
    for arguments in [
        &["validate", "index.yaml", "-vv"][..],
        &["config", "expand", "index.yaml"],
        &["plan", "index.yaml", "-vv"],
        &["plan", "index.yaml", "-o", "json"],
        &["plan", "index.yaml", "--out", "changes.json"],
        &["doctor", "index.yaml", "-vv"],
        &["provision", "index.yaml", "--yes", "-vv"],
        &["backfill", "start", "index.yaml", "--id", "m1"],
    ] {
        command_tells_nothing(&folder, arguments);
    }
    let run = folder.run();
    eventually(Duration::from_mins(1), || {
        let status = folder.status();
        let is_refused = status["state"] == "FAILED" && gateway.was_asked_with(&format!("Bearer {GATEWAY}"));
        if is_refused { Ok(()) } else { Err(status.to_string()) }
    });
    let reason = folder.status()["reason"].to_string();
    assert!(reason.contains("nobody knows [redacted]"), "{reason}");
    for path in ["/", "/figures", "/status.json", "/metrics", "/livez", "/readyz"] {
        let url = format!("http://{}{path}", run.admin());
        let page = reqwest::blocking::get(url).expect("the admin port answers").text().expect("text");
        assert!(!page.is_empty(), "{path}");
        tells_nothing(path, page.as_bytes());
    }
    for arguments in [&["status", "index.yaml"][..], &["errors", "list", "index.yaml", "-o", "json"]] {
        command_tells_nothing(&folder, arguments);
    }
    assert_eq!(run.terminate(), Some(0));
    command_tells_nothing(&folder, &["run", "index.yaml", "--once"]);
    let log = folder.log();
    assert!(log.contains("TRACE"), "it is loud: {}", &log[..log.len().min(500)]);
    let files = fs::read_dir(folder.path("")).expect("the folder").flatten().map(|entry| entry.path());
    let files: Vec<_> = files.filter(|path| path.is_file()).collect();
    for name in ["movies.db", "changes.json"] {
        assert!(files.iter().any(|path| path.ends_with(name)), "{name}: {files:?}");
    }
    for file in files {
        let bytes = fs::read(&file).expect("a file");
        tells_nothing(&file.display().to_string(), &bytes);
    }
}

#[test]
fn a_store_and_brokers_that_refuse_make_nobody_tell_a_password() {
    let store = Refuser::start(as_a_store);
    let folder = with_secrets();
    folder.edit(
        "index.yaml",
        "state: { path: ./movies.db }\n",
        &format!(
            "store:\n  type: elasticsearch\n  url: \"http://{0}\"\n  auth: {{ username: indexer, password: \"${{STORE_PASSWORD}}\" }}\n\
             kafka:\n  brokers: [\"{0}\"]\n  schema_registry: \"http://{0}\"\n\
             \x20 registry_auth: {{ username: indexer, password: \"${{REGISTRY_PASSWORD}}\" }}\n\
             \x20 topics: {{ partitions: 1, replication: 1 }}\n\
             \x20 properties:\n    security.protocol: SASL_PLAINTEXT\n    sasl.mechanism: PLAIN\n    sasl.username: indexer\n    \
             sasl.password: \"${{BROKER_PASSWORD}}\"\n",
            store.address
        ),
    );
    for table in ["movies", "productions", "talents", "cast"] {
        let file = format!("file: ${{EVENTS_DIR:-./events}}/{table}.ndjson");
        folder.edit("index.yaml", &file, &format!("topic: {table}"));
    }
    let valid = folder.output(&["validate", "index.yaml"]);
    assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stderr));
    for arguments in [
        &["validate", "index.yaml", "-vv"][..],
        &["config", "expand", "index.yaml"],
        &["plan", "index.yaml", "-vv"],
        &["provision", "index.yaml", "--yes", "-vv"],
        &["run", "index.yaml", "-vv"],
        &["status", "index.yaml", "-vv"],
        &["doctor", "index.yaml", "-vv"],
        &["errors", "list", "index.yaml", "-vv"],
    ] {
        command_tells_nothing(&folder, arguments);
    }
    let basic = BASE64.encode(format!("indexer:{STORE}"));
    assert!(store.was_asked_with(&format!("Basic {basic}")), "it was really used");
}

/// The client follows redirects by itself; what it may not do is to take our credentials or documents along.
#[test]
fn a_store_that_redirects_gives_no_credentials_to_another_host() {
    let other = Refuser::start(as_a_store);
    let address = other.address;
    let store = http::serve(move |request| {
        let location = format!("http://{address}{}", request.path);
        Some(Answer { location: Some(location), ..Answer::new(307, "text/plain", "") })
    });
    let folder = with_secrets();
    folder.edit(
        "index.yaml",
        "state: { path: ./movies.db }\n",
        &format!(
            "state: {{ path: ./movies.db }}\n\
             store: {{ type: elasticsearch, url: \"http://{store}\", auth: {{ username: indexer, password: \"${{STORE_PASSWORD}}\" }} }}\n",
        ),
    );
    let refused = folder.output(&["provision", "index.yaml", "--yes"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("redirects to another host"), "{told}");
    let seen = other.seen.lock().expect("nobody panicked");
    assert!(seen.iter().all(|credentials| credentials == "nothing"), "{seen:?}");
}
