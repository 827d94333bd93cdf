//! Whether people find what they mean: judged queries over the movies, the same on every store (`tests/judged/README.md`).

use std::collections::{BTreeMap, HashMap};

use harness::{
    repository,
    servers::{Rest, elasticsearch, opensearch},
};
use indexer::{rehearsal::Rehearsal, store::Document};
use plan::{DocumentId, DocumentVersion, IndexPlan, filter};
use search::{DocumentWrite, SearchRequest, SearchResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{compiled, conformance::SearchServer};

/// How many hits people look at.
const LOOKED_AT: usize = 10;

/// Below this mean the ranking of a store is not sensible any more.
const LEAST_MEAN: f64 = 0.85;

/// No single query may do worse.
const LEAST: f64 = 0.4;

/// How far the means of two stores may lie apart.
const APART: f64 = 0.08;

/// 2010-07-01T00:00:00Z, when the data was collected.
const NOW: i64 = 1_277_942_400_000;

#[derive(Deserialize)]
struct Judged {
    text: String,
    filter: Option<String>,
    grades: BTreeMap<String, u32>,
}

impl Judged {
    fn request(&self, plan: &IndexPlan) -> SearchRequest {
        let filter = self.filter.as_ref().map(|text| {
            filter::checked("<filter>", text.as_str(), &plan.fields).expect("a filter of the movies")
        });
        SearchRequest { text: Some(self.text.clone()), filter, first: LOOKED_AT, ..SearchRequest::default() }
    }

    /// The normalized discounted cumulative gain of these hits, 0 to 1.
    fn ndcg(&self, hits: &[String]) -> f64 {
        let gain = |grade: u32| f64::from(2_u32.pow(grade) - 1);
        let sum = |grades: &mut dyn Iterator<Item = u32>| -> f64 {
            let places = (2_u32..).take(LOOKED_AT);
            grades.zip(places).map(|(grade, place)| gain(grade) / f64::from(place).log2()).sum()
        };
        let mut best: Vec<u32> = self.grades.values().copied().collect();
        best.sort_unstable_by(|one, two| two.cmp(one));
        let found = sum(&mut hits.iter().map(|id| self.grades.get(id).copied().unwrap_or(0)));
        found / sum(&mut best.into_iter())
    }
}

fn queries() -> Vec<Judged> {
    let text = std::fs::read_to_string(repository().join("tests/judged/queries.json")).expect("the queries");
    serde_json::from_str(&text).expect("queries with their grades")
}

fn rows(name: &str) -> Vec<Value> {
    let path = repository().join("configs/movies/data").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).expect("the data")).expect("a list")
}

/// The movies as the graph answers them, as far as searches ask for them.
fn documents() -> Vec<(DocumentId, String)> {
    let mut directors: HashMap<String, Vec<Value>> = HashMap::new();
    for talent in rows("talents.json") {
        let director =
            json!({"talentId": talent["talentId"], "name": talent["name"], "role": talent["role"]});
        for movie in talent["movies"].as_array().expect("movies") {
            directors.entry(movie.as_str().expect("an id").to_owned()).or_default().push(director.clone());
        }
    }
    let document = |mut movie: Value| {
        let id = movie["movieId"].as_str().expect("an id").to_owned();
        movie["directors"] = directors.get(&id).cloned().unwrap_or_default().into();
        (DocumentId::new(id).expect("an id"), movie.to_string())
    };
    rows("movies.json").into_iter().map(document).collect()
}

fn version() -> DocumentVersion {
    DocumentVersion::from_stored(1)
}

/// What the embedded store answers, in the order of the queries.
async fn embedded(plan: &IndexPlan, queries: &[Judged]) -> Vec<SearchResponse> {
    let folder = tempfile::tempdir().expect("a folder");
    let rehearsal = Rehearsal::new(plan, &folder.path().join("movies.db")).await.expect("a state file");
    let written = documents().into_iter().map(|(id, body)| Document {
        id,
        version: version(),
        body: Some(body),
        fetched_at: 0,
        missing: Vec::new(),
    });
    rehearsal.index().store.write(written.collect()).await.expect("they are written");
    let mut answers = Vec::new();
    for query in queries {
        answers.push(rehearsal.index().searcher.search(query.request(plan)).await.expect("an answer"));
    }
    answers
}

/// What a server answers, in the order of the queries.
async fn served(server: fn() -> &'static Rest, plan: &IndexPlan, queries: &[Judged]) -> Vec<SearchResponse> {
    let index = SearchServer::new(server).await.made(plan.clone()).await;
    let documents = documents();
    for part in documents.chunks(500) {
        let writes = part.iter().map(|(id, body)| DocumentWrite {
            id,
            version: version(),
            body: Some(body),
            fetched_at_ms: 0,
            missing: &[],
        });
        index.write(&writes.collect::<Vec<_>>()).await.expect("they are written");
    }
    index.refresh().await.expect("it answers");
    let mut answers = Vec::new();
    for query in queries {
        answers.push(index.answer(&query.request(plan), NOW).await.expect("an answer"));
    }
    answers
}

#[tokio::test]
async fn people_find_what_they_mean_on_every_store() {
    let (plan, queries) = (compiled::movies().compiled.plan, queries());
    assert!(queries.len() >= 20 && queries.iter().all(|query| !query.grades.is_empty()));
    let stores = [
        ("SQLite", embedded(&plan, &queries).await),
        ("Elasticsearch", served(elasticsearch, &plan, &queries).await),
        ("OpenSearch", served(opensearch, &plan, &queries).await),
    ];
    let mut means = Vec::new();
    let mut failures = Vec::new();
    let found =
        |answer: &SearchResponse| answer.hits.iter().map(|hit| hit.id.to_string()).collect::<Vec<_>>();
    for (store, answers) in &stores {
        let mut sum = 0.0;
        for (query, answer) in queries.iter().zip(answers) {
            let hits = found(answer);
            let ndcg = query.ndcg(&hits);
            println!("{ndcg:.3}  {store}  {:?}  {}", query.text, hits.join(" "));
            if ndcg < LEAST {
                failures.push(format!("{store} answers {:?} with {hits:?}: nDCG@10 {ndcg:.3}", query.text));
            }
            sum += ndcg;
        }
        #[expect(clippy::cast_precision_loss, reason = "few queries")]
        let mean = sum / queries.len() as f64;
        println!("nDCG@10 of {store}: {mean:.3}");
        if mean < LEAST_MEAN {
            failures.push(format!("nDCG@10 of {store} is {mean:.3}, below {LEAST_MEAN}"));
        }
        means.push(mean);
    }
    let (least, most) =
        (means.iter().copied().fold(1.0, f64::min), means.iter().copied().fold(0.0, f64::max));
    if most - least > APART {
        failures.push(format!("the stores lie {:.3} apart", most - least));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_best_order_has_gain_one() {
    let grades = [("a", 3), ("b", 2), ("c", 1)].map(|(id, grade)| (id.to_owned(), grade));
    let judged = Judged { text: String::new(), filter: None, grades: grades.into() };
    let of = |hits: &[&str]| judged.ndcg(&hits.iter().map(|hit| (*hit).to_owned()).collect::<Vec<_>>());
    assert!((of(&["a", "b", "c"]) - 1.0).abs() < 1e-9);
    assert!(of(&["b", "a", "c"]) < 1.0 && of(&["x", "a", "b", "c"]) < of(&["a", "x", "b", "c"]));
    assert!(of(&["x", "y"]).abs() < 1e-9);
}
