//! Dates of documents and filters: ISO 8601 at milliseconds, and date maths such as `now-7d/d`, always in UTC.

use jiff::{
    Span, Timestamp,
    civil::{Date, DateTime},
    tz::Offset,
};

/// Reads an ISO 8601 date or time as milliseconds since the epoch of Unix; without an offset it is UTC.
///
/// Also takes a year (`2024`) and a month (`2024-05`), as Elasticsearch does. What is finer than a millisecond is cut off.
pub fn parse_iso(text: &str) -> Option<i64> {
    // Every form begins with a digit or a sign: most texts that are no date are refused here.
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
        return None;
    }
    // By far the most frequent form; as a moment it would be tried in vain first.
    if let Some(day) = day(text) {
        return Some(milliseconds(day.at(0, 0, 0, 0)));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(whole_milliseconds(timestamp));
    }
    let padded = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        // The last day of the calendar, which many systems write for "never", has no timestamp.
        _ if text.contains('T') => text.strip_suffix('Z').unwrap_or(text).to_owned(),
        _ => text.to_owned(),
    };
    padded.parse().ok().map(milliseconds)
}

/// Reads `2024-01-31`, and nothing else.
fn day(text: &str) -> Option<Date> {
    let [year @ .., b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    let [y1, y2, y3, y4] = year else { return None };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| byte - b'0');
    let two = |tens: &u8, ones: &u8| Some(digit(tens)? * 10 + digit(ones)?);
    let year = i16::from(two(y1, y2)?) * 100 + i16::from(two(y3, y4)?);
    Date::new(year, two(m1, m2)?.cast_signed(), two(d1, d2)?.cast_signed()).ok()
}

/// The moment as it is written; past the ends of the calendar it stays at the end.
pub fn timestamp(instant_ms: i64) -> Timestamp {
    // Read as milliseconds, the last second of the calendar would be refused.
    let clamped = if instant_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_nanosecond(i128::from(instant_ms) * 1_000_000).unwrap_or(clamped)
}

/// The moment itself, or the end of the calendar that it lies past, as far as dates can be written: years have four digits.
///
/// So the largest integers never stand for dates, which engines keep for documents without one.
pub(super) fn within_calendar(instant_ms: i64) -> i64 {
    let (first, last) = (Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
    instant_ms.clamp(first, last)
}

fn milliseconds(date: DateTime) -> i64 {
    // Near the ends of the calendar a civil time has no timestamp; the nearest one stands for it.
    let clamped = if date.year() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    whole_milliseconds(Offset::UTC.to_timestamp(date).unwrap_or(clamped))
}

/// Rounded down, before the epoch of Unix too. In 64 bits, as the evaluator reads a date in every document.
fn whole_milliseconds(timestamp: Timestamp) -> i64 {
    timestamp.as_second() * 1_000 + i64::from(timestamp.subsec_nanosecond().div_euclid(1_000_000))
}

/// A moment in a filter: an anchor and the steps taken from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// `None` is now.
    anchor: Option<i64>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Adds so many units.
    Add(i64, Unit),
    /// Goes back to the start of the unit.
    Round(Unit),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
}

impl Moment {
    /// Reads `2024-01-31`, `now`, `now-7d/d` or `2024-01-31||+1M/d`.
    pub fn parse(text: &str) -> Option<Self> {
        let (anchor, steps) = match (text.strip_prefix("now"), text.split_once("||")) {
            (Some(steps), _) => (None, steps),
            (None, Some((date, steps))) => (Some(parse_iso(date)?), steps),
            (None, None) => (Some(parse_iso(text)?), ""),
        };
        Some(Self { anchor, steps: parse_steps(steps)? })
    }

    /// The moment in milliseconds, where it doesn't depend on now.
    pub fn fixed(&self) -> Option<i64> {
        self.anchor.map(|anchor| self.resolve(anchor))
    }

    /// The moment in milliseconds, seen from `now_ms`. Past the ends of the calendar it stays at the end.
    pub fn resolve(&self, now_ms: i64) -> i64 {
        let start = self.anchor.unwrap_or(now_ms);
        if self.steps.is_empty() {
            return start;
        }
        let start = Offset::UTC.to_datetime(timestamp(start));
        milliseconds(self.steps.iter().fold(start, |date, step| step.take(date)))
    }
}

fn parse_steps(mut text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while let Some(sign) = text.chars().next() {
        text = &text[sign.len_utf8()..];
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(digits);
        let unit = rest.chars().next().and_then(Unit::from_letter)?;
        // Six digits reach past the calendar in every unit that matters, and no span overflows.
        let amount = if number.is_empty() { 1 } else { number.parse().ok().filter(|_| digits <= 6)? };
        steps.push(match sign {
            '+' => Step::Add(amount, unit),
            '-' => Step::Add(-amount, unit),
            '/' if number.is_empty() => Step::Round(unit),
            _ => return None,
        });
        text = &rest[1..];
    }
    Some(steps)
}

impl Unit {
    fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'y' => Unit::Year,
            'M' => Unit::Month,
            'w' => Unit::Week,
            'd' => Unit::Day,
            'h' | 'H' => Unit::Hour,
            'm' => Unit::Minute,
            's' => Unit::Second,
            _ => return None,
        })
    }
}

impl Step {
    fn take(self, date: DateTime) -> DateTime {
        match self {
            Step::Add(amount, unit) => {
                let span = match unit {
                    Unit::Year => Span::new().try_years(amount),
                    Unit::Month => Span::new().try_months(amount),
                    Unit::Week => Span::new().try_weeks(amount),
                    Unit::Day => Span::new().try_days(amount),
                    Unit::Hour => Span::new().try_hours(amount),
                    Unit::Minute => Span::new().try_minutes(amount),
                    Unit::Second => Span::new().try_seconds(amount),
                };
                let end = if amount < 0 { DateTime::MIN } else { DateTime::MAX };
                span.and_then(|span| date.checked_add(span)).unwrap_or(end)
            }
            Step::Round(unit) => round_down(date, unit),
        }
    }
}

fn round_down(date: DateTime, unit: Unit) -> DateTime {
    let day = date.date();
    let first_day = match unit {
        Unit::Year => day.first_of_year(),
        Unit::Month => day.first_of_month(),
        Unit::Week => {
            let since_monday = i64::from(day.weekday().to_monday_zero_offset());
            day.checked_sub(Span::new().days(since_monday)).unwrap_or(day)
        }
        Unit::Day | Unit::Hour | Unit::Minute | Unit::Second => day,
    };
    match unit {
        Unit::Hour => first_day.at(date.hour(), 0, 0, 0),
        Unit::Minute => first_day.at(date.hour(), date.minute(), 0, 0),
        Unit::Second => first_day.at(date.hour(), date.minute(), date.second(), 0),
        _ => first_day.at(0, 0, 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_forms() {
        assert_eq!(parse_iso("1970-01-02"), Some(86_400_000));
        assert_eq!(parse_iso("1970-01-02"), parse_iso("1970-01-02T00:00:00Z"));
        assert_eq!(parse_iso("0000-01-01"), parse_iso("0000-01-01T00:00:00"));
        assert_eq!(parse_iso("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_iso("1969-12-31T23:59:59.9999Z"), Some(-1));
        assert_eq!(parse_iso("1970"), Some(0));
        assert_eq!(parse_iso("1970-02"), Some(31 * 86_400_000));
        assert_eq!(parse_iso("1970-01-01T00:00:01"), Some(1000));
        assert_eq!(parse_iso("9999-12-31T23:59:59.9999999Z"), parse_iso("9999-12-31"));
        for wrong in [
            "",
            "now",
            "1970-01-01Z",
            "1970-13-01",
            "1970-02-30",
            "19700-1-01",
            "1970-0é-1",
            "yesterday",
            "-",
            "é",
            "12é4",
        ] {
            assert_eq!(parse_iso(wrong), None, "{wrong}");
        }
        assert!(parse_iso("9999-12-31T23:59:59.999").is_some() && parse_iso("-009999-01-01").is_some());
    }

    #[test]
    fn maths_count_from_now() {
        let now = parse_iso("2024-03-31T10:20:30.5Z").unwrap();
        let at = |text| Moment::parse(text).unwrap().resolve(now);
        assert_eq!(at("now"), now);
        assert_eq!(at("now-7d/d"), parse_iso("2024-03-24").unwrap());
        assert_eq!(at("now-1M"), parse_iso("2024-02-29T10:20:30.5Z").unwrap());
        assert_eq!(at("now/w"), parse_iso("2024-03-25").unwrap());
        assert_eq!(at("now/s"), parse_iso("2024-03-31T10:20:30Z").unwrap());
        assert_eq!(at("2024-01-31||+1M/M"), parse_iso("2024-02").unwrap());
        assert!(at("now+999999y") > now && at("now-999999y-9y/w") < now);
        for wrong in
            ["now-", "now7d", "now-7x", "now/2d", "now-1000000d", "nowhere", "now-7é", "||", "2024||x"]
        {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
    }
}
