//! The index versions that live, by their queries: who shares the documents of the served one, and who needs its own.

use std::{collections::BTreeMap, sync::Arc};

use plan::{DocumentVersion, IndexPlan, SourcePlan};
use search::sqlite::SqliteIndex;

use super::{Index, OpenVersion, version::Documents};
use crate::{
    StateError,
    ledger::Ledger,
    route::lookup::LookedUp,
    store::{Store, versions::VersionedStore},
};

/// Index versions of another query than the served one's. What they hold is fetched by a plan of theirs.
#[derive(Clone)]
pub struct OtherQuery {
    /// Their numbers. The first one is read, and its word counts.
    pub versions: Vec<u32>,
    /// The plan of the first one.
    pub plan: Arc<IndexPlan>,
    /// All of them, written together.
    pub store: Arc<dyn Store>,
}

/// The versions that live, opened.
#[derive(Clone)]
pub(super) struct Written {
    /// The served one, and those that hold the same documents.
    served: Vec<OpenVersion>,
    /// The others, by their queries.
    others: Vec<Vec<OpenVersion>>,
}

impl Written {
    /// By their queries; of each query, what stands first is read.
    pub(super) fn of(own: OpenVersion, others: Vec<OpenVersion>) -> Self {
        let query = |version: &OpenVersion| version.plan.fetch.query_hash.clone();
        let mut by_query: BTreeMap<String, Vec<OpenVersion>> = BTreeMap::new();
        for other in others {
            by_query.entry(query(&other)).or_default().push(other);
        }
        let same = by_query.remove(&query(&own)).unwrap_or_default();
        let served = std::iter::once(own).chain(same).collect();
        Self { served, others: by_query.into_values().collect() }
    }

    /// The store over the served version, that writes what it is given to those of its query as well.
    pub(super) fn store(&self, ledger: &Arc<dyn Ledger>) -> Arc<dyn Store> {
        written_together(&self.served, ledger)
    }

    /// The other queries.
    pub(super) fn queries(&self, ledger: &Arc<dyn Ledger>) -> Vec<OtherQuery> {
        let query = |versions: &Vec<OpenVersion>| OtherQuery {
            versions: versions.iter().map(|version| version.number).collect(),
            plan: Arc::clone(&versions[0].plan),
            store: written_together(versions, ledger),
        };
        self.others.iter().map(query).collect()
    }
}

/// The store over the first of these versions, that writes what it is given to the others as well.
fn written_together(versions: &[OpenVersion], ledger: &Arc<dyn Ledger>) -> Arc<dyn Store> {
    let (first, others) = versions.split_first().expect("a query has a version");
    // Tables of one file are written in one transaction.
    if let Documents::Tables(store) = &first.documents {
        let others = others.iter().map(|other| SqliteIndex::new(Arc::clone(&other.plan), other.number));
        return Arc::new(store.clone().beside(others));
    }
    if others.is_empty() {
        return first.store();
    }
    let others = others.iter().map(|other| (other.number, other.store())).collect();
    Arc::new(VersionedStore { served: first.store(), others, ledger: Arc::clone(ledger) })
}

/// The sources of these plans, of the served one and of each other query. Of one name the first plan's word counts, but for the
/// paths of its keys: they are those of all plans.
pub(crate) fn routed<'p>(plans: impl Iterator<Item = &'p IndexPlan>) -> Vec<SourcePlan> {
    let mut sources: Vec<SourcePlan> = Vec::new();
    for source in plans.flat_map(|plan| &plan.sources) {
        let Some(known) = sources.iter_mut().find(|known| known.name == source.name) else {
            sources.push(source.clone());
            continue;
        };
        known.reverse_lookup.extend(source.reverse_lookup.iter().cloned());
        known.reverse_lookup.sort();
        known.reverse_lookup.dedup();
    }
    sources
}

impl Index {
    /// Where the keys of a source are looked up: in a version of each query, by the paths of its own plan.
    pub(crate) fn looked_up(&self, source: &str) -> Vec<LookedUp> {
        let paths = |plan: &IndexPlan| plan.source(source).map(|source| source.reverse_lookup.clone());
        let served = (&self.plan, &self.store);
        let all = [served].into_iter().chain(self.queries.iter().map(|query| (&query.plan, &query.store)));
        let of = |(plan, store): (&Arc<IndexPlan>, &Arc<dyn Store>)| {
            let paths = paths(plan).filter(|paths| !paths.is_empty())?;
            Some(LookedUp { store: Arc::clone(store), paths })
        };
        all.filter_map(of).collect()
    }

    /// The source of this name, of the served plan or of another one that is fetched beside it.
    pub fn source(&self, name: &str) -> Option<&SourcePlan> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The highest version in any index version: an epoch must be above everything that any of them holds.
    pub(crate) async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
        let mut highest = self.store.highest_version().await?;
        for query in &self.queries {
            match query.store.highest_version().await {
                Ok(version) => highest = highest.max(version),
                Err(error) => {
                    let versions = &query.versions;
                    tracing::warn!(
                        ?versions,
                        "{error}; the epoch goes by the ledger and the other index versions"
                    );
                }
            }
        }
        Ok(highest)
    }
}
