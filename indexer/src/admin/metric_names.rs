//! Every metric of `/metrics`: its name, type, labels and meaning. What isn't listed here is not served.
//!
//! All begin with `studio_search_` and have the label `index`. Counters and histograms are of the one process that is asked,
//! from its start: add them up. Gauges named "of the index" are the same in every process: take the largest.

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricName {
    /// Its name behind `studio_search_`. A counter's samples end in `_total`, a histogram's in `_bucket`, `_sum`, `_count`.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels beside `index`.
    pub labels: &'static [&'static str],
    /// What it says. The exposition adds a full stop.
    pub meaning: &'static str,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// The word for it in the exposition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $meaning:literal;)*) => {
        $(pub(super) const $constant: MetricName =
            MetricName { name: $name, kind: Kind::$kind, labels: &[$($label),*], meaning: $meaning };)*

        /// All of them.
        pub const ALL: &[MetricName] = &[$($constant),*];
    };
}

metrics! {
    EVENTS = Counter "events" ["source"]
        "Records read from sources";
    SKIPPED_EVENTS = Counter "skipped_events" ["source", "reason"]
        "Records that asked for nothing, by why: filter (`where` is false), snapshot (ignored), connector (its own record), heartbeat (sent through the source to see it arrive), no_id (it names nobody), dead_letter (not understood)";
    LOOKUPS = Counter "lookups" ["found_in"]
        "Questions for the documents of related entities, a page each, by who was asked: index, graph";
    LOOKUP_FAN_OUT = Histogram "lookup_fan_out" []
        "Documents found by the lookups of one batch of related entities' events";
    FETCH_REQUESTS = Counter "fetch_requests" ["outcome"]
        "Requests to the gateway for documents, by how they ended: answered, unavailable, busy (429), refused, rejected, unauthorized, too_large, not_graphql";
    FETCH_SECONDS = Histogram "fetch_duration_seconds" []
        "Seconds from a request for documents to its answer or failure";
    CONCURRENCY_LIMIT = Gauge "concurrency_limit" []
        "Requests for documents that the process lets be in flight now, at most `graph.max_concurrency`; 0 while it rebuilds nothing";
    DOCUMENTS = Counter "documents" ["result"]
        "Documents by what became of them: written, unchanged (the index held it already), superseded (something newer was there), gone (a tombstone was written), held (failed for now), rejected (the store refuses it; held, too)";
    VERSION_CHECKS = Counter "version_checks" ["result"]
        "Fetched documents of sources with `version`, by how they compared with their events: fresh, behind (older, so fetched again), given_up (older after the last try: written and held)";
    VERIFICATIONS = Counter "verifications" ["result"]
        "Documents that were fetched once more after an event without a version, by what was found: same, differed (it had been old)";
    AUDITED_DOCUMENTS = Counter "audited_documents" ["result"]
        "Documents that scheduled audits compared, by what they say: equal, missing (in the index), stale, ghost (gone from the graph), unanswered (failed or held), unsettled (they change all the time, or wait in the log)";
    SAVED_MATCHES = Counter "saved_matches" ["result"]
        "Documents that began to match saved searches, by what became of that: begun (all of them), posted (to the webhook), over (they matched no more before they were posted), dropped (too many waited)";
    SAVED_MATCHES_WAITING = Gauge "saved_matches_waiting" []
        "Matches of saved searches that wait to be posted to the webhook";
    FRESHNESS = Histogram "freshness_seconds" []
        "Seconds from an event to its document being searchable";
    LIVE_DOCUMENTS = Gauge "live_documents" []
        "Documents of the index that can be found";
    LAG = Gauge "lag" ["lane"]
        "Entries of the index' reindex log that aren't complete, by lane: live, backfill";
    SOURCE_LAG = Gauge "source_lag" ["source"]
        "What a source holds and isn't routed yet: records of a topic, bytes of a file, events of an inbox; of the index";
    SOURCE_NEWEST = Gauge "source_newest_record_timestamp_seconds" ["source"]
        "When the newest record of a source was read, by processes that run; 0 before the first. Where tables change and this doesn't, their change capture is dead";
    SOURCE_HEARTBEAT = Gauge "source_heartbeat_timestamp_seconds" ["source"]
        "When the newest heartbeat arrived through a source; 0 before the first";
    SOURCE_HEARTBEAT_TOOK = Gauge "source_heartbeat_duration_seconds" ["source"]
        "Seconds that the newest heartbeat of a source was on its way; 0 before the first";
    HELD = Gauge "held" []
        "Documents of the index that failed for now";
    DEAD_LETTERS = Gauge "dead_letters" []
        "Events of the index that could not be understood";
    BACKFILL_ENUMERATED = Gauge "backfill_enumerated" []
        "Ids that the newest backfill of the index found; 0 without one";
    BACKFILL_REBUILT = Gauge "backfill_rebuilt" []
        "Ids of the newest backfill that are rebuilt, superseded or held";
    BACKFILL_RUNNING = Gauge "backfill_running" []
        "1 while the newest backfill of the index is worked on, else 0";
    EPOCH = Gauge "epoch" []
        "The epoch that the process fetches under; 0 before its first";
    RUNNING = Gauge "running" []
        "1 while the index is worked on, 0 while it is paused or failed";
    PROCESSES = Gauge "processes" []
        "Processes that work on the index";
    STALLED_LOOPS = Gauge "stalled_loops" []
        "Loops of the process that stand still, for which /livez fails";
    BUILD_INFO = Gauge "build_info" ["version", "index_version"]
        "Always 1; the labels say which release runs and which index version it serves";
}
