//! The log: what is appended and committed, fenced as a broker fences it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::answer;
use crate::{
    StateError,
    log::{
        Append, DeadLetterRow, Ends, KeptLetter, Lane, LetterNumber, Logged, Progress, ReindexLog, Tenure,
        memory::MemoryTenure,
    },
    run::simulation::{mutant::Mutant, world::World},
    source::Position,
    store::Document,
};

/// The connection of a process to the log.
pub(in super::super) struct LogClient(pub Arc<World>);

impl LogClient {
    async fn keep(world: &World, append: Append) -> Result<(), StateError> {
        {
            let mut witness = world.witness();
            for entry in &append.entries {
                witness.appended(entry.lane, world.log.partition_of(entry), &entry.id);
            }
        }
        world.log.append(append).await
    }

    /// Moves a source's position on, unless another process routes it by now.
    async fn progress(world: &World, progress: Progress) -> Result<(), StateError> {
        let generation = world.source_generation.lock().unwrap_or_else(PoisonError::into_inner).to_string();
        if progress.position.identity.as_ref().is_some_and(|of| *of != generation) {
            world.witness().figures.fenced += 1;
            return Err(StateError::Fenced(progress.source));
        }
        world.log.append(Append { progress: Some(progress), ..Append::default() }).await
    }
}

#[async_trait]
impl ReindexLog for LogClient {
    async fn append(&self, mut append: Append) -> Result<(), StateError> {
        let world = Arc::clone(&self.0);
        if !world.is_shared {
            // A file of one process: all at once, or not at all.
            world.pause(0..5).await;
            return Self::keep(&world, append).await;
        }
        let server = async move {
            world.road().await;
            let progress = append.progress.take();
            // An append that was broken off is begun anew, and part of it is in the log already.
            let is_broken_off = world.dice.says(world.weather().ledger);
            if is_broken_off {
                let part = append.entries.len() / 2;
                let entries = append.entries[..part].to_vec();
                Self::keep(&world, Append { entries, ..Append::default() }).await?;
                world.pause(200..2_000).await;
            }
            Self::keep(&world, append).await?;
            if let Some(progress) = progress {
                world.road().await;
                Self::progress(&world, progress).await?;
            }
            world.road().await;
            Ok(())
        };
        answer(tokio::spawn(server)).await
    }

    async fn ends(&self, lane: Lane) -> Result<Ends, StateError> {
        self.0.log.ends(lane).await
    }

    async fn lag(&self, lane: Lane) -> Result<u64, StateError> {
        self.0.log.lag(lane).await
    }

    async fn lag_through(&self, lane: Lane, through: &Ends) -> Result<u64, StateError> {
        self.0.log.lag_through(lane, through).await
    }

    async fn source_progress(&self, source: &str) -> Result<Option<Position>, StateError> {
        self.0.log.source_progress(source).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterRow>, StateError> {
        self.0.log.dead_letters(limit).await
    }

    async fn read_dead_letters(&self, numbers: &[LetterNumber]) -> Result<Vec<KeptLetter>, StateError> {
        self.0.log.read_dead_letters(numbers).await
    }

    async fn dead_letter_count(&self) -> Result<u64, StateError> {
        self.0.log.dead_letter_count().await
    }
}

/// A share of the log, as its process sees it.
pub(in super::super) struct TenureClient {
    world: Arc<World>,
    tenure: Arc<MemoryTenure>,
    /// How far each lane was read.
    read: Mutex<BTreeMap<Lane, Ends>>,
}

impl TenureClient {
    pub(in super::super) fn new(world: &Arc<World>, tenure: Arc<MemoryTenure>) -> Self {
        Self { world: Arc::clone(world), tenure, read: Mutex::default() }
    }

    fn note(&self, lane: Lane, page: &[Logged]) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut notes = self.world.notes();
        for logged in page {
            read.entry(lane).or_default().insert(logged.partition, logged.position);
            notes.positions.insert(logged.entry.id.clone(), logged.position);
        }
    }
}

#[async_trait]
impl Tenure for TenureClient {
    async fn prove(&self) -> Result<(), StateError> {
        self.world.road().await;
        self.tenure.prove().await
    }

    fn is_executor(&self) -> bool {
        self.tenure.is_executor()
    }

    async fn committed(&self, lane: Lane) -> Result<Ends, StateError> {
        self.tenure.committed(lane).await
    }

    async fn read(&self, lane: Lane, limit: usize) -> Result<Vec<Logged>, StateError> {
        let mut page = self.tenure.read(lane, limit).await?;
        self.note(lane, &page);
        if self.world.mutant == Some(Mutant::MergeIntoRunning) {
            let notes = self.world.notes();
            page.retain(|logged| !notes.running.contains_key(&logged.entry.id));
        }
        Ok(page)
    }

    async fn appended(&self) {
        self.tenure.appended().await;
    }

    async fn append(&self, query: &str, documents: &[Document]) -> Result<Vec<Option<String>>, StateError> {
        let (world, tenure) = (Arc::clone(&self.world), Arc::clone(&self.tenure));
        let (query, documents) = (query.to_owned(), documents.to_vec());
        let kept = async move {
            world.road().await;
            let refusals = tenure.append(&query, &documents).await?;
            {
                let mut witness = world.witness();
                documents.iter().for_each(|document| witness.logged(&query, &document.id, document.version));
            }
            world.road().await;
            Ok(refusals)
        };
        if self.world.is_shared { answer(tokio::spawn(kept)).await } else { kept.await }
    }

    async fn commit(&self, lane: Lane, through: &Ends) -> Result<(), StateError> {
        let (world, tenure, mut through) =
            (Arc::clone(&self.world), Arc::clone(&self.tenure), through.clone());
        if world.mutant == Some(Mutant::CommitPastGap) {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            through = read.get(&lane).cloned().unwrap_or_default();
        }
        let committed = async move {
            world.road().await;
            if let Err(fenced) = tenure.prove().await {
                world.witness().figures.fenced += 1;
                return Err(fenced);
            }
            world.witness().committed(lane, &through);
            tenure.commit(lane, &through).await?;
            world.road().await;
            Ok(())
        };
        if self.world.is_shared { answer(tokio::spawn(committed)).await } else { committed.await }
    }

    fn take_loss(&self) -> Option<String> {
        None
    }

    fn revoked(&self) -> &CancellationToken {
        self.tenure.revoked()
    }

    fn release(&self) {}
}
