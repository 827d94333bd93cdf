//! `/metrics`, in the text format of `OpenMetrics`, which Prometheus reads. [`super::metric_names`] holds every name.

use std::{collections::BTreeMap, fmt, sync::atomic::AtomicU64, time::Duration};

use axum::{
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use plan::index_plan::SourceInput;
use prometheus_client::{
    encoding::text::encode,
    metrics::{family::Family, gauge::Gauge},
    registry::{Metric, Registry},
};

use super::{
    Admin, Shared,
    metric_names::{self as names, MetricName},
};
use crate::{
    StateError,
    index::{SourceProgress, Status},
    ledger::{BackfillState, IndexState},
    source::inbox,
};

/// How long the servers have to say how the index is. Prometheus gives up after ten seconds, where nothing else is set.
const SCRAPED_WITHIN: Duration = Duration::from_secs(5);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The labels of one sample beside `index`.
type Labels = Vec<(&'static str, String)>;

/// What is read at each scrape.
struct Scraped {
    status: Status,
    source_lag: BTreeMap<String, u64>,
}

pub(super) async fn show(State(Shared { admin }): State<Shared>) -> Response {
    // While a server is away, what the process counts itself is wanted more than ever.
    let scraped = match tokio::time::timeout(SCRAPED_WITHIN, scrape(&admin)).await {
        Ok(Ok(scraped)) => Some(scraped),
        Ok(Err(error)) => {
            tracing::debug!(code = error.code().id, "{error}: /metrics says nothing of the index");
            None
        }
        Err(_) => None,
    };
    match text(&admin, scraped.as_ref()) {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn scrape(admin: &Admin) -> Result<Scraped, StateError> {
    let status = admin.index().status().await?;
    let mut source_lag = BTreeMap::new();
    for source in &status.sources {
        source_lag.insert(source.name.clone(), lag_of(admin, source).await?);
    }
    Ok(Scraped { status, source_lag })
}

/// What a source holds beyond what is routed; nothing where it isn't there yet.
async fn lag_of(admin: &Admin, progress: &SourceProgress) -> Result<u64, StateError> {
    let name = &progress.name;
    let index = admin.index();
    let Some(source) = index.source(name) else { return Ok(0) };
    let end = match (&source.input, index.state()) {
        (SourceInput::File, _) => {
            let Some(path) = admin.source_files.get(name) else { return Ok(0) };
            let length = tokio::fs::metadata(path).await.map_or(0, |file| file.len());
            i64::try_from(length).unwrap_or(i64::MAX)
        }
        (SourceInput::Http, Some(state)) => inbox::end(state, name).await?,
        (SourceInput::Http, None) => 0,
        (SourceInput::Topic(_), _) => return Ok(index.log.source_lag(name).await?.unwrap_or(0)),
    };
    let lag = end.saturating_sub(progress.position.unwrap_or(0));
    Ok(u64::try_from(lag).unwrap_or(0))
}

fn text(admin: &Admin, scraped: Option<&Scraped>) -> Result<String, fmt::Error> {
    let labels = [("index".into(), admin.index().plan.name.clone().into())];
    let mut registry = Registry::with_prefix_and_labels("studio_search", labels.into_iter());
    register_process(&mut registry, admin);
    if let Some(scraped) = scraped {
        register_index(&mut registry, scraped);
    }
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

/// What this process did, and how it is.
fn register_process(registry: &mut Registry, admin: &Admin) {
    let metrics = &admin.meter.metrics;
    metrics.begin_at_zero(admin.index().sources.iter().map(|source| source.name.as_str()));
    register(registry, names::EVENTS, metrics.events.clone());
    register(registry, names::SKIPPED_EVENTS, metrics.skipped.clone());
    register(registry, names::LOOKUPS, metrics.lookups.clone());
    register(registry, names::LOOKUP_FAN_OUT, metrics.lookup_fan_out.clone());
    register(registry, names::FETCH_REQUESTS, metrics.fetch_requests.clone());
    register(registry, names::FETCH_SECONDS, metrics.fetch_seconds.clone());
    register(registry, names::CONCURRENCY_LIMIT, metrics.limit.clone());
    register(registry, names::DOCUMENTS, metrics.documents.clone());
    register(registry, names::VERSION_CHECKS, metrics.version_checks.clone());
    register(registry, names::VERIFICATIONS, metrics.verifications.clone());
    register(registry, names::AUDITED_DOCUMENTS, metrics.audited.clone());
    register(registry, names::SAVED_MATCHES, metrics.saved_matches.clone());
    register(registry, names::FRESHNESS, metrics.freshness.clone());
    register(registry, names::EPOCH, metrics.epoch.clone());
    register(registry, names::STALLED_LOOPS, gauge(alone(admin.stalled().len() as u64)));
    let build = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("index_version", admin.index().version.to_string()),
    ];
    register(registry, names::BUILD_INFO, gauge(vec![(build.into(), 1)]));
}

fn gauge(samples: Vec<(Labels, u64)>) -> Family<Labels, Gauge> {
    let family = Family::<Labels, Gauge>::default();
    for (labels, value) in samples {
        family.get_or_create(&labels).set(i64::try_from(value).unwrap_or(i64::MAX));
    }
    family
}

fn alone(value: u64) -> Vec<(Labels, u64)> {
    vec![(Labels::new(), value)]
}

/// What every process says alike of the index.
fn register_index(registry: &mut Registry, Scraped { status, source_lag }: &Scraped) {
    let mut gauge = |name, samples| register(registry, name, gauge(samples));
    gauge(names::LIVE_DOCUMENTS, alone(status.documents));
    let lane = |name: &str, lag| (vec![("lane", name.to_owned())], lag);
    gauge(names::LAG, vec![lane("live", status.lag.live), lane("backfill", status.lag.backfill)]);
    let of_source = |(source, lag): (&String, &u64)| (vec![("source", source.clone())], *lag);
    gauge(names::SOURCE_LAG, source_lag.iter().map(of_source).collect());
    gauge(names::SAVED_MATCHES_WAITING, alone(status.saved.waiting));
    gauge(names::HELD, alone(status.held));
    register_pulses(registry, &status.sources);
    let mut gauge = |name, samples| register(registry, name, self::gauge(samples));
    gauge(names::DEAD_LETTERS, alone(status.dead_letters));
    let backfill = status.backfill.as_ref();
    gauge(names::BACKFILL_ENUMERATED, alone(backfill.map_or(0, |progress| progress.backfill.enumerated)));
    gauge(names::BACKFILL_REBUILT, alone(backfill.map_or(0, |progress| progress.rebuilt)));
    let is_open = |state| matches!(state, BackfillState::Enumerating | BackfillState::Rebuilding);
    let is_backfilling = backfill.is_some_and(|progress| is_open(progress.backfill.state));
    gauge(names::BACKFILL_RUNNING, alone(u64::from(is_backfilling)));
    gauge(names::RUNNING, alone(u64::from(status.state == IndexState::Running)));
    gauge(names::PROCESSES, alone(status.processes as u64));
}

/// When something came through each source.
fn register_pulses(registry: &mut Registry, sources: &[SourceProgress]) {
    let mut seconds = |name, milliseconds: &dyn Fn(&SourceProgress) -> Option<i64>| {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for source in sources {
            let milliseconds = milliseconds(source).unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds has 41 bits")]
            let seconds = milliseconds as f64 / 1_000.0;
            family.get_or_create(&vec![("source", source.name.clone())]).set(seconds);
        }
        register(registry, name, family);
    };
    seconds(names::SOURCE_NEWEST, &|source| source.pulse.newest_at);
    seconds(names::SOURCE_HEARTBEAT, &|source| source.pulse.heartbeat.map(|beat| beat.arrived_at));
    seconds(names::SOURCE_HEARTBEAT_TOOK, &|source| source.pulse.heartbeat.map(|beat| beat.took_ms()));
}

fn register(registry: &mut Registry, name: MetricName, metric: impl Metric) {
    registry.register(name.name, name.meaning, metric);
}
