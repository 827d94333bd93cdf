//! The ports that `run` itself opens, over TLS: with the certificate that it was given, or not at all.

use std::{
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use harness::{
    eventually,
    folder::{Folder, Running},
    tls::Authority,
};
use reqwest::{
    Certificate,
    blocking::{Client, ClientBuilder, RequestBuilder},
};

const TOKEN: &str = "port-token-5504";

/// A folder whose talents come over HTTP.
fn with_events_over_http() -> Folder {
    let folder = Folder::new();
    folder.edit("index.yaml", "file: ${EVENTS_DIR:-./events}/talents.ndjson", "http: true");
    folder
}

fn serve(folder: &Folder, key: &Path) {
    let tls = format!("tls: {{ cert: ./server.pem, key: \"{}\" }}", key.display());
    folder.edit("index.yaml", "state:", &format!("serve: {{ tokens: [{TOKEN}], {tls} }}\nstate:"));
}

fn client(authority: Option<&Authority>) -> Client {
    let trusted = authority.map(|authority| {
        let pem = std::fs::read(authority.ca()).expect("its certificate");
        Certificate::from_pem(&pem).expect("a certificate")
    });
    trusted
        .into_iter()
        .fold(Client::builder(), ClientBuilder::add_root_certificate)
        .build()
        .expect("a client")
}

fn get(client: &Client, run: &Running, path: &str) -> RequestBuilder {
    client.get(format!("https://{}{path}", run.admin()))
}

fn status(request: RequestBuilder) -> u16 {
    request.send().expect("an answer").status().as_u16()
}

#[test]
fn pages_and_events_go_over_tls() {
    let authority = Authority::new();
    let folder = with_events_over_http();
    authority.write_identity(&folder.path("server.pem"));
    serve(&folder, Path::new("./server.pem"));
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run_openly();
    let admin = run.admin();

    // Whoever connects and says nothing holds up nobody, and no stop.
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(admin).expect("a connection")).collect();
    let trusting = client(Some(&authority));
    assert_eq!(status(get(&trusting, &run, "/livez")), 200);
    assert_eq!(status(get(&trusting, &run, "/metrics")), 401);
    assert_eq!(status(get(&trusting, &run, "/metrics").bearer_auth(TOKEN)), 200);
    let events = trusting
        .post(format!("https://{admin}/events/movies/talent-changes"))
        .body("{\"key\": {\"talent_id\": \"t1\"}}\n");
    assert_eq!(status(events.bearer_auth(TOKEN)), 202);

    let in_the_clear = client(None).get(format!("http://{admin}/metrics")).bearer_auth(TOKEN).send();
    assert!(in_the_clear.is_err_and(|error| error.status().is_none()), "nothing is answered in the clear");
    let distrusting = get(&client(None), &run, "/livez").send();
    assert!(distrusting.is_err_and(|error| error.is_connect()), "it shows the certificate that it was given");
    assert_eq!(status(get(&trusting, &run, "/livez")), 200);

    let asked = Instant::now();
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    drop(silent);
    let log = folder.log();
    assert!(!log.contains("serve.tls") && !log.contains(TOKEN), "{log}");
}

#[test]
fn a_port_that_others_reach_in_the_clear_is_told_of() {
    let folder = with_events_over_http();
    folder.edit("index.yaml", "state:", &format!("serve: {{ tokens: [{TOKEN}] }}\nstate:"));
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run_openly();
    run.admin();
    eventually(Duration::from_secs(30), || {
        let log = folder.log();
        if log.contains("without `serve.tls`") { Ok(()) } else { Err(log) }
    });
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

#[test]
fn a_key_that_is_none_opens_no_port() {
    let authority = Authority::new();
    let folder = with_events_over_http();
    authority.write_identity(&folder.path("server.pem"));
    authority.write_identity(&folder.path("other.pem"));
    std::fs::write(folder.path("empty.pem"), "").expect("the folder is writable");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let mut key = "./server.pem".to_owned();
    serve(&folder, Path::new(&key));
    for (other, told) in [
        ("./missing.pem", "`serve.tls.key`: "),
        ("./empty.pem", "it holds none in PEM"),
        ("./other.pem", "don't go together"),
    ] {
        folder.edit("index.yaml", &format!("key: \"{key}\""), &format!("key: \"{other}\""));
        other.clone_into(&mut key);
        let refused = folder.output(&["run", "index.yaml"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("SS119") && said.contains(told), "{said}");
    }
}
