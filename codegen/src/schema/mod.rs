//! The graph's schema, whatever it was written in: types, their keys, and the subgraphs that own their fields.

mod federation;
mod introspection;
mod sdl;

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use plan::{Diagnostic, SourceText};

pub use self::introspection::INTROSPECTION_QUERY;

/// A schema as the gateway's callers see it: the machinery of federation and inaccessible elements are gone.
///
/// It is an index of names: a type is read when it is asked for, for a query touches few of them.
#[derive(Debug)]
pub(crate) struct Schema {
    types: BTreeMap<String, Entry>,
    source: Arc<SourceText>,
    /// The subgraphs of a supergraph by the names that `join__` directives use.
    graphs: BTreeMap<String, Graph>,
    /// What was found wrong in types that were asked for.
    failures: RefCell<Vec<Diagnostic>>,
    pub(crate) directives: BTreeMap<String, DirectiveDef>,
    /// The name of the type of queries.
    pub(crate) query: String,
    /// Subgraph names and routing URLs.
    pub(crate) subgraphs: BTreeMap<String, String>,
    /// Whether it could tell keys if there were any: SDL with at least one `@key`, or a supergraph.
    pub(crate) tells_keys: bool,
}

/// A subgraph as `enum join__Graph` names it.
#[derive(Debug)]
struct Graph {
    name: String,
    url: String,
}

/// A type in the index.
#[derive(Debug, Default)]
struct Entry {
    kind: TypeKind,
    interfaces: Vec<String>,
    written: Written,
    /// Boxed: of a thousand types a query reads a dozen.
    read: OnceCell<Box<TypeDef>>,
}

/// Where a type is written.
#[derive(Debug)]
enum Written {
    /// Its definition and its extensions, each from its keyword on.
    Sdl(Vec<sdl::Part>),
    Json(introspection::Parts),
}

impl Default for Written {
    fn default() -> Self {
        Self::Sdl(Vec::new())
    }
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
    /// The subgraphs that define it, with the way each does; empty where the schema doesn't tell.
    pub(crate) subgraphs: BTreeMap<String, Definer>,
    /// The members of a union, or the interfaces of another type, as each subgraph knows them: (subgraph, name).
    pub(crate) relations: BTreeSet<(String, String)>,
}

/// How a subgraph defines a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Definer {
    /// Whether the gateway can ask it for an object by a key, from anywhere.
    pub(crate) by_key: bool,
    /// Whether an interface is an object there (`@interfaceObject`): it can't tell which type implements it.
    pub(crate) is_interface_object: bool,
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
    /// The subgraphs that can answer it, wherever the gateway can ask them for its parent.
    pub(crate) owners: BTreeSet<String>,
    /// Whether it comes from an interface that is an object in some subgraph, which answers it then.
    pub(crate) is_of_interface: bool,
    /// What a subgraph answers below this field and nowhere else (`@provides`): the subgraph and the selection.
    pub(crate) provides: Vec<(String, String)>,
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
    fn new(source: &Arc<SourceText>, query: String) -> Self {
        Self {
            types: BTreeMap::new(),
            source: Arc::clone(source),
            graphs: BTreeMap::new(),
            failures: RefCell::default(),
            directives: BTreeMap::new(),
            query,
            subgraphs: BTreeMap::new(),
            tells_keys: false,
        }
    }

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
        let (name, entry) = self.types.get_key_value(name)?;
        let read = entry.read.get_or_init(|| {
            let mut failures = self.failures.borrow_mut();
            Box::new(match &entry.written {
                Written::Sdl(parts) => {
                    federation::type_def(name, entry.kind, parts, &self.graphs, &self.source, &mut failures)
                }
                Written::Json(parts) => {
                    introspection::type_def(name, entry, parts, &self.source, &mut failures)
                }
            })
        });
        Some(read)
    }

    /// Every name with what it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, TypeKind)> {
        self.types.iter().map(|(name, entry)| (name.as_str(), entry.kind))
    }

    /// What a type is, without a look at the rest of it.
    pub(crate) fn kind(&self, name: &str) -> Option<TypeKind> {
        self.types.get(name).map(|entry| entry.kind)
    }

    /// The types that were asked for.
    pub(crate) fn read(&self) -> impl Iterator<Item = &TypeDef> {
        self.types.values().filter_map(|entry| entry.read.get().map(AsRef::as_ref))
    }

    /// The interfaces of a type, without a look at the rest of it; `None` where there is no such type.
    pub(crate) fn interfaces(&self, name: &str) -> Option<&Vec<String>> {
        self.types.get(name).map(|entry| &entry.interfaces)
    }

    /// What was found wrong in the types that were asked for.
    pub(crate) fn failures(&self) -> Vec<Diagnostic> {
        self.failures.borrow().clone()
    }

    /// The object types that a value of this type can be.
    pub(crate) fn possible(&self, name: &str) -> BTreeSet<&str> {
        let Some((name, entry)) = self.types.get_key_value(name) else { return BTreeSet::new() };
        match entry.kind {
            TypeKind::Object => BTreeSet::from([name.as_str()]),
            TypeKind::Union => self
                .get(name)
                .map_or_else(BTreeSet::new, |ty| ty.members.iter().map(String::as_str).collect()),
            TypeKind::Interface => {
                let implements = |(_, entry): &(&String, &Entry)| {
                    entry.kind == TypeKind::Object && entry.interfaces.iter().any(|i| i == name)
                };
                self.types.iter().filter(implements).map(|(name, _)| name.as_str()).collect()
            }
            _ => BTreeSet::new(),
        }
    }
}

impl TypeKind {
    pub(crate) fn is_composite(self) -> bool {
        matches!(self, Self::Object | Self::Interface | Self::Union)
    }
}

impl TypeDef {
    pub(crate) fn field(&self, name: &str) -> Option<&FieldDef> {
        self.fields.iter().find(|field| field.name == name)
    }

    pub(crate) fn is_composite(&self) -> bool {
        self.kind.is_composite()
    }

    /// The fields of its keys that consist of one field, in the schema's order.
    pub(crate) fn simple_keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.keys.iter().filter_map(Key::field)
    }
}
