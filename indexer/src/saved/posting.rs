//! Posts what waits: reads waiting matches page by page, leaves out what is not true any more, and hands the rest to the webhook.

use std::{collections::HashMap, sync::Arc, time::Duration};

use plan::{DocumentId, code::search::SS732, index_plan::short_hash};
use search::StoredDocument;
use serde_json::{Value, value::RawValue};
use tokio_util::sync::CancellationToken;

use super::{
    Known, Reading,
    webhook::{NotTaken, Post, PostedMatch, Webhook},
};
use crate::{
    Index, StateError, heartbeat,
    ledger::{BegunMatch, figures::Meter},
    now_ms,
};

/// How often it is looked for matches.
const POLL: Duration = Duration::from_secs(1);

/// The first pause after a failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause, whatever the webhook asks for: one that is back is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Matches that are posted at once, at most.
const AT_ONCE: usize = 100;

/// Documents that are posted at once end with the one that passes so many bytes.
const BYTES_AT_ONCE: usize = 1 << 20;

/// Posts the matches of one index.
pub(crate) struct Posting {
    index: Index,
    webhook: Arc<Webhook>,
    reading: Reading,
    meter: Arc<Meter>,
}

/// Why what waits is not posted.
enum Trouble {
    State(StateError),
    Webhook(NotTaken),
}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl Posting {
    pub(crate) fn new(index: &Index, webhook: &Arc<Webhook>, meter: &Arc<Meter>) -> Self {
        let reading = Reading::new(Arc::clone(&index.plan), Arc::clone(&index.ledger), Arc::clone(meter));
        Self { index: index.clone(), webhook: Arc::clone(webhook), reading, meter: Arc::clone(meter) }
    }

    /// Posts until it is stopped. A post that runs then is left: it is posted again by whoever comes next.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), StateError> {
        let mut failures = 0;
        loop {
            heartbeat::beat();
            let done = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                done = heartbeat::waiting(self.post_what_waits()) => done,
            };
            let pause = match done {
                Ok(()) => {
                    failures = 0;
                    self.meter.webhook_waits(None);
                    POLL
                }
                Err(trouble) => {
                    failures += 1;
                    self.pause_after(trouble, failures)?
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = heartbeat::waiting(tokio::time::sleep(pause)) => {}
            }
        }
    }

    /// Posts what waits now, as far as the webhook takes it; the rest waits for the next process.
    pub(crate) async fn run_once(self) -> Result<(), StateError> {
        match self.post_what_waits().await {
            Ok(()) => Ok(()),
            Err(trouble) => self.pause_after(trouble, 1).map(drop),
        }
    }

    /// How long is waited after so many failures in a row; an error that no waiting mends is handed on.
    fn pause_after(&self, trouble: Trouble, failures: u32) -> Result<Duration, StateError> {
        let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        let (reason, code, wanted) = match trouble {
            Trouble::State(error) if error.is_of_a_server() => (error.to_string(), error.code(), None),
            Trouble::State(error) => return Err(error),
            Trouble::Webhook(NotTaken { reason, retry_after, .. }) => (reason, SS732, retry_after),
        };
        let pause = wanted.unwrap_or_default().max(doubled).min(LONGEST_PAUSE);
        tracing::warn!(
            code = code.id,
            "{reason}; matches of saved searches wait, the next try is in {pause:?}"
        );
        self.meter.webhook_waits(Some(reason));
        Ok(pause)
    }

    /// Goes through all that waits, once.
    async fn post_what_waits(&self) -> Result<(), Trouble> {
        let mut after = None;
        loop {
            let page = self.index.ledger.waiting_matches(after.as_ref(), AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            heartbeat::beat();
            self.post_page(page).await?;
        }
    }

    async fn post_page(&self, page: Vec<BegunMatch>) -> Result<(), Trouble> {
        let known = self.reading.known().await?;
        let mut ids: Vec<DocumentId> = page.iter().map(|begun| begun.id.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let stored = self.index.store.get_many(&ids).await?.into_iter();
        let stored: HashMap<DocumentId, StoredDocument> =
            stored.map(|stored| (stored.id.clone(), stored)).collect();
        let (mut over, mut open, mut bytes) = (Vec::new(), Vec::new(), 0);
        for begun in page {
            // What is not written yet may still be, or will be noted anew under a higher version.
            let Some(stored) = stored.get(&begun.id).filter(|stored| stored.version >= begun.version) else {
                continue;
            };
            let Some(document) = still_matches(&known, &begun, stored) else {
                over.push(begun);
                continue;
            };
            bytes += document.get().len();
            let posted = self.posted(&begun, stored, document);
            open.push((begun, posted));
            if bytes >= BYTES_AT_ONCE {
                self.deliver(std::mem::take(&mut open)).await?;
                bytes = 0;
            }
        }
        if !over.is_empty() {
            self.meter.metrics.saved_matches("over", over.len());
            self.index.ledger.settle_matches(over).await?;
        }
        self.deliver(open).await
    }

    fn posted(&self, begun: &BegunMatch, stored: &StoredDocument, document: Box<RawValue>) -> PostedMatch {
        let BegunMatch { search, id, version, at } = begun;
        PostedMatch {
            key: short_hash(&format!("{}\n{search}\n{id}\n{}", self.index.plan.name, version.get())),
            search: search.clone(),
            id: id.to_string(),
            version: stored.version.get().to_string(),
            fetched_at: *at,
            document: Some(document),
        }
    }

    /// Posts matches and forgets them; in halves where they are too large together, and without its document where one is alone.
    async fn deliver(&self, matches: Vec<(BegunMatch, PostedMatch)>) -> Result<(), Trouble> {
        let mut parts = vec![matches];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let (begun, posted): (Vec<BegunMatch>, Vec<PostedMatch>) = part.iter().cloned().unzip();
            let keys: Vec<&str> = posted.iter().map(|posted| posted.key.as_str()).collect();
            let (index, key) = (self.index.plan.name.as_str(), short_hash(&keys.join("\n")));
            match self.webhook.post(&Post { index, matches: &posted }, &key).await {
                Ok(()) => {
                    self.meter.metrics.saved_matches("posted", begun.len());
                    self.index.ledger.settle_matches(begun).await?;
                }
                Err(refused) if refused.is_too_large && part.len() > 1 => {
                    let later = part.split_off(part.len() / 2);
                    parts.extend([later, part]);
                }
                Err(refused) if refused.is_too_large && part[0].1.document.is_some() => {
                    part[0].1.document = None;
                    parts.push(part);
                }
                Err(refused) => return Err(Trouble::Webhook(refused)),
            }
        }
        Ok(())
    }
}

/// The document of a match that is still true; `None` where the search is gone or broken, or the document is, or matches no more.
fn still_matches(known: &Known, begun: &BegunMatch, stored: &StoredDocument) -> Option<Box<RawValue>> {
    let (filter, body) = (known.filter(&begun.search)?, stored.body.as_ref()?);
    let document: Value = serde_json::from_str(body).ok()?;
    let raw = || RawValue::from_string(body.clone()).ok();
    if filter.matches(&document, now_ms()) { raw() } else { None }
}
