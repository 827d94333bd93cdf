//! What a process needs beside the plan: addresses, files and secrets, from the configuration alone.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use search::elastic::Client;
pub use search::elastic::{ElasticAuth, ElasticEndpoint};
pub use search::port::Identity;
use secrecy::SecretString;

use crate::StateError;

/// Addresses, files and secrets. Never stored, never printed.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The gateway.
    pub graph: GraphEndpoint,
    /// Where the index lives.
    pub place: Place,
    /// The file of each `file:` source, by the source's name.
    pub source_files: BTreeMap<String, PathBuf>,
    /// The file under `backfill.ids.file`.
    pub ids_file: Option<PathBuf>,
    /// Where the status page, metrics and health listen; `None` opens no port.
    pub admin: Option<SocketAddr>,
    /// Tokens that authenticate a client of the admin port where it doesn't listen on loopback.
    pub tokens: Vec<SecretString>,
    /// What the admin port shows to who connects over TLS; `None`: it is spoken to in the clear.
    pub identity: Option<Identity>,
    /// Where matches of saved searches are posted.
    pub webhook: Option<WebhookEndpoint>,
}

/// How the webhook of saved searches is reached.
#[derive(Debug, Clone)]
pub struct WebhookEndpoint {
    /// Its URL, in which credentials may stand.
    pub url: SecretString,
    /// Headers of every post, with their values.
    pub headers: Vec<(String, SecretString)>,
}

/// Where an index lives: what every command needs to open it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The SQLite file of log and ledger, and of the documents where no server keeps them.
    pub state: PathBuf,
    /// The server that keeps the documents; `None` for the file above.
    pub store: Option<ElasticEndpoint>,
    /// The brokers and the registry that share the log; `None` where it is in the file above.
    pub kafka: Option<KafkaEndpoint>,
}

impl Place {
    /// Everything in one SQLite file.
    pub fn embedded(state: impl Into<PathBuf>) -> Self {
        Self { state: state.into(), store: None, kafka: None }
    }

    /// Refuses what this program was built without.
    pub(crate) fn check(&self) -> Result<(), StateError> {
        if self.kafka.is_some() && !cfg!(feature = "kafka") {
            let what = "this program".to_owned();
            let reason =
                "it was built without its feature `kafka`, and the configuration has `kafka:`".to_owned();
            return Err(StateError::Refused { what, reason });
        }
        Ok(())
    }

    /// A client of the server that keeps the documents.
    pub(crate) fn client(&self) -> Result<Client, StateError> {
        let lacking = || StateError::Refused {
            what: "the configuration".to_owned(),
            reason: "it names no server under `store:`, and the provisioned plan needs one".to_owned(),
        };
        Ok(Client::new(self.store.as_ref().ok_or_else(lacking)?)?)
    }
}

/// How the gateway is reached.
#[derive(Debug, Clone)]
pub struct GraphEndpoint {
    /// Its URL.
    pub url: String,
    /// Headers of every request, with their values.
    pub headers: Vec<(String, SecretString)>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
}

/// How Kafka is reached.
#[derive(Debug, Clone)]
pub struct KafkaEndpoint {
    /// Addresses of some brokers, `host:port`.
    pub brokers: Vec<String>,
    /// Properties for librdkafka, as the user wrote them: SASL, TLS, timeouts. Any may hold a secret.
    pub properties: BTreeMap<String, SecretString>,
    /// The name of this process among its group's static members; none: it is a new member at each start.
    pub instance_id: Option<String>,
    /// The schema registry.
    pub registry: Option<RegistryEndpoint>,
}

/// How a schema registry is reached, one with Confluent's API.
#[derive(Debug, Clone)]
pub struct RegistryEndpoint {
    /// Its URL, with the path under which its API begins.
    pub url: String,
    /// How to log in, if at all.
    pub auth: Option<RegistryAuth>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
}

/// Credentials of a registry.
#[derive(Debug, Clone)]
pub enum RegistryAuth {
    /// A user and a password.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A bearer token.
    Bearer(SecretString),
}
