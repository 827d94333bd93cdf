//! Ids out of the answers of id queries: walked along the plan's path, through lists, page by page.

use std::time::Duration;

use plan::{
    DocumentId, IdKind,
    id::IdError,
    index_plan::{IdCountQuery, IdQuery, Paging},
};
use serde_json::Value;

use super::{
    Graph, GraphError, GraphRequest,
    request::id_request,
    response::{Answer, AnswerError},
};

/// Asks an id query page by page, for backfills and back-references alike.
pub struct IdPages<'a> {
    /// The gateway.
    pub graph: &'a dyn Graph,
    /// The query.
    pub query: &'a IdQuery,
    /// How the ids are written.
    pub kind: IdKind,
    /// Codes of an error on the root field which say that it has no ids. An enumeration has none: an empty graph is no answer.
    pub not_found_codes: &'a [String],
}

/// One page of ids.
#[derive(Debug, PartialEq)]
pub struct IdPage {
    /// The ids, and what isn't one.
    pub ids: Vec<Result<DocumentId, IdError>>,
    /// The value of the paging variable for the next page; `None` after the last.
    pub next: Option<Value>,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// There is no answer.
    #[error(transparent)]
    Unanswered(#[from] GraphError),
    /// The answer has errors. It is not believed at all: a list that misses something looks like one that doesn't.
    #[error("the gateway answered with an error: {0}")]
    Failed(String),
    /// The pages don't lead to an end.
    #[error("the pages of the ids query can't be followed: {0}")]
    Astray(&'static str),
}

impl PageError {
    /// The gateway's own error, or what else it is.
    pub fn unanswered(self) -> Result<GraphError, Self> {
        match self {
            Self::Unanswered(error) => Ok(error),
            other => Err(other),
        }
    }

    /// Whether every request would fail alike, whatever it asks for.
    pub fn is_about_the_gateway(&self) -> bool {
        match self {
            Self::Unanswered(error) => {
                error.is_systemic()
                    || matches!(error, GraphError::Unavailable { .. } | GraphError::Busy { .. })
            }
            Self::Failed(_) | Self::Astray(_) => false,
        }
    }

    /// How long the gateway asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unanswered(error) => error.retry_after(),
            Self::Failed(_) | Self::Astray(_) => None,
        }
    }
}

impl From<PageError> for GraphError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Unanswered(error) => error,
            other => Self::Unavailable { reason: other.to_string(), retry_after: None },
        }
    }
}

/// How many ids a query leads to, where the graph tells it; `None` where it doesn't, or can't be asked.
pub async fn count_ids(graph: &dyn Graph, query: &IdQuery) -> Option<u64> {
    let IdCountQuery { query: text, path } = query.count.as_ref()?;
    let request = GraphRequest {
        query: text.as_str().into(),
        operation_name: query.operation_name.clone(),
        variables: serde_json::Map::new(),
    };
    let body = graph.send(&request).await.ok()?;
    let answer: Value = serde_json::from_slice(&body).ok()?;
    path.iter().try_fold(answer.get("data")?, |value, name| value.get(name))?.as_u64()
}

impl IdPages<'_> {
    /// Asks for the page at a cursor; without one, for the first. `key` is what a back-reference asks about.
    pub async fn page(&self, key: Option<Value>, cursor: Option<&Value>) -> Result<IdPage, PageError> {
        let key = self.query.id_variable.clone().zip(key);
        let cursor_variable = match &self.query.paging {
            Some(Paging::Relay { after: name, .. } | Paging::Offset { offset: name }) => {
                cursor.map(|value| (name.clone(), value.clone()))
            }
            None => None,
        };
        let request = id_request(self.query, key.into_iter().chain(cursor_variable));
        self.read(&self.graph.send(&request).await?, cursor)
    }

    fn read(&self, body: &[u8], cursor: Option<&Value>) -> Result<IdPage, PageError> {
        let answer = Answer::parse(body)?;
        if let Some(error) = answer.errors.first() {
            return if answer.errors.iter().all(|error| self.is_not_found(error)) {
                Ok(IdPage { ids: Vec::new(), next: None })
            } else {
                Err(PageError::Failed(error.message.clone()))
            };
        }
        let not_graphql = |reason: String| PageError::Unanswered(GraphError::NotGraphql(reason));
        let data: Value = answer
            .data
            .into_iter()
            .flatten()
            .map(|(name, raw)| Ok((name.into_owned(), serde_json::from_str::<Value>(raw.get())?)))
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error| not_graphql(error.to_string()))?;
        if let Some(root) = self.query.ids.first().filter(|name| data.get(name.as_str()).is_none()) {
            return Err(not_graphql(format!("it has no `{root}`")));
        }
        let mut found = Found { kind: self.kind, ids: Vec::new(), values: 0 };
        found.collect(&data, &self.query.ids, false);
        let next = match &self.query.paging {
            None => None,
            Some(Paging::Relay { page_info, .. }) => next_cursor(&data, page_info)?,
            // The server counts what it answered, whether that was an id or not.
            Some(Paging::Offset { .. }) => {
                let offset = cursor.and_then(Value::as_u64).unwrap_or(0);
                (found.values > 0).then(|| Value::from(offset + found.values))
            }
        };
        if next.is_some() && next.as_ref() == cursor {
            return Err(PageError::Astray("the same cursor came twice"));
        }
        Ok(IdPage { ids: found.ids, next })
    }

    fn is_not_found(&self, error: &AnswerError) -> bool {
        let known = error.code().is_some_and(|code| self.not_found_codes.iter().any(|known| known == code));
        known && error.names().len() <= 1
    }
}

fn next_cursor(data: &Value, page_info: &[String]) -> Result<Option<Value>, PageError> {
    let info = page_info.iter().try_fold(data, |value, name| value.get(name));
    let flag = |name| info.and_then(|info| info.get(name)).filter(|value| !value.is_null());
    if flag("hasNextPage").and_then(Value::as_bool) != Some(true) {
        return Ok(None);
    }
    match flag("endCursor") {
        Some(cursor) => Ok(Some(cursor.clone())),
        None => Err(PageError::Astray("there is a next page and no cursor to it")),
    }
}

struct Found {
    kind: IdKind,
    ids: Vec<Result<DocumentId, IdError>>,
    /// Ids, what isn't one, and null elements of lists.
    values: u64,
}

impl Found {
    /// Takes in every value at the end of the path.
    fn collect(&mut self, value: &Value, path: &[String], in_list: bool) {
        match (value, path) {
            (Value::Null, _) => self.values += u64::from(in_list),
            (Value::Array(items), _) => items.iter().for_each(|item| self.collect(item, path, true)),
            (value, []) => {
                self.values += 1;
                self.ids.push(DocumentId::from_json(self.kind, value));
            }
            (value, [name, rest @ ..]) => {
                if let Some(inner) = value.get(name) {
                    self.collect(inner, rest, in_list);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    struct Nobody;

    #[async_trait]
    impl Graph for Nobody {
        async fn send(&self, _: &GraphRequest) -> Result<Vec<u8>, GraphError> {
            unreachable!("these tests read answers")
        }
    }

    fn names(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn read(
        paging: impl Into<Option<Paging>>,
        body: &str,
        cursor: Option<&Value>,
    ) -> Result<IdPage, PageError> {
        let query = IdQuery {
            query: String::new(),
            operation_name: String::new(),
            ids: names("movies.edges.node.movieId"),
            id_variable: None,
            paging: paging.into(),
            count: None,
        };
        let codes = ["NOT_FOUND".to_owned()];
        let pages = IdPages { graph: &Nobody, query: &query, kind: IdKind::String, not_found_codes: &codes };
        pages.read(body.as_bytes(), cursor)
    }

    fn relay() -> Paging {
        Paging::Relay { page_info: names("movies.pageInfo"), after: "after".into() }
    }

    #[test]
    fn pages_follow_their_cursor() {
        let body = r#"{"data":{"movies":{"pageInfo":{"hasNextPage":true,"endCursor":"c1"},
            "edges":[{"node":{"movieId":"m1"}},null,{"node":{"movieId":2}}]}},"errors":null}"#;
        let page = read(relay(), body, None).unwrap();
        assert_eq!(page.ids.into_iter().map(|id| id.unwrap().to_string()).collect::<Vec<_>>(), ["m1", "2"]);
        assert_eq!(page.next, Some(Value::from("c1")));
        assert!(matches!(read(relay(), body, Some(&"c1".into())), Err(PageError::Astray(_))), "twice");
        let last = r#"{"data":{"movies":{"pageInfo":{"hasNextPage":false,"endCursor":"c1"},"edges":[]}}}"#;
        assert_eq!(read(relay(), last, None).unwrap(), IdPage { ids: vec![], next: None });
        let nowhere = r#"{"data":{"movies":{"pageInfo":{"hasNextPage":true,"endCursor":null},"edges":[]}}}"#;
        assert!(matches!(read(relay(), nowhere, None), Err(PageError::Astray(_))));
    }

    #[test]
    fn an_offset_grows_from_itself_by_everything_that_was_answered() {
        let offset = || Paging::Offset { offset: "offset".into() };
        let body =
            r#"{"data":{"movies":{"edges":[{"node":{"movieId":"m1"}},null,{"node":{"movieId":""}}]}}}"#;
        assert_eq!(read(offset(), body, None).unwrap().next, Some(Value::from(3)));
        assert_eq!(read(offset(), body, Some(&Value::from(40))).unwrap().next, Some(Value::from(43)));
        let empty = r#"{"data":{"movies":{"edges":[]}}}"#;
        assert_eq!(read(offset(), empty, Some(&Value::from(43))).unwrap().next, None);
    }

    #[test]
    fn what_is_no_answer_is_not_believed() {
        let failed = |body| read(None, body, None).unwrap_err();
        for body in ["{}", r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"data":{"other":[]}}"#, "<html>"] {
            let error = failed(body);
            assert!(matches!(error, PageError::Unanswered(GraphError::NotGraphql(_))), "{body}: {error}");
        }
        let down = r#"{"data":{"movies":null},"errors":[{"message":"down"}]}"#;
        assert_eq!(failed(down), PageError::Failed("down".to_owned()));
        let refused = r#"{"errors":[{"message":"no","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}"#;
        assert!(failed(refused).is_about_the_gateway());
    }

    #[test]
    fn not_found_on_the_root_is_no_ids() {
        let error = |path: &str, code: &str| {
            format!(
                r#"{{"data":{{"movies":null}},"errors":[{{"message":"","path":{path},"extensions":{{"code":"{code}"}}}}]}}"#
            )
        };
        let nothing = IdPage { ids: vec![], next: None };
        assert_eq!(read(None, &error(r#"["movies"]"#, "NOT_FOUND"), None).unwrap(), nothing);
        assert!(read(None, &error(r#"["movies","edges",0]"#, "NOT_FOUND"), None).is_err());
        assert!(read(None, &error(r#"["movies"]"#, "DOWN"), None).is_err());
    }
}
