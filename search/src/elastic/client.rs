//! The client of one server: credentials, time limits, and errors by what they mean.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use elasticsearch::{
    auth::Credentials,
    cert::{Certificate, CertificateValidation},
    http::{
        Method,
        headers::{CONTENT_TYPE, HeaderMap, HeaderValue},
        response::Response,
        transport::{SingleNodeConnectionPool, Transport, TransportBuilder},
    },
};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::explain::quoted;

/// How much of an answer that is no JSON is repeated in an error.
const EXCERPT_BYTES: usize = 200;

/// How a server is reached.
#[derive(Debug, Clone)]
pub struct ElasticEndpoint {
    /// Its address, such as `https://search:9200`, with a path where it stands behind a proxy.
    pub url: String,
    /// Who asks.
    pub auth: Option<ElasticAuth>,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Credentials. They are sent with every request and shown nowhere.
#[derive(Debug, Clone)]
pub enum ElasticAuth {
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// An API key in the encoded form that Elasticsearch shows once.
    ApiKey(SecretString),
    /// A token.
    Bearer(SecretString),
}

/// Which of the two a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Elasticsearch.
    Elasticsearch,
    /// `OpenSearch`.
    OpenSearch,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Which of the two it is.
    pub engine: Engine,
    /// Its version, such as `9.4.3`.
    pub version: String,
}

/// A client of one server. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    /// Scheme, host and port: what errors name. It holds no secret.
    server: Arc<str>,
    /// The beginning of a command that asks the same server in the same way, without its secrets.
    curl: Arc<str>,
}

/// Why a server gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{server} {trouble}: {reason}")]
pub struct ElasticError {
    /// The server: scheme, host and port.
    pub server: String,
    /// What it means.
    pub trouble: Trouble,
    /// What was said, without secrets.
    pub reason: String,
}

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or no answer in time.
    Unreachable,
    /// It says that it can't do it now.
    Busy,
    /// It doesn't believe or allow who asks.
    Unauthorized,
    /// There is no such index.
    NoIndex,
    /// The index was not made by the templates of this plan.
    OtherMapping,
    /// The request is larger than it takes.
    TooLarge,
    /// It can't do what it was asked for.
    Refused,
    /// The answer is none of a search server.
    Unreadable,
    /// The client can't be made.
    Endpoint,
}

impl Trouble {
    /// What a status without success means, with what was said beside it.
    pub(super) fn of(status: u16, cause: Option<&Cause>) -> Self {
        match (status, cause.map_or("", |cause| cause.kind.as_str())) {
            (_, "index_not_found_exception") => Self::NoIndex,
            // An index that is closed for writing or reading, such as by a full disk: someone opens it again.
            (403, "cluster_block_exception") | (408 | 429 | 500..=504, _) => Self::Busy,
            (401 | 403, _) => Self::Unauthorized,
            (413, _) => Self::TooLarge,
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trouble::Unreachable => "does not answer",
            Trouble::Busy => "can't do it now",
            Trouble::Unauthorized => "refuses the credentials",
            Trouble::NoIndex => "lacks the index",
            Trouble::OtherMapping => "has an index of another mapping",
            Trouble::TooLarge => "takes no request of that size",
            Trouble::Refused => "refuses the request",
            Trouble::Unreadable => "answers what no search server answers",
            Trouble::Endpoint => "can't be asked",
        })
    }
}

impl ElasticError {
    /// Whether it goes by itself, so that waiting is the mend.
    pub fn is_passing(&self) -> bool {
        matches!(self.trouble, Trouble::Unreachable | Trouble::Busy)
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self.trouble {
            Trouble::Unreachable => "check that it runs, and its address under `store:`",
            Trouble::Busy => "wait, or give it more room; its own log says what it lacks",
            Trouble::Unauthorized => "check the credentials under `store:` and the rights of their user",
            Trouble::NoIndex | Trouble::OtherMapping => "run `studio-search provision` first",
            Trouble::Endpoint => "mend the address, the credentials or the `ca` file under `store:`",
            Trouble::TooLarge | Trouble::Refused => "its reason says what it can't do",
            Trouble::Unreadable => "check that the address is that of Elasticsearch or OpenSearch",
        }
    }
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// One request.
pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) parameters: &'a [(&'a str, &'a str)],
    pub(super) body: Option<Bytes>,
}

impl Client {
    /// A client of this server; sends nothing yet.
    pub fn new(endpoint: &ElasticEndpoint) -> Result<Self, ElasticError> {
        let unusable = |server: &str, reason: String| ElasticError {
            server: server.to_owned(),
            trouble: Trouble::Endpoint,
            reason,
        };
        let mut url =
            Url::parse(&endpoint.url).map_err(|error| unusable("the address", error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(unusable("the address", "it is no http or https URL".to_owned()));
        }
        let server = url.origin().ascii_serialization();
        let mut auth = endpoint.auth.as_ref().map(credentials);
        if !url.username().is_empty() || url.password().is_some() {
            auth.get_or_insert_with(|| {
                Credentials::Basic(url.username().to_owned(), url.password().unwrap_or_default().to_owned())
            });
            let cleared = url.set_username("").and_then(|()| url.set_password(None));
            cleared.map_err(|()| unusable(&server, "its user can't be read".to_owned()))?;
        }
        let (auth_of, has_path) = (auth.clone(), url.path() != "/");
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url))
            .timeout(endpoint.timeout)
            .enable_meta_header(false);
        if let Some(auth) = auth {
            if let Credentials::EncodedApiKey(key) = &auth {
                // The transport would panic over it.
                let valid = HeaderValue::try_from(key.as_str()).is_ok();
                valid.then_some(()).ok_or_else(|| unusable(&server, "the API key is none".to_owned()))?;
            }
            builder = builder.auth(auth);
        }
        if let Some(path) = &endpoint.ca {
            let pem =
                std::fs::read(path).map_err(|error| unusable(&server, format!("its ca file: {error}")))?;
            let roots = Certificate::from_pem(&pem)
                .map_err(|_| unusable(&server, "its ca file holds no PEM certificate".to_owned()))?;
            builder = builder.cert_validation(CertificateValidation::Full(roots));
        }
        let curl = curl(endpoint, auth_of.as_ref(), &server, has_path);
        let transport = builder.build().map_err(|error| unusable(&server, error.to_string()))?;
        Ok(Self { transport, server: server.into(), curl: curl.into() })
    }

    /// Scheme, host and port.
    pub fn server_name(&self) -> &str {
        &self.server
    }

    /// The command of a shell that sends this; credentials are variables there.
    pub(super) fn curl(&self, path: &str, body: &Value) -> String {
        let (begin, address) = self.curl.rsplit_once(' ').unwrap_or_default();
        format!("{begin} \"{address}{path}\" -H 'content-type: application/json' -d {}", quoted(body))
    }

    /// Asks the server which one it is.
    pub async fn server(&self) -> Result<Server, ElasticError> {
        #[derive(Deserialize)]
        struct Root {
            version: Version,
        }
        #[derive(Deserialize)]
        struct Version {
            number: String,
            distribution: Option<String>,
        }
        let root: Root = self.ask(Method::Get, "/", &[], None).await?;
        let engine = match root.version.distribution.as_deref() {
            Some("opensearch") => Engine::OpenSearch,
            _ => Engine::Elasticsearch,
        };
        Ok(Server { engine, version: root.version.number })
    }

    /// Sends JSON and reads JSON; an error for any status but success.
    pub(super) async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, ElasticError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.succeed(Request { method, path, parameters, body }).await?;
        self.read(&answer)
    }

    /// Sends a request; an error for any status but success.
    pub(super) async fn succeed(&self, request: Request<'_>) -> Result<Bytes, ElasticError> {
        let answer = self.send(request).await?;
        if (200..300).contains(&answer.status) { Ok(answer.body) } else { Err(self.refusal(&answer)) }
    }

    /// Reads an answer as what it should be.
    pub(super) fn read<'b, T: Deserialize<'b>>(&self, body: &'b [u8]) -> Result<T, ElasticError> {
        serde_json::from_slice(body).map_err(|error| self.error(Trouble::Unreadable, error.to_string()))
    }

    /// Sends a request; an error where no answer came.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Answer, ElasticError> {
        let response = self.dispatch(&request).await.map_err(|error| self.unreachable(&error))?;
        if response.url().origin().ascii_serialization() != *self.server {
            let reason = "it redirects to another host; use the final address".to_owned();
            return Err(self.error(Trouble::Refused, reason));
        }
        let status = response.status_code().as_u16();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        Ok(Answer { status, body })
    }

    async fn dispatch(&self, request: &Request<'_>) -> Result<Response, elasticsearch::Error> {
        let mut headers = HeaderMap::new();
        if request.path.ends_with("/_bulk") {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        }
        let (method, parameters, body) = (request.method, Some(request.parameters), request.body.clone());
        self.transport.send(method, request.path, headers, parameters, body, None).await
    }

    /// What an answer without success means.
    pub(super) fn refusal(&self, answer: &Answer) -> ElasticError {
        let cause = serde_json::from_slice::<Refusal>(&answer.body).ok().map(|refusal| refusal.error);
        let trouble = Trouble::of(answer.status, cause.as_ref());
        let said = cause.map_or_else(
            || {
                let end = answer.body.len().min(EXCERPT_BYTES);
                String::from_utf8_lossy(&answer.body[..end]).trim().to_owned()
            },
            |cause| cause.reason(),
        );
        self.error(trouble, format!("{} {said}", answer.status))
    }

    pub(super) fn error(&self, trouble: Trouble, reason: String) -> ElasticError {
        ElasticError { server: self.server.to_string(), trouble, reason }
    }

    /// The innermost cause is what a person can act on: "connection refused", not "error sending request".
    fn unreachable(&self, error: &elasticsearch::Error) -> ElasticError {
        if error.is_timeout() {
            return self.error(Trouble::Unreachable, "it did not answer in time".to_owned());
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        // An error of the client itself has no cause, and may tell its URL.
        let reason = match cause.downcast_ref::<reqwest::Error>() {
            Some(_) => "the connection failed".to_owned(),
            None => cause.to_string(),
        };
        self.error(Trouble::Unreachable, reason)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

/// `curl … ADDRESS`. What stands behind the host of an address may be a secret, so that it is a variable, too.
fn curl(endpoint: &ElasticEndpoint, auth: Option<&Credentials>, server: &str, has_path: bool) -> String {
    let auth = match auth {
        None => "",
        Some(Credentials::Basic(..)) => " -u \"$STORE_USER:$STORE_PASSWORD\"",
        Some(Credentials::EncodedApiKey(_) | Credentials::ApiKey(..)) => {
            " -H \"authorization: ApiKey $STORE_API_KEY\""
        }
        Some(_) => " -H \"authorization: Bearer $STORE_TOKEN\"",
    };
    let ca = if endpoint.ca.is_some() { " --cacert \"$STORE_CA\"" } else { "" };
    let address = if has_path { "$STORE_URL" } else { server };
    format!("curl -sS -X POST{auth}{ca} {address}")
}

fn credentials(auth: &ElasticAuth) -> Credentials {
    match auth {
        ElasticAuth::Basic { user, password } => {
            Credentials::Basic(user.clone(), password.expose_secret().to_owned())
        }
        ElasticAuth::ApiKey(key) => Credentials::EncodedApiKey(key.expose_secret().to_owned()),
        ElasticAuth::Bearer(token) => Credentials::Bearer(token.expose_secret().to_owned()),
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: Cause,
}

/// Why something was refused, as both engines say it.
#[derive(Debug, Deserialize)]
pub(super) struct Cause {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(rename = "root_cause", default)]
    roots: Vec<Cause>,
    #[serde(default)]
    caused_by: Option<Box<Cause>>,
}

impl Cause {
    /// The reason, with the one below it where there is one.
    pub(super) fn reason(&self) -> String {
        let own = self.roots.first().unwrap_or(self);
        let below = self.caused_by.as_deref().or(own.caused_by.as_deref());
        let reason = own.reason.as_deref().unwrap_or(&own.kind);
        match below.and_then(|below| below.reason.as_deref()) {
            Some(below) if below != reason => format!("{reason}: {below}"),
            _ => reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_is_away_is_named_without_its_secrets() {
        let auths = [
            ElasticAuth::Basic { user: "indexer".into(), password: "s3cret".into() },
            ElasticAuth::ApiKey("s3cret".into()),
            ElasticAuth::Bearer("s3cret".into()),
        ];
        for auth in auths {
            let url = "http://someone:s3cret@127.0.0.1:9/s3cret/".to_owned();
            let endpoint =
                ElasticEndpoint { url, auth: Some(auth), ca: None, timeout: Duration::from_secs(5) };
            let client = Client::new(&endpoint).unwrap();
            let error = client.server().await.unwrap_err();
            assert_eq!((error.trouble, error.is_passing()), (Trouble::Unreachable, true));
            assert!(error.to_string().starts_with("http://127.0.0.1:9 does not answer: "), "{error}");
            let curl = client.curl("/movies/_search", &Value::Null);
            let shown = format!("{error:?} {error} {client:?} {} {curl}", error.help());
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn an_endpoint_that_is_none_is_refused() {
        let refused = |url: &str, auth, ca: Option<&str>| {
            let ca = ca.map(PathBuf::from);
            Client::new(&ElasticEndpoint { url: url.into(), auth, ca, timeout: Duration::from_secs(1) })
                .unwrap_err()
        };
        for url in ["", "search:9200", "ftp://search/", "http://"] {
            assert_eq!(refused(url, None, None).trouble, Trouble::Endpoint, "{url}");
        }
        let error = refused("http://search", Some(ElasticAuth::ApiKey("s3\ncret".into())), None);
        assert!(!error.to_string().contains("cret"), "{error}");
        assert!(refused("https://search", None, Some("/no/such/file")).to_string().contains("its ca file"));
    }

    #[test]
    fn what_a_server_says_has_a_meaning() {
        let endpoint = ElasticEndpoint {
            url: "http://search".into(),
            auth: None,
            ca: None,
            timeout: Duration::from_secs(1),
        };
        let client = Client::new(&endpoint).unwrap();
        let meaning = |status, body: &str| {
            client.refusal(&Answer { status, body: Bytes::from(body.to_owned()) }).trouble
        };
        let block = r#"{"error":{"type":"cluster_block_exception","reason":"read-only"},"status":403}"#;
        assert_eq!(meaning(403, block), Trouble::Busy);
        assert_eq!(meaning(429, "slow down"), Trouble::Busy);
        assert_eq!(meaning(503, ""), Trouble::Busy);
        assert_eq!(meaning(401, "{}"), Trouble::Unauthorized);
        assert_eq!(meaning(403, "<html>"), Trouble::Unauthorized);
        assert_eq!(meaning(413, ""), Trouble::TooLarge);
        let missing = r#"{"error":{"type":"index_not_found_exception","reason":"no such index [m]"}}"#;
        assert_eq!(meaning(404, missing), Trouble::NoIndex);
        assert_eq!(meaning(400, "{}"), Trouble::Refused);
    }
}
