//! What must hold before a new index version is served.

use serde::{Deserialize, Serialize};

/// The checks of a promotion. Whatever they are, a version that is not filled is never promoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChecksPlan {
    /// Its documents against those of the served version, at least, 0 to 1; `None`: however few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_count_ratio: Option<f64>,
    /// Paths of fields that documents must have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// The share of documents without one of these fields, at most, 0 to 1.
    pub max_missing: f64,
    /// Documents that are compared with the graph; 0: none.
    pub sample: usize,
}

impl Default for ChecksPlan {
    /// A few requests, which find with 95 % certainty what is wrong with three documents of a hundred.
    fn default() -> Self {
        Self { min_count_ratio: None, required: Vec::new(), max_missing: 0.0, sample: 100 }
    }
}
