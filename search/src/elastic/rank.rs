//! What numbers and dates of a document multiply its score with, in the engines' query language.

use plan::index_plan::{Boost, BoostModifier, Recency, SearchPlan};
use serde_json::{Value, json};

use super::adapt::moment;

/// A query whose score is multiplied as the plan says, as seen from `now_ms`.
pub(super) fn ranked(plan: &SearchPlan, query: Value, now_ms: i64) -> Value {
    let boosted = plan.boost.iter().fold(query, |query, boost| multiplied(&query, &boosts(boost)));
    match &plan.recency {
        Some(recency) => multiplied(&boosted, &recencies(recency, now_ms)),
        None => boosted,
    }
}

/// The score times 1 + what the functions add.
fn multiplied(query: &Value, functions: &[Value]) -> Value {
    let one = [json!({"weight": 1.0})];
    let functions: Vec<&Value> = one.iter().chain(functions).collect();
    json!({"function_score": {
        "query": query, "score_mode": "sum", "boost_mode": "multiply", "functions": functions,
    }})
}

/// factor × number: a document without the number, or with a negative one, is neither raised nor lowered.
fn boosts(Boost { field, modifier, factor }: &Boost) -> [Value; 1] {
    let modifier = match modifier {
        BoostModifier::None => "none",
        BoostModifier::Log1p => "log1p",
        BoostModifier::Sqrt => "sqrt",
    };
    [json!({
        "filter": {"range": {field.as_str(): {"gt": 0}}},
        "field_value_factor": {"field": field, "modifier": modifier, "missing": 0},
        "weight": factor,
    })]
}

/// factor × 0.5 ^ (age / half-life). The engines' decay falls on both sides of now; a date in the future counts as now, and of several
/// dates they take the nearest, which is the latest where none is in the future.
fn recencies(Recency { field, half_life_ms, factor }: &Recency, now_ms: i64) -> [Value; 2] {
    let now = moment(now_ms);
    let in_future = json!({"range": {field.as_str(): {"gt": now}}});
    let dated = json!({"exists": {"field": field}});
    [
        json!({"filter": in_future, "weight": factor}),
        json!({
            "filter": {"bool": {"filter": [dated], "must_not": [in_future]}},
            "exp": {field.as_str(): {"origin": now, "scale": format!("{half_life_ms}ms"), "decay": 0.5}},
            "weight": factor,
        }),
    ]
}
