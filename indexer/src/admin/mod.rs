//! The admin port: the status page with a search box, health, metrics, and `POST /events`.

mod events;
pub mod metric_names;
mod metrics;
mod page;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use search::port::IdentityError;
pub(crate) use search::port::acceptor;
use search::port::{self, Guard};

use crate::{
    Endpoints, Index, StateError,
    heartbeat::{Heartbeats, Stalled},
    index::Status,
    ledger::figures::Meter,
    run::generations::Shown,
};

/// How much longer than `graph.deadline` a loop may stand still: far more than a commit or a page of ids takes, so that only
/// what hangs for ever is started anew.
const STALLED_AFTER: Duration = Duration::from_mins(1);

/// How long the ledger and the store have to answer a probe.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// What the pages read.
#[derive(Clone)]
pub struct Admin {
    shown: Shown,
    tokens: Arc<Vec<SecretString>>,
    source_files: Arc<BTreeMap<String, PathBuf>>,
    meter: Arc<Meter>,
    heartbeats: Heartbeats,
}

impl Admin {
    /// The pages of one process at work on an index.
    pub(crate) fn new(
        shown: Shown,
        endpoints: &Endpoints,
        meter: Arc<Meter>,
        heartbeats: Heartbeats,
    ) -> Self {
        let tokens = Arc::new(endpoints.tokens.clone());
        Self { shown, tokens, source_files: Arc::new(endpoints.source_files.clone()), meter, heartbeats }
    }

    /// The index as it is worked on now.
    fn index(&self) -> Index {
        self.shown.index()
    }

    /// The loops that stand still for longer than any request and its write can take.
    fn stalled(&self) -> Vec<Stalled> {
        self.heartbeats.stalled(Duration::from_millis(self.index().plan.graph.deadline_ms) + STALLED_AFTER)
    }
}

/// Serves the pages until it is stopped, over TLS where there is an acceptor of it; whoever still sends or reads five seconds
/// later is left alone.
pub(crate) async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    admin: Admin,
    stop: CancellationToken,
) -> Result<(), StateError> {
    let failed = |source| StateError::Io { path: "the admin port".into(), source };
    let address = listener.local_addr().map_err(failed)?;
    let refuse = |status: StatusCode, why: &str| (status, format!("{why}\n")).into_response();
    let guard = Guard::new("the admin port", "admin.listen", address, Arc::clone(&admin.tokens), refuse);
    let router = Router::new()
        .route("/", get(page::show))
        .route("/figures", get(page::show_figures))
        .route("/suggest", get(page::suggest))
        .route("/status.json", get(status))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::show))
        .route("/events/{index}/{source}", post(events::take))
        .layer(axum::extract::DefaultBodyLimit::max(events::MAX_BODY_BYTES))
        .with_state(Shared { admin });
    port::serve(listener, acceptor, guard, router, stop).await.map_err(failed)
}

/// What every handler gets.
#[derive(Clone)]
struct Shared {
    admin: Admin,
}

async fn status(State(Shared { admin }): State<Shared>) -> Result<Json<Status>, (StatusCode, String)> {
    let failed =
        |error: StateError| (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code()));
    admin.index().status().await.map(Json).map_err(failed)
}

/// Whether every loop moves. What waits for a server or a person is alive: a new process would wait, too.
async fn live(State(Shared { admin }): State<Shared>) -> impl IntoResponse {
    let stalled = admin.stalled();
    if stalled.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let line =
        |Stalled { name, silent }: Stalled| format!("{name}: no progress for {} seconds\n", silent.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, stalled.into_iter().map(line).collect())
}

/// Whether the ledger and the store answer. A probe must not wait as long as a loop would.
///
/// A process that has no share of the log yet is ready: it waits to take one over, and who replaces processes one by one would
/// otherwise never end the one that holds the share.
async fn ready(State(Shared { admin }): State<Shared>) -> impl IntoResponse {
    let answered = async {
        let index = admin.index();
        index.ledger.state().await?;
        index.store.live_documents().await
    };
    match tokio::time::timeout(READY_WITHIN, answered).await {
        Ok(Ok(_)) => (StatusCode::OK, "ok\n".to_owned()),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}: {error}\n", error.code())),
        Err(_) => {
            let late = format!("the ledger and the store did not answer within {READY_WITHIN:?}\n");
            (StatusCode::SERVICE_UNAVAILABLE, late)
        }
    }
}

#[cfg(test)]
mod tests;
