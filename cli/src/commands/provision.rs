//! `provision`: plans, shows, asks, makes.

use std::path::Path;

use indexer::provision::Change;
use serde::Serialize;

use super::plan::{Summary, change_lines};
use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::Output,
    project::{Project, artifacts},
};

/// Whether changes may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Ask.
    Ask,
    /// `--yes`
    Given,
    /// `--dry-run`
    Withheld,
}

impl Consent {
    /// As the flags say; clap refuses both.
    pub(crate) fn of(yes: bool, dry_run: bool) -> Self {
        match (yes, dry_run) {
            (true, _) => Self::Given,
            (_, true) => Self::Withheld,
            _ => Self::Ask,
        }
    }
}

#[derive(Serialize)]
struct Provisioned<'c> {
    success: bool,
    changes: &'c [Change],
    summary: Summary,
    /// Whether the changes were made, or were none.
    applied: bool,
}

/// Makes what the index needs and stores the plan that `run` runs.
pub(crate) async fn provision(
    file: &Path,
    consent: Consent,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (project, compiled) = Project::compile(file, env, output).await?;
    let place = project.place();
    let changes = indexer::provision::changes(&place, &compiled.plan, artifacts(&compiled)).await?;
    let summary = Summary::of(&changes);
    let shown = change_lines(&changes, output.talk_paint());
    let applied = match consent {
        Consent::Withheld => summary.is_empty(),
        _ if summary.is_empty() => true,
        Consent::Given => true,
        Consent::Ask => {
            output.say(shown.trim_end());
            match output.ask("Make these changes?")? {
                Some(true) => true,
                Some(false) => return Err(Failure::new("nothing was changed")),
                None => {
                    let failure = Failure::new("there are changes to make, and nobody to ask");
                    return Err(failure.help("look at them with --dry-run, make them with --yes"));
                }
            }
        }
    };
    if applied && !summary.is_empty() {
        indexer::provision::provision(&place, &compiled.plan, artifacts(&compiled)).await?;
    }
    output.answer(&Provisioned { success: true, changes: &changes, summary, applied }, |paint| {
        let is_shown = consent == Consent::Ask && !summary.is_empty();
        let changes = if is_shown { String::new() } else { change_lines(&changes, paint) };
        let result = match consent {
            _ if summary.is_empty() => String::new(),
            Consent::Withheld => "nothing was changed\n".to_owned(),
            Consent::Given | Consent::Ask => {
                format!("provisioned {} in {}\n", compiled.plan.name, place.state.display())
            }
        };
        changes + &result
    })?;
    Ok(Exit::Done)
}
