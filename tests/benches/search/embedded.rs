//! Ours: the embedded store in one SQLite file, asked through the port that everybody asks.

use std::{path::Path, sync::Arc};

use plan::{DocumentId, DocumentVersion, Epoch, IndexPlan, filter};
use rusqlite::Connection;
use search::{
    DocumentWrite, SearchRequest, SearchResponse, Searcher,
    sqlite::{SqliteIndex, SqliteSearcher},
};

/// Documents of one transaction.
const AT_ONCE: usize = 1_000;

pub(crate) struct Embedded {
    index: SqliteIndex,
    conn: Connection,
    searcher: SqliteSearcher,
}

impl Embedded {
    /// Writes the movies as `run` writes them.
    pub(crate) fn new(file: &Path, plan: &Arc<IndexPlan>, movies: &[String]) -> Self {
        let conn = Connection::open(file).expect("a file");
        conn.pragma_update(None, "journal_mode", "wal").expect("it is taken");
        let index = SqliteIndex::new(Arc::clone(plan), 1);
        index.create(&conn).expect("tables");
        for (page, movies) in movies.chunks(AT_ONCE).enumerate() {
            conn.execute_batch("BEGIN").expect("a transaction");
            for (at, body) in movies.iter().enumerate() {
                let id = super::id(page * AT_ONCE + at);
                let version = DocumentVersion::new(Epoch::ZERO, 1);
                let write =
                    DocumentWrite { id: &id, version, body: Some(body), fetched_at_ms: 0, missing: &[] };
                index.put(&conn, &write).expect("it is written");
            }
            conn.execute_batch("COMMIT").expect("it is written");
        }
        let searcher = SqliteSearcher::new(file, index.clone());
        Self { index, conn, searcher }
    }

    pub(crate) async fn search(&self, request: SearchRequest) -> SearchResponse {
        self.searcher.search(request).await.expect("an answer")
    }

    /// The movies that pass a filter.
    pub(crate) fn filtered(&self, text: &str) -> SearchRequest {
        let filter = filter::checked("<filter>", text, &self.index.plan().fields).expect("a filter");
        SearchRequest { filter: Some(filter), ..SearchRequest::default() }
    }

    /// The movies that hold a person, as a change of that person asks for them.
    pub(crate) fn holders(&self, person: &str, page: usize) -> Vec<DocumentId> {
        let (paths, keys) = (["actors.talentId".to_owned()], [DocumentId::new(person).expect("an id")]);
        self.index.lookup(&self.conn, &paths, &keys, None, page).expect("an answer")
    }
}
