//! How to ask how many ids there are, where a connection offers `totalCount`: the user's own query, cut down to that one field.

use async_graphql_parser::{
    Positioned,
    types::{Field, Selection, SelectionSet},
};
use async_graphql_value::Name;
use plan::index_plan::{IdCountQuery, Paging};

use crate::{
    print,
    schema::{Schema, TypeRef},
    shape::ShapeField,
    template::Template,
};

/// The field, as Relay's users name it.
const TOTAL: &str = "totalCount";

/// The query for the number; `None` where the connection has none, stands inside of a list or behind a fragment.
pub(crate) fn compile(
    schema: &Schema,
    template: &Template,
    roots: &[ShapeField],
    paging: &Paging,
) -> Option<IdCountQuery> {
    let Paging::Relay { page_info, .. } = paging else { return None };
    let (_, connection) = page_info.split_last()?;
    let field = find(roots, connection)?;
    let total = schema.get(field.type_name())?.field(TOTAL)?;
    let needs = |ty: &TypeRef, default: &Option<String>| !ty.is_nullable() && default.is_none();
    let is_plain = total.ty.name() == "Int" && total.ty.list_depth() == 0;
    if !is_plain || total.arguments.iter().any(|argument| needs(&argument.ty, &argument.default)) {
        return None;
    }
    let selections = narrowed(&template.operation.selection_set.node, connection)?;
    let definitions = template.operation.variable_definitions.iter().map(|definition| &definition.node);
    let query = print::cut_down(&template.name, definitions, &selections);
    let path = connection.iter().cloned().chain([TOTAL.to_owned()]).collect();
    Some(IdCountQuery { query, path })
}

/// The field at a path on which there is no list.
fn find<'s>(fields: &'s [ShapeField], path: &[String]) -> Option<&'s ShapeField> {
    let (name, rest) = path.split_first()?;
    let field = fields.iter().find(|field| field.name == *name && field.ty.list_depth() == 0)?;
    if rest.is_empty() { Some(field) } else { find(&field.children, rest) }
}

/// A selection of nothing but the number at the end of a path.
fn narrowed(selections: &SelectionSet, path: &[String]) -> Option<SelectionSet> {
    let (name, rest) = path.split_first()?;
    let found = selections.items.iter().find_map(|selection| match &selection.node {
        Selection::Field(field) if field.node.response_key().node == name.as_str() => Some(field),
        _ => None,
    })?;
    let below = if rest.is_empty() {
        let total = Field {
            alias: None,
            name: Positioned::new(Name::new(TOTAL), found.pos),
            arguments: Vec::new(),
            directives: Vec::new(),
            selection_set: Positioned::default(),
        };
        SelectionSet {
            items: vec![Positioned::new(Selection::Field(Positioned::new(total, found.pos)), found.pos)],
        }
    } else {
        narrowed(&found.node.selection_set.node, rest)?
    };
    let mut field = found.node.clone();
    field.selection_set = Positioned::new(below, found.pos);
    Some(SelectionSet {
        items: vec![Positioned::new(Selection::Field(Positioned::new(field, found.pos)), found.pos)],
    })
}
