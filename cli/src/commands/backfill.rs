//! `backfill`: records the wish for one, and shows how far they are. `run` does the work.

pub(crate) mod estimate;
mod into_version;
pub(crate) mod pace;

use std::path::Path;

use indexer::{
    Index,
    index::BackfillProgress,
    ledger::{
        BackfillIds, BackfillState,
        pace::{Terms, change_wishes},
    },
};
use plan::{DocumentId, code::backfill as codes};
use serde::Serialize;

use crate::{
    environment::Environment, exit::Exit, failure::Failure, follow, moment::moment, output::Output,
    project::Project, table::Table,
};

#[derive(Serialize)]
struct One<'b> {
    success: bool,
    backfill: Option<&'b BackfillProgress>,
}

#[derive(Serialize)]
struct All<'b> {
    success: bool,
    backfills: &'b [BackfillProgress],
}

/// What is to be backfilled, and how.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    /// These documents; none: what `backfill.ids` names.
    pub(crate) ids: Vec<String>,
    /// What this filter finds in the index.
    pub(crate) filter: Option<String>,
    /// Outside of the windows, too.
    pub(crate) now: bool,
    /// Documents a second at most.
    pub(crate) rate: Option<String>,
    /// Waits for its end.
    pub(crate) follow: bool,
    /// Fills an index version beside the served one.
    pub(crate) into_new_version: bool,
}

/// Records a backfill.
pub(crate) async fn start(
    file: &Path,
    wish: Wish,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let terms = Terms { now: wish.now, rate_per_second: wish.rate.as_deref().map(rate).transpose()? };
    let ids = match wish.into_new_version {
        false => wished(&index, &wish)?,
        true => match into_version::waiting(&index).await? {
            Some(waiting) => into_version::ids(&waiting)?,
            None if terms == Terms::default() => {
                return into_version::copy(file, &index, wish.follow, env, output).await;
            }
            None => return Err(into_version::needs_no_pace()),
        },
    };
    if !wish.now {
        indexer::backfill::estimate::opening_windows(&index.plan)?;
    }
    let number = index.ledger.start_backfill(ids).await?;
    if terms != Terms::default() {
        change_wishes(&*index.ledger, |wishes| wishes.terms.extend([(number, terms)])).await?;
    }
    if wish.follow {
        let end = follow::to_the_end(&index, number, output).await?;
        return show(&end, output);
    }
    if index.ledger.figures().await?.is_empty() {
        output.say("nothing works on this index yet: `studio-search run` does the backfill");
    }
    let recorded = index.backfill(number).await?;
    output.answer(&One { success: true, backfill: recorded.as_ref() }, |_| {
        format!("backfill {number} is recorded")
    })?;
    Ok(Exit::Done)
}

/// What is to be backfilled, proven to fit the index.
fn wished(index: &Index, wish: &Wish) -> Result<BackfillIds, Failure> {
    match &wish.filter {
        Some(filter) => {
            super::search::checked(&index.plan, filter.clone())?;
            Ok(BackfillIds::Found(filter.clone()))
        }
        None => wanted(index, &wish.ids),
    }
}

/// Documents a second, as `backfill.rate` says them.
fn rate(text: &str) -> Result<f64, Failure> {
    codegen::config::rate_per_second(text).ok_or_else(|| {
        Failure::usage(format!("--rate {text:?}: a number greater than 0 and a span, such as 40/s or 500/h"))
    })
}

/// Shows the newest backfill; with `watch` until it has ended.
pub(crate) async fn status(
    file: &Path,
    watch: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    if let Some(newest) = index.newest_backfill().await? {
        if watch && newest.backfill.ended_at.is_none() {
            return show(&follow::to_the_end(&index, newest.backfill.number, output).await?, output);
        }
        return show(&newest, output);
    }
    output.answer(&One { success: true, backfill: None }, |_| "there was no backfill".to_owned())?;
    Ok(Exit::Done)
}

/// Shows all backfills, the oldest first.
pub(crate) async fn list(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let mut backfills = Vec::new();
    for backfill in index.ledger.backfills().await? {
        backfills.extend(index.backfill(backfill.number).await?);
    }
    output.answer(&All { success: true, backfills: &backfills }, |paint| {
        let mut table = Table::new(&[">number", "state", ">rebuilt", ">ids", "started", "ended", "error"]);
        for BackfillProgress { backfill, rebuilt } in &backfills {
            table.row([
                backfill.number.to_string(),
                word(backfill.state).to_owned(),
                rebuilt.to_string(),
                backfill.enumerated.to_string(),
                moment(backfill.started_at),
                backfill.ended_at.map(moment).unwrap_or_default(),
                backfill.error.clone().unwrap_or_default(),
            ]);
        }
        table.render(paint)
    })?;
    Ok(Exit::Done)
}

/// The ids of the command line as this index' key is written, or what the plan names.
fn wanted(index: &Index, ids: &[String]) -> Result<BackfillIds, Failure> {
    if ids.is_empty() && index.plan.backfill.ids.is_none() {
        return Err(nowhere());
    }
    if ids.is_empty() {
        return Ok(BackfillIds::Enumerated);
    }
    let parse = |text: &String| {
        let unusable = |error| Failure::usage(format!("--id {text:?}: {error}")).code(codes::SS603);
        DocumentId::parse(index.plan.key.kind, text).map_err(unusable)
    };
    Ok(BackfillIds::Given(ids.iter().map(parse).collect::<Result<_, _>>()?))
}

fn nowhere() -> Failure {
    Failure::new("the plan names no place to enumerate ids from")
        .code(codes::SS601)
        .help("give `backfill.ids` in index.yaml and provision, or name documents with --id")
}

fn show(progress: &BackfillProgress, output: &mut Output) -> Result<Exit, Failure> {
    let BackfillProgress { backfill, rebuilt } = progress;
    let success = backfill.state != BackfillState::Failed;
    output.answer(&One { success, backfill: Some(progress) }, |paint| {
        let ids = backfill.enumerated;
        let text = match backfill.state {
            BackfillState::Enumerating => format!("backfill {} has found {ids} ids so far", backfill.number),
            BackfillState::Rebuilding => {
                format!("backfill {}: {rebuilt} of {ids} documents", backfill.number)
            }
            BackfillState::Done => {
                paint.good(&format!("backfill {} is done: {ids} documents", backfill.number))
            }
            BackfillState::Stopped => {
                paint.odd(&format!("backfill {} was stopped, of {ids} ids", backfill.number))
            }
            BackfillState::Failed => paint.bad(&format!("backfill {} has failed", backfill.number)),
        };
        match &backfill.error {
            Some(error) => format!("{text}\n  because: {error}"),
            None => text,
        }
    })?;
    Ok(if success { Exit::Done } else { Exit::Failed })
}

/// The word for a state.
fn word(state: BackfillState) -> &'static str {
    match state {
        BackfillState::Enumerating => "ENUMERATING",
        BackfillState::Rebuilding => "REBUILDING",
        BackfillState::Done => "DONE",
        BackfillState::Failed => "FAILED",
        BackfillState::Stopped => "STOPPED",
    }
}
