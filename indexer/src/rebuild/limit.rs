//! How many requests may be in flight: a limit that looks for what the gateway bears, below `graph.max_concurrency`.
//!
//! It grows in small steps and shrinks by a factor, as TCP does. Two things tell of too much: a refusal (429), and answers that
//! take much longer for each document than in a quiet hour. Only times of batches of like size are compared, else small
//! batches would read as congestion. Time is the caller's.

use std::time::Duration;

use tokio::time::Instant;

/// Requests in flight at the beginning. A fast gateway is asked for all that it may be asked within a few answers.
const FIRST: f64 = 4.0;

/// Answers that one verdict on their times is about. Fewer would take chance for congestion.
const WINDOW: u32 = 32;

/// How much longer than in a quiet hour answers may take while the limit still grows.
const FREE: f64 = 1.5;

/// How much longer than in a quiet hour answers take when it shrinks.
const CROWDED: f64 = 2.0;

/// One answer counts for no more: a single slow subgraph is no congestion.
const SLOWEST: f64 = 8.0;

/// Answers that take no longer than this beyond their best are never slow: on a fast gateway that much is chance.
const NOISE: Duration = Duration::from_millis(25);

/// What one answer adds while the knee is looked for: half as much again in one round.
const CLIMB: f64 = 0.5;

/// Windows in a row without any sign of congestion after which the knee is looked for again.
const FREE_WINDOWS: u32 = 3;

/// Answers between two tries of one more than was refused: eight in a thousand requests are refused at most.
const ANSWERS_A_TRY: u32 = 125;

/// A refusal that cost a pause is risked again after so many times that pause.
const PAUSES_A_TRY: u32 = 20;

/// What is left of the limit at the first refusal, at the second in a row, and from the third on.
const SHRINKS: [f64; 3] = [0.9, 0.7, 0.5];

/// How long the best time of a size of batches counts at least. Then the limit is halved for a window, so that times are
/// measured that no queue of our own is part of.
const BEST_FOR: Duration = Duration::from_mins(1);

/// The limit of one rebuilding task.
#[derive(Debug)]
pub struct Limit {
    ceiling: f64,
    /// Requests in flight at most, with what half a step is worth.
    bound: f64,
    /// Whether the knee is looked for in big steps.
    is_climbing: bool,
    /// Whether one more than was refused is being tried.
    is_trying: bool,
    /// Requests that began before tell of another limit.
    changed: Instant,
    /// Requests in flight at most since the last verdict.
    peak: usize,
    /// Answers since something changed.
    calm: u32,
    refusal: Option<Refusal>,
    /// Shrinks in a row.
    streak: usize,
    window: Window,
    free_windows: u32,
    /// The limit and the slowness at the first of several windows that were crowded.
    crowd: Option<(f64, f64)>,
    /// Answers that are still to come while less is asked for, so that quiet times are measured.
    measuring: Option<u32>,
    best: BestTimes,
}

#[derive(Debug)]
struct Refusal {
    answers_since: u32,
    /// Not risked again before.
    again: Instant,
}

#[derive(Debug, Default)]
struct Window {
    answers: u32,
    slowness: f64,
    compared: u32,
}

impl Window {
    fn mean(&self) -> f64 {
        if self.compared == 0 { 1.0 } else { self.slowness / f64::from(self.compared) }
    }
}

impl Limit {
    /// A limit below this many requests.
    pub fn new(ceiling: usize, now: Instant) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 10,000")]
        let ceiling = ceiling.max(1) as f64;
        Self {
            ceiling,
            bound: FIRST.min(ceiling),
            is_climbing: true,
            is_trying: false,
            changed: now,
            peak: 0,
            calm: 0,
            refusal: None,
            streak: 0,
            window: Window::default(),
            free_windows: 0,
            crowd: None,
            measuring: None,
            best: BestTimes::new(now),
        }
    }

    /// How many requests may be in flight; at least 1.
    pub fn places(&self) -> usize {
        let limit = if self.measuring.is_some() { self.bound / 2.0 } else { self.bound };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 10,000")]
        let places = limit.max(1.0) as usize;
        places
    }

    /// Notes how many requests are in flight after one began. A limit that nobody needs doesn't grow.
    pub fn note_taken(&mut self, taken: usize) {
        self.peak = self.peak.max(taken);
    }

    /// Notes an answer: when its request began, how many documents it was about, and how long it took.
    pub fn answered(&mut self, started: Instant, documents: usize, took: Duration, now: Instant) {
        let slowness = self.best.slowness(documents, took);
        if started < self.changed {
            return;
        }
        self.calm += 1;
        if let Some(left) = self.measuring {
            self.measuring = left.checked_sub(1);
            if self.measuring.is_none() {
                self.begin_anew(now);
            }
            return;
        }
        if f64::from(self.calm) >= self.bound {
            self.streak = 0;
        }
        if let Some(refusal) = &mut self.refusal {
            refusal.answers_since += 1;
        }
        self.window.answers += 1;
        if let Some(slowness) = slowness {
            self.window.slowness += slowness;
            self.window.compared += 1;
        }
        let is_full = self.peak >= self.places();
        if self.is_climbing && is_full && self.window.mean() < FREE {
            self.bound = (self.bound + CLIMB).min(self.ceiling);
        }
        self.try_more(is_full, now);
        if self.window.answers >= WINDOW {
            self.judge(is_full, now);
        }
    }

    /// Notes that the gateway wants less (429), after which pause it takes more. Says whether it refused a request that was
    /// alone: then asking for less is of no use, and only waiting is.
    pub fn refused(&mut self, started: Instant, retry_after: Option<Duration>, now: Instant) -> bool {
        if started < self.changed {
            return false;
        }
        let is_alone = self.places() == 1;
        let again = now + retry_after.unwrap_or_default().saturating_mul(PAUSES_A_TRY);
        self.refusal = Some(Refusal { answers_since: 0, again });
        if self.is_trying {
            // What went well before the try goes well again.
            self.shrink(1.0, now);
        } else {
            self.shrink(SHRINKS[self.streak.min(SHRINKS.len() - 1)], now);
            self.streak += 1;
        }
        is_alone
    }

    /// Notes a request that failed in a way in which too many requests fail: not in time, or with a server's error.
    pub fn failed(&mut self, started: Instant, now: Instant) {
        if started >= self.changed {
            self.shrink(SHRINKS[1], now);
        }
    }

    /// Risks one request more than was refused before; when it goes well, looks for the knee.
    fn try_more(&mut self, is_full: bool, now: Instant) {
        let Some(refusal) = &self.refusal else { return };
        if self.is_trying && f64::from(self.calm) >= 2.0 * self.bound {
            self.refusal = None;
            self.is_trying = false;
            self.is_climbing = true;
        } else if !self.is_trying && is_full && refusal.answers_since >= ANSWERS_A_TRY && now >= refusal.again
        {
            self.bound = (self.bound.floor() + 1.0).min(self.ceiling);
            self.is_trying = true;
            self.begin_anew(now);
        }
    }

    /// Ends a window of answers: they took as long as ever, longer, or much longer.
    fn judge(&mut self, is_full: bool, now: Instant) {
        let slowness = self.window.mean();
        self.window = Window::default();
        if slowness >= CROWDED {
            self.free_windows = 0;
            let (before, first) = *self.crowd.get_or_insert((self.bound, slowness));
            if self.bound <= (before / 4.0).max(1.0) && slowness > 0.8 * first {
                // Less of ours makes nothing better, so that it isn't ours: the documents are others now, or the graph is.
                self.best.forget(now);
                self.crowd = None;
                self.is_climbing = self.refusal.is_none();
                self.begin_anew(now);
            } else {
                self.shrink((FREE / slowness).clamp(0.5, 0.9), now);
            }
            return;
        }
        self.crowd = None;
        self.peak = 0;
        if slowness >= FREE {
            self.is_climbing = false;
            self.free_windows = 0;
        } else if is_full && !self.is_climbing && self.refusal.is_none() {
            self.bound = (self.bound + 1.0).min(self.ceiling);
            self.free_windows += 1;
            self.is_climbing = self.free_windows >= FREE_WINDOWS;
        }
        if self.best.is_due(now) && is_full && self.places() > 1 && !self.is_climbing && !self.is_trying {
            self.best.turn(now);
            self.measuring = Some(WINDOW);
            self.begin_anew(now);
        }
    }

    fn shrink(&mut self, factor: f64, now: Instant) {
        #[expect(clippy::cast_precision_loss, reason = "at most 10,000")]
        let used = self.bound.min(self.peak.max(1) as f64);
        self.bound = (used * factor).min(used.floor() - 1.0).max(1.0);
        self.is_climbing = false;
        self.is_trying = false;
        self.free_windows = 0;
        // What began in the same moment began before.
        self.begin_anew(now + Duration::from_nanos(1));
    }

    fn begin_anew(&mut self, now: Instant) {
        self.changed = now;
        self.peak = self.places();
        self.calm = 0;
        self.window = Window::default();
    }
}

/// The times that batches take while nothing is crowded, by their size.
#[derive(Debug)]
struct BestTimes {
    /// By the binary logarithm of the number of documents.
    sizes: [Size; 8],
    turned: Instant,
}

#[derive(Debug, Default, Clone)]
struct Size {
    /// Seconds a document of the answers that are being summed up, and how many there are.
    sum: f64,
    count: u32,
    /// The lowest mean of this span, and of the one before.
    best: [Option<f64>; 2],
}

impl BestTimes {
    /// Answers whose mean is one candidate for the best time: of a single answer, chance would be the best.
    const ANSWERS: u32 = 8;

    fn new(now: Instant) -> Self {
        Self { sizes: Default::default(), turned: now }
    }

    /// Notes an answer, and gives how many times as long as in a quiet hour it took; `None` before that is known.
    fn slowness(&mut self, documents: usize, took: Duration) -> Option<f64> {
        let documents = u32::try_from(documents).unwrap_or(u32::MAX).max(1);
        let size = &mut self.sizes[usize::try_from(documents.ilog2()).unwrap_or(0).min(7)];
        let of_one = took.as_secs_f64() / f64::from(documents);
        size.sum += of_one;
        size.count += 1;
        if size.count >= Self::ANSWERS {
            let mean = size.sum / f64::from(size.count);
            size.best[0] = Some(size.best[0].map_or(mean, |best| best.min(mean)));
            (size.sum, size.count) = (0.0, 0);
        }
        let best = size.best.into_iter().flatten().min_by(f64::total_cmp)?;
        let is_noise = took.as_secs_f64() <= best * f64::from(documents) + NOISE.as_secs_f64();
        Some(if is_noise { 1.0 } else { (of_one / best).min(SLOWEST) })
    }

    fn is_due(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.turned) >= BEST_FOR
    }

    /// Begins another span.
    fn turn(&mut self, now: Instant) {
        self.turned = now;
        for size in &mut self.sizes {
            *size = Size { best: [None, size.best[0]], ..Size::default() };
        }
    }

    fn forget(&mut self, now: Instant) {
        *self = Self::new(now);
    }
}

#[cfg(test)]
mod tests;
