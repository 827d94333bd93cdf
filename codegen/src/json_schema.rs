//! The JSON Schema of a document: one walk of the fields, for whoever reads an export or an answer.

use plan::{Field, FieldKind, IndexPlan, field::MappingKind};
use serde_json::{Map, Value, json};

/// The schema of this plan's documents, draft 2020-12.
///
/// A document holds its key; anything else may be null, as in the Avro schema: federation can null every field.
pub fn document_schema(plan: &IndexPlan) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!(plan.entity));
    if let Some(description) = &plan.description {
        schema.insert("description".into(), json!(description.trim()));
    }
    schema.extend(object(&plan.fields.0, Some(&plan.key.path)));
    Value::Object(schema)
}

fn object(fields: &[Field], key: Option<&str>) -> Map<String, Value> {
    // Virtual fields exist only in the index.
    let fields = fields.iter().filter(|field| field.kind != FieldKind::Virtual);
    let properties: Map<String, Value> =
        fields.map(|field| (field.name.clone(), property(field, key == Some(field.path.as_str())))).collect();
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("properties".into(), Value::Object(properties));
    if let Some(key) = key {
        object.insert("required".into(), json!([key]));
    }
    object.insert("additionalProperties".into(), json!(false));
    object
}

fn property(field: &Field, is_key: bool) -> Value {
    let mut schema =
        if field.children.is_empty() { leaf(field) } else { Value::Object(object(&field.children, None)) };
    for _ in 0..field.list_depth {
        schema = json!({ "type": "array", "items": nullable(schema) });
    }
    if !is_key {
        schema = nullable(schema);
    }
    if let (Some(doc), Some(schema)) = (&field.doc, schema.as_object_mut()) {
        schema.insert("description".into(), json!(doc));
    }
    schema
}

/// Scalars of the schema's own come as the subgraphs write them: what `graph.scalars` says of one is believed.
fn leaf(field: &Field) -> Value {
    if !field.enum_values.is_empty() {
        return json!({ "enum": field.enum_values });
    }
    let kind = match field.type_name.as_str() {
        "ID" => json!(["string", "integer"]),
        "String" => json!("string"),
        "Int" => json!("integer"),
        "Float" => json!("number"),
        "Boolean" => json!("boolean"),
        _ => match field.mapping.kind {
            MappingKind::Long => json!("integer"),
            MappingKind::Double => json!("number"),
            MappingKind::Boolean => json!("boolean"),
            MappingKind::Date => json!(["string", "integer"]),
            MappingKind::Keyword | MappingKind::Text => json!(["string", "number", "boolean"]),
            _ => return json!({}),
        },
    };
    json!({ "type": kind })
}

fn nullable(mut schema: Value) -> Value {
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(one) => *one = json!([one.clone(), "null"]),
        None => {}
    }
    schema
}
