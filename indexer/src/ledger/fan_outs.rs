//! Wide fan-outs: keys whose roots are too many for the live lane, and how far their roots are in the throttled one.
//!
//! For a source there is at most one run at a time, and one set of keys that wait for the next: the contract of Kubernetes'
//! workqueue. Whatever is asked for while a run goes on is never taken for done by it, for its first pages were read before.

use std::collections::{BTreeMap, btree_map};

use plan::DocumentId;
use serde::{Deserialize, Serialize};

use crate::{log::Ends, revision::Revision};

/// Keys that may wait for the next run of a source; then the source waits, too. A row of so many is some 400 KB.
pub const MAX_WAITING: usize = 10_000;

/// Whose fan-outs a row is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fanning {
    /// The source whose events told of the keys.
    pub source: String,
    /// Where their roots are found.
    pub found_in: FoundIn,
}

/// Where the roots of a key are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundIn {
    /// The index, by the reverse lookup.
    Index,
    /// The graph, by the back-reference query.
    Graph,
}

impl FoundIn {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Graph => "graph",
        }
    }
}

/// How the roots of a key are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WideKey {
    /// The page to begin with: a root's id in the index, a cursor's JSON of the graph. What comes before it was asked for
    /// after the same barrier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The version that the roots must show of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
}

/// Keys whose roots are asked for together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WideKeys {
    /// Each once.
    pub keys: BTreeMap<DocumentId, WideKey>,
    /// When the newest of their changes happened, milliseconds of Unix time.
    pub event_at: Option<i64>,
}

impl WideKeys {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Asks for a key, too. Asked for twice, it begins where both do, or else with its first page.
    pub fn add(&mut self, id: DocumentId, wide: WideKey) {
        match self.keys.entry(id) {
            btree_map::Entry::Vacant(place) => drop(place.insert(wide)),
            btree_map::Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.from = known.from.take().filter(|from| wide.from.as_ref() == Some(from));
                known.revision = match (known.revision, wide.revision) {
                    (Some(one), Some(other)) => Some(one.later(other)),
                    (one, other) => one.or(other),
                };
            }
        }
    }

    /// Asks for all of the others, too.
    pub fn merge(&mut self, others: Self) {
        self.event_at = self.event_at.max(others.event_at);
        others.keys.into_iter().for_each(|(id, wide)| self.add(id, wide));
    }
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanOutRun {
    /// Counts the runs of this source from 1, so that nobody takes one for another.
    pub number: u64,
    /// What it goes through.
    pub wanted: WideKeys,
    /// How many groups of its keys are done.
    pub groups: usize,
    /// The page of the group after those to go on with; `None`: the one that it begins with.
    pub after: Option<String>,
    /// Roots that were appended.
    pub roots: u64,
    /// Where the throttled lane ended after the last of them; `None` before.
    pub through: Option<Ends>,
}

/// The fan-outs of one source, as a ledger keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanOuts {
    /// Whose.
    pub of: Fanning,
    /// How many runs there ever were.
    pub runs: u64,
    /// What goes on.
    pub running: Option<FanOutRun>,
    /// What comes next.
    pub waiting: WideKeys,
}

/// One step. Every one may be repeated, and by a process that was overtaken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FanOutStep {
    /// Asks for keys. Refused where too many wait.
    Ask(WideKeys),
    /// Begins the next run, unless one goes on.
    Begin,
    /// Notes how far a run is. Refused where it is over, or further.
    Save(FanOutRun),
    /// The documents of the run of this number are rebuilt.
    End(u64),
}

impl FanOuts {
    /// Nothing was ever asked for.
    pub fn new(of: Fanning) -> Self {
        Self { of, runs: 0, running: None, waiting: WideKeys::default() }
    }

    /// Whether nothing is left to be done.
    pub fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_empty()
    }

    /// Whether the roots of this key are asked for and not all rebuilt.
    pub fn holds(&self, key: &DocumentId) -> bool {
        let running = self.running.as_ref().map(|run| &run.wanted);
        running.into_iter().chain([&self.waiting]).any(|wanted| wanted.keys.contains_key(key))
    }

    /// Takes a step; says whether it was not refused.
    pub fn take(&mut self, step: FanOutStep) -> bool {
        match step {
            FanOutStep::Ask(wanted) => {
                let new = wanted.keys.keys().filter(|key| !self.waiting.keys.contains_key(*key)).count();
                let is_refused = !self.waiting.is_empty() && self.waiting.keys.len() + new > MAX_WAITING;
                if !is_refused {
                    self.waiting.merge(wanted);
                }
                !is_refused
            }
            FanOutStep::Begin => {
                if self.running.is_none() && !self.waiting.is_empty() {
                    self.runs += 1;
                    self.running = Some(FanOutRun {
                        number: self.runs,
                        wanted: std::mem::take(&mut self.waiting),
                        groups: 0,
                        after: None,
                        roots: 0,
                        through: None,
                    });
                }
                true
            }
            FanOutStep::Save(run) => {
                let is_next = |known: &&mut FanOutRun| {
                    let is_open = known.through.is_none() || known.through == run.through;
                    known.number == run.number && known.roots <= run.roots && is_open
                };
                self.running.as_mut().filter(is_next).map(|known| *known = run).is_some()
            }
            FanOutStep::End(number) => self.running.take_if(|run| run.number == number).is_some(),
        }
    }
}
