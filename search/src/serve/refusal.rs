//! Why a question has no answer: a status for HTTP, our code, and what was wrong with the caller's text, with carets.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use plan::{Code, Diagnostic, Severity, code::search as codes, diagnostic::line_and_column};
use serde::Serialize;

use crate::{SearchError, policy::AccessError};

/// The longest line that is shown with a caret, in characters.
const LONGEST_SHOWN_LINE: usize = 400;

/// A question that is not answered.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: Code,
    message: String,
    help: Option<String>,
    findings: Vec<Finding>,
}

/// What was found wrong in a text of the caller. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    severity: &'static str,
    code: &'static str,
    message: String,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    /// The line, and below it carets under what is meant.
    excerpt: Option<String>,
    help: Option<String>,
}

#[derive(Serialize)]
struct Told<'r> {
    code: &'static str,
    message: &'r str,
    help: Option<&'r str>,
    diagnostics: &'r [Finding],
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), help: None, findings: Vec::new() }
    }

    /// A request that can't be read.
    pub(super) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, codes::SS719, message)
            .help("`/openapi.json` describes every request")
    }

    pub(super) fn too_many() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, codes::SS721, codes::SS721.title)
            .help("ask again after a second")
    }

    #[must_use]
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// A text of the caller with mistakes in it.
    pub(super) fn of_diagnostics(diagnostics: &[Diagnostic]) -> Self {
        let first = diagnostics.iter().find(|found| found.is_error());
        let code = first.map_or(codes::SS701, |found| found.code);
        let message = first.map_or_else(|| code.title.to_owned(), |found| found.message.clone());
        let findings = diagnostics.iter().map(Finding::of).collect();
        let help = first.and_then(|found| found.help.clone());
        Self { help, findings, ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// What a federated gateway is told beside the message.
    pub(super) fn extended(&self) -> async_graphql::Error {
        use async_graphql::{ErrorExtensions, Value};
        let error = async_graphql::Error::new(self.message.clone());
        error.extend_with(|_, extensions| {
            extensions.set("code", self.code.id);
            if let Some(help) = &self.help {
                extensions.set("help", help.as_str());
            }
            if !self.findings.is_empty()
                && let Ok(findings) = serde_json::to_value(&self.findings).and_then(Value::from_json)
            {
                extensions.set("diagnostics", findings);
            }
        })
    }
}

impl From<SearchError> for Refusal {
    /// Of a store that failed, callers learn that it did; where it is and what it said is the operator's.
    fn from(error: SearchError) -> Self {
        let code = error.code();
        let status = match &error {
            SearchError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            SearchError::Server(error) if error.is_passing() => StatusCode::SERVICE_UNAVAILABLE,
            SearchError::Server(_) => StatusCode::BAD_GATEWAY,
            SearchError::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        };
        if matches!(error, SearchError::Store(_) | SearchError::Server(_)) {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(code = code.id, cause, "{error}: a search is not answered");
            return Self::new(status, code, code.title);
        }
        let refusal = Self::new(status, code, error.to_string());
        match error.help() {
            Some(help) => refusal.help(help),
            None => refusal,
        }
    }
}

impl From<AccessError> for Refusal {
    /// What is wrong with a policy is the operator's to know.
    fn from(error: AccessError) -> Self {
        let code = error.code();
        if matches!(error, AccessError::Denied { .. }) {
            return Self::new(StatusCode::FORBIDDEN, code, error.to_string()).help(error.help());
        }
        tracing::warn!(code = code.id, "{error}: a question is not answered");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, code.title).help("ask again after a while")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message, help, findings } = &self;
        let told = Told { code: code.id, message, help: help.as_deref(), diagnostics: findings };
        let mut response = (*status, Json(serde_json::json!({ "error": told }))).into_response();
        if *code == codes::SS721 {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl Finding {
    fn of(diagnostic: &Diagnostic) -> Self {
        let place = diagnostic.place.as_ref();
        let at = |offset: usize| place.map(|(source, _)| line_and_column(&source.text, offset));
        let start = place.and_then(|(_, range)| at(range.start));
        let end = place.and_then(|(_, range)| at(range.end));
        let excerpt =
            place.zip(start).zip(end).and_then(|(((source, _), (line, column)), (end_line, end_column))| {
                let shown = source.text.lines().nth(line - 1).unwrap_or_default();
                let length = shown.chars().count();
                // Of several lines the first is underlined to its end.
                let end_column = if end_line == line { end_column } else { length + 1 };
                let carets = "^".repeat(end_column.saturating_sub(column).max(1));
                (length <= LONGEST_SHOWN_LINE).then(|| format!("{shown}\n{}{carets}", " ".repeat(column - 1)))
            });
        Self {
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            code: diagnostic.code.id,
            message: diagnostic.message.clone(),
            line: start.map(|(line, _)| line),
            column: start.map(|(_, column)| column),
            end_line: end.map(|(line, _)| line),
            end_column: end.map(|(_, column)| column),
            excerpt,
            help: diagnostic.help.clone(),
        }
    }
}
