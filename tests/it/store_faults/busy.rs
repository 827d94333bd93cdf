//! A search server that has no room for some items of a bulk, in front of a real one that everything else passes on to.
//!
//! A server refuses so when its queues are full, inside an answer with success; no test can bring that about at will.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use harness::{
    http::{self, Answer, Request},
    servers::Rest,
};
use serde_json::{Value, json};

/// Listens until the test process ends.
pub(super) struct Busy {
    pub(super) url: String,
    door: Arc<Door>,
}

struct Door {
    server: String,
    bulks_of: String,
    bulks: AtomicU64,
    refused: AtomicU64,
}

impl Busy {
    /// Stands before this server and refuses every third item of every second bulk of this index.
    pub(super) fn before(server: &Rest, index: &str) -> Self {
        let door = Arc::new(Door {
            server: server.url.clone(),
            bulks_of: format!("/{index}/_bulk"),
            bulks: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let serving = Arc::clone(&door);
        let address = http::serve(move |request| Some(serving.pass_on(request)));
        Self { url: format!("http://{address}"), door }
    }

    /// Items that were refused so far.
    pub(super) fn refused(&self) -> u64 {
        self.door.refused.load(Ordering::Relaxed)
    }
}

impl Door {
    fn pass_on(&self, mut request: Request) -> Answer {
        let mut refused = Vec::new();
        if request.path.split('?').next() == Some(&self.bulks_of) {
            (request.body, refused) = self.refuse(&request.body);
            if request.body.is_empty() {
                return Answer::new(200, "application/json", with_refusals(json!({"items": []}), &refused));
            }
        }
        let mut answer = request.pass_on(&self.server).expect("the server answers");
        if !refused.is_empty() && (200..300).contains(&answer.status) {
            answer.body = with_refusals(serde_json::from_slice(&answer.body).expect("JSON"), &refused);
        }
        answer
    }

    /// What is let in of a bulk, and the places of the items that are not. An item is two lines.
    fn refuse(&self, bulk: &[u8]) -> (Vec<u8>, Vec<usize>) {
        if self.bulks.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            return (bulk.to_vec(), Vec::new());
        }
        let lines: Vec<&[u8]> = bulk.split_inclusive(|byte| *byte == b'\n').collect();
        let items: Vec<&[&[u8]]> = lines.chunks(2).collect();
        let refused: Vec<usize> = (0..items.len()).step_by(3).collect();
        let let_in = items.iter().enumerate().filter(|(at, _)| at % 3 != 0);
        let body: Vec<u8> = let_in.flat_map(|(_, lines)| lines.concat()).collect();
        self.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        (body, refused)
    }
}

/// The server's answer with the refused items at their places.
fn with_refusals(mut told: Value, refused: &[usize]) -> Vec<u8> {
    let reason = "rejected execution of coordinating operation";
    let error = json!({"type": "es_rejected_execution_exception", "reason": reason});
    let items = told["items"].as_array_mut().expect("items");
    for at in refused {
        items.insert(*at, json!({"index": {"status": 429, "error": error}}));
    }
    told.to_string().into_bytes()
}
