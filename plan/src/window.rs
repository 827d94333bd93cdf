//! Times in which backfills run, as Alertmanager's time intervals say them: local times of a zone, which keeps its summer time.

use jiff::{
    Span, Timestamp,
    civil::{Date, DateTime},
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Serialize};

/// How far an opening or a closing is looked for. The 29th of February of a leap year is never further away.
const HORIZON_DAYS: i32 = 8 * 366 + 1;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// One window. It is open while all of its parts hold; a part that names nothing holds always.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Window {
    /// Minutes since local midnight, from and until.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<(u32, u32)>,
    /// Days of the week from 0, Sunday, to 6, both included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<(i32, i32)>,
    /// Days of the month from 1 to 31, or from the end, -1 to -31, both included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days_of_month: Vec<(i32, i32)>,
    /// Months from 1 to 12, both included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<(i32, i32)>,
    /// Years, both included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<(i32, i32)>,
    /// The time zone by its IANA name; `None`: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// A zone that this machine and this program don't know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no time zone {0:?}")]
pub struct UnknownZone(pub String);

/// All windows of a plan with their zones. It is open while one of them is; without any, always.
#[derive(Debug, Clone)]
pub struct Windows(Vec<(Window, TimeZone)>);

/// Whether the windows are open, and until when it stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Whether they are open now.
    pub is_open: bool,
    /// When that changes, milliseconds of Unix time; `None`: not within eight years.
    pub until: Option<i64>,
}

/// The time zone of this IANA name, by the rules that this program was built with.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| UnknownZone(name.to_owned()))
}

impl Windows {
    /// These windows; fails for a zone that is not known here.
    pub fn new(windows: &[Window]) -> Result<Self, UnknownZone> {
        let with_zone = |window: &Window| {
            let zone = window.location.as_deref().map_or(Ok(TimeZone::UTC), zone)?;
            Ok((window.clone(), zone))
        };
        windows.iter().map(with_zone).collect::<Result<_, _>>().map(Self)
    }

    /// Whether backfills may run at any time.
    pub fn is_always(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they are open at a time, milliseconds of Unix time.
    pub fn is_open(&self, at: i64) -> bool {
        let Ok(instant) = Timestamp::from_millisecond(at) else { return true };
        self.is_always() || self.0.iter().any(|(window, zone)| window.holds(zone.to_datetime(instant)))
    }

    /// Whether they are open at a time, milliseconds of Unix time, and when that changes.
    pub fn at(&self, at: i64) -> Opening {
        let is_open = self.is_open(at);
        let mut moment = at;
        // Each step goes to the nearest moment at which any window may begin or end.
        while let Some(next) = self.next_border(moment) {
            if self.is_open(next) != is_open {
                return Opening { is_open, until: Some(next) };
            }
            moment = next;
            if moment - at > i64::from(HORIZON_DAYS) * 86_400_000 {
                break;
            }
        }
        Opening { is_open, until: None }
    }

    /// How long they are open from a time on until so much of it is over, as the time at which it is; `None`: not within eight years.
    pub fn after_open(&self, from: i64, open_ms: i64) -> Option<i64> {
        let (mut at, mut left) = (from, open_ms);
        while at - from <= i64::from(HORIZON_DAYS) * 86_400_000 {
            let Opening { is_open, until } = self.at(at);
            match until {
                _ if is_open && until.is_none_or(|until| until - at >= left) => return Some(at + left),
                Some(until) => {
                    left -= if is_open { until - at } else { 0 };
                    at = until;
                }
                None => return None,
            }
        }
        None
    }

    fn next_border(&self, at: i64) -> Option<i64> {
        let instant = Timestamp::from_millisecond(at).ok()?;
        self.0.iter().filter_map(|(window, zone)| window.next_border(instant, zone)).min()
    }
}

impl Window {
    /// Whether there is a day on which it opens, whatever year it is, of those that it names.
    pub fn ever_opens(&self) -> bool {
        // The calendar repeats itself after 28 years, but for the centuries.
        let years = if self.years.is_empty() { vec![(2001, 2028)] } else { self.years.clone() };
        let years = years.iter().flat_map(|(from, to)| *from..=(*to).min(from + 40));
        let first_days = years.filter_map(|year| Date::new(i16::try_from(year).ok()?, 1, 1).ok());
        let mut days = first_days.flat_map(|first| first.series(Span::new().days(1)).take(366));
        days.any(|day| self.holds_on(day))
    }

    /// Whether it holds at a local time.
    fn holds(&self, local: DateTime) -> bool {
        let minute = u32::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0);
        let is_time = |(from, until): &(u32, u32)| (*from..*until).contains(&minute);
        self.holds_on(local.date()) && (self.times.is_empty() || self.times.iter().any(is_time))
    }

    /// Whether it holds at some time of a day.
    fn holds_on(&self, date: Date) -> bool {
        let within = |ranges: &[(i32, i32)], value: i32| {
            ranges.is_empty() || ranges.iter().any(|(from, to)| (*from..=*to).contains(&value))
        };
        let days = i32::from(date.days_in_month());
        let day = i32::from(date.day());
        // Counted from the end, the last day is the -1st.
        let of_month = |bound: i32| if bound < 0 { days + 1 + bound } else { bound };
        let is_day = self.days_of_month.is_empty()
            || self.days_of_month.iter().any(|(from, to)| (of_month(*from)..=of_month(*to)).contains(&day));
        within(&self.years, i32::from(date.year()))
            && within(&self.months, i32::from(date.month()))
            && within(&self.weekdays, i32::from(date.weekday().to_sunday_zero_offset()))
            && is_day
    }

    /// The first moment after an instant at which this window may begin or end: a border of its times or of a day, or a change of
    /// the zone's clock. Days on which it doesn't hold are passed over.
    fn next_border(&self, instant: Timestamp, zone: &TimeZone) -> Option<i64> {
        let today = zone.to_datetime(instant).date();
        let clock = zone.following(instant).next().map(|change| change.timestamp());
        let mut date = today;
        for _ in 0..HORIZON_DAYS {
            // The day after one on which it holds begins with its end.
            if self.holds_on(date) || date == today || self.holds_on(date.yesterday().ok()?) {
                let borders = self.times.iter().flat_map(|(from, until)| [*from, *until]).chain([0, DAY]);
                let moments = borders.filter_map(|minute| moment(date, minute, zone));
                let next = moments.filter(|moment| *moment > instant).min();
                if let Some(next) = next {
                    let next = clock.map_or(next, |clock| next.min(clock));
                    return Some(next.as_millisecond());
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }
}

/// The moment of so many minutes after the midnight of a day; a time that the clock leaves out is the moment at which it does.
fn moment(date: Date, minute: u32, zone: &TimeZone) -> Option<Timestamp> {
    let local = date.to_datetime(jiff::civil::Time::midnight());
    let local = local.checked_add(Span::new().minutes(i64::from(minute))).ok()?;
    zone.to_ambiguous_timestamp(local).compatible().ok()
}

#[cfg(test)]
mod tests;
