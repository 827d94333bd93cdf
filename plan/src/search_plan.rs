//! What searches of an index read, and how they rank what they find.

use serde::{Deserialize, Serialize};

use crate::access_plan::AccessPlan;

/// What free text searches and how hits are ranked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SearchPlan {
    /// The text fields with their weights; empty: every text field, weight 1.
    pub text: Vec<WeightedPath>,
    /// The facets shown where a search asks for none.
    pub facets: Vec<String>,
    /// The fields whose prefixes are suggested.
    pub suggest: Vec<String>,
    /// Numbers that raise the rank.
    pub boost: Vec<Boost>,
    /// A date that raises the rank the more, the later it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recency: Option<Recency>,
    /// Who may see what; `None`: whoever may ask sees everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<AccessPlan>,
}

/// A path with its weight in the rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightedPath {
    /// The field.
    pub path: String,
    /// Its weight, greater than 0.
    pub weight: f64,
}

/// A number of the document that raises the rank: score * (1 + factor * modifier(value)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boost {
    /// A `long` or `double` field.
    pub field: String,
    /// Applied to the value first.
    pub modifier: BoostModifier,
    /// Multiplies the result.
    pub factor: f64,
}

impl Boost {
    /// What the score is multiplied by for the largest of the field's values. None, or a negative one, changes nothing.
    pub fn multiplier(&self, number: Option<f64>) -> f64 {
        let number = number.unwrap_or(0.0).max(0.0);
        let modified = match self.modifier {
            BoostModifier::None => number,
            BoostModifier::Log1p => number.ln_1p() / std::f64::consts::LN_10,
            BoostModifier::Sqrt => number.sqrt(),
        };
        1.0 + self.factor * modified
    }
}

/// A date of the document that raises the rank, halving what it adds with each half-life of age:
/// score * (1 + factor * 0.5 ^ (age / half-life)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recency {
    /// A `date` field.
    pub field: String,
    /// The age in milliseconds at which the date adds half of what it adds at age 0; greater than 0.
    pub half_life_ms: u64,
    /// What a date of now adds; 0 or more.
    pub factor: f64,
}

impl Recency {
    /// What the score is multiplied by for the latest of the field's dates, both in milliseconds of Unix time. A date in the future counts as
    /// now, and a document without one is neither raised nor lowered.
    pub fn multiplier(&self, latest: Option<i64>, now_ms: i64) -> f64 {
        let Some(latest) = latest else { return 1.0 };
        #[expect(clippy::cast_precision_loss, reason = "a rank needs no 53rd bit")]
        let (age, half_life) = (now_ms.saturating_sub(latest).max(0) as f64, self.half_life_ms as f64);
        1.0 + self.factor * (-age / half_life).exp2()
    }
}

/// What is applied to a boosting value before its factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoostModifier {
    /// The value itself.
    None,
    /// log10(1 + value).
    Log1p,
    /// The square root.
    Sqrt,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_date_adds_halves_with_each_half_life() {
        let recency = Recency { field: "at".to_owned(), half_life_ms: 1_000, factor: 2.0 };
        let dates = [Some(10_000), Some(i64::MAX), Some(9_000), Some(8_000), Some(i64::MIN), None];
        for (latest, wanted) in dates.into_iter().zip([3.0, 3.0, 2.0, 1.5, 1.0, 1.0]) {
            let multiplier = recency.multiplier(latest, 10_000);
            assert!((multiplier - wanted).abs() < 1e-12, "{latest:?}: {multiplier}");
        }
    }
}
