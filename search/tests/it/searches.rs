//! Searches of the embedded store, where it does things in its own way: two ways to count, files.

use std::sync::Arc;

use plan::{DocumentId, DocumentVersion, IndexPlan, filter::CheckedFilter};
use rusqlite::Connection;
use search::{
    DocumentWrite, SearchError, SearchRequest, SearchResponse, Searcher,
    conformance::{checked, searches::movie_plan},
    sqlite::{SqliteIndex, SqliteSearcher},
};
use serde_json::{Value, json};

/// A movie index with the fields of the reference configuration that matter to searching.
pub(crate) struct Movies {
    pub(crate) index: SqliteIndex,
    pub(crate) conn: Connection,
    version: i64,
}

impl Movies {
    pub(crate) fn new(conn: Connection, plan: IndexPlan) -> Self {
        let index = SqliteIndex::new(plan.into(), 1);
        index.create(&conn).unwrap();
        Self { index, conn, version: 0 }
    }

    pub(crate) fn of(movies: &[(&str, Value)]) -> Self {
        let mut store = Self::new(Connection::open_in_memory().unwrap(), movie_plan());
        movies.iter().for_each(|(id, movie)| store.put(id, movie));
        store
    }

    pub(crate) fn put(&mut self, id: &str, movie: &Value) {
        self.version += 1;
        let write = DocumentWrite {
            id: &DocumentId::new(id).unwrap(),
            version: DocumentVersion::from_stored(self.version),
            body: Some(&movie.to_string()),
            fetched_at_ms: 0,
            missing: &[],
        };
        self.index.put(&self.conn, &write).unwrap();
    }

    pub(crate) fn try_search(&self, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
        self.index.search(&self.conn, request, 0)
    }

    pub(crate) fn filter(&self, text: &str) -> CheckedFilter {
        checked(text, &self.index.plan().fields)
    }
}

fn ids(response: &SearchResponse) -> Vec<String> {
    response.hits.iter().map(|hit| hit.id.to_string()).collect()
}

pub(crate) fn text(text: &str) -> SearchRequest {
    SearchRequest { text: Some(text.to_owned()), ..SearchRequest::default() }
}

#[test]
fn facets_over_many_documents_count_alike() {
    let mut movies = Movies::of(&[]);
    movies.conn.execute_batch("BEGIN").unwrap();
    for number in 0..2_500 {
        let roles = [json!({"role": "A"}), json!({"role": "A"}), json!({"role": format!("R{}", number % 3)})];
        movies.put(
            &format!("m{number}"),
            &json!({"type": if number % 5 == 0 { "FEW" } else { "MANY" }, "actors": roles}),
        );
    }
    movies.conn.execute_batch("COMMIT").unwrap();
    let roles = |filter: &str| {
        let filter = Some(movies.filter(filter));
        let request =
            SearchRequest { filter, facets: vec!["actors.role".to_owned()], ..SearchRequest::default() };
        let response = movies.try_search(&request).unwrap();
        response.facets[0]
            .values
            .iter()
            .map(|value| (value.value.to_string(), value.count))
            .collect::<Vec<_>>()
    };
    let counted =
        |counts: [(&str, u64); 4]| counts.map(|(role, count)| (format!("{role:?}"), count)).to_vec();
    assert_eq!(roles("type == 'MANY'"), counted([("A", 2_000), ("R0", 667), ("R1", 667), ("R2", 666)]));
    assert_eq!(roles("type == 'FEW'"), counted([("A", 500), ("R0", 167), ("R2", 167), ("R1", 166)]));
}

#[tokio::test]
async fn a_searcher_reads_the_file_that_another_connection_writes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("movies.db");
    let conn = Connection::open(&file).unwrap();
    conn.pragma_update(None, "journal_mode", "wal").unwrap();
    let mut movies = Movies::new(conn, movie_plan());
    let searcher: Arc<dyn Searcher> = Arc::new(SqliteSearcher::new(&file, movies.index.clone()));
    let filter = movies.filter("title LIKE 'Cr*'");
    let request = SearchRequest { filter: Some(filter), ..text("crash") };
    assert_eq!(searcher.search(request.clone()).await.unwrap().total, 0);
    movies.put("m1", &json!({"title": "Crash"}));
    assert_eq!(ids(&searcher.search(request.clone()).await.unwrap()), ["m1"]);

    let nowhere = SqliteSearcher::new(folder.path().join("nowhere.db"), movies.index.clone());
    assert_eq!(nowhere.search(request).await.unwrap_err().code().id, "SS714");
    assert!(!folder.path().join("nowhere.db").exists());
}
