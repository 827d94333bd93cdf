//! What one process counts for `/metrics`. The names are in [`crate::admin::metric_names`].

use std::{fmt, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};

use crate::{graph::GraphError, ledger::FoundIn};

/// Counters of a process since it started. Every label has few values: sources are the plan's, words are of one list.
pub struct Metrics {
    /// Records read.
    pub(crate) events: Family<OfSource, Counter>,
    /// Records that asked for nothing.
    pub(crate) skipped: Family<SkippedLabels, Counter>,
    /// Questions for the roots of related entities, a page each.
    pub(crate) lookups: Family<Place, Counter>,
    /// Documents that the lookups of one batch of events found.
    pub(crate) lookup_fan_out: Histogram,
    /// Requests for documents.
    pub(crate) fetch_requests: Family<Outcome, Counter>,
    /// Seconds until they were answered, or failed.
    pub(crate) fetch_seconds: Histogram,
    /// What became of documents.
    pub(crate) documents: Family<DocumentResult, Counter>,
    /// How documents compared with the versions of their events.
    pub(crate) version_checks: Family<DocumentResult, Counter>,
    /// What verifications of documents found.
    pub(crate) verifications: Family<DocumentResult, Counter>,
    /// What audits say of documents.
    pub(crate) audited: Family<DocumentResult, Counter>,
    /// What became of matches of saved searches.
    pub(crate) saved_matches: Family<DocumentResult, Counter>,
    /// Seconds from an event to its document being searchable.
    pub(crate) freshness: Histogram,
    /// Requests that may be in flight.
    pub(crate) limit: Gauge,
    /// The epoch that this process fetches under.
    pub(crate) epoch: Gauge,
}

/// A source of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfSource {
    pub source: String,
}

/// A source and why a record of it was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SkippedLabels {
    pub source: String,
    pub reason: &'static str,
}

/// Where roots are looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Place {
    pub found_in: &'static str,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    pub outcome: &'static str,
}

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DocumentResult {
    pub result: &'static str,
}

/// Why a record asked for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// The source's `where` is false for it.
    Filter,
    /// It is a snapshot's, and the source ignores those.
    Snapshot,
    /// It is the connector's own: a heartbeat, the border of a transaction.
    Connector,
    /// It is a heartbeat that was sent through the source.
    Heartbeat,
    /// It names nobody: a row that belongs to nothing, or a tombstone where ids are read from rows.
    NoId,
    /// It could not be understood, and is a dead letter.
    DeadLetter,
}

impl Skip {
    pub(crate) const ALL: [Self; 6] =
        [Self::Filter, Self::Snapshot, Self::Connector, Self::Heartbeat, Self::NoId, Self::DeadLetter];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Snapshot => "snapshot",
            Self::Connector => "connector",
            Self::Heartbeat => "heartbeat",
            Self::NoId => "no_id",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// How requests end.
pub(crate) const OUTCOMES: [&str; 8] =
    ["answered", "unavailable", "busy", "refused", "rejected", "unauthorized", "too_large", "not_graphql"];

/// What becomes of documents.
pub(crate) const RESULTS: [&str; 6] = ["written", "unchanged", "superseded", "gone", "held", "rejected"];

/// How documents compare with the versions of their events.
pub(crate) const VERSION_CHECKS: [&str; 3] = ["fresh", "behind", "given_up"];

/// What verifications of documents find.
pub(crate) const VERIFICATIONS: [&str; 2] = ["same", "differed"];
/// What audits say of documents.
pub(crate) const AUDITED: [&str; 6] = ["equal", "missing", "stale", "ghost", "unanswered", "unsettled"];

/// What becomes of matches of saved searches.
pub(crate) const SAVED_MATCHES: [&str; 4] = ["begun", "posted", "over", "dropped"];

impl Default for Metrics {
    fn default() -> Self {
        Self {
            events: Family::default(),
            skipped: Family::default(),
            lookups: Family::default(),
            // To 262,144: beyond `max_fanout` the lane is throttled anyway.
            lookup_fan_out: Histogram::new([0.0].into_iter().chain(exponential_buckets(1.0, 4.0, 10))),
            fetch_requests: Family::default(),
            // 5 ms to 82 s.
            fetch_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 15)),
            documents: Family::default(),
            version_checks: Family::default(),
            verifications: Family::default(),
            audited: Family::default(),
            saved_matches: Family::default(),
            // 50 ms to 27 minutes.
            freshness: Histogram::new(exponential_buckets(0.05, 2.0, 16)),
            limit: Gauge::default(),
            epoch: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Makes every counter that these sources can have begin at zero, so that a rate shows its first increase.
    pub(crate) fn begin_at_zero<'s>(&self, sources: impl Iterator<Item = &'s str>) {
        for source in sources {
            drop(self.events.get_or_create(&OfSource { source: source.to_owned() }));
            for skip in Skip::ALL {
                self.skipped(source, skip, 0);
            }
        }
        for found_in in [FoundIn::Index, FoundIn::Graph] {
            drop(self.lookups.get_or_create(&Place { found_in: found_in.name() }));
        }
        for outcome in OUTCOMES {
            drop(self.fetch_requests.get_or_create(&Outcome { outcome }));
        }
        for result in RESULTS {
            self.documents(result, 0);
        }
        for result in VERIFICATIONS {
            drop(self.verifications.get_or_create(&DocumentResult { result }));
        }
        for result in VERSION_CHECKS {
            drop(self.version_checks.get_or_create(&DocumentResult { result }));
        }
        for result in SAVED_MATCHES {
            self.saved_matches(result, 0);
        }
        for result in AUDITED {
            self.audited(result, 0);
        }
    }

    pub(crate) fn events(&self, source: &str, count: usize) {
        self.events.get_or_create(&OfSource { source: source.to_owned() }).inc_by(count as u64);
    }

    pub(crate) fn skipped(&self, source: &str, skip: Skip, count: u64) {
        let labels = SkippedLabels { source: source.to_owned(), reason: skip.name() };
        self.skipped.get_or_create(&labels).inc_by(count);
    }

    pub(crate) fn fetched<T>(&self, answer: &Result<T, GraphError>, took: Duration) {
        let outcome = answer.as_ref().map_or_else(outcome, |_| "answered");
        self.fetch_requests.get_or_create(&Outcome { outcome }).inc();
        self.fetch_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn documents(&self, result: &'static str, count: usize) {
        self.documents.get_or_create(&DocumentResult { result }).inc_by(count as u64);
    }

    /// Notes how a document compared with the versions of its events.
    pub(crate) fn version_check(&self, result: &'static str) {
        self.version_checks.get_or_create(&DocumentResult { result }).inc();
    }

    /// Notes what a verification found.
    pub(crate) fn verified(&self, result: &'static str) {
        self.verifications.get_or_create(&DocumentResult { result }).inc();
    }

    /// Notes what an audit says of documents.
    pub(crate) fn audited(&self, result: &'static str, count: usize) {
        self.audited.get_or_create(&DocumentResult { result }).inc_by(count as u64);
    }

    /// Notes what became of matches of saved searches.
    pub(crate) fn saved_matches(&self, result: &'static str, count: usize) {
        self.saved_matches.get_or_create(&DocumentResult { result }).inc_by(count as u64);
    }

    /// Notes a question for the roots of related entities.
    pub(crate) fn asked_for_roots(&self, found_in: FoundIn) {
        self.lookups.get_or_create(&Place { found_in: found_in.name() }).inc();
    }

    /// How many pages of roots were asked for there.
    #[cfg(test)]
    pub(crate) fn pages_asked(&self, found_in: FoundIn) -> u64 {
        self.lookups.get_or_create(&Place { found_in: found_in.name() }).get()
    }

    /// Notes how many documents the lookups of a batch of events found.
    pub(crate) fn looked_up(&self, documents: usize) {
        self.lookup_fan_out.observe(u32::try_from(documents).unwrap_or(u32::MAX).into());
    }

    /// Notes how long an event took to be searchable, in milliseconds.
    pub(crate) fn searchable_after(&self, milliseconds: i64) {
        let milliseconds = u64::try_from(milliseconds).unwrap_or(0);
        self.freshness.observe(Duration::from_millis(milliseconds).as_secs_f64());
    }
}

fn outcome(error: &GraphError) -> &'static str {
    match error {
        GraphError::Unavailable { .. } => "unavailable",
        GraphError::Busy { .. } => "busy",
        GraphError::Refused(_) => "refused",
        GraphError::Rejected(_) => "rejected",
        GraphError::Unauthorized(_) => "unauthorized",
        GraphError::TooLarge(_) => "too_large",
        GraphError::NotGraphql(_) => "not_graphql",
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
