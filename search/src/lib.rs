//! Searching an index: what is asked, what is answered, and the stores that the answers are read from.
//!
//! A [`SearchRequest`] goes to a [`Searcher`], which answers a [`SearchResponse`]. The stores are siblings: [`sqlite`] is
//! embedded, [`elastic`] speaks to Elasticsearch and `OpenSearch`, [`memory`] is gone with the process. Each has an index,
//! which the indexer writes, and a searcher over it.

#[cfg(feature = "testing")]
pub mod conformance;
mod cursor;
mod document;
pub mod elastic;
mod error;
mod explain;
mod highlight;
pub mod memory;
pub mod policy;
pub mod port;
mod request;
mod response;
mod searcher;
pub mod serve;
pub mod sqlite;
mod suggest;
mod text;

pub use cursor::Cursor;
pub use document::{Counts, DocumentWrite, PutOutcome, StoredDocument};
pub use error::SearchError;
pub use explain::{Explanation, Multiplier, ScoreParts, Sent, TermPart};
pub use highlight::Highlight;
pub use request::{FacetCounts, MAX_FACETS, MAX_FIRST, MAX_SORTS, SearchRequest, Sort};
pub use response::{Facet, FacetValue, Hit, SearchResponse};
pub use searcher::Searcher;
pub use suggest::{MAX_SUGGESTIONS, SuggestRequest, Suggestion, declared as suggested_fields};
pub use text::{MAX_TEXT_BYTES, MAX_WORDS};
