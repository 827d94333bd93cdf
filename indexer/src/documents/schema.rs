//! An Avro schema as codegen makes it, compiled into what encoding and decoding walk.

use std::collections::HashMap;

use serde_json::Value;

/// Levels of records and lists, at most: what the JSON parser takes.
const MAX_DEPTH: usize = 120;

/// The Avro schema of a document, compiled: records with their fields by name, lists, and the kinds of leaves.
#[derive(Debug)]
pub struct DocumentSchema {
    pub(super) root: Node,
}

/// The schema can't be one of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this Avro schema is none of a document: {path:?} {problem}")]
pub struct SchemaError {
    /// Names of fields from the root, joined by dots.
    pub path: String,
    /// What is wrong there.
    pub problem: &'static str,
}

/// A type, and whether `null` stands beside it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Whether it is the union of null and the kind, in this order.
    pub(super) nullable: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Boolean,
    Int,
    Long,
    Double,
    String,
    /// A string that holds JSON text.
    Json,
    List(Box<Node>),
    Record(Record),
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) fields: Vec<RecordField>,
    by_name: HashMap<Box<str>, usize>,
}

#[derive(Debug)]
pub(super) struct RecordField {
    pub(super) name: Box<str>,
    pub(super) node: Node,
}

impl DocumentSchema {
    /// Compiles a schema. It must be made of what codegen uses: records, arrays, unions of null and one type, boolean,
    /// int, long, double and string; every other logical type than `json` is a string like any other.
    pub fn parse(schema: &Value) -> Result<Self, SchemaError> {
        let root = node(schema, 0).map_err(|(problem, mut path)| {
            path.reverse();
            SchemaError { path: path.join("."), problem }
        })?;
        match root {
            Node { kind: Kind::Record(_), nullable: false } => Ok(Self { root }),
            _ => Err(SchemaError { path: String::new(), problem: "is no record" }),
        }
    }
}

impl Kind {
    /// What an error calls it.
    pub(super) fn wanted(&self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Int => "an integer of 32 bits",
            Self::Long => "an integer of 64 bits",
            Self::Double => "a double",
            Self::String => "a string",
            Self::Json => "JSON",
            Self::List(_) => "a list",
            Self::Record(_) => "an object",
        }
    }
}

impl Record {
    /// The index of a field; `next` is tried first, since answers come in the query's order.
    pub(super) fn position(&self, name: &str, next: usize) -> Option<usize> {
        match self.fields.get(next) {
            Some(field) if *field.name == *name => Some(next),
            _ => self.by_name.get(name).copied(),
        }
    }
}

/// What is wrong, and the names that lead there, innermost first.
type Problem = (&'static str, Vec<String>);

fn node(schema: &Value, depth: usize) -> Result<Node, Problem> {
    let Value::Array(branches) = schema else {
        return Ok(Node { kind: kind(schema, depth)?, nullable: false });
    };
    match &branches[..] {
        [Value::String(null), other] if null == "null" => {
            Ok(Node { kind: kind(other, depth)?, nullable: true })
        }
        _ => Err(("is a union of something else than null and one type", Vec::new())),
    }
}

fn kind(schema: &Value, depth: usize) -> Result<Kind, Problem> {
    if depth > MAX_DEPTH {
        return Err(("is nested too deep", Vec::new()));
    }
    let name = match schema {
        Value::String(name) => name,
        Value::Object(_) => schema["type"].as_str().unwrap_or_default(),
        _ => "",
    };
    match name {
        "boolean" => Ok(Kind::Boolean),
        "int" => Ok(Kind::Int),
        "long" => Ok(Kind::Long),
        "double" => Ok(Kind::Double),
        "string" if schema["logicalType"] == "json" => Ok(Kind::Json),
        "string" => Ok(Kind::String),
        "array" => Ok(Kind::List(Box::new(node(&schema["items"], depth + 1)?))),
        "record" => record(schema, depth).map(Kind::Record),
        _ => Err(("has a type that no document has", Vec::new())),
    }
}

fn record(schema: &Value, depth: usize) -> Result<Record, Problem> {
    let Some(declared) = schema["fields"].as_array().filter(|fields| !fields.is_empty()) else {
        return Err(("is a record without fields", Vec::new()));
    };
    let mut record = Record { fields: Vec::with_capacity(declared.len()), by_name: HashMap::new() };
    for field in declared {
        let Some(name) = field["name"].as_str() else {
            return Err(("has a field without a name", Vec::new()));
        };
        let node = node(&field["type"], depth + 1).map_err(|(problem, mut path)| {
            path.push(name.to_owned());
            (problem, path)
        })?;
        if record.by_name.insert(name.into(), record.fields.len()).is_some() {
            return Err(("stands there twice", vec![name.to_owned()]));
        }
        record.fields.push(RecordField { name: name.into(), node });
    }
    Ok(record)
}
