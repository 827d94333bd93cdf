//! Places at the gateway, and what it answered that is still being written: a batch gives its place to the next as soon as
//! its answer is there, so that gateway and store work at the same time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Documents that may be on their way to the store behind the requests in flight. Enough for two bulks of a good size; more
/// would only keep a live change waiting, and the last of them might miss `graph.deadline` where the store is slow.
const BEHIND_DOCUMENTS: usize = 1_000;

/// The same in bytes, for documents that are large.
const BEHIND_BYTES: usize = 8 << 20;

/// The places of one rebuilding task. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    places: usize,
    documents: usize,
    bytes: usize,
}

/// A batch's place, or what of it is behind; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    shared: Arc<Shared>,
    behind: Option<(usize, usize)>,
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
        if all_documents > BEHIND_DOCUMENTS || all_bytes > BEHIND_BYTES || self.behind.is_some() {
            return;
        }
        *taken = Taken { places: taken.places - 1, documents: all_documents, bytes: all_bytes };
        self.behind = Some((documents, bytes));
        self.shared.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        match self.behind {
            Some((documents, bytes)) => {
                taken.documents -= documents;
                taken.bytes -= bytes;
            }
            None => taken.places -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_on_only_while_little_is_behind() {
        let places = Places::default();
        let (mut small, mut large, mut late) = (places.take(), places.take(), places.take());
        small.answered(BEHIND_DOCUMENTS, 1);
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
}
