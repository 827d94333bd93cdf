//! Searches: rank, order, pages, facets, highlights.

use plan::{
    DocumentVersion, Field, FieldKind, IndexPlan,
    field::{KeywordForm, MappingKind},
    index_plan::WeightedPath,
};
use serde_json::{Value, json};

use super::{
    TestIndex, World, checked, id, ids,
    plans::{self, leaf, nested},
};
use crate::{Cursor, DocumentWrite, Explanation, SearchError, SearchRequest, SearchResponse, Sort};

/// Runs all of it.
pub async fn run(world: &dyn World) {
    the_weight_of_a_field_decides_the_rank(world).await;
    missing_values_come_last_in_either_direction(world).await;
    missing_integers_come_after_the_last_one_there_is(world).await;
    texts_are_sorted_without_case_and_accents(world).await;
    dates_end_where_the_calendar_does(world).await;
    pages_join_without_gaps_or_repetition(world).await;
    a_cursor_serves_its_own_search_only(world).await;
    facets_count_documents_that_match(world).await;
    facets_of_elements_count_documents(world).await;
    equal_counts_are_in_the_order_of_their_values(world).await;
    highlights_show_why(world).await;
    only_whole_values_are_sorted_and_counted(world).await;
    free_text_is_never_syntax(world).await;
    one_document_is_asked_for_by_its_id(world).await;
}

/// A movie index with the fields of the reference configuration that matter to searching.
pub fn movie_plan() -> IndexPlan {
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

/// Movies in an index.
pub(super) struct Movies {
    pub(super) plan: IndexPlan,
    index: Box<dyn TestIndex>,
}

impl Movies {
    pub(super) async fn of(world: &dyn World, plan: IndexPlan, movies: &[(String, Value)]) -> Self {
        let index = world.index(plan.clone()).await;
        let written: Vec<_> = movies.iter().map(|(name, movie)| (id(name), movie.to_string())).collect();
        let writes: Vec<DocumentWrite<'_>> = written
            .iter()
            .map(|(id, body)| {
                let version = DocumentVersion::from_stored(1);
                DocumentWrite { id, version, body: Some(body), fetched_at_ms: 0, missing: &[] }
            })
            .collect();
        index.write(&writes).await;
        Self { plan, index }
    }

    pub(super) async fn three(world: &dyn World) -> Self {
        let movies = [
            (
                "m1".to_owned(),
                json!({"title": "Landing", "synopsis": "A crash in the Alps", "type": "FEATURE", "budget": 10,
                    "actors": [{"name": "Ryan Müller", "role": "STAR"}, {"name": "Ryan Ray", "role": "STAR"}]}),
            ),
            (
                "m2".to_owned(),
                json!({"title": "Crash", "synopsis": "Nobody lands", "type": "FEATURE", "budget": 30, "rating": 7.5,
                    "released": true, "releaseDate": "2024-01-31"}),
            ),
            (
                "m3".to_owned(),
                json!({"title": "amélie", "synopsis": "Paris", "type": "SHORT", "actors": [{"name": "Ada", "role": "DIRECTOR"}]}),
            ),
        ];
        Self::of(world, movie_plan(), &movies).await
    }

    pub(super) async fn try_search(&self, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
        self.index.search(request, 0).await
    }

    pub(super) async fn explain(&self, request: &SearchRequest) -> Explanation {
        self.index.explain(request, 0).await.unwrap()
    }

    async fn ids(&self, request: &SearchRequest) -> Vec<String> {
        ids(&self.try_search(request).await.unwrap())
    }

    pub(super) async fn code(&self, request: &SearchRequest) -> &'static str {
        self.try_search(request).await.unwrap_err().code().id
    }
}

pub(super) fn text(text: &str) -> SearchRequest {
    SearchRequest { text: Some(text.to_owned()), ..SearchRequest::default() }
}

fn sorted(sorts: &[&str]) -> SearchRequest {
    let sort = sorts.iter().map(|sort| sort.parse().unwrap()).collect();
    SearchRequest { sort, ..SearchRequest::default() }
}

async fn the_weight_of_a_field_decides_the_rank(world: &dyn World) {
    let movies = Movies::three(world).await;
    let response = movies.try_search(&text("CRASH")).await.unwrap();
    assert_eq!((ids(&response), response.total), (vec!["m2".to_owned(), "m1".to_owned()], 2));
    assert!(response.hits[0].score > response.hits[1].score && response.hits[1].score.unwrap() > 0.0);
    assert_eq!(
        movies.ids(&text("crash land")).await,
        ["m2", "m1"],
        "all words, the last one unfinished, in any field"
    );
    assert_eq!(movies.ids(&text("land crash")).await, [""; 0], "only the last one may be unfinished");
    assert_eq!(movies.ids(&text("amelie")).await, ["m3"]);
    assert_eq!(movies.ids(&text("muller alps")).await, ["m1"], "a virtual field is searched");
    assert_eq!(movies.ids(&text("STAR")).await, [""; 0], "a keyword is not");
    assert_eq!(movies.ids(&text("  ")).await, ["m1", "m2", "m3"], "blank is no text");
}

async fn missing_values_come_last_in_either_direction(world: &dyn World) {
    let movies = Movies::three(world).await;
    assert_eq!(movies.ids(&sorted(&["budget"])).await, ["m1", "m2", "m3"]);
    assert_eq!(movies.ids(&sorted(&["budget:desc"])).await, ["m2", "m1", "m3"]);
    assert_eq!(movies.ids(&sorted(&["title"])).await, ["m3", "m2", "m1"], "in lower case");
    assert_eq!(movies.ids(&sorted(&["type:desc", "budget:desc"])).await, ["m3", "m2", "m1"]);
    assert_eq!(movies.ids(&sorted(&["actors.name:desc"])).await, ["m1", "m3", "m2"]);
    let request = SearchRequest { text: Some("crash".to_owned()), ..sorted(&["budget"]) };
    let response = movies.try_search(&request).await.unwrap();
    assert_eq!(ids(&response), ["m1", "m2"]);
    assert!(response.hits[0].score.is_some(), "sorted hits have a score, too");
}

async fn missing_integers_come_after_the_last_one_there_is(world: &dyn World) {
    let budgets = [None, Some(i64::MAX), Some(i64::MIN), None, Some(0), Some(i64::MIN), Some(i64::MAX), None];
    let documents: Vec<(String, Value)> = budgets
        .iter()
        .enumerate()
        .map(|(at, budget)| {
            let actors = [json!({"role": "A"}), json!({"fee": budget})];
            (format!("m{at}"), json!({"budget": budget, "actors": actors, "type": "A"}))
        })
        .collect();
    let mut plan = movie_plan();
    let actors = plan.fields.0.iter_mut().find(|field| field.name == "actors").unwrap();
    actors.children.push(Field { path: "actors.fee".to_owned(), ..leaf("fee", MappingKind::Long) });
    let movies = Movies::of(world, plan, &documents).await;
    let rising = ["m2", "m5", "m4", "m1", "m6", "m0", "m3", "m7"];
    let falling = ["m1", "m6", "m4", "m2", "m5", "m0", "m3", "m7"];
    for (sorts, wanted) in [
        (&["budget"][..], rising),
        (&["budget:desc"], falling),
        (&["actors.fee"], rising),
        (&["actors.fee:desc"], falling),
        (&["type", "budget", "budget:desc"], rising),
    ] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = movies.try_search(&SearchRequest { first: 1, after, ..sorted(sorts) }).await.unwrap();
            found.extend(ids(&page));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted, "{sorts:?}, one by one");
        assert_eq!(movies.ids(&sorted(sorts)).await, wanted, "{sorts:?}");
    }
}

async fn texts_are_sorted_without_case_and_accents(world: &dyn World) {
    let titles = [
        "Zoo",
        "Éclair",
        "eclipse",
        "zebra",
        "ECLAIR 2",
        "Łódź",
        "Ame\u{301}lie",
        "amber",
        "Straße",
        "Ёж",
        "Еда",
    ];
    let documents: Vec<(String, Value)> =
        titles.iter().enumerate().map(|(at, title)| (format!("m{at:02}"), json!({"title": title}))).collect();
    let movies = Movies::of(world, movie_plan(), &documents).await;
    let response = movies.try_search(&SearchRequest { first: 100, ..sorted(&["title"]) }).await.unwrap();
    let at = |id: &str| id[1..].parse::<usize>().unwrap();
    let found: Vec<&str> = ids(&response).iter().map(|id| titles[at(id)]).collect();
    let wanted = [
        "amber",
        "Ame\u{301}lie",
        "Éclair",
        "ECLAIR 2",
        "eclipse",
        "Łódź",
        "Straße",
        "zebra",
        "Zoo",
        "Еда",
        "Ёж",
    ];
    assert_eq!(found, wanted);
}

/// What systems write for "never" is a date like others.
async fn dates_end_where_the_calendar_does(world: &dyn World) {
    let dates = [json!(i64::MAX), json!(null), json!("9999-12-31T23:59:59.999Z"), json!(i64::MIN), json!(0)];
    let documents: Vec<(String, Value)> =
        dates.iter().enumerate().map(|(at, date)| (format!("m{at}"), json!({"releaseDate": date}))).collect();
    let movies = Movies::of(world, movie_plan(), &documents).await;
    assert_eq!(movies.ids(&sorted(&["releaseDate"])).await, ["m3", "m4", "m0", "m2", "m1"]);
    assert_eq!(movies.ids(&sorted(&["releaseDate:desc"])).await, ["m0", "m2", "m4", "m3", "m1"]);
    let filter = Some(checked("releaseDate >= '9999-12-31'", &movies.plan.fields));
    let facets = vec!["releaseDate".to_owned()];
    let response = movies.try_search(&SearchRequest { filter, facets, ..sorted(&[]) }).await.unwrap();
    assert_eq!(ids(&response), ["m0", "m2"]);
    let told = serde_json::to_value(&response).unwrap()["facets"]["releaseDate"].clone();
    assert_eq!(told, json!([{"value": "9999-12-30T22:00:00.999Z", "count": 2}]));
}

async fn pages_join_without_gaps_or_repetition(world: &dyn World) {
    let documents: Vec<(String, Value)> = (0..57)
        .map(|number| {
            let or_null = |value: Value| if number % 5 == 0 { json!(null) } else { value };
            let day = number % 3 + 1;
            let movie = json!({
                "title": "crash", "type": "A", "budget": or_null(json!(number % 7)),
                "rating": or_null(json!(f64::from(number % 3) / 10.0)),
                "released": or_null(json!(number % 2 == 0)),
                "releaseDate": or_null(json!(format!("2024-01-0{day}"))),
                "actors": [{"name": or_null(json!(format!("n{day}")))}, {"role": "STAR"}],
            });
            (format!("m{number:02}"), movie)
        })
        .collect();
    let movies = Movies::of(world, movie_plan(), &documents).await;
    let filter = checked("type == 'A' AND budget != 3", &movies.plan.fields);
    let requests = [
        SearchRequest::default(),
        sorted(&["budget"]),
        sorted(&["budget:desc", "rating"]),
        sorted(&["rating:desc", "title", "budget"]),
        sorted(&["released", "releaseDate:desc"]),
        sorted(&["actors.name:desc", "released:desc", "rating"]),
        text("crash"),
        SearchRequest { filter: Some(filter), ..sorted(&["budget:desc"]) },
        SearchRequest { sort: sorted(&["rating"]).sort, ..text("cra") },
    ];
    for request in requests {
        let whole = movies.ids(&SearchRequest { first: 100, ..request.clone() }).await;
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let request = SearchRequest { first: 10, after, ..request.clone() };
            let page = movies.try_search(&request).await.unwrap();
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

async fn a_cursor_serves_its_own_search_only(world: &dyn World) {
    let movies = Movies::three(world).await;
    let first = SearchRequest { first: 1, ..sorted(&["budget"]) };
    let cursor = movies.try_search(&first).await.unwrap().next;
    assert!(cursor.is_some());
    let filter = Some(checked("budget > 1", &movies.plan.fields));
    for request in [
        SearchRequest { after: cursor.clone(), ..SearchRequest::default() },
        SearchRequest { after: cursor.clone(), ..sorted(&["budget:desc"]) },
        SearchRequest { after: cursor.clone(), filter, ..sorted(&["budget"]) },
        SearchRequest { after: cursor.clone(), text: Some("x".to_owned()), ..sorted(&["budget"]) },
        SearchRequest { after: Some(Cursor::new("' OR 1=1 --")), ..SearchRequest::default() },
        SearchRequest { after: Some(Cursor::new("")), ..SearchRequest::default() },
    ] {
        assert_eq!(movies.code(&request).await, "SS710");
    }
    let more_facets =
        SearchRequest { after: cursor, first: 5, facets: vec!["type".to_owned()], ..sorted(&["budget"]) };
    assert_eq!(movies.ids(&more_facets).await, ["m2", "m3"]);
}

async fn facets_count_documents_that_match(world: &dyn World) {
    let movies = Movies::three(world).await;
    let facets = async |request: SearchRequest| {
        let paths = ["type", "actors.role", "released", "releaseDate", "rating", "title"];
        let request = SearchRequest { facets: paths.map(str::to_owned).to_vec(), first: 0, ..request };
        let response = movies.try_search(&request).await.unwrap();
        assert!(response.hits.is_empty());
        serde_json::to_value(&response).unwrap()["facets"].clone()
    };
    let once = |value: &str| json!({"value": value, "count": 1});
    assert_eq!(
        facets(SearchRequest::default()).await,
        json!({
            "type": [{"value": "FEATURE", "count": 2}, {"value": "SHORT", "count": 1}],
            "actors.role": [once("DIRECTOR"), once("STAR")],
            "released": [{"value": true, "count": 1}],
            "releaseDate": [once("2024-01-31T00:00:00Z")],
            "rating": [{"value": 7.5, "count": 1}],
            "title": [once("Crash"), once("Landing"), once("amélie")],
        })
    );
    let none =
        json!({"type": [], "actors.role": [], "released": [], "releaseDate": [], "rating": [], "title": []});
    assert_eq!(facets(text("nothing")).await, none);
    assert_eq!(facets(text("!")).await, none);
    let filter = Some(checked("actors.role == 'STAR'", &movies.plan.fields));
    assert_eq!(
        facets(SearchRequest { filter, ..text("crash") }).await["type"],
        json!([{"value": "FEATURE", "count": 1}])
    );
}

async fn facets_of_elements_count_documents(world: &dyn World) {
    let documents: Vec<(String, Value)> = (0..1_500)
        .map(|number| {
            let role = format!("R{}", number % 3);
            let roles = [json!({"role": "A"}), json!({"role": "A"}), json!({"role": role})];
            let kind = if number % 5 == 0 { "FEW" } else { "MANY" };
            (format!("m{number}"), json!({"type": kind, "budget": number, "actors": roles}))
        })
        .collect();
    let movies = Movies::of(world, movie_plan(), &documents).await;
    let facet = async |path: &str, filter: &str| {
        let filter = Some(checked(filter, &movies.plan.fields));
        let request = SearchRequest { filter, facets: vec![path.to_owned()], ..SearchRequest::default() };
        let response = movies.try_search(&request).await.unwrap();
        let values = response.facets[0].values.iter();
        values.map(|value| (value.value.to_string(), value.count)).collect::<Vec<_>>()
    };
    let counted =
        |counts: [(&str, u64); 4]| counts.map(|(role, count)| (format!("{role:?}"), count)).to_vec();
    let few = counted([("A", 300), ("R0", 100), ("R1", 100), ("R2", 100)]);
    assert_eq!(facet("actors.role", "type == 'FEW'").await, few);
    let odd = counted([("A", 750), ("R0", 250), ("R1", 250), ("R2", 250)]);
    assert_eq!(facet("actors.role", "budget < 750").await, odd);
    let budgets = facet("budget", "budget >= 1200").await;
    assert_eq!(
        (budgets.len(), &budgets[0], &budgets[99]),
        (100, &("1200".to_owned(), 1), &("1299".to_owned(), 1))
    );
}

async fn equal_counts_are_in_the_order_of_their_values(world: &dyn World) {
    let ratings = [1.5, -2.5, 0.0, -0.5, 10.0];
    let documents = ratings.map(|rating| (format!("m{rating}"), json!({"rating": rating})));
    let movies = Movies::of(world, movie_plan(), &documents).await;
    let request = SearchRequest { facets: vec!["rating".to_owned()], ..SearchRequest::default() };
    let response = movies.try_search(&request).await.unwrap();
    let values: Vec<_> =
        response.facets[0].values.iter().map(|value| value.value.as_f64().unwrap()).collect();
    assert_eq!(values, [-2.5, -0.5, 0.0, 1.5, 10.0]);
}

async fn highlights_show_why(world: &dyn World) {
    let response = Movies::three(world).await.try_search(&text("ryan cras")).await.unwrap();
    let wanted = json!({"synopsis": ["A <em>crash</em> in the Alps"], "actors.name": ["<em>Ryan</em> Müller", "<em>Ryan</em> Ray"]});
    // The word that was finished marks whole words only, "cras" what begins with it.
    assert_eq!(serde_json::to_value(&response).unwrap()["hits"][0]["highlights"], wanted);
}

async fn only_whole_values_are_sorted_and_counted(world: &dyn World) {
    let movies = Movies::three(world).await;
    for (path, code) in [("synopsis", "SS711"), ("actors", "SS711"), ("titel", "SS702"), ("people", "SS711")]
    {
        let facet = SearchRequest { facets: vec![path.to_owned()], ..SearchRequest::default() };
        assert_eq!(movies.code(&facet).await, code);
        assert_eq!(movies.code(&sorted(&[path])).await, code);
    }
    let error = movies.try_search(&sorted(&["titel"])).await.unwrap_err();
    assert_eq!(error.help().unwrap(), "did you mean title?");
    for request in [
        SearchRequest { first: 10_000_000, ..SearchRequest::default() },
        SearchRequest { facets: vec!["type".to_owned(); 21], ..SearchRequest::default() },
        SearchRequest {
            sort: vec![Sort { path: "type".to_owned(), descending: true }; 9],
            ..SearchRequest::default()
        },
    ] {
        assert_eq!(movies.code(&request).await, "SS712");
    }
}

async fn free_text_is_never_syntax(world: &dyn World) {
    let movies = Movies::three(world).await;
    for (hostile, found) in [
        ("\"", 0),
        ("NEAR(crash, 5)", 0),
        ("crash\" (\"crash", 2),
        ("title: crash", 0),
        ("crash*", 2),
        ("-crash", 2),
        ("{\"match_all\": {}}", 0),
        ("\0crash\0", 2),
        ("\u{202e}crash", 2),
        ("😀", 0),
    ] {
        assert_eq!(movies.try_search(&text(hostile)).await.unwrap().total, found, "{hostile}");
    }
    assert_eq!(movies.code(&text(&"x".repeat(17_000))).await, "SS713");
}

async fn one_document_is_asked_for_by_its_id(world: &dyn World) {
    let movies = Movies::three(world).await;
    let of = |name: &str| SearchRequest { id: Some(id(name)), ..SearchRequest::default() };
    assert_eq!(movies.ids(&of("m2")).await, ["m2"]);
    assert_eq!(movies.ids(&of("m9")).await, [""; 0]);
    let filter = Some(checked("type == 'SHORT'", &movies.plan.fields));
    assert_eq!(movies.ids(&SearchRequest { filter: filter.clone(), ..of("m2") }).await, [""; 0]);
    assert_eq!(movies.ids(&SearchRequest { filter, ..of("m3") }).await, ["m3"]);
    assert_eq!(movies.ids(&SearchRequest { text: Some("crash".to_owned()), ..of("m1") }).await, ["m1"]);
}
