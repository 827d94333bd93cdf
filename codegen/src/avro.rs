//! The Avro schema of a document: one walk of the fields.
//!
//! Records are named by their path, so that no two are alike and none changes its name when another is added. All
//! but the key may be null, with null as the default: federation can null anything, and an added field stays
//! compatible backwards.

use plan::{Field, FieldKind, IndexPlan, field::MappingKind};
use serde_json::{Map, Value, json};

use crate::config::Config;

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
    record.insert("name".into(), Value::from(name));
    record.insert("namespace".into(), Value::from(namespace));
    record.insert("fields".into(), Value::from(fields));
    record
}

fn avro_field(config: &Config, field: &Field, namespace: &str, is_key: bool) -> Value {
    let mut ty =
        if field.children.is_empty() { leaf(config, field) } else { nested(config, field, namespace) };
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

/// Dates stay the ISO text that the graph answers: no logical type keeps their zone and precision. Objects of
/// unknown keys are JSON text.
fn leaf(config: &Config, field: &Field) -> Value {
    match field.type_name.as_str() {
        "Int" => json!("int"),
        "Float" => json!("double"),
        "Boolean" => json!("boolean"),
        scalar => match config.graph.scalars.get(scalar) {
            Some(MappingKind::Long) => json!("long"),
            Some(MappingKind::Double) => json!("double"),
            Some(MappingKind::Boolean) => json!("boolean"),
            _ => json!("string"),
        },
    }
}
