//! Numbers of things, as people say them.

use std::fmt::Display;

/// `1 field`, `2 fields`.
pub(crate) fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// `1 document is`, `2 documents are`.
pub(crate) fn amount(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
