//! A policy service of the user's: asked what a caller may see, as Open Policy Agent's data API is asked.
//!
//! `POST {url}` with `{"input": {"index": "movies", "caller": "slate-team"}}` answers `{"result": "type != 'UNANNOUNCED'"}`.
//! No result, or one that is `false`, lets nobody in; `true` shows everything.

use std::{
    collections::HashMap,
    error::Error as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use plan::{FieldTree, IndexPlan, filter::CheckedFilter, filter::MAX_TEXT_BYTES};
use reqwest::{Client, Response, StatusCode, Url, redirect::Policy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AccessError, checked};

/// How long the service may take. A search waits for it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How long an answer is believed. A caller who loses a right keeps it as long at most.
const BELIEVED: Duration = Duration::from_secs(10);

/// Callers that are remembered at most.
const MAX_CALLERS: usize = 10_000;

/// The longest answer, in bytes: a filter of the longest text, each of its characters escaped.
const MAX_ANSWER_BYTES: usize = 6 * MAX_TEXT_BYTES + 1_024;

/// The service, and what it said lately.
pub(super) struct Service {
    client: Client,
    url: Url,
    index: String,
    fields: FieldTree,
    known: Mutex<HashMap<Option<String>, Known>>,
}

/// What the service said of a caller; no filter: the caller may not search.
struct Known {
    at: Instant,
    filter: Option<CheckedFilter>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
}

impl Service {
    /// The service at this address; asks nothing yet.
    pub(super) fn new(plan: &IndexPlan, url: &str) -> Result<Self, AccessError> {
        // The address stays out of the messages: credentials may stand in it.
        let bad = |reason: &str| AccessError::BadService { reason: reason.to_owned() };
        let url = Url::parse(url).map_err(|_| bad("its address can't be read"))?;
        // No redirects: a service that moves must not hand the credentials to another host.
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
        let client = client.map_err(|_| bad("no HTTP client can be made"))?;
        let (index, fields) = (plan.name.clone(), plan.fields.clone());
        Ok(Self { client, url, index, fields, known: Mutex::default() })
    }

    /// What a caller may see; `None`: nothing.
    pub(super) async fn filter(&self, caller: Option<&str>) -> Result<Option<CheckedFilter>, AccessError> {
        let key = caller.map(str::to_owned);
        let known = self
            .known()
            .get(&key)
            .filter(|known| known.at.elapsed() < BELIEVED)
            .map(|known| known.filter.clone());
        if let Some(filter) = known {
            return Ok(filter);
        }
        // What is asked before a right is taken is believed from when it was asked.
        let at = Instant::now();
        let filter = match self.ask(caller).await? {
            Value::Null | Value::Bool(false) => None,
            Value::Bool(true) => Some(self.checked(caller, "true")?),
            Value::String(text) => Some(self.checked(caller, &text)?),
            _ => return Err(unavailable("its result is neither a filter nor true or false")),
        };
        let mut known = self.known();
        if known.len() >= MAX_CALLERS {
            known.retain(|_, known| known.at.elapsed() < BELIEVED);
        }
        if known.len() < MAX_CALLERS {
            known.insert(key, Known { at, filter: filter.clone() });
        }
        Ok(filter)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Option<String>, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self, caller: Option<&str>, text: &str) -> Result<CheckedFilter, AccessError> {
        checked(&self.fields, &self.index, caller.unwrap_or("nobody"), text)
    }

    async fn ask(&self, caller: Option<&str>) -> Result<Value, AccessError> {
        let input = json!({ "input": { "index": self.index, "caller": caller } });
        let sent = self.client.post(self.url.clone()).json(&input).send().await;
        let response = sent.map_err(|error| unavailable(&cause(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(unavailable(&format!("it answers {}", response.status())));
        }
        let answer: Answer = serde_json::from_slice(&body(response).await?)
            .map_err(|_| unavailable("its answer is no JSON object with a `result`"))?;
        Ok(answer.result)
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, AccessError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(&cause(&error)))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(unavailable("its answer is too long for a filter"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unavailable(reason: &str) -> AccessError {
    AccessError::Unavailable { reason: reason.to_owned() }
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
    innermost.map_or_else(|| "it can't be reached".to_owned(), ToString::to_string)
}
