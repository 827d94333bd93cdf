//! Rules of the design that are broken on purpose, one at a time, in the servers or on the way to them: a simulation that
//! doesn't notice proves nothing.

use std::collections::BTreeMap;

use plan::DocumentId;

/// A broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutant {
    /// The second lookup doesn't wait for older fetches.
    NoBarrier,
    /// One lookup, right after a refresh, and no second one.
    RefreshFirst,
    /// An entry that arrives while its document is fetched is taken for done by that fetch.
    MergeIntoRunning,
    /// A key that changes while it is fanned out is taken for done by that run.
    MergeIntoRun,
    /// The store keeps whatever was written last.
    LastWriteWins,
    /// The position of the newest entry is the version.
    OffsetAsVersion,
    /// The clock of the process at the start of the fetch is the version.
    ClockAsVersion,
    /// What failed is sent again until it is acknowledged, however late.
    ResendOnFailure,
    /// The newest position that was read is committed.
    CommitPastGap,
    /// What is gone is deleted with its version.
    NativeDelete,
    /// A null is a deletion, whatever error came with it.
    DeleteOnError,
    /// What is sent as it was sent last is not sent, whether that was acknowledged or not.
    SkipAsSent,
    /// What was acknowledged is not sent again, whoever has written since.
    SkipAcrossEpochs,
    /// What another index version than the searched one takes is there only later.
    CopyLater,
}

impl Mutant {
    /// All of them.
    pub(super) const ALL: [Self; 14] = [
        Self::SkipAsSent,
        Self::SkipAcrossEpochs,
        Self::CopyLater,
        Self::NoBarrier,
        Self::RefreshFirst,
        Self::MergeIntoRunning,
        Self::MergeIntoRun,
        Self::LastWriteWins,
        Self::OffsetAsVersion,
        Self::ClockAsVersion,
        Self::ResendOnFailure,
        Self::CommitPastGap,
        Self::NativeDelete,
        Self::DeleteOnError,
    ];
}

/// What the broken rules go by.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Documents that are being fetched, by how many requests.
    pub running: BTreeMap<DocumentId, usize>,
    /// The newest position that was read of each document.
    pub positions: BTreeMap<DocumentId, i64>,
}

impl Notes {
    pub(super) fn begin(&mut self, ids: &[DocumentId]) {
        ids.iter().for_each(|id| *self.running.entry(id.clone()).or_default() += 1);
    }

    pub(super) fn end(&mut self, ids: &[DocumentId]) {
        for id in ids {
            if let Some(count) = self.running.get_mut(id) {
                *count -= 1;
            }
        }
        self.running.retain(|_, count| *count > 0);
    }
}
