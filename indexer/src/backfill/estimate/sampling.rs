//! A few documents, fetched as a backfill fetches them, and what they tell about all.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plan::{DocumentId, IndexPlan};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    Range, count,
    subgraphs::{Places, SubgraphLoad},
};
use crate::{
    graph::{Graph, GraphError, request::DocumentRequests, response::Answer},
    rebuild::{
        breaker::Pace,
        judge::{Verdict, judge},
    },
};

/// Documents a second that are fetched at most, whatever the plan allows.
const RATE: f64 = 50.0;

/// How long a sample may take by its rate; of a slower backfill fewer documents are fetched.
const LONGEST: f64 = 60.0;

/// What was fetched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sampled {
    /// Ids that were asked for.
    pub documents: usize,
    /// Of those, documents that came.
    pub found: usize,
    /// Of those, ids that the graph has no document for.
    pub gone: usize,
    /// Of those, documents that failed for now.
    pub failed: usize,
    /// Requests that it took.
    pub requests: usize,
    /// Milliseconds of a request, one after the other.
    pub latency_ms: Range,
    /// Bytes of an answer, by document.
    pub bytes: Range,
}

/// The documents of a sample.
pub(super) struct Samples {
    /// Documents of one request.
    pub(super) batch_size: usize,
    /// How many it was to be, where that was too much.
    pub(super) made_smaller_from: Option<usize>,
    /// Ids that were asked for again by themselves.
    pub(super) again: usize,
    /// Documents that failed for now.
    pub(super) failed: usize,
    bodies: Vec<String>,
    gone: usize,
    /// Milliseconds of each request.
    took: Vec<f64>,
    /// Milliseconds of each full one.
    took_full: Vec<f64>,
}

impl Samples {
    /// Fetches these documents, one request after another, at most as fast as the backfill would.
    pub(super) async fn fetch(
        plan: &Arc<IndexPlan>,
        graph: &dyn Graph,
        mut ids: Vec<DocumentId>,
        rate: Option<f64>,
    ) -> Result<Self, GraphError> {
        let requests = DocumentRequests::new(Arc::clone(plan));
        let mut samples = Self {
            batch_size: requests.max_batch(),
            made_smaller_from: None,
            again: 0,
            failed: 0,
            bodies: Vec::new(),
            gone: 0,
            took: Vec::new(),
            took_full: Vec::new(),
        };
        let rate = rate.unwrap_or(RATE).min(RATE);
        ids.truncate(most(rate, samples.batch_size));
        let mut pace = Pace::new(Some(rate), Instant::now());
        // What is to be asked, the next last; a document alone is asked for the second time.
        let mut left: Vec<(Vec<DocumentId>, bool)> = chunks(&ids, samples.batch_size);
        while let Some((batch, is_again)) = left.pop() {
            while pace.allowance(batch.len(), Instant::now()) == 0 {
                sleep(pace.wait(batch.len()).unwrap_or_default().max(Duration::from_millis(1))).await;
            }
            pace.spend(batch.len());
            let began = Instant::now();
            let answer = graph.send(&requests.documents(&batch)).await;
            let took = began.elapsed().as_secs_f64() * 1_000.0;
            let verdicts = match answer
                .and_then(|body| Answer::parse(&body).map(|answer| judge(plan, &batch, &answer)))
            {
                Ok(verdicts) => verdicts,
                Err(GraphError::TooLarge(_)) if batch.len() > 1 => {
                    samples.halve(&mut left, batch);
                    continue;
                }
                Err(error) if error.is_of_documents() && batch.len() > 1 => {
                    vec![Verdict::Again { alone: true }; batch.len()]
                }
                Err(error) if error.is_of_documents() => {
                    samples.failed += batch.len();
                    continue;
                }
                Err(error) => return Err(error),
            };
            samples.took.push(took);
            if batch.len() == samples.batch_size {
                samples.took_full.push(took);
            }
            for (id, verdict) in batch.into_iter().zip(verdicts) {
                match verdict {
                    Verdict::Found { body, .. } => samples.bodies.push(body),
                    Verdict::Gone | Verdict::Ignored => samples.gone += 1,
                    Verdict::Again { .. } if !is_again => {
                        samples.again += 1;
                        left.push((vec![id], true));
                    }
                    Verdict::Held(_) | Verdict::Behind | Verdict::Again { .. } => samples.failed += 1,
                }
            }
        }
        Ok(samples)
    }

    /// Goes on with batches of half the size, as a backfill does.
    fn halve(&mut self, left: &mut Vec<(Vec<DocumentId>, bool)>, batch: Vec<DocumentId>) {
        self.made_smaller_from.get_or_insert(self.batch_size);
        self.batch_size = (batch.len() / 2).max(1);
        let waiting: Vec<DocumentId> = left.drain(..).flat_map(|(ids, _)| ids).chain(batch).collect();
        *left = chunks(&waiting, self.batch_size);
    }

    /// Ids that were asked for.
    pub(super) fn documents(&self) -> usize {
        self.found() + self.gone + self.failed
    }

    /// Documents that came.
    pub(super) fn found(&self) -> usize {
        self.bodies.len()
    }

    /// The share of all ids that so many of the sample stand for.
    pub(super) fn share(&self, of: usize, population: f64) -> Range {
        Range::share(of.min(self.documents()), self.documents(), population)
    }

    /// Bytes that an id leads to, none for one without a document.
    pub(super) fn bytes(&self, population: f64) -> Range {
        let none = std::iter::repeat_n(0.0, self.documents() - self.found());
        let lengths: Vec<f64> = self.bodies.iter().map(|body| count(body.len())).chain(none).collect();
        Range::mean(&lengths, population)
    }

    /// Bytes of a document that came.
    pub(super) fn stored_bytes(&self, population: f64) -> Range {
        let lengths: Vec<f64> = self.bodies.iter().map(|body| count(body.len())).collect();
        Range::mean(&lengths, population)
    }

    /// Bytes of the largest document.
    pub(super) fn largest(&self) -> f64 {
        self.bodies.iter().map(|body| count(body.len())).fold(0.0, f64::max)
    }

    /// Milliseconds of a request, by the full ones where there are any.
    pub(super) fn latency(&self, population: f64) -> Range {
        let full = if self.took_full.is_empty() { &self.took } else { &self.took_full };
        // A gateway is not the same tomorrow: the time of a request is never known for sure.
        Range::mean(full, population.max(count(full.len()) + 1.0))
    }

    /// Milliseconds of the slowest request.
    pub(super) fn slowest_ms(&self) -> f64 {
        self.took.iter().copied().fold(0.0, f64::max)
    }

    /// What is asked of each subgraph.
    pub(super) fn loads(&self, places: &Places<'_>, requests: Range, population: f64) -> Vec<SubgraphLoad> {
        let calls = places.calls(requests, self.batch_size);
        let weighed: Vec<BTreeMap<&str, f64>> = self.bodies.iter().map(|body| places.bytes(body)).collect();
        let nothing = self.documents() - self.found();
        let load = |(name, calls): (&str, Range)| {
            let own = weighed.iter().map(|bytes| bytes.get(name).copied().unwrap_or_default());
            let own: Vec<f64> = own.chain(std::iter::repeat_n(0.0, nothing)).collect();
            let bytes = Range::mean(&own, population).times(population).whole();
            SubgraphLoad { name: name.to_owned(), calls: calls.whole(), bytes }
        };
        calls.into_iter().map(load).collect()
    }

    /// What people are shown.
    pub(super) fn summary(&self, requests: f64) -> Sampled {
        Sampled {
            documents: self.documents(),
            found: self.found(),
            gone: self.gone,
            failed: self.failed,
            requests: self.took.len(),
            latency_ms: self.latency(requests),
            bytes: self.stored_bytes(f64::INFINITY),
        }
    }
}

/// Documents that can be fetched at a rate before it takes too long; a batch at least.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates, and a rate is positive"
)]
fn most(rate: f64, batch: usize) -> usize {
    ((rate * LONGEST) as usize).max(batch)
}

/// Ids in batches, the first last.
fn chunks(ids: &[DocumentId], size: usize) -> Vec<(Vec<DocumentId>, bool)> {
    ids.chunks(size).rev().map(|ids| (ids.to_vec(), false)).collect()
}
