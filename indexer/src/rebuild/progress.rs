//! How far a lane is complete: progress is committed only over a contiguous completed prefix.

use std::collections::BTreeSet;

/// The entries of one lane that were read and aren't complete, and where reading goes on.
#[derive(Debug)]
pub struct LaneProgress {
    read: i64,
    committed: i64,
    outstanding: BTreeSet<i64>,
}

impl LaneProgress {
    /// A lane of which everything up to this position is complete.
    pub fn from_committed(committed: i64) -> Self {
        Self { read: committed, committed, outstanding: BTreeSet::new() }
    }

    /// The position that reading goes on after.
    pub fn read(&self) -> i64 {
        self.read
    }

    /// The position up to which completion is durable.
    pub fn committed(&self) -> i64 {
        self.committed
    }

    /// How many entries were read and aren't complete.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Notes that an entry was read; entries are read in order.
    pub fn note_read(&mut self, position: i64) {
        self.read = position;
        self.outstanding.insert(position);
    }

    /// Notes that an entry is complete.
    pub fn complete(&mut self, position: i64) {
        self.outstanding.remove(&position);
    }

    /// The end of the completed prefix, where it is past what is committed.
    pub fn committable(&self) -> Option<i64> {
        let end = self.outstanding.first().map_or(self.read, |first| first - 1);
        (end > self.committed).then_some(end)
    }

    /// Notes that everything up to here is durably complete.
    pub fn note_committed(&mut self, through: i64) {
        self.committed = self.committed.max(through);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_holds_the_commit_back() {
        let mut lane = LaneProgress::from_committed(10);
        [11, 13, 14].into_iter().for_each(|position| lane.note_read(position));
        lane.complete(13);
        lane.complete(14);
        assert_eq!(lane.committable(), None, "11 is open");
        lane.complete(11);
        assert_eq!(lane.committable(), Some(14));
        lane.note_committed(14);
        assert_eq!(lane.committable(), None);
    }
}
