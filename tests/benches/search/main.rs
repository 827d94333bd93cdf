//! What searches cost: the embedded store against tantivy with the same movies and the same questions, and our part of a search
//! on Elasticsearch against the raw query that it is sent as. Ours and the rival's take turns in one run.
//!
//! `cargo bench -p studio-search-tests --features rivals --bench search`, on a quiet machine; `-- embedded` or `-- elasticsearch` asks one
//! of them, `-- 20000` asks fewer documents. Both answer the same: the total, three facets over all that match, and the ten best documents with what was
//! found in them marked. Totals and facets are compared for every question before anything is timed. Tantivy has all in one
//! merged segment, which is its best case; ours is as `run` leaves it.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints its figures, and its counts are small"
)]

mod documents;
mod embedded;
mod question;
mod rival;
mod server;

use std::{
    fs,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use codegen::{Config, Texts, compile, parse_config};
use documents::Documents;
use embedded::Embedded;
use harness::repository;
use plan::{DocumentId, IndexPlan, SourceText, filter};
use question::{Figures, Question, questions};
use rival::Rival;
use serde_json::Value;
use server::Elastic;

/// Documents, unless another number is asked for.
const DOCUMENTS: usize = 100_000;

const QUESTIONS: usize = 60;
const ROUNDS: usize = 3;

/// Documents that the evaluator goes over, and how often.
const EVALUATED: usize = 20_000;
const EVALUATIONS: usize = 15;

/// What must be reached: at most so many milliseconds half of the time, so many times the rival's, so many documents a second.
const WANTED_SEARCH: f64 = 20.0;
const WANTED_AGAINST_RIVAL: f64 = 3.0;
const WANTED_NESTED: f64 = 10.0;
const WANTED_LOOKUP: f64 = 1.0;
const WANTED_AGAINST_RAW: f64 = 1.1;
const WANTED_EVALUATED: f64 = 1_000_000.0;

#[tokio::main]
async fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let count = asked.iter().find_map(|word| word.parse().ok()).unwrap_or(DOCUMENTS);
    let (config, plan) = compiled();
    let mut documents = Documents::new();
    let movies: Vec<String> = (0..count).map(|number| documents.movie(number).to_string()).collect();
    let bytes: usize = movies.iter().map(String::len).sum();
    println!("{count} documents of {} bytes", bytes / count);
    let questions = questions(&movies, QUESTIONS);

    let is_left_out = |other: &str| asked.iter().any(|word| word == other);
    let mut missed = evaluator(&plan, &movies);
    if !is_left_out("elasticsearch") {
        missed |= on_sqlite(&plan, &movies, &questions, &mut documents).await;
    }
    if !is_left_out("embedded") {
        missed |= on_elasticsearch(&config, &plan, &movies, &questions).await;
    }
    assert!(!missed, "a figure is missed");
}

/// The embedded store, and tantivy beside it. Says whether a figure is missed, as all of these do.
async fn on_sqlite(
    plan: &Arc<IndexPlan>,
    movies: &[String],
    questions: &[Question],
    documents: &mut Documents,
) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let start = Instant::now();
    let ours = Embedded::new(&folder.path().join("searched.db"), plan, movies);
    println!("filled in {:.0} s, {:.0} MB", start.elapsed().as_secs_f64(), size(folder.path()));
    let start = Instant::now();
    let place = folder.path().join("tantivy");
    fs::create_dir(&place).expect("a folder");
    let theirs = Rival::new(&place, movies);
    println!("tantivy filled in {:.0} s, {:.0} MB", start.elapsed().as_secs_f64(), size(&place));

    let mut found = Vec::new();
    for question in questions {
        let response = ours.search(question.request(&plan.fields)).await;
        let (figures, hits) = theirs.answer(question);
        assert_eq!(Figures::of(&response), figures, "{:?}", question.words);
        assert_eq!(response.hits.len(), hits.len());
        found.push(figures.total);
    }
    found.sort_unstable();
    println!("matches of a question: p50 {}, most {}", found[found.len() / 2], found[found.len() - 1]);
    let (mut us, mut them) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        for question in questions {
            them.time(|| theirs.answer(question));
            let request = question.request(&plan.fields);
            us.time_async(ours.search(request)).await;
        }
    }
    let mut missed = us.show("text, filter and three facets", WANTED_SEARCH);
    them.show("the same by tantivy", f64::INFINITY);
    missed |= at_most("ours against tantivy", us.at(50) / them.at(50), WANTED_AGAINST_RIVAL);

    let people: Vec<String> = (0..QUESTIONS).map(|_| documents.person()).collect();
    let mut nested = Samples::default();
    for _ in 0..ROUNDS {
        for person in &people {
            let request = ours.filtered(&format!("actors[role == 'DIRECTOR' AND talentId == '{person}']"));
            nested.time_async(ours.search(request)).await;
        }
    }
    missed |= nested.show("filter on a nested list", WANTED_NESTED);
    let mut lookup = Samples::default();
    for _ in 0..ROUNDS {
        for person in &people {
            lookup.time(|| ours.holders(person, 1_000));
        }
    }
    missed | lookup.show("reverse lookup", WANTED_LOOKUP)
}

async fn on_elasticsearch(
    config: &Config,
    plan: &Arc<IndexPlan>,
    movies: &[String],
    questions: &[Question],
) -> bool {
    let server = Elastic::new(config, plan, movies).await;
    let mut queries = Vec::new();
    for question in questions {
        queries.push(server.query(question.request(&plan.fields)).await);
    }
    let (mut us, mut raw) = (Samples::default(), Samples::default());
    // The first round warms the caches of the server up.
    for round in 0..=ROUNDS {
        for (question, query) in questions.iter().zip(&queries) {
            let (request, query) = (question.request(&plan.fields), query.clone());
            if round == 0 {
                server.send(query).await;
                continue;
            }
            raw.time_async(server.send(query)).await;
            us.time_async(server.search(request)).await;
        }
    }
    us.show("the same on Elasticsearch", f64::INFINITY);
    raw.show("its raw queries", f64::INFINITY);
    at_most("ours against the raw query", us.at(50) / raw.at(50), WANTED_AGAINST_RAW)
}

/// Three clauses over documents that are parsed, of which most pass each clause: so all are looked at.
fn evaluator(plan: &IndexPlan, movies: &[String]) -> bool {
    let text = "releaseDate >= '1960-01-01' AND production.status != 'DEVELOPMENT' AND popularity < 90000";
    let filter = filter::checked("<filter>", text, &plan.fields).expect("a filter");
    let parsed: Vec<Value> =
        movies.iter().take(EVALUATED).map(|movie| serde_json::from_str(movie).expect("JSON")).collect();
    let mut samples = Samples::default();
    for _ in 0..EVALUATIONS {
        samples.time(|| parsed.iter().filter(|movie| filter.matches(black_box(movie), 0)).count());
    }
    let rate = parsed.len() as f64 / (samples.at(50) / 1_000.0);
    println!("evaluator, three clauses: {rate:.0} documents a second (wanted: at least {WANTED_EVALUATED})");
    rate < WANTED_EVALUATED
}

/// How long something took, each time.
#[derive(Default)]
struct Samples(Vec<Duration>);

impl Samples {
    fn time<T>(&mut self, work: impl FnOnce() -> T) {
        let start = Instant::now();
        black_box(work());
        self.0.push(start.elapsed());
    }

    async fn time_async<T>(&mut self, work: impl Future<Output = T>) {
        let start = Instant::now();
        black_box(work.await);
        self.0.push(start.elapsed());
    }

    /// Milliseconds that so many of a hundred stay below.
    fn at(&self, share: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * share / 100).min(sorted.len() - 1)].as_secs_f64() * 1_000.0
    }

    fn show(&self, name: &str, wanted: f64) -> bool {
        let figure = |share| self.at(share);
        let wish =
            if wanted.is_finite() { format!(" (wanted: p50 under {wanted} ms)") } else { String::new() };
        println!(
            "{name}: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms{wish}",
            figure(50),
            figure(90),
            figure(99)
        );
        self.at(50) > wanted
    }
}

fn at_most(name: &str, ratio: f64, wanted: f64) -> bool {
    println!("{name}: {ratio:.2}x (wanted: at most {wanted}x)");
    ratio > wanted
}

/// The id of a movie by its number.
fn id(number: usize) -> DocumentId {
    DocumentId::new(format!("m{number:06}")).expect("an id")
}

/// Megabytes in a folder.
fn size(folder: &std::path::Path) -> f64 {
    let files = fs::read_dir(folder).expect("a folder").flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len() as f64 / 1e6).sum()
}

fn compiled() -> (Config, Arc<IndexPlan>) {
    let read = |name: &str| {
        let path = repository().join("tests/benches/search").join(name.trim_start_matches("./"));
        let text = fs::read_to_string(path).expect("a file of ours");
        Arc::new(SourceText { name: name.to_owned(), text })
    };
    let parsed = parse_config(&read("index.yaml"), &|_| None);
    let config = parsed.value.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    let schema = config.graph.schema.as_ref().expect("it names its schema");
    let texts = Texts { query: read(&config.query.value), schema: read(&schema.value), others: [].into() };
    let checked = compile(&config, &texts);
    let plan = checked.value.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics)).plan;
    (config, plan.into())
}
