//! Times and spans as people read them.

use jiff::Timestamp;

/// Now, in milliseconds of Unix time.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// A moment of Unix time in milliseconds, as ISO 8601 in UTC, to the second.
pub(crate) fn moment(milliseconds: i64) -> String {
    let moment = Timestamp::from_millisecond(milliseconds);
    moment
        .map_or_else(|_| milliseconds.to_string(), |moment| moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A moment to the millisecond, where several things happen in one second.
pub(crate) fn instant(milliseconds: i64) -> String {
    let moment = Timestamp::from_millisecond(milliseconds);
    moment.map_or_else(
        |_| milliseconds.to_string(),
        |moment| moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
    )
}

/// A span in milliseconds, in the largest unit that says enough: `340 ms`, `2.1 s`, `5 min`.
pub(crate) fn span(milliseconds: i64) -> String {
    match milliseconds {
        ..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        60_000..3_600_000 => format!("{} min", milliseconds / 60_000),
        _ => format!("{} h", milliseconds / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(moment(1_246_406_400_999), "2009-07-01T00:00:00Z");
        assert_eq!(instant(1_246_406_400_090), "2009-07-01T00:00:00.090Z");
        assert_eq!([340, 2_149, 61_000, 7_200_000].map(span), ["340 ms", "2.1 s", "1 min", "2 h"]);
    }
}
