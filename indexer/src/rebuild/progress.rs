//! How far a lane is complete: progress is committed only over a contiguous completed prefix of each partition.

use std::collections::{BTreeMap, BTreeSet};

use crate::log::Ends;

/// The entries of one lane that were read and aren't complete, by partition.
#[derive(Debug, Default)]
pub struct LaneProgress {
    partitions: BTreeMap<i32, Partition>,
    outstanding: usize,
}

#[derive(Debug)]
struct Partition {
    read: i64,
    committed: i64,
    outstanding: BTreeSet<i64>,
}

impl Partition {
    fn from_committed(committed: i64) -> Self {
        Self { read: committed, committed, outstanding: BTreeSet::new() }
    }

    /// The end of the completed prefix.
    fn complete(&self) -> i64 {
        self.outstanding.first().map_or(self.read, |first| first - 1)
    }
}

impl LaneProgress {
    /// A lane of which everything up to these positions is complete.
    pub fn from_committed(committed: Ends) -> Self {
        let partitions = committed.into_iter().map(|(number, at)| (number, Partition::from_committed(at)));
        Self { partitions: partitions.collect(), outstanding: 0 }
    }

    /// How many entries were read and aren't complete.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Notes that an entry was read; entries of a partition are read in order.
    pub fn note_read(&mut self, partition: i32, position: i64) {
        let partition =
            self.partitions.entry(partition).or_insert_with(|| Partition::from_committed(position - 1));
        partition.read = position;
        self.outstanding += usize::from(partition.outstanding.insert(position));
    }

    /// Notes that an entry is complete.
    pub fn complete(&mut self, partition: i32, position: i64) {
        if let Some(partition) = self.partitions.get_mut(&partition) {
            self.outstanding -= usize::from(partition.outstanding.remove(&position));
        }
    }

    /// The ends of the completed prefixes, where they are past what is committed.
    pub fn committable(&self) -> Ends {
        let moved =
            self.partitions.iter().filter(|(_, partition)| partition.complete() > partition.committed);
        moved.map(|(number, partition)| (*number, partition.complete())).collect()
    }

    /// How many positions a commit would move over.
    pub fn committable_count(&self) -> i64 {
        self.partitions.values().map(|partition| partition.complete() - partition.committed).sum()
    }

    /// Notes that everything up to here is durably complete.
    pub fn note_committed(&mut self, through: &Ends) {
        for (number, through) in through {
            if let Some(partition) = self.partitions.get_mut(number) {
                partition.committed = partition.committed.max(*through);
            }
        }
    }

    /// Whether every partition of this share is committed up to these ends.
    pub fn has_reached(&self, ends: &Ends) -> bool {
        let behind = |(number, partition): (&i32, &Partition)| {
            ends.get(number).is_some_and(|end| partition.committed < *end)
        };
        !self.partitions.iter().any(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_holds_the_commit_back() {
        let mut lane = LaneProgress::from_committed(Ends::from([(0, 10)]));
        [11, 13, 14].into_iter().for_each(|position| lane.note_read(0, position));
        lane.complete(0, 13);
        lane.complete(0, 14);
        assert_eq!(lane.committable(), Ends::new(), "11 is open");
        lane.complete(0, 11);
        assert_eq!((lane.committable(), lane.committable_count()), (Ends::from([(0, 14)]), 4));
        lane.note_committed(&Ends::from([(0, 14)]));
        assert_eq!(lane.committable(), Ends::new());
    }

    #[test]
    fn partitions_are_complete_each_by_itself() {
        let mut lane = LaneProgress::from_committed(Ends::from([(3, 4), (5, -1)]));
        [(3, 5), (5, 0), (5, 1)].into_iter().for_each(|(partition, at)| lane.note_read(partition, at));
        lane.complete(5, 0);
        lane.complete(5, 1);
        assert_eq!((lane.committable(), lane.outstanding()), (Ends::from([(5, 1)]), 1));
        lane.note_committed(&Ends::from([(5, 1)]));
        assert!(lane.has_reached(&Ends::from([(5, 1), (7, 9)])), "7 is another's");
        assert!(!lane.has_reached(&Ends::from([(3, 5)])));
    }
}
