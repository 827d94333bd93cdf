//! Doctor: asks everything that an index needs how it is, and says what to do about what is wrong. Changes nothing.
//!
//! One file a concern. Each gives its findings in an order that reads well; what can't be reached is told once, and what
//! could only be asked there is left out.

mod clock;
mod gateway;
#[cfg(feature = "kafka")]
mod kafka;
mod ledger;
mod redaction;
mod registry;
mod state;
mod store;

use std::{collections::BTreeMap, path::PathBuf};

use plan::{
    Code, IndexPlan,
    code::store::{SS502, SS505, SS510},
    index_plan::StoreKind,
};
use serde::{Serialize, Serializer};

use crate::{
    StateError,
    endpoints::{GraphEndpoint, Place},
    provision::{Action, Artifacts, Change, Kind},
};

/// What was found by one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, such as `gateway` or `topic studio-search.movies.live`.
    pub check: String,
    /// How it is.
    pub status: Status,
    /// The diagnostic code of what is wrong.
    #[serde(serialize_with = "id_of", skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// One line, without a full stop and without secrets.
    pub message: String,
    /// How to mend it; nothing where all is well.
    pub help: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, and may not for long, or not as one would wish.
    Warning,
    /// It doesn't work.
    Failed,
}

/// The index to look at, and all that it needs.
#[derive(Debug, Clone, Copy)]
pub struct Patient<'a> {
    /// The plan that the files make.
    pub plan: &'a IndexPlan,
    /// What codegen made beside it.
    pub artifacts: Artifacts<'a>,
    /// The gateway.
    pub graph: &'a GraphEndpoint,
    /// Where the index lives.
    pub place: &'a Place,
    /// The file of each `file:` source, by the source's name.
    pub source_files: &'a BTreeMap<String, PathBuf>,
    /// Whether the gateway is asked for its schema because no file of it is named.
    pub is_introspected: bool,
}

#[expect(clippy::ref_option, reason = "serde hands the field over so")]
fn id_of<S: Serializer>(code: &Option<Code>, serializer: S) -> Result<S::Ok, S::Error> {
    code.map(|code| code.id).serialize(serializer)
}

impl Finding {
    fn ok(check: impl Into<String>, message: impl Into<String>) -> Self {
        Self { check: check.into(), status: Status::Ok, code: None, message: message.into(), help: None }
    }

    fn warning(check: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { status: Status::Warning, help: Some(help.into()), ..Self::ok(check, message) }
    }

    fn failed(
        check: impl Into<String>,
        code: Code,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self { status: Status::Failed, code: Some(code), ..Self::warning(check, message, help) }
    }

    fn of_error(check: impl Into<String>, error: &StateError) -> Self {
        let help = error.help().unwrap_or("try again");
        Self::failed(check, error.code(), error.to_string(), help)
    }

    /// What provision would do to a thing, as how that thing is.
    fn of_change(change: &Change) -> Self {
        let check = format!("{} {}", change.kind, change.name);
        let why = change.reasons.join("; ");
        let provision = "run `studio-search provision`";
        match (change.action, change.kind) {
            (Action::None, _) if change.reasons.is_empty() => Self::ok(check, "it is as it should be"),
            // What will matter to the next version, and to nothing that runs.
            (Action::None, _) => Self::warning(check, why, "see `studio-search explain SS521`"),
            (Action::Add, _) => Self::failed(check, SS502, why, provision),
            (Action::Rebuild, kind) if kind != Kind::IndexVersion => Self::failed(
                check,
                SS505,
                why,
                "delete it if nothing of it is needed, or give the index another `name`",
            ),
            (Action::Rebuild | Action::Remove, _) => {
                let mend = "`run` goes on with the plan that is served; see `studio-search plan`";
                Self { code: Some(SS505), ..Self::warning(check, why, mend) }
            }
            (Action::Change, Kind::IndexVersion) => {
                let why = format!("the files make another plan than the one that is served: {why}");
                Self::warning(check, why, provision)
            }
            (Action::Change, Kind::ComponentTemplate | Kind::IndexTemplate) => {
                Self::warning(check, why, provision)
            }
            (Action::Change, _) => Self::failed(check, SS510, why, provision),
        }
    }
}

/// Looks at everything.
pub async fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let (gateway, ledger) = futures::join!(gateway::examine(patient), ledger::examine(patient));
    let mut findings = gateway.findings;
    findings.extend(redaction::examine(patient.plan, gateway.errors.as_deref(), &ledger.held));
    if patient.plan.kafka.is_none() {
        findings.extend(state::examine(patient));
    }
    if patient.plan.store != StoreKind::Sqlite {
        findings.extend(store::examine(patient, &ledger.version).await);
    }
    findings.extend(ledger.findings);
    #[cfg(feature = "kafka")]
    if let Some(topics) = &patient.plan.kafka {
        findings.extend(kafka::examine(patient, topics).await);
    }
    findings.extend(registry::examine(patient).await);
    findings
}
