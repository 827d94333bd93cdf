//! What a first document selects: the key, what the entity says itself, and a little of what stands around it.

use crate::schema::{FieldDef, Schema, TypeDef, TypeKind};

use super::{is_required, key};

/// Leaves of the root at most: a first document is to be read and cut, not to be everything.
const ROOT_LEAVES: usize = 40;

/// Leaves of an object below it.
const LEAVES: usize = 6;

/// Objects below the root, and below each of those.
const OBJECTS: [usize; 2] = [8, 2];

/// The selection of a first document.
pub(super) struct Document<'s> {
    pub(super) fields: Vec<Selected<'s>>,
}

/// A selected field.
pub(super) struct Selected<'s> {
    pub(super) field: &'s FieldDef,
    pub(super) children: Vec<Selected<'s>>,
}

impl<'s> Document<'s> {
    pub(super) fn of(schema: &'s Schema, entity: &'s TypeDef, key: &'s FieldDef) -> Self {
        let mut fields = leaves(schema, entity, Some(key), ROOT_LEAVES);
        fields.extend(objects(schema, entity, &mut vec![entity.name.as_str()]));
        Self { fields }
    }

    /// Calls with each selected field and the fields around it, from the outside in.
    pub(super) fn walk(&self, visit: &mut impl FnMut(&[&str], &Selected<'s>)) {
        walk(&self.fields, &mut Vec::new(), visit);
    }
}

fn walk<'s>(
    fields: &[Selected<'s>],
    above: &mut Vec<&'s str>,
    visit: &mut impl FnMut(&[&str], &Selected<'s>),
) {
    for selected in fields {
        visit(above, selected);
        above.push(&selected.field.name);
        walk(&selected.children, above, visit);
        above.pop();
    }
}

fn is_free(field: &FieldDef) -> bool {
    !field.arguments.iter().any(is_required) && !field.name.starts_with('_')
}

/// The key, then scalars and enums in the schema's order.
fn leaves<'s>(
    schema: &Schema,
    ty: &'s TypeDef,
    key: Option<&'s FieldDef>,
    limit: usize,
) -> Vec<Selected<'s>> {
    let others = ty.fields.iter().filter(|field| {
        let is_leaf = match field.ty.name() {
            "ID" | "String" | "Int" | "Float" | "Boolean" => true,
            name => schema.get(name).is_some_and(|ty| matches!(ty.kind, TypeKind::Scalar | TypeKind::Enum)),
        };
        is_leaf
            && is_free(field)
            && field.ty.list_depth() <= 1
            && key.is_none_or(|key| key.name != field.name)
    });
    let fields = key.into_iter().chain(others).take(limit);
    fields.map(|field| Selected { field, children: Vec::new() }).collect()
}

/// Objects that stand around this one: entities with their key first, and plain values; no connections, no circles.
fn objects<'s>(schema: &'s Schema, ty: &'s TypeDef, above: &mut Vec<&'s str>) -> Vec<Selected<'s>> {
    let Some(&limit) = OBJECTS.get(above.len() - 1) else { return Vec::new() };
    let mut found = Vec::new();
    for field in ty.fields.iter().filter(|field| is_free(field) && field.ty.list_depth() <= 1) {
        let object = schema.get(field.ty.name()).filter(|below| below.kind == TypeKind::Object);
        let Some(below) = object.filter(|below| !is_page(below) && !above.contains(&below.name.as_str()))
        else {
            continue;
        };
        // An entity whose key can't be selected could never be traced back to its documents.
        let key = key(schema, below);
        if key.is_none() && !below.keys.is_empty() {
            continue;
        }
        above.push(&below.name);
        let mut children = leaves(schema, below, key, LEAVES);
        if !children.is_empty() {
            children.extend(objects(schema, below, above));
            found.push(Selected { field, children });
        }
        above.pop();
        if found.len() == limit {
            break;
        }
    }
    found
}

/// A connection: its elements are without number.
fn is_page(ty: &TypeDef) -> bool {
    ty.name.ends_with("Connection") || ty.field("pageInfo").is_some()
}
