//! The questions that both stores are asked, and what both must answer alike.

use std::collections::BTreeMap;

use harness::random::Random;
use plan::{FieldTree, filter};
use search::{SearchRequest, SearchResponse};
use serde_json::Value;

/// What the filter of every question says.
pub(crate) const STATUSES: [&str; 2] = ["RELEASED", "WRAPPED"];
pub(crate) const SINCE_MS: i64 = 631_152_000_000;
const FILTER: &str = "production.status IN ['RELEASED', 'WRAPPED'] AND releaseDate >= '1990-01-01'";

pub(crate) const FACETS: [&str; 3] = ["type", "genres", "production.status"];

/// Hits of a page.
pub(crate) const FIRST: usize = 10;

/// Words that some movie holds.
pub(crate) struct Question {
    pub(crate) words: Vec<String>,
}

/// The number of documents, and of those that hold each value of each facet.
#[derive(Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) total: u64,
    pub(crate) facets: Vec<BTreeMap<String, u64>>,
}

/// So many questions: one word and two in turn, each taken from the text of some movie.
pub(crate) fn questions(movies: &[String], count: usize) -> Vec<Question> {
    let mut random = Random::new(17);
    let question = |number: usize| {
        let movie: Value = serde_json::from_str(random.pick::<String>(movies)).expect("JSON");
        let text = format!("{} {}", movie["title"], movie["synopsis"]).replace('"', "");
        let words: Vec<&str> = text.split(' ').collect();
        Question { words: (0..=number % 2).map(|_| (*random.pick(&words)).to_owned()).collect() }
    };
    (0..count).map(question).collect()
}

impl Question {
    /// The question as a search of ours.
    pub(crate) fn request(&self, fields: &FieldTree) -> SearchRequest {
        SearchRequest {
            text: Some(self.words.join(" ")),
            filter: Some(filter::checked("<filter>", FILTER, fields).expect("a filter")),
            facets: FACETS.map(str::to_owned).to_vec(),
            first: FIRST,
            ..SearchRequest::default()
        }
    }
}

impl Figures {
    /// What we answered.
    pub(crate) fn of(response: &SearchResponse) -> Self {
        let facets = response.facets.iter().map(|facet| {
            let values = facet.values.iter();
            values.map(|value| (value.value.as_str().expect("a keyword").to_owned(), value.count)).collect()
        });
        Self { total: response.total, facets: facets.collect() }
    }
}
