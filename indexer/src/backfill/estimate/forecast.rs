//! What the backfill behind a new index version will come to, in a line: told by `plan`, within seconds, and before anything is
//! provisioned. Ids are counted where that takes a few requests, and one request for documents says how long one takes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use plan::{
    DocumentId, IndexPlan,
    index_plan::{IdQuery, IdSource, IdTopic},
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Counted, EstimateError, Range, count, float, opening_windows, sampling::Samples, schedule::Work,
};
#[cfg(feature = "kafka")]
use crate::kafka::Topics;
use crate::{
    Index,
    backfill::enumerate::{Failure, file_page},
    endpoints::KafkaEndpoint,
    graph::{
        Graph,
        ids::{IdPages, count_ids},
        request::DocumentRequests,
    },
    now_ms,
};

/// How long it may take. Somebody waits for the rest of the plan.
const WITHIN: Duration = Duration::from_secs(5);

/// Pages of a query that are asked for at most, where the graph doesn't tell how many ids there are.
const PAGES: u64 = 10;

/// What a backfill will come to, as far as seconds can tell.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Forecast {
    /// Ids, and so documents at most.
    pub documents: u64,
    /// How they were counted.
    pub counted: Counted,
    /// Requests to the gateway, for pages of ids and for documents.
    pub requests: f64,
    /// Seconds of work, without what lies between windows; nothing where neither a rate nor a request tells.
    pub seconds: Option<f64>,
    /// When it may begin, milliseconds of Unix time: now, or when the next window opens; nothing where there are no windows.
    pub next_window: Option<i64>,
}

/// Where a backfill finds its ids, while there may be no index yet.
pub struct Ahead<'a> {
    /// The plan that is to be provisioned.
    pub plan: &'a Arc<IndexPlan>,
    /// The gateway.
    pub graph: &'a dyn Graph,
    /// The file under `backfill.ids.file`.
    pub ids_file: Option<PathBuf>,
    /// The brokers, where there are some.
    pub brokers: Option<&'a KafkaEndpoint>,
    /// The index that is served now, if there is one.
    pub served: Option<&'a Index>,
}

/// Ids as far as they were read.
struct Read {
    count: u64,
    counted: Counted,
    /// Requests for all of their pages.
    pages: f64,
    /// As many as share a request.
    first: Vec<DocumentId>,
}

impl Read {
    fn exactly(count: u64, first: Vec<DocumentId>) -> Self {
        Self { count, counted: Counted::Exactly, pages: 0.0, first }
    }
}

impl Ahead<'_> {
    /// Foretells the backfill.
    ///
    /// Errors: the ids can't be enumerated, the gateway doesn't answer, it takes longer than five seconds, or no window opens.
    pub async fn forecast(&self) -> Result<Forecast, EstimateError> {
        timeout(WITHIN, self.told()).await.unwrap_or(Err(EstimateError::Long(WITHIN)))
    }

    async fn told(&self) -> Result<Forecast, EstimateError> {
        let backfill = &self.plan.backfill;
        let windows = opening_windows(self.plan)?;
        let requests = DocumentRequests::new(Arc::clone(self.plan));
        let read = self.read(requests.max_batch()).await?;
        let (mut batch, mut latency_ms) = (requests.max_batch(), Range::exact(0.0));
        let is_known = read.count == 0 || !read.first.is_empty() || backfill.rate_per_second.is_some();
        if !read.first.is_empty() {
            let samples = Samples::fetch(self.plan, self.graph, read.first, None).await?;
            (batch, latency_ms) = (samples.batch_size, samples.latency(float(read.count)));
        }
        let documents = float(read.count);
        let all = (documents / count(batch)).ceil() + read.pages;
        let work = Work {
            documents,
            rate: backfill.rate_per_second,
            requests: Range::exact(all),
            latency_ms,
            max_concurrency: self.plan.graph.max_concurrency,
        };
        let schedule = work.schedule(&windows, now_ms())?;
        Ok(Forecast {
            documents: read.count,
            counted: read.counted,
            requests: all,
            seconds: is_known.then(|| (schedule.work_ms.likely / 100.0).round() / 10.0),
            next_window: (!windows.is_always()).then_some(schedule.starts_at),
        })
    }

    /// Counts ids, and reads the first of them.
    async fn read(&self, batch: usize) -> Result<Read, EstimateError> {
        match &self.plan.backfill.ids {
            None => Err(EstimateError::Nowhere),
            Some(IdSource::Topic(topic)) => self.read_topic(topic).await,
            Some(IdSource::File) => self.read_file(batch).await,
            Some(IdSource::Query(query)) => self.ask(query, batch).await,
            Some(IdSource::Index) => {
                let Some(served) = self.served else { return Ok(Read::exactly(0, Vec::new())) };
                let first = served.store.ids(None, batch).await?;
                Ok(Read::exactly(served.store.live_documents().await?, first))
            }
        }
    }

    /// The offsets of a topic tell how many records there are. Reading some would take longer than it is worth.
    #[cfg(feature = "kafka")]
    async fn read_topic(&self, topic: &IdTopic) -> Result<Read, EstimateError> {
        let Some(brokers) = self.brokers else { return Err(EstimateError::Nowhere) };
        let records = crate::backfill::topic::records(&Topics::new(brokers), topic).await?;
        Ok(Read { counted: Counted::AtMost, ..Read::exactly(records, Vec::new()) })
    }

    #[cfg(not(feature = "kafka"))]
    async fn read_topic(&self, _: &IdTopic) -> Result<Read, EstimateError> {
        Err(EstimateError::Nowhere)
    }

    async fn read_file(&self, batch: usize) -> Result<Read, EstimateError> {
        let Some(path) = &self.ids_file else { return Err(EstimateError::Nowhere) };
        let (mut count, mut first, mut cursor) = (0, Vec::new(), None);
        loop {
            let page = file_page(path.clone(), cursor, self.plan.key.kind).await?;
            count += page.ids.len() as u64;
            let room = batch.saturating_sub(first.len());
            first.extend(page.ids.into_iter().take(room));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Read::exactly(count, first));
            }
        }
    }

    /// The first page and the number that the graph tells; where it tells none, some pages more.
    async fn ask(&self, query: &IdQuery, batch: usize) -> Result<Read, EstimateError> {
        let pages = IdPages { graph: self.graph, query, kind: self.plan.key.kind, not_found_codes: &[] };
        let (mut read, mut first, mut asked) = (0, Vec::new(), 0);
        let mut cursor: Option<Value> = None;
        let of_all =
            |pages: u64, read: u64, all: u64| (float(all) * float(pages) / float(read.max(1))).ceil();
        loop {
            let page = pages.page(None, cursor.as_ref()).await.map_err(Failure::from)?;
            asked += 1;
            let ids = page.ids.into_iter().flatten();
            for id in ids {
                read += 1;
                if first.len() < batch {
                    first.push(id);
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(Read { pages: float(asked), ..Read::exactly(read, first) });
            }
            let told = if asked == 1 { count_ids(self.graph, query).await } else { None };
            if let Some(told) = told.filter(|told| *told > read) {
                return Ok(Read {
                    count: told,
                    counted: Counted::Told,
                    pages: of_all(asked, read, told),
                    first,
                });
            }
            if asked >= PAGES {
                break;
            }
        }
        let indexed = match self.served {
            Some(served) => served.store.live_documents().await?,
            None => 0,
        };
        let (count, counted) =
            if indexed > read { (indexed, Counted::AsIndexed) } else { (read, Counted::AtLeast) };
        Ok(Read { count, counted, pages: of_all(asked, read, count), first })
    }
}
