//! Figures with their uncertainty: what is likely, and the interval that holds in nine of ten cases.

use serde::Serialize;

/// A figure that was extrapolated from a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// The likeliest value.
    pub likely: f64,
    /// Where the 90 % interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

/// Quantiles of Student's t for a two-sided 90 % interval, by degrees of freedom.
const STUDENT: [(usize, f64); 17] = [
    (1, 6.314),
    (2, 2.920),
    (3, 2.353),
    (4, 2.132),
    (5, 2.015),
    (6, 1.943),
    (7, 1.895),
    (8, 1.860),
    (9, 1.833),
    (10, 1.812),
    (12, 1.782),
    (15, 1.753),
    (20, 1.725),
    (30, 1.697),
    (60, 1.671),
    (120, 1.658),
    (1_000, 1.646),
];

/// The same of the normal distribution.
const NORMAL: f64 = 1.645;

/// A single value has no spread: it may be off by this factor, either way.
const ALONE: f64 = 2.0;

impl Range {
    /// A figure that is known.
    pub fn exact(value: f64) -> Self {
        Self { likely: value, low: value, high: value }
    }

    /// The mean of a population of which these values are a random sample. A sample that is all of it is exact.
    pub fn mean(values: &[f64], population: f64) -> Self {
        let n = count(values.len());
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        if n >= population {
            return Self::exact(mean);
        }
        if values.len() < 2 {
            return Self { likely: mean, low: mean / ALONE, high: mean * ALONE };
        }
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        // What was looked at already can't be otherwise.
        let unseen = ((population - n) / (population - 1.0)).max(0.0);
        let half = student(values.len() - 1) * (variance / n * unseen).sqrt();
        Self { likely: mean, low: (mean - half).max(0.0), high: mean + half }
    }

    /// The share of a population that has what `hits` of `sample` have: Wilson's interval, which holds for few hits, too.
    pub fn share(hits: usize, sample: usize, population: f64) -> Self {
        if sample == 0 {
            return Self { likely: 0.0, low: 0.0, high: 1.0 };
        }
        let (n, share) = (count(sample), count(hits) / count(sample));
        if n >= population {
            return Self::exact(share);
        }
        let z2 = NORMAL * NORMAL;
        let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = NORMAL / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
        Self {
            likely: share,
            low: (middle - half).clamp(0.0, share),
            high: (middle + half).clamp(share, 1.0),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { likely: self.likely + other.likely, low: self.low + other.low, high: self.high + other.high }
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { likely: self.likely * factor, low: self.low * factor, high: self.high * factor }
    }

    /// The product of two figures, neither below 0.
    #[must_use]
    pub fn by(self, other: Self) -> Self {
        let Self { likely, low, high } = other;
        Self { likely: self.likely * likely, low: self.low * low, high: self.high * high }
    }

    /// Whichever of two is larger, end by end.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        let Self { likely, low, high } = other;
        Self { likely: self.likely.max(likely), low: self.low.max(low), high: self.high.max(high) }
    }

    /// In whole things.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { likely: self.likely.round(), low: self.low.floor(), high: self.high.ceil() }
    }

    /// Whether a value lies in the interval.
    pub fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// A count as a figure. Past 2^53 it is rounded.
#[expect(clippy::cast_precision_loss, reason = "figures of an estimate")]
pub(super) fn count(things: usize) -> f64 {
    things as f64
}

/// The quantile of the largest known degrees of freedom that are no more than these, which is never too small.
fn student(freedom: usize) -> f64 {
    let known = STUDENT.iter().rev().find(|(known, _)| *known <= freedom);
    known.map_or(STUDENT[0].1, |(_, quantile)| *quantile)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn a_whole_population_leaves_no_doubt() {
        assert_eq!(Range::mean(&[1.0, 2.0, 3.0], 3.0), Range::exact(2.0));
        assert_eq!(Range::share(1, 4, 4.0), Range::exact(0.25));
        let alone = Range::mean(&[10.0], 100.0);
        assert_eq!((alone.low, alone.high), (5.0, 20.0));
        let nobody = Range::share(0, 100, 1e6);
        assert_eq!((nobody.likely, nobody.low), (0.0, 0.0));
        assert!(
            (0.02..0.03).contains(&nobody.high),
            "{nobody:?}: none of a hundred may still be two in a hundred"
        );
    }

    /// The intervals hold as often as they say: nine times of ten, give or take what chance does.
    #[test]
    fn nine_of_ten_intervals_hold() {
        let mut chance = StdRng::seed_from_u64(11);
        let sizes: Vec<f64> = (0..4_000).map(|_| chance.random_range(100.0_f64..2_000.0)).collect();
        let truth = sizes.iter().sum::<f64>() / count(sizes.len());
        let (mut means, mut shares) = (0, 0);
        for _ in 0..1_000 {
            let sample: Vec<f64> = (0..50).map(|_| sizes[chance.random_range(0..sizes.len())]).collect();
            means += u32::from(Range::mean(&sample, count(sizes.len())).holds(truth));
            let hits = (0..50).filter(|_| chance.random_range(0.0_f64..1.0) < 0.1).count();
            shares += u32::from(Range::share(hits, 50, 4_000.0).holds(0.1));
        }
        assert!((870..=930).contains(&means), "{means} of 1,000");
        assert!((850..=960).contains(&shares), "{shares} of 1,000");
    }
}
