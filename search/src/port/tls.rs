//! TLS before a port: a listener that gives connections once both sides have agreed.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    },
    server::TlsStream,
};

/// Connections that may be agreeing at once. More wait for the operating system to hand them over.
const MAX_AGREEING: usize = 256;

/// How long both sides may take to agree.
const AGREED_WITHIN: Duration = Duration::from_secs(10);

/// The identity of a TLS server.
#[derive(Debug, Clone)]
pub struct Identity {
    /// A PEM file of the certificate, with those between it and its authority behind it.
    pub cert: PathBuf,
    /// A PEM file of its private key.
    pub key: PathBuf,
}

/// Why nobody can be shown an identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file can't be used.
    #[error("`serve.tls.{key}`: {path}: {reason}")]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The key is not that of the certificate, or of a kind that TLS has none of.
    #[error("`serve.tls`: the certificate and the key don't go together: {0}")]
    Pair(String),
}

/// Reads the files of an identity: what the port shows to who connects.
pub fn acceptor(identity: &Identity) -> Result<TlsAcceptor, IdentityError> {
    let chain = CertificateDer::pem_file_iter(&identity.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| of_file("cert", &identity.cert, &error))?;
    if chain.is_empty() {
        return Err(of_file("cert", &identity.cert, &pem::Error::NoItemsFound));
    }
    let key =
        PrivateKeyDer::from_pem_file(&identity.key).map_err(|error| of_file("key", &identity.key, &error))?;
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| IdentityError::Pair(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn of_file(key: &'static str, path: &Path, error: &pem::Error) -> IdentityError {
    let reason = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "it holds none in PEM".to_owned(),
        error => error.to_string(),
    };
    IdentityError::File { key, path: path.display().to_string(), reason }
}

/// Accepts connections and agrees on TLS with many at once: one that says nothing holds up nobody.
pub(super) struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    agreeing: JoinSet<Option<(TlsStream<TcpStream>, SocketAddr)>>,
}

impl TlsListener {
    pub(super) fn new(listener: TcpListener, acceptor: TlsAcceptor) -> Self {
        Self { listener, acceptor, agreeing: JoinSet::new() }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            tokio::select! {
                // What goes wrong with one connection is told to the other side, by TLS itself.
                Some(agreed) = self.agreeing.join_next() => {
                    if let Ok(Some(agreed)) = agreed {
                        return agreed;
                    }
                }
                (connection, address) = Listener::accept(&mut self.listener),
                    if self.agreeing.len() < MAX_AGREEING =>
                {
                    let agreeing = self.acceptor.accept(connection);
                    self.agreeing.spawn(async move {
                        let agreed = tokio::time::timeout(AGREED_WITHIN, agreeing).await.ok()?;
                        Some((agreed.ok()?, address))
                    });
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
