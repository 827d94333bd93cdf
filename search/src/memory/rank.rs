//! How well a document fits a free text.

use plan::{
    IndexPlan,
    field::MappingKind,
    filter::words::words,
    index_plan::{Boost, BoostModifier},
};
use serde_json::Value;

use super::{is_indexed, values::Values};
use crate::{SearchError, cursor::Key, text::FreeText};

/// What an unfinished word counts beside a finished one.
const UNFINISHED: f64 = 0.1;

/// A free text with the fields that it is searched in.
pub(super) struct SearchedText {
    pub(super) words: FreeText,
    pub(super) paths: Vec<String>,
    /// The fields of those paths with their weights.
    fields: Vec<(Values, f64)>,
    boosts: Vec<(Values, Boost)>,
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
        Ok(Self {
            words: FreeText::new(text)?,
            paths: searched.iter().map(|(field, _)| field.path.clone()).collect(),
            fields: searched
                .iter()
                .map(|(field, weight)| (Values::of(&plan.fields, field), *weight))
                .collect(),
            boosts: boosts.collect(),
        })
    }

    /// The score of a document; `None` where one of the words is in none of the fields.
    ///
    /// Mentions times the weight of their field. How rare a word and how long a text is, which the other stores weigh as well
    /// (BM25), is left out.
    pub(super) fn score(&self, document: &Value) -> Option<f64> {
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
        Some(
            score
                * self.boosts.iter().map(|(values, boost)| factor(values, boost, document)).product::<f64>(),
        )
    }
}

/// What a number of the document multiplies its score with: of several the largest; none, or a negative one, changes nothing.
fn factor(values: &Values, boost: &Boost, document: &Value) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rank needs no 53rd bit")]
    let numbers = values.keys(document).into_iter().map(|key| match key {
        Key::Integer(integer) => integer as f64,
        Key::Double(bits) => f64::from_bits(bits),
        Key::Text(_) | Key::Missing => 0.0,
    });
    let number = numbers.fold(0.0, f64::max);
    let modified = match boost.modifier {
        BoostModifier::None => number,
        BoostModifier::Log1p => (1.0 + number).log10(),
        BoostModifier::Sqrt => number.sqrt(),
    };
    1.0 + boost.factor * modified
}
