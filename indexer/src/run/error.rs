//! Why a process can't go on, or can't begin.

use plan::Code;

use crate::{
    StateError,
    admin::IdentityError,
    backfill::BackfillError,
    graph::{GraphError, http::EndpointError},
    rebuild::RebuildError,
    route::RouteError,
    saved::webhook::WebhookError,
    source::SourceError,
};

/// Why a process can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// An endpoint of the configuration.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The webhook of saved searches.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The gateway, with `--once`.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A source.
    #[error(transparent)]
    Source(SourceError),
    /// The configuration names no file for a source.
    #[error("the source {0:?} of the provisioned plan isn't in the configuration any more")]
    UnknownSource(String),
    /// Only a shared log can be worked on by processes of different roles.
    #[error("one process does all the work where the log is in a state file")]
    Role,
    /// The filter of a source can't be read.
    #[error("the source {0:?} has a `where` that can't be read: {1}")]
    Condition(String, String),
    /// The admin port has no identity to show.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The admin port is taken, or may not be opened.
    #[error("the admin address {address} can't be listened on: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl RunError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::State(error) => error.code(),
            Self::Endpoint(_) => plan::code::fetch::SS401,
            Self::Graph(error) => error.code(),
            Self::Source(error) => error.code(),
            Self::UnknownSource(_) | Self::Condition(..) => plan::code::kafka::SS303,
            Self::Role => plan::code::store::SS501,
            Self::Listen { .. } => plan::code::store::SS508,
            Self::Webhook(_) => plan::code::search::SS732,
            Self::Identity(_) => plan::code::config::SS119,
        }
    }

    /// Whether a server is to blame.
    pub fn is_of_a_server(&self) -> bool {
        match self {
            Self::State(error) => error.is_of_a_server(),
            _ => false,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::State(error) => error.help(),
            Self::Graph(error) => Some(error.help()),
            Self::UnknownSource(_) | Self::Condition(..) => Some("provision again with this configuration"),
            Self::Role => Some("leave `--role` out, or share the log over Kafka (`kafka:`)"),
            Self::Listen { .. } => Some("give another address with `--admin` or under `admin.listen`"),
            Self::Identity(_) => Some(
                "`serve.tls.cert` is a PEM file of a certificate, `serve.tls.key` one of its private key",
            ),
            Self::Endpoint(_) | Self::Webhook(_) | Self::Source(_) => None,
        }
    }
}

impl From<SourceError> for RunError {
    /// The state fails alike whoever met it: what another process took over is told from what is broken.
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::State(error) => Self::State(error),
            error @ SourceError::Io { .. } => Self::Source(error),
        }
    }
}

impl From<RebuildError> for RunError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::State(error) => Self::State(error),
            RebuildError::Graph(error) => Self::Graph(error),
        }
    }
}

impl From<BackfillError> for RunError {
    fn from(error: BackfillError) -> Self {
        match error {
            BackfillError::State(error) => Self::State(error),
            BackfillError::Graph(error) => Self::Graph(error),
            BackfillError::File(error) => error.into(),
        }
    }
}

impl From<RouteError> for RunError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Source(error) => error.into(),
            RouteError::Graph(error) => Self::Graph(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By this, a process that lost its share takes the next one and does not end.
    #[test]
    fn a_share_that_another_process_took_over_is_told_so_whoever_met_it() {
        let fenced = || StateError::Fenced("a share".to_owned());
        let errors: [RunError; 4] = [
            fenced().into(),
            RouteError::from(fenced()).into(),
            SourceError::State(fenced()).into(),
            RebuildError::State(fenced()).into(),
        ];
        for error in errors {
            assert!(matches!(error, RunError::State(StateError::Fenced(_))), "{error:?}");
        }
    }
}
