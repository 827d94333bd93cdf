//! By when a fetch must be written, also where the machine sleeps in between.

use std::time::Duration;

use tokio::time::Instant;

/// The end of a fetch. Others count on it: what is not written by then is thrown away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    /// The end while the machine is awake, which is what can be waited for.
    pub(super) at: Instant,
    /// The same by the clock that goes on while it sleeps, as others' clocks do.
    since_boot: Duration,
}

impl Deadline {
    /// From now on.
    pub(super) fn after(time: Duration) -> Self {
        Self { at: Instant::now() + time, since_boot: since_boot() + time }
    }

    /// Whether it has passed, by either clock.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.at || since_boot() >= self.since_boot
    }
}

/// Time since the machine started, with what it slept: `Instant` leaves that out (`CLOCK_MONOTONIC`).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Duration {
    #[cfg(test)]
    if let Some(passed) = crate::ambient::simulated::since_boot() {
        return passed;
    }
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.try_into().expect("no time before the start")
}

/// Where no clock is known to count sleep, nothing is added to what `Instant` says.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn since_boot() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_machine_that_slept_is_late() {
        let deadline = Deadline::after(Duration::from_mins(1));
        assert!(!deadline.is_over());
        assert!(Deadline { since_boot: since_boot(), ..deadline }.is_over());
        assert!(Deadline { at: Instant::now(), ..deadline }.is_over());
    }
}
