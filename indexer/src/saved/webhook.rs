//! The webhook that matches are posted to, over HTTP. It is the user's: nothing of its address or headers is ever shown.

use std::{error::Error as _, time::Duration};

use reqwest::{
    Client, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
    redirect::Policy,
};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::endpoints::WebhookEndpoint;

/// How long the webhook may take for one post.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is posted at once.
#[derive(Debug, Serialize)]
pub(super) struct Post<'m> {
    /// The index.
    pub index: &'m str,
    /// What began to match.
    pub matches: &'m [PostedMatch],
}

/// A document that began to match a saved search.
#[derive(Debug, Clone, Serialize)]
pub struct PostedMatch {
    /// The same each time that this match is posted; who has seen it may leave it.
    pub key: String,
    /// The saved search.
    pub search: String,
    /// The document's id.
    pub id: String,
    /// The version of the document below, a decimal integer.
    pub version: String,
    /// When the version that began to match was fetched, milliseconds of Unix time.
    pub fetched_at: i64,
    /// The document as the index holds it; left out where the webhook finds it too large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<Box<RawValue>>,
}

/// Why a post was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotTaken {
    /// Without the address.
    pub reason: String,
    /// Whether less at once might be.
    pub is_too_large: bool,
    /// How long the webhook wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// A client of the webhook.
#[derive(Debug)]
pub(crate) struct Webhook {
    client: Client,
    url: Url,
}

/// Why a client of the webhook can't be made. The address stays out of it.
#[derive(Debug, thiserror::Error)]
#[error("`search.saved`: {0}")]
pub struct WebhookError(String);

impl Webhook {
    /// A client of this webhook; nothing is asked yet.
    pub(crate) fn new(endpoint: &WebhookEndpoint) -> Result<Self, WebhookError> {
        let refused = |reason: String| WebhookError(reason);
        let url = Url::parse(endpoint.url.expose_secret());
        let url = url.map_err(|_| refused("the address of its webhook can't be read".to_owned()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let bad = || refused(format!("`headers.{name}` is not a valid HTTP header"));
            let mut secret = HeaderValue::from_str(value.expose_secret()).map_err(|_| bad())?;
            secret.set_sensitive(true);
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?, secret);
        }
        // No redirects: a webhook that moves must not hand the credentials to another host.
        let client =
            Client::builder().default_headers(headers).timeout(TIMEOUT).redirect(Policy::none()).build();
        let client = client.map_err(|_| refused("no HTTP client can be made".to_owned()))?;
        Ok(Self { client, url })
    }

    /// Posts matches; `key` is the same for the same matches. Whatever is no 2xx is a failure.
    pub(super) async fn post(&self, post: &Post<'_>, key: &str) -> Result<(), NotTaken> {
        let sent = self.client.post(self.url.clone()).header("idempotency-key", key).json(post).send().await;
        let response = sent.map_err(|error| NotTaken {
            reason: format!("the webhook can't be reached: {}", cause(&error)),
            is_too_large: false,
            retry_after: None,
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let moved = if status.is_redirection() { "; a redirect is not followed" } else { "" };
        let retry_after =
            response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        Err(NotTaken {
            reason: format!("the webhook answers {status}{moved}"),
            is_too_large: status == StatusCode::PAYLOAD_TOO_LARGE,
            retry_after: retry_after.map(Duration::from_secs),
        })
    }
}

/// What is behind an error, without the address.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("it took longer than {} s", TIMEOUT.as_secs());
    }
    let mut innermost: Option<&dyn std::error::Error> = error.source();
    while let Some(deeper) = innermost.and_then(std::error::Error::source) {
        innermost = Some(deeper);
    }
    innermost.map_or_else(|| "no connection".to_owned(), ToString::to_string)
}
