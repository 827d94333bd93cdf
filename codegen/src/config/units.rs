//! Durations, rates and shares as people write them: `10s`, `40/s`, `2%`.

/// Milliseconds of `500ms`, `10s`, `2m`, `1h` or `7d`; a bare number has no unit and is refused.
pub(crate) fn duration_ms(text: &str) -> Option<u64> {
    // A year is longer than any wait that makes sense here.
    milliseconds(text, 31_622_400_000.0)
}

/// As [`duration_ms`], up to a hundred years: ages, which nobody waits for.
pub(crate) fn age_ms(text: &str) -> Option<u64> {
    milliseconds(text, 3_155_760_000_000.0)
}

fn milliseconds(text: &str, longest: f64) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let milliseconds = number * factor;
    // Even a hundred years are far below what a float holds exactly.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (0.0..=longest).contains(&milliseconds).then(|| milliseconds.round() as u64)
}

/// Per second of `40/s`, `200/m` or `200/h`; greater than 0.
pub fn rate_per_second(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "/s" => 1.0,
        "/m" => 60.0,
        "/h" => 3600.0,
        _ => return None,
    };
    (number > 0.0).then_some(number / seconds)
}

/// The share of `2%` or `0.02`, from 0 to 1.
pub(crate) fn share(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    let share = match unit {
        "%" => number / 100.0,
        "" => number,
        _ => return None,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_wanted_and_known() {
        assert_eq!(duration_ms("10s"), Some(10_000));
        assert_eq!(duration_ms("1.5m"), Some(90_000));
        assert_eq!(duration_ms("10"), None);
        assert_eq!(duration_ms("-1s"), None);
        assert_eq!(duration_ms("999999999999d"), None);
        assert_eq!((duration_ms("1826d"), age_ms("1826d")), (None, Some(157_766_400_000)));
        assert_eq!(age_ms("36526d"), None);
        assert_eq!(rate_per_second("120/m"), Some(2.0));
        assert_eq!(rate_per_second("0/s"), None);
        assert_eq!(share("2%"), Some(0.02));
        assert_eq!(share("0.98"), Some(0.98));
        assert_eq!(share("101%"), None);
    }
}
