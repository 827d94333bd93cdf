//! Logs of the running system, on stderr.

use std::io;

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

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

/// Starts to write logs. A second call in one process changes nothing.
pub(crate) fn start(globals: &Globals, talkative: Talkative, paints: bool) {
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
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(paints)
        .with_span_events(FmtSpan::NONE);
    let _ = match globals.log_format {
        LogFormat::Text => logs.with_target(false).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
}
