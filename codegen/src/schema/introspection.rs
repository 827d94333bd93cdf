//! The JSON answer of an introspection query, with or without its `{ "data": … }`.

use std::sync::Arc;

use plan::{Diagnostic, SourceText, code::graph as codes};
use serde::Deserialize;

use super::{DirectiveDef, FieldDef, InputDef, Schema, TypeDef, TypeKind, TypeRef};
use crate::position;

/// Lists and exclamation marks around a type at most; the query below asks for nine.
const MAX_WRAPPERS: usize = 32;

/// The query to ask a gateway for its schema. It names no field that an old server doesn't know.
pub const INTROSPECTION_QUERY: &str = "query IntrospectionQuery { __schema { queryType { name } types { ...T } \
directives { name locations args { ...I } } } } \
fragment T on __Type { kind name description \
fields(includeDeprecated: true) { name description args { ...I } type { ...R } } \
inputFields { ...I } interfaces { name } enumValues(includeDeprecated: true) { name } possibleTypes { name } } \
fragment I on __InputValue { name type { ...R } defaultValue } \
fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { \
kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }";

#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    #[serde(rename = "__schema")]
    schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "__schema")]
    schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSchema {
    query_type: Named,
    types: Vec<JsonType>,
    #[serde(default)]
    directives: Vec<JsonDirective>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonType {
    kind: String,
    name: String,
    fields: Option<Vec<JsonField>>,
    input_fields: Option<Vec<JsonInput>>,
    interfaces: Option<Vec<Named>>,
    enum_values: Option<Vec<Named>>,
    possible_types: Option<Vec<Named>>,
    #[serde(default)]
    is_one_of: Option<bool>,
}

#[derive(Deserialize)]
struct JsonField {
    name: String,
    description: Option<String>,
    #[serde(default)]
    args: Vec<JsonInput>,
    #[serde(rename = "type")]
    ty: JsonTypeRef,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonInput {
    name: String,
    #[serde(rename = "type")]
    ty: JsonTypeRef,
    default_value: Option<String>,
}

#[derive(Deserialize)]
struct JsonDirective {
    name: String,
    #[serde(default)]
    locations: Vec<String>,
    #[serde(default)]
    args: Vec<JsonInput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonTypeRef {
    kind: String,
    name: Option<String>,
    of_type: Option<Box<JsonTypeRef>>,
}

pub(super) fn parse(source: &Arc<SourceText>) -> Result<Schema, Box<Diagnostic>> {
    let text = source.text.trim_start_matches('\u{feff}');
    let answer: Answer = serde_json::from_str(text).map_err(|error| {
        let start = position::offset(&source.text, error.line(), error.column());
        let told = error.to_string();
        let reason = told.split(" at line ").next().unwrap_or_default();
        let message = format!("this is not the answer of an introspection: {reason}");
        let help = "save the whole JSON answer of the introspection query, or use the supergraph SDL";
        Box::new(Diagnostic::error(codes::SS201, message).at(source, start..start).help(help))
    })?;
    let Some(schema) = answer.schema.or(answer.data.and_then(|data| data.schema)) else {
        let message = "the JSON holds no `__schema`";
        let help = "save the whole answer of the introspection query; an answer with `errors` means that the gateway forbids it";
        return Err(Box::new(Diagnostic::error(codes::SS201, message).at(source, 0..0).help(help)));
    };
    Ok(Schema {
        types: schema.types.into_iter().filter_map(type_def).map(|ty| (ty.name.clone(), ty)).collect(),
        directives: schema.directives.into_iter().map(directive).collect(),
        query: schema.query_type.name,
        subgraphs: std::collections::BTreeMap::new(),
        tells_keys: false,
    })
}

/// `None` for the types of introspection itself.
fn type_def(ty: JsonType) -> Option<TypeDef> {
    if ty.name.starts_with("__") {
        return None;
    }
    let kind = match ty.kind.as_str() {
        "OBJECT" => TypeKind::Object,
        "INTERFACE" => TypeKind::Interface,
        "UNION" => TypeKind::Union,
        "ENUM" => TypeKind::Enum,
        "INPUT_OBJECT" => TypeKind::Input,
        _ => TypeKind::Scalar,
    };
    let names =
        |named: Option<Vec<Named>>| named.unwrap_or_default().into_iter().map(|named| named.name).collect();
    Some(TypeDef {
        name: ty.name,
        kind,
        fields: ty.fields.unwrap_or_default().into_iter().map(field).collect(),
        interfaces: names(ty.interfaces),
        members: if kind == TypeKind::Union { names(ty.possible_types) } else { Vec::new() },
        values: names(ty.enum_values),
        inputs: ty.input_fields.unwrap_or_default().into_iter().map(input).collect(),
        one_of: ty.is_one_of.unwrap_or(false),
        keys: Vec::new(),
    })
}

fn field(field: JsonField) -> FieldDef {
    FieldDef {
        name: field.name,
        doc: field.description.filter(|doc| !doc.trim().is_empty()),
        arguments: field.args.into_iter().map(input).collect(),
        ty: type_ref(field.ty, 0),
        owners: std::collections::BTreeSet::new(),
    }
}

fn input(input: JsonInput) -> InputDef {
    InputDef { name: input.name, ty: type_ref(input.ty, 0), default: input.default_value }
}

fn directive(directive: JsonDirective) -> (String, DirectiveDef) {
    let definition = DirectiveDef {
        arguments: directive.args.into_iter().map(input).collect(),
        repeatable: false,
        locations: directive.locations,
    };
    (directive.name, definition)
}

fn type_ref(ty: JsonTypeRef, depth: usize) -> TypeRef {
    match (ty.kind.as_str(), ty.of_type) {
        ("NON_NULL", Some(inner)) if depth < MAX_WRAPPERS => {
            TypeRef::NonNull(Box::new(type_ref(*inner, depth + 1)))
        }
        ("LIST", Some(inner)) if depth < MAX_WRAPPERS => TypeRef::List(Box::new(type_ref(*inner, depth + 1))),
        _ => TypeRef::Named(ty.name.unwrap_or_default()),
    }
}
