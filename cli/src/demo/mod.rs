//! The graph of `studio-search demo`: real movies as three domains, served in this process, with edits and the events that tell of them.
//!
//! It stands in for a federated gateway: the same schema and the same answers as `configs/movies/supergraph.graphql` behind a real one,
//! the same edit routes and the same event lines as `tests/gateway`, so that one configuration runs against both. What it cannot do is
//! fail by halves, as a gateway with a broken subgraph does; that is tested against the real one.
//!
//! Nothing here knows of the indexer, and nothing prints.

pub(crate) mod edits;
mod events;
mod graph;
mod life;
mod records;
mod routes;
mod schema;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use graph::DemoGraph;
