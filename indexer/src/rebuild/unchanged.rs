//! What the index is known to hold, so that a write that would change nothing is left out, of the documents log as of the index.
//!
//! A write is left out only where nothing else can be true than that the index holds this very document: it was the last one that
//! was sent for this id by this owner in its epoch, and both the log and the index acknowledged it. Whatever is sent makes the
//! owner forget the id first, so that a write of which nobody knows the outcome is followed by another one; and so does whatever
//! met something newer. A new owner, and one that was away, knows nothing. What a backfill, a person or an audit asks for is
//! written in any case, for somebody else may have changed the index; and so is everything while a second index version is filled.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use plan::{DocumentId, DocumentVersion, Epoch};
use sha2::{Digest as _, Sha256};

use super::batch::Ticket;
use crate::store::{Document, Outcome};

/// Documents that are remembered at most, about 150 bytes each.
const MOST: usize = 100_000;

/// A content, by the first half of its SHA-256: two contents of a document that share it are not to be met.
type Digest = [u8; 16];

/// What was acknowledged last of each document.
#[derive(Debug, Default)]
pub struct Unchanged(Option<Mutex<Memory>>);

/// The newer half and the older half of what is remembered: the older one goes as a whole.
#[derive(Debug, Default)]
struct Memory {
    newer: HashMap<DocumentId, Known>,
    older: HashMap<DocumentId, Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    epoch: Epoch,
    content: Digest,
}

/// Documents on their way: what is to be remembered of each once it is acknowledged.
pub(super) struct Sent(Vec<Option<(DocumentId, Known)>>);

fn digest(body: &str) -> Digest {
    let whole: [u8; 32] = Sha256::digest(body).into();
    let (halves, _) = whole.as_chunks();
    halves[0]
}

impl Unchanged {
    /// For an index of so many versions that are written: of one alone, writes may be left out.
    pub fn of(versions: usize) -> Self {
        Self((versions == 1).then(Mutex::default))
    }

    /// Whether what was fetched is there already, and nobody doubts it.
    pub(super) fn is_there(&self, ticket: &Ticket, body: &str) -> bool {
        !ticket.is_doubted && self.holds(&ticket.id, ticket.version, body)
    }

    /// Whether the index holds exactly this document, written in the epoch of this version.
    fn holds(&self, id: &DocumentId, version: DocumentVersion, body: &str) -> bool {
        let Some(memory) = &self.0 else { return false };
        let known = {
            let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
            memory.newer.get(id).or_else(|| memory.older.get(id)).copied()
        };
        known.is_some_and(|known| known.epoch == version.epoch() && known.content == digest(body))
    }

    /// Forgets what these documents were: from now on nobody knows what the index holds of them. What is live and complete is
    /// remembered once it is acknowledged; of a backfill, which comes by once, nothing is.
    pub(super) fn send(&self, documents: &[Document], is_live: bool) -> Sent {
        let Some(memory) = &self.0 else { return Sent(Vec::new()) };
        let known = |document: &Document| {
            let body = document.body.as_ref().filter(|_| is_live && document.missing.is_empty())?;
            let known = Known { epoch: document.version.epoch(), content: digest(body) };
            Some((document.id.clone(), known))
        };
        let sent = Sent(documents.iter().map(known).collect());
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        documents.iter().for_each(|document| memory.forget(&document.id));
        sent
    }

    /// Remembers those that both the log and the index have taken.
    pub(super) fn acknowledge(&self, Sent(sent): Sent, outcomes: &[Outcome]) {
        let Some(memory) = &self.0 else { return };
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, known) in sent
            .into_iter()
            .zip(outcomes)
            .filter(|(_, outcome)| **outcome == Outcome::Written)
            .filter_map(|(sent, _)| sent)
        {
            memory.remember(id, known);
        }
    }
}

impl Memory {
    fn forget(&mut self, id: &DocumentId) {
        self.newer.remove(id);
        self.older.remove(id);
    }

    fn remember(&mut self, id: DocumentId, known: Known) {
        if self.newer.len() >= MOST / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(id, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(id: &str, version: DocumentVersion, body: &str) -> Document {
        let (id, body) = (DocumentId::new(id).unwrap(), Some(body.to_owned()));
        Document { id, version, body, fetched_at: 0, missing: Vec::new() }
    }

    fn version(epoch: u32, fetch: u64) -> DocumentVersion {
        DocumentVersion::new(Epoch::new(epoch).unwrap(), fetch)
    }

    fn holds(unchanged: &Unchanged, document: &Document) -> bool {
        unchanged.holds(&document.id, document.version, document.body.as_ref().unwrap())
    }

    /// Sends and acknowledges.
    fn write(unchanged: &Unchanged, document: &Document, outcome: Outcome) {
        let sent = unchanged.send(std::slice::from_ref(document), true);
        unchanged.acknowledge(sent, &[outcome]);
    }

    #[test]
    fn what_was_acknowledged_last_in_this_epoch_is_known() {
        let unchanged = Unchanged::of(1);
        let first = document("m1", version(1, 1), "{}");
        assert!(!holds(&unchanged, &first));
        write(&unchanged, &first, Outcome::Written);
        assert!(holds(&unchanged, &document("m1", version(1, 2), "{}")));
        assert!(!holds(&unchanged, &document("m1", version(1, 2), "{ }")));
        assert!(!holds(&unchanged, &document("m2", version(1, 2), "{}")));
        assert!(
            !holds(&unchanged, &document("m1", version(2, 1), "{}")),
            "another owner may have written since"
        );
    }

    #[test]
    fn what_may_be_otherwise_is_forgotten() {
        let unchanged = Unchanged::of(1);
        let known = document("m1", version(1, 1), "{}");
        let other = document("m1", version(1, 2), "[]");
        let again = || Outcome::Again("busy".into());
        for outcome in [Outcome::Superseded, Outcome::Rejected("type".into()), again()] {
            write(&unchanged, &known, Outcome::Written);
            write(&unchanged, &other, outcome.clone());
            assert!(!holds(&unchanged, &known) && !holds(&unchanged, &other), "{outcome:?}");
        }
        write(&unchanged, &known, Outcome::Written);
        drop(unchanged.send(&[other], true));
        assert!(!holds(&unchanged, &known), "its outcome is unknown");

        for odd in [
            Document { missing: vec!["director".into()], ..known.clone() },
            Document { body: None, ..known.clone() },
        ] {
            write(&unchanged, &known, Outcome::Written);
            write(&unchanged, &odd, Outcome::Written);
            assert!(!holds(&unchanged, &known), "{odd:?}");
        }
        write(&unchanged, &known, Outcome::Written);
        let sent = unchanged.send(std::slice::from_ref(&known), false);
        unchanged.acknowledge(sent, &[Outcome::Written]);
        assert!(!holds(&unchanged, &known), "a backfill remembers nothing");
    }

    #[test]
    fn beside_another_version_everything_is_written() {
        let unchanged = Unchanged::of(2);
        let document = document("m1", version(1, 1), "{}");
        write(&unchanged, &document, Outcome::Written);
        assert!(!holds(&unchanged, &document));
    }

    #[test]
    fn memory_is_bounded() {
        let unchanged = Unchanged::of(1);
        let count = u64::try_from(MOST).unwrap() * 2;
        for number in 0..count {
            write(&unchanged, &document(&format!("m{number}"), version(1, number), "{}"), Outcome::Written);
        }
        let memory = unchanged.0.as_ref().unwrap().lock().unwrap();
        assert!(memory.newer.len() + memory.older.len() <= MOST);
        assert!(memory.newer.contains_key(&DocumentId::new(format!("m{}", count - 1)).unwrap()));
    }
}
