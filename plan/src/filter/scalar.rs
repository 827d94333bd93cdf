//! Single values as they are indexed and compared. A value that doesn't fit its field's type counts as missing, in every store.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::{Number, Value};

use super::date;
use crate::field::MappingKind;

/// One value of a leaf, typed by its field.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'v> {
    /// A keyword, or the whole value of a text field. Ordered by code point.
    Text(Cow<'v, str>),
    /// A `long`.
    Integer(i64),
    /// A `double`: finite, and never minus zero.
    Double(f64),
    /// A boolean.
    Boolean(bool),
    /// A date, in milliseconds since the epoch of Unix, within the calendar of the years -9999 to 9999.
    Instant(i64),
}

impl<'v> Scalar<'v> {
    /// Reads a JSON value as one value of this type; `None` for null, lists, objects and what doesn't fit.
    ///
    /// Custom scalars often write numbers as strings, so `"12"` is a `long` and `"1.5"` a `double`.
    pub fn read(kind: MappingKind, value: &'v Value) -> Option<Self> {
        match kind {
            MappingKind::Keyword | MappingKind::Text => text(value).map(Scalar::Text),
            MappingKind::Long => integer(value).map(Scalar::Integer),
            MappingKind::Double => double(value).map(Scalar::Double),
            MappingKind::Boolean => boolean(value).map(Scalar::Boolean),
            MappingKind::Date => instant(value).map(Scalar::Instant),
            MappingKind::GeoPoint | MappingKind::Flattened | MappingKind::Object | MappingKind::Nested => {
                None
            }
        }
    }
}

impl PartialOrd for Scalar<'_> {
    /// Values of one type are ordered; of different types they are not.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Scalar::Text(one), Scalar::Text(two)) => Some(one.cmp(two)),
            (Scalar::Integer(one), Scalar::Integer(two)) | (Scalar::Instant(one), Scalar::Instant(two)) => {
                Some(one.cmp(two))
            }
            (Scalar::Double(one), Scalar::Double(two)) => one.partial_cmp(two),
            (Scalar::Boolean(one), Scalar::Boolean(two)) => Some(one.cmp(two)),
            _ => None,
        }
    }
}

/// A scalar as a keyword: numbers and booleans as JSON writes them.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => whole(number),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A number without a fraction that fits 64 bits, however it is written.
pub(super) fn whole(number: &Number) -> Option<i64> {
    /// 2^63, the first number past `i64`; exact as a double.
    const PAST: f64 = 9_223_372_036_854_775_808.0;
    if let Some(integer) = number.as_i64() {
        return Some(integer);
    }
    let double = number.as_f64().filter(|_| number.is_f64())?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
    (double.fract() == 0.0 && (-PAST..PAST).contains(&double)).then_some(double as i64)
}

fn double(value: &Value) -> Option<f64> {
    let double = match value {
        Value::Number(number) => number.as_f64(),
        // Rust also reads "inf" and "nan"; a number has a digit.
        Value::String(text) if text.bytes().any(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    // Adding zero turns minus zero into zero: one number, one form.
    double.filter(|double| double.is_finite()).map(|double| double + 0.0)
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn instant(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => date::parse_iso(text),
        Value::Number(number) => whole(number).map(date::within_calendar),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_come_as_text() {
        let long = |value| Scalar::read(MappingKind::Long, &value).map(|scalar| format!("{scalar:?}"));
        assert_eq!(long(json!("12")), long(json!(12)));
        assert_eq!(long(json!(12.0)), long(json!(12)));
        assert_eq!(long(json!(12.5)), None);
        assert_eq!(long(json!(u64::MAX)), None);
        assert_eq!(long(json!(9_223_372_036_854_775_808.0)), None);
        let double = |value| Scalar::read(MappingKind::Double, &value).is_some();
        assert!(double(json!("1.5")) && double(json!("-1e3")));
        assert!(!double(json!("nan")) && !double(json!("inf")) && !double(json!("1e999")));
    }

    #[test]
    fn dates_end_where_the_calendar_does() {
        let instant = |value| match Scalar::read(MappingKind::Date, &value) {
            Some(Scalar::Instant(instant)) => instant,
            other => panic!("{other:?}"),
        };
        // What systems write for "never", in milliseconds and as a date.
        let never = instant(json!(i64::MAX));
        assert_eq!(never, instant(json!("9999-12-31T23:59:59.999Z")));
        assert!(never > instant(json!("9999-12-30")));
        assert_eq!(instant(json!(i64::MIN)), instant(json!("-009999-01-01")));
        assert_eq!(instant(json!(-1)), -1);
    }

    #[test]
    fn minus_zero_is_zero() {
        let Some(Scalar::Double(zero)) = Scalar::read(MappingKind::Double, &json!(-0.0)) else { panic!() };
        assert!(zero.is_sign_positive());
    }
}
