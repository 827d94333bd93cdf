//! What a process needs beside the plan: addresses, files and secrets, from the configuration alone.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use secrecy::SecretString;

/// Addresses, files and secrets. Never stored, never printed.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// The gateway.
    pub graph: GraphEndpoint,
    /// The SQLite file of log, ledger, documents and index.
    pub state: PathBuf,
    /// The file of each `file:` source, by the source's name.
    pub source_files: BTreeMap<String, PathBuf>,
    /// The file under `backfill.ids.file`.
    pub ids_file: Option<PathBuf>,
    /// Where the status page, metrics and health listen; `None` opens no port.
    pub admin: Option<SocketAddr>,
    /// Tokens that authenticate a client of the admin port where it doesn't listen on loopback.
    pub tokens: Vec<SecretString>,
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
