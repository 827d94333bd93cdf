//! What a server says of itself: its clock, the rights of who asks, and how an index is. Asking changes nothing.

use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Client, ElasticError,
    client::{Request, Trouble},
};

/// The id of a document that doesn't exist.
const NOBODY: &str = "studio-search-doctor";

/// What is tried on an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Reading documents.
    Read,
    /// Writing documents.
    Write,
}

impl Client {
    /// The time on the server, in milliseconds since the epoch of Unix. It tells whole seconds.
    pub async fn clock(&self) -> Result<i64, ElasticError> {
        #[derive(Deserialize)]
        struct Row {
            epoch: String,
        }
        let parameters = [("format", "json"), ("h", "epoch")];
        let rows: Vec<Row> = self.ask(Method::Get, "/_cat/health", &parameters, None).await?;
        let seconds = rows.first().and_then(|row| row.epoch.parse::<i64>().ok());
        let unreadable = || self.error(Trouble::Unreadable, "its clock tells no time".to_owned());
        Ok(seconds.ok_or_else(unreadable)?.saturating_mul(1_000))
    }

    /// How the shards of an index are: `green`, `yellow` or `red`.
    pub async fn health(&self, index: &str) -> Result<String, ElasticError> {
        #[derive(Deserialize)]
        struct Told {
            status: String,
        }
        let told: Told = self.ask(Method::Get, &format!("/_cluster/health/{index}"), &[], None).await?;
        Ok(told.status)
    }

    /// What of the needed rights the user lacks on these indexes; `None` where the server has no security to ask.
    pub async fn lacking(&self, indexes: &[&str]) -> Result<Option<Vec<String>>, ElasticError> {
        #[derive(Deserialize)]
        struct Told {
            #[serde(default)]
            cluster: Map<String, Value>,
            #[serde(default)]
            index: Map<String, Value>,
        }
        let body = json!({
            "cluster": ["monitor", "manage_index_templates"],
            "index": [{ "names": indexes, "privileges": ["read", "write", "view_index_metadata", "manage"] }],
        });
        let path = "/_security/user/_has_privileges";
        let body = Some(body.to_string().into());
        let answer = self.send(Request { method: Method::Post, path, parameters: &[], body }).await?;
        match answer.status {
            200 => {}
            401 | 403 => return Err(self.refusal(&answer)),
            _ => return Ok(None),
        }
        let told: Told = self.read(&answer.body)?;
        let is_lacking = |(_, has): &(&String, &Value)| **has == Value::Bool(false);
        let mut lacking: Vec<String> =
            told.cluster.iter().filter(is_lacking).map(|(right, _)| right.clone()).collect();
        for (index, rights) in &told.index {
            let rights = rights.as_object().into_iter().flatten();
            lacking.extend(rights.filter(is_lacking).map(|(right, _)| format!("{right} {index}")));
        }
        Ok(Some(lacking))
    }

    /// Tries a right on an index that exists, without any effect: by a search for nothing, and by an update of a document
    /// that isn't there.
    pub async fn try_right(&self, index: &str, right: Right) -> Result<(), ElasticError> {
        let (path, body) = match right {
            Right::Read => (format!("/{index}/_search"), json!({ "size": 0 })),
            Right::Write => (format!("/{index}/_update/{NOBODY}"), json!({ "doc": {} })),
        };
        let body = Some(body.to_string().into());
        let answer = self.send(Request { method: Method::Post, path: &path, parameters: &[], body }).await?;
        let kind = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        let is_missing = kind.pointer("/error/type").is_some_and(|kind| kind == "document_missing_exception");
        match answer.status {
            200..300 => Ok(()),
            404 if is_missing => Ok(()),
            _ => Err(self.refusal(&answer)),
        }
    }
}
