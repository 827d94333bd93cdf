//! The composable index template for Elasticsearch and `OpenSearch`: one walk of the fields.

use plan::{
    Field, IndexPlan,
    field::{KeywordForm, MappingKind},
};
use serde_json::{Map, Value, json};

use crate::config::Config;

/// Above 500, where the templates end that Elasticsearch brings along.
const PRIORITY: u32 = 600;

/// Longer values are not indexed as keywords: Lucene refuses terms past 32,766 bytes, and a character has up to four.
const IGNORE_ABOVE: u32 = 8_191;

/// The body of `PUT _index_template/<name>`.
pub(crate) fn template(config: &Config, plan: &IndexPlan) -> Value {
    let meta = json!({
        "managed_by": "studio-search",
        "plan": plan.hash(),
        "query": plan.fetch.query_hash,
    });
    let mut index: Map<String, Value> = config
        .store
        .settings
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    // Left unset, a shard that nobody searches stops refreshing, and reverse lookups see the past.
    index.entry("refresh_interval").or_insert_with(|| json!("1s"));
    let mut properties = properties(&plan.fields.0);
    properties.insert("__search".into(), bookkeeping());
    json!({
        "index_patterns": [format!("{}-0*", plan.name)],
        "priority": PRIORITY,
        "template": {
            "settings": { "index": index, "analysis": analysis() },
            "mappings": { "dynamic": "strict", "_meta": meta, "properties": properties },
        },
        "_meta": meta,
    })
}

/// What is kept beside the document.
fn bookkeeping() -> Value {
    json!({
        "properties": {
            "fetched_at": { "type": "date" },
            "missing": { "type": "keyword" },
            "version": { "type": "long" },
            "deleted": { "type": "boolean" },
        }
    })
}

/// Analyzers that generalise: titles and names fold accents and case; English is stemmed; prefixes are for typing.
fn analysis() -> Value {
    json!({
        "normalizer": {
            "lowercase": { "type": "custom", "filter": ["lowercase", "asciifolding"] },
        },
        "filter": {
            "edges": { "type": "edge_ngram", "min_gram": 1, "max_gram": 20 },
            "joined": { "type": "word_delimiter_graph", "catenate_all": true, "preserve_original": true },
            "english_possessive": { "type": "stemmer", "language": "possessive_english" },
            "english_stemmer": { "type": "stemmer", "language": "english" },
        },
        "analyzer": {
            "title": { "type": "custom", "tokenizer": "whitespace", "filter": ["joined", "lowercase", "asciifolding", "flatten_graph"] },
            "name": { "type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding"] },
            "english": { "type": "custom", "tokenizer": "standard", "filter": ["english_possessive", "lowercase", "asciifolding", "english_stemmer"] },
            "prefix": { "type": "custom", "tokenizer": "standard", "filter": ["lowercase", "asciifolding", "edges"] },
        },
    })
}

fn properties(fields: &[Field]) -> Map<String, Value> {
    fields.iter().map(|field| (field.name.clone(), property(field))).collect()
}

fn property(field: &Field) -> Value {
    let mapping = &field.mapping;
    let mut property = Map::new();
    match mapping.kind {
        MappingKind::Object | MappingKind::Nested if !mapping.indexed => {
            // `nested` can't be disabled, and what can't be searched needs no elements kept apart.
            return json!({ "type": "object", "enabled": false });
        }
        MappingKind::Object => {
            return json!({ "properties": properties(&field.children) });
        }
        MappingKind::Nested => {
            return json!({ "type": "nested", "properties": properties(&field.children) });
        }
        MappingKind::Text => {
            property.insert("type".into(), json!("text"));
            if let Some(analyzer) = &mapping.analyzer {
                property.insert("analyzer".into(), json!(analyzer));
                // Prefixes are made of what is stored; of what is typed they would match nearly everything.
                if analyzer == "prefix" {
                    property.insert("search_analyzer".into(), json!("name"));
                }
            }
        }
        MappingKind::Keyword => {
            property.insert("type".into(), json!("keyword"));
            property.insert("ignore_above".into(), json!(IGNORE_ABOVE));
        }
        MappingKind::Long => drop(property.insert("type".into(), json!("long"))),
        MappingKind::Double => drop(property.insert("type".into(), json!("double"))),
        MappingKind::Boolean => drop(property.insert("type".into(), json!("boolean"))),
        MappingKind::GeoPoint => drop(property.insert("type".into(), json!("geo_point"))),
        MappingKind::Flattened => drop(property.insert("type".into(), json!("flattened"))),
        MappingKind::Date => {
            property.insert("type".into(), json!("date"));
            property
                .insert("format".into(), json!("strict_date_optional_time_nanos||strict_date_optional_time"));
        }
    }
    if !mapping.indexed {
        property.insert("index".into(), json!(false));
        if mapping.kind != MappingKind::Text {
            property.insert("doc_values".into(), json!(false));
        }
        return Value::Object(property);
    }
    if let Some(target) = &mapping.copy_to {
        property.insert("copy_to".into(), json!(target));
    }
    let fields = sub_fields(field);
    if !fields.is_empty() {
        property.insert("fields".into(), Value::Object(fields));
    }
    Value::Object(property)
}

/// The same value indexed in other ways: whole, whole in lower case, and by its prefixes.
fn sub_fields(field: &Field) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some(form) = field.mapping.keyword {
        fields.insert("raw".into(), json!({ "type": "keyword", "ignore_above": IGNORE_ABOVE }));
        if form == KeywordForm::Lowercase {
            let lowercase =
                json!({ "type": "keyword", "normalizer": "lowercase", "ignore_above": IGNORE_ABOVE });
            fields.insert("lowercase".into(), lowercase);
        }
    }
    if field.mapping.suggest {
        fields.insert(
            "prefix".into(),
            json!({ "type": "text", "analyzer": "prefix", "search_analyzer": "name" }),
        );
    }
    fields
}
