//! `provision`: plans, shows, asks, makes.

use std::path::Path;

use indexer::{
    endpoints::Place,
    provision::{Change, ChangeSet, refuse_rebuilds},
    saved::unfit,
};
use plan::code::store::SS520;
use serde::Serialize;

use super::plan::{Summary, change_lines, what_follows};
use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::Output,
    project::{Project, artifacts, read_named},
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
    /// As the flags say. A saved change set was looked at, so that it is consent; a dry run of it checks that it still holds.
    pub(crate) fn of(yes: bool, dry_run: bool) -> Self {
        match (yes, dry_run) {
            (_, true) => Self::Withheld,
            (true, _) => Self::Given,
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

/// Makes what the index needs and stores the plan that `run` runs; where a change set was saved, exactly that one.
pub(crate) async fn provision(
    file: &Path,
    saved: Option<&Path>,
    consent: Consent,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (project, compiled) = Project::compile(file, env, output).await?;
    let place = project.place();
    let changes = indexer::provision::changes(&place, &compiled.plan, artifacts(&compiled)).await?;
    output.report(&unfit(&place, &compiled.plan).await?);
    let set = ChangeSet::new(&compiled.plan, changes);
    if let Some(path) = saved {
        set.check(&read(path)?)?;
    }
    let changes = set.changes;
    if consent != Consent::Withheld {
        refuse_rebuilds(&changes)?;
    }
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
    let follows = what_follows(&changes);
    output.answer(&Provisioned { success: true, changes: &changes, summary, applied }, |paint| {
        let is_shown = consent == Consent::Ask && !summary.is_empty();
        let changes = if is_shown { String::new() } else { change_lines(&changes, paint) };
        let result = match consent {
            _ if summary.is_empty() => String::new(),
            Consent::Withheld => "nothing was changed\n".to_owned(),
            Consent::Given | Consent::Ask => {
                let made = format!("provisioned {} {}\n", compiled.plan.name, whereto(&place));
                made + follows.unwrap_or_default()
            }
        };
        changes + &result
    })?;
    Ok(Exit::Done)
}

/// Reads a change set that `plan --out` saved.
fn read(path: &Path) -> Result<ChangeSet, Failure> {
    let text = read_named(path)?;
    ChangeSet::from_json(&text.text).map_err(|reason| {
        Failure::new(format!("{} is no change set: {reason}", path.display()))
            .code(SS520)
            .help("save one with `studio-search plan --out FILE`")
    })
}

/// Where the ledger is.
fn whereto(place: &Place) -> String {
    match (&place.kafka, &place.store) {
        (Some(_), Some(_)) => "for processes that share it over Kafka".to_owned(),
        _ => format!("in {}", place.state.display()),
    }
}
