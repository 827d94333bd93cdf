//! End-to-end tests: the real program against a real federated graph, and the rules of the workspace.

mod analyzers;
mod avro;
mod compiled;
mod conformance;
mod convergence;
mod crashes;
mod debezium;
mod documentation;
mod engines;
mod failures;
mod generated;
mod init;
mod kafka_client;
mod ledger;
mod memory;
mod ownership;
mod python;
mod registry;
mod remote_store;
mod servers;
mod shared;
mod sources;
mod store_faults;
mod templates;
mod verdicts;
mod workspace;
