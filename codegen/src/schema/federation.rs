//! What federation's directives mean: keys and owners, from a supergraph's `join__` or from `@key` in plain SDL.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plan::{Diagnostic, SourceText, code::graph as codes};

use super::{
    Definer, DirectiveDef, Graph, Key, Schema, TypeDef, TypeKind, Written,
    sdl::{self, Definition, Directive, Document, Part},
};

/// Makes the index of what callers see out of the definitions.
pub(super) fn schema(document: Document, source: &Arc<SourceText>) -> Result<Schema, Vec<Diagnostic>> {
    let mut schema = Schema::new(source, document.query.clone().unwrap_or_else(|| "Query".to_owned()));
    schema.graphs = graphs(&document);
    schema.subgraphs = schema.graphs.values().map(|graph| (graph.name.clone(), graph.url.clone())).collect();
    schema.directives =
        document.directives.into_iter().filter(|(_, directive)| is_executable(directive)).collect();
    schema.tells_keys = !schema.graphs.is_empty();
    let mut diagnostics = Vec::new();
    // An extension may stand before what it extends.
    let mut types = document.types;
    types.sort_by_key(|(_, part)| part.is_extension);
    for (Definition { ty, directives, .. }, part) in types {
        if is_machinery(&ty.name) || is_hidden(&directives) {
            continue;
        }
        schema.tells_keys |= directives.iter().any(|directive| is_key(&directive.name));
        let entry = schema.types.entry(ty.name).or_default();
        let Written::Sdl(parts) = &mut entry.written else { continue };
        let is_new = parts.is_empty();
        // Nothing stands in the first definition, so that a second one can only extend it.
        let extends = part.is_extension || entry.kind == ty.kind && parts.iter().all(|part| !part.has_body);
        if !is_new && !extends {
            let name = source.text[part.head.clone()].rsplit(char::is_whitespace).next().unwrap_or_default();
            let message = format!("the type {name} is defined twice");
            let help = "keep one definition; `extend type` adds to another";
            diagnostics.push(Diagnostic::error(codes::SS201, message).at(source, part.head).help(help));
            continue;
        }
        if is_new {
            entry.kind = ty.kind;
        }
        entry.interfaces.extend(ty.interfaces);
        parts.push(part);
    }
    if !schema.types.contains_key(&schema.query) {
        let message = format!("the schema has no type {} for queries", schema.query);
        let help = "define `type Query`, or name its type in `schema { query: … }`";
        diagnostics.push(Diagnostic::error(codes::SS201, message).at(source, 0..0).help(help));
    }
    if diagnostics.is_empty() { Ok(schema) } else { Err(diagnostics) }
}

/// Reads a type with its extensions; what can't be read is reported.
pub(super) fn type_def(
    name: &str,
    kind: TypeKind,
    parts: &[Part],
    graphs: &BTreeMap<String, Graph>,
    source: &Arc<SourceText>,
    failures: &mut Vec<Diagnostic>,
) -> TypeDef {
    let mut whole = TypeDef { name: name.to_owned(), kind, ..TypeDef::default() };
    for part in parts {
        match sdl::definition(source, part) {
            Ok(definition) => extend(&mut whole, resolve(definition, graphs)),
            Err(failure) => failures.push(failure),
        }
    }
    whole
}

fn extend(known: &mut TypeDef, extension: TypeDef) {
    // Schemas in the wild define a field twice; the first one counts.
    let mut names: BTreeSet<String> = known.fields.iter().map(|field| field.name.clone()).collect();
    known.fields.extend(extension.fields.into_iter().filter(|field| names.insert(field.name.clone())));
    known.interfaces.extend(extension.interfaces);
    known.members.extend(extension.members);
    known.values.extend(extension.values);
    known.inputs.extend(extension.inputs);
    known.one_of |= extension.one_of;
    known.subgraphs.extend(extension.subgraphs);
    known.relations.extend(extension.relations);
    for key in extension.keys {
        if !known.keys.contains(&key) {
            known.keys.push(key);
        }
    }
}

fn graphs(document: &Document) -> BTreeMap<String, Graph> {
    let mut graphs = BTreeMap::new();
    for definition in
        document.types.iter().map(|(definition, _)| definition).filter(|one| one.ty.name == sdl::GRAPHS)
    {
        for (value, directives) in definition.ty.values.iter().zip(&definition.value_directives) {
            let join = directives.iter().find(|directive| directive.name == "join__graph");
            let text = |name| join.and_then(|join| join.text(name)).map(str::to_owned);
            let graph = Graph {
                name: text("name").unwrap_or_else(|| value.clone()),
                url: text("url").unwrap_or_default(),
            };
            graphs.insert(value.clone(), graph);
        }
    }
    graphs
}

/// Turns a definition into the type that callers see, with keys and owners.
fn resolve(definition: Definition, graphs: &BTreeMap<String, Graph>) -> TypeDef {
    let Definition { mut ty, directives, field_directives, value_directives, .. } = definition;
    let name_of = |graph: &str| graphs.get(graph).map(|graph| graph.name.clone());

    // join__type says which subgraphs define the type, and by which keys.
    let mut first_owner = None;
    for directive in &directives {
        let graph = directive.text("graph").and_then(name_of);
        let key = match directive.name.as_str() {
            "join__type" => {
                let key = directive.text("key");
                if let Some(graph) = graph {
                    let definer: &mut Definer = ty.subgraphs.entry(graph).or_default();
                    definer.by_key |= key.is_some() && directive.text("resolvable") != Some("false");
                    definer.is_interface_object |= directive.is_true("isInterfaceObject");
                }
                key
            }
            // Federation 1: the subgraph that answers what nothing else is said about.
            "join__owner" => {
                first_owner = graph;
                None
            }
            "join__implements" | "join__unionMember" => {
                let name = directive.text("interface").or_else(|| directive.text("member"));
                ty.relations.extend(graph.zip(name.map(str::to_owned)));
                None
            }
            name if is_key(name) => directive.text("fields"),
            "oneOf" => {
                ty.one_of = true;
                None
            }
            _ => None,
        };
        if let Some(selection) = key {
            let key = Key { selection: selection.split_whitespace().collect::<Vec<_>>().join(" ") };
            if !ty.keys.contains(&key) {
                ty.keys.push(key);
            }
        }
    }

    let mut hidden = field_directives.iter().map(|directives| is_hidden(directives));
    for (field, applied) in ty.fields.iter_mut().zip(&field_directives) {
        let joins: Vec<&Directive> = applied.iter().filter(|one| one.name == "join__field").collect();
        field.is_of_interface = !joins.is_empty() && joins.iter().all(|join| join.text("graph").is_none());
        field.provides = joins.iter().filter_map(|join| provided(join, name_of)).collect();
        field.owners = match &first_owner {
            Some(owner) => first_owners(&field.name, &joins, owner, &directives, name_of),
            // Without join__field every subgraph that defines the type can answer it.
            None if joins.is_empty() => ty.subgraphs.keys().cloned().collect(),
            None => joins
                .iter()
                .filter(|join| answers(join))
                .filter_map(|join| name_of(join.text("graph")?))
                .collect(),
        };
    }
    ty.fields.retain(|_| !hidden.next().unwrap_or(false));
    let mut hidden = value_directives.iter().map(|directives| is_hidden(directives));
    ty.values.retain(|_| !hidden.next().unwrap_or(false));
    if matches!(ty.kind, TypeKind::Object) {
        // Fields that a subgraph serves for the gateway alone.
        ty.fields.retain(|field| field.name != "_entities" && field.name != "_service");
    }
    ty
}

/// Whether the subgraph of a `join__field` can be asked for the field: an external one is only known there, and an
/// overridden one is no longer asked there, unless a label decides for each request.
fn answers(join: &Directive) -> bool {
    let is_overridden = join.is_true("usedOverridden") && join.text("overrideLabel").is_none();
    !join.is_true("external") && !is_overridden
}

fn provided(join: &Directive, name_of: impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
    Some((name_of(join.text("graph")?)?, join.text("provides")?.to_owned()))
}

/// The owners of a field of an entity that Federation 1 composed: the subgraph that is named, else the entity's owner;
/// a key's field is answered by all that have the key.
fn first_owners(
    field: &str,
    joins: &[&Directive],
    owner: &str,
    directives: &[Directive],
    name_of: impl Fn(&str) -> Option<String>,
) -> BTreeSet<String> {
    let named: BTreeSet<String> = joins.iter().filter_map(|join| name_of(join.text("graph")?)).collect();
    let mut owners = if named.is_empty() { BTreeSet::from([owner.to_owned()]) } else { named };
    let has_key = |directive: &&Directive| {
        let words = directive.text("key").unwrap_or_default();
        words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == field)
    };
    owners
        .extend(directives.iter().filter(has_key).filter_map(|directive| name_of(directive.text("graph")?)));
    owners
}

fn is_hidden(directives: &[Directive]) -> bool {
    directives
        .iter()
        .any(|directive| matches!(directive.name.as_str(), "inaccessible" | "federation__inaccessible"))
}

/// Whether a directive on a type tells a key.
fn is_key(name: &str) -> bool {
    matches!(name, "key" | "federation__key")
}

fn is_machinery(name: &str) -> bool {
    name.starts_with("join__")
        || name.starts_with("link__")
        || name.starts_with("core__")
        || name.starts_with("federation__")
        || name.starts_with("context__")
        || name.starts_with("__")
        || matches!(name, "_Any" | "_Entity" | "_Service" | "_FieldSet" | "FieldSet")
}

/// Whether a query may use the directive.
fn is_executable(directive: &DirectiveDef) -> bool {
    let places = [
        "QUERY",
        "FIELD",
        "FRAGMENT_DEFINITION",
        "FRAGMENT_SPREAD",
        "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION",
    ];
    directive.locations.iter().any(|location| places.contains(&location.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(text: &str) -> Schema {
        let source = Arc::new(SourceText { name: String::new(), text: text.to_owned() });
        Schema::parse(&source).unwrap()
    }

    fn owners(schema: &Schema, ty: &str, field: &str) -> Vec<String> {
        schema.get(ty).unwrap().field(field).unwrap().owners.iter().cloned().collect()
    }

    #[test]
    fn a_supergraph_tells_owners_and_keys() {
        let schema = schema(
            r#"
            enum join__Graph { A @join__graph(name: "a", url: "http://a") B @join__graph(name: "b", url: "http://b") }
            type Query @join__type(graph: A) { t: T }
            type T @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") @join__type(graph: B, key: "x { y }  z") {
              id: ID!
              own: Int @join__field(graph: A)
              both: Int @join__field(graph: A) @join__field(graph: B)
              elsewhere: Int @join__field(graph: A, external: true) @join__field(graph: B)
              moved: Int @join__field(graph: A, override: "b") @join__field(graph: B, usedOverridden: true)
              needs: Int @join__field(graph: A, requires: "elsewhere")
              secret: Int @join__field(graph: A) @inaccessible
            }
            type Hidden @inaccessible @join__type(graph: A) { id: ID! }
            "#,
        );
        let keys: Vec<&str> =
            schema.get("T").unwrap().keys.iter().map(|key| key.selection.as_str()).collect();
        assert_eq!(keys, ["id", "x { y } z"]);
        assert_eq!(schema.get("T").unwrap().simple_keys().collect::<Vec<_>>(), ["id"]);
        assert_eq!(schema.subgraphs["b"], "http://b");
        assert_eq!(owners(&schema, "T", "id"), ["a", "b"]);
        assert_eq!(owners(&schema, "T", "own"), ["a"]);
        assert_eq!(owners(&schema, "T", "both"), ["a", "b"]);
        assert_eq!(owners(&schema, "T", "elsewhere"), ["b"]);
        assert_eq!(owners(&schema, "T", "moved"), ["a"]);
        assert_eq!(owners(&schema, "T", "needs"), ["a"]);
        assert!(schema.get("T").unwrap().field("secret").is_none());
        assert!(schema.get("Hidden").is_none() && schema.get("join__Graph").is_none());
    }

    #[test]
    fn a_subgraph_tells_keys_alone() {
        let schema = schema(
            r#"extend type T @key(fields: "id") { id: ID! @external more: Int } type T { name: String }
               type Query { t: T _service: _Service! } scalar _Any type _Service { sdl: String }"#,
        );
        let names: Vec<&str> =
            schema.get("T").unwrap().fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["name", "id", "more"]);
        assert!(schema.tells_keys && schema.subgraphs.is_empty());
        assert!(schema.get("Query").unwrap().field("_service").is_none());
        assert_eq!(owners(&schema, "T", "more"), Vec::<String>::new());
    }
}
