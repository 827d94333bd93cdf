//! What tells an index from its graph, by ids: the documents that it lost, that are stale, and that there is nothing behind.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use serde_json::Value;

/// How many stale documents are shown whole.
const SHOWN: usize = 3;

/// The documents that are not what the graph says.
#[derive(Debug, Default)]
pub struct Difference {
    /// The graph has them, and the index doesn't.
    pub lost: Vec<String>,
    /// Both have them and are not equal: what the index has, and what the graph has.
    pub stale: BTreeMap<String, (Value, Value)>,
    /// The index has them, and the graph doesn't.
    pub ghosts: Vec<String>,
}

impl Difference {
    /// Compares two whole sets of documents.
    pub fn between(indexed: &BTreeMap<String, Value>, graph: &BTreeMap<String, Value>) -> Self {
        let absent = |from: &BTreeMap<String, Value>, of: &BTreeMap<String, Value>| {
            of.keys().filter(|id| !from.contains_key(*id)).cloned().collect()
        };
        let mut stale = BTreeMap::new();
        for (id, now) in graph {
            if let Some(then) = indexed.get(id).filter(|then| *then != now) {
                stale.insert(id.clone(), (then.clone(), now.clone()));
            }
        }
        Self { lost: absent(indexed, graph), stale, ghosts: absent(graph, indexed) }
    }

    /// Whether both are equal.
    pub fn is_none(&self) -> bool {
        self.first().is_none()
    }

    /// A document that differs.
    pub fn first(&self) -> Option<&String> {
        self.lost.first().or_else(|| self.stale.keys().next()).or_else(|| self.ghosts.first())
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { lost, stale, ghosts } = self;
        write!(f, "{} lost {lost:?}, {} ghosts {ghosts:?}, {} stale", lost.len(), ghosts.len(), stale.len())?;
        for (id, (then, now)) in stale.iter().take(SHOWN) {
            write!(f, "\n{id}: {then}\n  graph: {now}")?;
        }
        Ok(())
    }
}
