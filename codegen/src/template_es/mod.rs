//! The index templates for Elasticsearch and `OpenSearch`: a component of settings, and a composable template of mappings.
//!
//! Every index version is made by them, whoever creates it. The component carries what no document changes: settings,
//! analysis, and what is kept beside the document. The template refers to it, and is one walk of the fields.

mod analysis;
mod properties;
mod settings;

use plan::{IndexPlan, index_plan::StoreKind};
use serde_json::{Map, Value, json};

use self::properties::Properties;
use crate::config::Config;

/// Above 500, where the templates end that Elasticsearch brings along.
const PRIORITY: usize = 600;

/// Whose words the templates are written in, where the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Elasticsearch 8 and newer.
    Elasticsearch,
    /// `OpenSearch` 2.7 and newer: there are no `flat_object` fields before.
    OpenSearch,
}

impl Engine {
    /// The one that a store's templates are for. Who keeps documents in `SQLite` sees what Elasticsearch would get.
    pub(crate) fn of(kind: StoreKind) -> Self {
        match kind {
            StoreKind::Sqlite | StoreKind::Elasticsearch => Self::Elasticsearch,
            StoreKind::OpenSearch => Self::OpenSearch,
        }
    }
}

/// Both templates, each with its `name` and the `body` of its `PUT`: the component goes first.
///
/// `{"component_template": {"name", "body"}, "index_template": {"name", "body"}}`. Names have no `@`, with which
/// Elasticsearch marks its own, and no times: the same inputs give the same bytes.
pub fn index_templates(config: &Config, plan: &IndexPlan, engine: Engine) -> Value {
    let meta = json!({
        "managed_by": "studio-search",
        "index": plan.name,
        "plan": plan.hash(),
        "query": plan.fetch.query_hash,
    });
    let properties = Properties { plan, engine }.of_document();
    let beside = bookkeeping();
    let name = format!("studio-search-{}", plan.name);
    let component = format!("{name}-settings");
    json!({
        "component_template": {
            "name": component,
            "body": {
                "template": {
                    "settings": {
                        "index": settings::index(config, &[&properties, &beside]),
                        "analysis": analysis::analysis(),
                    },
                    "mappings": { "properties": beside },
                },
                "_meta": meta,
            },
        },
        "index_template": {
            "name": name,
            "body": {
                "index_patterns": [format!("{}-0*", plan.name)],
                "composed_of": [component],
                "priority": priority(&plan.name),
                "template": {
                    "mappings": { "dynamic": "strict", "_meta": meta, "properties": properties },
                },
                "_meta": meta,
            },
        },
    })
}

/// `movies-0*` also matches the versions of an index named `movies-0`. Templates that overlap need different priorities,
/// and the longer name is the one that is meant.
fn priority(name: &str) -> usize {
    PRIORITY + name.len()
}

/// What is kept beside the document. No response key can be in its way: the shape refuses those with two underscores.
fn bookkeeping() -> Map<String, Value> {
    let fields = json!({
        // `_id` can't be sorted by, and a tombstone has no key.
        "id": { "type": "keyword" },
        // The document as it was answered, where the fields beside it had to be adapted.
        "original": { "type": "object", "enabled": false },
        "fetched_at": { "type": "date" },
        "missing": { "type": "keyword" },
        "version": { "type": "long" },
        "deleted": { "type": "boolean" },
    });
    Map::from_iter([("__search".to_owned(), json!({ "properties": fields }))])
}
