//! What is about to be written against the saved searches: which of them it begins to match.

use std::{collections::HashMap, sync::Arc, time::Duration};

use plan::{DocumentId, IndexPlan};
use search::StoredDocument;
use serde_json::Value;
use tokio::{sync::Mutex, task::yield_now, time::Instant};

use super::{Known, MAX_WAITING, Reading};
use crate::{
    StateError,
    ledger::{BegunMatch, Ledger, figures::Meter},
    now_ms,
    store::{Document, Store},
};

/// How long the number of waiting matches is believed.
const COUNTED: Duration = Duration::from_secs(1);

/// Matches of a batch that are named in the log.
const NAMED: usize = 3;

/// Holds documents against the saved searches.
pub(crate) struct Watch {
    reading: Reading,
    ledger: Arc<dyn Ledger>,
    meter: Arc<Meter>,
    /// Whether somebody is told, so that matches are kept until then.
    is_posted: bool,
    /// How many matches wait, and when they were counted.
    waiting: Mutex<Option<(Instant, u64)>>,
}

impl Watch {
    /// Reads nothing yet.
    pub(crate) fn new(
        plan: &Arc<IndexPlan>,
        ledger: &Arc<dyn Ledger>,
        meter: &Arc<Meter>,
        is_posted: bool,
    ) -> Self {
        let reading = Reading::new(Arc::clone(plan), Arc::clone(ledger), Arc::clone(meter));
        let (ledger, meter) = (Arc::clone(ledger), Arc::clone(meter));
        Self { reading, ledger, meter, is_posted, waiting: Mutex::default() }
    }

    /// Notes what these documents begin to match, durably, before they are written to this store.
    pub(crate) async fn note(&self, store: &dyn Store, documents: &[Document]) -> Result<(), StateError> {
        let known = self.reading.known().await?;
        if known.is_empty() {
            return Ok(());
        }
        let begun = begun(&known, store, documents, now_ms()).await?;
        if begun.is_empty() {
            return Ok(());
        }
        self.meter.metrics.saved_matches("begun", begun.len());
        let named: Vec<String> =
            begun.iter().take(NAMED).map(|begun| format!("{} {:?}", begun.id, begun.search)).collect();
        tracing::info!(
            matches = begun.len(),
            "documents begin to match saved searches: {}",
            named.join(", ")
        );
        if self.is_posted { self.keep(begun).await } else { Ok(()) }
    }

    /// Lets matches wait to be posted, as far as there is room.
    async fn keep(&self, mut begun: Vec<BegunMatch>) -> Result<(), StateError> {
        let mut waiting = self.waiting.lock().await;
        let count = match *waiting {
            Some((at, count)) if at.elapsed() < COUNTED => count,
            _ => self.ledger.waiting_match_count().await?,
        };
        let room = usize::try_from(MAX_WAITING.saturating_sub(count)).unwrap_or(usize::MAX);
        if let Some(dropped) = begun.len().checked_sub(room).filter(|dropped| *dropped > 0) {
            tracing::error!(
                dropped,
                "{count} matches of saved searches wait for the webhook; more are dropped"
            );
            self.meter.metrics.saved_matches("dropped", dropped);
            begun.truncate(room);
        }
        let kept = begun.len() as u64;
        if kept > 0 {
            self.ledger.note_matches(begun).await?;
        }
        let counted_at = waiting
            .map_or_else(Instant::now, |(at, _)| if at.elapsed() < COUNTED { at } else { Instant::now() });
        *waiting = Some((counted_at, count + kept));
        Ok(())
    }
}

/// What whole documents begin to match when they are written over what the store holds.
async fn begun(
    known: &Known,
    store: &dyn Store,
    documents: &[Document],
    now_ms: i64,
) -> Result<Vec<BegunMatch>, StateError> {
    let mut matching = Vec::new();
    for document in documents.iter().filter(|document| document.missing.is_empty()) {
        let names =
            read(document.body.as_deref()).map(|body| known.matching(&body, now_ms)).unwrap_or_default();
        if !names.is_empty() {
            matching.push((document, names));
        }
        // Ten thousand ranges may take a document some milliseconds: others go on in between.
        yield_now().await;
    }
    if matching.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<DocumentId> = matching.iter().map(|(document, _)| document.id.clone()).collect();
    let before = store.get_many(&ids).await?.into_iter();
    let before: HashMap<DocumentId, StoredDocument> =
        before.map(|stored| (stored.id.clone(), stored)).collect();
    let mut begun = Vec::new();
    for (document, names) in matching {
        let stored = before.get(&document.id);
        if stored.is_some_and(|stored| stored.version >= document.version) {
            continue; // it will not be written
        }
        let body = stored.and_then(|stored| read(stored.body.as_deref()));
        let matched = |name: &&str| {
            let filter = known.filter(name);
            body.as_ref().zip(filter).is_some_and(|(body, filter)| filter.matches(body, now_ms))
        };
        begun.extend(names.into_iter().filter(|name| !matched(name)).map(|name| BegunMatch {
            search: name.to_owned(),
            id: document.id.clone(),
            version: document.version,
            at: document.fetched_at,
        }));
    }
    Ok(begun)
}

/// A body as a tree; nothing of a tombstone.
fn read(body: Option<&str>) -> Option<Value> {
    serde_json::from_str(body?).ok()
}
