//! A search server that has no room for some items of a bulk, in front of a real one that everything else passes on to.
//!
//! A server refuses so when its queues are full, inside an answer with success; no test can bring that about at will.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use harness::servers::Rest;
use serde_json::{Value, json};

/// More than a bulk ever has.
const LARGEST_BODY: usize = 64 << 20;

/// Listens until the test process ends.
pub(super) struct Busy {
    pub(super) url: String,
    door: Arc<Door>,
}

struct Door {
    client: reqwest::Client,
    server: String,
    bulks_of: String,
    bulks: AtomicU64,
    refused: AtomicU64,
}

impl Busy {
    /// Stands before this server and refuses every third item of every second bulk of this index.
    pub(super) fn before(server: &Rest, index: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        listener.set_nonblocking(true).expect("a listener");
        let door = Arc::new(Door {
            client: reqwest::Client::new(),
            server: server.url.clone(),
            bulks_of: format!("/{index}/_bulk"),
            bulks: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let app = Router::new().fallback(pass_on).with_state(Arc::clone(&door));
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                axum::serve(listener, app).await.expect("it listens");
            });
        });
        Self { url, door }
    }

    /// Items that were refused so far.
    pub(super) fn refused(&self) -> u64 {
        self.door.refused.load(Ordering::Relaxed)
    }
}

async fn pass_on(State(door): State<Arc<Door>>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut body = to_bytes(body, LARGEST_BODY).await.expect("a body");
    let mut refused = Vec::new();
    if parts.uri.path() == door.bulks_of {
        (body, refused) = door.refuse(&body);
        if body.is_empty() {
            return answer(StatusCode::OK, with_refusals(json!({"items": []}), &refused));
        }
    }
    for name in [header::HOST, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    let url = format!("{}{}", door.server, parts.uri);
    let sent = door.client.request(parts.method, url).headers(parts.headers).body(body).send().await;
    let response = sent.expect("the server answers");
    let (status, told) = (response.status(), response.bytes().await.expect("a body"));
    if refused.is_empty() || !status.is_success() {
        return answer(status, told);
    }
    answer(status, with_refusals(serde_json::from_slice(&told).expect("JSON"), &refused))
}

fn answer(status: StatusCode, body: Bytes) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Door {
    /// What is let in of a bulk, and the places of the items that are not. An item is two lines.
    fn refuse(&self, bulk: &[u8]) -> (Bytes, Vec<usize>) {
        if self.bulks.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            return (Bytes::copy_from_slice(bulk), Vec::new());
        }
        let lines: Vec<&[u8]> = bulk.split_inclusive(|byte| *byte == b'\n').collect();
        let items: Vec<&[&[u8]]> = lines.chunks(2).collect();
        let refused: Vec<usize> = (0..items.len()).step_by(3).collect();
        let let_in = items.iter().enumerate().filter(|(at, _)| at % 3 != 0);
        let body: Vec<u8> = let_in.flat_map(|(_, lines)| lines.concat()).collect();
        self.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        (body.into(), refused)
    }
}

/// The server's answer with the refused items at their places.
fn with_refusals(mut told: Value, refused: &[usize]) -> Bytes {
    let reason = "rejected execution of coordinating operation";
    let error = json!({"type": "es_rejected_execution_exception", "reason": reason});
    let items = told["items"].as_array_mut().expect("items");
    for at in refused {
        items.insert(*at, json!({"index": {"status": 429, "error": error}}));
    }
    told.to_string().into()
}
