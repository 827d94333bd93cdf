//! What a server says of itself: its clock, and how an index is. Asking changes nothing.

use elasticsearch::http::Method;
use serde::Deserialize;

use super::{Client, ElasticError, client::Trouble};

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
}
