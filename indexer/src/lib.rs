//! The running system: events in, documents out, the index kept equal to the graph.
//!
//! Folders of verbs do the work: [`route`] turns source events into ids, [`rebuild`] turns ids into documents,
//! [`backfill`] enumerates ids, [`audit`] compares index and graph, [`provision`] makes what they need,
//! [`saved`] holds saved searches against what is written,
//! [`promotion`] serves another index version, [`doctor`] examines it all, [`admin`] shows it, and [`trace`] one document with its
//! [`history`]. Folders of nouns are the ports to the worlds around it, one file a world: [`source`], [`graph`], [`log`],
//! [`store`], [`ledger`]. [`run`] wires them.
//! [`documents`] writes documents as Avro and reads them, [`avro`] reads what others wrote under a schema of the [`registry`].
//! The crate never parses GraphQL or YAML: it runs the plan that codegen proved.

pub mod admin;
mod ambient;
pub mod audit;
pub mod avro;
pub mod backfill;
pub mod certificates;
pub mod doctor;
pub mod documents;
pub mod endpoints;
mod filling;
pub mod graph;
mod heartbeat;
pub mod history;
pub mod index;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod ledger;
pub mod log;
pub mod metrics;
#[cfg(feature = "kafka")]
mod patience;
pub mod promotion;
pub mod provision;
pub mod rebuild;
pub mod registry;
pub mod rehearsal;
mod reservoir;
pub mod revision;
pub mod route;
pub mod run;
pub mod saved;
pub mod source;
pub mod state;
pub mod store;
mod tasks;
#[cfg(test)]
mod testing;
pub mod trace;

pub(crate) use ambient::now_ms;
pub use endpoints::Endpoints;
pub use index::Index;
pub use state::{StateError, StateFile};
