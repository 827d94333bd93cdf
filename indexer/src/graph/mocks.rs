//! A gateway in memory that answers from given responses, for tests of a configuration.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use plan::{IndexPlan, index_plan::FetchMode};
use serde_json::{Map, Value, json};

use super::{Graph, GraphError, GraphRequest};

/// Answers each id with the response that was given for it: the one to the query of `query.graphql` with this id alone,
/// or for a related entity's id the one to its back-reference query.
pub struct MockGraph {
    plan: Arc<IndexPlan>,
    responses: BTreeMap<String, Value>,
    asked: Mutex<Asked>,
}

/// What a mock was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The documents that were fetched.
    pub documents: BTreeSet<String>,
    /// Ids that there was no response for. They were answered as if the graph had nothing for them.
    pub unanswered: BTreeSet<String>,
}

impl MockGraph {
    /// A gateway with these responses, by id.
    pub fn new(plan: Arc<IndexPlan>, responses: BTreeMap<String, Value>) -> Self {
        Self { plan, responses, asked: Mutex::default() }
    }

    /// What it was asked for until now.
    pub fn asked(&self) -> Asked {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn response(&self, id: &str) -> Option<&Value> {
        let response = self.responses.get(id);
        if response.is_none() {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.unanswered.insert(id.to_owned());
        }
        response
    }

    /// The response to one document's query, which counts as fetched.
    fn document(&self, id: &str) -> Option<&Value> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.documents.insert(id.to_owned());
        drop(asked);
        self.response(id)
    }

    fn documents(&self, variables: &Map<String, Value>) -> Value {
        match &self.plan.fetch.mode {
            FetchMode::Alias { root_key, .. } => {
                let mut answer = Answer::default();
                for (name, id) in variables.iter().filter(|(name, _)| name.starts_with("id")) {
                    let alias = name.replacen("id", "d", 1);
                    let response = self.document(&text(id));
                    answer.data.insert(alias.clone(), root_of(response, root_key));
                    answer.add_errors(response, |mut path| {
                        path[0] = json!(alias);
                        path
                    });
                }
                answer.into_value()
            }
            FetchMode::List { variable, root } => {
                let mut answer = Answer::default();
                let mut found = Vec::new();
                for id in variables.get(variable).and_then(Value::as_array).into_iter().flatten() {
                    let response = self.document(&text(id));
                    let before = found.len();
                    match root_of(response, root) {
                        Value::Array(documents) => found.extend(documents),
                        Value::Null => {}
                        one => found.push(one),
                    }
                    answer.add_errors(response, |mut path| {
                        if let Some(at) = path.get(1).and_then(Value::as_u64) {
                            path[1] = json!(at + before as u64);
                        }
                        path
                    });
                }
                answer.data.insert(root.clone(), Value::Array(found));
                answer.into_value()
            }
            FetchMode::Single { variable, root } => {
                let id = variables.get(variable).map(text).unwrap_or_default();
                self.document(&id).cloned().unwrap_or_else(|| json!({ "data": { root: null } }))
            }
        }
    }

    /// The answer to a query for ids: what was given for the id that it is about.
    fn ids(&self, request: &GraphRequest) -> Value {
        let queries = self.plan.sources.iter().filter_map(|source| source.back_reference.as_ref());
        let query = queries.into_iter().find(|query| query.query == *request.query);
        let id = query.and_then(|query| request.variables.get(query.id_variable.as_deref()?));
        let given = id.and_then(|id| self.response(&text(id))).cloned();
        let root = query.and_then(|query| query.ids.first()).map_or("", String::as_str);
        given.unwrap_or_else(|| json!({ "data": { root: null } }))
    }
}

#[async_trait]
impl Graph for MockGraph {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let is_for_documents = request.operation_name == self.plan.fetch.operation_name
            && !self.plan.sources.iter().any(|source| {
                source.back_reference.as_ref().is_some_and(|query| query.query == *request.query)
            });
        let answer = if is_for_documents { self.documents(&request.variables) } else { self.ids(request) };
        Ok(answer.to_string().into_bytes())
    }
}

/// A response that is put together from several.
#[derive(Default)]
struct Answer {
    data: Map<String, Value>,
    errors: Vec<Value>,
}

impl Answer {
    fn add_errors(&mut self, response: Option<&Value>, place: impl Fn(Vec<Value>) -> Vec<Value>) {
        let errors = response.and_then(|response| response.get("errors")?.as_array()).into_iter().flatten();
        for error in errors {
            let mut error = error.clone();
            let path = error.get("path").and_then(Value::as_array).filter(|path| !path.is_empty());
            if let Some(path) = path.cloned() {
                error["path"] = Value::Array(place(path));
            }
            self.errors.push(error);
        }
    }

    fn into_value(self) -> Value {
        let mut answer = json!({ "data": self.data });
        if !self.errors.is_empty() {
            answer["errors"] = Value::Array(self.errors);
        }
        answer
    }
}

/// What a response says of the root field; null where it says nothing.
fn root_of(response: Option<&Value>, root: &str) -> Value {
    response.and_then(|response| response.get("data")?.get(root)).cloned().unwrap_or_default()
}

fn text(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{graph::request::DocumentRequests, testing};
    use plan::DocumentId;

    #[tokio::test]
    async fn responses_for_one_document_answer_a_batch() {
        let plan = Arc::new(testing::movies());
        let failed =
            json!({ "data": { "movie": null }, "errors": [{ "message": "x", "path": ["movie", "actors"] }] });
        let whole = json!({ "data": { "movie": { "movieId": "m1" } } });
        let responses = [("m1".to_owned(), whole), ("m2".to_owned(), failed)].into();
        let graph = MockGraph::new(Arc::clone(&plan), responses);
        let ids = ["m1", "m2", "m3"].map(|id| DocumentId::new(id).unwrap());
        let answer = graph.send(&DocumentRequests::new(plan).documents(&ids)).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(answer["data"], json!({ "d0": { "movieId": "m1" }, "d1": null, "d2": null }));
        assert_eq!(answer["errors"], json!([{ "message": "x", "path": ["d1", "actors"] }]));
        assert_eq!(graph.asked().documents.len(), 3);
        assert_eq!(graph.asked().unanswered, ["m3".to_owned()].into());
    }
}
