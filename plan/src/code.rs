//! The diagnostic codes: one constant and one page each, grouped by the hundred as the command line prints them.

pub mod backfill;
pub mod config;
pub mod fetch;
pub mod graph;
pub mod kafka;
pub mod search;
pub mod store;

use std::fmt;

/// A diagnostic code with the page that `studio-search explain` shows.
///
/// 1xx config, 2xx graph and query, 3xx sources, Kafka and registry, 4xx fetch, 5xx store, 6xx backfill, 7xx search.
#[derive(Clone, Copy)]
pub struct Code {
    /// `SS` and three digits.
    pub id: &'static str,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// Why it matters and how to mend it, as Markdown.
    pub page: &'static str,
}

/// Declares codes: `SS101 "title" "page";` becomes `pub const SS101` and an entry of `ALL`.
macro_rules! codes {
    ($($id:ident $title:literal $page:literal;)*) => {
        $(#[doc = $title] pub const $id: $crate::Code =
            $crate::Code { id: stringify!($id), title: $title, page: $page };)*
        /// Every code of this hundred, in order.
        pub const ALL: &[$crate::Code] = &[$($id),*];
    };
}
pub(crate) use codes;

impl Code {
    /// Every code there is, in order.
    pub fn all() -> impl Iterator<Item = Code> {
        [config::ALL, graph::ALL, kafka::ALL, fetch::ALL, store::ALL, backfill::ALL, search::ALL]
            .into_iter()
            .flatten()
            .copied()
    }

    /// Finds a code by its name, in either case.
    pub fn find(id: &str) -> Option<Code> {
        Self::all().find(|code| code.id.eq_ignore_ascii_case(id))
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Code {}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ordered_and_explained() {
        let ids: Vec<&str> = Code::all().map(|code| code.id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
        for code in Code::all() {
            assert!(code.id.len() == 5 && !code.title.ends_with('.'), "{code}: {}", code.title);
            assert!(code.page.len() > 40, "{code} has no page");
        }
    }
}
