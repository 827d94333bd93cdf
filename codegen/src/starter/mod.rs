//! A first configuration for an entity of a schema: what `init` writes, proven before anyone sees it.

mod files;
mod select;

use std::sync::Arc;

use plan::{Diagnostic, SourceText, code::graph as codes, diagnostic::nearest};

use crate::{
    Texts, compile, parse_config,
    schema::{FieldDef, InputDef, Schema, TypeDef, TypeKind, TypeRef},
};

/// What the user says of the index to be.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The root entity.
    pub root: &'a str,
    /// The schema's file as the configuration is to name it.
    pub schema: &'a str,
    /// The gateway, where it is known.
    pub url: Option<&'a str>,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StarterFile {
    /// Its name in the folder.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

/// A type that an index can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The type.
    pub type_name: String,
    /// The field whose value is the document id.
    pub key: String,
    /// The field of the query type that answers one by its key.
    pub root_field: String,
}

/// Entities listed at most where nothing tells keys: large graphs have hundreds of types with an id.
const MAX_CANDIDATES: usize = 50;

/// The types that an index can be made of, by name.
pub fn candidates(source: &Arc<SourceText>) -> Result<Vec<Candidate>, Vec<Diagnostic>> {
    let schema = Schema::parse(source)?;
    let objects = schema.names().filter(|(_, kind)| *kind == TypeKind::Object);
    let query = schema.get(&schema.query);
    let entities = objects.filter_map(|(name, _)| {
        let entity = schema.get(name)?;
        // Where nothing tells keys, nearly everything has an id; what the query type answers is meant to be read.
        let is_answered =
            || query.is_some_and(|query| query.fields.iter().any(|field| field.ty.name() == name));
        if entity.keys.is_empty() && !is_answered() {
            return None;
        }
        let (key, root) = key_and_root(&schema, entity)?;
        Some(Candidate {
            type_name: name.to_owned(),
            key: key.name.clone(),
            root_field: root.field.name.clone(),
        })
    });
    Ok(entities.take(MAX_CANDIDATES).collect())
}

/// The files of a first configuration: `index.yaml`, the query, a query for ids where the schema has one, and what
/// editors read.
///
/// They are checked as a user's would be, so an error here says why no configuration can be made of this type.
pub fn start(source: &Arc<SourceText>, wish: &Start<'_>) -> Result<Vec<StarterFile>, Vec<Diagnostic>> {
    let schema = Schema::parse(source)?;
    let entity = entity(&schema, wish.root).map_err(|mistake| vec![mistake])?;
    let (key, root) = key_and_root(&schema, entity).ok_or_else(|| refusal(&schema, entity))?;
    let document = select::Document::of(&schema, entity, key);
    let ids = id_query(&schema, entity, key);
    let parts = files::Parts {
        schema: &schema,
        entity,
        key,
        root: &root,
        document: &document,
        ids: ids.as_deref(),
        wish,
    };
    let files = parts.files();
    prove(source, &files)?;
    Ok(files)
}

/// Reads the files as the user's own are read; warnings are fine.
fn prove(schema: &Arc<SourceText>, files: &[StarterFile]) -> Result<(), Vec<Diagnostic>> {
    let text = |name: &str| {
        let file = files.iter().find(|file| file.name == name)?;
        Some(Arc::new(SourceText { name: name.to_owned(), text: file.text.clone() }))
    };
    let config = text(files::CONFIG).expect("it is always among them");
    let config = parse_config(&config, &|_| None);
    let Some(read) = &config.value else { return Err(config.diagnostics) };
    let others = files.iter().filter_map(|file| Some((format!("./{}", file.name), text(file.name)?)));
    let query = text(files::QUERY).expect("it is always among them");
    let compiled = compile(read, &Texts { query, schema: Arc::clone(schema), others: others.collect() });
    if compiled.value.is_some() { Ok(()) } else { Err(compiled.diagnostics) }
}

fn entity<'s>(schema: &'s Schema, name: &str) -> Result<&'s TypeDef, Diagnostic> {
    let found = schema.get(name);
    if let Some(entity) = found.filter(|ty| ty.kind == TypeKind::Object) {
        return Ok(entity);
    }
    if found.is_some() {
        let help = "documents are objects: name the type that they have";
        return Err(Diagnostic::error(codes::SS210, format!("{name} is no object type")).help(help));
    }
    let objects = schema.names().filter(|(_, kind)| *kind == TypeKind::Object).map(|(name, _)| name);
    let help = match nearest(name, objects) {
        Some(near) => format!("did you mean {near}?"),
        None => "without --root, the types are listed that an index can be made of".to_owned(),
    };
    Err(Diagnostic::error(codes::SS210, format!("the schema has no type {name}")).help(help))
}

/// Why no document of this type can be asked for by its id.
fn refusal(schema: &Schema, entity: &TypeDef) -> Vec<Diagnostic> {
    let refuse = |message: String, help: String| vec![Diagnostic::error(codes::SS211, message).help(help)];
    let Some(key) = key(schema, entity) else {
        let help = "a document needs an id: a field `id`, or one of type `ID!`, without arguments";
        return refuse(format!("{} has no key of one field", entity.name), help.to_owned());
    };
    let answering = schema.get(&schema.query).into_iter().flat_map(|query| &query.fields);
    let answering = answering.filter(|field| field.ty.name() == entity.name);
    let answering: Vec<String> = answering.map(|field| format!("`{}`", field.name)).collect();
    let help = match answering.as_slice() {
        [] => {
            format!(
                "a document is fetched by its id: {} needs a field that takes `{}`",
                schema.query, key.name
            )
        }
        fields => format!("{} answer it, and none takes nothing but its `{}`", fields.join(", "), key.name),
    };
    refuse(format!("no field of {} answers one {} by its key", schema.query, entity.name), help)
}

/// The key with the field that answers by it: the schema's first key that has one; where the schema tells none, what
/// looks like a key, then whatever a field of the query type asks for alone.
fn key_and_root<'s>(schema: &'s Schema, entity: &'s TypeDef) -> Option<(&'s FieldDef, Root<'s>)> {
    let guessed = key(schema, entity).into_iter();
    let told = entity.simple_keys().filter_map(|key| entity.field(key));
    let query = schema.get(&schema.query)?;
    let exact = query.fields.iter().filter(|field| field.ty.name() == entity.name && entity.keys.is_empty());
    let asked = exact.flat_map(|field| &field.arguments).filter(|argument| is_required(argument));
    let asked = asked.filter_map(|argument| entity.field(&argument.name));
    let mut keys = guessed.chain(told).chain(asked).filter(|field| is_key(schema, field));
    keys.find_map(|key| Some((key, root(schema, entity, key)?)))
}

/// The field of the type's key: the schema's first simple one; where it tells none, what looks like one.
fn key<'s>(schema: &Schema, entity: &'s TypeDef) -> Option<&'s FieldDef> {
    if entity.keys.is_empty() {
        return entity.field(crate::key::guess(entity)?).filter(|field| is_key(schema, field));
    }
    entity.simple_keys().filter_map(|key| entity.field(key)).find(|field| is_key(schema, field))
}

fn is_key(schema: &Schema, field: &FieldDef) -> bool {
    field.arguments.is_empty() && field.ty.list_depth() == 0 && is_id_type(schema, field.ty.name())
}

/// A scalar that a key can have without being declared.
fn is_id_type(schema: &Schema, name: &str) -> bool {
    match name {
        "ID" | "String" | "Int" => true,
        "Float" | "Boolean" => false,
        scalar => schema.get(scalar).is_some_and(|ty| ty.kind == TypeKind::Scalar),
    }
}

/// How one document is asked for.
struct Root<'s> {
    field: &'s FieldDef,
    argument: &'s InputDef,
    /// Whether the field answers an interface or a union, so that the document stands under a type condition.
    is_narrowed: bool,
}

/// The field of the query type that answers the entity by its key: by name first, then a list of ids, then an interface
/// such as `node(id:)`.
fn root<'s>(schema: &'s Schema, entity: &TypeDef, key: &FieldDef) -> Option<Root<'s>> {
    let query = schema.get(&schema.query)?;
    let candidates = || query.fields.iter().filter(|field| field.ty.list_depth() <= 1);
    let exact = || candidates().filter(|field| field.ty.name() == entity.name);
    let one = |names: &[&str]| {
        let fields = exact().filter(|field| field.ty.list_depth() == 0);
        fields.into_iter().find_map(|field| taking(schema, field, names, 0))
    };
    let plural = format!("{}s", key.name);
    let many = || {
        let fields = exact().filter(|field| field.ty.list_depth() == 1);
        fields.into_iter().find_map(|field| taking(schema, field, &[&plural, "ids"], 1))
    };
    let abstracted = || {
        let fields = candidates().filter(|field| {
            field.ty.list_depth() == 0
                && field.ty.name() != entity.name
                && schema.possible(field.ty.name()).contains(entity.name.as_str())
        });
        fields.into_iter().find_map(|field| taking(schema, field, &[&key.name, "id"], 0))
    };
    // An argument `id` is the key's, unless the key has another name and its own argument elsewhere.
    let found = one(&[&key.name]).or_else(|| one(&["id"])).or_else(many).or_else(abstracted);
    found.map(|(field, argument)| Root { field, argument, is_narrowed: field.ty.name() != entity.name })
}

/// The field with its argument for ids, if that is all it needs.
fn taking<'s>(
    schema: &Schema,
    field: &'s FieldDef,
    names: &[&str],
    list_depth: u8,
) -> Option<(&'s FieldDef, &'s InputDef)> {
    let argument = field.arguments.iter().find(|argument| {
        names.contains(&argument.name.as_str())
            && argument.ty.list_depth() == list_depth
            && is_id_type(schema, argument.ty.name())
    })?;
    let others = field.arguments.iter().filter(|other| other.name != argument.name);
    (!others.into_iter().any(is_required)).then_some((field, argument))
}

fn is_required(argument: &InputDef) -> bool {
    !argument.ty.is_nullable() && argument.default.is_none()
}

/// Ids asked for in one page: what graphs with a limit allow at least.
const PAGE: u32 = 100;

/// A query that answers all ids: of a connection, page by page, or of a plain list.
fn id_query(schema: &Schema, entity: &TypeDef, key: &FieldDef) -> Option<String> {
    let query = schema.get(&schema.query)?;
    let head = format!("# Every {}: what a backfill goes through.\nquery {}Ids", entity.name, entity.name);
    let free = || query.fields.iter().filter(|field| !field.arguments.iter().any(is_required));
    for field in free().filter(|field| field.ty.list_depth() == 0) {
        let has = |name: &str| field.arguments.iter().find(|argument| argument.name == name);
        let (Some(first), Some(after)) = (has("first"), has("after")) else { continue };
        let Some(connection) = schema.get(field.ty.name()).filter(|ty| is_paged(schema, ty)) else {
            continue;
        };
        let Some(nodes) = nodes(schema, connection, entity, key) else { continue };
        let (first, after) = (nullable(&first.ty), nullable(&after.ty));
        return Some(format!(
            "{head}($after: {after}, $first: {first} = {PAGE}) {{\n  {}(first: $first, after: $after) {{\n    pageInfo {{\n      \
             hasNextPage\n      endCursor\n    }}\n{nodes}  }}\n}}\n",
            field.name
        ));
    }
    let list = free().find(|field| field.ty.list_depth() == 1 && field.ty.name() == entity.name)?;
    Some(format!("{head} {{\n  {} {{\n    {}\n  }}\n}}\n", list.name, key.name))
}

fn nullable(ty: &TypeRef) -> String {
    ty.to_string().trim_end_matches('!').to_owned()
}

fn is_paged(schema: &Schema, connection: &TypeDef) -> bool {
    let info = connection.field("pageInfo").and_then(|field| schema.get(field.ty.name()));
    info.is_some_and(|info| info.field("hasNextPage").is_some() && info.field("endCursor").is_some())
}

/// The selection of the key below a connection of the entity.
fn nodes(schema: &Schema, connection: &TypeDef, entity: &TypeDef, key: &FieldDef) -> Option<String> {
    let is_entity = |field: &&FieldDef| field.ty.name() == entity.name;
    if let Some(edges) = connection.field("edges")
        && schema.get(edges.ty.name())?.field("node").is_some_and(|node| is_entity(&node))
    {
        return Some(format!("    edges {{\n      node {{\n        {}\n      }}\n    }}\n", key.name));
    }
    connection.field("nodes").filter(is_entity)?;
    Some(format!("    nodes {{\n      {}\n    }}\n", key.name))
}
