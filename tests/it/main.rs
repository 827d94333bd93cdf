//! End-to-end tests: the real program against a real federated graph, and the rules of the workspace.

mod avro;
mod convergence;
mod crashes;
mod documentation;
mod failures;
mod generated;
mod init;
mod memory;
mod ownership;
mod python;
mod servers;
mod sources;
mod verdicts;
mod workspace;
