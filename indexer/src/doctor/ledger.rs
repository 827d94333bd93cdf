//! The ledger: that a plan is provisioned, that it is the one that the files make, and whether a `run` works by it.

use super::{Finding, Patient};
use crate::{
    Index, StateError,
    ledger::IndexState,
    provision::{self, Change},
};

/// What was found, and the index version that everything else is about.
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    pub(super) version: Change,
}

/// Reads the ledger.
pub(super) async fn examine(patient: &Patient<'_>) -> Examined {
    let Patient { plan, artifacts, place, .. } = *patient;
    let (mut findings, version) = match provision::ledger_changes(place, plan, artifacts).await {
        Ok(changes) => {
            let version = provision::version_of(&changes).clone();
            (changes.iter().map(Finding::of_change).collect(), version)
        }
        Err(error) => (vec![Finding::of_error("ledger", &error)], provision::version_change(None, plan)),
    };
    // What isn't provisioned, or doesn't answer, was told above.
    if let Ok(found) = run(patient).await {
        findings.extend(found);
    }
    Examined { findings, version }
}

/// Whether processes work on the index, and whether it paused itself.
async fn run(patient: &Patient<'_>) -> Result<Vec<Finding>, StateError> {
    let index = Index::open(&patient.plan.name, patient.place).await?;
    let processes = index.ledger.figures().await?.len();
    let process = match processes {
        0 => Finding::ok("run", "no `run` works on the index now"),
        1 => Finding::ok("run", "one `run` works on the index"),
        several => Finding::ok("run", format!("{several} `run` processes work on the index")),
    };
    let mut findings = vec![process];
    match index.ledger.state().await? {
        IndexState::Running => {}
        IndexState::Paused => findings.push(Finding::warning(
            "state",
            "the index is paused by hand",
            "`studio-search resume` lets it go on",
        )),
        IndexState::Failed { code, reason } => findings.push(Finding::warning(
            "state",
            format!("the index has paused itself: {reason} ({code})"),
            format!("mend it as `studio-search explain {code}` says"),
        )),
    }
    Ok(findings)
}
