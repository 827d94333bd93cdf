//! The admin port: the status page with a search box, health, metrics, and `POST /events`.

mod access;
mod events;
mod metrics;
mod page;

use std::{future::IntoFuture, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use access::Reach;

use crate::{Endpoints, Index, StateError, index::Status};

/// How long answers under way may take after the stop. A container's runtime kills after ten seconds, and what was
/// fetched has to be written in that time, too.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What the pages read.
#[derive(Clone)]
pub struct Admin {
    index: Index,
    tokens: Arc<Vec<SecretString>>,
}

impl Admin {
    /// The pages of one index.
    pub fn new(index: Index, endpoints: &Endpoints) -> Self {
        Self { index, tokens: Arc::new(endpoints.tokens.clone()) }
    }
}

/// Serves the pages until it is stopped; whoever still sends or reads five seconds later is left alone.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> Result<(), StateError> {
    let failed = |source| StateError::Io { path: "the admin port".into(), source };
    let address = listener.local_addr().map_err(failed)?;
    let shared = Shared { admin, reach: Reach::of(address) };
    if shared.reach == Reach::Network && shared.admin.tokens.is_empty() {
        let health = access::OPEN.join(" and ");
        tracing::warn!(%address, "not on loopback and without `serve.tokens`, so only {health} are served");
    }
    let router = Router::new()
        .route("/", get(page::show))
        .route("/figures", get(page::show_figures))
        .route("/status.json", get(status))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::show))
        .route("/events/{index}/{source}", post(events::take))
        .layer(axum::extract::DefaultBodyLimit::max(events::MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(shared.clone(), access::guard))
        .with_state(shared);
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        ended = serving.into_future() => ended.map_err(failed),
        () = too_late => Ok(()),
    }
}

/// What every handler gets.
#[derive(Clone)]
struct Shared {
    admin: Admin,
    reach: Reach,
}

async fn status(State(Shared { admin, .. }): State<Shared>) -> Result<Json<Status>, (StatusCode, String)> {
    let failed =
        |error: StateError| (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code()));
    admin.index.status().await.map(Json).map_err(failed)
}

async fn ready(State(Shared { admin, .. }): State<Shared>) -> impl IntoResponse {
    match admin.index.ledger.state().await {
        Ok(_) => (StatusCode::OK, "ok\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code())),
    }
}

#[cfg(test)]
mod tests;
