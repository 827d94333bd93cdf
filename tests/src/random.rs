//! Chance that a seed decides: the same on every machine, and in every run of a test that prints its seed.

/// Steele and Vigna's `SplitMix64`.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The chance of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// A place in something so long, which is not empty.
    pub fn place_in(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("a place is no larger than a length")
    }

    /// One of these, of which there is one at least.
    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.place_in(of.len())]
    }
}
