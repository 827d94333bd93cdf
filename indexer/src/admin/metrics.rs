//! `/metrics`, in Prometheus' text format. This file holds every name with its meaning.

use std::fmt::Write;

use axum::{extract::State, http::StatusCode};

use super::Shared;
use crate::{
    StateError,
    ledger::{Figures, IndexState},
};

/// Name, type, meaning, and where its value comes from.
type Metric = (&'static str, &'static str, &'static str, fn(&Figures) -> u64);

const OF_FIGURES: [Metric; 9] = [
    ("events_total", "counter", "Records read from sources.", |figures| figures.events),
    ("fetch_requests_total", "counter", "Requests sent to the gateway for documents.", |figures| {
        figures.requests
    }),
    ("fetched_documents_total", "counter", "Documents asked for in them.", |figures| figures.fetched),
    ("written_documents_total", "counter", "Documents written.", |figures| figures.written),
    ("superseded_documents_total", "counter", "Writes that met something newer.", |figures| {
        figures.superseded
    }),
    ("gone_documents_total", "counter", "Tombstones written.", |figures| figures.gone),
    ("held_documents_total", "counter", "Documents held, each time.", |figures| figures.held),
    ("live_lag", "gauge", "Entries of the live lane that aren't complete.", |figures| figures.lag[0]),
    ("backfill_lag", "gauge", "Entries of the backfill lane that aren't complete.", |figures| figures.lag[1]),
];

pub(super) async fn show(State(shared): State<Shared>) -> (StatusCode, String) {
    match text(&shared).await {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code())),
    }
}

async fn text(Shared { admin, .. }: &Shared) -> Result<String, StateError> {
    let index = &admin.index.plan.name;
    let figures = admin.index.ledger.figures().await?;
    let held = admin.index.ledger.held_count().await?;
    let dead_letters = admin.index.log.dead_letter_count().await?;
    let live = admin.index.store.live_documents().await?;
    let running = u64::from(admin.index.ledger.state().await? == IndexState::Running);
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, meaning: &str, value: u64| {
        let _ = writeln!(text, "# HELP studio_search_{name} {meaning}\n# TYPE studio_search_{name} {kind}");
        let _ = writeln!(text, "studio_search_{name}{{index=\"{index}\"}} {value}");
    };
    for (name, kind, meaning, value) in OF_FIGURES {
        metric(name, kind, meaning, figures.iter().map(value).sum());
    }
    metric("documents", "gauge", "Documents that can be found.", live);
    metric("held", "gauge", "Documents that failed for now.", held);
    metric("dead_letters", "gauge", "Events that could not be understood.", dead_letters);
    metric("running", "gauge", "1 while the index is worked on, 0 while it is paused or failed.", running);
    let slowest =
        figures.iter().filter_map(|figures| figures.freshness).max_by_key(|freshness| freshness.p99);
    if let Some(freshness) = slowest {
        let name = "studio_search_freshness_milliseconds";
        let _ = writeln!(
            text,
            "# HELP {name} From an event to its document being searchable.\n# TYPE {name} summary"
        );
        for (quantile, value) in [("0.5", freshness.p50), ("0.95", freshness.p95), ("0.99", freshness.p99)] {
            let _ = writeln!(text, "{name}{{index=\"{index}\",quantile=\"{quantile}\"}} {value}");
        }
    }
    Ok(text)
}
