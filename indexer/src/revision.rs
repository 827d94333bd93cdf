//! What an event says about how new its data is, and whether a document shows as much: an event may outrun its data.
//!
//! A replica that lags, a cache before the gateway, or an answer put together from several subgraphs shows what was there
//! before the event. Where a source names a `version`, such an answer is told from a right one.

mod wants;

use plan::id::DEBEZIUM_UNAVAILABLE;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::wants::{Behind, Want, Wants};

/// Microseconds of a day, the coarsest that a date is written in.
const DAY: i64 = 86_400_000_000;

/// Numbers from here on may be moments: seconds since 2001. A row's counter is smaller, or nobody compares it with a time.
const MOMENTS: u64 = 1_000_000_000;

/// Two moments as numbers whose quotient is larger are written in different units: seconds, milliseconds, microseconds,
/// nanoseconds are a thousand apart.
const SAME_UNIT: u64 = 500;

/// The version of a row, as its database or its service writes it.
///
/// A number or a moment; Debezium writes the same moment as ISO text, as days, milli-, micro- or nanoseconds by the column's
/// type, and the graph's scalar may write it otherwise again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revision {
    /// A number: its whole part, and the millionths above it.
    Number(i64, u32),
    /// A moment in microseconds of Unix time, and how many of them its text can't tell apart.
    Time(i64, i64),
}

impl Revision {
    /// Reads a value of a record or a document; `None` where it is neither a number nor a time.
    pub fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Some(Self::Number(whole, 0)),
                None => Self::fraction(number.as_f64()?),
            },
            Value::String(text) if text == DEBEZIUM_UNAVAILABLE => None,
            Value::String(text) => Self::parse(text.trim()),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Ok(whole) = text.parse::<i64>() {
            return Some(Self::Number(whole, 0));
        }
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
        match text.parse::<f64>() {
            Ok(number) if is_number => Self::fraction(number),
            _ => Self::moment(text),
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the whole part is in range")]
    fn fraction(number: f64) -> Option<Self> {
        let whole = number.floor();
        let is_in_range = number.is_finite() && whole.abs() < 9e18;
        is_in_range.then_some(Self::Number(whole as i64, ((number - whole) * 1e6) as u32))
    }

    /// ISO 8601, in UTC where it names no offset.
    fn moment(text: &str) -> Option<Self> {
        let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            jiff::tz::Offset::UTC.to_timestamp(civil).ok()
        });
        let micros = moment?.as_microsecond();
        let digits =
            text.split_once(['.', ',']).map(|(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
        let unit = match digits {
            // Who writes fewer digits than three leaves zeros out, and knows the milliseconds.
            Some(0..=3) => 1_000,
            Some(_) => 1,
            None if text.contains(':') => 1_000_000,
            None => DAY,
        };
        Some(Self::Time(micros, unit))
    }

    /// Whether a document that shows `self` is as new as `wanted`. What its text can't tell counts for it: one that shows
    /// seconds is not older than an event that tells of milliseconds within that second.
    pub fn is_as_new_as(self, wanted: Self) -> bool {
        if let (Self::Number(shown, _), Self::Number(asked, _)) = (self, wanted)
            && is_one_unit(shown, asked)
        {
            return self.number() >= wanted.number();
        }
        let ((shown, unit), (asked, _)) = (self.time(), wanted.time());
        shown >= asked.saturating_sub(asked.rem_euclid(unit))
    }

    /// The later one.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        match (self, other) {
            (Self::Number(a, _), Self::Number(b, _)) if is_one_unit(a, b) => {
                if self.number() >= other.number() { self } else { other }
            }
            _ if self.time().0 >= other.time().0 => self,
            _ => other,
        }
    }

    fn number(self) -> (i64, u32) {
        match self {
            Self::Number(whole, millionths) => (whole, millionths),
            Self::Time(micros, _) => (micros, 0),
        }
    }

    /// Microseconds of Unix time and the unit it was written in. A number's size tells its unit: from 1973 to 5138, seconds,
    /// milliseconds, microseconds and nanoseconds don't overlap, and days are fewer.
    fn time(self) -> (i64, i64) {
        let (whole, millionths) = match self {
            Self::Time(micros, unit) => return (micros, unit),
            Self::Number(whole, millionths) => (whole, i64::from(millionths)),
        };
        match whole.unsigned_abs() {
            0..10_000_000 => (whole.saturating_mul(DAY), DAY),
            10_000_000..100_000_000_000 => {
                let unit = if millionths == 0 { 1_000_000 } else { 1 };
                (whole.saturating_mul(1_000_000).saturating_add(millionths), unit)
            }
            100_000_000_000..100_000_000_000_000 => {
                let unit = if millionths == 0 { 1_000 } else { 1 };
                (whole.saturating_mul(1_000).saturating_add(millionths / 1_000), unit)
            }
            100_000_000_000_000..100_000_000_000_000_000 => (whole, 1),
            _ => (whole / 1_000, 1),
        }
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Number(whole, 0) => write!(f, "{whole}"),
            Self::Number(whole, millionths) => {
                let text = format!("{whole}.{millionths:06}");
                f.write_str(text.trim_end_matches('0'))
            }
            Self::Time(micros, unit) => match jiff::Timestamp::from_microsecond(micros) {
                Ok(moment) if unit == DAY => write!(f, "{}", moment.strftime("%Y-%m-%d")),
                Ok(moment) => write!(f, "{moment}"),
                Err(_) => write!(f, "{micros} µs"),
            },
        }
    }
}

/// Whether two numbers count the same. Those below [`MOMENTS`] are no times, and always do.
fn is_one_unit(a: i64, b: i64) -> bool {
    let (a, b) = (a.unsigned_abs(), b.unsigned_abs());
    a.min(b) < MOMENTS || a.max(b) / a.min(b) < SAME_UNIT
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn revision(value: impl Into<Value>) -> Revision {
        let value = value.into();
        Revision::read(&value).unwrap_or_else(|| panic!("{value} is no revision"))
    }

    fn is_enough(shown: impl Into<Value>, wanted: impl Into<Value>) -> bool {
        revision(shown).is_as_new_as(revision(wanted))
    }

    #[test]
    fn numbers_compare_as_numbers() {
        assert!(is_enough(json!(3), json!(3)) && is_enough(json!("10"), json!(9)));
        assert!(!is_enough(json!(9), json!("10")));
        assert!(!is_enough(json!(1.25), json!(1.5)) && is_enough(json!(-1.5), json!(-1.75)));
        assert!(!is_enough(json!(9_007_199_254_740_992_i64), json!(9_007_199_254_740_993_i64)));
        assert!(!is_enough(json!(1), json!(1_000_000)), "a counter may jump");
    }

    /// One moment in every form that Debezium and graphs write, and the moments around it.
    #[test]
    fn a_moment_is_one_in_every_form() {
        let forms = |micros: i64| {
            [
                json!(micros),
                json!(micros * 1_000),
                json!(micros / 1_000),
                json!(jiff::Timestamp::from_microsecond(micros).unwrap().to_string()),
                json!(format!("{}", micros / 1_000)),
            ]
        };
        let at = 1_767_225_600_123_000;
        for shown in forms(at) {
            for wanted in forms(at) {
                assert!(is_enough(shown.clone(), wanted.clone()), "{shown} {wanted}");
            }
            for wanted in forms(at + 1_000) {
                assert!(!is_enough(shown.clone(), wanted.clone()), "{shown} is older than {wanted}");
            }
            for wanted in forms(at - 1_000) {
                assert!(is_enough(shown.clone(), wanted.clone()), "{shown} is newer than {wanted}");
            }
        }
    }

    #[test]
    fn what_a_text_cuts_off_counts_for_it() {
        let wanted = json!("2026-01-01T10:00:00.123456Z");
        for shown in [
            "2026-01-01T10:00:00.123456Z",
            "2026-01-01T10:00:00.123Z",
            "2026-01-01T10:00:00.123Z[UTC]",
            "2026-01-01T10:00:00Z",
            "2026-01-01T12:00:00+02:00",
            "2026-01-01 10:00:00.123456",
            "2026-01-01",
        ] {
            assert!(is_enough(json!(shown), wanted.clone()), "{shown}");
        }
        for shown in [
            "2026-01-01T10:00:00.123455Z",
            "2026-01-01T10:00:00.122Z",
            "2026-01-01T10:00:00.1Z",
            "2026-01-01T09:59:59Z",
            "2025-12-31",
        ] {
            assert!(!is_enough(json!(shown), wanted.clone()), "{shown}");
        }
        assert!(is_enough(json!("2026-01-01"), json!(20_454)), "Debezium's days");
        assert!(!is_enough(json!("2026-01-01"), json!(20_455)));
    }

    #[test]
    fn what_is_neither_is_none() {
        for value in [
            json!(null),
            json!(true),
            json!("soon"),
            json!(""),
            json!("NaN"),
            json!("inf"),
            json!({}),
            json!("AcA="),
        ] {
            assert_eq!(Revision::read(&value), None, "{value}");
        }
        assert_eq!(Revision::read(&json!(DEBEZIUM_UNAVAILABLE)), None);
    }

    #[test]
    fn the_later_one_wins_whatever_its_form() {
        let (old, new) =
            (revision(json!(1_767_225_600_123_i64)), revision(json!("2026-01-01T00:00:00.124Z")));
        assert_eq!((old.later(new), new.later(old)), (new, new));
        assert_eq!(revision(json!(3)).later(revision(json!(7))), revision(json!(7)));
    }

    #[test]
    fn people_read_what_was_written() {
        let shown = |value: Value| revision(value).to_string();
        assert_eq!(shown(json!(17)), "17");
        assert_eq!(shown(json!(1.5)), "1.5");
        assert_eq!(shown(json!("2026-01-01")), "2026-01-01");
        assert_eq!(shown(json!("2026-01-01T02:00:00.5+02:00")), "2026-01-01T00:00:00.5Z");
    }
}
