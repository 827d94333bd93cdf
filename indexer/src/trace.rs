//! One document as it is now on both sides, with what happened to it lately.

use std::sync::Arc;

use plan::{DocumentId, DocumentVersion};
use serde::Serialize;

use crate::{
    Index, StateError,
    audit::{Difference, Look, compare},
    graph::{Graph, GraphError},
    history::{Because, Step},
    ledger::Held,
    rebuild::judge::Verdict,
};

/// All that is known of one document.
#[derive(Debug, Serialize)]
pub struct Trace {
    /// Which.
    pub id: DocumentId,
    /// What happened lately, the oldest first; bounded, see [`crate::history`].
    pub steps: Vec<Step>,
    /// What the index holds.
    pub index: Indexed,
    /// What the graph says.
    pub graph: Answered,
    /// Where the two differ; empty where they are equal, or where one of them has no document.
    pub differences: Vec<Difference>,
    /// Why it is held, if it is.
    pub held: Option<Held>,
}

/// What the index holds of a document.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Indexed {
    /// It can be found.
    Live {
        /// The version of the fetch that brought it, as text.
        version: String,
        /// Its epoch.
        epoch: u32,
        /// When that fetch began, milliseconds of Unix time.
        fetched_at: i64,
        /// Paths that the graph could not answer then.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
    },
    /// It was there, and is gone.
    Tombstone {
        /// The version of the fetch that found it gone, as text.
        version: String,
        /// Its epoch.
        epoch: u32,
        /// When that fetch began.
        fetched_at: i64,
    },
    /// It was never there, or its tombstone was purged.
    Absent,
}

/// What the graph says of a document.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Answered {
    /// It has it.
    Found,
    /// It doesn't have it.
    Gone,
    /// It answered with errors: a fetch would be held.
    Failed(Because),
    /// It was not reached.
    Unreachable {
        /// The diagnostic code.
        code: &'static str,
        /// Why.
        reason: String,
    },
}

impl Trace {
    /// Whether both sides were seen and are not equal.
    pub fn is_different(&self) -> bool {
        match (&self.graph, &self.index) {
            (Answered::Found, Indexed::Live { .. }) => !self.differences.is_empty(),
            (Answered::Found, _) | (Answered::Gone, Indexed::Live { .. }) => true,
            _ => false,
        }
    }
}

/// Reads what is known of a document, and asks the graph for it. A graph that doesn't answer is part of what is told.
///
/// Errors: the index or the ledger can't be read.
pub async fn trace(index: &Index, graph: Arc<dyn Graph>, id: &DocumentId) -> Result<Trace, StateError> {
    let steps = index.ledger.history(id).await?;
    let held = index.ledger.held_among(std::slice::from_ref(id)).await?.pop();
    let look = Look::new(Arc::clone(&index.plan), graph, index.store.clone());
    let (graph, stored, body) = match look.at(std::slice::from_ref(id)).await? {
        Ok(mut sides) => {
            let sides = sides.pop().expect("a look at one document sees one");
            let (graph, body) = answered(sides.graph);
            (graph, sides.index, body)
        }
        Err(error) => (unreachable(&error), index.store.get(id).await?, None),
    };
    let mut differences = Vec::new();
    if let (Some(graph), Some(indexed)) = (&body, stored.as_ref().and_then(|stored| stored.body.as_ref())) {
        differences = compare::differences(&index.plan, graph, indexed);
    }
    let indexed = stored.map_or(Indexed::Absent, |stored| {
        let (version, epoch) = (stored.version.to_string(), DocumentVersion::epoch(stored.version).get());
        let fetched_at = stored.fetched_at_ms;
        match stored.body {
            Some(_) => Indexed::Live { version, epoch, fetched_at, missing: stored.missing },
            None => Indexed::Tombstone { version, epoch, fetched_at },
        }
    });
    Ok(Trace { id: id.clone(), steps, index: indexed, graph, differences, held })
}

fn answered(verdict: Verdict) -> (Answered, Option<String>) {
    match verdict {
        Verdict::Found { body, hold: None, .. } => (Answered::Found, Some(body)),
        Verdict::Found { body, hold: Some(cause), .. } => {
            (Answered::Failed(Because::from(&cause)), Some(body))
        }
        Verdict::Gone | Verdict::Ignored => (Answered::Gone, None),
        Verdict::Held(cause) => (Answered::Failed(Because::from(&cause)), None),
        Verdict::Again { .. } | Verdict::Behind => {
            let message = "the answer says nothing about this document";
            (Answered::Failed(Because::new(plan::code::fetch::SS405, message)), None)
        }
    }
}

fn unreachable(error: &GraphError) -> Answered {
    Answered::Unreachable { code: error.code().id, reason: error.to_string() }
}
