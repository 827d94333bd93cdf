//! Turns at something that one can use at a time. Whoever is patient lets those go first who are in a hurry, for a while.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long anybody is patient: longer than a backfill waits for its own, which is two seconds, and shorter than the default of
/// `graph.deadline`, after which it would have fetched in vain.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is at it, and who waits. A mutex alone would let by whoever comes, as often as not the one who was just there.
#[derive(Debug)]
pub(super) struct Turns {
    patience: Duration,
    waiting: Mutex<Waiting>,
    /// Wakes one who is in a hurry, or one who is patient.
    hurried: Condvar,
    patient: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    is_taken: bool,
    hurried: usize,
}

/// Lasts until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    of: &'t Turns,
    is_patient: bool,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            patience: PATIENCE,
            waiting: Mutex::default(),
            hurried: Condvar::new(),
            patient: Condvar::new(),
        }
    }
}

impl Turns {
    /// Waits for a turn behind nobody but who is at it, and others in a hurry.
    pub(super) fn next(&self) -> Turn<'_> {
        self.hurry(self.waiting())
    }

    /// Waits for a turn behind all others.
    pub(super) fn when_nobody_hurries(&self) -> Turn<'_> {
        let (start, mut waiting) = (Instant::now(), self.waiting());
        while waiting.is_taken || waiting.hurried > 0 {
            let left = self.patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return self.hurry(waiting);
            }
            waiting = self.patient.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.is_taken = true;
        Turn { of: self, is_patient: true }
    }

    fn hurry<'t>(&'t self, mut waiting: MutexGuard<'t, Waiting>) -> Turn<'t> {
        waiting.hurried += 1;
        while waiting.is_taken {
            waiting = self.hurried.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.hurried -= 1;
        waiting.is_taken = true;
        Turn { of: self, is_patient: false }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Whether somebody in a hurry waits for its end. Who waited for long enough needn't end it for that.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_patient && self.of.waiting().hurried > 0
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.of.waiting();
        waiting.is_taken = false;
        if waiting.hurried > 0 { self.of.hurried.notify_one() } else { self.of.patient.notify_one() }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    /// Waits until so many are in a hurry.
    fn hurried(turns: &Turns, count: usize) {
        while turns.waiting().hurried < count {
            thread::yield_now();
        }
    }

    #[test]
    fn who_hurries_goes_before_who_was_there() {
        let turns = Turns::default();
        let (told, heard) = mpsc::channel();
        thread::scope(|scope| {
            let turn = turns.when_nobody_hurries();
            assert!(!turn.is_wanted());
            for _ in 0..3 {
                let (turns, told) = (&turns, told.clone());
                scope.spawn(move || {
                    let turn = turns.when_nobody_hurries();
                    told.send("patient").unwrap();
                    drop(turn);
                });
            }
            thread::sleep(Duration::from_millis(20));
            let (turns, told) = (&turns, told.clone());
            scope.spawn(move || {
                let turn = turns.next();
                told.send("hurried").unwrap();
                drop(turn);
            });
            hurried(turns, 1);
            assert!(turn.is_wanted());
        });
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["hurried", "patient", "patient", "patient"]);
    }

    #[test]
    fn nobody_is_patient_for_ever() {
        let turns = Turns { patience: Duration::from_millis(50), ..Turns::default() };
        let start = Instant::now();
        thread::scope(|scope| {
            let turn = turns.next();
            let patient = scope.spawn(|| turns.when_nobody_hurries());
            // Somebody in a hurry waits at all times.
            hurried(&turns, 1);
            assert!(start.elapsed() >= turns.patience, "it became one of them");
            drop(turn);
            assert!(!patient.join().unwrap().is_patient);
        });
        drop(turns.when_nobody_hurries());
    }

    #[test]
    fn a_panic_ends_a_turn() {
        let turns = Turns::default();
        let panicked = thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _turn = turns.next();
                    panic!("on purpose");
                })
                .join()
        });
        assert!(panicked.is_err());
        drop(turns.next());
    }
}
