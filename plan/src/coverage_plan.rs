//! What keeps each entity of a document, and each edge to one, fresh.

use serde::{Deserialize, Serialize};

use crate::index_plan::EdgeTeller;

/// One entity that the document reads at one path, and what keeps it fresh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageLine {
    /// Where the document holds it; empty for the root.
    pub path: String,
    /// The entity.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The subgraphs that own fields of it here.
    pub subgraphs: Vec<String>,
    /// `source`, `audit` or `ignore`.
    pub covered_by: CoveredBy,
    /// The sources that tell of its changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The key field by which its documents are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse_lookup: Option<String>,
    /// The edge that leads to it; `None` for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<EdgeLine>,
}

/// An edge of the document, and who tells of a new one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeLine {
    /// The field that leads to the entity, such as `Movie.production`.
    pub field: String,
    /// The entities that hold the field: several where it stands on an interface.
    pub holders: Vec<String>,
    /// The subgraphs that can answer the field here, sorted; empty where the schema doesn't tell.
    pub subgraphs: Vec<String>,
    /// Whose events tell of a new edge.
    pub teller: EdgeTeller,
    /// `source`, `audit` or `ignore`.
    pub covered_by: CoveredBy,
    /// The sources that tell of it, each with its way to the roots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<EdgeSource>,
}

/// A source that tells of new edges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeSource {
    /// Its name.
    pub name: String,
    /// How its events lead to the roots.
    pub by: EdgeWay,
}

/// How the event of a new edge leads to the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeWay {
    /// It is an event of the entity that holds the field, which is traced as its own changes are.
    Holder,
    /// The record names them.
    RootId,
    /// The graph is asked.
    BackReference,
}

/// What keeps an entity fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoveredBy {
    /// Events.
    Source,
    /// The audit's sweep.
    Audit,
    /// Nothing, by the user's word.
    Ignore,
}
