//! A sum over the last ten minutes, of which only as many numbers are kept as the window has seconds.

use std::{
    collections::VecDeque,
    ops::{AddAssign, SubAssign},
    time::Duration,
};

use tokio::time::Instant;

/// How far back the guards look.
pub(super) const WINDOW: Duration = Duration::from_mins(10);

/// What comes within so long is one number.
const TICK: Duration = Duration::from_secs(1);

/// A sum in a sliding window. What came leaves it between `WINDOW` and `WINDOW + TICK` later, never sooner.
#[derive(Debug, Default)]
pub(super) struct Recent<T> {
    sum: T,
    ticks: VecDeque<Tick<T>>,
}

#[derive(Debug)]
struct Tick<T> {
    first: Instant,
    last: Instant,
    sum: T,
}

impl<T: Copy + AddAssign + SubAssign> Recent<T> {
    /// The sum of what came in the window that ends now.
    pub(super) fn sum(&mut self, now: Instant) -> T {
        while let Some(tick) = self.ticks.front().filter(|tick| now.duration_since(tick.last) > WINDOW) {
            self.sum -= tick.sum;
            self.ticks.pop_front();
        }
        self.sum
    }

    /// Adds what comes now.
    pub(super) fn add(&mut self, number: T, now: Instant) {
        self.sum += number;
        match self.ticks.back_mut().filter(|tick| now.duration_since(tick.first) < TICK) {
            Some(tick) => {
                tick.sum += number;
                tick.last = now;
            }
            None => self.ticks.push_back(Tick { first: now, last: now, sum: number }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_leaves_after_the_window_and_a_tick_at_the_latest() {
        let (mut recent, start) = (Recent::<usize>::default(), Instant::now());
        for tenth in 0..100 {
            recent.add(1, start + TICK * tenth / 10);
        }
        assert_eq!(recent.ticks.len(), 10, "a number a second");
        assert_eq!(recent.sum(start + WINDOW), 100);
        assert_eq!(recent.sum(start + WINDOW + TICK), 90);
        assert_eq!(recent.sum(start + 2 * WINDOW), 0);
    }
}
