//! The guard against an emptied index: too many documents gone at once, without events that said so.

use tokio::time::Instant;

use super::recent::{Recent, WINDOW};

/// Fewer than this many in a window never alarm: small indexes lose documents, too.
const ALWAYS_ALLOWED: usize = 50;

/// Counts fetched and unexplained gone documents in a sliding window.
#[derive(Debug)]
pub struct GoneGuard {
    max_share: f64,
    fetched: Recent<usize>,
    gone: Recent<usize>,
    trusted_until: Option<Instant>,
}

impl GoneGuard {
    /// A guard that allows this share (0 to 1) of the fetched documents to be gone.
    pub fn new(max_share: f64) -> Self {
        Self { max_share, fetched: Recent::default(), gone: Recent::default(), trusted_until: None }
    }

    /// Notes a batch and says whether its gone documents may be believed. What is refused isn't counted, so that the same
    /// documents are judged alike when they are fetched again.
    pub fn admit(&mut self, fetched: usize, gone: usize, now: Instant) -> bool {
        let all_gone = self.gone.sum(now) + gone;
        let all_fetched = self.fetched.sum(now) + fetched;
        #[expect(clippy::cast_precision_loss, reason = "ten minutes of fetches are far below 2^52")]
        let share = all_gone as f64 / all_fetched.max(1) as f64;
        let is_trusted = self.trusted_until.is_some_and(|until| now < until);
        if !is_trusted && gone > 0 && all_gone > ALWAYS_ALLOWED && share > self.max_share {
            return false;
        }
        self.fetched.add(fetched, now);
        self.gone.add(gone, now);
        true
    }

    /// A person looked and said to go on: what is gone within the next window is believed.
    pub fn trust(&mut self, now: Instant) {
        self.trusted_until = Some(now + WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn many_gone_at_once_are_not_believed() {
        let (mut guard, now) = (GoneGuard::new(0.05), Instant::now());
        assert!(guard.admit(1_000, 50, now), "50 are always allowed, and 5 %");
        assert!(guard.admit(25, 1, now), "51 of 1,025 are below 5 %");
        assert!(!guard.admit(25, 25, now));
        assert!(guard.admit(25, 0, now), "what is found is always believed");
        assert!(guard.admit(25, 25, now + WINDOW + Duration::from_secs(1)), "the window moved on");
        let later = now + 3 * WINDOW;
        assert!(!guard.admit(1_000, 1_000, later));
        guard.trust(later);
        assert!(guard.admit(1_000, 1_000, later), "a person said so");
        assert!(!guard.admit(10_000, 1_000, later + 2 * WINDOW), "once");
    }
}
