//! Plays events through without a network: real records, routes, lookups, rebuilds and writes, over a gateway of mocks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use plan::{
    DocumentId, DocumentVersion, Epoch, IndexPlan,
    index_plan::{Encoding, SourceInput, StoreKind},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    Endpoints, Index,
    endpoints::{GraphEndpoint, Place},
    graph::mocks::{Asked, MockGraph},
    log::Lane,
    provision::state::provision,
    run::{Process, RunError, RunOptions},
    source::inbox,
    store::{Document, Outcome},
};

/// Reasons shown of dead letters and of held documents, at most.
const MAX_REASONS: usize = 20;

/// An index of its own in a file of its own, for one test or several that follow each other.
pub struct Rehearsal {
    index: Index,
    state: PathBuf,
    documents: u64,
}

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// What the gateway was asked for.
    pub asked: Asked,
    /// Why records could not be understood.
    pub dead_letters: Vec<String>,
    /// Documents that failed, each with the reason.
    pub held: Vec<(String, String)>,
    /// Why the index paused.
    pub paused: Option<String>,
}

impl Rehearsal {
    /// Makes the index of this plan in a new file.
    pub async fn new(plan: &IndexPlan, state: &Path) -> Result<Self, RunError> {
        let mut plan = plan.clone();
        plan.store = StoreKind::Sqlite;
        plan.kafka = None;
        // Events are handed in, whatever brings them otherwise, and nothing comes again by itself.
        for source in &mut plan.sources {
            source.input = SourceInput::Http;
            source.encoding = Encoding::Json;
        }
        provision(state, &plan)?;
        Ok(Self {
            index: Index::open(&plan.name, &Place::embedded(state)).await?,
            state: state.to_owned(),
            documents: 0,
        })
    }

    /// The index, for searches.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Puts a document into the index as if it had been fetched; the error says why the store can't take it.
    pub async fn put(&mut self, id: DocumentId, body: &Value) -> Result<Result<(), String>, RunError> {
        self.documents += 1;
        let document = Document {
            id,
            version: DocumentVersion::new(Epoch::ZERO, self.documents),
            body: Some(body.to_string()),
            fetched_at: 0,
            missing: Vec::new(),
        };
        let outcomes = self.index.store.write(vec![document]).await?;
        Ok(match outcomes.into_iter().next() {
            Some(Outcome::Rejected(reason)) => Err(reason),
            _ => Ok(()),
        })
    }

    /// Hands lines to a source, as `POST /events` does, and works until everything that follows from them is done.
    pub async fn play(
        &self,
        source: &str,
        lines: Vec<Vec<u8>>,
        responses: BTreeMap<String, Value>,
    ) -> Result<Played, RunError> {
        let state = self.index.state().expect("a rehearsal is embedded");
        inbox::accept(state, source, lines).await?;
        let graph = Arc::new(MockGraph::new(Arc::clone(&self.index.plan), responses));
        let endpoints = Endpoints {
            graph: GraphEndpoint { url: "http://127.0.0.1:9/".to_owned(), headers: Vec::new(), ca: None },
            place: Place::embedded(&self.state),
            source_files: BTreeMap::new(),
            ids_file: None,
            admin: None,
            tokens: Vec::new(),
            identity: None,
            webhook: None,
        };
        let before = self.index.log.dead_letter_count().await?;
        let process = Process::over(&self.index.plan.name, endpoints, graph.clone()).await?;
        let end =
            process.run(RunOptions { once: true, ..RunOptions::default() }, CancellationToken::new()).await?;
        debug_assert_eq!(self.index.log.lag(Lane::Live).await?, 0, "a run that ended left nothing");
        let new = usize::try_from(end.dead_letters.saturating_sub(before)).unwrap_or(MAX_REASONS);
        let dead_letters = self.index.log.dead_letters(new.min(MAX_REASONS)).await?;
        let held = self.index.ledger.held(None, MAX_REASONS).await?;
        Ok(Played {
            asked: graph.asked(),
            dead_letters: dead_letters.into_iter().take(new).map(|letter| letter.reason).collect(),
            held: held.into_iter().map(|held| (held.id.to_string(), held.message)).collect(),
            paused: end.paused,
        })
    }

    /// The document as it is indexed; `None` where there is none, or it is gone.
    pub async fn document(&self, id: &DocumentId) -> Result<Option<Value>, RunError> {
        let body = self.index.store.get(id).await?.and_then(|stored| stored.body);
        Ok(body.and_then(|body| serde_json::from_str(&body).ok()))
    }
}
