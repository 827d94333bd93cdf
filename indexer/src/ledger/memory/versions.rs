//! Index versions in memory.

use std::collections::BTreeMap;

use plan::{DocumentId, IndexPlan};

use crate::ledger::{
    IndexVersion,
    versions::{KnownVersion, Lack, VersionState},
};

/// All index versions of an index.
#[derive(Debug)]
pub(super) struct Versions {
    known: BTreeMap<u32, KnownVersion>,
    lacks: BTreeMap<(u32, DocumentId), Lack>,
}

impl Versions {
    /// The first one, served.
    pub(super) fn new(plan: IndexPlan) -> Self {
        let mut versions = Self { known: BTreeMap::new(), lacks: BTreeMap::new() };
        versions.put(1, plan, VersionState::Served);
        versions
    }

    pub(super) fn put(&mut self, number: u32, plan: IndexPlan, state: VersionState) {
        let version = IndexVersion { version: number, plan, schema: None };
        self.known.insert(number, KnownVersion { version, state });
    }

    pub(super) fn served(&self) -> &IndexVersion {
        let served = self.known.values().find(|known| known.state == VersionState::Served);
        &served.expect("one is served from the first on").version
    }

    pub(super) fn all(&self) -> Vec<KnownVersion> {
        self.known.values().cloned().collect()
    }

    pub(super) fn states(&self) -> Vec<(u32, VersionState)> {
        self.known.iter().map(|(number, known)| (*number, known.state.clone())).collect()
    }

    pub(super) fn change(&mut self, number: u32, from: &VersionState, to: &VersionState) -> bool {
        let known = self.known.get_mut(&number).filter(|known| known.state == *from);
        known.map(|known| known.state = to.clone()).is_some()
    }

    pub(super) fn promote(&mut self, from: u32, to: u32) -> bool {
        let state = |number| self.known.get(&number).map(|known| &known.state);
        let is_possible = state(from) == Some(&VersionState::Served)
            && matches!(state(to), Some(VersionState::Ready | VersionState::Kept));
        if is_possible {
            for (number, state) in [(from, VersionState::Kept), (to, VersionState::Served)] {
                self.known.entry(number).and_modify(|known| known.state = state);
            }
        }
        is_possible
    }

    pub(super) fn forget(&mut self, number: u32) {
        self.known.retain(|known, version| *known != number || version.state != VersionState::Removing);
        self.lacks.retain(|(version, _), _| self.known.contains_key(version));
    }

    pub(super) fn note_lacks(&mut self, number: u32, lacks: Vec<Lack>) {
        for lack in lacks {
            let key = (number, lack.id.clone());
            if self.lacks.get(&key).is_none_or(|there| there.version < lack.version) {
                self.lacks.insert(key, lack);
            }
        }
    }

    pub(super) fn lacks(&self, number: u32, limit: usize) -> Vec<Lack> {
        let own = self.lacks.iter().filter(|((version, _), _)| *version == number);
        own.map(|(_, lack)| lack.clone()).take(limit).collect()
    }

    pub(super) fn fill_lacks(&mut self, number: u32, lacks: &[Lack]) {
        for lack in lacks {
            let key = (number, lack.id.clone());
            if self.lacks.get(&key).is_some_and(|there| there.version <= lack.version) {
                self.lacks.remove(&key);
            }
        }
    }
}
