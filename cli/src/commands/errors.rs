//! `errors`: documents that failed for now, and events that could not be understood.

use std::path::Path;

use indexer::{Index, ledger::Held, log::DeadLetterRow};
use serde::Serialize;

use crate::{
    environment::Environment, exit::Exit, failure::Failure, moment::moment, output::Output, paint::Paint,
    project::Project, table::Table,
};

/// Held documents of one read.
const PAGE: usize = 1_000;

/// The newest dead letters are the ones to look at; all of them stay in the ledger.
const DEAD_LETTERS: usize = 1_000;

#[derive(Serialize)]
struct Listed<'l> {
    success: bool,
    held: &'l [Held],
    dead_letters: &'l [DeadLetterRow],
}

/// Lists both.
pub(crate) async fn list(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let held = held(&index).await?;
    let dead_letters = index.log.dead_letters(DEAD_LETTERS).await?;
    let listed = Listed { success: true, held: &held, dead_letters: &dead_letters };
    output.answer(&listed, |paint| {
        let mut parts = Vec::new();
        if !held.is_empty() {
            parts.push(held_table(&held, paint));
        }
        if !dead_letters.is_empty() {
            parts.push(letter_table(&dead_letters, paint));
        }
        if parts.is_empty() {
            parts.push("nothing is held, and there are no dead letters".to_owned());
        }
        parts.join("\n")
    })?;
    Ok(Exit::Done)
}

async fn held(index: &Index) -> Result<Vec<Held>, Failure> {
    let mut held: Vec<Held> = Vec::new();
    loop {
        let after = held.last().map(|last| last.id.clone());
        let page = index.ledger.held(after.as_ref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        held.extend(page);
        if is_last {
            return Ok(held);
        }
    }
}

fn held_table(held: &[Held], paint: Paint) -> String {
    let mut table =
        Table::new(&["held document", "subgraph", "code", "path", ">tries", "next try", "message"]);
    for held in held {
        table.row([
            held.id.to_string(),
            held.subgraph.clone().unwrap_or_else(|| "unknown".to_owned()),
            held.code.clone(),
            held.path.clone().unwrap_or_default(),
            held.attempts.to_string(),
            moment(held.next_at),
            held.message.clone(),
        ]);
    }
    table.render(paint)
}

fn letter_table(letters: &[DeadLetterRow], paint: Paint) -> String {
    let mut table = Table::new(&["dead letter of", "position", "code", "found", "reason"]);
    for letter in letters {
        table.row([
            letter.source.clone(),
            letter.position.clone(),
            letter.code.clone(),
            moment(letter.at),
            letter.reason.clone(),
        ]);
    }
    table.render(paint)
}
