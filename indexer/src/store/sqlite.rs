//! The store in the state file. Its documents table is the documents log as well: writing is appending.

use std::sync::Arc;

use async_trait::async_trait;
use plan::{DocumentId, IndexPlan};
use search::sqlite::{DocumentWrite, PutOutcome, SqliteIndex};

use super::{Document, Outcome, Store};
use crate::{StateError, StateFile};

/// The store of the embedded world.
#[derive(Clone)]
pub struct SqliteStore {
    state: StateFile,
    index: Arc<SqliteIndex>,
}

impl SqliteStore {
    /// The index version of this plan in this file.
    pub fn new(state: StateFile, plan: Arc<IndexPlan>, version: u32) -> Self {
        Self { state, index: Arc::new(SqliteIndex::new(plan, version)) }
    }

    /// The index, for those who search it.
    pub fn index(&self) -> &Arc<SqliteIndex> {
        &self.index
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let index = Arc::clone(&self.index);
        self.state
            .write(move |tx| {
                documents
                    .iter()
                    .map(|document| {
                        let put = index.put(
                            tx,
                            &DocumentWrite {
                                id: &document.id,
                                version: document.version,
                                body: document.body.as_deref(),
                                fetched_at_ms: document.fetched_at,
                                missing: &document.missing,
                            },
                        );
                        Ok(
                            match put
                                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?
                            {
                                PutOutcome::Written => Outcome::Written,
                                PutOutcome::Superseded => Outcome::Superseded,
                                PutOutcome::Rejected(reason) => Outcome::Rejected(reason),
                            },
                        )
                    })
                    .collect()
            })
            .await
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, StateError> {
        let (index, paths, keys, after) =
            (Arc::clone(&self.index), paths.to_vec(), keys.to_vec(), after.cloned());
        self.state.read(move |conn| index.lookup(conn, &paths, &keys, after.as_ref(), limit)).await
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<DocumentId>, StateError> {
        let (index, after) = (Arc::clone(&self.index), after.cloned());
        let documents = self.state.read(move |conn| index.scan(conn, after.as_ref(), limit)).await?;
        Ok(documents.into_iter().map(|document| document.id).collect())
    }

    async fn live_documents(&self) -> Result<u64, StateError> {
        let index = Arc::clone(&self.index);
        self.state.read(move |conn| index.counts(conn)).await.map(|counts| counts.live)
    }
}
