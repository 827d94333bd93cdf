//! What a backfill would cost, before it is started: ids are counted, a few documents fetched, and the rest is arithmetic.
//!
//! Nothing is recorded, appended or written. The documents are asked for as a backfill asks for them, one request after another
//! and at a low rate, and what follows from so few is told with the interval that holds in nine of ten cases.

mod counting;
mod forecast;
mod range;
mod sampling;
mod schedule;
mod subgraphs;

use std::time::Duration;

use plan::{
    Code, IndexPlan,
    code::backfill as codes,
    index_plan::StoreKind,
    window::{UnknownZone, Windows},
};
use serde::Serialize;

pub use self::{
    counting::{Counted, IdCount},
    forecast::{Ahead, Forecast},
    range::Range,
    sampling::Sampled,
    schedule::{Brake, Schedule, Taken},
    subgraphs::SubgraphLoad,
};
use self::{range::count, sampling::Samples, schedule::Work, subgraphs::Places};
use super::{Backfills, enumerate::Failure};
use crate::{
    Index, StateError,
    graph::GraphError,
    ledger::BackfillIds,
    log::Lane,
    now_ms,
    rebuild::{BEHIND_BYTES, WINDOW},
};

/// How many requests more than full batches need: the last ids of a page, or of a moment, share a request that isn't full.
const NOT_FULL: f64 = 0.02;

/// About what an entry takes that is read and not complete, in bytes.
const ENTRY_BYTES: f64 = 200.0;

/// What an index takes beside each byte of its documents, where nothing is there to be measured: documents with values, words
/// and nested elements beside them. Movies of 400 bytes with eleven fields take the likely factor on SQLite.
const INDEX_FACTOR: Range = Range { likely: 4.0, low: 1.0, high: 10.0 };

/// As many documents must be there for the space they take to be a measure.
const LEAST_MEASURED: u64 = 500;

/// How far what is there may differ from what comes, as a share.
const MEASURED_SPREAD: f64 = 0.25;

/// Why it is more than a backfill of one query asks.
const BOTH: &str = "every document is asked for by the served query and by the new one, as it is by `run` while both versions live";

/// What is to be estimated.
#[derive(Debug, Clone)]
pub struct Question {
    /// What would be backfilled.
    pub ids: BackfillIds,
    /// Documents to fetch.
    pub sample: usize,
    /// Documents a second at most, instead of the plan's.
    pub rate_per_second: Option<f64>,
    /// Whether it would go on outside of the windows.
    pub now: bool,
}

/// What a backfill would cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The ids, and how they were counted.
    pub ids: IdCount,
    /// The documents that were fetched.
    pub sample: Sampled,
    /// Documents that would be in the index; some ids lead to none.
    pub documents: Range,
    /// Documents that share a request.
    pub batch_size: usize,
    /// Requests for documents.
    pub requests: Range,
    /// Requests for pages of ids.
    pub id_requests: Range,
    /// Bytes of the answers.
    pub bytes: Range,
    /// What is asked of each subgraph; empty where the schema doesn't tell who owns what.
    pub subgraphs: Vec<SubgraphLoad>,
    /// Entries of the backfill lane that go first.
    pub ahead: u64,
    /// Documents a second at most; nothing where only the gateway limits it.
    pub rate_per_second: Option<f64>,
    /// When it would be done.
    pub schedule: Schedule,
    /// Memory of `run` that it takes beside what it takes anyway, at most, in bytes.
    pub memory_bytes: f64,
    /// Bytes of the index, all documents together.
    pub index_bytes: Range,
    /// What the figures don't know, in words.
    pub notes: Vec<String>,
}

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    /// Nothing says where ids come from.
    #[error("the plan names no place to enumerate ids from")]
    Nowhere,
    /// The ids can't be enumerated.
    #[error("{0}")]
    Ids(String),
    /// There is nothing to be backfilled.
    #[error("there are no ids to be backfilled")]
    Nothing,
    /// The gateway.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The index, the log or the ledger.
    #[error(transparent)]
    State(#[from] StateError),
    /// It would take longer than somebody waits.
    #[error("it takes longer than {} s to count the ids", .0.as_secs())]
    Long(Duration),
    /// The windows.
    #[error("no window of `backfill.windows` opens within eight years")]
    NeverOpens,
    /// A window's zone.
    #[error(transparent)]
    Zone(#[from] UnknownZone),
}

impl EstimateError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::Nowhere => codes::SS601,
            Self::Ids(_) | Self::Nothing | Self::Long(_) => codes::SS602,
            Self::Graph(error) => error.code(),
            Self::State(error) => error.code(),
            Self::NeverOpens | Self::Zone(_) => codes::SS608,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Nowhere => {
                Some("give `backfill.ids` in index.yaml and provision, or name documents with --id")
            }
            Self::Ids(_) => Some("look at the file or the query that `backfill.ids` names"),
            Self::Long(_) => Some("`studio-search backfill start --estimate` takes the time that it needs"),
            Self::Nothing => Some("look at what `backfill.ids` names, or at the filter"),
            Self::Graph(GraphError::Unavailable { .. }) => {
                Some("check `graph.url` and that the gateway is up; nothing was started")
            }
            Self::Graph(error) => Some(error.help()),
            Self::State(error) => error.help(),
            Self::NeverOpens => Some("give a window that opens, or start with --now"),
            Self::Zone(_) => Some("name a zone of the IANA's, such as Europe/Madrid"),
        }
    }
}

impl From<Failure> for EstimateError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Nowhere => Self::Nowhere,
            Failure::State(error) => Self::State(error),
            Failure::Query(error) => match error.unanswered() {
                Ok(error) => Self::Graph(error),
                Err(other) => Self::Ids(other.to_string()),
            },
            other => {
                let told = other.to_string();
                // The code is told beside it.
                let code = format!("{}: ", codes::SS602);
                Self::Ids(told.strip_prefix(&code).unwrap_or(&told).to_owned())
            }
        }
    }
}

/// The windows of a plan, one of which opens some day: in others a backfill would wait for ever.
///
/// Errors: none opens within eight years, or a time zone is not known here.
pub fn opening_windows(plan: &IndexPlan) -> Result<Windows, EstimateError> {
    let windows = Windows::new(&plan.backfill.windows)?;
    let now = now_ms();
    if windows.at(now).until.is_none() && !windows.is_open(now) {
        return Err(EstimateError::NeverOpens);
    }
    Ok(windows)
}

/// Estimates a backfill over this index; `backfills` is how one would enumerate its ids, by the plan whose documents it brings.
/// Where that has another query than the served one, every document is asked for by both, at the served plan's pace.
///
/// Errors: the ids can't be enumerated, there are none, the gateway doesn't answer, or no window ever opens.
pub async fn estimate(
    index: &Index,
    backfills: &Backfills,
    question: Question,
) -> Result<Estimate, EstimateError> {
    let (plan, served) = (&backfills.plan, &index.plan);
    let windows = if question.now { Windows::new(&[])? } else { opening_windows(served)? };
    let rate_per_second = question.rate_per_second.or(served.backfill.rate_per_second);
    let (ids, picked) = backfills.count(&question.ids, question.sample).await?;
    if picked.is_empty() {
        return Err(EstimateError::Nothing);
    }
    let is_other_query = plan.fetch.query_hash != served.fetch.query_hash;
    let also = is_other_query.then(|| picked.clone());
    let samples = Samples::fetch(plan, &*backfills.graph, picked, rate_per_second).await?;
    let beside = match also {
        Some(picked) => Some(Samples::fetch(served, &*backfills.graph, picked, rate_per_second).await?),
        None => None,
    };
    let ahead = index.log.lag(Lane::Backfill).await?;
    let measured = if is_other_query { None } else { stored_bytes(index).await? };
    let facts = Facts { ids, samples, beside, rate_per_second, ahead, measured };
    facts.conclude(plan, served, &windows)
}

/// What was found out, before any arithmetic.
struct Facts {
    ids: IdCount,
    samples: Samples,
    /// The same documents by the served query, where that is another one.
    beside: Option<Samples>,
    rate_per_second: Option<f64>,
    ahead: u64,
    /// Bytes that a document takes in the index now.
    measured: Option<f64>,
}

impl Facts {
    fn conclude(
        self,
        plan: &IndexPlan,
        served: &IndexPlan,
        windows: &Windows,
    ) -> Result<Estimate, EstimateError> {
        let Self { ids, samples, beside, rate_per_second, ahead, measured } = self;
        let total = float(ids.count);
        // One batch is asked for by both queries, one after the other in its place at the gateway.
        let batch_size = beside.iter().map(|beside| beside.batch_size).fold(samples.batch_size, usize::min);
        let full = (total / count(batch_size)).ceil();
        let own = Load::of(plan, &samples, total, full);
        let id_requests = ids.pages();
        let mut work = Work {
            documents: total + float(ahead),
            rate: rate_per_second,
            requests: own.requests.plus(id_requests),
            latency_ms: samples.latency(full),
            max_concurrency: served.graph.max_concurrency,
        };
        let (mut all, mut largest) = (own, samples.largest());
        if let Some(beside) = &beside {
            all = all.plus(Load::of(served, beside, total, full));
            work.latency_ms = work.latency_ms.plus(beside.latency(full));
            largest += beside.largest();
        }
        let Load { requests, bytes, subgraphs } = all;
        let documents = samples.share(samples.found(), total).times(total);
        let schedule = work.schedule(windows, now_ms())?;
        let stored = samples.stored_bytes(total);
        let index_bytes = match measured {
            Some(each) => documents.by(Range {
                likely: each,
                low: each * (1.0 - MEASURED_SPREAD),
                high: each * (1.0 + MEASURED_SPREAD),
            }),
            None => documents.by(stored).by(INDEX_FACTOR),
        };
        let in_flight = count(served.graph.max_concurrency * batch_size) * largest;
        let (behind, entries) = (count(BEHIND_BYTES), count(WINDOW));
        let memory_bytes = (in_flight + bytes.high.min(behind) + total.min(entries) * ENTRY_BYTES).ceil();
        let mut notes = notes(plan, &ids, &samples, measured, subgraphs.is_empty());
        if beside.is_some() {
            notes.push(BOTH.to_owned());
        }
        Ok(Estimate {
            documents: documents.whole(),
            requests: requests.whole(),
            id_requests: id_requests.whole(),
            bytes: bytes.whole(),
            index_bytes: index_bytes.whole(),
            sample: samples.summary(full),
            ids,
            batch_size,
            subgraphs,
            ahead,
            rate_per_second,
            schedule,
            memory_bytes,
            notes,
        })
    }
}

/// What is asked of the gateway for documents by one query.
struct Load {
    requests: Range,
    bytes: Range,
    subgraphs: Vec<SubgraphLoad>,
}

impl Load {
    /// Of so many ids in so many full batches.
    fn of(plan: &IndexPlan, samples: &Samples, total: f64, full: f64) -> Self {
        let asked_again = samples.share(samples.again, total).times(total);
        let requests = Range {
            likely: full + asked_again.likely,
            low: full + asked_again.low,
            high: full + (full * NOT_FULL).ceil() + 1.0 + asked_again.high,
        };
        let subgraphs = Places::of(plan).map(|places| samples.loads(&places, requests, total));
        Self { requests, bytes: samples.bytes(total).times(total), subgraphs: subgraphs.unwrap_or_default() }
    }

    fn plus(mut self, other: Self) -> Self {
        for load in other.subgraphs {
            match self.subgraphs.iter_mut().find(|own| own.name == load.name) {
                Some(own) => {
                    own.calls = own.calls.plus(load.calls);
                    own.bytes = own.bytes.plus(load.bytes);
                }
                None => self.subgraphs.push(load),
            }
        }
        self.requests = self.requests.plus(other.requests);
        self.bytes = self.bytes.plus(other.bytes);
        self
    }
}

/// What the figures don't know.
fn notes(
    plan: &IndexPlan,
    ids: &IdCount,
    samples: &Samples,
    measured: Option<f64>,
    owners_unknown: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(ids.note());
    if let (Some(limit), slowest) = (plan.backfill.back_off.p95_latency_ms, samples.slowest_ms())
        && slowest > limit_ms(limit)
    {
        notes.push(format!(
            "a request took {slowest:.0} ms, more than `backfill.back_off_when` allows ({limit} ms): it would wait often, which is not in the time"
        ));
    }
    if samples.failed > 0 {
        notes.push(format!(
            "{} of {} documents failed for now: they would be held, and fetched again",
            samples.failed,
            samples.documents()
        ));
    }
    if let Some(smaller) = samples.made_smaller_from {
        notes.push(format!(
            "{smaller} documents are too much for one request: it was estimated with {}",
            samples.batch_size
        ));
    }
    if owners_unknown {
        notes.push("the schema tells no owners, so that calls to subgraphs can't be told".to_owned());
    }
    if measured.is_none() {
        let store = match plan.store {
            StoreKind::Sqlite => "the index holds too few of these documents to measure what one takes",
            StoreKind::Elasticsearch | StoreKind::OpenSearch => "a server doesn't tell what a document takes",
        };
        let Range { likely, low, high } = INDEX_FACTOR;
        notes.push(format!(
            "{store}: its size is told as {likely} times the documents' ({low} to {high} times)"
        ));
    }
    notes
}

/// What a document takes in the state file now, the rest of the file included; `None` where documents are elsewhere, or few.
async fn stored_bytes(index: &Index) -> Result<Option<f64>, StateError> {
    let (Some(state), StoreKind::Sqlite) = (index.state(), index.plan.store) else { return Ok(None) };
    let documents = index.store.live_documents().await?;
    if documents < LEAST_MEASURED {
        return Ok(None);
    }
    let pragma = "SELECT (SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count),
                         (SELECT page_size FROM pragma_page_size)";
    let (pages, size): (u32, u32) =
        state.read(move |conn| conn.query_row(pragma, (), |row| Ok((row.get(0)?, row.get(1)?)))).await?;
    Ok(Some(f64::from(pages) * f64::from(size) / float(documents)))
}

/// A count as a figure. Past 2^53 it is rounded.
#[expect(clippy::cast_precision_loss, reason = "figures of an estimate")]
fn float(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a request")]
fn limit_ms(limit: u64) -> f64 {
    limit as f64
}

/// Whole milliseconds; what is more than a billion years is as good as for ever.
#[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
fn milliseconds(ms: f64) -> i64 {
    ms.ceil() as i64
}
