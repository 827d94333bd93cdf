//! Elasticsearch and `OpenSearch`: one index version on a server, written in bulks and searched by its own query language.
//!
//! The index is made by the templates that codegen writes. A document is kept as the graph answered it, with `__search`
//! beside its own fields:
//!
//! ```text
//! id          the id again: `_id` can't be sorted by, and a tombstone has no key
//! version     the version again, where it can be sorted by; the engine's own is the one that decides
//! deleted     whether it is a tombstone; searches ask for those that are not
//! fetched_at  when its fetch began
//! missing     paths that the graph could not answer
//! original    the document as it was answered, only where the engine would read some value in another way than the filter
//!             language does; its own fields are then adapted (`adapt.rs`)
//! ```
//! Reading in order goes by `__search.id`, which is unique and total: a page that begins after an id misses nothing that
//! was there before, so no snapshot has to be held open on the server between two pages.

mod adapt;
mod answer;
mod client;
mod explain;
mod facets;
mod filter;
mod got;
mod health;
mod layout;
mod order;
mod provision;
mod query;
mod rank;
mod read;
mod rights;
mod rows;
mod searcher;
mod source;
mod suggest;
mod write;

use std::{fmt, sync::Arc};

use plan::IndexPlan;

pub use self::{
    client::{Client, ElasticAuth, ElasticEndpoint, ElasticError, Engine, Server, Trouble},
    got::Stamp,
    layout::is_live,
    provision::differences,
    rights::{Lacking, Need, Places},
    rows::{Page, Rows, When, Write},
    searcher::ElasticSearcher,
};

/// One index version on a server. Cheap to clone.
#[derive(Clone)]
pub struct ElasticIndex {
    client: Client,
    plan: Arc<IndexPlan>,
    name: Arc<str>,
    engine: Engine,
}

impl ElasticIndex {
    /// The index of this plan and of this name, such as `movies-000001`, on this server; touches nothing.
    pub fn new(client: Client, engine: Engine, plan: Arc<IndexPlan>, name: &str) -> Self {
        Self { client, plan, name: name.into(), engine }
    }

    /// The plan that its templates were made from.
    pub fn plan(&self) -> &Arc<IndexPlan> {
        &self.plan
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Debug for ElasticIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticIndex")
            .field("server", &self.client.server_name())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
