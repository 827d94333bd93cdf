//! The gateway over HTTP, with reqwest.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{Graph, GraphError, GraphRequest};
use crate::{certificates, endpoints::GraphEndpoint};

/// The largest answer that is read. A batch of 25 documents of 1 MiB each still fits.
const MAX_RESPONSE_BYTES: usize = 32 << 20;

/// The media types of GraphQL over HTTP; the older one still answers on many gateways.
const ACCEPT_GRAPHQL: &str = "application/graphql-response+json, application/json;q=0.9";

/// A shorter header is no secret, but a word that any message may have.
const SHORTEST_SECRET: usize = 6;

/// A client of one gateway.
pub struct HttpGraph {
    client: Client,
    url: String,
    /// What a gateway must not be quoted with, though it may send it back.
    secrets: Vec<SecretString>,
}

/// Why a client can't be made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// A header's name or value is none.
    #[error("`graph.headers.{0}` is not a valid HTTP header")]
    Header(String),
    /// The file under `graph.tls.ca` can't be used.
    #[error("`graph.tls.ca`: {0}")]
    Ca(String),
    /// TLS could not be set up.
    #[error("the HTTP client can't be made: {0}")]
    Client(reqwest::Error),
}

impl HttpGraph {
    /// A client of this gateway whose requests take at most `timeout`.
    pub fn new(endpoint: &GraphEndpoint, timeout: Duration) -> Result<Self, EndpointError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(ACCEPT_GRAPHQL));
        headers.insert("apollographql-client-name", HeaderValue::from_static("studio-search"));
        headers.insert("apollographql-client-version", HeaderValue::from_static(env!("CARGO_PKG_VERSION")));
        let mut secrets = Vec::new();
        for (name, value) in &endpoint.headers {
            // `Bearer abc`: it is the last word that may be sent back.
            let words = [Some(value.expose_secret()), value.expose_secret().split_whitespace().next_back()];
            secrets.extend(words.into_iter().flatten().map(SecretString::from));
            let refused = || EndpointError::Header(name.clone());
            let mut secret = HeaderValue::from_str(value.expose_secret()).map_err(|_| refused())?;
            secret.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?, secret);
        }
        // No redirects: a gateway that moves must not hand the credentials to another host.
        let mut builder =
            Client::builder().default_headers(headers).timeout(timeout).redirect(Policy::none());
        if let Some(path) = &endpoint.ca {
            let roots = certificates::read(path).map_err(EndpointError::Ca)?;
            builder = roots.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build().map_err(EndpointError::Client)?;
        Ok(Self { client, url: endpoint.url.clone(), secrets })
    }
}

/// What a gateway answered, and when by its own clock.
pub struct Reply {
    /// The body of a GraphQL answer.
    pub body: Vec<u8>,
    /// The `Date` header, in milliseconds since the epoch of Unix.
    pub date: Option<i64>,
}

#[async_trait]
impl Graph for HttpGraph {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        Ok(self.exchange(request).await?.body)
    }
}

impl HttpGraph {
    /// The error without our secrets: some gateways say which token it is that they refuse.
    fn redacted(&self, error: GraphError) -> GraphError {
        let redact = |text: String| {
            let secrets = self.secrets.iter().map(ExposeSecret::expose_secret);
            secrets.filter(|secret| secret.len() >= SHORTEST_SECRET).fold(text, |text, secret| {
                if text.contains(secret) { text.replace(secret, "[redacted]") } else { text }
            })
        };
        match error {
            GraphError::Unavailable { reason, retry_after } => {
                GraphError::Unavailable { reason: redact(reason), retry_after }
            }
            GraphError::Busy { reason, retry_after } => {
                GraphError::Busy { reason: redact(reason), retry_after }
            }
            GraphError::Refused(reason) => GraphError::Refused(redact(reason)),
            GraphError::Rejected(reason) => GraphError::Rejected(redact(reason)),
            GraphError::Unauthorized(reason) => GraphError::Unauthorized(redact(reason)),
            GraphError::TooLarge(reason) => GraphError::TooLarge(redact(reason)),
            GraphError::NotGraphql(reason) => GraphError::NotGraphql(redact(reason)),
        }
    }

    /// Sends one request and gives the answer with its time.
    pub async fn exchange(&self, request: &GraphRequest) -> Result<Reply, GraphError> {
        self.ask(request).await.map_err(|error| self.redacted(error))
    }

    #[tracing::instrument(
        name = "graphql",
        skip_all,
        fields(
            otel.kind = "client",
            graphql.operation.name = &*request.operation_name,
            http.response.status_code = tracing::field::Empty,
        ),
    )]
    async fn ask(&self, request: &GraphRequest) -> Result<Reply, GraphError> {
        let body = json!({
            "query": &*request.query,
            "operationName": request.operation_name,
            "variables": request.variables,
        });
        let post = self.client.post(&self.url).headers(trace_headers()).json(&body);
        let response = post.send().await.map_err(unavailable)?;
        let status = response.status();
        tracing::Span::current().record("http.response.status_code", status.as_u16());
        let (retry_after, date) = (retry_after(&response), date(&response));
        let body = read_body(response).await?;
        match status {
            _ if status.is_success() => Ok(Reply { body, date }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(GraphError::Unauthorized(excerpt(status, &body)))
            }
            StatusCode::PAYLOAD_TOO_LARGE => Err(GraphError::TooLarge(excerpt(status, &body))),
            StatusCode::TOO_MANY_REQUESTS => {
                Err(GraphError::Busy { reason: excerpt(status, &body), retry_after })
            }
            _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Err(GraphError::Unavailable { reason: excerpt(status, &body), retry_after })
            }
            _ if status.is_redirection() => Err(GraphError::NotGraphql(format!(
                "{status}: redirects are not followed; use the final URL"
            ))),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(refusal(status, &body)),
            _ => Err(GraphError::NotGraphql(excerpt(status, &body))),
        }
    }
}

/// The trace that a request is part of, as `traceparent` of the W3C's Trace Context tells it; nothing where no traces are sent.
#[cfg(feature = "otlp")]
fn trace_headers() -> HeaderMap {
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    let mut headers = HeaderMap::new();
    let context = tracing::Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut opentelemetry_http::HeaderInjector(&mut headers));
    });
    headers
}

#[cfg(not(feature = "otlp"))]
fn trace_headers() -> HeaderMap {
    HeaderMap::new()
}

/// Reads a body piece by piece and stops at the limit, whatever length was announced.
async fn read_body(response: Response) -> Result<Vec<u8>, GraphError> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut body = Vec::with_capacity(announced.unwrap_or(0).min(MAX_RESPONSE_BYTES));
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(unavailable)?;
        if body.len() + piece.len() > MAX_RESPONSE_BYTES {
            return Err(GraphError::TooLarge(format!("more than {} MiB", MAX_RESPONSE_BYTES >> 20)));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

fn unavailable(error: reqwest::Error) -> GraphError {
    // An error without a cause tells its URL, and a URL may hold a secret.
    let error = error.without_url();
    // The innermost cause is what a person can act on: "connection refused", not "error sending request".
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    let reason = if error.is_timeout() { "it did not answer in time".to_owned() } else { cause.to_string() };
    GraphError::Unavailable { reason, retry_after: None }
}

/// The seconds form of Retry-After. The date form would need the gateway's clock, and is left to the backoff.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The time at which the gateway answered, by its own clock.
fn date(response: &Response) -> Option<i64> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(time.as_millisecond())
}

/// A query that is never valid there, or one request whose variables aren't.
fn refusal(status: StatusCode, body: &[u8]) -> GraphError {
    let reason = excerpt(status, body);
    match super::response::first_error_code(body) {
        Some(code) if super::response::is_about_variables(&code) => GraphError::Rejected(reason),
        _ => GraphError::Refused(reason),
    }
}

/// The status and the first message of the body: enough to act on, too little to leak a page.
fn excerpt(status: StatusCode, body: &[u8]) -> String {
    let message = super::response::first_error_message(body)
        .unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned());
    if message.is_empty() { status.to_string() } else { format!("{status}: {message}") }
}
