//! The field tree: each path of the document with its GraphQL type, its owners and the way it is indexed.

use serde::{Deserialize, Serialize};

use crate::diagnostic::nearest;

/// One field of the document, named by its response key (the alias, where the query gives one).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The response key.
    pub name: String,
    /// Response keys from the document's root, joined by dots: the name that filters and `fields:` use.
    pub path: String,
    /// Leaf, object, or a virtual field of the index.
    pub kind: FieldKind,
    /// The innermost GraphQL type, such as `Talent`; empty for a virtual field.
    pub type_name: String,
    /// The whole GraphQL type, such as `[Talent!]!`; empty for a virtual field.
    pub graphql_type: String,
    /// How many lists surround the value.
    pub list_depth: u8,
    /// Whether the value may be null or absent, by its type or by a type condition above it.
    pub nullable: bool,
    /// The values of an enum, in the schema's order; empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enum_values: Vec<String>,
    /// The subgraphs that can answer this field, sorted; empty where the schema doesn't tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// The description of the query's comment or else of the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// How it is indexed.
    pub mapping: Mapping,
    /// The fields of an object, in the query's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Field>,
}

/// What a field is in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// A scalar or an enum (or lists of them).
    Leaf,
    /// An object with children (or lists of it).
    Object,
    /// Exists only in the index, filled by `copy_to`.
    Virtual,
}

/// How a field is indexed, the same words for every store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// The type in the index.
    pub kind: MappingKind,
    /// Whether it can be searched, filtered, sorted and counted at all; the document carries it either way.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub indexed: bool,
    /// The analyzer of a text field; `None` is the standard one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyzer: Option<String>,
    /// Whether a text field also keeps its whole value for `==`, sorting and facets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<KeywordForm>,
    /// Whether prefixes of it are suggested.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suggest: bool,
    /// The virtual field that also receives its values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_to: Option<String>,
}

/// The type of a field in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingKind {
    /// Analysed words. The default of `String`, together with `keyword: raw`.
    Text,
    /// The exact value. The default of `ID` and of enums.
    Keyword,
    /// A 64-bit integer. The default of `Int`.
    Long,
    /// A 64-bit float. The default of `Float`.
    Double,
    /// The default of `Boolean`.
    Boolean,
    /// ISO 8601 text, compared at milliseconds.
    Date,
    /// An object with `lat` and `lon`.
    GeoPoint,
    /// An object of unknown keys whose leaves are keywords.
    Flattened,
    /// An object whose fields are indexed with the parent's. In a list, conditions match across elements.
    Object,
    /// A list of objects whose elements can be bound one by one. The default of a list of objects.
    Nested,
}

/// How the whole value of a text field is kept beside its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeywordForm {
    /// As it is.
    Raw,
    /// As it is for facets and `==`, and in lower case without accents for sorting.
    Lowercase,
}

impl Mapping {
    /// The plain mapping of this type.
    pub fn of(kind: MappingKind) -> Self {
        Self { kind, indexed: true, analyzer: None, keyword: None, suggest: false, copy_to: None }
    }

    /// Whether the exact value can be compared, sorted and counted.
    pub fn has_exact_value(&self) -> bool {
        self.indexed
            && match self.kind {
                MappingKind::Text => self.keyword.is_some(),
                MappingKind::Object
                | MappingKind::Nested
                | MappingKind::Flattened
                | MappingKind::GeoPoint => false,
                _ => true,
            }
    }
}

/// The fields of a document, in the query's order, virtual ones last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldTree(pub Vec<Field>);

impl FieldTree {
    /// The field at a path.
    pub fn get(&self, path: &str) -> Option<&Field> {
        self.ancestry(path)?.pop()
    }

    /// The fields from the root down to the path, itself last; `None` where the path names nothing.
    pub fn ancestry(&self, path: &str) -> Option<Vec<&Field>> {
        let mut level = &self.0;
        let mut found = Vec::new();
        for name in path.split('.') {
            let field = level.iter().find(|field| field.name == name)?;
            level = &field.children;
            found.push(field);
        }
        Some(found)
    }

    /// The path that is meant by one that names nothing: the nearest as a whole, else the first that ends in its last
    /// name or in one that is near it.
    pub fn nearest(&self, path: &str) -> Option<&str> {
        let last = path.rsplit('.').next().unwrap_or(path);
        let named = || {
            let name = nearest(last, self.walk().map(|field| field.name.as_str()))?;
            self.walk().find(|field| field.name == name).map(|field| field.path.as_str())
        };
        nearest(path, self.walk().map(|field| field.path.as_str())).or_else(named)
    }

    /// Every field, parents before children.
    pub fn walk(&self) -> impl Iterator<Item = &Field> {
        let mut stack: Vec<&Field> = self.0.iter().rev().collect();
        std::iter::from_fn(move || {
            let field = stack.pop()?;
            stack.extend(field.children.iter().rev());
            Some(field)
        })
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_true(value: &bool) -> bool {
    *value
}
