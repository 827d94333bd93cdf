//! Putting documents: in bulks of bounded size, each under its version, with an outcome for every one of them.

use std::ops::Range;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Deserialize;

use super::{
    ElasticIndex,
    adapt::adapt,
    client::{Answer, Cause, ElasticError, Request, Trouble},
    source,
};
use crate::{DocumentWrite, PutOutcome};

/// A bulk is sent when it has so many bytes. Servers work best with one to five megabytes.
const BULK_BYTES: usize = 4 << 20;

/// Documents of one bulk at most.
const BULK_DOCUMENTS: usize = 2_000;

/// About what stands in a bulk beside a document's body.
const BESIDE_BYTES: usize = 256;

/// Only what outcomes are read from.
const FILTER: [(&str, &str); 1] = [(
    "filter_path",
    "items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason",
)];

/// Documents in the words of the bulk API.
#[derive(Default)]
struct Bulk {
    text: Vec<u8>,
    /// For each document its place among those to be written, and its piece of the text.
    documents: Vec<(usize, Range<usize>)>,
}

#[derive(Deserialize)]
struct BulkAnswer {
    #[serde(default)]
    items: Vec<BulkItem>,
}

#[derive(Deserialize)]
struct BulkItem {
    index: ItemResult,
}

#[derive(Deserialize)]
struct ItemResult {
    status: u16,
    error: Option<Cause>,
}

impl ElasticIndex {
    /// Writes documents and tombstones, each only where its version is greater than the stored one; outcomes in order.
    ///
    /// What went wrong for now is the outcome [`PutOutcome::Again`]. An error is one that stays: credentials, a missing
    /// index, an index that was made for another plan.
    pub async fn write(&self, documents: &[DocumentWrite<'_>]) -> Result<Vec<PutOutcome>, ElasticError> {
        let mut outcomes: Vec<Option<PutOutcome>> = vec![None; documents.len()];
        let bytes = documents.iter().map(|document| document.body.map_or(0, str::len) + BESIDE_BYTES).sum();
        let mut bulk = Bulk::for_bytes(bytes);
        for (at, document) in documents.iter().enumerate() {
            match document.body.map(|body| adapt(self.engine, &self.plan.fields.0, body)).transpose() {
                Ok(adapted) => bulk.add(at, document, adapted.flatten().as_deref()),
                Err(reason) => outcomes[at] = Some(PutOutcome::Rejected(reason)),
            }
            if bulk.text.len() >= BULK_BYTES || bulk.documents.len() == BULK_DOCUMENTS {
                self.send_bulk(std::mem::take(&mut bulk), &mut outcomes).await?;
            }
        }
        self.send_bulk(bulk, &mut outcomes).await?;
        let unknown = || PutOutcome::Again("the server said nothing about it".to_owned());
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(unknown)).collect())
    }

    async fn send_bulk(&self, bulk: Bulk, outcomes: &mut [Option<PutOutcome>]) -> Result<(), ElasticError> {
        let path = format!("/{}/_bulk", self.name);
        let text = Bytes::from(bulk.text);
        // A piece that is too large is halved; the halves go in order.
        let mut pieces = vec![&bulk.documents[..]];
        while let Some(piece) = pieces.pop() {
            let (Some((_, first)), Some((_, last))) = (piece.first(), piece.last()) else { continue };
            let body = Some(text.slice(first.start..last.end));
            let request = Request { method: Method::Post, path: &path, parameters: &FILTER, body };
            let refused = match self.client.send(request).await {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    self.read_outcomes(&answer, piece, outcomes)?;
                    continue;
                }
                Ok(answer) => self.client.refusal(&answer),
                Err(error) => error,
            };
            match refused.trouble {
                Trouble::TooLarge if piece.len() > 1 => {
                    let (front, back) = piece.split_at(piece.len() / 2);
                    pieces.extend([back, front]);
                }
                Trouble::TooLarge => outcomes[piece[0].0] = Some(PutOutcome::Rejected(refused.to_string())),
                Trouble::Unauthorized | Trouble::NoIndex | Trouble::Endpoint => return Err(refused),
                _ => {
                    for (at, _) in piece {
                        outcomes[*at] = Some(PutOutcome::Again(refused.to_string()));
                    }
                }
            }
        }
        Ok(())
    }

    fn read_outcomes(
        &self,
        answer: &Answer,
        piece: &[(usize, Range<usize>)],
        outcomes: &mut [Option<PutOutcome>],
    ) -> Result<(), ElasticError> {
        // What can't be read may still have been written: its fate is unknown.
        let Ok(answer) = self.client.read::<BulkAnswer>(&answer.body) else { return Ok(()) };
        for ((at, _), item) in piece.iter().zip(answer.items) {
            outcomes[*at] = Some(self.outcome(&item.index)?);
        }
        Ok(())
    }

    fn outcome(&self, result: &ItemResult) -> Result<PutOutcome, ElasticError> {
        let kind = result.error.as_ref().map_or("", |cause| cause.kind.as_str());
        let reason = || result.error.as_ref().map_or_else(|| result.status.to_string(), Cause::reason);
        Ok(match (result.status, kind) {
            (200..=299, _) => PutOutcome::Written,
            (409, _) => PutOutcome::Superseded,
            // Every document of this plan would be refused: it isn't the document's fault.
            (_, "strict_dynamic_mapping_exception") => {
                return Err(self.client.error(Trouble::OtherMapping, reason()));
            }
            (_, "index_not_found_exception") => return Err(self.client.error(Trouble::NoIndex, reason())),
            (_, "security_exception") => return Err(self.client.error(Trouble::Unauthorized, reason())),
            (400 | 413, _) => PutOutcome::Rejected(reason()),
            _ => PutOutcome::Again(reason()),
        })
    }
}

impl Bulk {
    /// One that need not be moved while it grows to so many bytes.
    fn for_bytes(bytes: usize) -> Self {
        Self { text: Vec::with_capacity(bytes.min(BULK_BYTES)), documents: Vec::new() }
    }

    fn add(&mut self, at: usize, document: &DocumentWrite<'_>, adapted: Option<&str>) {
        let start = self.text.len();
        self.text.extend_from_slice(br#"{"index":{"_id":"#);
        serde_json::to_writer(&mut self.text, document.id.as_str()).expect("text is written to memory");
        self.text.extend_from_slice(br#","version":"#);
        self.text.extend_from_slice(document.version.to_string().as_bytes());
        self.text.extend_from_slice(b",\"version_type\":\"external\"}}\n");
        source::write(document, adapted, &mut self.text);
        self.text.push(b'\n');
        self.documents.push((at, start..self.text.len()));
    }
}
