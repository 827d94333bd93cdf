//! One look at documents: as the graph answers them, and as the index holds them.

use std::{collections::HashMap, sync::Arc};

use plan::{DocumentId, DocumentVersion, IndexPlan};
use search::StoredDocument;

use super::{compare::ValueHash, report::Kind};
use crate::{
    StateError,
    graph::{Graph, GraphError, request::DocumentRequests, response::Answer},
    ledger::HoldCause,
    rebuild::judge::{Verdict, judge},
    store::Store,
};

/// Asks the graph and the index for the same documents.
pub(crate) struct Look {
    plan: Arc<IndexPlan>,
    requests: DocumentRequests,
    graph: Arc<dyn Graph>,
    store: Arc<dyn Store>,
}

/// A document on both sides.
pub(crate) struct Sides {
    /// Which.
    pub(crate) id: DocumentId,
    /// What the graph says of it.
    pub(crate) graph: Verdict,
    /// What the index holds.
    pub(crate) index: Option<StoredDocument>,
}

/// What a look says of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The two sides are equal.
    Equal,
    /// One of them can't be told now.
    Unanswered,
    /// They differ.
    Different(Sight),
}

/// A difference as it was seen, to be known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sight {
    /// How they differ.
    pub(crate) kind: Kind,
    /// The version of what the index holds, a tombstone's, too.
    pub(crate) version: Option<DocumentVersion>,
    /// The graph's value.
    pub(crate) graph: Option<ValueHash>,
}

impl Look {
    /// Looks over this gateway and at this index.
    pub(crate) fn new(plan: Arc<IndexPlan>, graph: Arc<dyn Graph>, store: Arc<dyn Store>) -> Self {
        Self { requests: DocumentRequests::new(Arc::clone(&plan)), plan, graph, store }
    }

    /// Documents that one look may be about.
    pub(crate) fn batch(&self) -> usize {
        self.requests.max_batch()
    }

    /// Both sides of each document, at most [`Look::batch`] of them. The error of the gateway is one of all; what fails for a
    /// document alone is its verdict.
    pub(crate) async fn at(&self, ids: &[DocumentId]) -> Result<Result<Vec<Sides>, GraphError>, StateError> {
        let verdicts = match self.ask(ids).await {
            Ok(verdicts) => verdicts,
            Err(error) => return Ok(Err(error)),
        };
        let mut stored: HashMap<DocumentId, StoredDocument> =
            self.store.get_many(ids).await?.into_iter().map(|stored| (stored.id.clone(), stored)).collect();
        let sides = ids.iter().zip(verdicts).map(|(id, graph)| Sides {
            id: id.clone(),
            graph,
            index: stored.remove(id),
        });
        Ok(Ok(sides.collect()))
    }

    /// As [`Look::at`], each document asked for by itself: one that makes the gateway fail can't hide the others. An error where
    /// none is answered.
    pub(crate) async fn at_each(
        &self,
        ids: &[DocumentId],
    ) -> Result<Result<Vec<Sides>, GraphError>, StateError> {
        let (mut sides, mut failed) = (Vec::new(), None);
        let mut is_answered = false;
        for id in ids {
            let graph = match self.ask(std::slice::from_ref(id)).await {
                Ok(mut verdicts) => {
                    is_answered = true;
                    verdicts.pop().unwrap_or(Verdict::Again { alone: true })
                }
                Err(error) => {
                    let verdict = Verdict::Held(HoldCause::from(&error));
                    failed = Some(error);
                    verdict
                }
            };
            sides.push(Sides { index: self.store.get(id).await?, id: id.clone(), graph });
        }
        Ok(match failed {
            Some(error) if !is_answered => Err(error),
            _ => Ok(sides),
        })
    }

    /// What the graph says of each document. What can't be said of several together is asked of each alone.
    async fn ask(&self, ids: &[DocumentId]) -> Result<Vec<Verdict>, GraphError> {
        let mut verdicts = match self.send(ids).await {
            Ok(verdicts) => verdicts,
            Err(error) if !error.is_of_documents() => return Err(error),
            Err(error) if ids.len() == 1 => vec![Verdict::Held(HoldCause::from(&error))],
            Err(_) => vec![Verdict::Again { alone: true }; ids.len()],
        };
        if ids.len() == 1 {
            return Ok(verdicts);
        }
        for (id, verdict) in ids.iter().zip(&mut verdicts) {
            if matches!(verdict, Verdict::Again { .. }) {
                *verdict = match self.send(std::slice::from_ref(id)).await {
                    Ok(mut alone) => alone.pop().unwrap_or(Verdict::Again { alone: true }),
                    Err(error) if error.is_of_documents() => Verdict::Held(HoldCause::from(&error)),
                    Err(error) => return Err(error),
                };
            }
        }
        Ok(verdicts)
    }

    async fn send(&self, ids: &[DocumentId]) -> Result<Vec<Verdict>, GraphError> {
        let body = self.graph.send(&self.requests.documents(ids)).await?;
        Answer::parse(&body).map(|answer| judge(&self.plan, ids, &answer))
    }
}

impl Sides {
    /// What this look says.
    pub(crate) fn seen(&self) -> Seen {
        let live = self.index.as_ref().filter(|stored| stored.body.is_some());
        if live.is_some_and(|stored| !stored.missing.is_empty()) {
            return Seen::Unanswered; // it is held until it is complete
        }
        let indexed = live.and_then(|stored| stored.body.as_deref());
        let (kind, graph) = match (&self.graph, indexed) {
            (Verdict::Found { missing, .. }, _) if !missing.is_empty() => return Seen::Unanswered,
            (Verdict::Found { body, .. }, Some(indexed)) => {
                let graph = ValueHash::of(body);
                if body == indexed || graph == ValueHash::of(indexed) {
                    return Seen::Equal;
                }
                (Kind::Stale, Some(graph))
            }
            (Verdict::Found { body, .. }, None) => (Kind::Missing, Some(ValueHash::of(body))),
            (Verdict::Gone, Some(_)) => (Kind::Ghost, None),
            (Verdict::Gone, None) | (Verdict::Ignored, _) => return Seen::Equal,
            (Verdict::Held(_) | Verdict::Again { .. } | Verdict::Behind, _) => return Seen::Unanswered,
        };
        let version = self.index.as_ref().map(|stored| stored.version);
        Seen::Different(Sight { kind, version, graph })
    }

    /// The bodies on both sides.
    pub(crate) fn bodies(&self) -> (Option<&str>, Option<&str>) {
        let graph = match &self.graph {
            Verdict::Found { body, .. } => Some(body.as_str()),
            _ => None,
        };
        (graph, self.index.as_ref().and_then(|stored| stored.body.as_deref()))
    }
}
