//! The graph's schema, whatever it was written in: types, their keys, and the subgraphs that own their fields.

mod federation;
mod introspection;
mod sdl;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use plan::{Diagnostic, SourceText};

pub use self::introspection::INTROSPECTION_QUERY;

/// A schema as the gateway's callers see it: the machinery of federation and inaccessible elements are gone.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub(crate) types: BTreeMap<String, TypeDef>,
    pub(crate) directives: BTreeMap<String, DirectiveDef>,
    /// The name of the type of queries.
    pub(crate) query: String,
    /// Subgraph names and routing URLs.
    pub(crate) subgraphs: BTreeMap<String, String>,
    /// Whether it could tell keys if there were any: SDL with at least one `@key`, or a supergraph.
    pub(crate) tells_keys: bool,
}

/// What a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TypeKind {
    #[default]
    Scalar,
    Object,
    Interface,
    Union,
    Enum,
    Input,
}

/// A type.
#[derive(Debug, Default)]
pub(crate) struct TypeDef {
    pub(crate) name: String,
    pub(crate) kind: TypeKind,
    pub(crate) fields: Vec<FieldDef>,
    pub(crate) interfaces: Vec<String>,
    /// The types of a union.
    pub(crate) members: Vec<String>,
    /// The values of an enum.
    pub(crate) values: Vec<String>,
    /// The fields of an input object.
    pub(crate) inputs: Vec<InputDef>,
    pub(crate) one_of: bool,
    /// The keys, each the names of its fields; nested selections make a key composite.
    pub(crate) keys: Vec<Key>,
}

/// A key of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The selection as it is written, such as `movieId` or `org { id } number`.
    pub(crate) selection: String,
}

impl Key {
    /// The one field of a simple key.
    pub(crate) fn field(&self) -> Option<&str> {
        let mut words = self.selection.split_whitespace();
        let first = words.next()?;
        (words.next().is_none() && !first.contains(['{', ','])).then_some(first)
    }
}

/// A field of an object or an interface.
#[derive(Debug, Default)]
pub(crate) struct FieldDef {
    pub(crate) name: String,
    pub(crate) doc: Option<String>,
    pub(crate) arguments: Vec<InputDef>,
    pub(crate) ty: TypeRef,
    /// The subgraphs that can answer it.
    pub(crate) owners: BTreeSet<String>,
}

/// An argument, or a field of an input object.
#[derive(Debug, Clone, Default)]
pub(crate) struct InputDef {
    pub(crate) name: String,
    pub(crate) ty: TypeRef,
    /// The default as GraphQL text.
    pub(crate) default: Option<String>,
}

/// A directive that a query may use.
#[derive(Debug, Default)]
pub(crate) struct DirectiveDef {
    pub(crate) arguments: Vec<InputDef>,
    pub(crate) repeatable: bool,
    pub(crate) locations: Vec<String>,
}

/// A type with its lists and exclamation marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeRef {
    Named(String),
    List(Box<TypeRef>),
    NonNull(Box<TypeRef>),
}

impl Default for TypeRef {
    fn default() -> Self {
        Self::Named(String::new())
    }
}

impl TypeRef {
    /// The innermost name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::List(inner) | Self::NonNull(inner) => inner.name(),
        }
    }

    /// How many lists surround the name.
    pub(crate) fn list_depth(&self) -> u8 {
        match self {
            Self::Named(_) => 0,
            Self::NonNull(inner) => inner.list_depth(),
            Self::List(inner) => inner.list_depth().saturating_add(1),
        }
    }

    pub(crate) fn is_nullable(&self) -> bool {
        !matches!(self, Self::NonNull(_))
    }
}

impl fmt::Display for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::List(inner) => write!(f, "[{inner}]"),
            Self::NonNull(inner) => write!(f, "{inner}!"),
        }
    }
}

impl Schema {
    /// Reads a supergraph SDL, a plain SDL, or the JSON answer of an introspection.
    pub(crate) fn parse(source: &Arc<SourceText>) -> Result<Self, Vec<Diagnostic>> {
        let text = source.text.trim_start_matches('\u{feff}').trim_start();
        if text.starts_with('{') {
            return introspection::parse(source).map_err(|diagnostic| vec![*diagnostic]);
        }
        let document = sdl::parse(source).map_err(|diagnostic| vec![*diagnostic])?;
        federation::schema(document, source)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&TypeDef> {
        self.types.get(name)
    }

    /// The object types that a value of this type can be.
    pub(crate) fn possible(&self, name: &str) -> BTreeSet<&str> {
        let Some(ty) = self.types.get(name) else { return BTreeSet::new() };
        match ty.kind {
            TypeKind::Object => BTreeSet::from([ty.name.as_str()]),
            TypeKind::Union => ty.members.iter().map(String::as_str).collect(),
            TypeKind::Interface => {
                let implements =
                    |ty: &&TypeDef| ty.kind == TypeKind::Object && ty.interfaces.iter().any(|i| i == name);
                self.types.values().filter(implements).map(|ty| ty.name.as_str()).collect()
            }
            _ => BTreeSet::new(),
        }
    }

    /// The entities among the object types that a value of this type can be.
    pub(crate) fn entities(&self, name: &str) -> Vec<&TypeDef> {
        let types = self.possible(name).into_iter().filter_map(|name| self.types.get(name));
        types.filter(|ty| !ty.keys.is_empty()).collect()
    }
}

impl TypeDef {
    pub(crate) fn field(&self, name: &str) -> Option<&FieldDef> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(crate) fn is_composite(&self) -> bool {
        matches!(self.kind, TypeKind::Object | TypeKind::Interface | TypeKind::Union)
    }

    /// The fields of its keys that consist of one field, in the schema's order.
    pub(crate) fn simple_keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(Key::field)
    }
}
