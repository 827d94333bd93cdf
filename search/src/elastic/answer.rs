//! What both engines answer to a search, as far as it is read.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// An answer to `_search`.
#[derive(Deserialize)]
pub(super) struct SearchAnswer<'a> {
    #[serde(default)]
    pub(super) timed_out: bool,
    #[serde(rename = "_shards", default)]
    pub(super) shards: Shards,
    #[serde(borrow, default)]
    pub(super) hits: Hits<'a>,
    #[serde(default)]
    pub(super) aggregations: Value,
}

/// How many parts of an index did what they were asked for.
#[derive(Deserialize, Default)]
pub(super) struct Shards {
    #[serde(default)]
    pub(super) failed: u64,
}

#[derive(Deserialize, Default)]
pub(super) struct Hits<'a> {
    #[serde(default)]
    pub(super) total: Total,
    #[serde(borrow, default)]
    pub(super) hits: Vec<AnsweredHit<'a>>,
}

#[derive(Deserialize, Default)]
pub(super) struct Total {
    pub(super) value: u64,
}

#[derive(Deserialize)]
pub(super) struct AnsweredHit<'a> {
    #[serde(rename = "_score", default)]
    pub(super) score: Option<f64>,
    #[serde(default)]
    pub(super) sort: Vec<Value>,
    #[serde(rename = "_source", borrow, default)]
    pub(super) source: Option<&'a RawValue>,
}
