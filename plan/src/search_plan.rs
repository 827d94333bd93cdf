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
