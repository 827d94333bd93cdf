//! The store on Elasticsearch or `OpenSearch`.

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion};
use search::{
    PutOutcome, StoredDocument,
    elastic::{ElasticError, ElasticIndex},
};

use super::{Document, Outcome, Store, bulks::Bulks};
use crate::StateError;

/// An index version on a server.
#[derive(Debug, Clone)]
pub struct ElasticStore {
    index: ElasticIndex,
    bulks: Bulks,
}

impl ElasticStore {
    /// The store that is this index.
    pub fn new(index: ElasticIndex) -> Self {
        Self { bulks: Bulks::of(index.clone()), index }
    }

    /// Lets a walk over the documents begin with every write that was acknowledged before it.
    async fn see_all_from_the_start(&self, after: Option<&DocumentId>) -> Result<(), ElasticError> {
        if after.is_none() { self.index.refresh().await } else { Ok(()) }
    }

    /// The index, for those who search it.
    pub fn index(&self) -> &ElasticIndex {
        &self.index
    }
}

#[async_trait]
impl Store for ElasticStore {
    async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        self.bulks.write(documents).await
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, StateError> {
        Ok(self.index.lookup(paths, keys, after, limit).await?)
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<DocumentId>, StateError> {
        self.see_all_from_the_start(after).await?;
        Ok(self.index.ids(after, limit).await?)
    }

    async fn get(&self, id: &DocumentId) -> Result<Option<StoredDocument>, StateError> {
        Ok(self.index.get(id).await?)
    }

    async fn get_many(&self, ids: &[DocumentId]) -> Result<Vec<StoredDocument>, StateError> {
        Ok(self.index.get_many(ids).await?)
    }

    async fn scan(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<StoredDocument>, StateError> {
        self.see_all_from_the_start(after).await?;
        Ok(self.index.scan(after, limit).await?)
    }

    async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
        Ok(self.index.highest_version().await?)
    }

    async fn live_documents(&self) -> Result<u64, StateError> {
        Ok(self.index.counts().await?.live)
    }
}

impl From<PutOutcome> for Outcome {
    fn from(outcome: PutOutcome) -> Self {
        match outcome {
            PutOutcome::Written => Self::Written,
            PutOutcome::Superseded => Self::Superseded,
            PutOutcome::Rejected(reason) => Self::Rejected(reason),
            PutOutcome::Again(reason) => Self::Again(reason),
        }
    }
}

impl From<ElasticError> for StateError {
    fn from(error: ElasticError) -> Self {
        let (what, passes) = (error.server.clone(), error.is_passing());
        let reason = format!("{}: {}", error.trouble, error.reason);
        if passes { Self::Unreachable { what, reason } } else { Self::Refused { what, reason } }
    }
}
