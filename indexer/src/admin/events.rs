//! `POST /events/<index>/<source>`: lines of events, answered with 202 only after they are durable.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use plan::index_plan::SourceInput;

use super::Shared;
use crate::source::inbox;

/// The largest body: sixteen events of the largest size.
pub(super) const MAX_BODY_BYTES: usize = 16 << 20;

/// Takes lines into the inbox. Lines that are no events are taken, too: they become dead letters with their number.
pub(super) async fn take(
    State(Shared { admin }): State<Shared>,
    Path((index, source)): Path<(String, String)>,
    body: Bytes,
) -> (StatusCode, String) {
    let at_work = admin.index();
    let is_http = |plan: &plan::SourcePlan| plan.name == source && plan.input == SourceInput::Http;
    if index != at_work.plan.name || !at_work.sources.iter().any(is_http) {
        return (
            StatusCode::NOT_FOUND,
            format!("the index {index:?} has no source {source:?} with `http: true`\n"),
        );
    }
    let lines: Vec<Vec<u8>> = body
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.iter().all(u8::is_ascii_whitespace))
        .map(<[u8]>::to_vec)
        .collect();
    let count = lines.len();
    let accepted = match at_work.state() {
        Some(state) => inbox::accept(state, &source, lines).await,
        None => return (StatusCode::NOT_FOUND, "this index has no inbox\n".to_owned()),
    };
    match accepted {
        Ok(()) => (StatusCode::ACCEPTED, format!("{{\"accepted\":{count}}}\n")),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code())),
    }
}
