//! The evaluator and the embedded store must find the same documents, whatever the plan, the documents and the filter.
//!
//! `AGREEMENT_SEED=<first seed>` and `AGREEMENT_ROUNDS=<n>` run other and more cases; a failure names the seed of its round.

mod dice;
mod documents;
mod filters;

use std::sync::Arc;

use plan::{
    DocumentId, DocumentVersion, FieldTree, SourceText,
    filter::{CheckedFilter, parse},
};
use rusqlite::Connection;
use search::{
    SearchRequest,
    sqlite::{Counts, DocumentWrite, PutOutcome, SqliteIndex},
};
use serde_json::Value;

use self::{dice::Dice, filters::Filter};
use crate::plans;

/// 2024-01-01T00:00:00Z, a moment that many of the dates are near to.
const NOW: i64 = 1_704_067_200_000;

const DOCUMENTS: usize = 40;
const FILTERS: usize = 50;

#[test]
fn the_store_finds_what_the_evaluator_says() {
    let number =
        |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let first: u64 = number("AGREEMENT_SEED", 1);
    let rounds = number("AGREEMENT_ROUNDS", 60);
    let (mut matched, mut pairs) = (0, 0);
    for seed in first..first + rounds {
        let mut dice = Dice::new(seed);
        let round = Round::new(&mut dice);
        for _ in 0..FILTERS {
            let filter = filters::filter(&mut dice, &round.fields.0, 0);
            if !round.agrees(&filter) {
                let filter = round.smallest(filter);
                panic!("AGREEMENT_SEED={seed} AGREEMENT_ROUNDS=1: {}", round.disagreement(&filter));
            }
            matched += round.evaluate(&checked(&filter, &round.fields)).len();
            pairs += round.documents.len();
        }
    }
    // A generator of filters that always or never hold would prove nothing.
    assert!(matched * 10 > pairs && matched * 10 < pairs * 9, "{matched} of {pairs} pairs match");
}

/// One plan with its documents, stored.
struct Round {
    fields: FieldTree,
    index: SqliteIndex,
    conn: Connection,
    /// The live ones, by id.
    documents: Vec<(String, Value)>,
}

impl Round {
    fn new(dice: &mut Dice) -> Self {
        let plan = plans::plan(documents::fields(dice));
        let fields = plan.fields.clone();
        let index = SqliteIndex::new(plan.into(), 1);
        let conn = Connection::open_in_memory().unwrap();
        index.create(&conn).unwrap();
        let mut round = Self { fields, index, conn, documents: Vec::new() };
        for number in 0..DOCUMENTS {
            round.store(dice, format!("m{number:02}"));
        }
        let live = round.documents.len() as u64;
        let counts = Counts { live, tombstones: DOCUMENTS as u64 - live };
        assert_eq!(round.index.counts(&round.conn).unwrap(), counts);
        round
    }

    /// Writes a document as it may have come to be: by itself, over another one, after a delete; or deleted.
    fn store(&mut self, dice: &mut Dice, id: String) {
        let versions = 1 + dice.below(3);
        let mut last = None;
        for version in 1..=versions {
            last = (!dice.chance(10)).then(|| documents::document(dice, &self.fields.0));
            let body = last.as_ref().map(Value::to_string);
            let write = DocumentWrite {
                id: &DocumentId::new(id.clone()).unwrap(),
                version: DocumentVersion::from_stored(version.try_into().unwrap()),
                body: body.as_deref(),
                fetched_at_ms: 0,
                missing: &[],
            };
            assert_eq!(self.index.put(&self.conn, &write).unwrap(), PutOutcome::Written);
        }
        // The evaluator gets what was stored, read again: numbers must come from the same text.
        self.documents
            .extend(last.map(|document| (id, serde_json::from_str(&document.to_string()).unwrap())));
    }

    fn evaluate(&self, filter: &CheckedFilter) -> Vec<&str> {
        let matching = self.documents.iter().filter(|(_, document)| filter.matches(document, NOW));
        matching.map(|(id, _)| id.as_str()).collect()
    }

    fn ask_store(&self, filter: &CheckedFilter) -> Vec<String> {
        let request =
            SearchRequest { filter: Some(filter.clone()), first: 1_000, ..SearchRequest::default() };
        let response = self.index.search(&self.conn, &request, NOW).unwrap();
        assert_eq!(response.total, response.hits.len() as u64);
        response.hits.iter().map(|hit| hit.id.to_string()).collect()
    }

    fn agrees(&self, filter: &Filter) -> bool {
        let filter = checked(filter, &self.fields);
        self.evaluate(&filter) == self.ask_store(&filter)
    }

    fn smallest(&self, filter: Filter) -> Filter {
        match filter.smaller().into_iter().find(|smaller| !self.agrees(smaller)) {
            Some(smaller) => self.smallest(smaller),
            None => filter,
        }
    }

    fn disagreement(&self, filter: &Filter) -> String {
        let checked = checked(filter, &self.fields);
        let (evaluated, stored) = (self.evaluate(&checked), self.ask_store(&checked));
        let different = self
            .documents
            .iter()
            .find(|(id, _)| evaluated.contains(&id.as_str()) != stored.contains(id))
            .unwrap();
        let says = |holds| if holds { "matches" } else { "does not match" };
        format!(
            "{}\nthe evaluator says that it {}, the store that it {}:\n{}\n{:#?}",
            filter.text(),
            says(evaluated.contains(&different.0.as_str())),
            says(stored.contains(&different.0)),
            different.1,
            checked.condition(),
        )
    }
}

fn checked(filter: &Filter, fields: &FieldTree) -> CheckedFilter {
    let source = Arc::new(SourceText { name: "<filter>".to_owned(), text: filter.text() });
    let parsed = parse(&source).unwrap_or_else(|finding| panic!("{}: {finding:?}", source.text));
    parsed.check(fields).unwrap_or_else(|findings| panic!("{}: {findings:?}", source.text))
}
