//! Where a field's values stand in the index: the sub-fields that the templates make, and the nested list around them.

use plan::{
    Field, IndexPlan,
    field::{KeywordForm, MappingKind},
};
use serde_json::{Value, json};

/// What is kept beside the document: the fields below `__search`.
pub(super) const ID: &str = "__search.id";
pub(super) const VERSION: &str = "__search.version";
pub(super) const DELETED: &str = "__search.deleted";

/// The field of whole values.
pub(super) fn value_field(path: &str, kind: MappingKind) -> String {
    match kind {
        MappingKind::Text => format!("{path}.raw"),
        _ => path.to_owned(),
    }
}

/// The field to sort by.
pub(super) fn sort_field(field: &Field) -> String {
    match (field.mapping.kind, field.mapping.keyword) {
        (MappingKind::Text, Some(KeywordForm::Lowercase)) => format!("{}.lowercase", field.path),
        (kind, _) => value_field(&field.path, kind),
    }
}

/// The field of the words of the filter language.
pub(super) fn words_field(field: &Field) -> String {
    if has_plain_analyzer(field) { field.path.clone() } else { format!("{}.words", field.path) }
}

/// Whether the field's own analyzer is that of the filter language.
pub(super) fn has_plain_analyzer(field: &Field) -> bool {
    matches!(field.mapping.analyzer.as_deref(), None | Some("standard"))
}

/// The innermost nested list around a field, itself left out.
pub(super) fn nested_around(plan: &IndexPlan, path: &str) -> Option<String> {
    let line = plan.fields.ancestry(path)?;
    let (_, parents) = line.split_last()?;
    let list = parents.iter().rfind(|field| field.mapping.kind == MappingKind::Nested)?;
    Some(list.path.clone())
}

/// A condition on an element of a nested list, or on the document where there is none.
pub(super) fn in_nested(list: Option<&str>, query: Value) -> Value {
    match list {
        Some(path) => json!({"nested": {"path": path, "query": query, "score_mode": "max"}}),
        None => query,
    }
}

/// The condition of documents that can be found, and what the served alias lets through: no tombstones.
pub fn is_live() -> Value {
    json!({"term": {DELETED: false}})
}
