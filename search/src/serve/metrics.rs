//! What `serve` counts for `/metrics`: questions of callers, how they ended, and how long they took.

use std::time::Duration;

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds, from an embedded index in memory to the limit of a search.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

type Labels = Vec<(&'static str, String)>;

/// Counters of one process.
pub(super) struct Metrics {
    questions: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
    in_flight: Gauge,
    registry: Registry,
}

/// A question that is being answered.
pub(super) struct InFlight<'m>(&'m Metrics);

impl Metrics {
    pub(super) fn new() -> Self {
        let mut metrics = Self {
            questions: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            registry: Registry::with_prefix("studio_search_serve"),
        };
        let meaning = "Questions of callers, by index, what was asked for (search, count, suggest, document), and the code of the answer: ok, or that of the error";
        metrics.registry.register("questions", meaning, metrics.questions.clone());
        let meaning = "Seconds from a question to its answer, by index and what was asked for";
        metrics.registry.register("question_duration_seconds", meaning, metrics.seconds.clone());
        let meaning = "Questions that are being answered now, those that wait for their turn among them";
        metrics.registry.register("questions_in_flight", meaning, metrics.in_flight.clone());
        let build = Family::<Labels, Gauge>::default();
        build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
        metrics.registry.register("build_info", "Always 1; the label says which release serves", build);
        metrics
    }

    pub(super) fn begin(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(self)
    }

    pub(super) fn count(&self, index: &str, what: &'static str, code: &str, took: Duration) {
        let of = || vec![("index", index.to_owned()), ("what", what.to_owned())];
        let mut ended = of();
        ended.push(("code", code.to_owned()));
        self.questions.get_or_create(&ended).inc();
        self.seconds.get_or_create(&of()).observe(took.as_secs_f64());
    }

    /// All of them in the text format of `OpenMetrics`.
    pub(super) fn show(&self) -> Response {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}
