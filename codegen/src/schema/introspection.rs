//! The JSON answer of an introspection query, with or without its `{ "data": … }`.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use plan::{Diagnostic, SourceText, code::graph as codes};
use serde::{
    Deserialize,
    de::{Deserializer, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{DirectiveDef, Entry, FieldDef, InputDef, Schema, TypeDef, TypeKind, TypeRef, Written};
use crate::position;

/// Lists and exclamation marks around a type at most; the query below asks for nine.
const MAX_WRAPPERS: usize = 32;

/// Types that there is room for from the start: more than GitHub has. What is not needed of it is never touched.
const USUAL_TYPES: usize = 2_048;

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
struct Answer<'a> {
    #[serde(borrow)]
    data: Option<Data<'a>>,
    #[serde(borrow, rename = "__schema")]
    schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, rename = "__schema")]
    schema: Option<JsonSchema<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonSchema<'a> {
    #[serde(borrow)]
    query_type: Named<'a>,
    #[serde(borrow)]
    types: JsonTypes<'a>,
    #[serde(borrow, default)]
    directives: Vec<JsonDirective<'a>>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// All types. A list that grows is copied again and again, which a cold start would feel.
struct JsonTypes<'a>(Vec<JsonType<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonTypes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self(Vec::with_capacity(USUAL_TYPES)))
    }
}

impl<'de: 'a, 'a> Visitor<'de> for JsonTypes<'a> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut types: A) -> Result<Self, A::Error> {
        while let Some(ty) = types.next_element()? {
            self.0.push(ty);
        }
        Ok(self)
    }
}

/// A type whose parts are read when it is asked for: a query touches few of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonType<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    fields: Option<&'a RawValue>,
    #[serde(borrow)]
    input_fields: Option<&'a RawValue>,
    #[serde(borrow)]
    interfaces: Option<Vec<Named<'a>>>,
    #[serde(borrow)]
    enum_values: Option<&'a RawValue>,
    #[serde(borrow)]
    possible_types: Option<&'a RawValue>,
    #[serde(default)]
    is_one_of: Option<bool>,
}

#[derive(Deserialize)]
struct JsonField<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    args: Vec<JsonInput<'a>>,
    #[serde(borrow, rename = "type")]
    ty: JsonTypeRef<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonInput<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    ty: JsonTypeRef<'a>,
    default_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonDirective<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    is_repeatable: Option<bool>,
    #[serde(default)]
    locations: Vec<String>,
    #[serde(borrow, default)]
    args: Vec<JsonInput<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JsonTypeRef<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    of_type: Option<Box<JsonTypeRef<'a>>>,
}

/// Where the parts of a type stand in the text.
#[derive(Debug, Default)]
pub(super) struct Parts {
    fields: Part,
    inputs: Part,
    values: Part,
    members: Part,
    is_one_of: bool,
}

/// Bytes of the text, in half of what a range takes: a schema has thousands of them.
#[derive(Debug, Default, Clone, Copy)]
struct Part {
    start: u32,
    end: u32,
}

pub(super) fn parse(source: &Arc<SourceText>) -> Result<Schema, Box<Diagnostic>> {
    if u32::try_from(source.text.len()).is_err() {
        let message = "the schema has 4 GiB or more";
        let help = "save the answer of the introspection query alone";
        return Err(Box::new(Diagnostic::error(codes::SS201, message).at(source, 0..0).help(help)));
    }
    let text = source.text.trim_start_matches('\u{feff}');
    let answer: Answer<'_> = serde_json::from_str(text).map_err(|error| {
        Box::new(refused(source, source.text.len() - text.len()..source.text.len(), &error))
    })?;
    let Some(schema) = answer.schema.or(answer.data.and_then(|data| data.schema)) else {
        let message = "the JSON holds no `__schema`";
        let help = "save the whole answer of the introspection query; an answer with `errors` means that the gateway forbids it";
        return Err(Box::new(Diagnostic::error(codes::SS201, message).at(source, 0..0).help(help)));
    };
    let types = schema.types.0.into_iter().filter_map(|ty| entry(ty, &source.text));
    let mut read = Schema::new(source, schema.query_type.name.into_owned());
    read.types = types.collect();
    read.directives = schema.directives.into_iter().map(directive).collect();
    Ok(read)
}

fn refused(source: &Arc<SourceText>, part: Range<usize>, error: &serde_json::Error) -> Diagnostic {
    let start = part.start + position::offset(&source.text[part], error.line(), error.column());
    let told = error.to_string();
    let reason = told.split(" at line ").next().unwrap_or_default();
    let message = format!("this is not the answer of an introspection: {reason}");
    let help = "save the whole JSON answer of the introspection query, or use the supergraph SDL";
    Diagnostic::error(codes::SS201, message).at(source, start..start).help(help)
}

/// `None` for the types of introspection itself.
fn entry(ty: JsonType<'_>, text: &str) -> Option<(String, Entry)> {
    if ty.name.starts_with("__") {
        return None;
    }
    let kind = match &*ty.kind {
        "OBJECT" => TypeKind::Object,
        "INTERFACE" => TypeKind::Interface,
        "UNION" => TypeKind::Union,
        "ENUM" => TypeKind::Enum,
        "INPUT_OBJECT" => TypeKind::Input,
        _ => TypeKind::Scalar,
    };
    let part = |raw: Option<&RawValue>| {
        raw.map_or_else(Part::default, |raw| {
            // A raw value is a part of the text that it was read from.
            let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
            let byte = |at: usize| u32::try_from(at).expect("the text has fewer bytes");
            Part { start: byte(start), end: byte(start + raw.get().len()) }
        })
    };
    let parts = Parts {
        fields: part(ty.fields),
        inputs: part(ty.input_fields),
        values: part(ty.enum_values),
        // An interface tells them, too; there the types themselves say it.
        members: if kind == TypeKind::Union { part(ty.possible_types) } else { Part::default() },
        is_one_of: ty.is_one_of.unwrap_or(false),
    };
    let interfaces = ty.interfaces.unwrap_or_default().into_iter().map(|named| named.name.into_owned());
    let entry =
        Entry { kind, interfaces: interfaces.collect(), written: Written::Json(parts), ..Entry::default() };
    Some((ty.name.into_owned(), entry))
}

/// Reads the parts of a type; what can't be read is reported.
pub(super) fn type_def(
    name: &str,
    entry: &Entry,
    parts: &Parts,
    source: &Arc<SourceText>,
    failures: &mut Vec<Diagnostic>,
) -> TypeDef {
    let mut reader = Reader { source, failures };
    let names = |named: Vec<Named<'_>>| named.into_iter().map(|named| named.name.into_owned()).collect();
    TypeDef {
        name: name.to_owned(),
        kind: entry.kind,
        fields: reader.list::<JsonField<'_>>(parts.fields).into_iter().map(field).collect(),
        interfaces: entry.interfaces.clone(),
        members: names(reader.list(parts.members)),
        values: names(reader.list(parts.values)),
        inputs: reader.list::<JsonInput<'_>>(parts.inputs).into_iter().map(input).collect(),
        one_of: parts.is_one_of,
        ..TypeDef::default()
    }
}

struct Reader<'a, 'f> {
    source: &'a Arc<SourceText>,
    failures: &'f mut Vec<Diagnostic>,
}

impl<'a> Reader<'a, '_> {
    fn list<T: Deserialize<'a>>(&mut self, part: Part) -> Vec<T> {
        let range = part.start as usize..part.end as usize;
        if range.is_empty() {
            return Vec::new();
        }
        serde_json::from_str(&self.source.text[range.clone()]).unwrap_or_else(|error| {
            self.failures.push(refused(self.source, range, &error));
            Vec::new()
        })
    }
}

fn field(field: JsonField<'_>) -> FieldDef {
    FieldDef {
        name: field.name.into_owned(),
        doc: field.description.map(Cow::into_owned).filter(|doc| !doc.trim().is_empty()),
        arguments: field.args.into_iter().map(input).collect(),
        ty: type_ref(field.ty, 0),
        ..FieldDef::default()
    }
}

fn input(input: JsonInput<'_>) -> InputDef {
    InputDef { name: input.name.into_owned(), ty: type_ref(input.ty, 0), default: input.default_value }
}

fn directive(directive: JsonDirective<'_>) -> (String, DirectiveDef) {
    let definition = DirectiveDef {
        arguments: directive.args.into_iter().map(input).collect(),
        repeatable: directive.is_repeatable.unwrap_or(false),
        locations: directive.locations,
    };
    (directive.name.into_owned(), definition)
}

fn type_ref(ty: JsonTypeRef<'_>, depth: usize) -> TypeRef {
    match (&*ty.kind, ty.of_type) {
        ("NON_NULL", Some(inner)) if depth < MAX_WRAPPERS => {
            TypeRef::NonNull(Box::new(type_ref(*inner, depth + 1)))
        }
        ("LIST", Some(inner)) if depth < MAX_WRAPPERS => TypeRef::List(Box::new(type_ref(*inner, depth + 1))),
        _ => TypeRef::Named(ty.name.map(Cow::into_owned).unwrap_or_default()),
    }
}
