//! The store: documents by version, searchable after a refresh, behind a road on which writes and acknowledgements get lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, Epoch, IndexPlan};
use search::StoredDocument;
use tokio::time::sleep;

use super::answer;
use crate::{
    StateError,
    run::simulation::{mutant::Mutant, world::World},
    store::{Document, Outcome, Store, memory::MemoryStore},
};

/// The index versions on the servers, and the one that searches are answered from.
pub(in super::super) struct Versions {
    there: Mutex<BTreeMap<u32, Arc<Documents>>>,
    alias: Mutex<u32>,
}

impl Versions {
    /// The first one.
    pub(in super::super) fn new(plan: &Arc<IndexPlan>) -> Self {
        let versions = Self { there: Mutex::default(), alias: Mutex::new(1) };
        versions.make(1, plan);
        versions
    }

    /// Makes one that is empty.
    pub(in super::super) fn make(&self, number: u32, plan: &Arc<IndexPlan>) {
        self.there().insert(number, Arc::new(Documents::new(number, plan)));
    }

    /// One of them, if it isn't removed.
    pub(in super::super) fn get(&self, number: u32) -> Option<Arc<Documents>> {
        self.there().get(&number).cloned()
    }

    /// The number of the version that searches are answered from.
    pub(in super::super) fn searched(&self) -> u32 {
        *self.alias.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn there(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Documents>>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the servers hold of an index version.
pub(in super::super) struct Documents {
    number: u32,
    /// By which it is fetched.
    pub plan: Arc<IndexPlan>,
    stored: MemoryStore,
    /// What a search sees: everything up to the last refresh.
    searchable: MemoryStore,
    unseen: Mutex<Vec<Document>>,
    /// For mutants: how many writes there were, and what was deleted with its version.
    writes: Mutex<u64>,
    deleted: Mutex<BTreeSet<DocumentId>>,
}

impl Documents {
    fn new(number: u32, plan: &Arc<IndexPlan>) -> Self {
        Self {
            number,
            plan: Arc::clone(plan),
            stored: MemoryStore::new(Arc::clone(plan)),
            searchable: MemoryStore::new(Arc::clone(plan)),
            unseen: Mutex::default(),
            writes: Mutex::default(),
            deleted: Mutex::default(),
        }
    }

    /// Everything that is live.
    pub(in super::super) async fn all(&self) -> Vec<StoredDocument> {
        self.refresh().await;
        self.searchable.scan(None, 10_000).await.expect("memory")
    }

    /// Everything that is live, whether a search sees it or not.
    pub(in super::super) async fn stored(&self) -> Vec<StoredDocument> {
        self.stored.scan(None, 10_000).await.expect("memory")
    }

    /// A document or a tombstone, whether a search sees it or not.
    pub(in super::super) async fn get(&self, id: &DocumentId) -> Option<StoredDocument> {
        self.stored.get(id).await.expect("memory")
    }

    async fn write(&self, world: &World, document: Document, skew: i64) -> Outcome {
        let (id, version) = (document.id.clone(), document.version);
        let document = Document { version: self.version(world, &document, skew), ..document };
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner).push(document.clone());
        let [outcome] = &self.stored.write(vec![document]).await.expect("memory")[..] else { unreachable!() };
        match outcome {
            Outcome::Written => world.witness().wrote(self.number, &id, version),
            Outcome::Superseded => world.witness().figures.superseded += 1,
            Outcome::Rejected(_) | Outcome::Again(_) => {}
        }
        outcome.clone()
    }

    /// The version under which a document is stored: its own, but for mutants.
    fn version(&self, world: &World, document: &Document, skew: i64) -> DocumentVersion {
        let of = |number: i64| DocumentVersion::new(Epoch::ZERO, u64::try_from(number).expect("positive"));
        let arrival = {
            let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
            *writes += 1;
            *writes
        };
        let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
        let was_deleted = deleted.contains(&document.id);
        if document.body.is_none() {
            deleted.insert(document.id.clone());
        }
        match world.mutant {
            // Whatever comes after a deletion finds no version, and is taken.
            Some(Mutant::NativeDelete) if was_deleted => {
                DocumentVersion::new(Epoch::new(4_000).expect("an epoch"), arrival)
            }
            Some(Mutant::LastWriteWins) => DocumentVersion::new(Epoch::ZERO, arrival),
            Some(Mutant::ClockAsVersion) => of(document.fetched_at - 1_600_000_000_000 + skew),
            Some(Mutant::OffsetAsVersion) => {
                of(world.notes().positions.get(&document.id).copied().unwrap_or_default() + 1)
            }
            _ => document.version,
        }
    }

    async fn refresh(&self) {
        let unseen = std::mem::take(&mut *self.unseen.lock().unwrap_or_else(PoisonError::into_inner));
        self.searchable.write(unseen).await.expect("memory");
    }
}

/// The connection of a process to an index version. Clones share it.
#[derive(Clone)]
pub(crate) struct SimulatedVersion {
    world: Arc<World>,
    number: u32,
    /// How far the clock of the process is off, in milliseconds.
    skew: i64,
    /// For the mutant that looks up once: whether the next lookup is a second one.
    is_second: Arc<Mutex<Vec<Vec<DocumentId>>>>,
    /// For the mutants that skip: the content of each document that was sent last.
    sent: Arc<Mutex<BTreeMap<DocumentId, Option<String>>>>,
}

/// What becomes of a write on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Arrives,
    Lost,
    /// It arrives, and its acknowledgement does not.
    Unacknowledged,
    /// Some of its documents are refused for now.
    Refused,
}

impl SimulatedVersion {
    pub(in super::super) fn new(world: &Arc<World>, number: u32, skew: i64) -> Self {
        Self { world: Arc::clone(world), number, skew, is_second: Arc::default(), sent: Arc::default() }
    }

    /// Makes every write visible to searches.
    pub(crate) async fn refresh(&self) -> Result<(), StateError> {
        self.world.road().await;
        self.documents()?.refresh().await;
        Ok(())
    }

    /// Lets searches be answered from it.
    pub(crate) async fn point_alias(&self) -> Result<(), StateError> {
        self.world.road().await;
        self.documents()?;
        *self.world.versions.alias.lock().unwrap_or_else(PoisonError::into_inner) = self.number;
        Ok(())
    }

    /// Removes it with all its documents.
    pub(crate) async fn remove(&self) -> Result<(), StateError> {
        self.world.road().await;
        self.world.versions.there().remove(&self.number);
        Ok(())
    }

    fn documents(&self) -> Result<Arc<Documents>, StateError> {
        let removed = || StateError::Unreachable { what: "the store".into(), reason: "it is removed".into() };
        self.world.versions.get(self.number).ok_or_else(removed)
    }

    fn fate(&self) -> Fate {
        let world = &self.world;
        let fails = { world.dice.says(world.weather().store) };
        if !fails || !world.is_shared {
            return Fate::Arrives;
        }
        world.dice.one_of(&[Fate::Lost, Fate::Unacknowledged, Fate::Refused])
    }

    async fn send(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        let (world, fate, skew) = (Arc::clone(&self.world), self.fate(), self.skew);
        let (number, version) = (self.number, self.documents()?);
        let written = async move {
            world.road().await;
            let lost = || StateError::Unreachable {
                what: "the store".into(),
                reason: "the connection broke".into(),
            };
            if fate == Fate::Lost {
                return Err(lost());
            }
            if world.mutant == Some(Mutant::CopyLater) && number != world.versions.searched() {
                let outcomes = vec![Outcome::Written; documents.len()];
                tokio::spawn(async move {
                    world.pause(2_000..5_000).await;
                    for document in documents {
                        version.write(&world, document, skew).await;
                    }
                });
                return Ok(outcomes);
            }
            let mut outcomes = Vec::new();
            for document in documents {
                if fate == Fate::Refused && world.dice.says(0.5) {
                    outcomes.push(Outcome::Again("429".to_owned()));
                } else {
                    outcomes.push(version.write(&world, document, skew).await);
                }
            }
            world.road().await;
            if fate == Fate::Unacknowledged { Err(lost()) } else { Ok(outcomes) }
        };
        if self.world.is_shared { answer(tokio::spawn(written)).await } else { written.await }
    }

    /// Sends what differs from what was sent last, by the rule of a mutant.
    async fn skip_or_send(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        let sent = || self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |document: &Document| sent().get(&document.id) == Some(&document.body);
        let known: Vec<bool> = documents.iter().map(is_known).collect();
        let new =
            documents.into_iter().zip(&known).filter(|(_, known)| !**known).map(|(document, _)| document);
        let new: Vec<Document> = new.collect();
        let outcomes = if new.is_empty() { Ok(Vec::new()) } else { self.send(new.clone()).await };
        for (at, document) in new.into_iter().enumerate() {
            let is_acknowledged = matches!(&outcomes, Ok(outcomes) if outcomes[at] == Outcome::Written);
            sent().remove(&document.id);
            if is_acknowledged || self.world.mutant == Some(Mutant::SkipAsSent) {
                sent().insert(document.id, document.body);
            }
        }
        let mut outcomes = outcomes?.into_iter();
        let outcome = |known| if known { Outcome::Written } else { outcomes.next().expect("one for each") };
        Ok(known.into_iter().map(outcome).collect())
    }

    fn is_second_lookup(&self, keys: &[DocumentId]) -> bool {
        let mut first = self.is_second.lock().unwrap_or_else(PoisonError::into_inner);
        let known = first.iter().position(|known| known == keys);
        match known {
            Some(at) => drop(first.remove(at)),
            None => first.push(keys.to_vec()),
        }
        known.is_some()
    }
}

#[async_trait]
impl Store for SimulatedVersion {
    async fn write(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, StateError> {
        {
            let query = self.documents()?.plan.fetch.query_hash.clone();
            let mut witness = self.world.witness();
            documents.iter().for_each(|document| witness.writing(&query, &document.id, document.version));
        }
        let ids: Vec<DocumentId> = documents.iter().map(|document| document.id.clone()).collect();
        if let Some(Mutant::SkipAsSent | Mutant::SkipAcrossEpochs) = self.world.mutant {
            return self.skip_or_send(documents).await;
        }
        loop {
            let sent = self.send(documents.clone()).await;
            let is_whole =
                |outcomes: &Vec<Outcome>| !outcomes.iter().any(|one| matches!(one, Outcome::Again(_)));
            if !sent.as_ref().is_ok_and(is_whole) {
                self.world.witness().doubted(self.number, &ids);
            }
            if self.world.mutant != Some(Mutant::ResendOnFailure) || sent.as_ref().is_ok_and(is_whole) {
                return sent;
            }
            sleep(self.world.dice.millis(2_000..5_000)).await;
        }
    }

    async fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, StateError> {
        if self.world.mutant == Some(Mutant::RefreshFirst) && self.is_second_lookup(keys) {
            return Ok(Vec::new());
        }
        self.world.road().await;
        let documents = self.documents()?;
        documents.refresh().await;
        let found = documents.searchable.lookup(paths, keys, after, limit).await;
        self.world.road().await;
        found
    }

    async fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<DocumentId>, StateError> {
        let documents = self.documents()?;
        documents.refresh().await;
        documents.searchable.ids(after, limit).await
    }

    async fn get(&self, id: &DocumentId) -> Result<Option<StoredDocument>, StateError> {
        self.documents()?.stored.get(id).await
    }

    async fn scan(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<StoredDocument>, StateError> {
        let documents = self.documents()?;
        documents.refresh().await;
        documents.searchable.scan(after, limit).await
    }

    async fn highest_version(&self) -> Result<Option<DocumentVersion>, StateError> {
        self.world.road().await;
        self.documents()?.stored.highest_version().await
    }

    async fn live_documents(&self) -> Result<u64, StateError> {
        self.documents()?.searchable.live_documents().await
    }
}
