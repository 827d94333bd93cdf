//! Rebuilding over a store that fails in every way that a server can.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, atomic::AtomicUsize, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion};
use search::StoredDocument;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Rebuild, RebuildError, Signals, batch::Batches, fetches::Fetches, gone::GoneGuard, unchanged::Unchanged,
};
use crate::{
    Index, StateError,
    endpoints::Place,
    graph::{Graph, GraphError, GraphRequest, request::DocumentRequests},
    ledger::{IndexState, figures::Meter},
    log::{
        Append, Cause, Entry, Lane, Ownership,
        sqlite::{SqliteLog, WholeLog},
    },
    provision::state::provision,
    saved::Watch,
    store::{Document, Outcome, Store},
    testing,
};

/// Answers every document, and counts the requests.
#[derive(Default)]
struct Everything {
    requests: AtomicUsize,
}

#[async_trait]
impl Graph for Everything {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let documents = (0..request.variables.len()).map(|n| {
            let document = match &request.variables[&format!("id{n}")] {
                Value::String(id) if id == "gone" => Value::Null,
                id => json!({"movieId": id}),
            };
            (format!("d{n}"), document)
        });
        Ok(json!({"data": documents.collect::<serde_json::Map<_, _>>()}).to_string().into_bytes())
    }
}

/// What a store does with a write.
enum Act {
    Fail(StateError),
    /// Refuses these for now, and writes the others.
    Postpone(&'static [&'static str]),
}

/// A store that acts by a script, and then keeps everything.
struct Scripted {
    script: Mutex<VecDeque<Act>>,
    written: Mutex<Vec<(String, DocumentVersion)>>,
}

#[async_trait]
impl Store for Scripted {
    async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        let postponed = match self.script.lock().unwrap().pop_front() {
            Some(Act::Fail(error)) => return Err(error),
            Some(Act::Postpone(ids)) => ids,
            None => &[],
        };
        let mut written = self.written.lock().unwrap();
        let write = |document: Document| {
            if postponed.contains(&document.id.as_str()) {
                return Outcome::Again("queue is full".to_owned());
            }
            written.push((document.id.to_string(), document.version));
            Outcome::Written
        };
        Ok(documents.into_iter().map(write).collect())
    }

    async fn lookup(
        &self,
        _: &[String],
        _: &[DocumentId],
        _: Option<&DocumentId>,
        _: usize,
    ) -> Result<Vec<DocumentId>, StateError> {
        Ok(Vec::new())
    }

    async fn ids(&self, _: Option<&DocumentId>, _: usize) -> Result<Vec<DocumentId>, StateError> {
        Ok(Vec::new())
    }

    async fn get(&self, _: &DocumentId) -> Result<Option<StoredDocument>, StateError> {
        Ok(None)
    }

    async fn scan(&self, _: Option<&DocumentId>, _: usize) -> Result<Vec<StoredDocument>, StateError> {
        Ok(Vec::new())
    }

    async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
        Ok(None)
    }

    async fn live_documents(&self) -> Result<u64, StateError> {
        Ok(0)
    }
}

fn unreachable() -> Act {
    Act::Fail(StateError::Unreachable {
        what: "http://search:9200".into(),
        reason: "connection refused".into(),
    })
}

fn refused() -> Act {
    Act::Fail(StateError::Refused { what: "http://search:9200".into(), reason: "no rights".into() })
}

struct Running {
    index: Index,
    store: Arc<Scripted>,
    graph: Arc<Everything>,
    meter: Arc<Meter>,
    rebuild: Option<Rebuild>,
    signals: Signals,
    _folder: tempfile::TempDir,
}

async fn running(script: impl IntoIterator<Item = Act>, give_up_after: Option<u32>) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("movies.db");
    provision(&path, &testing::movies()).unwrap();
    let index = Index::open("movies", &Place::embedded(&path)).await.unwrap();
    let script = Mutex::new(script.into_iter().collect());
    let store = Arc::new(Scripted { script, written: Mutex::default() });
    let graph: Arc<Everything> = Arc::default();
    let epoch = index.ledger.take_epoch(plan::Epoch::ZERO).await.unwrap();
    let fetches = Fetches::default();
    fetches.enter(epoch);
    let state = index.state().unwrap();
    let mut whole = WholeLog::new(SqliteLog::new(state.clone()), state.lock_for_run().unwrap().into());
    let tenure = whole.next_tenure(&CancellationToken::new()).await.unwrap().unwrap();
    let meter: Arc<Meter> = Arc::default();
    let batches = Batches {
        plan: Arc::clone(&index.plan),
        requests: DocumentRequests::new(Arc::clone(&index.plan)),
        others: Vec::new(),
        graph: graph.clone(),
        store: store.clone(),
        saved: Watch::new(&index.plan, &index.ledger, &meter, true),
        ledger: index.ledger.clone(),
        fetches: Arc::new(fetches),
        tenure,
        gone: Mutex::new(GoneGuard::new(1.0)),
        refusals: Mutex::default(),
        unchanged: Unchanged::of(1),
        meter: Arc::clone(&meter),
    };
    let entries =
        ["m1", "m2", "gone"].map(|id| Entry::new(DocumentId::new(id).unwrap(), Lane::Live, Cause::Event));
    index.log.append(Append { entries: entries.to_vec(), ..Append::default() }).await.unwrap();
    let signals = Signals::default();
    let log = index.log.clone();
    let rebuild = Rebuild::new(Arc::new(batches), log, signals.clone(), give_up_after).await.unwrap();
    Running { index, store, graph, meter, rebuild: Some(rebuild), signals, _folder: folder }
}

impl Running {
    /// Until everything is written.
    async fn drained(&mut self) -> Result<(), RebuildError> {
        self.signals.drain.cancel();
        let rebuild = self.rebuild.take().expect("it runs once");
        tokio::time::timeout(Duration::from_secs(30), rebuild.run()).await.expect("it ends")
    }

    fn written(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.store.written.lock().unwrap().iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for_and_everything_is_fetched_anew() {
    let mut running = running([unreachable(), unreachable()], None).await;
    running.drained().await.unwrap();
    assert_eq!(running.written(), ["gone", "m1", "m2"]);
    assert_eq!(
        running.graph.requests.load(Ordering::Relaxed),
        3,
        "one probe after each pause, and nothing resent"
    );
    let versions: Vec<i64> =
        running.store.written.lock().unwrap().iter().map(|(_, version)| version.get()).collect();
    assert!(versions.iter().all(|version| version & 0xff > 6), "of the third fetch: {versions:?}");
    assert_eq!(running.index.ledger.held_count().await.unwrap(), 0);
    assert_eq!(running.index.log.lag(Lane::Live).await.unwrap(), 0);
    assert_eq!(running.meter.waiting(), None);
}

#[tokio::test]
async fn one_document_that_is_refused_for_now_is_fetched_anew_alone() {
    let mut running = running([Act::Postpone(&["m2"])], None).await;
    running.drained().await.unwrap();
    assert_eq!(running.written(), ["gone", "m1", "m2"]);
    assert_eq!(running.index.ledger.held_count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_store_that_refuses_pauses_the_index_until_it_is_mended() {
    let mut running = running([refused(), refused()], None).await;
    let (ledger, meter) = (running.index.ledger.clone(), Arc::clone(&running.meter));
    let watch = tokio::spawn(async move {
        loop {
            if let IndexState::Failed { code, reason } = ledger.state().await.unwrap() {
                return (code, reason, meter.waiting());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    running.drained().await.unwrap();
    let (code, reason, waiting) = watch.await.unwrap();
    assert_eq!((code.as_str(), reason.as_str()), ("SS510", "http://search:9200: no rights"));
    assert_eq!(waiting.as_deref(), Some("http://search:9200: no rights"));
    assert_eq!(running.written(), ["gone", "m1", "m2"]);
    assert_eq!(running.index.ledger.state().await.unwrap(), IndexState::Running);
}

#[tokio::test]
async fn once_gives_a_store_up() {
    let error =
        running([unreachable(), unreachable(), unreachable()], Some(2)).await.drained().await.unwrap_err();
    assert!(matches!(error, RebuildError::State(StateError::Unreachable { .. })), "{error}");
    let error = running([refused()], Some(9)).await.drained().await.unwrap_err();
    assert!(matches!(error, RebuildError::State(StateError::Refused { .. })), "{error}");
}
