//! The gateway: one request at a time, its answer taken apart without a JSON tree. One file a world: [`http`], [`mocks`].

pub mod http;
pub mod ids;
pub mod mocks;
pub mod request;
pub mod response;

use std::time::Duration;

use async_trait::async_trait;
use plan::{Code, code::fetch as codes};
use serde_json::{Map, Value};

/// One GraphQL request.
#[derive(Debug, Clone)]
pub struct GraphRequest {
    /// The text; few different ones, so that a gateway's plan cache holds them.
    pub query: std::sync::Arc<str>,
    /// The operation.
    pub operation_name: String,
    /// The variables. Ids travel here and nowhere else.
    pub variables: Map<String, Value>,
}

/// A gateway.
#[async_trait]
pub trait Graph: Send + Sync {
    /// Sends one request and gives the body of a GraphQL answer, with `data`, `errors` or both.
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError>;
}

/// Why there is no answer. Each kind says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Try again later: no connection, a timeout or 5xx.
    #[error("the gateway can't be reached: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// How long the gateway asked to wait.
        retry_after: Option<Duration>,
    },
    /// Ask for less: 429.
    #[error("the gateway is asked too much: {reason}")]
    Busy {
        /// What it said.
        reason: String,
        /// How long it asked to wait.
        retry_after: Option<Duration>,
    },
    /// Pause: the query is not valid there.
    #[error("the gateway refuses the query: {0}")]
    Refused(String),
    /// Ask for each document alone: a variable of this request is refused, such as an id that is no UUID.
    #[error("the gateway refuses the request: {0}")]
    Rejected(String),
    /// Pause: the credentials are not.
    #[error("the gateway refuses the credentials: {0}")]
    Unauthorized(String),
    /// Send fewer documents at once: 413.
    #[error("the request or its answer is too large: {0}")]
    TooLarge(String),
    /// Try again later, and tell: what came is no GraphQL.
    #[error("the answer is not a GraphQL response: {0}")]
    NotGraphql(String),
}

impl GraphError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::Unavailable { .. } | Self::Busy { .. } => codes::SS401,
            Self::Refused(_) => codes::SS402,
            Self::Rejected(_) => codes::SS408,
            Self::Unauthorized(_) => codes::SS403,
            Self::TooLarge(_) | Self::NotGraphql(_) => codes::SS405,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => {
                "check `graph.url` and that the gateway is up; nothing is lost meanwhile"
            }
            Self::Busy { .. } => {
                "lower `graph.max_concurrency` or `backfill.rate`; nothing is lost meanwhile"
            }
            Self::Refused(_) => {
                "the gateway serves another schema than the plan was made from: validate and provision again"
            }
            Self::Rejected(_) => "look at the id: the graph's scalar takes another form of it",
            Self::Unauthorized(_) => "check the token under `graph.headers`",
            Self::TooLarge(_) => "lower `graph.batch.size`",
            Self::NotGraphql(_) => "check that `graph.url` is the GraphQL endpoint",
        }
    }

    /// How long the gateway asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether every request would fail alike until someone mends something, so that the index pauses.
    pub fn is_systemic(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Unauthorized(_))
    }

    /// Whether it may be the fault of some document of the request, and says nothing about others.
    pub fn is_of_documents(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::NotGraphql(_) | Self::Rejected(_))
    }
}
