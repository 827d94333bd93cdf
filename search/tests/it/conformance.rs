//! The embedded store and the one in memory do what every store must do.

use std::sync::Mutex;

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, IndexPlan};
use rusqlite::Connection;
use search::{
    Counts, DocumentWrite, Explanation, PutOutcome, SearchError, SearchRequest, SearchResponse,
    StoredDocument, SuggestRequest, Suggestion,
    conformance::{
        TestIndex, World, agreement, choices, ranks, reference::InMemory, searches, store, suggestions,
    },
    sqlite::SqliteIndex,
};

struct Sqlite;

struct OpenIndex {
    index: SqliteIndex,
    conn: Mutex<Connection>,
}

#[async_trait]
impl World for Sqlite {
    async fn index(&self, plan: IndexPlan) -> Box<dyn TestIndex> {
        let (index, conn) = (SqliteIndex::new(plan.into(), 1), Connection::open_in_memory().unwrap());
        index.create(&conn).unwrap();
        Box::new(OpenIndex { index, conn: Mutex::new(conn) })
    }
}

#[async_trait]
impl TestIndex for OpenIndex {
    async fn write(&self, documents: &[DocumentWrite<'_>]) -> Vec<PutOutcome> {
        let conn = self.conn.lock().unwrap();
        conn.execute_batch("BEGIN").unwrap();
        let outcomes = documents.iter().map(|document| self.index.put(&conn, document).unwrap()).collect();
        conn.execute_batch("COMMIT").unwrap();
        outcomes
    }

    async fn get(&self, id: &DocumentId) -> Option<StoredDocument> {
        self.index.get(&self.conn.lock().unwrap(), id).unwrap()
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Option<Vec<DocumentId>> {
        self.index.lookup(&self.conn.lock().unwrap(), paths, keys, after, limit).ok()
    }

    async fn scan(&self, after: Option<&DocumentId>, limit: usize) -> Vec<StoredDocument> {
        self.index.scan(&self.conn.lock().unwrap(), after, limit).unwrap()
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Vec<DocumentId> {
        self.index.ids(&self.conn.lock().unwrap(), after, limit).unwrap()
    }

    async fn counts(&self) -> Counts {
        self.index.counts(&self.conn.lock().unwrap()).unwrap()
    }

    async fn highest_version(&self) -> Option<DocumentVersion> {
        self.index.highest_version(&self.conn.lock().unwrap()).unwrap()
    }

    async fn search(&self, request: &SearchRequest, now_ms: i64) -> Result<SearchResponse, SearchError> {
        self.index.search(&self.conn.lock().unwrap(), request, now_ms)
    }

    async fn explain(&self, request: &SearchRequest, now_ms: i64) -> Result<Explanation, SearchError> {
        self.index.explained(&self.conn.lock().unwrap(), request, now_ms)
    }

    async fn suggest(&self, request: &SuggestRequest, now_ms: i64) -> Result<Vec<Suggestion>, SearchError> {
        self.index.suggestions(&self.conn.lock().unwrap(), request, now_ms)
    }
}

#[tokio::test]
async fn documents_are_kept() {
    store::run(&Sqlite).await;
    store::run(&InMemory).await;
}

#[tokio::test]
async fn searches_are_answered() {
    searches::run(&Sqlite).await;
    searches::run(&InMemory).await;
    ranks::run(&Sqlite).await;
    ranks::run(&InMemory).await;
    choices::run(&Sqlite).await;
    choices::run(&InMemory).await;
}

#[tokio::test]
async fn values_are_suggested() {
    suggestions::run(&Sqlite).await;
    suggestions::run(&InMemory).await;
}

/// `AGREEMENT_SEED=<first seed>` and `AGREEMENT_ROUNDS=<n>` run other and more cases.
#[tokio::test]
async fn the_store_answers_as_the_evaluator_and_the_one_in_memory() {
    let pairs = agreement::run(&Sqlite, agreement::seeds(40)).await;
    assert!(pairs >= 100_000 || agreement::is_asked(), "{pairs}");
    agreement::run(&InMemory, agreement::seeds(10)).await;
}
