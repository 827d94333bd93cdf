//! Searching an index: what is asked, what is answered, and the embedded store that the answers are read from.
//!
//! A [`SearchRequest`] goes to a [`Searcher`], which answers a [`SearchResponse`]. The embedded store is
//! [`sqlite::SqliteIndex`], which the indexer writes and [`sqlite::SqliteSearcher`] searches.

mod cursor;
mod error;
mod highlight;
mod request;
mod response;
mod searcher;
pub mod sqlite;
mod text;

pub use cursor::Cursor;
pub use error::SearchError;
pub use highlight::Highlight;
pub use request::{MAX_FACETS, MAX_FIRST, MAX_SORTS, SearchRequest, Sort};
pub use response::{Facet, FacetValue, Hit, SearchResponse};
pub use searcher::Searcher;
pub use text::{MAX_TEXT_BYTES, MAX_WORDS};
