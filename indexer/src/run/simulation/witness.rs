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
    /// What is in the documents logs, by their queries.
    appended: BTreeSet<(String, DocumentId, DocumentVersion)>,
    /// The version of each document that each index version holds.
    held_versions: BTreeMap<(u32, DocumentId), DocumentVersion>,
    /// Documents of which nobody knows whether an index version took the newest.
    doubtful: BTreeSet<(u32, DocumentId)>,
    /// Whether a process died or stood still: between two writes of a document, perhaps.
    is_interrupted: bool,
    /// The version of each document that searches have shown.
    shown: BTreeMap<DocumentId, DocumentVersion>,
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
    /// Documents that the index held already.
    pub unchanged: u64,
    pub superseded: usize,
    pub fenced: usize,
    pub held: usize,
    pub crashes: usize,
    pub zombies: usize,
    /// Runs of wide fan-outs.
    pub fan_outs: usize,
    /// Questions to the ledger that nobody heard an answer to.
    pub unheard: usize,
    /// Promotions and rollbacks of index versions.
    pub promotions: usize,
    /// Among them, to a version of another query.
    pub retemplatings: usize,
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.fetches += other.fetches;
        self.written += other.written;
        self.unchanged += other.unchanged;
        self.superseded += other.superseded;
        self.fenced += other.fenced;
        self.held += other.held;
        self.crashes += other.crashes;
        self.zombies += other.zombies;
        self.fan_outs += other.fan_outs;
        self.unheard += other.unheard;
        self.promotions += other.promotions;
        self.retemplatings += other.retemplatings;
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

    pub(super) fn logged(&mut self, query: &str, id: &DocumentId, version: DocumentVersion) {
        self.appended.insert((query.to_owned(), id.clone(), version));
    }

    /// What is written was appended to the documents log of its query before.
    pub(super) fn writing(&mut self, query: &str, id: &DocumentId, version: DocumentVersion) {
        if !self.appended.contains(&(query.to_owned(), id.clone(), version)) {
            self.broken.push(format!("{id} {version:?} is written, and not in the documents log"));
        }
    }

    /// What an index version holds of a document never goes back.
    pub(super) fn wrote(&mut self, number: u32, id: &DocumentId, version: DocumentVersion) {
        self.figures.written += 1;
        let before = self.held_versions.insert((number, id.clone()), version);
        if before.is_some_and(|before| before >= version) {
            self.broken.push(format!("{id} goes back from {before:?} to {version:?} in version {number}"));
        }
    }

    /// A write of these documents to an index version was not acknowledged.
    pub(super) fn doubted(&mut self, number: u32, ids: &[DocumentId]) {
        self.doubtful.extend(ids.iter().map(|id| (number, id.clone())));
    }

    /// What searches have shown of a document, and are to show from now on.
    pub(super) fn shown(&self) -> Vec<(DocumentId, DocumentVersion)> {
        self.shown.iter().map(|(id, version)| (id.clone(), *version)).collect()
    }

    /// A process dies, or stands still.
    pub(super) fn interrupts(&mut self) {
        self.is_interrupted = true;
    }

    /// What searches show of a document never goes back, whichever index version they are answered from: but where that one
    /// may lack the newest, or until somebody has fetched anew what a dead process wrote to one version alone.
    pub(super) fn shows(&mut self, number: u32, id: &DocumentId, version: Option<DocumentVersion>) {
        let before = self.shown.get(id).copied();
        if before > version && !self.is_interrupted && !self.doubtful.contains(&(number, id.clone())) {
            let fault = format!("searches show {version:?} of {id} in version {number} after {before:?}");
            self.broken.push(fault);
        }
        if let Some(version) = version {
            self.shown.insert(id.clone(), version);
        }
    }

    /// A document that searches have shown is deleted. Its tombstone goes with the last version that has one.
    pub(super) fn deleted(&mut self, id: &DocumentId) {
        self.shown.remove(id);
    }

    /// Some other rule is broken.
    pub(super) fn breaks(&mut self, fault: String) {
        self.broken.push(fault);
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
