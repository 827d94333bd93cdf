//! `backfill.windows:` — times in which a backfill may run, in the syntax of Alertmanager's time intervals.

use plan::{
    code::config as codes,
    diagnostic::nearest,
    window::{Window, zone},
};

use super::reader::{Item, Reader, Section};

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// What one kind of range is made of.
struct Kind {
    key: &'static str,
    names: &'static [&'static str],
    /// The numbers that stand for themselves; none where only names do.
    numbers: Option<(i64, i64)>,
    /// What the plan counts less than a name's place: Sunday is 0 there.
    first: i64,
    help: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        key: "weekdays",
        names: &WEEKDAYS,
        numbers: None,
        first: 1,
        help: "days or ranges, such as monday:friday",
    },
    Kind {
        key: "days_of_month",
        names: &[],
        numbers: Some((-31, 31)),
        first: 0,
        help: "days from 1 to 31, or from -1 (the last) to -31, or ranges such as 1:5 or -3:-1",
    },
    Kind {
        key: "months",
        names: &MONTHS,
        numbers: Some((1, 12)),
        first: 0,
        help: "months by name or number, or ranges such as may:august",
    },
    Kind {
        key: "years",
        names: &[],
        numbers: Some((1970, 9999)),
        first: 0,
        help: "years or ranges, such as 2026:2028",
    },
];

/// Windows that hold no mistake.
pub(super) fn read(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Window> {
    let items = reader.list(item).unwrap_or_default();
    items.iter().filter_map(|item| read_one(reader, item)).collect()
}

fn read_one(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Window> {
    let mut section = reader.section(item)?;
    let mut window = Window::default();
    let mut is_whole = true;
    if let Some(times) = section.take("times") {
        for time in reader.list(&times).unwrap_or_default() {
            let range = read_times(reader, &time);
            is_whole &= range.is_some();
            window.times.extend(range);
        }
    }
    for kind in &KINDS {
        let items = section.read(reader, kind.key, Reader::list).unwrap_or_default();
        let ranges: Vec<_> = items.iter().map(|item| read_range(reader, item, kind)).collect();
        is_whole &= ranges.iter().all(Option::is_some);
        let ranges = ranges.into_iter().flatten().collect();
        match kind.key {
            "weekdays" => window.weekdays = ranges,
            "days_of_month" => window.days_of_month = ranges,
            "months" => window.months = ranges,
            _ => window.years = ranges,
        }
    }
    if let Some(location) = section.take("location") {
        window.location = read_location(reader, &location);
        is_whole &= window.location.is_some();
    }
    section.finish(reader);
    if is_whole && !window.ever_opens() {
        let message = format!("`{}` never opens", item.path);
        let help = "no day is of these months, days and years; days that no month has never come";
        reader.error(codes::SS121, &item.range, message, help);
        return None;
    }
    is_whole.then_some(window)
}

fn read_times(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<(u32, u32)> {
    let mut times = reader.section(item)?;
    let start = read_time(reader, &mut times, "start_time", "such as \"01:00\"");
    let end = read_time(reader, &mut times, "end_time", "such as \"05:00\"");
    times.finish(reader);
    let (start, end) = (start?, end?);
    if start >= end {
        let message = format!("`{}` ends before it begins", item.path);
        let help = "a time past midnight is two entries: until 24:00, and from 00:00";
        reader.error(codes::SS121, &item.range, message, help);
        return None;
    }
    Some((start, end))
}

/// Minutes since midnight.
fn read_time(reader: &mut Reader<'_>, times: &mut Section<'_>, key: &'static str, help: &str) -> Option<u32> {
    let text = times.require(reader, key, help, Reader::text)?;
    let two = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() == 2);
    let minutes = text.value.split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes) = (two(hours)?, two(minutes).filter(|&minutes| minutes < 60)?);
        Some(hours * 60 + minutes).filter(|&time| time <= DAY)
    });
    if minutes.is_none() {
        let message = format!("{:?} is no time of the day", text.value);
        reader.error(
            codes::SS105,
            &text.range,
            message,
            "hours and minutes from \"00:00\" to \"24:00\", in quotes",
        );
    }
    minutes
}

/// Both ends of a range as the plan counts them.
fn read_range(reader: &mut Reader<'_>, item: &Item<'_>, kind: &Kind) -> Option<(i32, i32)> {
    let text = reader.filled_text(item)?;
    let (from, to) = text.value.split_once(':').unwrap_or((&text.value, &text.value));
    let (from_at, to_at) = (position(from, kind), position(to, kind));
    if let (Some(from), Some(to)) = (from_at, to_at) {
        // Days counted from the end come after those counted from the beginning.
        if from > to && from.signum() == to.signum() {
            let message = format!("the range {:?} ends before it begins", text.value);
            reader.error(codes::SS121, &text.range, message, kind.help);
            return None;
        }
        let counted = |at: i64| i32::try_from(at - kind.first).ok();
        return counted(from).zip(counted(to));
    }
    let wrong = if from_at.is_none() { from } else { to };
    let help = match nearest(wrong.trim(), kind.names.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => kind.help.to_owned(),
    };
    reader.error(codes::SS105, &text.range, format!("`{}` can't be {wrong:?}", item.path), help);
    None
}

/// Where a name or a number stands in its order.
fn position(text: &str, kind: &Kind) -> Option<i64> {
    let text = text.trim();
    if let Some(at) = kind.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return i64::try_from(at + 1).ok();
    }
    let (low, high) = kind.numbers?;
    text.parse::<i64>().ok().filter(|&number| number != 0 && (low..=high).contains(&number))
}

/// The name of a time zone.
fn read_location(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let text = reader.filled_text(item)?;
    if let Err(unknown) = zone(&text.value) {
        let help = "its IANA name, such as Europe/Madrid, or UTC";
        reader.error(codes::SS105, &text.range, unknown.to_string(), help);
        return None;
    }
    Some(text.value)
}
