//! What both engines answer to a search, as far as it is read.

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    Client, ElasticError,
    client::{Request, Trouble},
};

/// An answer from some shards alone would be a lie.
pub(super) const WHOLE: (&str, &str) = ("allow_partial_search_results", "false");

impl Client {
    /// Makes every write to an index that was acknowledged visible to searches, on every copy of every shard, or says why not.
    pub(super) async fn refresh(&self, index: &str) -> Result<(), ElasticError> {
        #[derive(Deserialize)]
        struct Refreshed {
            #[serde(rename = "_shards")]
            shards: Shards,
        }
        let path = format!("/{index}/_refresh");
        let refreshed: Refreshed = self.ask(Method::Post, &path, &[], None).await?;
        match refreshed.shards.failed {
            0 => Ok(()),
            failed => Err(self.error(Trouble::Busy, format!("{failed} shards were not refreshed"))),
        }
    }

    /// Asks an index; gives the answer as it came.
    pub(super) async fn search(
        &self,
        index: &str,
        body: &Value,
        parameters: &[(&str, &str)],
    ) -> Result<Bytes, ElasticError> {
        let path = format!("/{index}/_search");
        let body = Some(Bytes::from(body.to_string()));
        self.succeed(Request { method: Method::Post, path: &path, parameters, body }).await
    }

    /// Reads an answer that every shard has its part in.
    pub(super) fn whole<'b>(&self, body: &'b [u8]) -> Result<SearchAnswer<'b>, ElasticError> {
        let answer: SearchAnswer<'_> = self.read(body)?;
        if answer.timed_out || answer.shards.failed > 0 {
            return Err(self.error(Trouble::Busy, "some shards did not answer".to_owned()));
        }
        Ok(answer)
    }
}

/// An answer to `_search`.
#[derive(Deserialize)]
pub(super) struct SearchAnswer<'a> {
    #[serde(default)]
    pub(super) timed_out: bool,
    #[serde(rename = "_shards", default)]
    pub(super) shards: Shards,
    #[serde(borrow, default)]
    pub(super) hits: Hits<'a>,
    #[serde(default)]
    pub(super) aggregations: Value,
}

/// How many parts of an index did what they were asked for.
#[derive(Deserialize, Default)]
pub(super) struct Shards {
    #[serde(default)]
    pub(super) failed: u64,
}

#[derive(Deserialize, Default)]
pub(super) struct Hits<'a> {
    #[serde(default)]
    pub(super) total: Total,
    #[serde(borrow, default)]
    pub(super) hits: Vec<AnsweredHit<'a>>,
}

#[derive(Deserialize, Default)]
pub(super) struct Total {
    pub(super) value: u64,
}

#[derive(Deserialize)]
pub(super) struct AnsweredHit<'a> {
    #[serde(rename = "_score", default)]
    pub(super) score: Option<f64>,
    #[serde(default)]
    pub(super) sort: Vec<Value>,
    #[serde(rename = "_source", borrow, default)]
    pub(super) source: Option<&'a RawValue>,
    #[serde(rename = "_explanation", borrow, default)]
    pub(super) explanation: Option<&'a RawValue>,
}
