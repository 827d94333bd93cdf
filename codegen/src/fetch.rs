//! How documents are asked of the gateway: the id variable, the batch mode, and the texts of the requests.

use async_graphql_parser::{
    Pos, Positioned,
    types::{BaseType, Directive, Field, Selection, SelectionSet, Type, VariableDefinition},
};
use async_graphql_value::Value;
use plan::{
    Diagnostic,
    code::graph as codes,
    index_plan::{FetchMode, FetchPlan, short_hash},
};

use crate::{
    config::{BatchMode, Config},
    print::{self, Printer, SLOT},
    schema::Schema,
    template::Template,
};

/// The one field of the operation.
pub(crate) struct RootField<'t> {
    pub(crate) field: &'t Field,
    pub(crate) pos: Pos,
}

/// The one root field, which must be a plain field.
pub(crate) fn root_field(template: &Template) -> Result<RootField<'_>, Diagnostic> {
    let items = &template.operation.selection_set.node.items;
    let help = "the document is what stands under one field of the query; spread fragments below it";
    match items.as_slice() {
        [only] => match &only.node {
            Selection::Field(field) if field.node.name.node == "__typename" => {
                Err(template.error(codes::SS206, field.pos, "`__typename` is no document", help))
            }
            Selection::Field(field) => Ok(RootField { field: &field.node, pos: field.pos }),
            _ => Err(template.error(
                codes::SS206,
                only.pos,
                "a fragment stands where the root field should",
                help,
            )),
        },
        [_, second, ..] => Err(template.error(codes::SS206, second.pos, "this is a second root field", help)),
        [] => Err(template.error(codes::SS206, Pos::default(), "the query selects nothing", help)),
    }
}

/// The plan of fetching, or why the query can't be fetched by id.
pub(crate) fn plan(
    config: &Config,
    schema: &Schema,
    template: &Template,
    root: &RootField<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<FetchPlan> {
    let ty = &schema.get(&schema.query)?.field(&root.field.name.node)?.ty;
    let variable = id_variable(template, ty.list_depth() > 0, diagnostics)?;
    let mode = mode(config, template, root, ty.name(), variable, diagnostics)?;
    let query = print::document(template);
    let operation_name = template.name.clone();
    // Owners are told with the shape of the answer.
    Some(FetchPlan { operation_name, query_hash: short_hash(&query), query, mode, owners: Vec::new() })
}

/// The variable that takes the id, or the list of ids; every other one must have a default.
fn id_variable<'t>(
    template: &'t Template,
    is_list: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<&'t VariableDefinition> {
    let definitions = &template.operation.variable_definitions;
    let without_default: Vec<&Positioned<VariableDefinition>> =
        definitions.iter().filter(|definition| definition.node.default_value.is_none()).collect();
    let named = |name: &str| without_default.iter().find(|definition| definition.node.name.node == name);
    let usual =
        if is_list { named("ids").or_else(|| named("id")) } else { named("id").or_else(|| named("ids")) };
    let Some(id) = usual.or(without_default.first()) else {
        let wanted = if is_list { "$ids: [ID!]!" } else { "$id: ID!" };
        let help =
            format!("declare `query {}({wanted})` and use it in the root field's arguments", template.name);
        let pos = template.operation.selection_set.pos;
        diagnostics.push(template.error(codes::SS207, pos, "no variable takes the document's id", help));
        return None;
    };
    let mut good = true;
    for other in without_default.iter().filter(|other| other.pos != id.pos) {
        let name = &other.node.name.node;
        let message = format!("the variable `${name}` has no default");
        let help = format!(
            "give it one: `${name}: {} = …`; only `${}` is filled in",
            other.node.var_type.node, id.node.name.node
        );
        diagnostics.push(template.error(codes::SS208, other.node.name.pos, message, help));
        good = false;
    }
    let ty = &id.node.var_type.node;
    let depth = list_depth(ty);
    if depth != usize::from(is_list) {
        let (answers, wanted) =
            if is_list { ("a list", "a list of ids: `[ID!]!`") } else { ("one document", "one id: `ID!`") };
        let message = format!("`${}` is {ty}, and the root field answers {answers}", id.node.name.node);
        diagnostics.push(template.error(
            codes::SS207,
            id.node.var_type.pos,
            message,
            format!("it must take {wanted}"),
        ));
        good = false;
    }
    good.then_some(&id.node)
}

fn list_depth(ty: &Type) -> usize {
    match &ty.base {
        BaseType::Named(_) => 0,
        BaseType::List(inner) => 1 + list_depth(inner),
    }
}

fn mode(
    config: &Config,
    template: &Template,
    root: &RootField<'_>,
    root_type: &str,
    id: &VariableDefinition,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<FetchMode> {
    let variable = id.name.node.to_string();
    let root_key = root.field.response_key().node.to_string();
    let is_list = list_depth(&id.var_type.node) > 0;
    let wish = config.graph.batch_mode.as_ref();
    let alone = (!is_list).then(|| obstacle(template, root, &variable)).flatten();
    let why_not = match wish.map(|wish| wish.value) {
        Some(BatchMode::List) if !is_list => Some("the root field answers one document"),
        Some(BatchMode::Alias | BatchMode::Single) if is_list => Some("the root field takes a list of ids"),
        Some(BatchMode::Alias) => alone.as_ref().map(|(_, reason)| *reason),
        _ => None,
    };
    if let (Some(wish), Some(why_not)) = (wish, why_not) {
        let message = format!("`mode: {}` is not possible: {why_not}", wish.value.word());
        let help = "leave `graph.batch.mode` out to take what the query allows";
        diagnostics
            .push(Diagnostic::error(codes::SS220, message).at(&config.source, wish.range.clone()).help(help));
        return None;
    }
    if is_list {
        return Some(FetchMode::List { variable, root: root_key });
    }
    if wish.is_some_and(|wish| wish.value == BatchMode::Single) {
        return Some(FetchMode::Single { variable, root: root_key });
    }
    if let Some((pos, reason)) = alone {
        let message = format!("each document costs a request of its own: {reason}");
        let help = format!(
            "use `${variable}` in the arguments of the root field alone, or say `graph: {{ batch: {{ mode: single }} }}`"
        );
        let diagnostic = Diagnostic::warning(codes::SS217, message).at(&template.source, template.range(pos));
        diagnostics.push(diagnostic.help(help));
        return Some(FetchMode::Single { variable, root: root_key });
    }
    Some(alias(template, root, root_type, id))
}

/// What forbids to repeat the root field under aliases.
fn obstacle(template: &Template, root: &RootField<'_>, variable: &str) -> Option<(Pos, &'static str)> {
    if let Some(directive) = template.operation.directives.first() {
        return Some((directive.pos, "the operation has directives"));
    }
    let clashes = |name: &str| name.strip_prefix("id").is_some_and(|n| n.parse::<u32>().is_ok());
    let others = template.operation.variable_definitions.iter().map(|definition| &definition.node.name);
    if let Some(clash) = others.into_iter().find(|name| clashes(&name.node) && name.node != variable) {
        return Some((clash.pos, "a variable is named like an alias' own, `$id0`, `$id1`, …"));
    }
    let mut below = usage(&root.field.selection_set.node, variable);
    for (_, fragment) in &template.fragments {
        below = below.or_else(|| usage(&fragment.selection_set.node, variable));
        below = below.or_else(|| directive_usage(&fragment.directives, variable));
    }
    below.map(|pos| (pos, "the id is used below the root field"))
}

fn usage(selections: &SelectionSet, variable: &str) -> Option<Pos> {
    selections.items.iter().find_map(|selection| {
        let own = directive_usage(selection.node.directives(), variable);
        own.or_else(|| match &selection.node {
            Selection::Field(field) => {
                let mut arguments = field.node.arguments.iter();
                let used = arguments.any(|(_, value)| mentions(&value.node, variable));
                used.then_some(field.pos).or_else(|| usage(&field.node.selection_set.node, variable))
            }
            Selection::InlineFragment(fragment) => usage(&fragment.node.selection_set.node, variable),
            Selection::FragmentSpread(_) => None,
        })
    })
}

fn directive_usage(directives: &[Positioned<Directive>], variable: &str) -> Option<Pos> {
    let mut using = directives.iter().filter(|directive| {
        directive.node.arguments.iter().any(|(_, value)| mentions(&value.node, variable))
    });
    using.next().map(|directive| directive.pos)
}

fn mentions(value: &Value, variable: &str) -> bool {
    match value {
        Value::Variable(name) => name == variable,
        Value::List(items) => items.iter().any(|item| mentions(item, variable)),
        Value::Object(fields) => fields.values().any(|field| mentions(field, variable)),
        _ => false,
    }
}

/// The root field repeated over one named fragment that holds the document.
fn alias(template: &Template, root: &RootField<'_>, root_type: &str, id: &VariableDefinition) -> FetchMode {
    let variable = id.name.node.to_string();
    let fragment = free_name(template);

    let mut head = Printer::new(Some(&variable));
    head.field_head(root.field);
    let head = format!("{} {{ ...{fragment} }}", head.into_text());

    let mut fragments = Printer::new(None);
    fragments.selection_set(&root.field.selection_set.node);
    fragments.fragments(template);

    let others =
        template.operation.variable_definitions.iter().filter(|other| other.node.name.node != variable);
    let others = others.map(|other| {
        let mut printer = Printer::new(None);
        printer.variable_definition(&other.node);
        printer.into_text()
    });
    FetchMode::Alias {
        variable_type: id.var_type.node.to_string(),
        other_variables: others.collect::<Vec<_>>().join(" "),
        root: head.split(SLOT).map(str::to_owned).collect(),
        fragments: format!("fragment {fragment} on {root_type}{}", fragments.into_text()),
        variable,
        root_key: root.field.response_key().node.to_string(),
    }
}

/// A name that no fragment of the user has.
fn free_name(template: &Template) -> String {
    let mut name = "Document".to_owned();
    while template.fragment(&name).is_some() {
        name.push('_');
    }
    name
}
