//! The part of the schema that a query touches, as SDL: the validator's cost follows the query, not the graph.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use crate::{
    lexer::{Kind, Token},
    schema::{DirectiveDef, FieldDef, InputDef, Schema, TypeDef, TypeKind},
};

/// Scalars that no schema defines.
pub(crate) const BUILT_IN: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

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
///
/// It goes by the tokens of the query, so that a text has a verdict whatever else can or can't be made of it.
pub(crate) fn prune(schema: &Schema, text: &str, tokens: &[Token]) -> Result<String, Vec<String>> {
    let mut names = Names::of(text, tokens);
    names.stub.push_str("pruned");
    while names.fields.contains(names.stub.as_str()) || names.directives.contains(names.stub.as_str()) {
        names.stub.push('_');
    }

    let directives: BTreeMap<&String, &DirectiveDef> =
        schema.directives.iter().filter(|(name, _)| names.directives.contains(name.as_str())).collect();
    let reached = reach(schema, &names, &directives);
    if !reached.missing.is_empty() {
        return Err(reached.missing.into_iter().collect());
    }

    let mut sdl = format!("schema {{ query: {} }}\n", schema.query);
    // A built-in scalar that nothing mentions counts as unknown; a query may name each of them.
    let _ =
        writeln!(sdl, "directive @{}(i: Int, f: Float, s: String, b: Boolean, d: ID) on SCHEMA", names.stub);
    if reached.kept.values().any(|ty| ty.one_of) {
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
    for ty in reached.kept.values() {
        definition(&mut sdl, ty, &reached, &names);
    }
    for name in &reached.members {
        member(&mut sdl, name, &reached.interfaces(schema, name), &names);
    }
    Ok(sdl)
}

impl<'q> Names<'q> {
    /// Names by where they stand: fields outside of parentheses, types behind `on` and in variable definitions.
    fn of(text: &'q str, tokens: &[Token]) -> Self {
        let mut names = Self::default();
        let tokens: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
        let mut depth = 0_usize;
        let mut before = ("", Kind::Spread);
        for (n, token) in tokens.iter().enumerate() {
            let word = &text[token.range.clone()];
            match token.kind {
                Kind::Punctuator(b'(') => depth += 1,
                Kind::Punctuator(b')') => depth = depth.saturating_sub(1),
                Kind::Name if before.1 == Kind::Punctuator(b'@') => {
                    names.directives.insert(word);
                }
                Kind::Name if depth > 0 => {
                    if matches!(before.1, Kind::Punctuator(b':' | b'[')) {
                        names.types.insert(word);
                    }
                }
                Kind::Name => {
                    if before == ("on", Kind::Name) {
                        names.types.insert(word);
                    }
                    let is_alias = tokens.get(n + 1).is_some_and(|next| next.kind == Kind::Punctuator(b':'));
                    if !is_alias {
                        names.fields.insert(word);
                    }
                }
                _ => {}
            }
            before = (word, token.kind);
        }
        names
    }

    /// The fields of a type that the query may select.
    fn selected<'s>(&self, ty: &'s TypeDef) -> impl Iterator<Item = &'s FieldDef> {
        ty.fields.iter().filter(|field| self.fields.contains(field.name.as_str()))
    }
}

/// What the query can meet.
struct Reached<'s> {
    /// The types that it names or whose fields it can select.
    kept: BTreeMap<&'s str, &'s TypeDef>,
    /// Objects that are there as members of kept interfaces and unions alone; they are never read.
    members: BTreeSet<&'s str>,
    /// Names that lead nowhere.
    missing: BTreeSet<String>,
}

fn reach<'s>(
    schema: &'s Schema,
    names: &Names<'_>,
    directives: &BTreeMap<&String, &'s DirectiveDef>,
) -> Reached<'s> {
    let mut reached = Reached { kept: BTreeMap::new(), members: BTreeSet::new(), missing: BTreeSet::new() };
    let mut open: Vec<&str> = vec![&schema.query];
    // A name in the query that the schema lacks is the query's mistake, for the validator to tell.
    open.extend(names.types.iter().filter_map(|name| schema.get(name)).map(|ty| ty.name.as_str()));
    for directive in directives.values() {
        open.extend(directive.arguments.iter().map(|argument| argument.ty.name()));
    }
    loop {
        while let Some(name) = open.pop() {
            if reached.kept.contains_key(name) || BUILT_IN.contains(&name) {
                continue;
            }
            let Some(ty) = schema.get(name) else {
                reached.missing.insert(name.to_owned());
                continue;
            };
            reached.kept.insert(ty.name.as_str(), ty);
            for field in names.selected(ty) {
                open.push(field.ty.name());
                open.extend(field.arguments.iter().map(|argument| argument.ty.name()));
            }
            open.extend(ty.inputs.iter().map(|input| input.ty.name()));
            if matches!(ty.kind, TypeKind::Union | TypeKind::Interface) {
                reached.members.extend(schema.possible(&ty.name));
            }
        }
        // A member promises what its interfaces say; where they say it in two ways, only its own definition tells.
        let unclear = |name: &&&str| {
            let mut said = BTreeMap::new();
            let mut fields =
                reached.interfaces(schema, name).into_iter().flat_map(|interface| names.selected(interface));
            fields.any(|field| *said.entry(&field.name).or_insert(&field.ty) != &field.ty)
        };
        let wanted = |name: &&&str| !reached.kept.contains_key(**name);
        open.extend(
            reached
                .members
                .iter()
                .filter(wanted)
                .filter(|name| schema.interfaces(name).is_none() || unclear(name)),
        );
        if open.iter().all(|name| reached.missing.contains(*name)) {
            break;
        }
    }
    let kept = &reached.kept;
    reached.members.retain(|name| !kept.contains_key(name));
    reached.represent(schema);
    reached
}

impl<'s> Reached<'s> {
    /// Keeps one of all members that belong to the same interfaces and unions: a query that names none of them can't
    /// tell them apart, and hundreds of objects may be a `Node` and nothing else.
    fn represent(&mut self, schema: &Schema) {
        let mut unions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for ty in self.kept.values().filter(|ty| ty.kind == TypeKind::Union) {
            for member in &ty.members {
                unions.entry(member).or_default().push(&ty.name);
            }
        }
        let mut represented = BTreeSet::new();
        let mut members = std::mem::take(&mut self.members);
        members.retain(|name| {
            let interfaces = self.interfaces(schema, name).into_iter().map(|ty| ty.name.as_str());
            represented.insert((interfaces.collect::<Vec<_>>(), unions.get(name).cloned()))
        });
        self.members = members;
    }

    /// Whether the pruned schema defines this type.
    fn has(&self, name: &str) -> bool {
        self.kept.contains_key(name) || self.members.contains(name)
    }

    /// The kept interfaces of an object, read or not.
    fn interfaces(&self, schema: &Schema, name: &str) -> Vec<&'s TypeDef> {
        let names: BTreeSet<&str> =
            schema.interfaces(name).into_iter().flatten().map(String::as_str).collect();
        names.into_iter().filter_map(|name| self.kept.get(name).copied()).collect()
    }
}

fn definition(sdl: &mut String, ty: &TypeDef, reached: &Reached<'_>, names: &Names<'_>) {
    let name = &ty.name;
    match ty.kind {
        TypeKind::Scalar => {
            let _ = writeln!(sdl, "scalar {name}");
        }
        TypeKind::Enum => {
            let _ = writeln!(sdl, "enum {name} {{ {} }}", ty.values.join(" "));
        }
        TypeKind::Union => {
            let members = ty.members.iter().map(String::as_str).filter(|member| reached.has(member));
            let _ = writeln!(sdl, "union {name} = {}", members.collect::<Vec<_>>().join(" | "));
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
            // An interface that the query can't meet needs no promise kept.
            let interfaces: BTreeSet<&str> = ty
                .interfaces
                .iter()
                .map(String::as_str)
                .filter(|name| reached.kept.contains_key(name))
                .collect();
            let _ = write!(sdl, "{keyword} {name}");
            composite(sdl, interfaces, names.selected(ty), names);
        }
    }
}

/// An object on which nothing is selected: what its interfaces promise is all there is to it.
fn member(sdl: &mut String, name: &str, interfaces: &[&TypeDef], names: &Names<'_>) {
    let mut told = BTreeSet::new();
    let fields = interfaces.iter().flat_map(|interface| names.selected(interface));
    let fields = fields.filter(|field| told.insert(&field.name));
    let _ = write!(sdl, "type {name}");
    composite(sdl, interfaces.iter().map(|interface| interface.name.as_str()), fields, names);
}

fn composite<'s>(
    sdl: &mut String,
    interfaces: impl IntoIterator<Item = &'s str>,
    fields: impl Iterator<Item = &'s FieldDef>,
    names: &Names<'_>,
) {
    for (n, interface) in interfaces.into_iter().enumerate() {
        let _ = write!(sdl, " {} {interface}", if n == 0 { "implements" } else { "&" });
    }
    let _ = write!(sdl, " {{ {}: Boolean", names.stub);
    for field in fields {
        let _ = write!(sdl, " {}", field.name);
        arguments(sdl, &field.arguments);
        let _ = write!(sdl, ": {}", field.ty);
    }
    sdl.push_str(" }\n");
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
    use crate::lexer::Lexer;

    fn source(text: &str) -> Arc<SourceText> {
        Arc::new(SourceText { name: String::new(), text: text.to_owned() })
    }

    #[test]
    fn one_member_stands_for_all_that_are_alike() {
        let schema = "type Query { node: Node either: Either } interface Node { id: ID! }
            type A implements Node { id: ID! } type B implements Node { id: ID! } type C implements Node { id: ID! }
            type D implements Node { id: ID! } union Either = C | D | E | F type E { e: Int } type F { f: Int }";
        let schema = Schema::parse(&source(schema)).unwrap();
        let query = "{ node { id } either { ... on F { f } } }";
        let tokens: Vec<Token> = Lexer::new(query).map(Result::unwrap).collect();
        let pruned = prune(&schema, query, &tokens).unwrap();
        let lines: Vec<&str> = pruned.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "union Either = C | E | F",
                "type F { pruned: Boolean f: Int }",
                "interface Node { pruned: Boolean id: ID! }",
                "type Query { pruned: Boolean node: Node either: Either }",
                "type A implements Node { pruned: Boolean id: ID! }",
                "type C implements Node { pruned: Boolean id: ID! }",
                "type E { pruned: Boolean }",
            ]
        );
    }

    #[test]
    fn only_what_the_query_can_meet_is_kept() {
        let schema = "type Query { a(in: In): A other: Other }
            interface Node { id: ID! } type A implements Node { id: ID! b: [B!] } union B = C | D
            type C { pruned: Int } type D { y: E } enum E { ONE } input In { e: E = ONE, again: In }
            type Other { x: Missing }";
        let schema = Schema::parse(&source(schema)).unwrap();
        let query = source("query Q($e: E) { a(in: { e: $e }) { b { ... on C { pruned } } } }");
        let prune = |query: &SourceText| {
            prune(&schema, &query.text, &Lexer::new(&query.text).map(Result::unwrap).collect::<Vec<_>>())
        };
        assert_eq!(
            prune(&query).unwrap(),
            "schema { query: Query }\n\
             directive @pruned_(i: Int, f: Float, s: String, b: Boolean, d: ID) on SCHEMA\n\
             type A { pruned_: Boolean b: [B!] }\n\
             union B = C | D\n\
             type C { pruned_: Boolean pruned: Int }\n\
             enum E { ONE }\n\
             input In { e: E = ONE again: In }\n\
             type Query { pruned_: Boolean a(in: In): A }\n\
             type D { pruned_: Boolean }\n"
        );
        assert_eq!(prune(&source("{ other { x } }")), Err(vec!["Missing".to_owned()]));
    }
}
