//! The admin port as its callers meet it: health for everybody, the rest for whom it is meant.

use std::time::{Duration, Instant};

use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::*;
use crate::run::generations::Shown;
use crate::{
    endpoints::{GraphEndpoint, Place},
    ledger::IndexState,
    provision::state::provision,
    testing,
};

/// An admin port at work.
struct Port {
    index: Index,
    address: std::net::SocketAddr,
    heartbeats: Heartbeats,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), StateError>>,
    _folder: tempfile::TempDir,
}

impl Port {
    async fn open(listen: &str, tokens: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("movies.db");
        provision(&state, &testing::movies()).unwrap();
        let index = Index::open("movies", &Place::embedded(&state)).await.unwrap();
        let endpoints = Endpoints {
            graph: GraphEndpoint { url: "http://127.0.0.1:9/".to_owned(), headers: Vec::new(), ca: None },
            place: Place::embedded(&state),
            source_files: [].into(),
            ids_file: None,
            admin: None,
            tokens: tokens.iter().map(|token| SecretString::from(*token)).collect(),
            identity: None,
            webhook: None,
        };
        let listener = TcpListener::bind(listen).await.unwrap();
        let mut address = listener.local_addr().unwrap();
        address.set_ip([127, 0, 0, 1].into());
        let stop = CancellationToken::new();
        let heartbeats = Heartbeats::default();
        let admin = Admin::new(Shown::new(index.clone()), &endpoints, Arc::default(), heartbeats.clone());
        let serving = tokio::spawn(serve(listener, None, admin, stop.clone()));
        Self { index, address, heartbeats, stop, serving, _folder: folder }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        client().get(format!("http://{}{path}", self.address))
    }

    fn post(&self) -> RequestBuilder {
        client().post(format!("http://{}/events/movies/talent", self.address)).body("{\"key\": \"t1\"}\n")
    }

    async fn accepted(&self) -> i64 {
        let count =
            |conn: &rusqlite::Connection| conn.query_row("SELECT count(*) FROM inbox", (), |row| row.get(0));
        self.index.state().unwrap().read(count).await.unwrap()
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

const PRIVATE: [&str; 5] = ["/", "/figures", "/suggest?q=a", "/status.json", "/metrics"];

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_client_does_not_hold_up_the_end() {
    let port = Port::open("127.0.0.1:0", &[]).await;
    let mut stalled = TcpStream::connect(port.address).await.unwrap();
    let half = b"POST /events/movies/talent HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{";
    stalled.write_all(half).await.unwrap();
    send(port.get("/livez")).await;
    let asked = Instant::now();
    port.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(8), port.serving).await;
    ended.expect("the port closes though a client is still sending").unwrap().unwrap();
    assert!(asked.elapsed() >= port::LAST_ANSWERS, "who is quick enough gets an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_way_is_finished() {
    let port = Port::open("127.0.0.1:0", &[]).await;
    let mut slow = TcpStream::connect(port.address).await.unwrap();
    let head = b"POST /events/movies/talent HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{";
    slow.write_all(head).await.unwrap();
    send(port.get("/livez")).await;
    port.stop.cancel();
    tokio::time::sleep(Duration::from_millis(300)).await;
    slow.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    port.serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn elsewhere_than_on_loopback_a_token_is_wanted() {
    let port = Port::open("0.0.0.0:0", &["secret"]).await;
    for path in PRIVATE {
        let refused = send(port.get(path)).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic "), "a browser can ask for it: {challenge}");
        assert_eq!(send(port.get(path).bearer_auth("wrong")).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(send(port.get(path).bearer_auth("secret")).await.status(), StatusCode::OK, "{path}");
        let by_person = port.get(path).basic_auth("anyone", Some("secret"));
        assert_eq!(send(by_person).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!(send(port.post()).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(send(port.post().bearer_auth("secret")).await.status(), StatusCode::ACCEPTED);
    // A browser brings the password along wherever a page sends it.
    let cross_site = port.post().basic_auth("", Some("secret")).header("origin", "https://evil.example");
    assert_eq!(send(cross_site).await.status(), StatusCode::FORBIDDEN);
    for probe in port::OPEN {
        assert_eq!(send(port.get(probe)).await.status(), StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_others_get_nothing_but_health() {
    let port = Port::open("0.0.0.0:0", &[]).await;
    for path in PRIVATE {
        let refused = send(port.get(path).bearer_auth("")).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path}");
        assert!(refused.text().await.unwrap().contains("serve.tokens"), "it says what to do");
    }
    assert_eq!(send(port.post()).await.status(), StatusCode::FORBIDDEN);
    for probe in port::OPEN {
        assert_eq!(send(port.get(probe)).await.status(), StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_foreign_page_may_ask_on_loopback() {
    let port = Port::open("127.0.0.1:0", &[]).await;
    let own = format!("http://{}", port.address);
    for origin in ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1"] {
        let simple = port.post().header("content-type", "text/plain").header("origin", origin);
        assert_eq!(send(simple).await.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    assert_eq!(port.accepted().await, 0);
    assert_eq!(send(port.post().header("origin", &own)).await.status(), StatusCode::ACCEPTED);
    assert_eq!(send(port.post()).await.status(), StatusCode::ACCEPTED, "curl names no origin");
    assert_eq!(port.accepted().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_made_to_point_here_reads_nothing() {
    let port = Port::open("127.0.0.1:0", &[]).await;
    let number = port.address.port();
    for path in PRIVATE {
        for host in
            ["evil.example".to_owned(), format!("evil.example:{number}"), "127.0.0.1.nip.io".to_owned()]
        {
            assert_eq!(
                send(port.get(path).header("host", &host)).await.status(),
                StatusCode::FORBIDDEN,
                "{host}"
            );
        }
        for host in [format!("localhost:{number}"), format!("[::1]:{number}")] {
            assert_eq!(send(port.get(path).header("host", &host)).await.status(), StatusCode::OK, "{host}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_to_do_next() {
    let port = Port::open("127.0.0.1:0", &[]).await;
    let page = async |path: &str| send(port.get(path)).await.text().await.unwrap();
    assert!(page("/").await.contains("studio-search backfill start"), "nothing is indexed");
    let nothing = page("/?filter=title+%3D%3D+%27x%27").await;
    assert!(nothing.contains("Nothing matches") && nothing.contains("without the filter"), "{nothing}");
    let wrong = page("/?filter=titel+%3D%3D+%27x%27").await;
    assert!(wrong.contains("did you mean title?") && wrong.contains("How to filter"), "{wrong}");
    let failed = IndexState::Failed { code: "SS406".to_owned(), reason: "too many <gone>".to_owned() };
    port.index.ledger.set_state(failed).await.unwrap();
    let figures = page("/figures").await;
    assert!(
        figures.contains("SS406: too many &lt;gone&gt;") && figures.contains("studio-search resume"),
        "{figures}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_stands_still_is_named_by_livez() {
    let port = Port::open("127.0.0.1:0", &[]).await;
    let route = port.heartbeats.begin("the route of talent");
    assert_eq!(send(port.get("/livez")).await.status(), StatusCode::OK);
    let bound = Duration::from_millis(port.index.plan.graph.deadline_ms) + STALLED_AFTER;
    route.was_last_seen(bound + Duration::from_secs(1));
    let failed = send(port.get("/livez")).await;
    assert_eq!(failed.status(), StatusCode::SERVICE_UNAVAILABLE);
    let text = failed.text().await.unwrap();
    assert!(text.starts_with("the route of talent: no progress for "), "{text}");
    let metrics = send(port.get("/metrics")).await.text().await.unwrap();
    assert!(metrics.contains("studio_search_stalled_loops{index=\"movies\"} 1\n"), "{metrics}");
    route.beat();
    assert_eq!(send(port.get("/livez")).await.status(), StatusCode::OK);
}

/// Every name of the file, and no other; each once, with its type and its labels.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_what_their_file_says() {
    let port = Port::open("127.0.0.1:0", &[]).await;
    let answer = send(port.get("/metrics")).await;
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = answer.text().await.unwrap();
    let told: Vec<(String, &str)> = metric_names::ALL
        .iter()
        .map(|metric| (format!("studio_search_{}", metric.name), metric.kind.name()))
        .collect();
    let mut types: Vec<(String, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind))
        .collect();
    let mut wanted = told.clone();
    wanted.sort();
    types.sort();
    assert_eq!(types, wanted);
    for metric in metric_names::ALL {
        let name = format!("studio_search_{}", metric.name);
        let is_sample = |line: &&str| {
            line.strip_prefix(&name)
                .is_some_and(|rest| ["{", "_total{", "_count{"].iter().any(|mark| rest.starts_with(mark)))
        };
        let sample = text.lines().find(is_sample).unwrap_or_else(|| panic!("{name} has no sample:\n{text}"));
        let (_, labels) = sample.split_once('{').unwrap();
        let labels = labels.split_once('}').unwrap().0;
        let mut names: Vec<&str> =
            labels.split(',').filter_map(|label| Some(label.split_once('=')?.0)).collect();
        names.retain(|label| *label != "index");
        assert_eq!(names, metric.labels, "{sample}");
    }
}
