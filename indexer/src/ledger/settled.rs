//! Which records of the topic of dead letters are settled: ranges of offsets, for many are settled together.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

/// From where to where the partitions of a topic reach.
pub(crate) type Reach = BTreeMap<i32, Range<i64>>;

/// Settled offsets by partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Settled(BTreeMap<i32, Ranges>);

/// Offsets as ranges from the first to behind the last, in order, none touching another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ranges(Vec<(i64, i64)>);

impl Settled {
    /// Adds one record.
    pub(crate) fn insert(&mut self, partition: i32, offset: i64) {
        self.0.entry(partition).or_default().add(offset, offset + 1);
    }

    /// Adds what is known of a partition.
    pub(crate) fn insert_all(&mut self, partition: i32, ranges: &Ranges) {
        self.0.entry(partition).or_default().add_all(ranges);
    }

    /// Whether a record is settled.
    pub(crate) fn contains(&self, partition: i32, offset: i64) -> bool {
        self.0.get(&partition).is_some_and(|ranges| ranges.within(&(offset..offset + 1)) == 1)
    }

    /// How many offsets of a partition are not settled.
    pub(crate) fn open_within(&self, partition: i32, range: Range<i64>) -> u64 {
        let settled = self.0.get(&partition).map_or(0, |ranges| ranges.within(&range));
        u64::try_from(range.end - range.start - settled).unwrap_or(0)
    }

    /// The offset from which on `count` offsets of a partition are not settled; the beginning where there are fewer.
    pub(crate) fn reach_back(&self, partition: i32, range: Range<i64>, count: i64) -> i64 {
        let (mut at, mut wanted) = (range.end, count);
        for (from, to) in self.0.get(&partition).into_iter().flat_map(|ranges| ranges.0.iter().rev()) {
            let open = at - (*to).min(at);
            if open >= wanted {
                break;
            }
            wanted -= open;
            at = at.min(*from);
        }
        at.saturating_sub(wanted).max(range.start)
    }

    /// What is settled of a topic whose partitions reach so far.
    pub(crate) fn trimmed(mut self, reach: &Reach) -> Self {
        self.0.retain(|partition, ranges| {
            let range = reach.get(partition);
            range.inspect(|range| ranges.trim(range)).is_some()
        });
        self
    }

    /// The partitions with their ranges.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = (i32, &Ranges)> {
        self.0.iter().map(|(partition, ranges)| (*partition, ranges))
    }
}

impl Ranges {
    /// Adds other ranges.
    pub(crate) fn add_all(&mut self, others: &Self) {
        others.0.iter().for_each(|(from, to)| self.add(*from, *to));
    }

    /// Adds a range, which swallows those that it meets or touches.
    fn add(&mut self, from: i64, to: i64) {
        let first = self.0.partition_point(|(_, end)| *end < from);
        let behind = self.0.partition_point(|(start, _)| *start <= to);
        let met = &self.0[first..behind];
        let from = met.first().map_or(from, |(start, _)| from.min(*start));
        let to = met.last().map_or(to, |(_, end)| to.max(*end));
        self.0.splice(first..behind, [(from, to)]);
    }

    /// Forgets what the topic has deleted. A topic that ends before what was settled in it was made anew: nothing of it is.
    pub(crate) fn trim(&mut self, range: &Range<i64>) {
        if self.0.last().is_some_and(|(_, to)| *to > range.end) {
            self.0.clear();
        }
        self.0.retain(|(_, to)| *to > range.start);
        if let Some((from, _)) = self.0.first_mut() {
            *from = (*from).max(range.start);
        }
    }

    /// How many offsets of this range are among them.
    fn within(&self, range: &Range<i64>) -> i64 {
        self.0.iter().map(|(from, to)| ((*to).min(range.end) - (*from).max(range.start)).max(0)).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_say_what_a_set_says(offsets in prop::collection::vec(0..60_i64, 0..60), begin in 0..60_i64, count in 0..70_i64) {
            let (mut settled, mut set) = (Settled::default(), BTreeSet::new());
            for offset in offsets {
                settled.insert(3, offset);
                set.insert(offset);
            }
            for offset in 0..60 {
                prop_assert_eq!(settled.contains(3, offset), set.contains(&offset));
            }
            let open: Vec<i64> = (begin..60).filter(|offset| !set.contains(offset)).collect();
            prop_assert_eq!(settled.open_within(3, begin..60), open.len() as u64);
            let from = settled.reach_back(3, begin..60, count);
            let reached = open.iter().filter(|offset| **offset >= from).count();
            prop_assert_eq!(reached, open.len().min(usize::try_from(count).unwrap()));
            let mut ranges = settled.0.get(&3).cloned().unwrap_or_default();
            prop_assert!(ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{ranges:?}");
            ranges.trim(&(begin..60));
            let kept = i64::try_from(set.range(begin..).count()).unwrap();
            prop_assert_eq!(ranges.within(&(0..60)), kept);
            let last = ranges.0.last().map_or(0, |(_, to)| *to);
            ranges.trim(&(0..last - 1));
            prop_assert_eq!(ranges, Ranges::default());
        }
    }
}
