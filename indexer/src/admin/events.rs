//! `POST /events/<index>/<source>`: lines of events, answered with 202 only after they are durable.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
};
use plan::index_plan::SourceInput;
use secrecy::ExposeSecret;

use super::Shared;
use crate::source::inbox;

/// The largest body: sixteen events of the largest size.
pub(super) const MAX_BODY_BYTES: usize = 16 << 20;

/// Takes lines into the inbox. Lines that are no events are taken, too: they become dead letters with their number.
pub(super) async fn take(
    State(Shared { admin, on_loopback }): State<Shared>,
    Path((index, source)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let known = |given: &str| admin.tokens.iter().any(|token| same(token.expose_secret(), given));
    if !on_loopback && !bearer.is_some_and(known) {
        return (StatusCode::UNAUTHORIZED, "a bearer token of `serve.tokens` is wanted\n".to_owned());
    }
    let is_http = |plan: &plan::SourcePlan| plan.name == source && plan.input == SourceInput::Http;
    if index != admin.index.plan.name || !admin.index.plan.sources.iter().any(is_http) {
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
    match inbox::accept(&admin.index.state, &source, lines).await {
        Ok(()) => (StatusCode::ACCEPTED, format!("{{\"accepted\":{count}}}\n")),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code())),
    }
}

/// Compares secrets in a time that doesn't tell how much of them is right. An empty token is nobody's.
fn same(known: &str, given: &str) -> bool {
    let differs = known.bytes().zip(given.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    !known.is_empty() && known.len() == given.len() && differs == 0
}
