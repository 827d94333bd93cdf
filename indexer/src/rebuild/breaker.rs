//! When the gateway may be asked: a breaker with growing, jittered pauses, and the pace of the backfill lane.

use std::time::Duration;

use tokio::time::Instant;

use crate::ambient;

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause. A gateway that heals is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The longest that a gateway is left alone because it asked for it. Some announce years.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// Closed while the gateway answers. After a failure everything waits, then one request probes.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    opened: Option<Instant>,
    open_until: Option<Instant>,
    /// Until when the gateway asked to be left alone.
    asked_until: Option<Instant>,
}

impl Breaker {
    /// Notes an answer, and says whether that ends the pause. One that the gateway asked for isn't ended by what was under way.
    pub fn succeed(&mut self, now: Instant) -> bool {
        if self.asked_until.is_some_and(|until| now < until) {
            return false;
        }
        *self = Self::default();
        true
    }

    /// Lets everything go on: somebody says so.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Notes a failure of a request that started at `started`; the pause is at least what the gateway asked for.
    pub fn fail(&mut self, started: Instant, retry_after: Option<Duration>, now: Instant) {
        // Requests that were under way when the breaker opened tell nothing new, however late they fail.
        if self.opened.is_some_and(|opened| started <= opened) {
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST_PAUSE);
        let jittered = pause.mul_f64(ambient::jitter());
        self.failures = self.failures.saturating_add(1);
        self.opened = Some(now);
        let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        self.asked_until = Some(now + asked);
        self.open_until = Some(now + jittered.max(asked));
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How many requests may be in flight now, of at most `limit`.
    pub fn allows(&self, limit: usize, now: Instant) -> usize {
        match self.open_until {
            None => limit,
            Some(until) if now < until => 0,
            Some(_) => 1,
        }
    }

    /// When the next probe is due.
    pub fn next_probe(&self, now: Instant) -> Option<Instant> {
        self.open_until.filter(|until| *until > now)
    }
}

/// A token bucket of documents: at most `rate` a second, with room for one second.
#[derive(Debug)]
pub struct Pace {
    rate: Option<f64>,
    tokens: f64,
    filled: Instant,
}

impl Pace {
    /// A pace of this many documents a second; `None` is unlimited.
    pub fn new(rate: Option<f64>, now: Instant) -> Self {
        Self { rate, tokens: rate.unwrap_or_default(), filled: now }
    }

    /// Changes the rate; what is in store stays.
    pub fn set(&mut self, rate: Option<f64>, now: Instant) {
        if self.rate != rate {
            let _ = self.allowance(1, now);
            self.filled = now;
            self.rate = rate;
        }
    }

    /// How many documents may go now. A slow pace still lets whole batches go, only seldom.
    pub fn allowance(&mut self, batch: usize, now: Instant) -> usize {
        let Some(rate) = self.rate else { return usize::MAX };
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let room = rate.max(batch as f64);
        self.tokens = (self.tokens + now.duration_since(self.filled).as_secs_f64() * rate).min(room);
        self.filled = now;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and room")]
        let whole = self.tokens.max(0.0) as usize;
        if whole >= batch { whole } else { 0 }
    }

    /// Notes documents that went.
    pub fn spend(&mut self, documents: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let spent = documents as f64;
        self.tokens -= spent;
    }

    /// How long until a whole batch may go.
    pub fn wait(&self, batch: usize) -> Option<Duration> {
        let rate = self.rate?;
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let missing = batch as f64 - self.tokens;
        (missing > 0.0).then(|| Duration::from_secs_f64((missing / rate).min(60.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stops_everything_then_one_request_probes() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        assert_eq!(breaker.allows(16, start), 16);
        breaker.fail(start, None, start);
        breaker.fail(start, None, start);
        assert_eq!(breaker.failures(), 1, "requests in flight tell nothing new");
        assert_eq!(breaker.allows(16, start), 0);
        let probe = breaker.next_probe(start).unwrap();
        assert_eq!(breaker.allows(16, probe), 1);
        breaker.fail(start + Duration::from_millis(1), Some(Duration::from_secs(90)), probe);
        assert_eq!(breaker.allows(16, probe + Duration::from_secs(89)), 0, "Retry-After is obeyed");
        let later = probe + Duration::from_secs(91);
        breaker.fail(probe, None, later);
        assert_eq!(
            breaker.failures(),
            2,
            "a request of before the opening tells nothing new when it fails late"
        );
        breaker.fail(later, Some(Duration::MAX), later);
        assert_eq!(breaker.allows(16, later + LONGEST_RETRY_AFTER), 1, "no gateway closes itself for years");
        assert!(!breaker.succeed(later + Duration::from_secs(1)), "what was under way doesn't end it");
        assert!(breaker.succeed(later + LONGEST_RETRY_AFTER));
        assert_eq!(breaker.allows(16, probe), 16);
    }

    #[test]
    fn the_pace_holds_over_time() {
        let start = Instant::now();
        let mut pace = Pace::new(Some(50.0), start);
        let mut sent = 0;
        for step in 0..1_000u64 {
            let now = start + Duration::from_millis(step * 10);
            let allowed = pace.allowance(25, now).min(25);
            pace.spend(allowed);
            sent += allowed;
        }
        assert!(
            (500..=575).contains(&sent),
            "{sent} in ten seconds at 50 a second, with one second in store"
        );
    }
}
