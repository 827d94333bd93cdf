//! TLS before servers that speak plainly: certificates of an authority of our own, and a door that asks for credentials.

use std::{
    fs,
    io::BufReader,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::http::{Answer, Request};

/// Whoever trusts it trusts the servers of this machine that it certifies.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    /// A new one, whom nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // A certificate with its issuer's name would pass for one that signs itself.
        params.distinguished_name.push(DnType::CommonName, "the authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("the folder is writable");
        Self { issuer, folder }
    }

    /// A PEM file of its certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Its certificate.
    pub(crate) fn ca_pem(&self) -> Vec<u8> {
        self.issuer.pem().into_bytes()
    }

    /// Writes a PEM file with the key and the certificate of a server on this machine.
    pub fn write_identity(&self, path: &Path) {
        let key = key();
        let certificate = self.certificate(&key);
        let identity = key.serialize_pem() + &certificate.pem() + &self.issuer.pem();
        fs::write(path, identity).expect("the folder is writable");
    }

    fn certificate(&self, key: &KeyPair) -> rcgen::Certificate {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
        let params = CertificateParams::new(names).expect("names");
        params.signed_by(key, &self.issuer).expect("a certificate")
    }

    fn server(&self) -> ServerConfig {
        let key = key();
        let chain = vec![self.certificate(&key).der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they match")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// A TLS server that passes requests on to another, where they show the right credentials, and answers 401 where not.
pub struct Door {
    /// Where it listens, such as `https://127.0.0.1:9201`.
    pub url: String,
    passed: Arc<AtomicUsize>,
}

impl Door {
    /// A door before the server at `url` for who shows this `Authorization`.
    pub fn before(url: &str, authority: &Authority, authorization: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let passed: Arc<AtomicUsize> = Arc::default();
        let (config, counted) = (Arc::new(authority.server()), Arc::clone(&passed));
        let (url, authorization) = (url.to_owned(), authorization.to_owned());
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let tls = ServerConnection::new(Arc::clone(&config)).expect("a connection");
                let (url, authorization, counted) =
                    (url.clone(), authorization.clone(), Arc::clone(&counted));
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(StreamOwned::new(tls, connection));
                    // Nothing comes from who does not trust the certificate.
                    while let Some(request) = Request::read(&mut stream) {
                        let is_known = request.header("authorization") == Some(&authorization);
                        let answer = if is_known {
                            counted.fetch_add(1, Ordering::Relaxed);
                            request.pass_on(&url).ok()
                        } else {
                            Some(Answer::new(401, "text/plain", "nobody knows you"))
                        };
                        if answer.and_then(|answer| answer.write(stream.get_mut())).is_none() {
                            break;
                        }
                    }
                });
            }
        });
        Self { url: format!("https://{address}"), passed }
    }

    /// How many requests it let pass.
    pub fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }
}
