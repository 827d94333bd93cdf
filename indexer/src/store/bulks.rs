//! Writes of several batches in one bulk: what waits while bulks are under way goes together in the next.
//!
//! A server takes a thousand documents at once for two thirds of what four bulks of 250 cost it. Nobody waits for company: while fewer
//! bulks are under way than may be, a write goes at once.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::select_all;
use search::{DocumentWrite, elastic::ElasticIndex};
use tokio::sync::oneshot;

use super::{Document, Outcome};
use crate::StateError;

/// Bulks under way at once. While the server indexes one, the next is on its way; more would only queue there, and be smaller.
const UNDER_WAY: usize = 2;

/// Documents that are written together at most, so that the first need not wait for too many. More gain the server little.
const MAX_DOCUMENTS: usize = 1_000;

/// The same in bytes. A single write may be larger, and then goes by itself.
const MAX_BYTES: usize = 4 << 20;

/// The bulks of one index. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Bulks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    index: ElasticIndex,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    under_way: usize,
}

/// Documents and who waits for their outcomes.
#[derive(Debug)]
struct Waiting {
    documents: Vec<Document>,
    bytes: usize,
    told: oneshot::Sender<Result<Vec<Outcome>, StateError>>,
}

impl Bulks {
    pub(super) fn of(index: ElasticIndex) -> Self {
        Self(Arc::new(Shared { index, queue: Mutex::default() }))
    }

    /// Writes documents, as [`Store::write`](super::Store::write) says. Who no longer waits takes all that shares its bulk with
    /// it, so that nothing is sent after it was given up.
    pub(super) async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        let (told, outcomes) = oneshot::channel();
        let bytes = documents.iter().map(size).sum();
        let is_free = {
            let mut queue = self.0.queue();
            queue.waiting.push_back(Waiting { documents, bytes, told });
            let is_free = queue.under_way < UNDER_WAY;
            queue.under_way += usize::from(is_free);
            is_free
        };
        if is_free {
            tokio::spawn(Arc::clone(&self.0).send_all());
        }
        outcomes.await.unwrap_or_else(|_| {
            let reason = "a bulk was given up at a deadline".to_owned();
            Err(StateError::Unreachable { what: "the store".to_owned(), reason })
        })
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends bulks until nothing waits.
    async fn send_all(self: Arc<Self>) {
        while let Some(together) = self.next() {
            self.send(together).await;
        }
    }

    /// What goes together next. Where nothing waits, one bulk fewer is under way from then on.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        queue.waiting.retain(|waiting| !waiting.told.is_closed());
        let (mut together, mut documents, mut bytes) = (Vec::new(), 0, 0);
        while let Some(first) = queue.waiting.front() {
            documents += first.documents.len();
            bytes += first.bytes;
            if !together.is_empty() && (documents > MAX_DOCUMENTS || bytes > MAX_BYTES) {
                break;
            }
            together.extend(queue.waiting.pop_front());
        }
        if together.is_empty() {
            queue.under_way -= 1;
            return None;
        }
        Some(together)
    }

    async fn send(&self, together: Vec<Waiting>) {
        let (documents, mut told): (Vec<_>, Vec<_>) =
            together.into_iter().map(|waiting| (waiting.documents, waiting.told)).unzip();
        let writes: Vec<DocumentWrite<'_>> = documents.iter().flatten().map(DocumentWrite::from).collect();
        let given_up = select_all(told.iter_mut().map(|told| Box::pin(told.closed())));
        let written = tokio::select! {
            biased;
            written = self.index.write(&writes) => written,
            _ = given_up => return, // who still waits is told by that
        };
        match written {
            Ok(outcomes) => {
                let mut outcomes = outcomes.into_iter().map(Outcome::from);
                for (documents, told) in documents.iter().zip(told) {
                    let own = outcomes.by_ref().take(documents.len()).collect();
                    let _ = told.send(Ok(own)); // who gave up meanwhile fetches anew
                }
            }
            Err(error) => {
                for told in told {
                    let _ = told.send(Err(error.clone().into()));
                }
            }
        }
    }
}

fn size(document: &Document) -> usize {
    document.body.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use plan::{DocumentId, DocumentVersion};
    use search::elastic::{Client, ElasticEndpoint, Engine};
    use tokio::{net::TcpListener, task::yield_now, time::timeout};

    use super::*;

    fn document(id: &str) -> Document {
        Document {
            id: DocumentId::new(id).unwrap(),
            version: DocumentVersion::from_stored(1),
            body: Some("{}".to_owned()),
            fetched_at: 0,
            missing: Vec::new(),
        }
    }

    async fn until(bulks: &Bulks, waiting: usize, under_way: usize) {
        let is_there = || {
            let queue = bulks.0.queue();
            (queue.waiting.len(), queue.under_way) == (waiting, under_way)
        };
        let waited = timeout(Duration::from_mins(1), async {
            while !is_there() {
                yield_now().await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("not {waiting} waiting and {under_way} under way"));
    }

    #[tokio::test]
    async fn who_gives_up_takes_its_bulk_with_it_and_no_other() {
        // It takes connections and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let endpoint = ElasticEndpoint { url, auth: None, ca: None, timeout: Duration::from_mins(1) };
        let plan = Arc::new(crate::testing::movies());
        let client = Client::new(&endpoint).unwrap();
        let bulks = Bulks::of(ElasticIndex::new(client, Engine::Elasticsearch, plan, "movies-000001"));
        let write = |id: &'static str| {
            let bulks = bulks.clone();
            tokio::spawn(async move { bulks.write(vec![document(id)]).await })
        };
        let first = write("m1");
        until(&bulks, 0, 1).await;
        let second = write("m2");
        until(&bulks, 0, UNDER_WAY).await;
        let [third, fourth, fifth] = ["m3", "m4", "m5"].map(write);
        until(&bulks, 3, UNDER_WAY).await;
        fifth.abort();
        first.abort();
        until(&bulks, 0, UNDER_WAY).await;
        third.abort();
        let told = fourth.await.unwrap();
        assert!(matches!(&told, Err(error) if error.is_passing()), "{told:?}");
        until(&bulks, 0, 1).await;
        assert!(!second.is_finished(), "its bulk goes on");
        second.abort();
        until(&bulks, 0, 0).await;
    }
}
