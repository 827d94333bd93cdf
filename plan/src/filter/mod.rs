//! The filter language: one syntax tree, checked against the field tree, and its meaning over a JSON document.
//!
//! A text is [`parse`]d into a [`Filter`], which can be matched against records as it is, or [`Filter::check`]ed
//! against the fields of a document. Only a [`CheckedFilter`] can be matched against documents or translated for a
//! store; its meaning is what [`CheckedFilter::matches`] says, and every translation must give the same ids.

mod ast;
mod check;
mod checked;
pub mod date;
mod evaluate;
pub mod flattened;
mod lex;
mod operand;
mod parse;
mod pattern;
pub mod point;
mod record;
mod resolve;
pub mod scalar;
mod set;
#[cfg(test)]
mod tests;
pub mod words;

use std::sync::Arc;

pub use ast::{Circle, Filter, Order};
pub use checked::{CheckedFilter, Condition, List, Place, Test, TestKind};
pub use operand::{Operand, Operands};
pub use parse::parse;
pub use pattern::Pattern;
pub use record::values_at;
pub use resolve::routes;
pub use scalar::Scalar;
pub use set::FilterSet;

use crate::{Diagnostic, FieldTree, SourceText};

/// Reads a filter of documents with these fields. The text is called by this name where it is shown with its mistakes, of which all are told
/// that can be found: the first one where it can't be parsed.
pub fn checked(
    name: &str,
    text: impl Into<String>,
    fields: &FieldTree,
) -> Result<CheckedFilter, Vec<Diagnostic>> {
    let source = Arc::new(SourceText { name: name.to_owned(), text: text.into() });
    parse(&source).map_err(|mistake| vec![mistake])?.check(fields)
}

/// The longest filter in bytes. The tokens of a longer one would cost memory before the parser could refuse it.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Parentheses, `NOT` and `path[...]` inside of each other. The readers recurse; a deeper tree could exhaust a thread's stack.
pub const MAX_DEPTH: usize = 64;

/// Comparisons in the whole filter; each value of `ALL [...]` is one. Of 3,000 that are joined by `OR` a statement of SQLite's takes
/// 300 MB, and OpenSearch takes 1,024 clauses (`indices.query.bool.max_clause_count`).
pub const MAX_CLAUSES: usize = 1_000;

/// Values in all lists together. SQLite takes 32,766 parameters in one statement, Elasticsearch 65,536 terms.
pub const MAX_LIST_VALUES: usize = 10_000;

/// Characters of a `LIKE` pattern: matching takes at most pattern times text.
pub const MAX_PATTERN_CHARS: usize = 1_000;

/// Different words of one `MATCHES`: a full-text index reads one posting list for each.
pub const MAX_MATCH_WORDS: usize = 128;
