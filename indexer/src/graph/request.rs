//! Requests for documents, from the texts that the plan holds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use plan::{DocumentId, IndexPlan, index_plan::FetchMode};
use serde_json::{Map, Value};

use super::GraphRequest;

/// Makes document requests and keeps their texts: one a batch size, so that the gateway sees few shapes.
pub struct DocumentRequests {
    plan: Arc<IndexPlan>,
    by_size: Mutex<HashMap<usize, Arc<str>>>,
    single: Arc<str>,
}

impl DocumentRequests {
    /// The requests of this plan.
    pub fn new(plan: Arc<IndexPlan>) -> Self {
        let single = Arc::from(plan.fetch.query.as_str());
        Self { plan, by_size: Mutex::default(), single }
    }

    /// How many documents one request may ask for.
    pub fn max_batch(&self) -> usize {
        match self.plan.fetch.mode {
            FetchMode::Single { .. } => 1,
            FetchMode::List { .. } | FetchMode::Alias { .. } => self.plan.graph.batch_size.max(1),
        }
    }

    /// The request for these documents, at most [`DocumentRequests::max_batch`].
    pub fn documents(&self, ids: &[DocumentId]) -> GraphRequest {
        let kind = self.plan.key.kind;
        let mut variables = Map::new();
        let query = match &self.plan.fetch.mode {
            FetchMode::List { variable, .. } => {
                variables.insert(variable.clone(), ids.iter().map(|id| id.to_variable(kind)).collect());
                Arc::clone(&self.single)
            }
            FetchMode::Single { variable, .. } => {
                variables.extend(ids.first().map(|id| (variable.clone(), id.to_variable(kind))));
                Arc::clone(&self.single)
            }
            FetchMode::Alias { .. } => {
                for (n, id) in ids.iter().enumerate() {
                    variables.insert(format!("id{n}"), id.to_variable(kind));
                }
                self.alias_query(ids.len())
            }
        };
        GraphRequest { query, operation_name: self.plan.fetch.operation_name.clone(), variables }
    }

    fn alias_query(&self, size: usize) -> Arc<str> {
        let mut texts = self.by_size.lock().unwrap_or_else(PoisonError::into_inner);
        let text = texts.entry(size).or_insert_with(|| {
            let fetch = &self.plan.fetch;
            fetch
                .mode
                .alias_query(&fetch.operation_name, size)
                .map_or_else(|| Arc::clone(&self.single), Arc::from)
        });
        Arc::clone(text)
    }
}

/// The request of an id query with its variables.
pub fn id_request(
    query: &plan::index_plan::IdQuery,
    variables: impl IntoIterator<Item = (String, Value)>,
) -> GraphRequest {
    GraphRequest {
        query: Arc::from(query.query.as_str()),
        operation_name: query.operation_name.clone(),
        variables: variables.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// Invariant 9: an id is never text of a query.
    #[test]
    fn ids_travel_only_as_variables() {
        let requests = DocumentRequests::new(testing::movies().into());
        let hostile = DocumentId::new("x\") { secrets } #").unwrap();
        let request = requests.documents(&[hostile.clone(), DocumentId::new("m2").unwrap()]);
        assert!(!request.query.contains("secrets"), "{}", request.query);
        assert_eq!(request.variables["id0"], hostile.as_str());
        assert_eq!(
            &*request.query,
            "query MovieIndex($id0: ID! $id1: ID! ) { d0: movie(movieId: $id0) { ...F } d1: movie(movieId: $id1) { ...F } }\n\
             fragment F on Movie { movieId }"
        );
    }
}
