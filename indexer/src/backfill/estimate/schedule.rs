//! When a backfill would be done: so much time within the windows, at the rate, as fast as the gateway answers.

use plan::window::{Opening, Windows};
use serde::Serialize;

use super::{EstimateError, Range, milliseconds};

/// Windows that are listed. The number of all that are taken is told.
const LISTED: usize = 10;

/// Windows that are counted: those of nearly three years, where one opens each day.
const MOST_WINDOWS: u64 = 1_000;

/// What holds a backfill back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Brake {
    /// `backfill.rate`, or `--rate`.
    Rate,
    /// How fast the gateway answers.
    Gateway,
}

/// How long it takes, and when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Schedule {
    /// Milliseconds of work, without what lies between windows.
    pub work_ms: Range,
    /// What holds it back most.
    pub held_back_by: Brake,
    /// When it would begin, milliseconds of Unix time.
    pub starts_at: i64,
    /// When it would be done, likely; nothing where that is more than eight years away.
    pub ends_at: Option<i64>,
    /// The same where all goes well.
    pub ends_at_low: Option<i64>,
    /// The same where little does.
    pub ends_at_high: Option<i64>,
    /// How many windows it takes, likely; 0 where there are none.
    pub windows: u64,
    /// The first of them.
    pub first_windows: Vec<Taken>,
}

/// A window, or the part of it, that a backfill takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// From when on, milliseconds of Unix time.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

/// What has to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    /// Documents that have to go through the lane.
    pub documents: f64,
    /// Documents a second at most.
    pub rate: Option<f64>,
    /// Requests for them.
    pub requests: Range,
    /// Milliseconds that one takes.
    pub latency_ms: Range,
    /// Requests in flight at most.
    pub max_concurrency: usize,
}

impl Work {
    /// How long all of it takes, and what holds it back most.
    pub(super) fn duration(&self) -> (Range, Brake) {
        let one_by_one = self.requests.by(self.latency_ms);
        let lanes = super::count(self.max_concurrency.max(1));
        // What the gateway bears is only known once it is asked: between all of `max_concurrency`, answered as fast as one, and one.
        let by_gateway = Range {
            likely: one_by_one.likely / lanes.sqrt(),
            low: one_by_one.low / lanes,
            high: one_by_one.high,
        };
        let Some(rate) = self.rate else { return (by_gateway, Brake::Gateway) };
        let by_rate = Range::exact(self.documents / rate * 1_000.0);
        let brake = if by_rate.likely >= by_gateway.likely { Brake::Rate } else { Brake::Gateway };
        (by_gateway.max(by_rate), brake)
    }

    /// Lays the work into the windows, from a time on.
    pub(super) fn schedule(&self, windows: &Windows, from: i64) -> Result<Schedule, EstimateError> {
        let (work_ms, held_back_by) = self.duration();
        let Opening { is_open, until } = windows.at(from);
        let starts_at = match (is_open, until) {
            (true, _) => from,
            (false, Some(opens)) => opens,
            (false, None) => return Err(EstimateError::NeverOpens),
        };
        let end = |open_ms: f64| windows.after_open(from, milliseconds(open_ms));
        let (count, first_windows) = taken(windows, starts_at, milliseconds(work_ms.likely));
        Ok(Schedule {
            work_ms: work_ms.whole(),
            held_back_by,
            starts_at,
            ends_at: end(work_ms.likely),
            ends_at_low: end(work_ms.low),
            ends_at_high: end(work_ms.high),
            windows: count,
            first_windows,
        })
    }
}

/// The windows that so much work takes, from an opening on.
fn taken(windows: &Windows, starts_at: i64, work_ms: i64) -> (u64, Vec<Taken>) {
    let (mut listed, mut number) = (Vec::new(), 0);
    if windows.is_always() {
        return (number, listed);
    }
    let (mut from, mut left) = (starts_at, work_ms);
    while number < MOST_WINDOWS {
        let closes = windows.at(from).until.unwrap_or(i64::MAX);
        let until = closes.min(from.saturating_add(left));
        number += 1;
        if listed.len() < LISTED {
            listed.push(Taken { from, until });
        }
        left -= until - from;
        match windows.at(closes).until {
            Some(opens) if left > 0 => from = opens,
            _ => break,
        }
    }
    (number, listed)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use plan::window::Window;

    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn nights(location: &str) -> Windows {
        let night =
            Window { times: vec![(60, 300)], location: Some(location.to_owned()), ..Window::default() };
        Windows::new(&[night]).unwrap()
    }

    /// 144,000 documents at 10 a second are four hours.
    fn work(documents: f64) -> Work {
        Work {
            documents,
            rate: Some(10.0),
            requests: Range::exact(documents / 25.0),
            latency_ms: Range { likely: 50.0, low: 40.0, high: 60.0 },
            max_concurrency: 16,
        }
    }

    #[test]
    fn work_flows_from_window_to_window() {
        let windows = nights("UTC");
        let schedule = work(144_000.0).schedule(&windows, at("2026-06-01T03:00:00Z")).unwrap();
        assert_eq!(schedule.held_back_by, Brake::Rate);
        assert_eq!(
            (schedule.starts_at, schedule.ends_at),
            (at("2026-06-01T03:00:00Z"), Some(at("2026-06-02T03:00:00Z")))
        );
        assert_eq!(schedule.windows, 2);
        let second = Taken { from: at("2026-06-02T01:00:00Z"), until: at("2026-06-02T03:00:00Z") };
        assert_eq!(schedule.first_windows[1], second);
        assert_eq!(schedule.ends_at_low, schedule.ends_at, "the rate leaves no doubt");
    }

    /// The window of one to five has an hour less where the clocks go forward, and one more where they go back.
    #[test]
    fn a_night_in_which_clocks_change_is_as_long_as_it_is() {
        let windows = nights("America/Los_Angeles");
        let hours = |documents, from| {
            let schedule = work(documents).schedule(&windows, at(from)).unwrap();
            (schedule.windows, schedule.ends_at.unwrap())
        };
        // Three hours, from 09:00 UTC (01:00 PST) to 12:00 UTC (05:00 PDT).
        assert_eq!(hours(108_000.0, "2026-03-08T00:00:00Z"), (1, at("2026-03-08T12:00:00Z")));
        assert_eq!(hours(108_010.0, "2026-03-08T00:00:00Z"), (2, at("2026-03-09T08:00:01Z")));
        // Five, from 08:00 UTC (01:00 PDT) to 13:00 UTC (05:00 PST): the hour that comes twice is open twice.
        assert_eq!(hours(180_000.0, "2026-11-01T00:00:00Z"), (1, at("2026-11-01T13:00:00Z")));
    }

    #[test]
    fn without_a_rate_the_gateway_decides_and_that_is_uncertain() {
        let work = Work { rate: None, ..work(25_000.0) };
        let (duration, brake) = work.duration();
        assert_eq!(brake, Brake::Gateway);
        assert_eq!((duration.low, duration.likely, duration.high), (2_500.0, 12_500.0, 60_000.0));
        let always = Windows::new(&[]).unwrap();
        let schedule = work.schedule(&always, 1_000).unwrap();
        assert_eq!((schedule.windows, schedule.ends_at), (0, Some(13_500)));
    }

    #[test]
    fn a_window_that_never_opens_again_is_told() {
        let over = Window { years: vec![(2001, 2002)], ..Window::default() };
        let windows = Windows::new(&[over]).unwrap();
        let refused = work(1.0).schedule(&windows, at("2026-06-01T00:00:00Z"));
        assert!(matches!(refused, Err(EstimateError::NeverOpens)));
    }
}
