//! Searches of the embedded store: rank, order, pages, facets, highlights.

use std::sync::Arc;

use plan::{
    DocumentId, DocumentVersion, Field, FieldKind, FieldTree, IndexPlan, SourceText,
    field::{KeywordForm, MappingKind},
    filter::{CheckedFilter, parse},
    index_plan::{Boost, BoostModifier, WeightedPath},
};
use rusqlite::Connection;
use search::{
    Cursor, SearchError, SearchRequest, SearchResponse, Searcher, Sort,
    sqlite::{DocumentWrite, SqliteIndex, SqliteSearcher},
};
use serde_json::{Value, json};

use crate::plans::{self, leaf, nested};

/// A movie index with the fields of the reference configuration that matter to searching.
pub(crate) struct Movies {
    pub(crate) index: SqliteIndex,
    pub(crate) conn: Connection,
    version: i64,
}

fn movie_plan() -> IndexPlan {
    let text = |name: &str, keyword| {
        let mut field = leaf(name, MappingKind::Text);
        field.mapping.keyword = keyword;
        field
    };
    let mut name = text("name", Some(KeywordForm::Raw));
    name.mapping.copy_to = Some("people".to_owned());
    let mut plan = plans::plan(vec![
        text("title", Some(KeywordForm::Lowercase)),
        text("synopsis", None),
        leaf("type", MappingKind::Keyword),
        leaf("budget", MappingKind::Long),
        leaf("rating", MappingKind::Double),
        leaf("released", MappingKind::Boolean),
        leaf("releaseDate", MappingKind::Date),
        nested("actors", vec![name, leaf("role", MappingKind::Keyword)]),
        Field { kind: FieldKind::Virtual, ..leaf("people", MappingKind::Text) },
    ]);
    let weighted = |path: &str, weight| WeightedPath { path: path.to_owned(), weight };
    plan.search.text = vec![weighted("title", 3.0), weighted("people", 2.0), weighted("synopsis", 1.0)];
    plan
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
        check(text, &self.index.plan().fields)
    }

    fn ids(&self, request: &SearchRequest) -> Vec<String> {
        ids(&self.try_search(request).unwrap())
    }
}

fn check(text: &str, fields: &FieldTree) -> CheckedFilter {
    let source = Arc::new(SourceText { name: "<filter>".to_owned(), text: text.to_owned() });
    parse(&source).unwrap().check(fields).unwrap()
}

fn ids(response: &SearchResponse) -> Vec<String> {
    response.hits.iter().map(|hit| hit.id.to_string()).collect()
}

pub(crate) fn text(text: &str) -> SearchRequest {
    SearchRequest { text: Some(text.to_owned()), ..SearchRequest::default() }
}

fn sorted(sorts: &[&str]) -> SearchRequest {
    let sort = sorts.iter().map(|sort| sort.parse().unwrap()).collect();
    SearchRequest { sort, ..SearchRequest::default() }
}

fn three() -> Movies {
    Movies::of(&[
        (
            "m1",
            json!({"title": "Landing", "synopsis": "A crash in the Alps", "type": "FEATURE", "budget": 10,
            "actors": [{"name": "Ryan Müller", "role": "STAR"}, {"name": "Ryan Ray", "role": "STAR"}]}),
        ),
        (
            "m2",
            json!({"title": "Crash", "synopsis": "Nobody lands", "type": "FEATURE", "budget": 30, "rating": 7.5, "released": true,
            "releaseDate": "2024-01-31"}),
        ),
        (
            "m3",
            json!({"title": "amélie", "synopsis": "Paris", "type": "SHORT", "actors": [{"name": "Ada", "role": "DIRECTOR"}]}),
        ),
    ])
}

#[test]
fn the_weight_of_a_field_decides_the_rank() {
    let movies = three();
    let response = movies.try_search(&text("CRASH")).unwrap();
    assert_eq!((ids(&response), response.total), (vec!["m2".to_owned(), "m1".to_owned()], 2));
    assert!(response.hits[0].score > response.hits[1].score && response.hits[1].score.unwrap() > 0.0);
    assert_eq!(
        movies.ids(&text("crash land")),
        ["m2", "m1"],
        "all words, the last one unfinished, in any field"
    );
    assert_eq!(movies.ids(&text("land crash")), [""; 0], "only the last one may be unfinished");
    assert_eq!(movies.ids(&text("amelie")), ["m3"]);
    assert_eq!(movies.ids(&text("muller alps")), ["m1"], "a virtual field is searched");
    assert_eq!(movies.ids(&text("STAR")), [""; 0], "a keyword is not");
    assert_eq!(movies.ids(&text("  ")), ["m1", "m2", "m3"], "blank is no text");
}

#[test]
fn a_number_raises_the_rank() {
    let mut plan = movie_plan();
    plan.search.boost =
        vec![Boost { field: "budget".to_owned(), modifier: BoostModifier::Log1p, factor: 5.0 }];
    let mut movies = Movies::new(Connection::open_in_memory().unwrap(), plan);
    for (id, budget) in [("a", json!(null)), ("b", json!(9)), ("c", json!(99)), ("d", json!(-5))] {
        movies.put(id, &json!({"title": "Crash", "budget": budget}));
    }
    let response = movies.try_search(&text("crash")).unwrap();
    assert_eq!(ids(&response), ["c", "b", "a", "d"]);
    let score = |at: usize| response.hits[at].score.unwrap();
    assert!((score(0) / score(2) - 11.0).abs() < 1e-9 && (score(1) / score(2) - 6.0).abs() < 1e-9);
}

#[test]
fn missing_values_come_last_in_either_direction() {
    let movies = three();
    assert_eq!(movies.ids(&sorted(&["budget"])), ["m1", "m2", "m3"]);
    assert_eq!(movies.ids(&sorted(&["budget:desc"])), ["m2", "m1", "m3"]);
    assert_eq!(movies.ids(&sorted(&["title"])), ["m3", "m2", "m1"], "in lower case");
    assert_eq!(movies.ids(&sorted(&["type:desc", "budget:desc"])), ["m3", "m2", "m1"]);
    assert_eq!(movies.ids(&sorted(&["actors.name:desc"])), ["m1", "m3", "m2"]);
    let request = SearchRequest { text: Some("crash".to_owned()), ..sorted(&["budget"]) };
    let response = movies.try_search(&request).unwrap();
    assert_eq!(ids(&response), ["m1", "m2"]);
    assert!(response.hits[0].score.is_some(), "sorted hits have a score, too");
}

#[test]
fn pages_join_without_gaps_or_repetition() {
    let mut movies = Movies::of(&[]);
    for number in 0..57 {
        let budget = if number % 5 == 0 { json!(null) } else { json!(number % 7) };
        let rating = f64::from(number % 3) / 10.0;
        movies.put(
            &format!("m{number:02}"),
            &json!({"title": "crash", "budget": budget, "rating": rating, "type": "A"}),
        );
    }
    let filter = movies.filter("type == 'A' AND budget != 3");
    let requests = [
        SearchRequest::default(),
        sorted(&["budget"]),
        sorted(&["budget:desc", "rating"]),
        sorted(&["rating:desc", "title", "budget"]),
        text("crash"),
        SearchRequest { filter: Some(filter), ..sorted(&["budget:desc"]) },
        SearchRequest { sort: sorted(&["rating"]).sort, ..text("cra") },
    ];
    for request in requests {
        let whole = movies.ids(&SearchRequest { first: 100, ..request.clone() });
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = movies.try_search(&SearchRequest { first: 10, after, ..request.clone() }).unwrap();
            assert_eq!(page.total, whole.len() as u64, "the total is that of all pages");
            paged.extend(ids(&page));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole, "{request:?}");
    }
}

#[test]
fn a_cursor_serves_its_own_search_only() {
    let movies = three();
    let cursor = movies.try_search(&SearchRequest { first: 1, ..sorted(&["budget"]) }).unwrap().next;
    assert!(cursor.is_some());
    let filter = Some(movies.filter("budget > 1"));
    for request in [
        SearchRequest { after: cursor.clone(), ..SearchRequest::default() },
        SearchRequest { after: cursor.clone(), ..sorted(&["budget:desc"]) },
        SearchRequest { after: cursor.clone(), filter, ..sorted(&["budget"]) },
        SearchRequest { after: cursor.clone(), text: Some("x".to_owned()), ..sorted(&["budget"]) },
        SearchRequest { after: Some(Cursor::new("' OR 1=1 --")), ..SearchRequest::default() },
        SearchRequest { after: Some(Cursor::new("")), ..SearchRequest::default() },
    ] {
        let error = movies.try_search(&request).unwrap_err();
        assert_eq!(error.code().id, "SS710");
    }
    let more_facets =
        SearchRequest { after: cursor, first: 5, facets: vec!["type".to_owned()], ..sorted(&["budget"]) };
    assert_eq!(movies.ids(&more_facets), ["m2", "m3"]);
}

#[test]
fn facets_count_documents_that_match() {
    let movies = three();
    let facets = |request: SearchRequest| {
        let paths = ["type", "actors.role", "released", "releaseDate", "rating"];
        let request = SearchRequest { facets: paths.map(str::to_owned).to_vec(), first: 0, ..request };
        let response = movies.try_search(&request).unwrap();
        assert!(response.hits.is_empty());
        serde_json::to_value(&response).unwrap()["facets"].clone()
    };
    assert_eq!(
        facets(SearchRequest::default()),
        json!({
            "type": [{"value": "FEATURE", "count": 2}, {"value": "SHORT", "count": 1}],
            "actors.role": [{"value": "DIRECTOR", "count": 1}, {"value": "STAR", "count": 1}],
            "released": [{"value": true, "count": 1}],
            "releaseDate": [{"value": "2024-01-31T00:00:00Z", "count": 1}],
            "rating": [{"value": 7.5, "count": 1}],
        })
    );
    let none = json!({"type": [], "actors.role": [], "released": [], "releaseDate": [], "rating": []});
    assert_eq!(facets(text("nothing")), none);
    assert_eq!(facets(text("!")), none);
    let filter = Some(movies.filter("actors.role == 'STAR'"));
    assert_eq!(
        facets(SearchRequest { filter, ..text("crash") })["type"],
        json!([{"value": "FEATURE", "count": 1}])
    );
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

#[test]
fn highlights_show_why() {
    let response = three().try_search(&text("ryan cras")).unwrap();
    let wanted = json!({"synopsis": ["A <em>crash</em> in the Alps"], "actors.name": ["<em>Ryan</em> Müller", "<em>Ryan</em> Ray"]});
    // The word that was finished marks whole words only, "cras" what begins with it.
    assert_eq!(serde_json::to_value(&response).unwrap()["hits"][0]["highlights"], wanted);
}

#[test]
fn only_whole_values_are_sorted_and_counted() {
    let movies = three();
    for (path, code) in [("synopsis", "SS711"), ("actors", "SS711"), ("titel", "SS702"), ("people", "SS711")]
    {
        let facet = SearchRequest { facets: vec![path.to_owned()], ..SearchRequest::default() };
        assert_eq!(movies.try_search(&facet).unwrap_err().code().id, code);
        assert_eq!(movies.try_search(&sorted(&[path])).unwrap_err().code().id, code);
    }
    let error = movies.try_search(&sorted(&["titel"])).unwrap_err();
    assert_eq!(error.help().unwrap(), "did you mean title?");
    for request in [
        SearchRequest { first: 10_000_000, ..SearchRequest::default() },
        SearchRequest { facets: vec!["type".to_owned(); 21], ..SearchRequest::default() },
        SearchRequest {
            sort: vec![Sort { path: "type".to_owned(), descending: true }; 9],
            ..SearchRequest::default()
        },
    ] {
        assert_eq!(movies.try_search(&request).unwrap_err().code().id, "SS712");
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
