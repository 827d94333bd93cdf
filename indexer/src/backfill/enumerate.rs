//! One page of ids after another: from a query, a file, or what is indexed already.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use plan::{
    DocumentId, IdKind,
    code::backfill as codes,
    id::MAX_ID_BYTES,
    index_plan::{IdQuery, IdSource, Paging},
};
use serde_json::Value;

use super::Backfills;
use crate::{
    graph::{GraphError, ids::read_page, request::id_request},
    ledger::Backfill,
};

/// Ids of a file or of the index that are appended at once.
const PAGE: usize = 1_000;

/// A page of ids.
pub(super) struct Page {
    /// The ids.
    pub ids: Vec<DocumentId>,
    /// What was no id, with the place where one is known.
    pub refused: Vec<Refused>,
    /// The cursor of the next page; `None` after the last.
    pub next: Option<String>,
}

/// A value that is no id.
pub(super) struct Refused {
    /// Where it stood.
    pub place: String,
    /// What is wrong with it.
    pub reason: String,
    /// The value, where it is known.
    pub value: Vec<u8>,
}

/// Why there is no page.
pub(super) struct Failure {
    /// In words, with the code.
    pub reason: String,
    /// Whether trying again is of no use.
    pub is_final: bool,
}

impl Backfills {
    pub(super) async fn next_page(&self, backfill: &Backfill) -> Result<Page, Failure> {
        let fails = |is_final| {
            move |reason: String| Failure { reason: format!("{}: {reason}", codes::SS602), is_final }
        };
        match (&self.plan.backfill.ids, &self.ids_file) {
            (Some(IdSource::Query(query)), _) => self
                .query_page(query, backfill)
                .await
                .map_err(|error| fails(error.is_systemic())(error.to_string())),
            (Some(IdSource::File), Some(path)) => {
                let (path, cursor, kind) = (path.clone(), backfill.cursor.clone(), self.plan.key.kind);
                let read =
                    tokio::task::spawn_blocking(move || file_page(&path, cursor.as_deref(), kind)).await;
                let page = read.unwrap_or_else(|failure| Err(io::Error::other(failure)));
                page.map_err(|error| fails(true)(format!("the ids file can't be read: {error}")))
            }
            (Some(IdSource::Index), _) => {
                let after = backfill.cursor.clone().and_then(|cursor| DocumentId::new(cursor).ok());
                let ids = self
                    .store
                    .ids(after.as_ref(), PAGE)
                    .await
                    .map_err(|error| fails(false)(error.to_string()))?;
                let next = (ids.len() == PAGE).then(|| ids.last().map(ToString::to_string)).flatten();
                Ok(Page { ids, refused: Vec::new(), next })
            }
            (Some(IdSource::File), None) | (None, _) => {
                Err(Failure { reason: format!("{}: {}", codes::SS601, codes::SS601.title), is_final: true })
            }
        }
    }

    async fn query_page(&self, query: &IdQuery, backfill: &Backfill) -> Result<Page, GraphError> {
        let cursor: Option<Value> =
            backfill.cursor.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let variable = match (&query.paging, cursor.clone()) {
            (Some(Paging::Relay { after: name, .. } | Paging::Offset { offset: name }), Some(value)) => {
                Some((name.clone(), value))
            }
            _ => None,
        };
        let body = self.graph.send(&id_request(query, variable)).await?;
        let page = read_page(query, self.plan.key.kind, &body, backfill.enumerated)?;
        if page.next.is_some() && page.next == cursor {
            return Err(GraphError::Refused(
                "the ids query answered the same cursor twice, it would never end".into(),
            ));
        }
        let place = || format!("after cursor {}", backfill.cursor.as_deref().unwrap_or("null"));
        let (mut ids, mut refused) = (Vec::new(), Vec::new());
        for id in page.ids {
            match id {
                Ok(id) => ids.push(id),
                Err(error) => {
                    refused.push(Refused { place: place(), reason: error.to_string(), value: Vec::new() });
                }
            }
        }
        Ok(Page { ids, refused, next: page.next.map(|value| value.to_string()) })
    }
}

/// Reads ids, one a line, from a byte offset on.
fn file_page(path: &Path, cursor: Option<&str>, kind: IdKind) -> io::Result<Page> {
    let mut at: u64 = cursor.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut reader = BufReader::new(File::open(path)?);
    reader.seek(SeekFrom::Start(at))?;
    let mut page = Page { ids: Vec::new(), refused: Vec::new(), next: None };
    loop {
        let mut line = Vec::new();
        // A longer line is no id; it is read in pieces, each of which is none either.
        let taken = reader.by_ref().take(MAX_ID_BYTES as u64 * 4).read_until(b'\n', &mut line)?;
        if taken == 0 {
            return Ok(page);
        }
        let place = format!("byte {at}");
        at += taken as u64;
        let text = String::from_utf8_lossy(&line);
        match DocumentId::parse(kind, text.trim()) {
            Ok(id) => page.ids.push(id),
            Err(_) if text.trim().is_empty() => {}
            Err(error) => page.refused.push(Refused { place, reason: error.to_string(), value: line }),
        }
        if page.ids.len() + page.refused.len() >= PAGE {
            page.next = Some(at.to_string());
            return Ok(page);
        }
    }
}
