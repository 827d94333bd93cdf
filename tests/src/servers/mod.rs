//! The real servers that documents, templates and schemas are tried on: started once a test process, ended with it.
//!
//! Each comes from Maven Central on its first use and is kept unpacked in the user's cache; PostgreSQL comes from Debian. Tests
//! need Maven 3, a JDK 17 and a JDK 21 or newer beside what the rest of the harness needs; what is missing fails a test with a
//! sentence.

mod connect;
mod elasticsearch;
mod java;
mod kafka;
mod maven;
mod opensearch;
mod postgres;
mod process;
mod records;
mod registry;
mod rest;
mod topics;

use std::sync::LazyLock;

use crate::{link::Link, tls::Authority};

pub use self::{
    kafka::{Kafka, produce},
    postgres::{DATABASE, Postgres},
    records::{Delivered, Header},
    rest::Rest,
};

static ELASTICSEARCH: LazyLock<Rest> = LazyLock::new(elasticsearch::start);
static OPENSEARCH: LazyLock<Rest> = LazyLock::new(|| opensearch::start(&opensearch::CURRENT));
static OPENSEARCH_2: LazyLock<Rest> = LazyLock::new(|| opensearch::start(&opensearch::PREVIOUS));
static REGISTRY: LazyLock<Rest> = LazyLock::new(registry::start);
static KAFKA: LazyLock<Kafka> = LazyLock::new(kafka::start);
static POSTGRES: LazyLock<Postgres> = LazyLock::new(postgres::start);
static CONNECT: LazyLock<Rest> = LazyLock::new(connect::start);

/// Elasticsearch 9.4, shared by the tests of this process: use names of your own.
pub fn elasticsearch() -> &'static Rest {
    &ELASTICSEARCH
}

/// `OpenSearch` 3.8, shared by the tests of this process.
pub fn opensearch() -> &'static Rest {
    &OPENSEARCH
}

/// `OpenSearch` 2.19, the last of the line before, shared by the tests of this process.
pub fn opensearch_2() -> &'static Rest {
    &OPENSEARCH_2
}

/// `OpenSearch` 3.4 with its security plugin: over TLS, and for those alone whom [`Rest::allow`] lets in. It ends when it is
/// dropped.
pub fn opensearch_secured(authority: &Authority) -> Rest {
    opensearch::start_secured(authority)
}

/// Apicurio Registry at its root; Confluent's API is below `/apis/ccompat/v7`. Shared by the tests of this process.
pub fn registry() -> &'static Rest {
    &REGISTRY
}

/// One Kafka broker, shared by the tests of this process.
pub fn kafka() -> &'static Kafka {
    &KAFKA
}

/// A broker that one test may kill. It ends when it is dropped.
pub fn kafka_of_its_own() -> Kafka {
    kafka::start()
}

/// A broker with a listener over TLS beside its own: for these users and their passwords, by `PLAIN` or `SCRAM-SHA-256`, who may
/// do only what [`Kafka::allow`] allows. Gives that listener's address, too. The broker ends when it is dropped.
pub fn kafka_for(users: &[(&str, &str)], authority: &Authority) -> (Kafka, String) {
    kafka::start_for(users, authority)
}

/// A broker of one test's own, with so many ways to it that can be broken: whoever begins at the address of one stays on it.
pub fn kafka_linked(ways: usize) -> (Kafka, Vec<Link>) {
    kafka::start_linked(ways)
}

/// `PostgreSQL` with a log that Debezium reads, shared by the tests of this process.
pub fn postgres() -> &'static Postgres {
    &POSTGRES
}

/// Kafka Connect with Debezium at its REST port, beside [`kafka`] and [`postgres`]. Shared by the tests of
/// this process.
pub fn connect() -> &'static Rest {
    &CONNECT
}
