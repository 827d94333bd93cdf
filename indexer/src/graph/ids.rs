//! Ids out of the answers of id queries: walked along the plan's path, through lists.

use plan::{
    DocumentId, IdKind,
    id::IdError,
    index_plan::{IdQuery, Paging},
};
use serde::Deserialize;
use serde_json::Value;

use super::{GraphError, response::AnswerError};

/// One page of ids.
#[derive(Debug, PartialEq)]
pub struct IdPage {
    /// The ids, and what isn't one.
    pub ids: Vec<Result<DocumentId, IdError>>,
    /// The value of the paging variable for the next page; `None` after the last.
    pub next: Option<Value>,
}

/// Reads a page. `offset` is how many ids the pages before it had. An answer with errors is not believed at all: a list
/// that misses something looks like one that doesn't.
pub fn read_page(query: &IdQuery, kind: IdKind, body: &[u8], offset: u64) -> Result<IdPage, GraphError> {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(default)]
        data: Value,
        #[serde(default)]
        errors: Vec<AnswerError>,
    }
    let raw: Raw = serde_json::from_slice(body).map_err(|error| GraphError::NotGraphql(error.to_string()))?;
    if let Some(error) = raw.errors.first() {
        return Err(GraphError::Unavailable { reason: error.message.clone(), retry_after: None });
    }
    let mut ids = Vec::new();
    collect(&raw.data, &query.ids, &mut |value| ids.push(DocumentId::from_json(kind, value)));
    let next = match &query.paging {
        None => None,
        Some(Paging::Relay { page_info, .. }) => {
            let info = page_info.iter().try_fold(&raw.data, |value, name| value.get(name));
            let more =
                info.and_then(|info| info.get("hasNextPage")).and_then(Value::as_bool).unwrap_or(false);
            info.and_then(|info| info.get("endCursor")).filter(|cursor| more && !cursor.is_null()).cloned()
        }
        Some(Paging::Offset { .. }) => (!ids.is_empty()).then(|| Value::from(offset + ids.len() as u64)),
    };
    Ok(IdPage { ids, next })
}

/// Calls `found` for every value at the end of the path; nulls on the way are nothing.
fn collect<'v>(value: &'v Value, path: &[String], found: &mut dyn FnMut(&'v Value)) {
    match (value, path) {
        (Value::Null, _) => {}
        (Value::Array(items), _) => items.iter().for_each(|item| collect(item, path, found)),
        (value, []) => found(value),
        (value, [name, rest @ ..]) => {
            if let Some(inner) = value.get(name) {
                collect(inner, rest, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay() -> IdQuery {
        let names = |text: &str| text.split('.').map(str::to_owned).collect();
        IdQuery {
            query: String::new(),
            operation_name: String::new(),
            ids: names("movies.edges.node.movieId"),
            id_variable: None,
            paging: Some(Paging::Relay { page_info: names("movies.pageInfo"), after: "after".into() }),
        }
    }

    #[test]
    fn pages_follow_their_cursor() {
        let body = br#"{"data":{"movies":{"pageInfo":{"hasNextPage":true,"endCursor":"c1"},
            "edges":[{"node":{"movieId":"m1"}},null,{"node":{"movieId":2}}]}}}"#;
        let page = read_page(&relay(), IdKind::String, body, 0).unwrap();
        assert_eq!(page.ids.into_iter().map(|id| id.unwrap().to_string()).collect::<Vec<_>>(), ["m1", "2"]);
        assert_eq!(page.next, Some(Value::from("c1")));
        let last = br#"{"data":{"movies":{"pageInfo":{"hasNextPage":false,"endCursor":"c1"},"edges":[]}}}"#;
        assert_eq!(read_page(&relay(), IdKind::String, last, 0).unwrap(), IdPage { ids: vec![], next: None });
    }

    #[test]
    fn a_page_with_errors_is_not_believed() {
        let body = br#"{"data":{"movies":null},"errors":[{"message":"down"}]}"#;
        assert!(matches!(read_page(&relay(), IdKind::String, body, 0), Err(GraphError::Unavailable { .. })));
    }
}
