//! One index version of an index that is open: its documents, the searches over them, and its end.

use std::sync::Arc;

use plan::IndexPlan;
use search::{
    Searcher,
    elastic::{Client, ElasticIndex, ElasticSearcher, Engine},
    serve::ServedIndex,
    sqlite::{SqliteIndex, SqliteSearcher},
};

use super::{Index, World};
#[cfg(test)]
use crate::run::simulation::seat::SimulatedVersion;
use crate::{
    StateError, StateFile,
    endpoints::Place,
    ledger::versions::KnownVersion,
    provision::version_name,
    store::{Store, elastic::ElasticStore, sqlite::SqliteStore},
};
use plan::index_plan::StoreKind;

/// An index version, opened.
#[derive(Clone)]
pub struct OpenVersion {
    /// Its number.
    pub number: u32,
    /// Its plan.
    pub plan: Arc<IndexPlan>,
    /// Searches of it.
    pub searcher: Arc<dyn Searcher>,
    pub(super) documents: Documents,
}

/// Where the documents of an index version are.
#[derive(Clone)]
pub(super) enum Documents {
    /// In tables of a state file.
    Tables(SqliteStore),
    /// In an index on a server.
    Server(ElasticStore, Client),
    /// In a simulation.
    #[cfg(test)]
    Simulated(SimulatedVersion),
}

impl OpenVersion {
    /// The version of this plan and this number, in the world that the plan names; a server is not asked before it is needed.
    pub(super) fn new(
        world: &World,
        place: &Place,
        plan: Arc<IndexPlan>,
        number: u32,
    ) -> Result<Self, StateError> {
        let state = match world {
            World::Embedded(log) => Some(log.state()),
            #[cfg(feature = "kafka")]
            World::Shared(_) => None,
            #[cfg(test)]
            World::Simulated(seat) => {
                // Nobody searches in a simulation but its witness.
                let searcher = Arc::new(search::memory::MemoryIndex::new(Arc::clone(&plan)));
                let documents = Documents::Simulated(seat.version(number));
                return Ok(Self { number, plan, searcher, documents });
            }
        };
        Self::stored(state, place, plan, number)
    }

    /// The version in this state file, or on the server of this place.
    pub(super) fn stored(
        state: Option<&StateFile>,
        place: &Place,
        plan: Arc<IndexPlan>,
        number: u32,
    ) -> Result<Self, StateError> {
        if let (StoreKind::Sqlite, Some(state)) = (plan.store, state) {
            let store = SqliteStore::new(state.clone(), Arc::clone(&plan), number);
            let searcher = SqliteSearcher::new(&place.state, SqliteIndex::clone(store.index()));
            let (searcher, documents) = (Arc::new(searcher), Documents::Tables(store));
            return Ok(Self { number, plan, searcher, documents });
        }
        let engine = match plan.store {
            StoreKind::OpenSearch => Engine::OpenSearch,
            StoreKind::Elasticsearch | StoreKind::Sqlite => Engine::Elasticsearch,
        };
        let client = place.client()?;
        let name = version_name(&plan.name, number);
        let index = ElasticIndex::new(client.clone(), engine, Arc::clone(&plan), &name);
        let searcher = Arc::new(ElasticSearcher::new(index.clone()));
        let documents = Documents::Server(ElasticStore::new(index), client);
        Ok(Self { number, plan, searcher, documents })
    }

    /// What searches need of it.
    pub(super) fn into_served(self, policy_url: Option<String>) -> ServedIndex {
        ServedIndex { plan: self.plan, version: self.number, searcher: self.searcher, policy_url }
    }

    /// Its documents.
    pub fn store(&self) -> Arc<dyn Store> {
        match &self.documents {
            Documents::Tables(store) => Arc::new(store.clone()),
            Documents::Server(store, _) => Arc::new(store.clone()),
            #[cfg(test)]
            Documents::Simulated(version) => Arc::new(version.clone()),
        }
    }

    /// Makes every write that was acknowledged visible to searches of it.
    pub async fn refresh(&self) -> Result<(), StateError> {
        match &self.documents {
            Documents::Tables(_) => Ok(()),
            Documents::Server(store, _) => Ok(store.index().refresh().await?),
            #[cfg(test)]
            Documents::Simulated(version) => version.refresh().await,
        }
    }

    /// Lets what asks for the index by its name alone, on a server, find this version.
    pub(crate) async fn point_alias(&self) -> Result<(), StateError> {
        let (store, client) = match &self.documents {
            Documents::Tables(_) => return Ok(()),
            Documents::Server(store, client) => (store, client),
            #[cfg(test)]
            Documents::Simulated(version) => return version.point_alias().await,
        };
        let (alias, wanted) = (&self.plan.name, store.index().name());
        let there = client.alias(alias).await?;
        let before: Vec<String> = there.into_iter().map(|(index, _)| index).collect();
        if before != [wanted] {
            client.point_alias(alias, wanted, &before).await?;
        }
        Ok(())
    }

    /// Removes it with all its documents.
    pub(crate) async fn remove(&self) -> Result<(), StateError> {
        match &self.documents {
            Documents::Tables(store) => store.remove().await,
            Documents::Server(store, client) => Ok(client.delete_index(store.index().name()).await?),
            #[cfg(test)]
            Documents::Simulated(version) => version.remove().await,
        }
    }
}

impl Index {
    /// Every index version that the ledger knows, by number.
    pub async fn versions(&self) -> Result<Vec<KnownVersion>, StateError> {
        self.ledger.versions().await
    }

    /// Opens an index version.
    pub fn open_version(&self, known: &KnownVersion) -> Result<OpenVersion, StateError> {
        let plan = Arc::new(known.plan().clone());
        OpenVersion::new(&self.world, &self.place, plan, known.number())
    }

    /// Whether several processes write the index, so that what one knows the others may not know yet.
    pub(crate) fn is_shared(&self) -> bool {
        match &self.world {
            World::Embedded(_) => false,
            #[cfg(feature = "kafka")]
            World::Shared(_) => true,
            #[cfg(test)]
            World::Simulated(seat) => seat.road().is_some(),
        }
    }
}
