//! The store in the state file. Its documents table is the documents log as well: writing is appending.

use std::sync::Arc;

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, IndexPlan};
use rusqlite::Transaction;
use search::{DocumentWrite, PutOutcome, StoredDocument, sqlite::SqliteIndex};

use super::{Document, Outcome, Store};
use crate::{
    StateError, StateFile,
    ledger::{sqlite::versions, versions::Lack},
};

/// The store of the embedded world. Only the index version that it is of is read; others are written with it.
#[derive(Clone)]
pub struct SqliteStore {
    state: StateFile,
    index: Arc<SqliteIndex>,
    others: Arc<[SqliteIndex]>,
}

impl SqliteStore {
    /// The index version of this plan in this file.
    pub fn new(state: StateFile, plan: Arc<IndexPlan>, version: u32) -> Self {
        Self { state, index: Arc::new(SqliteIndex::new(plan, version)), others: Arc::default() }
    }

    /// The same version, together with which these others are written.
    pub(crate) fn beside(self, others: impl Iterator<Item = SqliteIndex>) -> Self {
        Self { others: others.collect(), ..self }
    }

    /// Removes the index version, and the documents with the last version of their query.
    pub(crate) async fn remove(&self) -> Result<(), StateError> {
        let index = SqliteIndex::clone(&self.index);
        self.state.write(move |tx| index.drop(tx)).await
    }

    /// Writes one document to the served version and those beside it.
    fn put(&self, tx: &Transaction<'_>, document: &Document) -> rusqlite::Result<Outcome> {
        let document = DocumentWrite::from(document);
        let outcome = self.index.put(tx, &document)?;
        // What the served version doesn't take, or has newer, no other is to have: they share their documents.
        if outcome == PutOutcome::Written {
            self.others.iter().try_for_each(|other| put_beside(tx, other, &document))?;
        }
        Ok(Outcome::from(outcome))
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
        let store = self.clone();
        self.state.write(move |tx| documents.iter().map(|document| store.put(tx, document)).collect()).await
    }

    async fn write_patiently(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        let (store, mut outcomes) = (self.clone(), Vec::new());
        self.state
            .write_patiently(move |tx, turn| {
                while let Some(document) = documents.get(outcomes.len()) {
                    outcomes.push(store.put(tx, document)?);
                    if turn.is_wanted() {
                        break;
                    }
                }
                Ok((outcomes.len() == documents.len()).then(|| std::mem::take(&mut outcomes)))
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
        self.state.read(move |conn| index.ids(conn, after.as_ref(), limit)).await
    }

    async fn get(&self, id: &DocumentId) -> Result<Option<StoredDocument>, StateError> {
        let (index, id) = (Arc::clone(&self.index), id.clone());
        self.state.read(move |conn| index.get(conn, &id)).await
    }

    async fn get_many(&self, ids: &[DocumentId]) -> Result<Vec<StoredDocument>, StateError> {
        let (index, ids) = (Arc::clone(&self.index), ids.to_vec());
        self.state
            .read(move |conn| ids.iter().filter_map(|id| index.get(conn, id).transpose()).collect())
            .await
    }

    async fn scan(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<StoredDocument>, StateError> {
        let (index, after) = (Arc::clone(&self.index), after.cloned());
        self.state.read(move |conn| index.scan(conn, after.as_ref(), limit)).await
    }

    async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
        let index = Arc::clone(&self.index);
        self.state.read(move |conn| index.highest_version(conn)).await
    }

    async fn live_documents(&self) -> Result<u64, StateError> {
        let index = Arc::clone(&self.index);
        self.state.read(move |conn| index.counts(conn)).await.map(|counts| counts.live)
    }
}

/// Writes a document to a version that isn't served; what it doesn't take it lacks.
fn put_beside(
    tx: &Transaction<'_>,
    other: &SqliteIndex,
    document: &DocumentWrite<'_>,
) -> rusqlite::Result<()> {
    match other.put(tx, document)? {
        PutOutcome::Written | PutOutcome::Superseded => Ok(()),
        PutOutcome::Rejected(reason) | PutOutcome::Again(reason) => {
            let lack = Lack { id: document.id.clone(), version: document.version, reason };
            versions::note_lacks(tx, other.version(), &[lack])
        }
    }
}

#[cfg(test)]
mod tests {
    use plan::{DocumentVersion, Epoch};

    use super::*;
    use crate::{provision::state::provision, testing};

    #[tokio::test]
    async fn ids_are_read_without_what_stands_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        let plan = testing::movies();
        provision(&path, &plan).unwrap();
        let state = StateFile::open(&path, "movies").unwrap();
        let store = SqliteStore::new(state.clone(), plan.into(), 1);
        let document = |(id, body): (&str, Option<&str>)| Document {
            id: DocumentId::new(id).unwrap(),
            version: DocumentVersion::new(Epoch::ZERO, 1),
            body: body.map(str::to_owned),
            fetched_at: 0,
            missing: Vec::new(),
        };
        let documents = [("m1", Some("{}")), ("m2", None), ("m3", Some("{}")), ("m4", Some("{}"))];
        store.write(documents.map(document).to_vec()).await.unwrap();
        // Whoever reads the columns of a document fails here.
        let table = "SELECT name FROM sqlite_schema WHERE name LIKE 'documents_%' AND type = 'table'";
        let name: String = state.with_reader(|conn| conn.query_row(table, (), |row| row.get(0))).unwrap();
        state.in_transaction(|tx| tx.execute(&format!("UPDATE {name} SET missing = '?'"), ())).unwrap();
        let ids = store.ids(None, 2).await.unwrap();
        assert_eq!(ids.iter().map(DocumentId::as_str).collect::<Vec<_>>(), ["m1", "m3"]);
        assert_eq!(store.ids(ids.last(), 2).await.unwrap().len(), 1);
    }
}
