//! Counting the values of a field over the documents that match.

use plan::{Field, IndexPlan, field::MappingKind, filter::date};
use serde_json::{Value, json};

use super::layout::{nested_around, value_field};
use crate::{FacetValue, response::MAX_FACET_VALUES};

/// Values that each shard tells of. An index of one shard is counted exactly; one of several is, too, unless a value is
/// not among the most frequent thousands anywhere.
const VALUES_A_SHARD: usize = 5_000;

/// The aggregation of one field.
pub(super) fn aggregation(plan: &IndexPlan, field: &Field) -> Value {
    let name = value_field(&field.path, field.mapping.kind);
    let terms = |by: &str| {
        json!({
            "field": name, "size": MAX_FACET_VALUES, "shard_size": VALUES_A_SHARD,
            // Equal counts need an order of their own, or two answers would differ.
            "order": [{by: "desc"}, {"_key": "asc"}],
        })
    };
    match nested_around(plan, &field.path) {
        None => json!({"terms": terms("_count")}),
        // Elements are what is met; documents are what is counted.
        Some(list) => json!({
            "nested": {"path": list},
            "aggs": {"values": {"terms": terms("documents"), "aggs": {"documents": {"reverse_nested": {}}}}},
        }),
    }
}

/// Reads what the aggregation answered.
pub(super) fn values(field: &Field, answer: &Value) -> Vec<FacetValue> {
    let buckets = answer.get("values").unwrap_or(answer).get("buckets").and_then(Value::as_array);
    let read = |bucket: &Value| {
        let count = bucket.get("documents").unwrap_or(bucket).get("doc_count")?.as_u64()?;
        Some(FacetValue { value: to_json(field.mapping.kind, bucket.get("key")?), count })
    };
    buckets.into_iter().flatten().filter_map(read).collect()
}

fn to_json(kind: MappingKind, key: &Value) -> Value {
    match (kind, key.as_i64()) {
        (MappingKind::Boolean, Some(truth)) => Value::from(truth != 0),
        (MappingKind::Date, Some(instant)) => Value::from(date::timestamp(instant).to_string()),
        _ => key.clone(),
    }
}
