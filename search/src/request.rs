//! What a search asks for.

use std::{convert::Infallible, str::FromStr};

use plan::{
    DocumentId, Field, FieldTree, diagnostic::nearest, field::MappingKind, filter::CheckedFilter,
    index_plan::short_hash,
};

use serde::Deserialize;

use crate::{Cursor, SearchError};

/// Hits of one page at most: each carries a whole document.
pub const MAX_FIRST: usize = 1_000;

/// Facets of one search at most: each reads a value of every document that matches.
pub const MAX_FACETS: usize = 20;

/// Fields to sort by at most; more could not change what anybody sees.
pub const MAX_SORTS: usize = 8;

/// One search: every part may be left out.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Words that a hit must hold, all of them, the last one perhaps unfinished. Blank is none.
    pub text: Option<String>,
    /// The one document that is asked for; `None`: any.
    pub id: Option<DocumentId>,
    /// What must hold for a hit.
    pub filter: Option<CheckedFilter>,
    /// What the caller is held to: it must hold as well, and no option of the search reaches past it.
    pub restriction: Option<CheckedFilter>,
    /// Fields whose values are counted.
    pub facets: Vec<String>,
    /// Over which documents they are counted.
    pub facet_counts: FacetCounts,
    /// The order of the hits. Without it the best come first where there is text, else ids in order.
    pub sort: Vec<Sort>,
    /// Hits on this page at most, up to [`MAX_FIRST`].
    pub first: usize,
    /// Where the page begins: `next` of the page before.
    pub after: Option<Cursor>,
}

/// The documents that values of facets are counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FacetCounts {
    /// Those that match.
    #[default]
    Matching,
    /// Those that match without what the filter says of the facet's own field: who has chosen a value sees the others beside it.
    Alternatives,
}

/// A field to sort by. Documents without a value come last, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The field.
    pub path: String,
    /// Whether the largest value comes first.
    pub descending: bool,
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self {
            text: None,
            id: None,
            filter: None,
            restriction: None,
            facets: Vec::new(),
            facet_counts: FacetCounts::Matching,
            sort: Vec::new(),
            first: 10,
            after: None,
        }
    }
}

impl FromStr for Sort {
    type Err = Infallible;

    /// Reads `path`, `path:asc` or `path:desc`.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (path, descending) = match text.rsplit_once(':') {
            Some((path, "desc")) => (path, true),
            Some((path, "asc")) => (path, false),
            _ => (text, false),
        };
        Ok(Self { path: path.to_owned(), descending })
    }
}

impl SearchRequest {
    /// The words asked for, where there is more than blanks.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.trim().is_empty())
    }

    /// All that must hold for a hit.
    pub(crate) fn conditions(&self) -> Vec<&CheckedFilter> {
        self.restriction.iter().chain(&self.filter).collect()
    }

    /// The filter that a facet is counted under, where it is another one than that of the hits.
    pub(crate) fn alternative_filter(&self, facet: &str) -> Option<CheckedFilter> {
        match self.facet_counts {
            FacetCounts::Matching => None,
            FacetCounts::Alternatives => self.filter.as_ref()?.without(facet),
        }
    }

    /// Refuses what would cost more than one search may.
    pub(crate) fn check_limits(&self) -> Result<(), SearchError> {
        let limits = [
            ("hits", self.first, MAX_FIRST),
            ("facets", self.facets.len(), MAX_FACETS),
            ("sort fields", self.sort.len(), MAX_SORTS),
        ];
        match limits.into_iter().find(|(_, asked, limit)| asked > limit) {
            Some((what, asked, limit)) => Err(SearchError::TooMuch { what, asked, limit }),
            None => Ok(()),
        }
    }

    /// Equal for searches that find the same documents in the same order: a cursor is good for one of them only.
    pub(crate) fn fingerprint(&self, index: &str) -> String {
        let [filter, restriction] =
            [&self.filter, &self.restriction].map(|filter| filter.as_ref().map(CheckedFilter::fingerprint));
        let asked = (self.text(), &self.id, &self.sort);
        short_hash(&format!("{index:?} {filter:?} {restriction:?} {asked:?}"))
    }
}

/// The field at a path whose whole values can be sorted or counted.
pub(crate) fn comparable_field<'f>(fields: &'f FieldTree, path: &str) -> Result<&'f Field, SearchError> {
    let Some(line) = fields.ancestry(path) else {
        let near = nearest(path, fields.walk().map(|field| field.path.as_str())).map(str::to_owned);
        return Err(SearchError::UnknownField { path: path.to_owned(), near });
    };
    if line.iter().any(|field| !field.mapping.indexed) {
        return Err(SearchError::NotIndexed { path: path.to_owned() });
    }
    let field = *line.last().expect("an ancestry ends with the field");
    let whole = line.iter().rev().skip(1).all(|parent| holds_fields(parent.mapping.kind));
    match field.mapping.has_exact_value() && whole {
        true => Ok(field),
        false => Err(SearchError::NotComparable { path: path.to_owned() }),
    }
}

/// Whether the fields of an object are indexed one by one.
fn holds_fields(kind: MappingKind) -> bool {
    matches!(kind, MappingKind::Object | MappingKind::Nested)
}
