//! Rules that need no schema: fragments and their cycles, and how deep an introspection asks.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::{Name, ast::Selection};

use super::{Finding, Parts, range_of, spreads};

/// Fragments that spread each other in one chain, at most; a longer one is refused by apollo-compiler itself.
const MAX_CHAIN: usize = 400;

/// How many lists of introspection graphql-js lets stand inside each other, less one.
const MAX_LISTS: usize = 3;

pub(super) fn findings(parts: &Parts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    fragments(parts, &mut findings);
    let mut cycles = Cycles { parts, visited: BTreeSet::new(), path: Vec::new(), findings: Vec::new() };
    for (fragment, _) in &parts.fragments {
        cycles.follow(fragment.name.as_str());
    }
    findings.append(&mut cycles.findings);
    introspection(parts, &mut findings);
    findings
}

fn fragments(parts: &Parts<'_>, findings: &mut Vec<Finding>) {
    let mut used = BTreeSet::new();
    for operation in &parts.operations {
        used.extend(parts.reachable(&operation.selection_set));
    }
    for (fragment, range) in &parts.fragments {
        if !used.contains(fragment.name.as_str()) {
            let message = format!("fragment `{}` must be used in an operation", fragment.name);
            findings.push(Finding { rule: "UnusedFragment", message, range: range.clone() });
        }
    }
    let sets = parts.operations.iter().map(|operation| &operation.selection_set);
    for set in sets.chain(parts.fragments.iter().map(|(fragment, _)| &fragment.selection_set)) {
        spreads(set, &mut |name| {
            if !parts.by_name.contains_key(name.as_str()) {
                let message = format!("cannot find fragment `{name}` in this document");
                findings.push(Finding { rule: "UndefinedFragment", message, range: range_of(name) });
            }
        });
    }
}

/// The walk that graphql-js does: each cycle is told once, at the spread that begins it.
struct Cycles<'p, 'd> {
    parts: &'p Parts<'d>,
    visited: BTreeSet<&'d str>,
    /// The fragments that are open, each with the spread that is followed from it.
    path: Vec<(&'d str, Option<&'d Name>)>,
    findings: Vec<Finding>,
}

impl Cycles<'_, '_> {
    fn follow(&mut self, name: &str) {
        let Some(fragment) = self.parts.by_name.get(name) else { return };
        if self.path.len() == MAX_CHAIN || !self.visited.insert(fragment.name.as_str()) {
            return;
        }
        self.path.push((fragment.name.as_str(), None));
        let mut spread = Vec::new();
        spreads(&fragment.selection_set, &mut |name| spread.push(name));
        for name in spread {
            if let Some((_, followed)) = self.path.last_mut() {
                *followed = Some(name);
            }
            match self.path.iter().find(|(open, _)| *open == name.as_str()) {
                Some((_, followed)) => {
                    let range = followed.map_or(0..0, range_of);
                    let message = format!("`{name}` fragment cannot reference itself");
                    self.findings.push(Finding { rule: "RecursiveFragmentDefinition", message, range });
                }
                None => self.follow(name),
            }
        }
        self.path.pop();
    }
}

/// graphql-js refuses introspections that ask for lists inside lists inside lists: they multiply.
fn introspection(parts: &Parts<'_>, findings: &mut Vec<Finding>) {
    let sets = parts.operations.iter().map(|operation| &operation.selection_set);
    let mut known = BTreeMap::new();
    for set in sets.chain(parts.fragments.iter().map(|(fragment, _)| &fragment.selection_set)) {
        roots(set, &mut |name, below| {
            let mut open = Vec::new();
            if lists(parts, below, &mut open, &mut known) >= MAX_LISTS {
                let message = format!("`{name}` asks for lists of types inside each other too deep");
                findings.push(Finding { rule: "", message, range: range_of(name) });
            }
        });
    }
}

/// Visits `__schema` and `__type`, outermost first.
fn roots<'d>(selections: &'d [Selection], visit: &mut dyn FnMut(&'d Name, &'d [Selection])) {
    for selection in selections {
        match selection {
            Selection::Field(field) => {
                if field.name == "__schema" || field.name == "__type" {
                    visit(&field.name, &field.selection_set);
                } else {
                    roots(&field.selection_set, visit);
                }
            }
            Selection::InlineFragment(inline) => roots(&inline.selection_set, visit),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// The most lists inside each other in these selections; `known` has what was counted of each fragment.
fn lists<'d>(
    parts: &Parts<'d>,
    selections: &'d [Selection],
    open: &mut Vec<&'d str>,
    known: &mut BTreeMap<&'d str, usize>,
) -> usize {
    let mut most = 0;
    for selection in selections {
        let found = match selection {
            Selection::Field(field) => {
                let is_list =
                    matches!(field.name.as_str(), "fields" | "interfaces" | "possibleTypes" | "inputFields");
                usize::from(is_list) + lists(parts, &field.selection_set, open, known)
            }
            Selection::InlineFragment(inline) => lists(parts, &inline.selection_set, open, known),
            Selection::FragmentSpread(spread) => {
                let name = spread.fragment_name.as_str();
                if let Some(counted) = known.get(name) {
                    *counted
                } else if let Some(fragment) = parts.by_name.get(name)
                    && !open.contains(&name)
                    && open.len() < MAX_CHAIN
                {
                    open.push(name);
                    let counted = lists(parts, &fragment.selection_set, open, known);
                    open.pop();
                    known.insert(name, counted);
                    counted
                } else {
                    0
                }
            }
        };
        most = most.max(found);
    }
    most
}
