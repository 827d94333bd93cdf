//! `errors replay`: held documents are fetched again at once, dead letters are understood again by the provisioned plan.

use std::path::Path;

use indexer::{
    Index,
    ledger::Held,
    log::{Append, Cause, DeadLetterRow, Entry, Lane, LetterNumber},
    run::replaying::{Outcome, Replay},
};
use serde::Serialize;

use super::{PAGE, check_named, held, letters};
use crate::{
    amount::amount, args::Selection, environment::Environment, exit::Exit, failure::Failure, moment::span,
    output::Output, paint::Paint, project::Project, table::Table,
};

#[derive(Serialize)]
struct Replayed {
    /// Whether no dead letter is left of those that were meant.
    success: bool,
    /// Held documents that were asked for again.
    held: usize,
    dead_letters: Vec<Letter>,
    /// Whether there may be more that were meant.
    more: bool,
}

/// What became of a dead letter.
#[derive(Serialize)]
struct Letter {
    number: LetterNumber,
    source: String,
    position: String,
    replayed: bool,
    code: Option<&'static str>,
    reason: Option<String>,
}

/// Replays what is meant.
pub(crate) async fn replay(
    file: &Path,
    wanted: &Selection,
    all: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    check_named(wanted, all)?;
    let project = Project::open(file, env)?;
    let index = project.index().await?;
    let held = held(&index, wanted).await?;
    let (rows, more) = letters(&index, wanted).await?;
    append(&index, &held).await?;
    let dead_letters = understand(&project, &index, rows, output).await?;
    let success = !more && dead_letters.iter().all(|letter| letter.replayed);
    let works = !index.ledger.figures().await?.is_empty();
    let replayed = Replayed { success, held: held.len(), dead_letters, more };
    if !works && (!held.is_empty() || replayed.dead_letters.iter().any(|letter| letter.replayed)) {
        output.say("nothing works on this index yet: `studio-search run` fetches the documents");
    }
    output.answer(&replayed, |paint| told(&replayed, paint))?;
    Ok(if success { Exit::Done } else { Exit::Failed })
}

/// Asks for held documents again, before everything that is only due.
async fn append(index: &Index, held: &[Held]) -> Result<(), Failure> {
    for page in held.chunks(PAGE) {
        let entry = |held: &Held| {
            let wants = held.wants.clone();
            Entry { wants, ..Entry::new(held.id.clone(), Lane::Live, Cause::Person) }
        };
        let entries = page.iter().map(entry).collect();
        index.log.append(Append { entries, ..Append::default() }).await?;
        // Afterwards: what was noted and not appended would wait for the longest pause.
        index.ledger.mark_replayed(page.iter().map(|held| (held.id.clone(), held.version)).collect()).await?;
    }
    Ok(())
}

async fn understand(
    project: &Project,
    index: &Index,
    rows: Vec<DeadLetterRow>,
    output: &Output,
) -> Result<Vec<Letter>, Failure> {
    let replay = Replay::new(index, &project.gateway())?;
    if rows.iter().any(|row| replay.looks_up(&row.source)) {
        let wait = replay.longest_wait().await?;
        let wait = span(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        output.say(&format!("waits {wait} for fetches that may have begun before, then looks up again"));
    }
    let numbers: Vec<LetterNumber> = rows.iter().map(|row| row.number).collect();
    let outcomes = replay.replay(&numbers).await?;
    let letter = |(row, outcome): (DeadLetterRow, Outcome)| {
        let (replayed, code, reason) = match outcome {
            // Whoever settled it meanwhile did what was wanted.
            Outcome::Replayed | Outcome::Missing => (true, None, None),
            Outcome::Still { code, reason } => (false, Some(code.id), Some(reason)),
        };
        Letter { number: row.number, source: row.source, position: row.position, replayed, code, reason }
    };
    Ok(rows.into_iter().zip(outcomes).map(letter).collect())
}

fn told(replayed: &Replayed, paint: Paint) -> String {
    let mut parts = Vec::new();
    if replayed.held > 0 {
        let documents = amount(replayed.held, "held document is", "held documents are");
        parts.push(format!("{documents} fetched again"));
    }
    let done = replayed.dead_letters.iter().filter(|letter| letter.replayed).count();
    if done > 0 {
        parts.push(paint.good(&format!("{} replayed", amount(done, "dead letter is", "dead letters are"))));
    }
    let still: Vec<&Letter> = replayed.dead_letters.iter().filter(|letter| !letter.replayed).collect();
    if !still.is_empty() {
        let mut table = Table::new(&[">number", "still a dead letter of", "position", "code", "reason"]);
        for letter in still {
            table.row([
                letter.number.to_string(),
                letter.source.clone(),
                letter.position.clone(),
                letter.code.unwrap_or_default().to_owned(),
                letter.reason.clone().unwrap_or_default(),
            ]);
        }
        parts.push(table.render(paint).trim_end().to_owned());
    }
    if replayed.more {
        parts.push("there may be more: replay again, and drop what stays".to_owned());
    }
    if parts.is_empty() {
        parts.push("there is nothing to replay".to_owned());
    }
    parts.join("\n")
}
