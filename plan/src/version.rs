//! Document versions without clocks: the owner's epoch in the high bits, its count of fetch starts in the low.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bits of the counter: 2^40 fetch starts an epoch, 34 years at 1,000 a second.
const COUNTER_BITS: u32 = 40;

/// The largest epoch. A version must stay a positive 64-bit integer, the store's limit for external versions.
const MAX_EPOCH: u32 = (1 << (63 - COUNTER_BITS)) - 1;

/// One ownership of an id's partition. Taken by compare-and-set in the ledger, strictly growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(u32);

impl Epoch {
    /// The epoch before the first one.
    pub const ZERO: Epoch = Epoch(0);

    /// Reads an epoch as the ledger keeps it; `None` past 2^23 - 1.
    pub fn new(epoch: u32) -> Option<Self> {
        (epoch <= MAX_EPOCH).then_some(Self(epoch))
    }

    /// The epoch that follows; `None` when all are used.
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// The epoch as a number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// The version of a document: `epoch << 40 | counter`, where the counter grows with each fetch START.
///
/// A store accepts a version only where it is greater than the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentVersion(i64);

impl DocumentVersion {
    /// The version of the fetch that started as number `counter` of this epoch.
    pub fn new(epoch: Epoch, counter: u64) -> Self {
        assert!(counter < 1 << COUNTER_BITS, "an epoch counts at most 2^40 fetches");
        let high = i64::from(epoch.0) << COUNTER_BITS;
        Self(high | i64::try_from(counter).expect("below 2^40"))
    }

    /// Reads a version as a store keeps it.
    pub fn from_stored(version: i64) -> Self {
        Self(version)
    }

    /// The version as a store keeps it.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The epoch that wrote it.
    pub fn epoch(self) -> Epoch {
        Epoch(u32::try_from(self.0 >> COUNTER_BITS).unwrap_or(MAX_EPOCH))
    }
}

impl fmt::Display for DocumentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_epoch_is_newer_whatever_was_counted() {
        let first = Epoch::ZERO.next().unwrap();
        let second = first.next().unwrap();
        let last_of_first = DocumentVersion::new(first, (1 << COUNTER_BITS) - 1);
        assert!(DocumentVersion::new(second, 0) > last_of_first);
        assert_eq!(last_of_first.epoch(), first);
        assert!(DocumentVersion::new(Epoch::new(MAX_EPOCH).unwrap(), (1 << COUNTER_BITS) - 1).get() > 0);
        assert_eq!(Epoch::new(MAX_EPOCH).unwrap().next(), None);
    }
}
