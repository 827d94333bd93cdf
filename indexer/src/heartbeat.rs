//! Whether the loops of a process move, which is what `/livez` answers by.
//!
//! A loop notes each round. One that waits for what others bring (an event, a server that is away, room in a queue) says so,
//! and counts as moving: to start the process anew would help nobody.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    task_local,
    time::{Duration, Instant},
};

task_local! {
    /// The loop that runs in this task.
    static CURRENT: Heartbeat;
}

/// The loops of a process. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heartbeats {
    loops: Arc<Mutex<Vec<Weak<Beats>>>>,
    /// Stops them all at once, as the system stops a process.
    #[cfg(test)]
    pub(crate) freezer: crate::run::simulation::freezer::Freezer,
}

/// The heartbeat of one loop. With the last clone of it the loop has ended.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    beats: Arc<Beats>,
    all: Heartbeats,
}

#[derive(Debug)]
struct Beats {
    name: String,
    newest: Mutex<Instant>,
    /// How many waits for others it is in.
    waits: AtomicUsize,
}

/// A loop that did not move for longer than it ever may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stalled {
    /// What it does.
    pub name: String,
    /// For how long it did not move.
    pub silent: Duration,
}

impl Heartbeats {
    /// A loop begins, and has moved.
    pub(crate) fn begin(&self, name: impl Into<String>) -> Heartbeat {
        let beats = Arc::new(Beats {
            name: name.into(),
            newest: Mutex::new(Instant::now()),
            waits: AtomicUsize::new(0),
        });
        let mut all = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&beats));
        Heartbeat { beats, all: self.clone() }
    }

    /// Loops that neither moved nor waited for others for longer than this.
    pub(crate) fn stalled(&self, bound: Duration) -> Vec<Stalled> {
        let all = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let running = all.iter().filter_map(Weak::upgrade);
        let awake = running.filter(|beats| beats.waits.load(Ordering::Relaxed) == 0);
        let silent = awake.map(|beats| Stalled { name: beats.name.clone(), silent: beats.silent() });
        silent.filter(|stalled| stalled.silent > bound).collect()
    }
}

impl Beats {
    fn silent(&self) -> Duration {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Heartbeat {
    /// Notes that the loop moved.
    pub(crate) fn beat(&self) {
        *self.beats.newest.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// As if the loop had moved last so long ago.
    #[cfg(test)]
    pub(crate) fn was_last_seen(&self, ago: Duration) {
        let then = Instant::now().checked_sub(ago).expect("the machine runs for longer");
        *self.beats.newest.lock().unwrap_or_else(PoisonError::into_inner) = then;
    }

    /// Waits on a thread for what others bring, however long that takes.
    #[cfg(feature = "kafka")]
    pub(crate) fn wait<T>(&self, others: impl FnOnce() -> T) -> T {
        let _wait = Wait::new(self.clone());
        others()
    }

    /// Runs the loop, which then finds its heartbeat by [`beat`] and [`waiting`].
    pub(crate) async fn drive<F: Future>(self, work: F) -> F::Output {
        #[cfg(test)]
        let work = self.all.freezer.clone().gate(work);
        CURRENT.scope(self, work).await
    }
}

/// Notes that the loop of this task moved. What isn't driven has no heartbeat, and nothing is noted.
pub(crate) fn beat() {
    let _ = CURRENT.try_with(Heartbeat::beat);
}

/// A loop begins beside the one of this task; nobody asks after it where that one has no heartbeat.
pub(crate) fn beside(name: impl Into<String>) -> Heartbeat {
    CURRENT.try_with(|current| current.all.clone()).unwrap_or_default().begin(name)
}

/// Waits for what others bring, however long that takes.
pub(crate) async fn waiting<F: Future>(others: F) -> F::Output {
    let _wait = CURRENT.try_with(Clone::clone).ok().map(Wait::new);
    others.await
}

/// Ends a wait even where its future is dropped.
struct Wait(Heartbeat);

impl Wait {
    fn new(heartbeat: Heartbeat) -> Self {
        heartbeat.beats.waits.fetch_add(1, Ordering::Relaxed);
        Self(heartbeat)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.beat();
        self.0.beats.waits.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const BOUND: Duration = Duration::from_mins(1);

    fn names(heartbeats: &Heartbeats) -> Vec<String> {
        heartbeats.stalled(BOUND).into_iter().map(|stalled| stalled.name).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_is_named_until_it_moves_or_ends() {
        let heartbeats = Heartbeats::default();
        let (stuck, moving) = (heartbeats.begin("stuck"), heartbeats.begin("moving"));
        advance(BOUND).await;
        assert!(names(&heartbeats).is_empty(), "the bound itself is still allowed");
        moving.beat();
        advance(Duration::from_secs(1)).await;
        assert_eq!(names(&heartbeats), ["stuck"]);
        stuck.beat();
        assert!(names(&heartbeats).is_empty());
        advance(BOUND * 2).await;
        assert_eq!(names(&heartbeats), ["stuck", "moving"]);
        drop(stuck);
        assert_eq!(names(&heartbeats), ["moving"]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_others_is_not_stuck() {
        let heartbeats = Heartbeats::default();
        let looping = heartbeats.begin("route").drive(async {
            waiting(sleep(BOUND * 10)).await;
            let batch = beside("batch");
            sleep(BOUND * 2).await;
            drop(batch);
        });
        let looping = tokio::spawn(looping);
        sleep(BOUND * 5).await;
        assert!(names(&heartbeats).is_empty(), "it waits");
        sleep(BOUND * 5 + BOUND / 2).await;
        assert!(names(&heartbeats).is_empty(), "what came was progress");
        sleep(BOUND).await;
        assert_eq!(names(&heartbeats), ["route", "batch"]);
        looping.await.unwrap();
        assert!(names(&heartbeats).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_given_up_is_over() {
        let heartbeats = Heartbeats::default();
        let looping = heartbeats.begin("route");
        let given_up = tokio::time::timeout(BOUND, looping.clone().drive(waiting(sleep(BOUND * 3)))).await;
        assert!(given_up.is_err() && names(&heartbeats).is_empty());
        advance(BOUND * 2).await;
        assert_eq!(names(&heartbeats), ["route"]);
    }
}
