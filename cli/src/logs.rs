//! Logs of the running system, on stderr.

use std::io;

use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::args::Globals;

/// Overrides which logs are written, in the syntax of `tracing_subscriber`'s filters.
const FILTER_VARIABLE: &str = "STUDIO_SEARCH_LOG";

/// Our crates; others are heard from their warnings on.
const OURS: [&str; 3] = ["indexer", "search", "studio_search_cli"];

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// What a command logs where neither `-q` nor `-v` says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talkative {
    /// `run`: what it does.
    Yes,
    /// Commands: only what they can't do.
    No,
}

/// Something that hears of events and spans.
pub(crate) type AnyLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// What must live as long as logs are written.
#[derive(Default)]
pub(crate) struct Logs {
    #[cfg(feature = "otlp")]
    _traces: Option<crate::traces::Traces>,
}

/// Starts to write logs, and to send traces where the environment asks for them. A second call in one process changes nothing.
pub(crate) fn start(globals: &Globals, talkative: Talkative, paints: bool) -> Logs {
    let level = match i16::from(globals.verbose) - i16::from(globals.quiet)
        + i16::from(talkative == Talkative::Yes)
    {
        ..=-1 => "error",
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let ours = OURS.map(|name| format!("{name}={level}")).join(",");
    let filter =
        EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(format!("warn,{ours}")));
    // Spans are for traces: a line says by itself what it is about.
    let is_event = |metadata: &tracing::Metadata<'_>| metadata.is_event();
    let filter = filter.and(filter_fn(is_event));
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(paints);
    let layer: AnyLayer = match globals.log_format {
        LogFormat::Text => layer.with_target(false).with_filter(filter).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
    };
    begin(layer)
}

#[cfg(not(feature = "otlp"))]
fn begin(logs: AnyLayer) -> Logs {
    let _ = tracing_subscriber::registry().with(logs).try_init();
    Logs::default()
}

#[cfg(feature = "otlp")]
fn begin(logs: AnyLayer) -> Logs {
    let (mut layers, started) = (vec![logs], crate::traces::start());
    let (traces, refusal) = match started {
        Ok(Some((traces, layer))) => {
            layers.push(layer);
            (Some(traces), None)
        }
        Ok(None) => (None, None),
        Err(reason) => (None, Some(reason)),
    };
    let _ = tracing_subscriber::registry().with(layers).try_init();
    if let Some(reason) = refusal {
        tracing::warn!("no traces are sent: {reason}");
    }
    Logs { _traces: traces }
}
