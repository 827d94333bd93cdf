//! Generations of a process: where other index versions live, or another one is served, it ends what runs and begins anew.
//!
//! So nothing is exchanged under tasks that run. The admin port goes on meanwhile: what it shows is exchanged as a whole.

use std::sync::{Arc, PoisonError, RwLock, atomic::Ordering};

use tokio_util::sync::CancellationToken;

use super::{Process, RunError, rebuilding::TAKEOVER_PAUSE, sleeps_through};
use crate::{Index, StateError, heartbeat, ledger::versions, promotion::lead_alias};

/// The index as the newest generation opened it. Clones share it.
#[derive(Clone)]
pub(crate) struct Shown(Arc<RwLock<Index>>);

impl Shown {
    /// Shows this one first.
    pub(crate) fn new(index: Index) -> Self {
        Self(Arc::new(RwLock::new(index)))
    }

    /// What is shown now.
    pub(crate) fn index(&self) -> Index {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, index: Index) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = index;
    }
}

/// How a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// With its process.
    ForGood,
    /// For the next one.
    ForTheNext,
}

impl Process {
    /// Whether other versions live than this generation writes, or another one is served.
    pub(super) async fn is_outdated(&self) -> Result<bool, StateError> {
        if self.is_changed.swap(false, Ordering::Relaxed) {
            tracing::info!(index = %self.index.plan.name, "the plan was changed, and the index is opened anew");
            return Ok(true);
        }
        let states = self.index.ledger.version_states().await?;
        let live = versions::live(&states);
        if live != self.index.live {
            tracing::info!(index = %self.index.plan.name, written = ?self.index.live, now = ?live, "the index versions changed");
        }
        Ok(live != self.index.live)
    }

    /// Opens the index for the next generation, as soon as its servers answer; false where it was stopped before that.
    pub(super) async fn open_anew(
        &mut self,
        shown: &Shown,
        stop: &CancellationToken,
    ) -> Result<bool, RunError> {
        if let Some(endpoints) = self.reread.as_ref().and_then(|reread| reread()) {
            self.endpoints.source_files.extend(endpoints.source_files);
            self.endpoints.ids_file = endpoints.ids_file.or(self.endpoints.ids_file.take());
        }
        let failed = loop {
            heartbeat::beat();
            match self.opened().await {
                Ok(index) => {
                    shown.show(index.clone());
                    self.index = index;
                    return Ok(true);
                }
                Err(error) if error.is_of_a_server() => {
                    tracing::warn!(code = error.code().id, "{error}; the index is opened when it answers");
                }
                Err(error) => break error,
            }
            if sleeps_through(TAKEOVER_PAUSE, stop).await {
                return Ok(false);
            }
        };
        Err(failed.into())
    }

    async fn opened(&self) -> Result<Index, StateError> {
        let index = self.index.opened_anew().await?;
        // A promotion may have broken off before it led the alias. Who may not do that leaves it to who removes the old version.
        if let Err(error) = lead_alias(&index).await {
            tracing::warn!(code = error.code().id, "{error}; searches stay where they are");
        }
        // What searches have shown of the version that was served before is to be found in this one.
        let served = index.versions().await?.into_iter().find(|known| known.number() == index.version);
        if let Some(served) = served {
            index.open_version(&served)?.refresh().await?;
        }
        Ok(index)
    }
}
