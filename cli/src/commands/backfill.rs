//! `backfill`: records the wish for one, and shows how far they are. `run` does the work.

use std::path::Path;

use indexer::{
    Index,
    index::BackfillProgress,
    ledger::{BackfillIds, BackfillState},
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

/// Records a backfill of what `backfill.ids` names, or of these ids; with `follow` waits for its end.
pub(crate) async fn start(
    file: &Path,
    ids: &[String],
    follow: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let ids = wanted(&index, ids)?;
    let number = index.ledger.start_backfill(ids).await?;
    if follow {
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

/// Shows the newest backfill.
pub(crate) async fn status(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    if let Some(newest) = index.newest_backfill().await? {
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
        let failure = Failure::new("the plan names no place to enumerate ids from").code(codes::SS601);
        return Err(
            failure.help("give `backfill.ids` in index.yaml and provision, or name documents with --id")
        );
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
    }
}
