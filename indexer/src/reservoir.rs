//! A few of many that pass by, each with the same chance.

use crate::ambient;

/// Vitter's reservoir.
pub(crate) struct Reservoir<T> {
    most: usize,
    seen: u64,
    kept: Vec<T>,
}

impl<T> Reservoir<T> {
    /// Keeps so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, seen: 0, kept: Vec::new() }
    }

    /// One more passes by.
    pub(crate) fn pass(&mut self, one: T) {
        self.seen += 1;
        if self.kept.len() < self.most {
            self.kept.push(one);
            return;
        }
        let place = usize::try_from(ambient::below(self.seen)).unwrap_or(usize::MAX);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = one;
        }
    }

    /// How many have passed by.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Those that were kept.
    pub(crate) fn into_kept(self) -> Vec<T> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_same_chance() {
        let mut of_first_half = 0;
        for _ in 0..200 {
            let mut reservoir = Reservoir::new(10);
            (0..1_000).for_each(|number| reservoir.pass(number));
            assert_eq!(reservoir.seen(), 1_000);
            let kept = reservoir.into_kept();
            assert_eq!(kept.len(), 10);
            of_first_half += kept.into_iter().filter(|number| *number < 500).count();
        }
        // 1,000 on average, with a standard deviation of 32.
        assert!((800..1_200).contains(&of_first_half), "{of_first_half}");
    }
}
