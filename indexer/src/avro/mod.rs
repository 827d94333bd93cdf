//! Avro that others wrote: a datum under its writer's schema becomes the JSON that Kafka Connect would have written.
//!
//! Schemas and data may come from anyone and be damaged: no length is trusted, and depth and size are bounded.

pub(crate) mod bytes;
mod decimal;
mod schema;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

pub use self::schema::{SchemaError, WriterSchema};

/// Containers inside each other at most, in a schema and in a datum: as deep as JSON is read.
pub const MAX_DEPTH: usize = 128;

/// About how much memory one datum may become, in bytes. A record has 1 MiB; what is beyond this was made to cost.
pub const MAX_DECODED_BYTES: usize = 64 << 20;

/// Why a datum can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", path_before(path))]
pub struct DatumError {
    /// Names and indices from the datum's root, joined by dots; empty for the datum itself.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

fn path_before(path: &str) -> impl fmt::Display {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}
