//! Places at the gateway, and what it answered that is still being written: a batch gives its place to the next as soon as
//! its answer is there, so that gateway and store work at the same time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

/// Documents that may be on their way to the store behind the requests in flight, at the start.
const BEHIND: usize = 1_000;

/// The same at most. A fast server takes them in bulks of a thousand, which cost it two thirds of what bulks of 250 do.
const MOST_BEHIND: usize = 4_000;

/// The same at least, however slow the store is.
const FEWEST_BEHIND: usize = 100;

/// The same in bytes, for documents that are large.
pub(crate) const BEHIND_BYTES: usize = 16 << 20;

/// What is written within so long leaves room for more behind it. A live change waits no longer behind a backfill.
const SOON: Duration = Duration::from_millis(700);

/// What takes longer was too much at once for this store: the last of it might miss `graph.deadline`.
const LATE: Duration = Duration::from_secs(2);

/// The places of one rebuilding task. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug)]
struct Taken {
    places: usize,
    documents: usize,
    bytes: usize,
    /// How many documents may be behind.
    limit: usize,
}

impl Default for Taken {
    fn default() -> Self {
        Self { places: 0, documents: 0, bytes: 0, limit: BEHIND }
    }
}

/// What of a batch is behind.
#[derive(Debug, Clone, Copy)]
struct Behind {
    documents: usize,
    bytes: usize,
    since: Instant,
}

/// A batch's place, or what of it is behind; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    behind: Option<Behind>,
}

impl Places {
    /// Takes a place. How many there are is the caller's to know.
    pub(super) fn take(&self) -> Place {
        self.0.taken().places += 1;
        Place { shared: Arc::clone(&self.0), behind: None }
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        self.0.taken().places
    }

    /// Ends when a place was given to the next since this ended last.
    pub(super) async fn freed(&self) {
        self.0.freed.notified().await;
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Gives the place to the next batch, unless too much is on its way already: then that batch waits for this one's end.
    pub(super) fn answered(&mut self, documents: usize, bytes: usize) {
        let mut taken = self.shared.taken();
        let (all_documents, all_bytes) = (taken.documents + documents, taken.bytes + bytes);
        if all_documents > taken.limit || all_bytes > BEHIND_BYTES || self.behind.is_some() {
            return;
        }
        taken.places -= 1;
        (taken.documents, taken.bytes) = (all_documents, all_bytes);
        self.behind = Some(Behind { documents, bytes, since: Instant::now() });
        self.shared.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        let Some(Behind { documents, bytes, since }) = self.behind else {
            taken.places -= 1;
            return;
        };
        let took = since.elapsed();
        let is_needed = taken.documents > taken.limit / 2;
        if took > LATE {
            taken.limit = taken.limit.saturating_sub(documents).max(FEWEST_BEHIND);
        } else if took < SOON && is_needed {
            taken.limit = (taken.limit + documents).min(MOST_BEHIND);
        }
        taken.documents -= documents;
        taken.bytes -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_on_only_while_little_is_behind() {
        let places = Places::default();
        let (mut small, mut large, mut late) = (places.take(), places.take(), places.take());
        small.answered(BEHIND, 1);
        large.answered(1, BEHIND_BYTES + 1);
        late.answered(1, 1);
        assert_eq!(places.taken(), 2, "what is too much keeps its place");
        drop(small);
        late.answered(1, 1);
        assert_eq!(places.taken(), 1);
        drop((large, late));
        let taken = places.0.taken();
        assert_eq!((taken.places, taken.documents, taken.bytes), (0, 0, 0));
    }
    #[tokio::test(start_paused = true)]
    async fn as_much_is_behind_as_the_store_takes_in_time() {
        let places = Places::default();
        let write = async |documents: usize, took: Duration| {
            let mut all: Vec<Place> = (0..2 * MOST_BEHIND / documents).map(|_| places.take()).collect();
            all.iter_mut().for_each(|place| place.answered(documents, 1));
            tokio::time::sleep(took).await;
        };
        write(25, SOON / 2).await;
        let grown = places.0.taken().limit;
        assert!((BEHIND + 300..BEHIND + 400).contains(&grown), "{grown}: as long as half of it is in use");
        for _ in 0..9 {
            write(25, SOON / 2).await;
        }
        assert_eq!(places.0.taken().limit, MOST_BEHIND);
        write(25, LATE).await;
        assert_eq!(places.0.taken().limit, MOST_BEHIND, "it is not late yet");
        write(25, 2 * LATE).await;
        assert_eq!(places.0.taken().limit, FEWEST_BEHIND);
        write(FEWEST_BEHIND, SOON / 2).await;
        assert_eq!(places.0.taken().limit, 2 * FEWEST_BEHIND, "it grows again");
        assert_eq!(places.taken(), 0);
    }
}
