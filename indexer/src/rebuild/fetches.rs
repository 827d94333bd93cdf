//! Which fetches are under way, by their number: what a reverse lookup's barrier waits for.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use plan::{DocumentVersion, Epoch};
use tokio::sync::Notify;

/// Hands out versions at fetch start and tells when every fetch up to a number has ended.
///
/// One process that owns everything may end a barrier as soon as its own older fetches are done; that is what this serves.
pub struct Fetches {
    running: Mutex<Running>,
    /// Wakes, in their order, those who wait for fetches to end.
    ended: Notify,
}

#[derive(Debug)]
struct Running {
    epoch: Epoch,
    started: u64,
    numbers: BTreeSet<u64>,
}

impl Default for Fetches {
    fn default() -> Self {
        let running = Running { epoch: Epoch::ZERO, started: 0, numbers: BTreeSet::new() };
        Self { running: Mutex::new(running), ended: Notify::new() }
    }
}

impl Fetches {
    /// Begins an epoch. What an earlier one left unfinished was abandoned, and will never be written under a version of this.
    pub fn enter(&self, epoch: Epoch) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.epoch = epoch;
        running.numbers.clear();
        self.ended.notify_waiters();
    }

    /// Starts a fetch: its number and its version.
    pub fn start(&self) -> (u64, DocumentVersion) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.started += 1;
        let number = running.started;
        running.numbers.insert(number);
        (number, DocumentVersion::new(running.epoch, number))
    }

    /// Ends fetches: each is written and acknowledged, or thrown away.
    pub fn end(&self, ended: impl IntoIterator<Item = u64>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for number in ended {
            running.numbers.remove(&number);
        }
        self.ended.notify_waiters();
    }

    /// The number of the newest fetch: one that starts later reads the graph as it is now or newer.
    pub fn newest(&self) -> u64 {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).started
    }

    /// Waits until every fetch up to this number has ended.
    pub async fn all_ended(&self, through: u64) {
        loop {
            // Who ends between the look and the wait is heard all the same.
            let ended = self.ended.notified();
            if self.have_ended(through) {
                return;
            }
            ended.await;
        }
    }

    /// Whether every fetch up to this number has ended.
    pub fn have_ended(&self, through: u64) -> bool {
        let oldest = self.running.lock().unwrap_or_else(PoisonError::into_inner).numbers.first().copied();
        oldest.is_none_or(|oldest| oldest > through)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_barrier_waits_for_the_oldest_fetch() {
        let fetches = Fetches::default();
        fetches.enter(Epoch::ZERO.next().unwrap());
        fetches.all_ended(fetches.newest()).await;
        let (first, version) = fetches.start();
        let (second, later) = fetches.start();
        assert!(later > version);
        let barrier = fetches.newest();
        let (third, _) = fetches.start();
        fetches.end([second, third]);
        let waiting = fetches.all_ended(barrier);
        tokio::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending(), "the first fetch still runs");
        fetches.end([first]);
        waiting.await;
    }
}
