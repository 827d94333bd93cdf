//! Rules about variables and input objects: each value of the query beside the type that is expected of it.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::{
    Name, Node,
    ast::{Argument, DirectiveList, Selection, Type, Value, VariableDefinition},
};

use super::{Finding, Parts};
use crate::{
    prune::BUILT_IN,
    schema::{InputDef, Schema, TypeKind, TypeRef},
};

/// Where a variable is used.
struct Usage<'d> {
    name: &'d Name,
    place: Place,
    range: std::ops::Range<usize>,
}

/// What is expected of a value.
#[derive(Clone, Default)]
struct Place {
    /// `None` where the schema doesn't know the place.
    ty: Option<TypeRef>,
    has_default: bool,
    /// Whether it is a field of an input object of which exactly one must be given.
    one_of: Option<String>,
    /// Such as "argument `first`".
    what: String,
}

/// The variables that each definition uses itself, and what is wrong with its literals.
pub(super) struct Usages<'d> {
    operations: Vec<Vec<Usage<'d>>>,
    fragments: BTreeMap<&'d str, Vec<Usage<'d>>>,
    findings: Vec<Finding>,
}

impl<'d> Usages<'d> {
    pub(super) fn of(schema: &Schema, parts: &Parts<'d>) -> Self {
        let mut usages = Self { operations: Vec::new(), fragments: BTreeMap::new(), findings: Vec::new() };
        for operation in &parts.operations {
            let mut walk = Walk { schema, usages: Vec::new(), findings: &mut usages.findings };
            for definition in &operation.variables {
                if let Some(default) = &definition.default_value {
                    let ty = known(schema, type_ref(&definition.ty));
                    walk.value(default, &Place { ty, ..Place::default() });
                }
                walk.directives(&definition.directives);
            }
            walk.directives(&operation.directives);
            walk.selections(&operation.selection_set, Some(&schema.query));
            usages.operations.push(walk.usages);
        }
        for (fragment, _) in &parts.fragments {
            let mut walk = Walk { schema, usages: Vec::new(), findings: &mut usages.findings };
            walk.directives(&fragment.directives);
            walk.selections(&fragment.selection_set, Some(&fragment.type_condition));
            let used = walk.usages;
            usages.fragments.entry(fragment.name.as_str()).or_insert(used);
        }
        usages
    }

    pub(super) fn findings(mut self, schema: &Schema, parts: &Parts<'d>) -> Vec<Finding> {
        let mut findings = std::mem::take(&mut self.findings);
        for (operation, own) in parts.operations.iter().zip(&self.operations) {
            let mut defined: BTreeMap<&str, &Node<VariableDefinition>> = BTreeMap::new();
            for definition in &operation.variables {
                defined.entry(definition.name.as_str()).or_insert(definition);
            }
            let through = parts.reachable(&operation.selection_set);
            let through = through.iter().filter_map(|name| self.fragments.get(name)).flatten();
            let mut used = BTreeSet::new();
            for usage in own.iter().chain(through) {
                used.insert(usage.name.as_str());
                findings.extend(match defined.get(usage.name.as_str()) {
                    Some(definition) => misuse(schema, definition, usage),
                    None => Some(Finding {
                        rule: "UndefinedVariable",
                        message: format!("variable `${}` is not defined", usage.name),
                        range: usage.range.clone(),
                    }),
                });
            }
            for definition in operation.variables.iter().filter(|one| !used.contains(one.name.as_str())) {
                let name = super::range_of(&definition.name);
                findings.push(Finding {
                    rule: "UnusedVariable",
                    message: format!("unused variable: `${}`", definition.name),
                    range: name.start.saturating_sub(1)..name.end,
                });
            }
        }
        findings
    }
}

/// What forbids to put the variable there.
fn misuse(schema: &Schema, definition: &VariableDefinition, usage: &Usage<'_>) -> Option<Finding> {
    let ty = known(schema, type_ref(&definition.ty))?;
    let wanted = usage.place.ty.as_ref()?;
    let is_null = |value: &Node<Value>| matches!(value.as_ref(), Value::Null);
    let filled =
        usage.place.has_default || definition.default_value.as_ref().is_some_and(|value| !is_null(value));
    let fits = match wanted {
        TypeRef::NonNull(inner) if ty.is_nullable() => filled && is_subtype(&ty, inner),
        _ => is_subtype(&ty, wanted),
    };
    let finding =
        |message| Some(Finding { rule: "DisallowedVariableUsage", message, range: usage.range.clone() });
    if let (true, Some(one_of)) = (fits && ty.is_nullable(), &usage.place.one_of) {
        let name = usage.name;
        return finding(format!(
            "variable `${name}` of type `{ty}` may be null, and exactly one field of {one_of} must be given: `{ty}!`"
        ));
    }
    if fits {
        return None;
    }
    let (name, what) = (usage.name, &usage.place.what);
    finding(format!("variable `${name}` of type `{ty}` cannot be used for {what} of type `{wanted}`"))
}

fn is_subtype(ty: &TypeRef, wanted: &TypeRef) -> bool {
    match (ty, wanted) {
        (TypeRef::NonNull(ty), TypeRef::NonNull(wanted)) | (TypeRef::List(ty), TypeRef::List(wanted)) => {
            is_subtype(ty, wanted)
        }
        (TypeRef::NonNull(ty), wanted) => is_subtype(ty, wanted),
        (TypeRef::Named(ty), TypeRef::Named(wanted)) => ty == wanted,
        _ => false,
    }
}

/// The type, if the schema has what it names: an unknown one is told where it stands.
fn known(schema: &Schema, ty: TypeRef) -> Option<TypeRef> {
    (BUILT_IN.contains(&ty.name()) || schema.get(ty.name()).is_some()).then_some(ty)
}

fn type_ref(ty: &Type) -> TypeRef {
    match ty {
        Type::Named(name) => TypeRef::Named(name.to_string()),
        Type::NonNullNamed(name) => TypeRef::NonNull(Box::new(TypeRef::Named(name.to_string()))),
        Type::List(inner) => TypeRef::List(Box::new(type_ref(inner))),
        Type::NonNullList(inner) => TypeRef::NonNull(Box::new(TypeRef::List(Box::new(type_ref(inner))))),
    }
}

/// One definition, walked beside the schema.
struct Walk<'w, 'd> {
    schema: &'w Schema,
    usages: Vec<Usage<'d>>,
    findings: &'w mut Vec<Finding>,
}

impl<'d> Walk<'_, 'd> {
    fn selections(&mut self, selections: &'d [Selection], parent: Option<&str>) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    let schema = self.schema;
                    let definition =
                        parent.and_then(|parent| schema.get(parent)).and_then(|ty| ty.field(&field.name));
                    self.arguments(&field.arguments, definition.map(|found| found.arguments.as_slice()));
                    self.directives(&field.directives);
                    let below = definition.map(|found| found.ty.name());
                    self.selections(&field.selection_set, below);
                }
                Selection::InlineFragment(inline) => {
                    self.directives(&inline.directives);
                    let condition = inline.type_condition.as_ref().map(Name::as_str);
                    self.selections(&inline.selection_set, condition.or(parent));
                }
                Selection::FragmentSpread(spread) => self.directives(&spread.directives),
            }
        }
    }

    fn directives(&mut self, directives: &'d DirectiveList) {
        for directive in &directives.0 {
            if matches!(directive.name.as_str(), "include" | "skip") {
                let ty = TypeRef::NonNull(Box::new(TypeRef::Named("Boolean".into())));
                let condition = InputDef { name: "if".into(), ty, default: None };
                self.arguments(&directive.arguments, Some(&[condition]));
                continue;
            }
            let definition = self.schema.directives.get(directive.name.as_str());
            self.arguments(&directive.arguments, definition.map(|found| found.arguments.as_slice()));
        }
    }

    fn arguments(&mut self, arguments: &'d [Node<Argument>], definitions: Option<&[InputDef]>) {
        for argument in arguments {
            let mut found = definitions.into_iter().flatten();
            let place = match found.find(|one| argument.name == one.name.as_str()) {
                Some(one) => expected(one, format!("argument `{}`", one.name)),
                None => Place::default(),
            };
            self.value(&argument.value, &place);
        }
    }

    fn value(&mut self, value: &'d Node<Value>, place: &Place) {
        let range = value.location().map_or(0..0, |at| at.offset()..at.end_offset());
        match value.as_ref() {
            Value::Variable(name) => self.usages.push(Usage { name, place: place.clone(), range }),
            Value::List(items) => {
                let item = place.ty.as_ref().map(|ty| match nullable(ty) {
                    TypeRef::List(inner) => (**inner).clone(),
                    other => other.clone(),
                });
                let below = Place { ty: item, what: place.what.clone(), ..Place::default() };
                items.iter().for_each(|item| self.value(item, &below));
            }
            Value::Object(fields) => {
                let schema = self.schema;
                let input = place.ty.as_ref().and_then(|ty| schema.get(ty.name()));
                let input = input.filter(|input| input.kind == TypeKind::Input);
                let mut names: BTreeSet<&str> = BTreeSet::new();
                for (name, value) in fields {
                    if !names.insert(name.as_str()) {
                        self.findings.push(Finding {
                            rule: "UniqueInputField",
                            message: format!("the input field `{name}` is given more than once"),
                            range: super::range_of(name),
                        });
                    }
                    let definition =
                        input.and_then(|input| input.inputs.iter().find(|one| *name == one.name.as_str()));
                    let mut below = definition.map_or_else(Place::default, |one| {
                        expected(one, format!("input field `{}`", one.name))
                    });
                    below.one_of = input.filter(|input| input.one_of).map(|input| input.name.clone());
                    self.value(value, &below);
                }
                if let Some(input) = input.filter(|input| input.one_of) {
                    let is_null = fields.iter().any(|(_, value)| matches!(value.as_ref(), Value::Null));
                    if names.len() != 1 || is_null {
                        let message =
                            format!("exactly one field of {} must be given, and not null", input.name);
                        self.findings.push(Finding { rule: "OneOf", message, range });
                    }
                }
            }
            _ => {}
        }
    }
}

fn nullable(ty: &TypeRef) -> &TypeRef {
    match ty {
        TypeRef::NonNull(inner) => inner,
        other => other,
    }
}

fn expected(definition: &InputDef, what: String) -> Place {
    Place { ty: Some(definition.ty.clone()), has_default: definition.default.is_some(), one_of: None, what }
}
