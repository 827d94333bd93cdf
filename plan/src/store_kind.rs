//! The kinds of stores that an index can be kept in.

use serde::{Deserialize, Serialize};

/// A kind of store; its address is no part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// The `SQLite` file of the state.
    #[default]
    Sqlite,
    /// Elasticsearch 8 or newer.
    Elasticsearch,
    /// `OpenSearch` 2.7 or newer.
    #[serde(rename = "opensearch")]
    OpenSearch,
}

impl StoreKind {
    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Elasticsearch => "elasticsearch",
            Self::OpenSearch => "opensearch",
        }
    }
}
