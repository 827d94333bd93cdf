//! Sees what the servers see, and says where a rule of the design is broken, as soon as it is.

use std::collections::{BTreeMap, BTreeSet};

use plan::{DocumentId, DocumentVersion};
use tokio::time::Instant;

use crate::log::{Ends, Lane};

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Entries of each partition of a lane, at their positions.
    entries: BTreeMap<(Lane, i32), Vec<(DocumentId, Instant)>>,
    committed: BTreeMap<(Lane, i32), i64>,
    /// When fetches of a document began.
    fetches: BTreeMap<DocumentId, Vec<Instant>>,
    /// What is in the documents log.
    appended: BTreeSet<(DocumentId, DocumentVersion)>,
    /// The version of each document that can be seen.
    visible: BTreeMap<DocumentId, DocumentVersion>,
    /// When each subgraph was down last.
    down: BTreeMap<String, Instant>,
    /// Figures, to see that cases are worth their time.
    pub figures: Figures,
    broken: Vec<String>,
}

/// How often something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub events: usize,
    pub fetches: usize,
    pub written: usize,
    pub superseded: usize,
    pub fenced: usize,
    pub held: usize,
    pub crashes: usize,
    pub zombies: usize,
    /// Runs of wide fan-outs.
    pub fan_outs: usize,
    /// Questions to the ledger that nobody heard an answer to.
    pub unheard: usize,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.fetches += other.fetches;
        self.written += other.written;
        self.superseded += other.superseded;
        self.fenced += other.fenced;
        self.held += other.held;
        self.crashes += other.crashes;
        self.zombies += other.zombies;
        self.fan_outs += other.fan_outs;
        self.unheard += other.unheard;
    }
}

impl Witness {
    /// The first rule that was broken.
    pub(super) fn verdict(&self) -> Option<&str> {
        self.broken.first().map(String::as_str)
    }

    pub(super) fn appended(&mut self, lane: Lane, partition: i32, id: &DocumentId) {
        self.entries.entry((lane, partition)).or_default().push((id.clone(), Instant::now()));
    }

    pub(super) fn fetched(&mut self, ids: &[DocumentId]) {
        self.figures.fetches += ids.len();
        for id in ids {
            self.fetches.entry(id.clone()).or_default().push(Instant::now());
        }
    }

    /// What is committed was fetched after it was appended: no entry is ever taken for done by an older fetch, or passed over.
    pub(super) fn committed(&mut self, lane: Lane, through: &Ends) {
        for (partition, end) in through {
            let before = self.committed.insert((lane, *partition), *end).unwrap_or(-1);
            let entries = self.entries.get(&(lane, *partition)).map_or(&[][..], Vec::as_slice);
            for position in before + 1..=*end {
                let (id, appended) = &entries[usize::try_from(position).expect("positions count from 0")];
                let fetches = self.fetches.get(id).map_or(&[][..], Vec::as_slice);
                if !fetches.iter().any(|fetch| fetch >= appended) {
                    self.broken.push(format!(
                        "{lane:?} {partition}@{position} of {id} is committed, and was not fetched after it was appended"
                    ));
                }
            }
        }
    }

    pub(super) fn logged(&mut self, id: &DocumentId, version: DocumentVersion) {
        self.appended.insert((id.clone(), version));
    }

    /// What is written was appended to the documents log before.
    pub(super) fn writing(&mut self, id: &DocumentId, version: DocumentVersion) {
        if !self.appended.contains(&(id.clone(), version)) {
            self.broken.push(format!("{id} {version:?} is written, and not in the documents log"));
        }
    }

    /// What can be seen of a document never goes back.
    pub(super) fn wrote(&mut self, id: &DocumentId, version: DocumentVersion) {
        self.figures.written += 1;
        let before = self.visible.insert(id.clone(), version);
        if before.is_some_and(|before| before >= version) {
            self.broken.push(format!("{id} goes back from {before:?} to {version:?}"));
        }
    }

    pub(super) fn is_down(&mut self, subgraph: &str) {
        self.down.insert(subgraph.to_owned(), Instant::now());
    }

    /// Whoever is blamed for a held document was down while it was fetched.
    pub(super) fn held(&mut self, id: &DocumentId, subgraph: Option<&str>) {
        self.figures.held += 1;
        let suspects = subgraph.unwrap_or_default().trim_start_matches("one of ");
        if !suspects.is_empty() && !suspects.split(", ").any(|one| self.down.contains_key(one)) {
            self.broken.push(format!("{id} is held because of {suspects}, none of which was ever down"));
        }
    }
}
