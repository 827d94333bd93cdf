//! A port that is asked over HTTP: who may ask, in the clear or over TLS, and how it closes.

mod access;
mod tls;

use std::{future::IntoFuture, io, time::Duration};

use axum::{Router, middleware};
use futures::FutureExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use access::{Authenticated, Guard, OPEN, Reach, Refusal};
use tls::TlsListener;
pub use tls::{Identity, IdentityError, acceptor};

/// How long answers under way may take after the stop. A container's runtime kills after ten seconds, and what was
/// fetched has to be written in that time, too.
pub const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Serves until it is stopped, over TLS where there is an acceptor of it; whoever still sends or reads five seconds later is left
/// alone. A guard stands before every route.
pub async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    guard: Guard,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    if guard.is_closed() {
        let health = OPEN.join(" and ");
        tracing::warn!(%address, "not on loopback and without `serve.tokens`, so only {health} are served");
    } else if guard.reach() == Reach::Network && acceptor.is_none() {
        tracing::warn!(
            %address,
            "not on loopback and without `serve.tls`, so tokens and documents can be read on their way: give it a certificate, \
             or end TLS before it"
        );
    }
    let router = router.layer(middleware::from_fn_with_state(guard, access::guard));
    let stopped = stop.clone().cancelled_owned();
    let serving = match acceptor {
        None => axum::serve(listener, router).with_graceful_shutdown(stopped).into_future().boxed(),
        Some(acceptor) => axum::serve(TlsListener::new(listener, acceptor), router)
            .with_graceful_shutdown(stopped)
            .into_future()
            .boxed(),
    };
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        ended = serving => ended,
        () = too_late => Ok(()),
    }
}
