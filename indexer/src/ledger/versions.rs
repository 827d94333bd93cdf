//! Index versions as the ledger knows them: their plans, how far each is, and the documents that one lacks.
//!
//! ```text
//! BUILDING ──> FILLING ──> READY ──> SERVED <──> KEPT ──> REMOVING
//!     └───────────┴──────────┴──> GIVEN_UP ─────────────────┘
//! ```
//! Every move is a compare-and-set, so that of two who move one version only one does. A version that lives is written by every
//! process; the served one answers searches and lookups.

use plan::{DocumentId, DocumentVersion, IndexPlan};
use serde::{Deserialize, Serialize};

use super::IndexVersion;

/// Documents that a version may lack before it is given up. Fewer are each a matter of the document; more would be fetched at
/// once when it is promoted.
pub const MAX_LACKS: usize = 1_000;

/// How far an index version is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", tag = "state")]
pub enum VersionState {
    /// It is made, and processes begin to write it.
    Building,
    /// What was written before it was made is copied from the served version, or a backfill brings it.
    Filling {
        /// The last document up to which all of the served version are there.
        cursor: Option<DocumentId>,
        /// How many there are.
        filled: u64,
    },
    /// It holds every document, and waits to be promoted.
    Ready,
    /// Searches are answered from it.
    Served,
    /// It was served, and is still written, so that it can be served again.
    Kept,
    /// It could not be brought to hold every document, and is written no more.
    GivenUp {
        /// Why.
        reason: String,
    },
    /// It is written no more, and is removed as soon as every process knows that.
    Removing,
}

/// An index version, and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownVersion {
    /// Its number and its plan.
    pub version: IndexVersion,
    /// How far it is.
    pub state: VersionState,
}

/// A document that a version doesn't hold as new as the served version does, because a write of it failed there alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// The document.
    pub id: DocumentId,
    /// The version of the write that failed.
    pub version: DocumentVersion,
    /// Why it failed.
    pub reason: String,
}

impl VersionState {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Building => "BUILDING",
            Self::Filling { .. } => "FILLING",
            Self::Ready => "READY",
            Self::Served => "SERVED",
            Self::Kept => "KEPT",
            Self::GivenUp { .. } => "GIVEN_UP",
            Self::Removing => "REMOVING",
        }
    }

    /// Whether every process writes it.
    pub fn is_live(&self) -> bool {
        match self {
            Self::Building | Self::Filling { .. } | Self::Ready | Self::Served | Self::Kept => true,
            Self::GivenUp { .. } | Self::Removing => false,
        }
    }

    /// Whether it was made and never served, so that another plan may take its place.
    pub fn is_new(&self) -> bool {
        match self {
            Self::Building | Self::Filling { .. } | Self::Ready | Self::GivenUp { .. } => true,
            Self::Served | Self::Kept | Self::Removing => false,
        }
    }

    /// Whether it holds every document, so that it may be served.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Ready | Self::Served | Self::Kept)
    }
}

impl KnownVersion {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.version.version
    }

    /// Its plan.
    pub fn plan(&self) -> &IndexPlan {
        &self.version.plan
    }
}

/// The served one of these versions, if any is.
pub fn served(versions: &[KnownVersion]) -> Option<&KnownVersion> {
    versions.iter().find(|known| known.state == VersionState::Served)
}

/// The plans of the served version, and of each that lives and has another query.
pub(crate) fn served_and_others(versions: &[KnownVersion]) -> impl Iterator<Item = &IndexPlan> {
    let served = served(versions).map(KnownVersion::plan);
    let is_other = move |plan: &&IndexPlan| {
        served.is_some_and(|served| served.fetch.query_hash != plan.fetch.query_hash)
    };
    let live = versions.iter().filter(|known| known.state.is_live()).map(KnownVersion::plan);
    served.into_iter().chain(live.filter(is_other))
}

/// The versions that every process writes, the served one first: what a process works by until it changes.
pub fn live(states: &[(u32, VersionState)]) -> Vec<u32> {
    let mut live: Vec<_> = states.iter().filter(|(_, state)| state.is_live()).collect();
    live.sort_by_key(|(number, state)| (*state != VersionState::Served, *number));
    live.into_iter().map(|(number, _)| *number).collect()
}
