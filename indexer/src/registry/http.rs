//! The registry over HTTP, with reqwest. Answers are judged by their status: texts differ from one registry to the next.

use std::time::Duration;

use futures::StreamExt;
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, HeaderValue},
    redirect::Policy,
};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{RegisteredSchema, RegistryError, SchemaId, SchemaReference};
use crate::{
    certificates,
    endpoints::{RegistryAuth, RegistryEndpoint},
};

/// The largest answer that is read: a schema of 200 columns has some 30 KiB.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// How much of an answer's text stands in an error, in characters.
const MAX_SHOWN: usize = 200;

/// How long one request may take. A registry answers from memory.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Confluent's own media type, and JSON for the others.
const ACCEPTED: &str = "application/vnd.schemaregistry.v1+json, application/json;q=0.9";

/// A client of one registry. Clones share its connections.
#[derive(Clone)]
pub struct Registry {
    client: Client,
    /// The address with the path under which the API begins. It may hold credentials.
    base: Url,
    /// Scheme, host and port: what errors name. It holds no secret.
    server: String,
    auth: Option<RegistryAuth>,
}

/// An error as Confluent's API tells it. Codes of what isn't there have five digits: 404 and two more.
#[derive(Deserialize)]
struct Told {
    error_code: u32,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

/// What a compatibility is called where it is read, and where it is set.
#[derive(Deserialize)]
#[serde(untagged)]
enum Level {
    Read {
        #[serde(rename = "compatibilityLevel")]
        level: String,
    },
    Set {
        compatibility: String,
    },
}

#[derive(Deserialize)]
struct Id {
    id: u32,
}

impl Registry {
    /// A client of this registry. Errors: an address that is none, a file of certificates that can't be read.
    pub fn new(endpoint: &RegistryEndpoint) -> Result<Self, RegistryError> {
        let refused = |reason: String| RegistryError::Endpoint(reason);
        let mut base = Url::parse(&endpoint.url)
            .map_err(|error| refused(format!("`kafka.schema_registry` is no address: {error}")))?;
        if base.cannot_be_a_base() {
            return Err(refused("`kafka.schema_registry` is no address of HTTP".to_owned()));
        }
        base.set_query(None);
        base.set_fragment(None);
        let server = base.origin().ascii_serialization();
        // No redirects: a registry that moves must not hand the credentials to another host.
        let mut builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        if let Some(path) = &endpoint.ca {
            let of_file = |reason: String| refused(format!("`kafka.registry.tls.ca`: {reason}"));
            let roots = certificates::read(path).map_err(of_file)?;
            builder = roots.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build().map_err(|error| refused(error.to_string()))?;
        // Credentials in the address itself are sent by reqwest, unless there are others.
        Ok(Self { client, base, server, auth: endpoint.auth.clone() })
    }

    /// The schema that a record names. [`RegistryError::NotFound`] only where the registry itself says so.
    pub async fn schema(&self, id: SchemaId) -> Result<RegisteredSchema, RegistryError> {
        let (kind, number) = match id {
            SchemaId::Number(_) => ("ids", id.to_string()),
            SchemaId::Guid(_) => ("guids", id.to_string()),
        };
        let asked = self.get(&["schemas", kind, &number], &format!("schema {id}")).await;
        match (id, asked) {
            (SchemaId::Guid(_), Err(RegistryError::Refused { server, reason })) => {
                let reason =
                    format!("{reason}; schemas by GUID are a part of its API from Confluent Platform 8 on");
                Err(RegistryError::Refused { server, reason })
            }
            (_, asked) => asked,
        }
    }

    /// One version of a subject, even where it was deleted since: records and other schemas may still name it.
    pub async fn version(&self, subject: &str, version: u32) -> Result<RegisteredSchema, RegistryError> {
        let what = format!("version {version} of the subject {subject}");
        let path = ["subjects", subject, "versions", &version.to_string()];
        let request = self.request(Method::GET, &path).query(&[("deleted", "true")]);
        self.ask(request, &what, None).await
    }

    /// The newest version of a subject; `None`: it has none.
    pub async fn latest(&self, subject: &str) -> Result<Option<RegisteredSchema>, RegistryError> {
        let what = format!("version of the subject {subject}");
        present(self.get(&["subjects", subject, "versions", "latest"], &what).await)
    }

    /// The numbers of a subject's versions; none: there is no such subject.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        let what = format!("subject {subject}");
        Ok(present(self.get(&["subjects", subject, "versions"], &what).await)?.unwrap_or_default())
    }

    /// Registers an Avro schema, or finds it again: its number. Errors: [`RegistryError::Incompatible`].
    pub async fn register(
        &self,
        subject: &str,
        schema: &Value,
        references: &[SchemaReference],
    ) -> Result<u32, RegistryError> {
        let path = ["subjects", subject, "versions"];
        let what = format!("subject {subject}");
        let request = self.request(Method::POST, &path).json(&body(schema, references));
        let registered: Result<Id, RegistryError> = self.ask(request, &what, Some(subject)).await;
        Ok(registered?.id)
    }

    /// Whether an Avro schema may be the next version of a subject; what the registry has against it, if not. A subject
    /// without versions takes any.
    pub async fn objections(
        &self,
        subject: &str,
        schema: &Value,
        references: &[SchemaReference],
    ) -> Result<Option<String>, RegistryError> {
        let path = ["compatibility", "subjects", subject, "versions", "latest"];
        let mut request = self.request(Method::POST, &path);
        request = request.query(&[("verbose", "true")]).json(&body(schema, references));
        let what = format!("version of the subject {subject}");
        match self.ask::<Verdict>(request, &what, Some(subject)).await {
            Ok(verdict) if verdict.is_compatible => Ok(None),
            Ok(verdict) => {
                let said = verdict.messages.join("; ");
                let said = if said.is_empty() { "it is not compatible".to_owned() } else { shown(&said) };
                Ok(Some(said))
            }
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(RegistryError::Incompatible { reason, .. }) => Ok(Some(reason)),
            Err(error) => Err(error),
        }
    }

    /// The compatibility of a subject, such as `BACKWARD`; `None`: it has none of its own.
    pub async fn compatibility(&self, subject: &str) -> Result<Option<String>, RegistryError> {
        let what = format!("compatibility of the subject {subject}");
        let told: Option<Level> = present(self.get(&["config", subject], &what).await)?;
        Ok(told.map(|(Level::Read { level: told } | Level::Set { compatibility: told })| told))
    }

    /// Sets the compatibility of a subject, which need not exist yet.
    pub async fn set_compatibility(&self, subject: &str, level: &str) -> Result<(), RegistryError> {
        let what = format!("subject {subject}");
        let request = self.request(Method::PUT, &["config", subject]);
        let request = request.json(&json!({ "compatibility": level }));
        self.ask::<Value>(request, &what, None).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], what: &str) -> Result<T, RegistryError> {
        self.ask(self.request(Method::GET, path), what, None).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // A subject may hold a slash: each segment is escaped by itself.
            segments.pop_if_empty().extend(path);
        }
        let request = self.client.request(method, url).header(ACCEPT, HeaderValue::from_static(ACCEPTED));
        match &self.auth {
            None => request,
            Some(RegistryAuth::Basic { username, password }) => {
                request.basic_auth(username, Some(password.expose_secret()))
            }
            Some(RegistryAuth::Bearer(token)) => request.bearer_auth(token.expose_secret()),
        }
    }

    /// Sends a request. `what` it is about stands in errors; `subject` where a conflict is one with its other versions.
    async fn ask<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        what: &str,
        subject: Option<&str>,
    ) -> Result<T, RegistryError> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let body = self.read(response).await?;
        let told: Option<Told> = serde_json::from_slice(&body).ok();
        let reason = || match &told {
            Some(Told { message, .. }) if !message.is_empty() => format!("{status}: {}", shown(message)),
            _ => status.to_string(),
        };
        let server = self.server.clone();
        match (status, subject) {
            _ if status.is_success() => serde_json::from_slice(&body).map_err(|_| RegistryError::Refused {
                server,
                reason: format!("{what}: {status}, and what no registry answers"),
            }),
            (StatusCode::CONFLICT, Some(subject)) => {
                Err(RegistryError::Incompatible { subject: subject.to_owned(), reason: reason() })
            }
            // A proxy's 404, or one for an address that is not the API's, says nothing about schemas.
            (StatusCode::NOT_FOUND, _) if told.as_ref().is_some_and(|told| told.error_code / 100 == 404) => {
                Err(RegistryError::NotFound { server, what: what.to_owned() })
            }
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => {
                Err(RegistryError::Unreachable { server, reason: reason() })
            }
            _ if status.is_server_error() => Err(RegistryError::Unreachable { server, reason: reason() }),
            _ if status.is_redirection() => {
                let reason = format!("{status}: redirects are not followed; use the final address");
                Err(RegistryError::Refused { server, reason })
            }
            _ => Err(RegistryError::Refused { server, reason: format!("{what}: {}", reason()) }),
        }
    }

    /// Reads an answer piece by piece and stops at the limit, whatever length was announced.
    async fn read(&self, response: Response) -> Result<Vec<u8>, RegistryError> {
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.unreachable(error))?;
            if body.len() + piece.len() > MAX_ANSWER_BYTES {
                let reason = format!("an answer of more than {} MiB", MAX_ANSWER_BYTES >> 20);
                return Err(RegistryError::Refused { server: self.server.clone(), reason });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn unreachable(&self, error: reqwest::Error) -> RegistryError {
        let error = error.without_url();
        // The innermost cause is what a person can act on: "connection refused", not "error sending request".
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let reason = match error.is_timeout() {
            true => "it did not answer in time".to_owned(),
            false => cause.to_string(),
        };
        RegistryError::Unreachable { server: self.server.clone(), reason }
    }

    /// What errors call it: scheme, host and port.
    pub fn server(&self) -> &str {
        &self.server
    }
}

fn body(schema: &Value, references: &[SchemaReference]) -> Value {
    let mut body = json!({ "schemaType": "AVRO", "schema": schema.to_string() });
    if !references.is_empty() {
        body["references"] = json!(references);
    }
    body
}

/// What is there, or `None` where the registry says that it isn't.
fn present<T>(answer: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
    match answer {
        Err(RegistryError::NotFound { .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

fn shown(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_SHOWN).collect()
}
