//! The key of the root entity: which field it is, how it is written, and where the document carries it.

use async_graphql_parser::Pos;
use plan::{
    Diagnostic, IdKind, code::graph as codes, diagnostic::nearest, field::MappingKind, index_plan::KeyPlan,
};

use crate::{
    config::{Config, Located},
    schema::{FieldDef, Schema, TypeDef},
    shape::{self, ShapeField},
    template::Template,
};

/// The name of the key field: the configuration's word, or else the schema's.
///
/// Of several keys the one that the document selects is taken; the first where it selects none.
pub(crate) fn field<'s>(
    config: &Config,
    entity: &'s TypeDef,
    document: Option<&[ShapeField]>,
) -> Result<&'s FieldDef, Diagnostic> {
    if let Some(key) = &config.key {
        return given(config, entity, key);
    }
    let refuse = |message: String, help: String| {
        let diagnostic = Diagnostic::error(codes::SS211, message);
        Err(diagnostic.at(&config.source, config.entity.range.clone()).help(help))
    };
    let simple: Vec<&FieldDef> = entity.simple_keys().filter_map(|key| entity.field(key)).collect();
    let selected =
        |field: &&&FieldDef| document.is_none_or(|shape| shape::plain_child(shape, &field.name).is_some());
    if let Some(field) = simple.iter().find(selected).or(simple.first()) {
        return Ok(field);
    }
    if let Some(key) = entity.keys.first() {
        refuse(
            format!("the key of {} is composite: `{}`", entity.name, key.selection),
            "a document has one id; name a field that is unique by itself with `key:`".into(),
        )
    } else {
        let guess = guess(entity).unwrap_or("id");
        refuse(format!("the schema tells no key of {}", entity.name), format!("name it: `key: {guess}`"))
    }
}

fn given<'s>(
    config: &Config,
    entity: &'s TypeDef,
    key: &Located<String>,
) -> Result<&'s FieldDef, Diagnostic> {
    if let Some(field) = entity.field(&key.value) {
        return Ok(field);
    }
    let (message, help) = if key.value.contains([' ', ',', '{']) {
        (format!("the key `{}` is composite", key.value), "a document has one id: name one field".to_owned())
    } else {
        let names = entity.fields.iter().map(|field| field.name.as_str());
        let near = nearest(&key.value, names).or_else(|| guess(entity));
        let help = near
            .map_or("`key:` takes the schema's name of the field, not its alias".to_owned(), |near| {
                format!("did you mean `{near}`?")
            });
        (format!("{} has no field `{}`", entity.name, key.value), help)
    };
    Err(Diagnostic::error(codes::SS211, message).at(&config.source, key.range.clone()).help(help))
}

/// The field that most probably is the key: `id`, then a field of type `ID!`.
pub(crate) fn guess(entity: &TypeDef) -> Option<&str> {
    let fields = || entity.fields.iter().filter(|field| field.arguments.is_empty());
    let id = fields().find(|field| field.name == "id");
    let id = id.or_else(|| fields().find(|field| field.ty.to_string() == "ID!"));
    id.map(|field| field.name.as_str())
}

/// How a key field is written; `None` where it is no string and no integer.
pub(crate) fn kind(config: &Config, schema: &Schema, field: &FieldDef) -> Option<IdKind> {
    if field.ty.list_depth() > 0 {
        return None;
    }
    match field.ty.name() {
        "ID" | "String" => Some(IdKind::String),
        "Int" => Some(IdKind::Integer),
        "Float" | "Boolean" => None,
        scalar => {
            let is_scalar = schema.get(scalar).is_some_and(|ty| ty.kind == crate::schema::TypeKind::Scalar);
            match config.graph.scalars.get(scalar) {
                Some(MappingKind::Long) => Some(IdKind::Integer),
                Some(MappingKind::Keyword | MappingKind::Text) | None if is_scalar => Some(IdKind::String),
                _ => None,
            }
        }
    }
}

/// The key as the plan carries it.
pub(crate) fn plan(
    config: &Config,
    schema: &Schema,
    template: &Template,
    entity: &TypeDef,
    (root, root_pos): (&str, Pos),
    document: &[ShapeField],
) -> Result<KeyPlan, Diagnostic> {
    let field = field(config, entity, Some(document))?;
    let place = config.key.as_ref().unwrap_or(&config.entity);
    let Some(kind) = kind(config, schema, field) else {
        let message = format!("the key {}.{} is {}", entity.name, field.name, field.ty);
        let help = "an id is a string or an integer; a scalar that holds integers says so: `graph: { scalars: { BigInt: long } }`";
        return Err(Diagnostic::error(codes::SS211, message)
            .at(&config.source, place.range.clone())
            .help(help));
    };
    let Some(selected) = shape::plain_child(document, &field.name) else {
        let message = format!("the document doesn't select its key, {}.{}", entity.name, field.name);
        let help = format!("add `{}` directly below `{root}`", field.name);
        return Err(template.error(codes::SS212, root_pos, message, help));
    };
    if selected.conditional {
        let message = format!("the key `{}` may be left out by a condition", selected.path);
        return Err(template.error(
            codes::SS212,
            selected.pos,
            message,
            "select it without `@include`, `@skip` or a type condition",
        ));
    }
    Ok(KeyPlan { field: field.name.clone(), path: selected.path.clone(), kind })
}
