//! How well a document fits a free text.

use plan::{
    IndexPlan,
    field::MappingKind,
    filter::words::words,
    index_plan::{Boost, Recency},
};
use serde_json::Value;

use super::{is_indexed, values::Values};
use crate::{SearchError, cursor::Key, explain::TermPart, text::FreeText};

/// What an unfinished word counts beside a finished one.
const UNFINISHED: f64 = 0.1;

/// A free text with the fields that it is searched in.
pub(super) struct SearchedText {
    pub(super) words: FreeText,
    pub(super) paths: Vec<String>,
    /// The fields of those paths with their weights.
    fields: Vec<(Values, f64)>,
    boosts: Vec<(Values, Boost)>,
    recency: Option<(Values, Recency)>,
}

impl SearchedText {
    pub(super) fn new(plan: &IndexPlan, text: &str) -> Result<Self, SearchError> {
        let configured = &plan.search.text;
        let weight = |path: &str| match configured.is_empty() {
            true => Some(1.0),
            false => configured.iter().find(|weighted| weighted.path == path).map(|weighted| weighted.weight),
        };
        let texts = plan.fields.walk().filter(|field| field.mapping.kind == MappingKind::Text);
        let searched: Vec<_> = texts
            .filter(|field| is_indexed(plan, field))
            .filter_map(|field| Some((field, weight(&field.path)?)))
            .collect();
        let boosts = plan.search.boost.iter().filter_map(|boost| {
            let field = plan.fields.get(&boost.field)?;
            Some((Values::of(&plan.fields, field), boost.clone()))
        });
        let recency = plan.search.recency.as_ref().and_then(|recency| {
            let field = plan.fields.get(&recency.field)?;
            Some((Values::of(&plan.fields, field), recency.clone()))
        });
        Ok(Self {
            words: FreeText::new(text)?,
            paths: searched.iter().map(|(field, _)| field.path.clone()).collect(),
            fields: searched
                .iter()
                .map(|(field, weight)| (Values::of(&plan.fields, field), *weight))
                .collect(),
            boosts: boosts.collect(),
            recency,
        })
    }

    /// What each term adds to the score of a document, by field.
    pub(super) fn terms(&self, document: &Value) -> Vec<TermPart> {
        let (last, others) = self.words.last_and_others();
        let finished = others.iter().map(String::as_str).chain(last).map(|word| (word.to_owned(), word, 1.0));
        let unfinished = last.map(|word| (format!("{word}*"), word, UNFINISHED));
        let mut parts = Vec::new();
        for (term, wanted, points) in finished.chain(unfinished) {
            let holds = |word: &str| match term.ends_with('*') {
                true => word != wanted && word.starts_with(wanted),
                false => word == wanted,
            };
            for (path, (values, weight)) in self.paths.iter().zip(&self.fields) {
                let texts = values.texts(document);
                let mentions = texts.iter().flat_map(|text| words(text)).filter(|word| holds(&word.folded));
                let score: f64 = mentions.map(|_| weight * points).sum();
                if score > 0.0 {
                    parts.push(TermPart { field: path.clone(), term: term.clone(), score });
                }
            }
        }
        parts
    }

    /// The score of a document at this time; `None` where one of the words is in none of the fields.
    ///
    /// Mentions times the weight of their field. How rare a word and how long a text is, which the other stores weigh as well
    /// (BM25), is left out.
    pub(super) fn score(&self, document: &Value, now_ms: i64) -> Option<f64> {
        let (last, others) = self.words.last_and_others();
        let last = last?;
        let texts: Vec<(Vec<String>, f64)> = self
            .fields
            .iter()
            .map(|(values, weight)| {
                let texts = values.texts(document);
                (texts.iter().flat_map(|text| words(text)).map(|word| word.folded).collect(), *weight)
            })
            .collect();
        let sum = |points: &dyn Fn(&str) -> f64| {
            let of_text = |(words, weight): &(Vec<String>, f64)| {
                weight * words.iter().map(|word| points(word)).sum::<f64>()
            };
            Some(texts.iter().map(of_text).sum::<f64>()).filter(|sum| *sum > 0.0)
        };
        let unfinished = |word: &str| match word {
            word if word == last => 1.0,
            word if word.starts_with(last) => UNFINISHED,
            _ => 0.0,
        };
        let mut score = sum(&unfinished)?;
        for wanted in others {
            score += sum(&|word| if word == wanted { 1.0 } else { 0.0 })?;
        }
        let boosts: f64 =
            self.boosts.iter().map(|(values, boost)| boost.multiplier(largest(values, document))).product();
        let recency = self
            .recency
            .as_ref()
            .map_or(1.0, |(values, recency)| recency.multiplier(latest(values, document), now_ms));
        Some(score * boosts * recency)
    }
}

/// The largest of the numbers of a field.
pub(crate) fn largest(values: &Values, document: &Value) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a rank needs no 53rd bit")]
    let number = |key| match key {
        Key::Integer(integer) => Some(integer as f64),
        Key::Double(bits) => Some(f64::from_bits(bits)),
        Key::Text(_) | Key::Missing => None,
    };
    values.keys(document).into_iter().filter_map(number).reduce(f64::max)
}

/// The latest of the dates of a field, in milliseconds of Unix time.
pub(crate) fn latest(values: &Values, document: &Value) -> Option<i64> {
    let instant = |key| match key {
        Key::Integer(instant) => Some(instant),
        _ => None,
    };
    values.keys(document).into_iter().filter_map(instant).max()
}
