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

/// A facet may be declared when there are documents already: those don't keep its values beside their entries.
#[test]
fn a_facet_that_was_declared_later_counts_all_documents() {
    let mut movies = Movies::of(&[
        ("m1", json!({"type": "FEATURE", "actors": [{"role": "A"}, {"role": "A"}, {"role": "B"}]})),
        ("m2", json!({"type": "SHORT", "actors": [{"role": "B"}]})),
    ]);
    let mut plan = movie_plan();
    plan.search.facets = vec!["actors.role".to_owned(), "type".to_owned()];
    movies.index = SqliteIndex::new(plan.into(), 1);
    movies.index.create(&movies.conn).unwrap();
    movies.put("m3", &json!({"type": "SHORT", "actors": [{"role": "B"}, {"role": "B"}]}));
    movies.put("m2", &json!({"type": "SHORT", "budget": 7}));
    let facets = ["actors.role", "type"].map(str::to_owned).to_vec();
    let counted = movies.try_search(&SearchRequest { facets, ..SearchRequest::default() }).unwrap();
    assert_eq!(
        serde_json::to_value(&counted).unwrap()["facets"],
        json!({
            "actors.role": [{"value": "B", "count": 2}, {"value": "A", "count": 1}],
            "type": [{"value": "SHORT", "count": 2}, {"value": "FEATURE", "count": 1}],
        })
    );
}

/// What few documents pass is looked for first, and the rest is tried on those; what many pass is not tried on each.
#[test]
fn rare_and_frequent_tests_find_alike() {
    let mut movies = Movies::of(&[]);
    movies.conn.execute_batch("BEGIN").unwrap();
    for number in 0..5_000 {
        let kind = if number % 100 == 0 { "RARE" } else { "FREQUENT" };
        let role = if number % 3 == 0 { "STAR" } else { "EXTRA" };
        let actors = json!([{"role": "STAR", "name": "x"}, {"role": role, "name": format!("n{number}")}]);
        let title = if number % 2 == 0 { "even and crash" } else { "odd and crash" };
        movies.put(
            &format!("m{number}"),
            &json!({"type": kind, "budget": number, "title": title, "actors": actors}),
        );
    }
    movies.conn.execute_batch("COMMIT").unwrap();
    for (words, filter, wanted) in [
        (None, "type == 'RARE' AND budget >= 2500", 25),
        (None, "budget >= 2500 AND type == 'FREQUENT'", 2_475),
        (None, "budget >= 4000 AND budget < 4010 AND NOT (type == 'RARE')", 9),
        (None, "type == 'RARE' AND (budget < 100 OR actors.name == 'n4900')", 2),
        (None, "type == 'RARE' AND NOT actors[role == 'EXTRA' AND name LIKE 'n*']", 17),
        (None, "actors[role == 'STAR' AND name == 'n6']", 1),
        (None, "actors[role == 'STAR' AND name == 'n7']", 0),
        (None, "actors[role == 'EXTRA' AND NOT name == 'x'] AND type == 'RARE'", 33),
        (None, "actors[role == 'STAR' AND name MATCHES 'n9']", 1),
        (None, "title MATCHES 'even' AND actors[role == 'STAR' AND name == 'n6']", 1),
        (Some("crash"), "type == 'RARE' AND budget >= 2500", 25),
        (Some("crash"), "type == 'FREQUENT' AND budget >= 2500", 2_475),
        (Some("odd"), "type != 'RARE' AND budget < 10", 5),
        (Some("even"), "actors[role == 'STAR' AND name == 'n6'] OR budget == 8", 2),
        (Some("even"), "actors[role == 'EXTRA' AND name EXISTS] AND type == 'RARE'", 33),
    ] {
        let filter = Some(movies.filter(filter));
        let request = SearchRequest { text: words.map(str::to_owned), filter, ..SearchRequest::default() };
        let asked = request.filter.as_ref().map(|filter| filter.source().text.clone());
        assert_eq!(movies.try_search(&request).unwrap().total, wanted, "{words:?} {asked:?}");
    }
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
