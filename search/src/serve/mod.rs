//! `serve`: searches over HTTP, as JSON and as a subgraph of the same federated graph, on one port.
//!
//! ```text
//! GET       /indexes                        what is served
//! GET POST  /indexes/{index}/search         text, filter, facets, sort, first, after
//! GET POST  /indexes/{index}/count          text, filter
//! GET POST  /indexes/{index}/suggest        prefix, filter, paths, first
//! GET       /indexes/{index}/documents/{id}
//! POST      /graphql                        the federation subgraph
//! GET       /openapi.json                   all of it, described
//! GET       /livez /readyz /metrics
//! ```

mod asker;
mod desk;
mod metrics;
mod openapi;
mod question;
mod refusal;
mod routes;
mod subgraph;

use std::{collections::BTreeMap, io, sync::Arc};

use async_graphql::dynamic::Schema;
use axum::{http::StatusCode, response::IntoResponse};
use plan::{IndexPlan, code::search::SS722};
use secrecy::SecretString;
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use desk::{Desk, Hall};
use refusal::Refusal;
use subgraph::Desks;
pub use subgraph::{SubgraphError, subgraph_sdl};

use crate::{
    Searcher,
    policy::AccessError,
    port::{self, Guard},
};

/// An index, as it is served.
#[derive(Clone)]
pub struct ServedIndex {
    /// Its plan.
    pub plan: Arc<IndexPlan>,
    /// The index version that is searched.
    pub version: u32,
    /// Its searches.
    pub searcher: Arc<dyn Searcher>,
    /// Where its plan's policies are asked, if it wants a service: an address.
    pub policy_url: Option<String>,
}

/// Everything that a port serves at one moment: another one takes its place when an index has another version or plan.
pub struct Catalog {
    desks: Arc<Desks>,
    schema: Schema,
    openapi: serde_json::Value,
}

/// Why indexes can't be served.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// They make no subgraph.
    #[error(transparent)]
    Subgraph(#[from] SubgraphError),
    /// What callers may see is not known.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// Makes catalogs that share their limits and figures.
#[derive(Clone)]
pub struct Catalogs {
    hall: Arc<Hall>,
}

impl Catalogs {
    /// The catalogs of one process.
    pub fn new() -> Self {
        Self { hall: Arc::new(Hall::new()) }
    }

    /// A catalog of these indexes, each name once.
    pub fn of(&self, indexes: Vec<ServedIndex>) -> Result<Catalog, CatalogError> {
        let plans: Vec<Arc<IndexPlan>> = indexes.iter().map(|index| Arc::clone(&index.plan)).collect();
        let plans: Vec<&IndexPlan> = plans.iter().map(AsRef::as_ref).collect();
        let desk =
            |index: ServedIndex| Ok((index.plan.name.clone(), Desk::new(index, Arc::clone(&self.hall))?));
        let desks: BTreeMap<String, Desk> =
            indexes.into_iter().map(desk).collect::<Result<_, AccessError>>()?;
        let desks = Arc::new(Desks(desks));
        let schema = subgraph::schema(&plans, Arc::clone(&desks))?;
        Ok(Catalog { openapi: openapi::description(&plans), desks, schema })
    }
}

impl Default for Catalogs {
    fn default() -> Self {
        Self::new()
    }
}

/// Serves what the newest catalog has until it is stopped; answers under way are finished.
pub async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    tokens: Vec<SecretString>,
    catalogs: &Catalogs,
    catalog: watch::Receiver<Arc<Catalog>>,
    stop: CancellationToken,
) -> io::Result<()> {
    let refuse = |status: StatusCode, why: &str| Refusal::new(status, SS722, why).into_response();
    let address = listener.local_addr()?;
    let guard = Guard::new("the search port", "serve.listen", address, Arc::new(tokens), refuse);
    let router = routes::router(Arc::clone(&catalogs.hall), catalog);
    port::serve(listener, acceptor, guard, router, stop).await
}
