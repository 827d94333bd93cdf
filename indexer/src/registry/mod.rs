//! A schema registry with Confluent's API: schemas by id, and the versions of a subject with their compatibility.

mod http;
mod schemas;
#[cfg(test)]
mod tests;

use std::fmt;

use plan::{Code, code::kafka as codes};
use serde::{Deserialize, Serialize};

pub use self::{http::Registry, schemas::Schemas};

/// By what a registry knows a schema, as records name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// Its number.
    Number(u32),
    /// Its GUID, which is the same in every registry; Confluent Platform 8 has them.
    Guid(u128),
}

/// A schema as a registry keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RegisteredSchema {
    /// Its text.
    pub schema: String,
    /// `AVRO`, `JSON` or `PROTOBUF`.
    #[serde(rename = "schemaType", default = "avro")]
    pub schema_type: String,
    /// The schemas that it names.
    #[serde(default)]
    pub references: Vec<SchemaReference>,
    /// Its number, where the registry tells.
    #[serde(default)]
    pub id: Option<u32>,
    /// The version of its subject, where it was asked for by subject.
    #[serde(default)]
    pub version: Option<u32>,
}

/// Where a registry keeps a schema that another one names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaReference {
    /// How the other one names it.
    pub name: String,
    /// Its subject.
    pub subject: String,
    /// Its version there.
    pub version: u32,
}

/// A registry leaves the type out where it is Avro.
fn avro() -> String {
    "AVRO".to_owned()
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Guid(guid) => {
                let text = format!("{guid:032x}");
                let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
                f.write_str(&parts.join("-"))
            }
        }
    }
}

/// Why a registry did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is no answer, or one that says "later". It is waited for.
    #[error("the schema registry {server} does not answer: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        server: String,
        /// Why, without secrets.
        reason: String,
    },
    /// It refuses who asks, or what was asked for.
    #[error("the schema registry {server} refuses: {reason}")]
    Refused {
        /// Scheme, host and port.
        server: String,
        /// Why, without secrets.
        reason: String,
    },
    /// It says itself that there is no such schema, subject or version.
    #[error("the schema registry {server} has no {what}")]
    NotFound {
        /// Scheme, host and port.
        server: String,
        /// What was asked for.
        what: String,
    },
    /// The schema can't follow the subject's others.
    #[error("the schema can't be the next version of {subject}: {reason}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// Why, in the registry's words.
        reason: String,
    },
    /// The client can't be made.
    #[error("{0}")]
    Endpoint(String),
}

impl RegistryError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::Unreachable { .. } => codes::SS320,
            Self::Refused { .. } | Self::NotFound { .. } | Self::Endpoint(_) => codes::SS321,
            Self::Incompatible { .. } => codes::SS322,
        }
    }

    /// Whether it goes by itself, so that waiting is the mend.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// Whether the server is to blame, so that it may be mended while one waits.
    pub fn is_of_a_server(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Refused { .. } | Self::NotFound { .. })
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "check that it runs, and its address under `kafka.schema_registry`",
            Self::Refused { .. } | Self::NotFound { .. } => {
                "check `kafka.schema_registry`, with the path under which its API begins, and `kafka.registry_auth`"
            }
            Self::Incompatible { .. } => {
                "change the query so that old documents can still be read, or give the index another name"
            }
            Self::Endpoint(_) => {
                "check `kafka.schema_registry`, `kafka.registry_auth` and `kafka.registry.tls.ca`"
            }
        }
    }
}
