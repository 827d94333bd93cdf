//! Reading documents by their id and by the ids of related entities that they hold.

use bytes::Bytes;
use plan::{DocumentId, DocumentVersion, field::MappingKind};
use serde_json::{Value, json, value::RawValue};

use super::{
    ElasticIndex,
    answer::{AnsweredHit, SearchAnswer, WHOLE},
    client::{ElasticError, Trouble},
    got::Found,
    layout::{DELETED, ID, VERSION, in_nested, is_live, nested_around, value_field},
    source,
};
use crate::{Counts, StoredDocument};

/// Values of one terms query; the default of `index.max_terms_count`, past which both engines refuse.
const KEYS_A_QUERY: usize = 65_536;

/// Hits of one page of ids; the default of `index.max_result_window`.
const IDS_A_PAGE: usize = 10_000;

/// Documents of one page; each may have a megabyte.
const DOCUMENTS_A_PAGE: usize = 200;

impl ElasticIndex {
    /// Makes every write that was acknowledged visible to searches, on every copy of every shard, or says why not.
    pub async fn refresh(&self) -> Result<(), ElasticError> {
        self.client.refresh(&self.name).await
    }

    /// Finds the live documents that hold one of the keys at one of the paths: ids in order, after `after`, at most `limit`.
    ///
    /// Sees every write that was acknowledged before the call. Every keyword, integer and text with its whole value can be
    /// asked; another path is an error.
    pub async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, ElasticError> {
        self.refresh().await?;
        let mut ids = Vec::new();
        for keys in keys.chunks(KEYS_A_QUERY) {
            let holds = paths.iter().map(|path| self.holds(path, keys)).collect::<Result<Vec<_>, _>>()?;
            let query = json!({"bool": {"filter": [is_live(), {"bool": {"should": holds, "minimum_should_match": 1}}]}});
            ids.extend(self.ids_of(&query, after, limit).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(limit);
        Ok(ids)
    }

    /// The condition of documents that hold one of the keys at a path.
    fn holds(&self, path: &str, keys: &[DocumentId]) -> Result<Value, ElasticError> {
        let line = self.plan.fields.ancestry(path).unwrap_or_default();
        let is_indexed = !line.is_empty() && line.iter().all(|field| field.mapping.indexed);
        let field = line.last().filter(|field| is_indexed && field.mapping.has_exact_value());
        let kind = field.map(|field| field.mapping.kind);
        let values: Vec<Value> = match kind {
            Some(MappingKind::Keyword | MappingKind::Text) => {
                keys.iter().map(|key| key.as_str().into()).collect()
            }
            Some(MappingKind::Long) => {
                keys.iter().filter_map(|key| key.as_str().parse::<i64>().ok()).map(Value::from).collect()
            }
            _ => {
                let reason = format!("{path} is no path of a reverse lookup");
                return Err(self.client.error(Trouble::Refused, reason));
            }
        };
        let name = value_field(path, kind.unwrap_or(MappingKind::Keyword));
        Ok(in_nested(nested_around(&self.plan, path).as_deref(), json!({"terms": {name: values}})))
    }

    /// Reads one document or tombstone, also one that no search can see yet.
    pub async fn get(&self, id: &DocumentId) -> Result<Option<StoredDocument>, ElasticError> {
        self.client.get(&self.name, id.as_str(), |found| self.document(found.source)).await
    }

    /// Reads those of these documents and tombstones that are there, also those that no search can see yet.
    pub async fn get_many(&self, ids: &[DocumentId]) -> Result<Vec<StoredDocument>, ElasticError> {
        let mut documents = Vec::new();
        for ids in ids.chunks(DOCUMENTS_A_PAGE) {
            let ids: Vec<&str> = ids.iter().map(DocumentId::as_str).collect();
            let read = |found: Found<'_>| self.document(found.source);
            documents.extend(self.client.get_many(&self.name, &ids, read).await?);
        }
        Ok(documents)
    }

    /// Reads live documents in the order of their ids, after `after`, at most `limit`, as searches see them.
    pub async fn scan(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<StoredDocument>, ElasticError> {
        let mut documents: Vec<StoredDocument> = Vec::new();
        loop {
            let wanted = (limit - documents.len()).min(DOCUMENTS_A_PAGE);
            if wanted == 0 {
                return Ok(documents);
            }
            let after = documents.last().map(|document| &document.id).or(after);
            let page = json!({
                "query": is_live(), "size": wanted, "sort": [{ID: "asc"}], "track_total_hits": false,
                "search_after": after.map(|id| [id.as_str()]),
            });
            let body = self.search(&without_nulls(page), &[WHOLE]).await?;
            let answer: SearchAnswer<'_> = self.client.whole(&body)?;
            let read = answer.hits.hits.iter().map(|hit| self.document(hit.source.unwrap_or(RawValue::NULL)));
            let read = read.collect::<Result<Vec<_>, _>>()?;
            let is_last = read.len() < wanted;
            documents.extend(read);
            if is_last {
                return Ok(documents);
            }
        }
    }

    /// The ids of live documents in their order, after `after`, at most `limit`, as searches see them.
    pub async fn ids(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, ElasticError> {
        self.ids_of(&is_live(), after, limit).await
    }

    async fn ids_of(
        &self,
        query: &Value,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, ElasticError> {
        let mut ids: Vec<DocumentId> = Vec::new();
        loop {
            let wanted = (limit - ids.len()).min(IDS_A_PAGE);
            if wanted == 0 {
                return Ok(ids);
            }
            let page = json!({
                "query": query, "size": wanted, "sort": [{ID: "asc"}], "track_total_hits": false, "_source": false,
                "search_after": ids.last().or(after).map(|id| [id.as_str()]),
            });
            let only = ("filter_path", "timed_out,_shards.failed,hits.hits.sort");
            let body = self.search(&without_nulls(page), &[WHOLE, only]).await?;
            let answer: SearchAnswer<'_> = self.client.whole(&body)?;
            let read =
                answer.hits.hits.iter().map(|hit| self.sorted_id(hit)).collect::<Result<Vec<_>, _>>()?;
            let is_last = read.len() < wanted;
            ids.extend(read);
            if is_last {
                return Ok(ids);
            }
        }
    }

    /// Counts the documents, as searches see them.
    pub async fn counts(&self) -> Result<Counts, ElasticError> {
        let body = json!({
            "size": 0, "track_total_hits": true, "aggs": {"tombstones": {"filter": {"term": {DELETED: true}}}},
        });
        let body = self.search(&body, &[WHOLE]).await?;
        let answer: SearchAnswer<'_> = self.client.whole(&body)?;
        let tombstones = answer.aggregations["tombstones"]["doc_count"].as_u64().unwrap_or(0);
        Ok(Counts { live: answer.hits.total.value.saturating_sub(tombstones), tombstones })
    }

    /// The highest version among the documents, tombstones included, of all that were acknowledged before.
    ///
    /// By sorting: aggregations count in doubles, which lose the last bits of a version.
    pub async fn highest_version(&self) -> Result<Option<DocumentVersion>, ElasticError> {
        self.refresh().await?;
        let body = json!({
            "size": 1, "sort": [{VERSION: "desc"}], "track_total_hits": false, "_source": false,
        });
        let body = self.search(&body, &[WHOLE]).await?;
        let answer: SearchAnswer<'_> = self.client.whole(&body)?;
        let highest = answer.hits.hits.first().and_then(|hit| hit.sort.first()).and_then(Value::as_i64);
        Ok(highest.map(DocumentVersion::from_stored))
    }

    pub(super) async fn search(
        &self,
        body: &Value,
        parameters: &[(&str, &str)],
    ) -> Result<Bytes, ElasticError> {
        self.client.search(&self.name, body, parameters).await
    }

    pub(super) fn document(&self, source: &RawValue) -> Result<StoredDocument, ElasticError> {
        source::read(source).map_err(|reason| self.client.error(Trouble::Unreadable, reason))
    }

    fn sorted_id(&self, hit: &AnsweredHit<'_>) -> Result<DocumentId, ElasticError> {
        let id = hit.sort.last().and_then(Value::as_str).unwrap_or_default();
        DocumentId::new(id).map_err(|error| self.client.error(Trouble::Unreadable, error.to_string()))
    }
}

/// Leaves out what is null: a first page comes after nothing.
pub(super) fn without_nulls(mut body: Value) -> Value {
    if let Some(body) = body.as_object_mut() {
        body.retain(|_, value| !value.is_null());
    }
    body
}

/// An id as one piece of a path.
pub(super) fn percent_encoded(id: &str) -> String {
    use std::fmt::Write;
    id.bytes().fold(String::with_capacity(id.len()), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => text.push(byte.into()),
            // "." and ".." would be steps in a path; a URL can't carry them as a name in another way than this one.
            byte => drop(write!(text, "%{byte:02X}")),
        }
        text
    })
}
