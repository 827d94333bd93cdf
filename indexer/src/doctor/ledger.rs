//! The ledger: that a plan is provisioned, that it is the one that the files make, and whether a `run` works by it.

use super::{Finding, Patient};
use crate::{
    Index, StateError,
    ledger::{Held, IndexState},
    provision::{self, Change},
};

/// What was found, and the index version that everything else is about.
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    pub(super) version: Change,
    /// Some of the documents that are held.
    pub(super) held: Vec<Held>,
}

/// Held documents that are looked at. They are many where one thing failed, and say the same then.
const HELD: usize = 200;

/// Reads the ledger.
pub(super) async fn examine(patient: &Patient<'_>) -> Examined {
    let Patient { plan, artifacts, place, .. } = *patient;
    let (mut findings, version) = match provision::ledger_changes(place, plan, artifacts).await {
        Ok(changes) => {
            let version = provision::version_of(&changes).clone();
            (changes.iter().map(Finding::of_change).collect(), version)
        }
        Err(error) => {
            let first = provision::version_changes(&[], 1, plan, provision::Goal::Fitting).remove(0);
            (vec![Finding::of_error("ledger", &error)], first)
        }
    };
    // What isn't provisioned, or doesn't answer, was told above.
    let mut held = Vec::new();
    if let Ok(index) = Index::open(&plan.name, place).await {
        findings.extend(run(&index).await.unwrap_or_default());
        held = index.ledger.held(None, HELD).await.unwrap_or_default();
    }
    Examined { findings, version, held }
}

/// Whether processes work on the index, and whether it paused itself.
async fn run(index: &Index) -> Result<Vec<Finding>, StateError> {
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
