//! Which subgraphs can answer each path of a query: the owners of its field, as far as the gateway can ask them there.
//!
//! A subgraph can be asked for a field of an object where it answers the object itself, or where the object has a key
//! that it resolves. So the fields of a value type belong to those that answer the field above it, and `@provides`
//! makes a subgraph an owner at one path alone.

use std::collections::BTreeSet;

use async_graphql_parser::{
    parse_query,
    types::{DocumentOperations, Selection, SelectionSet},
};

use crate::{
    schema::{FieldDef, Schema, TypeDef, TypeKind},
    shape::ShapeField,
};

/// Braces inside each other in a `@provides`, at most: the parser recurses, and nobody provides so deeply.
const MAX_DEPTH: usize = 16;

/// Where a selection set stands.
struct Place {
    /// The types that its object can have.
    possible: BTreeSet<String>,
    /// The type of the field above.
    declared: String,
    /// The subgraphs that answer the object.
    answered_by: BTreeSet<String>,
    /// What subgraphs provide at this place.
    provided: Vec<(String, SelectionSet)>,
}

/// Tells each field of an answer its owners; nothing where the schema names no subgraphs.
///
/// `entity` is what the root field answers, where its own type is wider.
pub(crate) fn tell(schema: &Schema, roots: &mut [ShapeField], entity: Option<&str>) {
    if schema.subgraphs.is_empty() {
        return;
    }
    let place = Place {
        possible: BTreeSet::from([schema.query.clone()]),
        declared: schema.query.clone(),
        answered_by: schema.subgraphs.keys().cloned().collect(),
        provided: Vec::new(),
    };
    for root in roots {
        descend(schema, root, &place, entity);
    }
}

fn descend(schema: &Schema, field: &mut ShapeField, place: &Place, narrowed: Option<&str>) {
    let mut provided = Vec::new();
    for (parent, name) in &field.selected_on {
        let Some(parent) = schema.get(parent) else { continue };
        // What an interface promises is answered for its objects; where it is an object itself, for all of them.
        let objects = schema.possible(&parent.name).into_iter().filter(|name| place.possible.contains(*name));
        for ty in objects.chain([parent.name.as_str()]).filter_map(|name| schema.get(name)) {
            let Some(answers) = answers(schema, ty, name, place) else { continue };
            let definition = ty.field(name);
            provided.extend(definition.into_iter().flat_map(|definition| &definition.provides).filter_map(
                |(subgraph, selection)| {
                    let is_asked = answers.contains(subgraph);
                    is_asked.then(|| Some((subgraph.clone(), selection_set(selection)?))).flatten()
                },
            ));
            field.owners.extend(answers);
        }
    }
    for (subgraph, selection) in &place.provided {
        if let Some(below) = selected(selection, &field.field) {
            field.owners.insert(subgraph.clone());
            provided.push((subgraph.clone(), below));
        }
    }
    let possible = match narrowed {
        Some(entity) => BTreeSet::from([entity.to_owned()]),
        None => schema.possible(field.ty.name()).into_iter().map(str::to_owned).collect(),
    };
    let below =
        Place { possible, declared: field.ty.name().to_owned(), answered_by: field.owners.clone(), provided };
    for child in &mut field.children {
        descend(schema, child, &below, None);
    }
}

/// The subgraphs that answer a type's field at a place; `None` where the type has no such field.
fn answers(schema: &Schema, ty: &TypeDef, field: &str, place: &Place) -> Option<BTreeSet<String>> {
    // Federation 1 says nothing of value types: they come with the field above.
    if ty.subgraphs.is_empty() {
        return Some(place.answered_by.clone());
    }
    let can_answer: BTreeSet<String> = if field == "__typename" {
        let definers = ty.subgraphs.iter().filter(|(_, definer)| !definer.is_interface_object);
        definers.map(|(subgraph, _)| subgraph.clone()).collect()
    } else {
        owners(schema, ty, ty.field(field)?)
    };
    let is_asked = |subgraph: &String| {
        place.answered_by.contains(subgraph) && yields(schema, ty, subgraph, place)
            || is_entered(schema, ty, subgraph)
    };
    let asked: BTreeSet<String> = can_answer.iter().filter(|subgraph| is_asked(subgraph)).cloned().collect();
    // Who composed without keys knows another way; the field's owners still hold.
    Some(if asked.is_empty() { can_answer } else { asked })
}

/// The subgraphs that define a field so that it can be answered.
pub(crate) fn owners(schema: &Schema, ty: &TypeDef, field: &FieldDef) -> BTreeSet<String> {
    if !field.is_of_interface {
        return field.owners.clone();
    }
    let interfaces = ty.interfaces.iter().filter_map(|name| schema.get(name));
    interfaces
        .filter_map(|interface| interface.field(&field.name))
        .flat_map(|field| field.owners.iter().cloned())
        .collect()
}

/// Whether the gateway can ask a subgraph for an object of this type by a key, whoever answered it before.
fn is_entered(schema: &Schema, ty: &TypeDef, subgraph: &str) -> bool {
    let by_key = |ty: &TypeDef| ty.subgraphs.get(subgraph).is_some_and(|definer| definer.by_key);
    let mut interfaces = ty.interfaces.iter().filter_map(|name| schema.get(name));
    ty.name == schema.query
        || by_key(ty)
        || interfaces.any(|interface| is_object_in(interface, subgraph) && by_key(interface))
}

/// Whether the field above, asked of a subgraph, can bring an object of this type there.
fn yields(schema: &Schema, ty: &TypeDef, subgraph: &str, place: &Place) -> bool {
    let Some(declared) = schema.get(&place.declared) else { return true };
    let (teller, name) = match declared.kind {
        TypeKind::Union => (declared, &ty.name),
        TypeKind::Interface if ty.kind == TypeKind::Object && !is_object_in(declared, subgraph) => {
            (ty, &declared.name)
        }
        _ => return true,
    };
    teller.relations.is_empty() || teller.relations.contains(&(subgraph.to_owned(), name.clone()))
}

fn is_object_in(interface: &TypeDef, subgraph: &str) -> bool {
    interface.subgraphs.get(subgraph).is_some_and(|definer| definer.is_interface_object)
}

/// The selection of a `@provides`, parsed; composition has validated it.
fn selection_set(selection: &str) -> Option<SelectionSet> {
    let mut depth = 0_usize;
    let is_deep = selection.bytes().any(|byte| {
        depth = depth.saturating_add(usize::from(byte == b'{')).saturating_sub(usize::from(byte == b'}'));
        depth > MAX_DEPTH
    });
    if is_deep {
        return None;
    }
    let document = parse_query(format!("{{ {selection} }}")).ok()?;
    match document.operations {
        DocumentOperations::Single(operation) => Some(operation.node.selection_set.node),
        DocumentOperations::Multiple(_) => None,
    }
}

/// What a selection holds below a field; `None` where it doesn't select it. What it says of one type counts for all.
fn selected(selection: &SelectionSet, field: &str) -> Option<SelectionSet> {
    let mut below: Option<SelectionSet> = None;
    for item in &selection.items {
        let found = match &item.node {
            Selection::Field(one) if one.node.name.node == field => Some(one.node.selection_set.node.clone()),
            Selection::InlineFragment(fragment) => selected(&fragment.node.selection_set.node, field),
            _ => None,
        };
        if let Some(found) = found {
            below.get_or_insert_default().items.extend(found.items);
        }
    }
    below
}
