//! The mapping of a document: one walk of the fields.

use plan::{
    Field, FieldKind, IndexPlan,
    field::{KeywordForm, MappingKind},
};
use serde_json::{Map, Value, json};

use super::{Engine, analysis::LONGEST_TOKEN};

/// The dates that the filter language reads: ISO 8601 with and without a time, and the form in which databases write it,
/// with a space and a fraction of three, six or nine digits; and numbers of milliseconds.
const DATES: &str = "strict_date_optional_time_nanos||strict_date_optional_time\
    ||uuuu-MM-dd HH:mm:ss[.SSSSSSSSS][.SSSSSS][.SSS][XXX][XX][X]||epoch_millis";

/// JSON as deep as the program reads it. Elasticsearch's own limit is 20.
const FLATTENED_DEPTH: u32 = 128;

/// What the walk needs to know.
#[derive(Clone, Copy)]
pub(super) struct Properties<'a> {
    pub(super) plan: &'a IndexPlan,
    pub(super) engine: Engine,
}

impl Properties<'_> {
    /// The properties of the whole document, virtual fields among them.
    pub(super) fn of_document(self) -> Map<String, Value> {
        self.of(&self.plan.fields.0)
    }

    fn of(self, fields: &[Field]) -> Map<String, Value> {
        // A virtual field that can't be searched receives nothing, and isn't in the document either.
        let fields = fields.iter().filter(|field| field.kind != FieldKind::Virtual || field.mapping.indexed);
        fields.map(|field| (field.name.clone(), self.property(field))).collect()
    }

    fn property(self, field: &Field) -> Value {
        let mapping = &field.mapping;
        if !mapping.indexed {
            // Not even read: nothing in it can keep the document from being indexed.
            return json!({ "type": "object", "enabled": false });
        }
        let mut property = match mapping.kind {
            MappingKind::Object => return json!({ "properties": self.of(&field.children) }),
            MappingKind::Nested => {
                return json!({ "type": "nested", "properties": self.of(&field.children) });
            }
            MappingKind::Flattened => return self.flattened(),
            MappingKind::Boolean => return self.boolean(),
            MappingKind::Long => return forgiving("long"),
            MappingKind::Double => return forgiving("double"),
            MappingKind::GeoPoint => return forgiving("geo_point"),
            MappingKind::Date => {
                let mut date = forgiving("date");
                date["format"] = json!(DATES);
                return date;
            }
            MappingKind::Text => text(mapping.analyzer.as_deref()),
            MappingKind::Keyword => keyword(),
        };
        let target = mapping.copy_to.as_deref().filter(|target| self.is_indexed(target));
        if let Some(target) = target {
            property["copy_to"] = json!(target);
        }
        let fields = self.sub_fields(field);
        if !fields.is_empty() {
            property["fields"] = Value::Object(fields);
        }
        property
    }

    fn flattened(self) -> Value {
        match self.engine {
            Engine::Elasticsearch => {
                json!({ "type": "flattened", "ignore_above": LONGEST_TOKEN, "depth_limit": FLATTENED_DEPTH })
            }
            // It takes no parameters, and refuses a document with a value past 32,766 bytes.
            Engine::OpenSearch => json!({ "type": "flat_object" }),
        }
    }

    fn boolean(self) -> Value {
        match self.engine {
            Engine::Elasticsearch => forgiving("boolean"),
            Engine::OpenSearch => json!({ "type": "boolean" }),
        }
    }

    fn is_indexed(self, path: &str) -> bool {
        self.plan.fields.get(path).is_some_and(|field| field.mapping.indexed)
    }

    /// The same value indexed in other ways: whole, whole in lower case, as the words of the filter language, and by its
    /// prefixes. A completion suggester would be faster than prefixes, and would show what a filter must hide.
    fn sub_fields(self, field: &Field) -> Map<String, Value> {
        let mapping = &field.mapping;
        let search = &self.plan.search;
        let mut fields = Map::new();
        if let Some(form) = mapping.keyword {
            fields.insert("raw".into(), keyword());
            if form == KeywordForm::Lowercase {
                let mut lowercase = keyword();
                lowercase["normalizer"] = json!("lowercase");
                fields.insert("lowercase".into(), lowercase);
            }
        }
        let has_words = match mapping.kind {
            // `MATCHES` means one fixed analysis, whatever the field's own is.
            MappingKind::Text => analyzer(mapping.analyzer.as_deref()).0 != "words",
            _ => search.text.iter().any(|text| text.path == field.path),
        };
        if has_words {
            let words =
                json!({ "type": "text", "analyzer": "words", "norms": false, "index_options": "docs" });
            fields.insert("words".into(), words);
        }
        let is_suggested = mapping.suggest || search.suggest.contains(&field.path);
        if is_suggested && mapping.analyzer.as_deref() != Some("prefix") {
            fields.insert("prefix".into(), text(Some("prefix")));
        }
        fields
    }
}

/// A value that doesn't fit its field's type counts as missing, in every store; the document is indexed all the same.
fn forgiving(kind: &str) -> Value {
    json!({ "type": kind, "ignore_malformed": true })
}

fn keyword() -> Value {
    json!({ "type": "keyword", "ignore_above": LONGEST_TOKEN })
}

fn text(name: Option<&str>) -> Value {
    match analyzer(name) {
        (analyzer, None) => json!({ "type": "text", "analyzer": analyzer }),
        (analyzer, Some(search)) => {
            json!({ "type": "text", "analyzer": analyzer, "search_analyzer": search })
        }
    }
}

/// The analyzers of what is stored and of what is typed, by the configuration's word.
fn analyzer(name: Option<&str>) -> (&str, Option<&str>) {
    match name {
        None | Some("standard") => ("words", None),
        Some("title") => ("title", Some("title_search")),
        Some("name") => ("name", Some("name_search")),
        Some("prefix") => ("prefix", Some("prefix_search")),
        Some(other) => (other, None),
    }
}
