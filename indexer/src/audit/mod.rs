//! Audit: is the index what the graph says? Ids and values are compared by hash, page by page, at a pace that the graph doesn't notice.
//!
//! Graph and index are never read at one moment, so a first difference is only a suspicion. It counts when it is still there,
//! the same, after everything that was on its way has arrived: past `audit.confirm_after`, past the longest `graph.deadline` of
//! all processes, and with the live lane complete up to where it ended at the first look. A document that was written, or that
//! changed in the graph, in between is looked at anew. To repair is to append the id to the log, and nothing else.

pub mod compare;
pub(crate) mod look;
pub mod report;
pub(crate) mod schedule;
mod suspects;
mod sweep;

use plan::{Code, DocumentId};
use serde::{Deserialize, Serialize};

pub use self::{
    compare::Difference,
    report::{FieldCount, Finding, Kind, Report},
    sweep::{Auditor, Gate, Sweep},
};
pub(crate) use self::{
    look::Look,
    suspects::{Arrived, Barrier},
};
use crate::{StateError, backfill::BackfillError, graph::GraphError};

/// Which audits there are; the ledger keeps the newest of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditKind {
    /// `audit.sample`: a few documents of the index all the time, one round after another.
    ScheduledSample,
    /// `audit.full`: every document of the index, and every id of the graph.
    ScheduledFull,
    /// Everything, because records of a source expired before they were read (`on_gap: audit`); what differs is fetched anew.
    AfterGap,
    /// A person's, some documents of the index.
    AskedSample,
    /// A person's, all of it.
    AskedFull,
}

impl AuditKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ScheduledSample, Self::ScheduledFull, Self::AfterGap, Self::AskedSample, Self::AskedFull];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScheduledSample => "scheduled_sample",
            Self::ScheduledFull => "scheduled_full",
            Self::AfterGap => "after_gap",
            Self::AskedSample => "asked_sample",
            Self::AskedFull => "asked_full",
        }
    }

    /// Whether it looks at everything.
    pub fn is_full(self) -> bool {
        matches!(self, Self::ScheduledFull | Self::AfterGap | Self::AskedFull)
    }
}

/// Where an audit goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Walk {
    /// Through the documents of the index, after this one.
    Index(Option<DocumentId>),
    /// Through the ids of the graph, from this cursor.
    Graph(Option<String>),
    /// Nowhere: everything was looked at.
    Over,
}

/// How far an audit is, and what it found by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its kind.
    pub kind: AuditKind,
    /// When it began, milliseconds of Unix time.
    pub started_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Where it goes on.
    pub walk: Walk,
    /// What it found.
    pub report: Report,
}

impl AuditRow {
    /// An audit that begins at the beginning.
    pub fn new(kind: AuditKind, started_at: i64) -> Self {
        Self { kind, started_at, ended_at: None, walk: Walk::Index(None), report: Report::default() }
    }

    /// Whether another row of its kind tells of a newer audit, or of more of this one.
    pub(crate) fn gives_way_to(&self, other: &Self) -> bool {
        match self.started_at == other.started_at {
            true => self.ended_at.is_none() && self.report.looked <= other.report.looked,
            false => self.started_at < other.started_at,
        }
    }
}

/// Why an audit doesn't go on.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The index, the log or the ledger.
    #[error(transparent)]
    State(#[from] StateError),
    /// The gateway doesn't answer at all.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The ids of the graph can't be enumerated.
    #[error(transparent)]
    Ids(#[from] BackfillError),
    /// It was stopped; the next process goes on.
    #[error("the audit was stopped")]
    Stopped,
}

impl AuditError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::State(error) | Self::Ids(BackfillError::State(error)) => error.code(),
            Self::Graph(error) | Self::Ids(BackfillError::Graph(error)) => error.code(),
            Self::Ids(BackfillError::File(_)) | Self::Stopped => plan::code::backfill::SS602,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::State(error) | Self::Ids(BackfillError::State(error)) => error.help(),
            Self::Graph(error) | Self::Ids(BackfillError::Graph(error)) => Some(error.help()),
            Self::Ids(BackfillError::File(_)) | Self::Stopped => None,
        }
    }
}

#[cfg(test)]
mod tests;
