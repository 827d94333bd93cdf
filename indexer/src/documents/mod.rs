//! Documents as Avro: the body of an answer becomes a datum, and the datum the same JSON again, without a tree between.
//!
//! The schema is the one that codegen makes, compiled once into a [`DocumentSchema`]. What is written reads back equal:
//! the same names and values, numbers equal as numbers, a field that was left out as null. What can't be kept so is
//! refused with its path, never bent. A datum is read with the schema that it was written with.

mod decode;
mod encode;
mod schema;
#[cfg(test)]
mod tests;
pub mod topic;

use std::fmt;

pub use self::schema::{DocumentSchema, SchemaError};

/// The longest JSON of one document, in bytes: twice what a whole answer may have.
pub const MAX_JSON_BYTES: usize = 64 << 20;

/// How much of a name or a value stands in an error, in characters.
const MAX_SHOWN: usize = 64;

/// Why a document can't be written, or a datum can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", shown(path))]
pub struct DocumentError {
    /// Response keys and indices from the document's root, joined by dots; empty for the document itself.
    pub path: String,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with one value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text is no JSON, or no text at all.
    #[error("it is no JSON: {0}")]
    NotJson(String),
    /// The schema has no such field.
    #[error("the schema has no such field")]
    Unknown,
    /// An object has a field twice.
    #[error("it stands there twice")]
    Twice,
    /// What can't be null is null or left out.
    #[error("it can't be null")]
    Null,
    /// The value has another type.
    #[error("{wanted} is wanted, this is {found}")]
    WrongType {
        /// What the schema says.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// The number doesn't fit into its type.
    #[error("{found} does not fit into {wanted}")]
    TooBig {
        /// The type.
        wanted: &'static str,
        /// The number as it was written.
        found: String,
    },
    /// The JSON would be longer than [`MAX_JSON_BYTES`].
    #[error("it makes the document longer than {MAX_JSON_BYTES} bytes")]
    TooLong,
    /// The datum ends within a value.
    #[error("the datum ends here")]
    Cut,
    /// The bytes are nothing that the schema's type has.
    #[error("the datum does not fit the schema: {0}")]
    Damaged(&'static str),
}

/// One step from an object or a list to what it holds.
#[derive(Debug)]
enum Step {
    Name(String),
    Index(usize),
}

/// The error of a fault with the steps that led to it, innermost first.
fn error(fault: Fault, steps: &[Step]) -> DocumentError {
    let names: Vec<String> = steps.iter().rev().map(Step::to_string).collect();
    DocumentError { path: names.join("."), fault }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

fn shown(path: &str) -> String {
    if path.is_empty() { "the document".to_owned() } else { format!("`{path}`") }
}

/// The beginning of a text, for an error.
fn start_of(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}
