//! What an audit found: counts, the fields and subgraphs that differ, and some of the documents as examples.

use std::collections::BTreeMap;

use plan::DocumentId;
use serde::{Deserialize, Serialize};

use super::compare::{self, Difference};

/// Documents that a report shows as examples. What differs in millions is told by its fields.
const EXAMPLES: usize = 100;

/// Differences that are kept of one example.
const DIFFERENCES: usize = 20;

/// Fields that are counted. A plan has at most 2,000; what a stranger wrote into the index may have more.
const FIELDS: usize = 2_000;

/// How a document of the index differs from the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The graph has it, the index doesn't.
    Missing,
    /// Its values are others.
    Stale,
    /// The index has it, the graph doesn't.
    Ghost,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Stale, Self::Ghost];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Ghost => "ghost",
        }
    }
}

/// A document that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The document.
    pub id: DocumentId,
    /// How it differs.
    pub kind: Kind,
    /// What differs of a stale document; the first twenty.
    #[serde(default)]
    pub differences: Vec<Difference>,
}

/// How often a field differs, and who owns it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FieldCount {
    /// The subgraphs that can answer it; empty where the schema doesn't tell.
    pub subgraphs: Vec<String>,
    /// Documents in which it differs.
    pub documents: u64,
}

/// What an audit found so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Ids that were looked at.
    pub looked: u64,
    /// Documents that are as the graph has them, absent ones among them.
    pub equal: u64,
    /// The graph has them, the index doesn't.
    pub missing: u64,
    /// Their values are others.
    pub stale: u64,
    /// The index has them, the graph doesn't.
    pub ghosts: u64,
    /// The graph answered with errors, or they are held already: what they should be can't be told now.
    pub unanswered: u64,
    /// They changed at each look, or wait in the log: whether they differ can't be told now.
    pub unsettled: u64,
    /// Ids that were appended to the log, to be fetched anew.
    pub repaired: u64,
    /// Whether ids of the graph were enumerated, without which nothing can be found missing.
    pub enumerated: bool,
    /// Fields that differ, by their paths.
    pub fields: BTreeMap<String, FieldCount>,
    /// Stale documents, by the subgraphs that can answer what differs.
    pub subgraphs: BTreeMap<String, u64>,
    /// Some of the documents that differ.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many documents differ.
    pub fn different(&self) -> u64 {
        self.missing + self.stale + self.ghosts
    }

    /// Adds a document that differs. One that is missing, or a ghost, differs as a whole, and is laid to nobody.
    pub(super) fn add(&mut self, id: DocumentId, kind: Kind, mut found: Vec<Difference>) {
        *match kind {
            Kind::Missing => &mut self.missing,
            Kind::Stale => &mut self.stale,
            Kind::Ghost => &mut self.ghosts,
        } += 1;
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for difference in &found {
            fields.entry(compare::field_of(&difference.path)).or_insert_with(|| difference.subgraphs.clone());
        }
        let mut subgraphs: Vec<String> = fields.values().flatten().cloned().collect();
        subgraphs.sort_unstable();
        subgraphs.dedup();
        for subgraph in subgraphs {
            *self.subgraphs.entry(subgraph).or_default() += 1;
        }
        for (path, subgraphs) in fields {
            if self.fields.len() < FIELDS || self.fields.contains_key(&path) {
                let count = self.fields.entry(path).or_insert(FieldCount { subgraphs, documents: 0 });
                count.documents += 1;
            }
        }
        if self.findings.len() < EXAMPLES {
            found.truncate(DIFFERENCES);
            self.findings.push(Finding { id, kind, differences: found });
        }
    }
}
