//! The Avro schema of a document: one walk of the fields.
//!
//! Records are named by their path, so that no two are alike and none changes its name when another is added. All
//! but the key may be null, with null as the default: federation can null anything, and an added field stays
//! compatible backwards. Every name of GraphQL is a name of Avro.

use plan::{Field, FieldKind, IndexPlan, field::MappingKind};
use serde_json::{Map, Value, json};

use crate::config::Config;

/// What Avro calls its own types; no record may be called so, in any namespace.
const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// The schema as JSON, its keys in the usual order.
pub(crate) fn schema(config: &Config, plan: &IndexPlan) -> Value {
    let namespace = format!("studio_search.{}", plan.name.replace('-', "_"));
    let below = format!("{namespace}.{}", plan.entity);
    // Virtual fields exist only in the index.
    let fields = plan.fields.0.iter().filter(|field| field.kind != FieldKind::Virtual);
    let fields = fields.map(|field| avro_field(config, field, &below, field.path == plan.key.path)).collect();
    let mut record = record(&plan.entity, &namespace, fields);
    if let Some(description) = &plan.description {
        record.insert("doc".into(), Value::from(description.trim()));
    }
    Value::Object(record)
}

fn record(name: &str, namespace: &str, fields: Vec<Value>) -> Map<String, Value> {
    let mut record = Map::new();
    record.insert("type".into(), json!("record"));
    record.insert("name".into(), Value::from(record_name(name)));
    record.insert("namespace".into(), Value::from(namespace));
    record.insert("fields".into(), Value::from(fields));
    record
}

/// The name of a record: the field's, with one more underscore where that would be a primitive type. `string_` gets
/// one as well, so that two names never become one.
fn record_name(name: &str) -> String {
    let is_taken = PRIMITIVES.contains(&name.trim_end_matches('_'));
    if is_taken { format!("{name}_") } else { name.to_owned() }
}

fn avro_field(config: &Config, field: &Field, namespace: &str, is_key: bool) -> Value {
    let mut ty = match () {
        () if !field.children.is_empty() => nested(config, field, namespace),
        () if is_key => key(config, field),
        () => leaf(config, field),
    };
    for _ in 0..field.list_depth {
        ty = json!({ "type": "array", "items": ["null", ty] });
    }
    let mut avro = Map::new();
    avro.insert("name".into(), Value::from(field.name.as_str()));
    if let Some(doc) = &field.doc {
        avro.insert("doc".into(), Value::from(doc.as_str()));
    }
    if is_key {
        avro.insert("type".into(), ty);
    } else {
        avro.insert("type".into(), json!(["null", ty]));
        avro.insert("default".into(), Value::Null);
    }
    Value::Object(avro)
}

fn nested(config: &Config, field: &Field, namespace: &str) -> Value {
    let below = format!("{namespace}.{}", field.name);
    let fields = field.children.iter().map(|child| avro_field(config, child, &below, false)).collect();
    Value::Object(record(&field.name, namespace, fields))
}

/// A scalar that nothing is known of is text where it is the key.
fn key(config: &Config, field: &Field) -> Value {
    if is_known(config, field) { leaf(config, field) } else { json!("string") }
}

/// A value of this type reads back as it was: the types of Avro's own dates keep neither zone nor precision, so that
/// dates stay the ISO text that the graph answers. What can hold anything, because it is declared `flattened` or not
/// at all, is JSON text. Both logical types are ours, and readers that don't know them see strings.
fn leaf(config: &Config, field: &Field) -> Value {
    if !is_known(config, field) {
        return logical("json");
    }
    match field.type_name.as_str() {
        "Int" => json!("int"),
        "Float" => json!("double"),
        "Boolean" => json!("boolean"),
        scalar => match config.graph.scalars.get(scalar) {
            Some(MappingKind::Long) => json!("long"),
            Some(MappingKind::Double) => json!("double"),
            Some(MappingKind::Boolean) => json!("boolean"),
            Some(MappingKind::Date) => logical("iso-8601"),
            Some(MappingKind::Flattened) => logical("json"),
            _ => json!("string"),
        },
    }
}

fn logical(name: &str) -> Value {
    json!({ "type": "string", "logicalType": name })
}

/// Whether the schema or the configuration says what values of this leaf look like.
fn is_known(config: &Config, field: &Field) -> bool {
    let name = field.type_name.as_str();
    let is_specified = ["Int", "Float", "String", "Boolean", "ID"].contains(&name);
    is_specified || !field.enum_values.is_empty() || config.graph.scalars.contains_key(name)
}
