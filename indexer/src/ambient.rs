//! What a process takes from its machine: the time of day, and chance. A simulation brings its own of both.

/// Milliseconds since the epoch of Unix, for what people read. Order and versions never come from it.
pub(crate) fn now_ms() -> i64 {
    #[cfg(test)]
    if let Some(now) = simulated::now_ms() {
        return now;
    }
    jiff::Timestamp::now().as_millisecond()
}

/// A factor near 1, so that those who wait for the same thing don't come back together.
pub(crate) fn jitter() -> f64 {
    #[cfg(test)]
    if let Some(jitter) = simulated::jitter() {
        return jitter;
    }
    rand::random_range(JITTER)
}

/// A number from 0 on, below `bound`, which is at least 1.
pub(crate) fn below(bound: u64) -> u64 {
    #[cfg(test)]
    if let Some(number) = simulated::below(bound) {
        return number;
    }
    rand::random_range(0..bound)
}

const JITTER: std::ops::Range<f64> = 0.75..1.25;

/// The time and the chance of one simulation: of its thread, and of nobody else.
#[cfg(test)]
pub(crate) mod simulated {
    use std::{cell::RefCell, time::Duration};

    use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
    use tokio::time::Instant;

    struct Machine {
        started: Instant,
        chance: StdRng,
    }

    thread_local! {
        static MACHINE: RefCell<Option<Machine>> = const { RefCell::new(None) };
    }

    /// When every simulation begins, in milliseconds of Unix time.
    const BEGINNING: i64 = 1_700_000_000_000;

    /// Gives this thread the time of its paused runtime and the chance of a seed, until the guard is dropped.
    pub(crate) fn begin(seed: u64) -> Guard {
        let machine = Machine { started: Instant::now(), chance: StdRng::seed_from_u64(seed) };
        MACHINE.with(|slot| slot.replace(Some(machine)));
        Guard
    }

    /// Ends the simulation's hold of its thread.
    pub(crate) struct Guard;

    impl Drop for Guard {
        fn drop(&mut self) {
            MACHINE.with(|slot| slot.replace(None));
        }
    }

    /// How long the machine of the simulation runs.
    pub(crate) fn since_boot() -> Option<Duration> {
        MACHINE.with_borrow(|machine| Some(machine.as_ref()?.started.elapsed()))
    }

    pub(super) fn now_ms() -> Option<i64> {
        let passed = since_boot()?.as_millis();
        Some(BEGINNING + i64::try_from(passed).expect("a simulation is short"))
    }

    pub(super) fn below(bound: u64) -> Option<u64> {
        MACHINE.with_borrow_mut(|machine| Some(machine.as_mut()?.chance.random_range(0..bound)))
    }

    pub(super) fn jitter() -> Option<f64> {
        MACHINE.with_borrow_mut(|machine| Some(machine.as_mut()?.chance.random_range(super::JITTER)))
    }
}
