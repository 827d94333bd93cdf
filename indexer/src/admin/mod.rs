//! The admin port: the status page with a search box, health, metrics, and `POST /events`.

mod events;
mod metrics;
mod page;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use search::sqlite::{SqliteIndex, SqliteSearcher};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Endpoints, Index, StateError, index::Status};

/// What the pages read.
#[derive(Clone)]
pub struct Admin {
    index: Index,
    searcher: SqliteSearcher,
    tokens: Arc<Vec<SecretString>>,
}

impl Admin {
    /// The pages of one index.
    pub fn new(index: Index, endpoints: &Endpoints) -> Self {
        let searcher = SqliteSearcher::new(index.state.path(), SqliteIndex::clone(index.store.index()));
        Self { searcher, index, tokens: Arc::new(endpoints.tokens.clone()) }
    }
}

/// Serves the pages until it is stopped.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> Result<(), StateError> {
    let on_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let router = Router::new()
        .route("/", get(page::show))
        .route("/status.json", get(status))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::show))
        .route("/events/{index}/{source}", post(events::take))
        .layer(axum::extract::DefaultBodyLimit::max(events::MAX_BODY_BYTES))
        .with_state(Shared { admin, on_loopback });
    let path = std::path::PathBuf::from("the admin port");
    axum::serve(listener, router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
        .map_err(|source| StateError::Io { path, source })
}

/// What every handler gets.
#[derive(Clone)]
struct Shared {
    admin: Admin,
    /// Whether only this machine can connect, so that callers need no token.
    on_loopback: bool,
}

async fn status(State(Shared { admin, .. }): State<Shared>) -> Result<Json<Status>, (StatusCode, String)> {
    let failed =
        |error: StateError| (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code()));
    admin.index.status().await.map(Json).map_err(failed)
}

async fn ready(State(Shared { admin, .. }): State<Shared>) -> impl IntoResponse {
    match admin.index.state.read(|conn| conn.query_row("SELECT 1", (), |_| Ok(()))).await {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code())),
    }
}
