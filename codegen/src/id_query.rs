//! Queries that answer ids: where the id stands in the answer, and how pages follow each other.

use std::sync::Arc;

use async_graphql_parser::types::BaseType;
use plan::{
    Diagnostic, SourceText,
    code::graph as codes,
    index_plan::{IdQuery, Paging},
};

use crate::{
    id_count, print,
    schema::Schema,
    shape::{self, ShapeField},
    template::Template,
    validate,
};

/// What a query for ids is for.
pub(crate) struct Purpose<'a> {
    /// The root entity.
    pub(crate) entity: &'a str,
    /// Its key.
    pub(crate) key: &'a str,
    /// Whether `$id` of a related entity is filled in.
    pub(crate) is_back_reference: bool,
    /// The name for an operation without one.
    pub(crate) name: &'a str,
}

/// Validates a query for ids and finds its way.
pub(crate) fn compile(
    schema: &Schema,
    schema_source: &Arc<SourceText>,
    source: &Arc<SourceText>,
    purpose: &Purpose<'_>,
) -> Result<IdQuery, Vec<Diagnostic>> {
    let template = Template::parse(source, purpose.name)?;
    let diagnostics = validate::against(schema, schema_source, source);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    let roots = shape::build(schema, &template, None)?;
    let mut diagnostics = Vec::new();

    let ids = find_ids(schema, &template, &roots, purpose, &mut diagnostics);
    let id_variable = find_id_variable(&template, purpose, &mut diagnostics);
    let paging = find_paging(&template, &roots, id_variable.as_deref());
    check_variables(&template, id_variable.as_deref(), paging.as_ref(), &mut diagnostics);
    match ids {
        Some(ids) if diagnostics.is_empty() => Ok(IdQuery {
            query: print::document(&template),
            operation_name: template.name.clone(),
            count: paging
                .as_ref()
                .filter(|_| !purpose.is_back_reference)
                .and_then(|paging| id_count::compile(schema, &template, &roots, paging)),
            ids,
            id_variable,
            paging,
        }),
        _ => Err(diagnostics),
    }
}

/// Response keys from `data` to the one key field of the entity.
fn find_ids(
    schema: &Schema,
    template: &Template,
    roots: &[ShapeField],
    purpose: &Purpose<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Vec<String>> {
    let mut found: Vec<&ShapeField> = Vec::new();
    for root in roots {
        root.walk(&mut |field| {
            let is_key = |(parent, name): (&String, &String)| {
                name == purpose.key && schema.possible(parent).contains(purpose.entity)
            };
            if field.selected_on.iter().any(is_key) && field.is_leaf() && !field.has_arguments {
                found.push(field);
            }
        });
    }
    let wanted = format!("{}.{}", purpose.entity, purpose.key);
    match found.as_slice() {
        [only] => return Some(only.path.split('.').map(str::to_owned).collect()),
        [] => {
            let pos = template.operation.selection_set.pos;
            let help = format!("select `{}` on {} somewhere in it", purpose.key, purpose.entity);
            diagnostics.push(template.error(
                codes::SS219,
                pos,
                format!("the query doesn't select {wanted}"),
                help,
            ));
        }
        [first, second, ..] => {
            let message = format!("the query selects {wanted} more than once, at {} and here", first.path);
            diagnostics.push(template.error(
                codes::SS219,
                second.pos,
                message,
                "select it once, so that it's clear which ids are meant",
            ));
        }
    }
    None
}

/// The variable that takes the related entity's id; `None` for an enumeration.
fn find_id_variable(
    template: &Template,
    purpose: &Purpose<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    if !purpose.is_back_reference {
        return None;
    }
    let definitions = &template.operation.variable_definitions;
    let required =
        |definition: &&async_graphql_parser::Positioned<async_graphql_parser::types::VariableDefinition>| {
            definition.node.default_value.is_none() && !definition.node.var_type.node.nullable
        };
    let named = definitions.iter().find(|definition| definition.node.name.node == "id");
    let Some(id) = named.or_else(|| definitions.iter().find(required)) else {
        let help = format!("declare `query {}($id: ID!)` and use it", template.name);
        let pos = template.operation.selection_set.pos;
        diagnostics.push(template.error(
            codes::SS219,
            pos,
            "a back-reference takes the id of what changed",
            help,
        ));
        return None;
    };
    if matches!(id.node.var_type.node.base, BaseType::List(_)) {
        let message = format!("`${}` is a list, and a back-reference takes one id", id.node.name.node);
        diagnostics.push(template.error(codes::SS219, id.node.var_type.pos, message, "declare it as `ID!`"));
    }
    Some(id.node.name.node.to_string())
}

fn find_paging(template: &Template, roots: &[ShapeField], id: Option<&str>) -> Option<Paging> {
    let definitions = template.operation.variable_definitions.iter().map(|definition| &definition.node);
    let mut page_info = None;
    for root in roots {
        root.walk(&mut |field| {
            let has = |name: &str| field.children.iter().any(|child| child.name == name && child.is_leaf());
            if page_info.is_none() && has("hasNextPage") && has("endCursor") {
                page_info = Some(field.path.split('.').map(str::to_owned).collect::<Vec<_>>());
            }
        });
    }
    if let Some(page_info) = page_info {
        let candidates: Vec<_> = definitions
            .clone()
            .filter(|definition| definition.var_type.node.nullable && definition.default_value.is_none())
            .filter(|definition| Some(definition.name.node.as_str()) != id)
            .collect();
        let after =
            candidates.iter().find(|definition| definition.name.node == "after").or(candidates.first());
        if let Some(after) = after {
            return Some(Paging::Relay { page_info, after: after.name.node.to_string() });
        }
    }
    let mut definitions = definitions;
    let offset = definitions.find(|definition| matches!(definition.name.node.as_str(), "offset" | "skip"))?;
    Some(Paging::Offset { offset: offset.name.node.to_string() })
}

/// Every variable must be filled in by paging, by the back-reference, or by its default.
fn check_variables(
    template: &Template,
    id: Option<&str>,
    paging: Option<&Paging>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let paged = match paging {
        Some(Paging::Relay { after, .. }) => Some(after.as_str()),
        Some(Paging::Offset { offset }) => Some(offset.as_str()),
        None => None,
    };
    for definition in &template.operation.variable_definitions {
        let name = definition.node.name.node.as_str();
        let filled = Some(name) == id || Some(name) == paged || definition.node.default_value.is_some();
        if filled {
            continue;
        }
        let pos = definition.node.name.pos;
        let (message, help) = if name == "after" {
            let help = "select `pageInfo { hasNextPage endCursor }` beside the edges";
            ("`$after` pages, but the query doesn't select its cursor".to_owned(), help.to_owned())
        } else {
            let help = format!("give it one: `${name}: {} = …`", definition.node.var_type.node);
            (format!("the variable `${name}` has no default"), help)
        };
        diagnostics.push(template.error(codes::SS208, pos, message, help));
    }
}
