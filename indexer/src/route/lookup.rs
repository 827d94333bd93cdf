//! Which roots a related entity's change touches: the reverse lookup in the own index, and the back-reference query.

use std::{collections::HashSet, sync::Arc, time::Duration};

use plan::{
    DocumentId, IdKind, SourcePlan,
    index_plan::{IdQuery, Paging},
};
use serde_json::Value;

use crate::{
    StateError,
    graph::{Graph, GraphError, ids::read_page, request::id_request},
    store::Store,
};

/// Ids asked of the index at once.
const PAGE: usize = 1_000;

/// The longest pause between two tries of a back-reference query.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Finds roots by the keys of related entities.
pub struct Lookup {
    /// The source's plan.
    pub source: SourcePlan,
    /// How the root's key is written.
    pub root_kind: IdKind,
    /// The index.
    pub store: Arc<dyn Store>,
    /// The gateway.
    pub graph: Arc<dyn Graph>,
}

impl Lookup {
    /// Whether the source needs lookups at all.
    pub fn is_needed(&self) -> bool {
        !self.source.reverse_lookup.is_empty() || self.source.back_reference.is_some()
    }

    /// One page of the documents in the index that hold any of the keys, and the id to go on after; `None` after the last.
    pub async fn in_index(
        &self,
        keys: &[DocumentId],
        after: Option<&DocumentId>,
    ) -> Result<(Vec<DocumentId>, Option<DocumentId>), StateError> {
        if self.source.reverse_lookup.is_empty() || keys.is_empty() {
            return Ok((Vec::new(), None));
        }
        let page = self.store.lookup(&self.source.reverse_lookup, keys, after, PAGE).await?;
        let next = page.last().filter(|_| page.len() == PAGE).cloned();
        Ok((page, next))
    }

    /// The roots that the graph names for the keys: edges that the index can't know yet. Tried until the gateway answers or
    /// `stopped` says to leave it.
    pub async fn in_graph(&self, keys: &[DocumentId], stopped: impl Fn() -> bool) -> HashSet<DocumentId> {
        let mut roots = HashSet::new();
        let Some(query) = &self.source.back_reference else { return roots };
        for key in keys {
            let mut pause = Duration::from_millis(500);
            while !stopped() {
                match self.roots_of(query, key).await {
                    Ok(found) => {
                        roots.extend(found);
                        break;
                    }
                    Err(error) => {
                        let source = &self.source.name;
                        tracing::warn!(%source, %key, "the back-reference query failed and is tried again: {error}");
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
        roots
    }

    async fn roots_of(&self, query: &IdQuery, key: &DocumentId) -> Result<Vec<DocumentId>, GraphError> {
        let mut roots = Vec::new();
        let mut cursor: Option<Value> = None;
        loop {
            let variable =
                query.id_variable.iter().map(|name| (name.clone(), key.to_variable(self.source.id_kind)));
            let page_variable = match (&query.paging, cursor.take()) {
                (Some(Paging::Relay { after: name, .. } | Paging::Offset { offset: name }), Some(value)) => {
                    Some((name.clone(), value))
                }
                _ => None,
            };
            let body = self.graph.send(&id_request(query, variable.chain(page_variable))).await?;
            let page = read_page(query, self.root_kind, &body, roots.len() as u64)?;
            // What isn't an id can't be a document either.
            roots.extend(page.ids.into_iter().flatten());
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(roots),
            }
        }
    }
}
