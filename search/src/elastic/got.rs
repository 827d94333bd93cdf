//! Documents by their ids, as the last write left them, whether a search sees them yet or not.

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    Client, ElasticError,
    client::{Cause, Request, Trouble},
    read::percent_encoded,
};

/// A document in an answer.
#[derive(Deserialize)]
struct Got<'a> {
    #[serde(rename = "_id", default)]
    id: String,
    #[serde(default)]
    found: bool,
    #[serde(rename = "_seq_no", default)]
    sequence: i64,
    #[serde(rename = "_primary_term", default)]
    term: i64,
    #[serde(rename = "_source", borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Cause>,
}

/// A document that is there.
pub(super) struct Found<'a> {
    pub(super) id: String,
    /// Another one at a later time means that it was written in between.
    pub(super) stamp: Stamp,
    pub(super) source: &'a RawValue,
}

/// What a document had when it was read; another one means that it was written since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub(super) sequence: i64,
    pub(super) term: i64,
}

impl<'a> Got<'a> {
    fn found(self) -> Option<Found<'a>> {
        let stamp = Stamp { sequence: self.sequence, term: self.term };
        let source = self.source.filter(|_| self.found)?;
        Some(Found { id: self.id, stamp, source })
    }
}

impl Client {
    /// Reads the document of this id. An index that is missing is an error, a document is not.
    pub(super) async fn get<T>(
        &self,
        index: &str,
        id: &str,
        read: impl FnOnce(Found<'_>) -> Result<T, ElasticError>,
    ) -> Result<Option<T>, ElasticError> {
        let path = format!("/{index}/_doc/{}", percent_encoded(id));
        let answer =
            self.send(Request { method: Method::Get, path: &path, parameters: &[], body: None }).await?;
        let refused = || self.refusal(&answer);
        match answer.status {
            200..=299 => {}
            404 if refused().trouble != Trouble::NoIndex => return Ok(None),
            _ => return Err(refused()),
        }
        self.read::<Got<'_>>(&answer.body)?.found().map(read).transpose()
    }

    /// Reads the documents of these ids that are there.
    pub(super) async fn get_many<T>(
        &self,
        index: &str,
        ids: &[impl Serialize],
        read: impl Fn(Found<'_>) -> Result<T, ElasticError>,
    ) -> Result<Vec<T>, ElasticError> {
        #[derive(Deserialize)]
        struct Many<'a> {
            #[serde(borrow)]
            docs: Vec<Got<'a>>,
        }
        let path = format!("/{index}/_mget");
        let body = Some(Bytes::from(json!({ "ids": ids }).to_string()));
        let body = self.succeed(Request { method: Method::Post, path: &path, parameters: &[], body }).await?;
        let mut found = Vec::new();
        for got in self.read::<Many<'_>>(&body)?.docs {
            if let Some(cause) = &got.error {
                // One document of many has no status of its own; what is missing is told by its name.
                return Err(self.refused(503, cause));
            }
            found.extend(got.found().map(&read).transpose()?);
        }
        Ok(found)
    }

    /// What a server says of one of many.
    pub(super) fn refused(&self, status: u16, cause: &Cause) -> ElasticError {
        self.error(Trouble::of(status, Some(cause)), format!("{status} {}", cause.reason()))
    }
}
