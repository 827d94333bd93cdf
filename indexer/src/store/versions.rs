//! The store over index versions of one query on a server: what is written to the served one is written to the others that live.
//!
//! The others first: what a search of the served version has shown is then in every other, so that none is behind when it is
//! promoted. Only the served one's word counts. What another doesn't take, or doesn't take in time, is noted as lacking there
//! once the served one has it; a version that lacks too much is given up.
//!
//! Reads ask the served version alone. All versions hold documents of one query, so that none knows an edge that the served one
//! doesn't: what a version is ahead of it is not acknowledged yet, and its event not committed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use plan::{DocumentId, DocumentVersion};
use search::StoredDocument;
use tokio::time::timeout;

use super::{Document, Outcome, Store};
use crate::{
    StateError,
    ledger::{
        Ledger,
        versions::{Lack, MAX_LACKS, VersionState},
    },
};

/// How long a write to a version that isn't served may take. It holds up the served one for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The served version and the others that live.
pub(crate) struct VersionedStore {
    /// Whose word counts.
    pub served: Arc<dyn Store>,
    /// The others, by number.
    pub others: Vec<(u32, Arc<dyn Store>)>,
    /// Where it is noted what they lack.
    pub ledger: Arc<dyn Ledger>,
}

impl VersionedStore {
    /// Writes to one of the others; of what it doesn't hold afterwards, the reason.
    async fn write_beside(store: &dyn Store, documents: Vec<Document>) -> Vec<Option<String>> {
        let count = documents.len();
        let outcomes = match timeout(PATIENCE, store.write(documents)).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(error)) => return vec![Some(error.to_string()); count],
            Err(_) => return vec![Some(format!("it did not answer within {PATIENCE:?}")); count],
        };
        let failed = |outcome| match outcome {
            Outcome::Written | Outcome::Superseded => None,
            Outcome::Rejected(reason) | Outcome::Again(reason) => Some(reason),
        };
        outcomes.into_iter().map(failed).collect()
    }
}

#[async_trait]
impl Store for VersionedStore {
    async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        let known: Vec<_> =
            documents.iter().map(|document| (document.id.clone(), document.version)).collect();
        let beside = self.others.iter().map(|(_, store)| Self::write_beside(&**store, documents.clone()));
        let beside = join_all(beside).await;
        let outcomes = self.served.write(documents).await?;
        for ((number, _), failures) in self.others.iter().zip(beside) {
            let failed =
                known.iter().zip(&outcomes).zip(failures).filter_map(|((known, outcome), failure)| {
                    let is_kept = matches!(outcome, Outcome::Written | Outcome::Superseded);
                    let (id, version) = known.clone();
                    failure.filter(|_| is_kept).map(|reason| Lack { id, version, reason })
                });
            let lacks: Vec<Lack> = failed.collect();
            if !lacks.is_empty() {
                note_lacks(&*self.ledger, *number, lacks).await?;
            }
        }
        Ok(outcomes)
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, StateError> {
        self.served.lookup(paths, keys, after, limit).await
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<DocumentId>, StateError> {
        self.served.ids(after, limit).await
    }

    async fn get(&self, id: &DocumentId) -> Result<Option<StoredDocument>, StateError> {
        self.served.get(id).await
    }

    async fn get_many(&self, ids: &[DocumentId]) -> Result<Vec<StoredDocument>, StateError> {
        self.served.get_many(ids).await
    }

    async fn scan(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<StoredDocument>, StateError> {
        self.served.scan(after, limit).await
    }

    /// Of all versions: an epoch must be above everything that any of them holds.
    async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
        let mut highest = self.served.highest_version().await?;
        for (number, store) in &self.others {
            match store.highest_version().await {
                Ok(version) => highest = highest.max(version),
                Err(error) => {
                    tracing::warn!(version = number, "{error}; the epoch goes by the other index versions");
                }
            }
        }
        Ok(highest)
    }

    async fn live_documents(&self) -> Result<u64, StateError> {
        self.served.live_documents().await
    }
}

/// Notes what a version lacks, and gives it up where that is too much.
pub(crate) async fn note_lacks(ledger: &dyn Ledger, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
    let reason = lacks.first().map(|lack| format!("{}: {}", lack.id, lack.reason)).unwrap_or_default();
    tracing::warn!(
        version = number,
        documents = lacks.len(),
        "the index version doesn't take documents, such as {reason}"
    );
    ledger.note_lacks(number, lacks).await?;
    if ledger.lacks(number, MAX_LACKS + 1).await?.len() > MAX_LACKS {
        let reason = format!("it lacks more than {MAX_LACKS} documents, such as {reason}");
        give_up(ledger, number, reason).await?;
    }
    Ok(())
}

/// Gives a version up, wherever it is on its way, unless it is served.
pub(crate) async fn give_up(ledger: &dyn Ledger, number: u32, reason: String) -> Result<(), StateError> {
    let given_up = VersionState::GivenUp { reason };
    loop {
        let states = ledger.version_states().await?;
        let state = states.into_iter().find(|(known, _)| *known == number).map(|(_, state)| state);
        match state.filter(|state| state.is_live() && *state != VersionState::Served) {
            Some(state) if !ledger.change_version(number, &state, &given_up).await? => {}
            Some(_) => {
                tracing::error!(version = number, "the index version is given up: {given_up:?}");
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use plan::Epoch;
    use search::DocumentWrite;

    use super::*;
    use crate::{
        ledger::{RetryPauses, memory::MemoryLedger},
        store::memory::MemoryStore,
        testing,
    };

    /// A version that takes nothing.
    struct Closed;

    #[async_trait]
    impl Store for Closed {
        async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
            Ok(vec![Outcome::Rejected("it is closed".to_owned()); documents.len()])
        }

        async fn lookup(
            &self,
            _: &[String],
            _: &[DocumentId],
            _: Option<&DocumentId>,
            _: usize,
        ) -> Result<Vec<DocumentId>, StateError> {
            unreachable!("the served version is asked")
        }

        async fn ids(&self, _: Option<&DocumentId>, _: usize) -> Result<Vec<DocumentId>, StateError> {
            unreachable!("the served version is asked")
        }

        async fn get(&self, _: &DocumentId) -> Result<Option<StoredDocument>, StateError> {
            unreachable!("the served version is asked")
        }

        async fn scan(&self, _: Option<&DocumentId>, _: usize) -> Result<Vec<StoredDocument>, StateError> {
            unreachable!("the served version is asked")
        }

        async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
            Err(StateError::Refused { what: "it".to_owned(), reason: "is closed".to_owned() })
        }

        async fn live_documents(&self) -> Result<u64, StateError> {
            unreachable!("the served version is asked")
        }
    }

    fn document(id: String, counter: u64) -> Document {
        let id = DocumentId::new(id).unwrap();
        let version = DocumentVersion::new(Epoch::ZERO, counter);
        Document { id, version, body: Some("{}".to_owned()), fetched_at: 0, missing: Vec::new() }
    }

    #[tokio::test]
    async fn a_version_that_takes_nothing_lacks_it_and_is_given_up() {
        let plan = testing::movies();
        let ledger = MemoryLedger::new(plan.clone(), RetryPauses { initial_ms: 1, max_ms: 1 });
        let (served, open) = (MemoryStore::new(plan.clone().into()), MemoryStore::new(plan.clone().into()));
        for number in [2, 3] {
            ledger.put_version(number, plan.clone(), VersionState::Ready);
        }
        let store = VersionedStore {
            served: Arc::new(served.clone()),
            others: vec![(2, Arc::new(Closed)), (3, Arc::new(open.clone()))],
            ledger: Arc::new(ledger.clone()),
        };
        let newer = document("m1".to_owned(), 9);
        served.index().write(&[DocumentWrite::from(&newer)]);
        let written = store.write(vec![document("m1".to_owned(), 1), document("m2".to_owned(), 2)]).await;
        assert_eq!(written.unwrap(), [Outcome::Superseded, Outcome::Written]);
        assert_eq!(store.highest_version().await.unwrap(), Some(newer.version));
        assert_eq!(ledger.lacks(2, 9).await.unwrap().len(), 2);
        assert_eq!(ledger.lacks(3, 9).await.unwrap(), []);
        assert_eq!(open.live_documents().await.unwrap(), 2);
        assert_eq!(ledger.version_states().await.unwrap()[1].1, VersionState::Ready);

        let many = (0..=MAX_LACKS as u64).map(|number| document(format!("n{number}"), number)).collect();
        store.write(many).await.unwrap();
        let states = ledger.version_states().await.unwrap();
        assert!(matches!(&states[1].1, VersionState::GivenUp { reason } if reason.contains("it is closed")));
        assert_eq!((&states[0].1, &states[2].1), (&VersionState::Served, &VersionState::Ready));
    }
}
