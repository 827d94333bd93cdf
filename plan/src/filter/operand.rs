//! The values of a filter, typed by the field that they are compared with.

use std::{borrow::Cow, cmp::Ordering};

use super::{Scalar, date::Moment};

/// A value of the filter. Date maths have a value only when the time is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A constant.
    Value(Scalar<'static>),
    /// A date that counts from now or from another date.
    Moment(Moment),
}

/// The values of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Operands {
    /// The constants, sorted and without repetition, all of one type.
    values: Vec<Scalar<'static>>,
    /// Dates that count from now.
    moments: Vec<Moment>,
}

impl Operand {
    /// The value at this time.
    pub fn resolve(&self, now_ms: i64) -> Cow<'_, Scalar<'static>> {
        match self {
            Operand::Value(value) => Cow::Borrowed(value),
            Operand::Moment(moment) => Cow::Owned(Scalar::Instant(moment.resolve(now_ms))),
        }
    }
}

impl Operands {
    /// Sorts the values, so that a list of 10,000 costs a lookup and not a walk.
    pub fn new(operands: impl IntoIterator<Item = Operand>) -> Self {
        let (mut values, mut moments) = (Vec::new(), Vec::new());
        for operand in operands {
            match operand {
                Operand::Value(value) => values.push(value),
                Operand::Moment(moment) => moments.push(moment),
            }
        }
        values.sort_by(compare);
        values.dedup();
        Self { values, moments }
    }

    /// Whether the value is one of them.
    pub fn contains(&self, value: &Scalar<'_>, now_ms: i64) -> bool {
        self.values.binary_search_by(|other| compare(other, value)).is_ok()
            || self.moments.iter().any(|moment| *value == Scalar::Instant(moment.resolve(now_ms)))
    }

    /// The values where none depends on the time.
    pub(super) fn constants(&self) -> Option<&[Scalar<'static>]> {
        self.moments.is_empty().then_some(&self.values)
    }

    /// All values at this time.
    pub fn resolve(&self, now_ms: i64) -> impl Iterator<Item = Scalar<'static>> {
        let moments = self.moments.iter().map(move |moment| Scalar::Instant(moment.resolve(now_ms)));
        self.values.iter().cloned().chain(moments)
    }
}

/// Values of one list have one type and no NaN, so they are ordered.
fn compare(one: &Scalar<'_>, two: &Scalar<'_>) -> Ordering {
    one.partial_cmp(two).unwrap_or(Ordering::Equal)
}
