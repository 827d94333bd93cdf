//! The store: documents with versions, searched and looked up by key. One file a world: [`sqlite`], [`elastic`], `memory`.

mod bulks;
pub mod elastic;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod sqlite;
pub(crate) mod versions;

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion};
use search::{DocumentWrite, StoredDocument};

use crate::StateError;

/// A document to be written under the version that its fetch took when it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// Its version.
    pub version: DocumentVersion,
    /// The slice of the gateway's answer, without CR and LF; `None` is a tombstone.
    pub body: Option<String>,
    /// When the fetch started, milliseconds of Unix time. For people only.
    pub fetched_at: i64,
    /// The paths that failed where `errors.partial` is `index`; empty for a complete document.
    pub missing: Vec<String>,
}

impl From<StoredDocument> for Document {
    fn from(stored: StoredDocument) -> Self {
        let StoredDocument { id, version, body, fetched_at_ms, missing } = stored;
        Self { id, version, body, fetched_at: fetched_at_ms, missing }
    }
}

impl<'a> From<&'a Document> for DocumentWrite<'a> {
    fn from(document: &'a Document) -> Self {
        Self {
            id: &document.id,
            version: document.version,
            body: document.body.as_deref(),
            fetched_at_ms: document.fetched_at,
            missing: &document.missing,
        }
    }
}

/// What became of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Written,
    /// Something newer is stored already, which is success.
    Superseded,
    /// The store can't take this body; its id is to be held with this reason.
    Rejected(String),
    /// The store is too busy, or went away before it answered; the reason. Its id is to be fetched anew.
    Again(String),
}

/// The documents and the index over them.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes documents, each accepted only where its version is greater than the stored one; outcomes in order.
    /// An error means that the fate of all is unknown: their ids are to be fetched anew, or, where nothing that waits could
    /// mend it ([`StateError::is_passing`]), not at all before someone did.
    async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError>;

    /// The same for documents that nobody waits for, as those of a backfill. Where writers wait for each other, they come last.
    async fn write_patiently(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        self.write(documents).await
    }

    /// The ids of live documents that hold any of the keys at any of the paths, after an id, at most `limit`, ordered.
    /// Sees every write that was acknowledged before the call.
    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, StateError>;

    /// The ids of live documents after an id, at most `limit`, ordered. Without an id, sees every write that was acknowledged
    /// before the call.
    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<DocumentId>, StateError>;

    /// One document or tombstone, as it is now.
    async fn get(&self, id: &DocumentId) -> Result<Option<StoredDocument>, StateError>;

    /// Those of these documents and tombstones that are there, as they are now, in any order.
    async fn get_many(&self, ids: &[DocumentId]) -> Result<Vec<StoredDocument>, StateError> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.get(id).await?);
        }
        Ok(found)
    }

    /// Live documents after an id, at most `limit`, ordered by their ids. Without an id, sees every write that was acknowledged
    /// before the call.
    async fn scan(&self, after: Option<&DocumentId>, limit: usize)
    -> Result<Vec<StoredDocument>, StateError>;

    /// The highest version ever stored, tombstones among them; `None` in an empty index. Sees every write that was
    /// acknowledged before the call.
    async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError>;

    /// How many live documents there are.
    async fn live_documents(&self) -> Result<u64, StateError>;
}
