//! Stops a process between two polls, as a signal stops it between two instructions: nothing in it moves, its time goes on.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// Holds everything that passes its gate, for a while or for ever. Clones are one freezer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Freezer(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    is_frozen: bool,
    wakers: Vec<Waker>,
}

impl Freezer {
    /// Runs a future that stands still while this is frozen.
    pub(crate) async fn gate<F: Future>(self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|context| if self.holds(context) { Poll::Pending } else { work.as_mut().poll(context) }).await
    }

    /// Stops everything. What is never thawed was killed.
    pub(super) fn freeze(&self) {
        self.held().is_frozen = true;
    }

    /// Lets everything go on from where it stands.
    pub(super) fn thaw(&self) {
        let mut held = self.held();
        held.is_frozen = false;
        held.wakers.drain(..).for_each(Waker::wake);
    }

    fn holds(&self, context: &Context<'_>) -> bool {
        let mut held = self.held();
        if held.is_frozen {
            held.wakers.push(context.waker().clone());
        }
        held.is_frozen
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
