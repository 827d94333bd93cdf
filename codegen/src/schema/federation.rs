//! What federation's directives mean: keys and owners, from a supergraph's `join__` or from `@key` in plain SDL.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use plan::{Diagnostic, SourceText, code::graph as codes};

use super::{
    DirectiveDef, Key, Schema, TypeDef, TypeKind,
    sdl::{Definition, Directive, Document},
};

/// A subgraph as `enum join__Graph` names it.
struct Graph {
    name: String,
    url: String,
}

/// Makes the schema that callers see out of the definitions.
pub(super) fn schema(mut document: Document, source: &Arc<SourceText>) -> Result<Schema, Vec<Diagnostic>> {
    let graphs = graphs(&document);
    let mut schema = Schema {
        query: document.query.unwrap_or_else(|| "Query".to_owned()),
        subgraphs: graphs.values().map(|graph| (graph.name.clone(), graph.url.clone())).collect(),
        directives: document
            .directives
            .into_iter()
            .filter(|(_, directive)| is_executable(directive))
            .collect(),
        tells_keys: !graphs.is_empty(),
        ..Schema::default()
    };
    let mut diagnostics = Vec::new();
    // An extension may stand before what it extends.
    document.types.sort_by_key(|definition| definition.is_extension);
    for definition in document.types {
        if is_machinery(&definition.ty.name) || is_hidden(&definition.directives) {
            continue;
        }
        let (range, is_extension) = (definition.range.clone(), definition.is_extension);
        let ty = resolve(definition, &graphs);
        schema.tells_keys |= !ty.keys.is_empty();
        match schema.types.entry(ty.name.clone()) {
            Entry::Vacant(place) => {
                place.insert(ty);
            }
            Entry::Occupied(mut known)
                if is_extension || known.get().kind == ty.kind && known.get().is_bare() =>
            {
                extend(known.get_mut(), ty);
            }
            Entry::Occupied(known) => {
                let message = format!("the type {} is defined twice", known.key());
                let help = "keep one definition; `extend type` adds to another";
                diagnostics.push(Diagnostic::error(codes::SS201, message).at(source, range).help(help));
            }
        }
    }
    if !schema.types.contains_key(&schema.query) {
        let message = format!("the schema has no type {} for queries", schema.query);
        let help = "define `type Query`, or name its type in `schema { query: … }`";
        diagnostics.push(Diagnostic::error(codes::SS201, message).at(source, 0..0).help(help));
    }
    if diagnostics.is_empty() { Ok(schema) } else { Err(diagnostics) }
}

impl TypeDef {
    /// Whether nothing stands in it, so that a second definition can only be the first one's extension.
    fn is_bare(&self) -> bool {
        self.fields.is_empty() && self.values.is_empty() && self.members.is_empty() && self.inputs.is_empty()
    }
}

fn extend(known: &mut TypeDef, extension: TypeDef) {
    for field in extension.fields {
        if known.field(&field.name).is_none() {
            known.fields.push(field);
        }
    }
    known.interfaces.extend(extension.interfaces);
    known.members.extend(extension.members);
    known.values.extend(extension.values);
    known.inputs.extend(extension.inputs);
    known.one_of |= extension.one_of;
    for key in extension.keys {
        if !known.keys.contains(&key) {
            known.keys.push(key);
        }
    }
}

fn graphs(document: &Document) -> BTreeMap<String, Graph> {
    let mut graphs = BTreeMap::new();
    for definition in document.types.iter().filter(|definition| definition.ty.name == "join__Graph") {
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

    // join__type says which subgraphs know the type, and by which keys.
    let mut all_owners = BTreeSet::new();
    for directive in &directives {
        let key = match directive.name.as_str() {
            "join__type" => {
                all_owners.extend(directive.text("graph").and_then(name_of));
                directive.text("key")
            }
            "key" | "federation__key" => directive.text("fields"),
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
    for (field, directives) in ty.fields.iter_mut().zip(&field_directives) {
        field.owners = owners(directives, &all_owners, name_of);
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

/// The subgraphs that can answer a field. Without `join__field` every subgraph that knows the type can.
fn owners(
    directives: &[Directive],
    all: &BTreeSet<String>,
    name_of: impl Fn(&str) -> Option<String>,
) -> BTreeSet<String> {
    let joins: Vec<&Directive> =
        directives.iter().filter(|directive| directive.name == "join__field").collect();
    if joins.is_empty() {
        return all.clone();
    }
    // An external field is only known there, an overridden one is no longer asked there.
    let answers = |join: &&Directive| !join.is_true("external") && !join.is_true("usedOverridden");
    joins.into_iter().filter(answers).filter_map(|join| join.text("graph").and_then(&name_of)).collect()
}

fn is_hidden(directives: &[Directive]) -> bool {
    directives
        .iter()
        .any(|directive| matches!(directive.name.as_str(), "inaccessible" | "federation__inaccessible"))
}

fn is_machinery(name: &str) -> bool {
    name.starts_with("join__")
        || name.starts_with("link__")
        || name.starts_with("core__")
        || name.starts_with("federation__")
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
