//! What provision would do, thing by thing, and as a set that can be saved, read by people, and made later.

use std::fmt;

use plan::IndexPlan;
use serde::{Deserialize, Serialize};

use super::version::{has_other_query, has_other_root, is_apart};
use crate::StateError;

/// The layout of a saved change set; a set of another layout is refused.
const FORMAT: u32 = 1;

/// What provision does to one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// What kind of thing it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Why.
    pub reasons: Vec<String>,
}

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Add,
    /// It is changed in place.
    Change,
    /// It can't be changed in place: another one is to be made beside it and filled.
    Rebuild,
    /// It is removed.
    Remove,
    /// It is as it should be.
    None,
}

/// A kind of thing that provision makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The SQLite file of log and ledger.
    #[serde(rename = "state file")]
    StateFile,
    /// The hidden index of what processes share.
    Ledger,
    /// The plan that `run` runs, and what it is stored as.
    #[serde(rename = "index version")]
    IndexVersion,
    /// The settings and analyzers of the index.
    #[serde(rename = "component template")]
    ComponentTemplate,
    /// The mapping of the index.
    #[serde(rename = "index template")]
    IndexTemplate,
    /// An index on a search server.
    Index,
    /// The name that searches go through.
    Alias,
    /// A topic of Kafka.
    Topic,
    /// A subject of the schema registry.
    Subject,
}

/// Changes with the plan that they are for, as `plan --out` saves them. It holds names and reasons; addresses and
/// credentials stand in the configuration alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSet {
    /// The layout of this.
    format: u32,
    /// The index.
    pub index: String,
    /// The hash of the plan that is provisioned by it.
    pub plan_hash: String,
    /// The changes, in the order in which things were compared.
    pub changes: Vec<Change>,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StateFile => "state file",
            Self::Ledger => "ledger",
            Self::IndexVersion => "index version",
            Self::ComponentTemplate => "component template",
            Self::IndexTemplate => "index template",
            Self::Index => "index",
            Self::Alias => "alias",
            Self::Topic => "topic",
            Self::Subject => "subject",
        })
    }
}

impl Change {
    /// A change; without a reason the thing is as it should be.
    pub(super) fn of(kind: Kind, name: &str, action: Action, reasons: Vec<String>) -> Self {
        let action = if reasons.is_empty() { Action::None } else { action };
        Self { action, kind, name: name.to_owned(), reasons }
    }

    /// A thing that isn't there.
    pub(super) fn missing(kind: Kind, name: &str) -> Self {
        Self::of(kind, name, Action::Add, vec!["it does not exist".to_owned()])
    }
}

impl ChangeSet {
    /// The changes that this plan needs.
    pub fn new(plan: &IndexPlan, changes: Vec<Change>) -> Self {
        Self { format: FORMAT, index: plan.name.clone(), plan_hash: plan.hash(), changes }
    }

    /// Reads a saved set; an error says why it is none.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let set: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match set.format {
            FORMAT => Ok(set),
            found => Err(format!("it has layout {found}, this program writes layout {FORMAT}")),
        }
    }

    /// Checks that a saved set is what would be made now, else says what differs.
    pub fn check(&self, saved: &Self) -> Result<(), StateError> {
        let stale = |reason: String| Err(StateError::StaleChanges(reason));
        if saved.index != self.index {
            return stale(format!("it is of the index {:?}, these files make {:?}", saved.index, self.index));
        }
        if saved.plan_hash != self.plan_hash {
            let (saved, now) = (&saved.plan_hash, &self.plan_hash);
            return stale(format!("it is of the plan {saved}, the files make the plan {now} by now"));
        }
        let news = self.changes.iter().find(|change| !saved.changes.contains(change));
        let gone = || saved.changes.iter().find(|change| !self.changes.contains(change));
        match news.or_else(gone) {
            Some(other) => stale(format!("the {} {} is not as it was", other.kind, other.name)),
            None => Ok(()),
        }
    }
}

/// Whether the documents of an index version that these changes make come from the graph alone, by a backfill.
pub fn fills_from_graph(changes: &[Change]) -> bool {
    let is_first = |change: &Change| change.kind == Kind::IndexVersion && change.action == Action::Add;
    needs_backfill(changes) || changes.iter().any(is_first)
}

/// Refuses what can't be changed in place, but for an index version that can be written beside the served one.
pub fn refuse_rebuilds(changes: &[Change]) -> Result<(), StateError> {
    let is_refused = |change: &&Change| {
        let is_beside = change.kind == Kind::IndexVersion && !has_other_root(change) && !is_apart(change);
        change.action == Action::Rebuild && !is_beside
    };
    let Some(rebuild) = changes.iter().find(is_refused) else { return Ok(()) };
    let (version, reason) = (rebuild.name.clone(), rebuild.reasons.join("; "));
    Err(match rebuild.kind {
        Kind::IndexVersion if has_other_root(rebuild) => StateError::OtherRoot { version, reason },
        Kind::IndexVersion => StateError::NeedsNewVersion { version, reason },
        kind => StateError::NotInPlace { what: format!("{kind} {}", rebuild.name), reason },
    })
}

/// Whether these changes make an index version of another query, beside the served one.
pub fn needs_backfill(changes: &[Change]) -> bool {
    changes.iter().any(|change| {
        change.kind == Kind::IndexVersion && change.action == Action::Rebuild && has_other_query(change)
    })
}

/// Says why a documents log, or its subject, is a new one: it belongs to one query.
pub(super) fn explain_documents_log(changes: &mut [Change], topic: &str) {
    if !needs_backfill(changes) {
        return;
    }
    let is_of_log = |change: &&mut Change| {
        matches!(change.kind, Kind::Topic | Kind::Subject)
            && change.action == Action::Add
            && change.name.starts_with(topic)
    };
    for change in changes.iter_mut().filter(is_of_log) {
        change.reasons.push(
            "a documents log belongs to one query, whose hash is in its name; the one before is written on \
             while an index version has its query"
                .to_owned(),
        );
    }
}
