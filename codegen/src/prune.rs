//! The part of the schema that a query touches, as SDL: the validator's cost follows the query, not the graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use async_graphql_parser::Positioned;
use async_graphql_parser::types::{BaseType, Directive, Selection, SelectionSet, Type};

use crate::{
    schema::{DirectiveDef, InputDef, Schema, TypeDef, TypeKind},
    template::Template,
};

/// Scalars that no schema defines.
const BUILT_IN: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

/// Directives that no schema needs to define.
const BUILT_IN_DIRECTIVES: [&str; 4] = ["include", "skip", "deprecated", "specifiedBy"];

/// The names in a query.
#[derive(Default)]
struct Names<'q> {
    /// A name that isn't in the query: of the field that keeps types alive whose fields it doesn't select.
    stub: String,
    fields: BTreeSet<&'q str>,
    types: BTreeSet<&'q str>,
    directives: BTreeSet<&'q str>,
}

/// The pruned schema, or the types that the schema names and doesn't define.
pub(crate) fn prune(schema: &Schema, template: &Template) -> Result<String, Vec<String>> {
    let mut names = Names::default();
    for definition in &template.operation.variable_definitions {
        names.types.insert(base_name(&definition.node.var_type.node));
        names.directives(&definition.node.directives);
    }
    names.directives(&template.operation.directives);
    for (_, fragment) in &template.fragments {
        names.types.insert(&fragment.type_condition.node.on.node);
        names.directives(&fragment.directives);
    }
    template.roots().for_each(|selections| names.selections(selections));

    names.stub.push_str("pruned");
    while names.fields.contains(names.stub.as_str()) || names.directives.contains(names.stub.as_str()) {
        names.stub.push('_');
    }

    let directives: BTreeMap<&String, &DirectiveDef> =
        schema.directives.iter().filter(|(name, _)| names.directives.contains(name.as_str())).collect();
    let (kept, missing) = reach(schema, &names, &directives);
    if !missing.is_empty() {
        return Err(missing.into_iter().collect());
    }

    let mut sdl = format!("schema {{ query: {} }}\n", schema.query);
    // A built-in scalar that nothing mentions counts as unknown; a query may name each of them.
    let _ =
        writeln!(sdl, "directive @{}(i: Int, f: Float, s: String, b: Boolean, d: ID) on SCHEMA", names.stub);
    if kept.values().any(|ty| ty.one_of) {
        sdl.push_str("directive @oneOf on INPUT_OBJECT\n");
    }
    for (name, directive) in directives {
        if BUILT_IN_DIRECTIVES.contains(&name.as_str()) {
            continue;
        }
        let _ = write!(sdl, "directive @{name}");
        arguments(&mut sdl, &directive.arguments);
        let repeatable = if directive.repeatable { " repeatable" } else { "" };
        let _ = writeln!(sdl, "{repeatable} on {}", directive.locations.join(" | "));
    }
    for ty in kept.values() {
        definition(&mut sdl, ty, &kept, &names);
    }
    Ok(sdl)
}

impl<'q> Names<'q> {
    fn directives(&mut self, directives: &'q [Positioned<Directive>]) {
        self.directives.extend(directives.iter().map(|directive| directive.node.name.node.as_str()));
    }

    fn selections(&mut self, selections: &'q SelectionSet) {
        for selection in &selections.items {
            self.directives(selection.node.directives());
            match &selection.node {
                Selection::Field(field) => {
                    self.fields.insert(&field.node.name.node);
                    self.selections(&field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    self.types.extend(condition.map(|condition| condition.node.on.node.as_str()));
                    self.selections(&fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }
}

fn base_name(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => base_name(inner),
    }
}

/// The types that the query can meet, and the names that lead nowhere.
fn reach<'s>(
    schema: &'s Schema,
    names: &Names<'_>,
    directives: &BTreeMap<&String, &'s DirectiveDef>,
) -> (BTreeMap<&'s str, &'s TypeDef>, BTreeSet<String>) {
    let mut kept = BTreeMap::new();
    let mut missing = BTreeSet::new();
    let mut open: Vec<&str> = vec![&schema.query];
    // A name in the query that the schema lacks is the query's mistake, for the validator to tell.
    open.extend(names.types.iter().filter_map(|name| schema.get(name)).map(|ty| ty.name.as_str()));
    for directive in directives.values() {
        open.extend(directive.arguments.iter().map(|argument| argument.ty.name()));
    }
    while let Some(name) = open.pop() {
        if kept.contains_key(name) || BUILT_IN.contains(&name) {
            continue;
        }
        let Some(ty) = schema.get(name) else {
            missing.insert(name.to_owned());
            continue;
        };
        kept.insert(ty.name.as_str(), ty);
        for field in ty.fields.iter().filter(|field| names.fields.contains(field.name.as_str())) {
            open.push(field.ty.name());
            open.extend(field.arguments.iter().map(|argument| argument.ty.name()));
        }
        open.extend(ty.inputs.iter().map(|input| input.ty.name()));
        if matches!(ty.kind, TypeKind::Union | TypeKind::Interface) {
            open.extend(schema.possible(&ty.name));
            open.extend(ty.members.iter().map(String::as_str));
        }
    }
    (kept, missing)
}

fn definition(sdl: &mut String, ty: &TypeDef, kept: &BTreeMap<&str, &TypeDef>, names: &Names<'_>) {
    let name = &ty.name;
    match ty.kind {
        TypeKind::Scalar => {
            let _ = writeln!(sdl, "scalar {name}");
        }
        TypeKind::Enum => {
            let _ = writeln!(sdl, "enum {name} {{ {} }}", ty.values.join(" "));
        }
        TypeKind::Union => {
            let _ = writeln!(sdl, "union {name} = {}", ty.members.join(" | "));
        }
        TypeKind::Input => {
            let one_of = if ty.one_of { " @oneOf" } else { "" };
            let _ = write!(sdl, "input {name}{one_of} {{");
            for input in &ty.inputs {
                sdl.push(' ');
                self::input(sdl, input);
            }
            sdl.push_str(" }\n");
        }
        TypeKind::Object | TypeKind::Interface => {
            let keyword = if ty.kind == TypeKind::Object { "type" } else { "interface" };
            let _ = write!(sdl, "{keyword} {name}");
            // An interface that the query can't meet needs no promise kept.
            let interfaces: BTreeSet<&str> =
                ty.interfaces.iter().map(String::as_str).filter(|name| kept.contains_key(name)).collect();
            for (n, interface) in interfaces.iter().enumerate() {
                let _ = write!(sdl, " {} {interface}", if n == 0 { "implements" } else { "&" });
            }
            let _ = write!(sdl, " {{ {}: Boolean", names.stub);
            for field in ty.fields.iter().filter(|field| names.fields.contains(field.name.as_str())) {
                let _ = write!(sdl, " {}", field.name);
                arguments(sdl, &field.arguments);
                let _ = write!(sdl, ": {}", field.ty);
            }
            sdl.push_str(" }\n");
        }
    }
}

fn arguments(sdl: &mut String, arguments: &[InputDef]) {
    for (n, argument) in arguments.iter().enumerate() {
        sdl.push_str(if n == 0 { "(" } else { ", " });
        input(sdl, argument);
    }
    if !arguments.is_empty() {
        sdl.push(')');
    }
}

fn input(sdl: &mut String, input: &InputDef) {
    let _ = write!(sdl, "{}: {}", input.name, input.ty);
    if let Some(default) = &input.default {
        let _ = write!(sdl, " = {default}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plan::SourceText;

    use super::*;

    #[test]
    fn only_what_the_query_can_meet_is_kept() {
        let source = |text: &str| Arc::new(SourceText { name: String::new(), text: text.to_owned() });
        let schema = "type Query { a(in: In): A other: Other }
            interface Node { id: ID! } type A implements Node { id: ID! b: [B!] } union B = C | D
            type C { pruned: Int } type D { y: E } enum E { ONE } input In { e: E = ONE, again: In }
            type Other { x: Missing }";
        let schema = Schema::parse(&source(schema)).unwrap();
        let query = source("query Q($e: E) { a(in: { e: $e }) { b { ... on C { pruned } } } }");
        let template = Template::parse(&query, "Q").unwrap();
        assert_eq!(
            prune(&schema, &template).unwrap(),
            "schema { query: Query }\n\
             directive @pruned_(i: Int, f: Float, s: String, b: Boolean, d: ID) on SCHEMA\n\
             type A { pruned_: Boolean b: [B!] }\n\
             union B = C | D\n\
             type C { pruned_: Boolean pruned: Int }\n\
             type D { pruned_: Boolean }\n\
             enum E { ONE }\n\
             input In { e: E = ONE again: In }\n\
             type Query { pruned_: Boolean a(in: In): A }\n"
        );
        let query = Template::parse(&source("{ other { x } }"), "Q").unwrap();
        assert_eq!(prune(&schema, &query), Err(vec!["Missing".to_owned()]));
    }
}
