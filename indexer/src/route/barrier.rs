//! What a second lookup waits for: the end of every fetch that began before the event.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::rebuild::fetches::Fetches;

/// How the end of older fetches is known.
#[derive(Clone)]
pub enum Barrier {
    /// One process owns everything, so that its own older fetches are all there are.
    OwnFetches(Arc<Fetches>),
    /// Others fetch, too. Whatever they have not written within so many milliseconds of its start is thrown away; the longest of
    /// all processes, which may change.
    Deadline(Arc<AtomicU64>),
}

/// A moment: every fetch that began before it is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Up to the fetch of this number.
    Fetch(u64),
    /// Up to this time.
    Time(Instant),
}

impl Barrier {
    /// This moment.
    pub fn now(&self) -> Mark {
        match self {
            Self::OwnFetches(fetches) => Mark::Fetch(fetches.newest()),
            Self::Deadline(_) => Mark::Time(Instant::now()),
        }
    }

    /// Waits until no fetch that began before `mark` can be written any more.
    pub async fn passed(&self, mark: Mark) {
        match (self, mark) {
            (Self::OwnFetches(fetches), Mark::Fetch(number)) => fetches.all_ended(number).await,
            (Self::Deadline(longest), Mark::Time(at)) => {
                while !self.has_passed(mark) {
                    sleep_until(at + Duration::from_millis(longest.load(Ordering::Relaxed))).await;
                }
            }
            _ => unreachable!("a mark is of the barrier that it is handed to"),
        }
    }

    /// Whether [`Barrier::passed`] would not wait.
    pub fn has_passed(&self, mark: Mark) -> bool {
        match (self, mark) {
            (Self::OwnFetches(fetches), Mark::Fetch(number)) => fetches.have_ended(number),
            (Self::Deadline(longest), Mark::Time(at)) => {
                at.elapsed() >= Duration::from_millis(longest.load(Ordering::Relaxed))
            }
            _ => unreachable!("a mark is of the barrier that it is handed to"),
        }
    }
}
