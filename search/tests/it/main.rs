//! The embedded store and its searches, tested through the public interface.

#![expect(clippy::unwrap_used, reason = "clippy lets #[test] functions unwrap, and not what they call")]

mod access;
mod conformance;
mod hostile;
mod searches;
mod serve;
mod store;
