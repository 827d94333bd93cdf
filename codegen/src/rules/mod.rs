//! Rules of GraphQL that apollo-compiler judges otherwise than graphql-js, or not at all: judged here, on its syntax tree.

mod names;
mod usages;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use apollo_compiler::ast::{Definition, Document, FragmentDefinition, OperationDefinition, Selection};

use self::usages::Usages;
use crate::schema::Schema;

/// The rules of apollo-compiler whose findings are replaced by those made here.
pub(crate) const REPLACED: [&str; 6] = [
    "UnusedVariable",
    "UndefinedVariable",
    "UnusedFragment",
    "UndefinedFragment",
    "RecursiveFragmentDefinition",
    "DisallowedVariableUsage",
];

/// One thing that is wrong with a query.
pub(crate) struct Finding {
    /// The rule by apollo-compiler's name; empty where it has none.
    pub(crate) rule: &'static str,
    pub(crate) message: String,
    pub(crate) range: Range<usize>,
}

/// The definitions of a document, by name where they are asked for by name.
struct Parts<'d> {
    operations: Vec<&'d OperationDefinition>,
    /// In the order of the text, with the bytes of each.
    fragments: Vec<(&'d FragmentDefinition, Range<usize>)>,
    by_name: BTreeMap<&'d str, &'d FragmentDefinition>,
}

/// Everything that the rules of this module find.
pub(crate) fn findings(schema: &Schema, document: &Document) -> Vec<Finding> {
    let parts = Parts::of(document);
    let usages = Usages::of(schema, &parts);
    let mut findings = names::findings(&parts);
    findings.extend(usages.findings(schema, &parts));
    findings
}

impl<'d> Parts<'d> {
    fn of(document: &'d Document) -> Self {
        let mut parts = Parts { operations: Vec::new(), fragments: Vec::new(), by_name: BTreeMap::new() };
        for definition in &document.definitions {
            match definition {
                Definition::OperationDefinition(operation) => parts.operations.push(operation),
                Definition::FragmentDefinition(fragment) => {
                    let range = fragment.location().map_or(0..0, |at| at.offset()..at.end_offset());
                    parts.fragments.push((fragment, range));
                    parts.by_name.entry(fragment.name.as_str()).or_insert(fragment);
                }
                _ => {}
            }
        }
        parts
    }

    /// The fragments that a selection set comes to, through others.
    fn reachable(&self, selections: &'d [Selection]) -> BTreeSet<&'d str> {
        let mut found = BTreeSet::new();
        let mut open = vec![selections];
        while let Some(selections) = open.pop() {
            spreads(selections, &mut |name| {
                if found.insert(name.as_str()) {
                    open.extend(self.by_name.get(name.as_str()).map(|found| found.selection_set.as_slice()));
                }
            });
        }
        found
    }
}

/// Visits every fragment that is spread in these selections themselves, in the order of the text.
fn spreads<'d>(selections: &'d [Selection], visit: &mut dyn FnMut(&'d apollo_compiler::Name)) {
    for selection in selections {
        match selection {
            Selection::Field(field) => spreads(&field.selection_set, visit),
            Selection::InlineFragment(inline) => spreads(&inline.selection_set, visit),
            Selection::FragmentSpread(spread) => visit(&spread.fragment_name),
        }
    }
}

/// The bytes of a name.
fn range_of(name: &apollo_compiler::Name) -> Range<usize> {
    name.location().map_or(0..0, |at| at.offset()..at.end_offset())
}
