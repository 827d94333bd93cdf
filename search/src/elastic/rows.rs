//! Rows: small documents beside an index, each written on a condition, so that processes can agree by them.
//!
//! An index of rows is named by an alias. A server makes an index that is written to and missing, with a mapping that it
//! guesses; it never makes one for a name that must be an alias.

use std::collections::BTreeMap;

use elasticsearch::http::Method;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

use super::{
    Client, ElasticError,
    answer::{Shards, WHOLE},
    client::{Cause, Request, Trouble},
    got::{Found, Stamp},
    read::without_nulls,
};

/// A bulk is sent when it has so many bytes. Rows are small, and proxies often take no more than a megabyte.
const BULK_BYTES: usize = 512 << 10;

/// Rows of one page, of one bulk, and of one question for many.
const ROWS: usize = 1_000;

/// The rows behind an alias. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rows {
    client: Client,
    alias: String,
}

/// The condition of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// None.
    Always,
    /// There is no such row.
    Missing,
    /// Nobody wrote the row since it was read.
    Unchanged(Stamp),
    /// This version of the row is greater than the one that is there.
    Newer(i64),
    /// This version of the row is at least the one that is there.
    NotOlder(i64),
}

/// A row to be written, or to be deleted where it has no content.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Its id, at most 512 bytes.
    pub id: String,
    /// What it will say; `None`: it is deleted.
    pub content: Option<Value>,
    /// Written only so.
    pub when: When,
}

/// Which rows are wanted.
#[derive(Debug, Clone)]
pub struct Page {
    /// The condition, in the words of the query language of both engines.
    pub query: Value,
    /// The fields to sort by, ascending; together they are different for every row.
    pub sort: Vec<&'static str>,
    /// Only what comes after a row with these values of the fields.
    pub after: Vec<Value>,
    /// At most so many.
    pub limit: usize,
}

impl Write {
    /// Writes a row.
    pub fn put(id: impl Into<String>, content: &impl Serialize, when: When) -> Self {
        let content = serde_json::to_value(content).expect("rows have string keys only");
        Self { id: id.into(), content: Some(content), when }
    }

    /// Deletes a row. One that isn't there is deleted already.
    pub fn delete(id: impl Into<String>, when: When) -> Self {
        Self { id: id.into(), content: None, when }
    }

    /// Adds it to a body in the words of the bulk API.
    fn add_to(&self, bulk: &mut Vec<u8>) {
        let mut about = json!({ "_id": self.id });
        let action = match (&self.content, self.when) {
            (None, _) => "delete",
            (Some(_), When::Missing) => "create",
            (Some(_), _) => "index",
        };
        match self.when {
            When::Always | When::Missing => {}
            When::Unchanged(Stamp { sequence, term }) => {
                about["if_seq_no"] = sequence.into();
                about["if_primary_term"] = term.into();
            }
            When::Newer(version) => {
                about["version"] = version.into();
                about["version_type"] = "external".into();
            }
            When::NotOlder(version) => {
                about["version"] = version.into();
                about["version_type"] = "external_gte".into();
            }
        }
        let lines = [Some(&json!({ action: about })), self.content.as_ref()];
        for line in lines.into_iter().flatten() {
            serde_json::to_writer(&mut *bulk, line).expect("text is written to memory");
            bulk.push(b'\n');
        }
    }
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    items: Vec<BTreeMap<String, WrittenRow>>,
}

#[derive(Deserialize)]
struct WrittenRow {
    status: u16,
    error: Option<Cause>,
}

impl Rows {
    /// The rows behind this alias; touches nothing.
    pub fn new(client: Client, alias: impl Into<String>) -> Self {
        Self { client, alias: alias.into() }
    }

    /// The server's scheme, host and port.
    pub fn server_name(&self) -> &str {
        self.client.server_name()
    }

    /// The alias.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// Reads a row as the last write left it, with what a [`When::Unchanged`] is to say.
    pub async fn get<T: DeserializeOwned>(&self, id: &str) -> Result<Option<(T, Stamp)>, ElasticError> {
        let read = |found: Found<'_>| Ok((self.client.read(found.source.get().as_bytes())?, found.stamp));
        self.client.get(&self.alias, id, read).await
    }

    /// Reads the rows of these ids that are there, as the last writes left them, each with its id.
    pub async fn get_many<T: DeserializeOwned>(
        &self,
        ids: &[String],
    ) -> Result<Vec<(String, T)>, ElasticError> {
        let read = |found: Found<'_>| Ok((found.id, self.client.read(found.source.get().as_bytes())?));
        let mut rows = Vec::new();
        for ids in ids.chunks(ROWS) {
            rows.extend(self.client.get_many(&self.alias, ids, read).await?);
        }
        Ok(rows)
    }

    /// Writes a row; says whether its condition was met.
    pub async fn write(&self, write: Write) -> Result<bool, ElasticError> {
        Ok(self.write_all(&[write]).await?.pop().unwrap_or(false))
    }

    /// Writes rows in order; says of each whether its condition was met. After an error, some may be written.
    pub async fn write_all(&self, writes: &[Write]) -> Result<Vec<bool>, ElasticError> {
        let mut met = Vec::with_capacity(writes.len());
        let mut bulk = Vec::new();
        let mut waiting = 0;
        for write in writes {
            write.add_to(&mut bulk);
            waiting += 1;
            if bulk.len() >= BULK_BYTES || waiting == ROWS {
                met.extend(self.send(std::mem::take(&mut bulk), waiting).await?);
                waiting = 0;
            }
        }
        if waiting > 0 {
            met.extend(self.send(bulk, waiting).await?);
        }
        Ok(met)
    }

    async fn send(&self, bulk: Vec<u8>, rows: usize) -> Result<Vec<bool>, ElasticError> {
        let path = format!("/{}/_bulk", self.alias);
        let parameters = [("require_alias", "true")];
        let request =
            Request { method: Method::Post, path: &path, parameters: &parameters, body: Some(bulk.into()) };
        let body = self.client.succeed(request).await?;
        let written: Written = self.client.read(&body)?;
        let items: Vec<WrittenRow> = written.items.into_iter().flat_map(BTreeMap::into_values).collect();
        if items.len() != rows {
            let reason = format!("it told of {} rows out of {rows}", items.len());
            return Err(self.client.error(Trouble::Unreadable, reason));
        }
        let met = |item: WrittenRow| match (item.status, item.error) {
            (409, _) => Ok(false),
            // Nothing was there to be deleted.
            (200..=299 | 404, None) => Ok(true),
            (status, Some(cause)) => Err(self.client.refused(status, &cause)),
            (status, None) => Err(self.client.error(Trouble::of(status, None), status.to_string())),
        };
        items.into_iter().map(met).collect()
    }

    /// Rows in order. Sees every write that was acknowledged before the call.
    pub async fn find<T: DeserializeOwned>(&self, page: Page) -> Result<Vec<T>, ElasticError> {
        self.client.refresh(&self.alias).await?;
        let mut rows = Vec::new();
        let mut after = page.after;
        loop {
            let wanted = (page.limit - rows.len()).min(ROWS);
            if wanted == 0 {
                return Ok(rows);
            }
            let sort: Vec<Value> = page.sort.iter().map(|field| json!({ *field: "asc" })).collect();
            let search_after = Some(&after).filter(|after| !after.is_empty());
            let body = without_nulls(json!({
                "query": page.query, "size": wanted, "sort": sort, "track_total_hits": false,
                "search_after": search_after,
            }));
            let body = self.client.search(&self.alias, &body, &[WHOLE]).await?;
            let answer = self.client.whole(&body)?;
            let is_last = answer.hits.hits.len() < wanted;
            for hit in answer.hits.hits {
                rows.push(self.client.read(hit.source.unwrap_or(RawValue::NULL).get().as_bytes())?);
                after = hit.sort;
            }
            if is_last {
                return Ok(rows);
            }
        }
    }

    /// How many rows there are. Sees every write that was acknowledged before the call.
    pub async fn count(&self, query: &Value) -> Result<u64, ElasticError> {
        #[derive(Deserialize)]
        struct Counted {
            count: u64,
            #[serde(rename = "_shards", default)]
            shards: Shards,
        }
        self.client.refresh(&self.alias).await?;
        let path = format!("/{}/_count", self.alias);
        let counted: Counted =
            self.client.ask(Method::Post, &path, &[], Some(&json!({ "query": query }))).await?;
        match counted.shards.failed {
            0 => Ok(counted.count),
            _ => Err(self.client.error(Trouble::Busy, "some shards did not answer".to_owned())),
        }
    }

    /// Deletes what searches see of these rows, and nobody writes meanwhile.
    pub async fn delete_found(&self, query: &Value) -> Result<(), ElasticError> {
        let path = format!("/{}/_delete_by_query", self.alias);
        let parameters = [("conflicts", "proceed")];
        let body = json!({ "query": query });
        self.client.ask::<Value>(Method::Post, &path, &parameters, Some(&body)).await.map(drop)
    }

    /// The error of a row that others write all the time.
    pub fn contended(&self, id: &str) -> ElasticError {
        self.client.error(Trouble::Busy, format!("others change {id} of {} all the time", self.alias))
    }
}
