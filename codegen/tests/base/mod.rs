//! The four files of a right configuration, which tests change: an index of movies on a supergraph.

use std::sync::Arc;

use plan::SourceText;

pub(crate) const CONFIG: &str = include_str!("index.yaml");
pub(crate) const QUERY: &str = include_str!("query.graphql");
pub(crate) const SCHEMA: &str = include_str!("supergraph.graphql");
pub(crate) const IDS: &str = include_str!("movies-of-talent.graphql");

pub(crate) fn text(name: &str, text: impl Into<String>) -> Arc<SourceText> {
    Arc::new(SourceText { name: name.to_owned(), text: text.into() })
}
