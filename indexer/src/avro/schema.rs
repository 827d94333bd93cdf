//! A writer's schema, read from its JSON into a table of types.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::MAX_DEPTH;

/// Types at most. A schema of a megabyte has fewer that mean anything.
const MAX_TYPES: usize = 100_000;

/// The record by which Debezium writes a number whose scale differs from row to row.
const VARIABLE_DECIMAL: &str = "io.debezium.data.VariableScaleDecimal";

/// Why a text is no Avro schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no Avro schema: {0}")]
pub struct SchemaError(pub String);

/// A schema by which data were written, with all that it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct WriterSchema {
    pub(super) types: Vec<Type>,
    pub(super) root: usize,
}

/// A type; others are named by their place in the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    /// A decimal in bytes, or in a fixed number of them.
    Decimal {
        size: Option<usize>,
        scale: i32,
    },
    /// A UUID in 16 bytes.
    Uuid,
    Enum(Vec<Box<str>>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record {
        fields: Vec<(Box<str>, usize)>,
        is_variable_decimal: bool,
    },
}

impl WriterSchema {
    /// Reads a schema. `references` are the texts of the schemas that it names, each behind those that it names itself.
    pub fn parse(text: &str, references: &[String]) -> Result<Self, SchemaError> {
        let mut parser = Parser { types: Vec::new(), names: HashMap::new() };
        let mut root = 0;
        for text in references.iter().map(String::as_str).chain([text]) {
            let json: Value = match serde_json::from_str(text) {
                Ok(json) => json,
                // The name of a primitive type may come without quotes.
                Err(_) if primitive(text.trim()).is_some() => Value::String(text.trim().to_owned()),
                Err(error) => return Err(SchemaError(error.to_string())),
            };
            root = parser.read(&json, "", 0)?;
        }
        Ok(Self { types: parser.types, root })
    }
}

struct Parser {
    types: Vec<Type>,
    /// Named types by their full names.
    names: HashMap<String, usize>,
}

impl Parser {
    fn read(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<usize, SchemaError> {
        if depth > MAX_DEPTH {
            return refuse(format!("its types stand inside each other in more than {MAX_DEPTH} levels"));
        }
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.read(branch, namespace, depth + 1));
                let branches = branches.collect::<Result<Vec<usize>, SchemaError>>()?;
                self.add(Type::Union(branches))
            }
            Value::Object(schema) => self.object(schema, namespace, depth),
            other => refuse(format!("{other} is no type")),
        }
    }

    fn add(&mut self, ty: Type) -> Result<usize, SchemaError> {
        if self.types.len() >= MAX_TYPES {
            return refuse(format!("it has more than {MAX_TYPES} types"));
        }
        self.types.push(ty);
        Ok(self.types.len() - 1)
    }

    /// A primitive type, or one that was defined before.
    fn named(&mut self, name: &str, namespace: &str) -> Result<usize, SchemaError> {
        if let Some(ty) = primitive(name) {
            return self.add(ty);
        }
        let full = full_name(name, namespace);
        // Some writers leave the namespace out where the name stands in none.
        let known = self.names.get(&full).or_else(|| self.names.get(name));
        known.copied().map_or_else(|| refuse(format!("the type {full} is not defined")), Ok)
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<usize, SchemaError> {
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(inner) => return self.read(inner, namespace, depth + 1),
            None => return refuse("an object has no `type`".to_owned()),
        };
        match kind {
            "array" | "map" => {
                let below = schema.get(if kind == "array" { "items" } else { "values" });
                let Some(below) = below else {
                    return refuse(format!("the {kind} says nothing of what it holds"));
                };
                let below = self.read(below, namespace, depth + 1)?;
                self.add(if kind == "array" { Type::Array(below) } else { Type::Map(below) })
            }
            "record" | "error" => self.record(schema, namespace, depth),
            "enum" => {
                let symbols = schema.get("symbols").and_then(Value::as_array).into_iter().flatten();
                let symbols = symbols.filter_map(|symbol| symbol.as_str().map(Into::into)).collect();
                let ty = self.add(Type::Enum(symbols))?;
                self.define(schema, namespace, ty)?;
                Ok(ty)
            }
            "fixed" => {
                let size = schema.get("size").and_then(Value::as_u64).and_then(|size| size.try_into().ok());
                let Some(size) = size else { return refuse("a fixed has no size".to_owned()) };
                let ty = match (logical(schema), size) {
                    ("decimal", _) => Type::Decimal { size: Some(size), scale: scale(schema) },
                    ("uuid", 16) => Type::Uuid,
                    _ => Type::Fixed(size),
                };
                let ty = self.add(ty)?;
                self.define(schema, namespace, ty)?;
                Ok(ty)
            }
            "bytes" if logical(schema) == "decimal" => {
                self.add(Type::Decimal { size: None, scale: scale(schema) })
            }
            name => self.named(name, namespace),
        }
    }

    fn record(
        &mut self,
        schema: &Map<String, Value>,
        namespace: &str,
        depth: usize,
    ) -> Result<usize, SchemaError> {
        // It is known before its fields are: they may name it.
        let ty = self.add(Type::Null)?;
        let name = self.define(schema, namespace, ty)?;
        let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let mut fields = Vec::new();
        for field in schema.get("fields").and_then(Value::as_array).into_iter().flatten() {
            let (Some(name), Some(below)) = (field.get("name").and_then(Value::as_str), field.get("type"))
            else {
                return refuse(format!("a field of {name} has no name or no type"));
            };
            fields.push((Box::from(name), self.read(below, namespace, depth + 1)?));
        }
        let known_as = schema.get("connect.name").and_then(Value::as_str).unwrap_or(&name);
        let is_variable_decimal = known_as == VARIABLE_DECIMAL;
        self.types[ty] = Type::Record { fields, is_variable_decimal };
        Ok(ty)
    }

    /// Makes a named type known; answers its full name.
    fn define(
        &mut self,
        schema: &Map<String, Value>,
        namespace: &str,
        ty: usize,
    ) -> Result<String, SchemaError> {
        let Some(name) = schema.get("name").and_then(Value::as_str) else {
            return refuse("a record, an enum or a fixed has no name".to_owned());
        };
        let namespace = schema.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full = full_name(name, namespace);
        if self.names.insert(full.clone(), ty).is_some() {
            return refuse(format!("the type {full} is defined twice"));
        }
        Ok(full)
    }
}

fn refuse<T>(reason: String) -> Result<T, SchemaError> {
    Err(SchemaError(reason))
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        _ => return None,
    })
}

fn logical(schema: &Map<String, Value>) -> &str {
    schema.get("logicalType").and_then(Value::as_str).unwrap_or_default()
}

/// Where nothing is said, a decimal has no digits behind the point.
fn scale(schema: &Map<String, Value>) -> i32 {
    schema.get("scale").and_then(Value::as_i64).and_then(|scale| scale.try_into().ok()).unwrap_or_default()
}
