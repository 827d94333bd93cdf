//! One page of ids after another: from a query, a file, a topic, or what is indexed already.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use plan::{
    DocumentId, IdKind,
    code::backfill as codes,
    filter,
    id::MAX_ID_BYTES,
    index_plan::{IdQuery, IdSource},
};
use search::{Cursor, SearchError, SearchRequest, SearchResponse};
use serde_json::Value;

use super::{BackfillError, Backfills};
use crate::{
    StateError,
    graph::ids::{IdPages, PageError},
    ledger::{Backfill, BackfillIds},
    source::{SourceError, line},
};

/// The longest line of an ids file that may still be an id, white space around it included.
const MAX_LINE_BYTES: usize = 4 * MAX_ID_BYTES;

/// Ids of a file or of the index that are appended at once.
const PAGE: usize = 1_000;

/// Documents that a filter finds, of one page: a hit carries its whole document.
const FOUND: usize = 200;

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
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing says where ids come from.
    #[error("{code}: {title}", code = codes::SS601, title = codes::SS601.title)]
    Nowhere,
    /// The file.
    #[error("{code}: the ids file can't be read: {error}", code = codes::SS602)]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The query.
    #[error("{code}: {0}", code = codes::SS602)]
    Query(#[from] PageError),
    /// Its pages have no end.
    #[error("{code}: {title}", code = codes::SS607, title = codes::SS607.title)]
    Circle,
    /// The index.
    #[error(transparent)]
    State(#[from] StateError),
    /// The filter of `--where` fits the plan no more.
    #[error("{code}: the filter is not understood: {0}", code = codes::SS602)]
    Filter(String),
    /// The search for what a filter finds.
    #[error("{code}: {0}", code = codes::SS602)]
    Search(#[from] SearchError),
}

impl Failure {
    /// Whether a person must start another backfill. Everything else may be mended while this one waits.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Nowhere | Self::Filter(_) | Self::Circle => true,
            Self::File { error, .. } => error.kind() == io::ErrorKind::NotFound,
            Self::Query(_) | Self::State(_) | Self::Search(_) => false,
        }
    }

    /// How long the gateway asked to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Query(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether with `--once` it is of no use to wait.
    pub(super) fn is_systemic(&self) -> bool {
        matches!(self, Self::Query(PageError::Unanswered(error)) if error.is_systemic())
    }
}

impl From<Failure> for BackfillError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Query(error) => Self::Graph(error.into()),
            Failure::State(error) => Self::State(error),
            Failure::File { path, error } => Self::File(SourceError::Io {
                name: "backfill.ids".to_owned(),
                path: path.display().to_string(),
                source: error,
            }),
            Failure::Search(error) => Self::State(StateError::Unreachable {
                what: "the index".to_owned(),
                reason: error.to_string(),
            }),
            Failure::Nowhere | Failure::Filter(_) | Failure::Circle => {
                unreachable!("a final failure ends its backfill alone")
            }
        }
    }
}

impl Backfills {
    pub(super) async fn next_page(&self, backfill: &Backfill) -> Result<Page, Failure> {
        if let BackfillIds::Found(filter) = &backfill.ids {
            return self.found_page(filter, backfill.cursor.as_deref()).await;
        }
        match (self.id_source(&backfill.ids), &self.ids_file) {
            (Some(IdSource::Query(query)), _) => Ok(self.query_page(query, backfill).await?),
            (Some(IdSource::File), Some(path)) => {
                file_page(path.clone(), backfill.cursor.clone(), self.plan.key.kind).await
            }
            #[cfg(feature = "kafka")]
            (Some(IdSource::Topic(of)), _) => self.topic_page(of, backfill.cursor.as_deref()).await,
            #[cfg(not(feature = "kafka"))]
            (Some(IdSource::Topic(_)), _) => Err(Failure::Nowhere),
            (Some(IdSource::Index), _) => {
                let after = backfill.cursor.clone().and_then(|cursor| DocumentId::new(cursor).ok());
                let ids = self.store.ids(after.as_ref(), PAGE).await?;
                let next = (ids.len() == PAGE).then(|| ids.last().map(ToString::to_string)).flatten();
                Ok(Page { ids, refused: Vec::new(), next })
            }
            (Some(IdSource::File), None) | (None, _) => Err(Failure::Nowhere),
        }
    }

    /// The next documents that a filter finds, in the order of their ids.
    async fn found_page(&self, filter: &str, cursor: Option<&str>) -> Result<Page, Failure> {
        let response = self.find(filter, cursor, FOUND).await?;
        let ids = response.hits.into_iter().map(|hit| hit.id).collect();
        Ok(Page { ids, refused: Vec::new(), next: response.next.map(|next| next.to_string()) })
    }

    /// How many documents a filter finds.
    pub(super) async fn found_in_all(&self, filter: &str) -> Result<u64, Failure> {
        Ok(self.find(filter, None, 1).await?.total)
    }

    async fn find(
        &self,
        filter: &str,
        cursor: Option<&str>,
        first: usize,
    ) -> Result<SearchResponse, Failure> {
        let checked = filter::checked("<filter>", filter, &self.plan.fields).map_err(|mistakes| {
            let first = mistakes.into_iter().next();
            Failure::Filter(first.map_or_else(|| "it can't be read".to_owned(), |mistake| mistake.message))
        })?;
        let request = SearchRequest {
            filter: Some(checked),
            first,
            after: cursor.map(Cursor::new),
            ..SearchRequest::default()
        };
        Ok(self.searcher.search(request).await?)
    }

    async fn query_page(&self, query: &IdQuery, backfill: &Backfill) -> Result<Page, PageError> {
        let cursor: Option<Value> =
            backfill.cursor.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let pages = IdPages { graph: &*self.graph, query, kind: self.plan.key.kind, not_found_codes: &[] };
        let page = pages.page(None, cursor.as_ref()).await?;
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

/// A page of an ids file, from a byte offset on.
pub(super) async fn file_page(path: PathBuf, cursor: Option<String>, kind: IdKind) -> Result<Page, Failure> {
    let read = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || read_page(&path, cursor.as_deref(), kind)).await
    };
    let page = read.unwrap_or_else(|failure| Err(io::Error::other(failure)));
    page.map_err(|error| Failure::File { path, error })
}

/// Reads ids, one a line, from a byte offset on.
fn read_page(path: &Path, cursor: Option<&str>, kind: IdKind) -> io::Result<Page> {
    let mut at: u64 = cursor.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut reader = BufReader::new(File::open(path)?);
    reader.seek(SeekFrom::Start(at))?;
    let mut page = Page { ids: Vec::new(), refused: Vec::new(), next: None };
    loop {
        let mut line = Vec::new();
        let mut taken = reader.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line)? as u64;
        if taken == 0 {
            return Ok(page);
        }
        if line.len() == MAX_LINE_BYTES && line.last() != Some(&b'\n') {
            // No id, whatever its last piece looks like.
            taken += line::skip(&mut reader)?.0;
        }
        let place = format!("byte {at}");
        at += taken;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_too_long_is_one_refusal_and_not_an_id_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids.txt");
        let long = |length: usize| "x".repeat(length);
        let lines = ["m1", &long(MAX_LINE_BYTES + 2), &long(MAX_LINE_BYTES), "m2", ""].join("\r\n");
        std::fs::write(&path, lines).unwrap();
        let page = read_page(&path, None, IdKind::String).unwrap();
        let ids: Vec<&str> = page.ids.iter().map(DocumentId::as_str).collect();
        assert_eq!((&ids[..], page.refused.len()), (&["m1", "m2"][..], 2));
    }
}
