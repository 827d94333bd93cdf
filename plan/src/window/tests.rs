//! Windows against an oracle that looks at every minute, on days on which clocks are changed, too.

use proptest::prelude::*;

use super::*;

/// Zones of both hemispheres; of half an hour (Lord Howe), of changes at midnight (Santiago, Beirut), and of none.
const ZONES: [&str; 7] = [
    "America/Los_Angeles",
    "Europe/Madrid",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "Asia/Kolkata",
    "UTC",
];

/// Instants from a day before a change of clocks on; one of an ordinary day; the end of a leap February, and of a year.
const BEGINNINGS: [&str; 9] = [
    "2026-03-07T12:00:00Z",
    "2026-10-31T20:00:00Z",
    "2026-03-28T12:00:00Z",
    "2026-10-24T20:00:00Z",
    "2026-04-04T03:00:00Z",
    "2026-09-05T12:00:00Z",
    "2026-07-15T00:00:00Z",
    "2028-02-28T00:00:00Z",
    "2026-12-31T00:00:00Z",
];

const MINUTE: i64 = 60_000;

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn range(low: i32, high: i32) -> impl Strategy<Value = Vec<(i32, i32)>> {
    let one = (low..=high, low..=high).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop::collection::vec(one, 0..3)
}

fn window() -> impl Strategy<Value = Window> {
    let times = (0u32..=48, 0u32..=48)
        .prop_filter("some time", |(a, b)| a != b)
        .prop_map(|(a, b)| (a.min(b) * 30, a.max(b) * 30));
    let days = prop_oneof![range(1, 31), range(-31, -1), Just(vec![(20, -2)])];
    let years = prop_oneof![4 => Just(Vec::new()), 1 => Just(vec![(2026, 2026)])];
    (prop::collection::vec(times, 0..3), range(0, 6), days, range(1, 12), years, 0..ZONES.len()).prop_map(
        |(times, weekdays, days_of_month, months, years, zone)| Window {
            times,
            weekdays,
            days_of_month,
            months,
            years,
            location: Some(ZONES[zone].to_owned()),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever is said to be the next opening or closing, a look at every minute finds the same.
    #[test]
    fn borders_are_where_a_look_at_every_minute_finds_them(
        windows in prop::collection::vec(window(), 1..4), beginning in 0..BEGINNINGS.len(), minutes in 0i64..2_000,
    ) {
        let windows = Windows::new(&windows).unwrap();
        let begin = at(BEGINNINGS[beginning]) + minutes * MINUTE;
        let Opening { is_open, until } = windows.at(begin);
        prop_assert_eq!(is_open, windows.is_open(begin));
        let looked = (1..3 * 24 * 60).map(|minute| begin + minute * MINUTE).find(|at| windows.is_open(*at) != is_open);
        match looked {
            Some(looked) => prop_assert_eq!(until, Some(looked)),
            None => prop_assert!(until.is_none_or(|until| until >= begin + 3 * 24 * 60 * MINUTE)),
        }
    }
}

fn open(window: Window) -> Windows {
    Windows::new(&[window]).unwrap()
}

fn nights(location: &str) -> Window {
    Window { times: vec![(60, 300)], location: Some(location.to_owned()), ..Window::default() }
}

#[test]
fn a_window_keeps_the_time_of_its_zone_in_summer_and_in_winter() {
    let windows = open(nights("America/Los_Angeles"));
    let until =
        |text| windows.at(at(text)).until.map(|at| Timestamp::from_millisecond(at).unwrap().to_string());
    assert_eq!(until("2026-01-15T00:00:00Z").as_deref(), Some("2026-01-15T09:00:00Z"));
    assert_eq!(until("2026-07-15T00:00:00Z").as_deref(), Some("2026-07-15T08:00:00Z"));
    // On the 8th of March the hour from two to three is left out: four hours by the clock are three.
    assert_eq!(until("2026-03-08T09:00:00Z").as_deref(), Some("2026-03-08T12:00:00Z"));
    // On the 1st of November the hour from one to two comes twice: they are five.
    assert_eq!(until("2026-11-01T08:00:00Z").as_deref(), Some("2026-11-01T13:00:00Z"));
}

#[test]
fn a_window_that_the_clock_leaves_out_does_not_open() {
    let windows = open(Window { times: vec![(120, 180)], ..nights("America/Los_Angeles") });
    let next = windows.at(at("2026-03-08T08:00:00Z"));
    assert_eq!(next, Opening { is_open: false, until: Some(at("2026-03-09T09:00:00Z")) });
}

#[test]
fn without_windows_it_is_always_open_and_some_never_are() {
    let always = Windows::new(&[]).unwrap();
    assert_eq!(always.at(0), Opening { is_open: true, until: None });
    let day = |month, day| {
        open(Window { months: vec![(month, month)], days_of_month: vec![(day, day)], ..Window::default() })
    };
    assert_eq!(day(2, 30).at(at("2026-01-01T00:00:00Z")), Opening { is_open: false, until: None });
    assert_eq!(day(2, 29).at(at("2026-01-01T00:00:00Z")).until, Some(at("2028-02-29T00:00:00Z")));
    let past = open(Window { years: vec![(2020, 2021)], ..Window::default() });
    assert_eq!(past.at(at("2026-01-01T00:00:00Z")), Opening { is_open: false, until: None });
}

#[test]
fn days_from_the_end_are_those_of_each_month() {
    let windows = open(Window { days_of_month: vec![(-1, -1)], ..Window::default() });
    for (day, is_open) in
        [("2026-02-28", true), ("2028-02-28", false), ("2028-02-29", true), ("2026-04-30", true)]
    {
        assert_eq!(windows.is_open(at(&format!("{day}T12:00:00Z"))), is_open, "{day}");
    }
}

#[test]
fn open_time_is_counted_across_windows() {
    let windows = open(nights("UTC"));
    let hour = 3_600_000;
    assert_eq!(windows.after_open(at("2026-01-01T00:00:00Z"), 6 * hour), Some(at("2026-01-02T03:00:00Z")));
    assert_eq!(Windows::new(&[]).unwrap().after_open(7, 5), Some(12));
}

#[test]
fn an_unknown_zone_is_told() {
    let unknown = Windows::new(&[nights("Europe/Atlantis")]).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no time zone \"Europe/Atlantis\"");
}
