//! `errors drop`: dead letters are forgotten, and held documents only where that is said.

use std::path::Path;

use indexer::{
    ledger::Held,
    log::{Append, LetterNumber},
};
use serde::Serialize;

use super::{PAGE, check_named, held, letters};
use crate::{
    amount::amount, args::Selection, environment::Environment, exit::Exit, failure::Failure, output::Output,
    project::Project,
};

/// What it means to forget a held document.
const FORGETTING: &str = "its last good content stays in the index, which may be stale, and nobody fetches it \
                          again before its next event or a backfill";

#[derive(Serialize)]
struct Dropped {
    success: bool,
    dead_letters: Vec<LetterNumber>,
    /// Ids of held documents that are forgotten.
    held: Vec<String>,
    /// Held documents that were meant, too, and stay.
    held_kept: usize,
    /// Whether there may be more that were meant.
    more: bool,
}

/// Drops what is meant.
pub(crate) async fn drop(
    file: &Path,
    wanted: &Selection,
    all: bool,
    forget_held: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    check_named(wanted, all)?;
    let index = Project::open(file, env)?.index().await?;
    let held = held(&index, wanted).await?;
    let (rows, more) = letters(&index, wanted).await?;
    let names_documents = !wanted.ids.is_empty() || wanted.subgraph.is_some();
    if names_documents && !forget_held && !held.is_empty() {
        let failure = Failure::new(format!(
            "{} held, and no dead letter",
            amount(held.len(), "document is", "documents are")
        ));
        let again = match index.plan.errors.auto_replay {
            true => "by itself, or now with `studio-search errors replay`",
            false => "with `studio-search errors replay`",
        };
        return Err(failure.help(format!(
            "a held document is tried again {again}; to forget it all the same, add --forget-held: {FORGETTING}"
        )));
    }
    let dead_letters: Vec<LetterNumber> = rows.iter().map(|row| row.number).collect();
    for settled in dead_letters.chunks(PAGE) {
        index.log.append(Append { settled: settled.to_vec(), ..Append::default() }).await?;
    }
    let forgotten: &[Held] = if forget_held { &held } else { &[] };
    for page in forgotten.chunks(PAGE) {
        index.ledger.forget(page.iter().map(|held| (held.id.clone(), held.version)).collect()).await?;
    }
    let dropped = Dropped {
        success: true,
        dead_letters,
        held: forgotten.iter().map(|held| held.id.to_string()).collect(),
        held_kept: held.len() - forgotten.len(),
        more,
    };
    output.answer(&dropped, |_| told(&dropped))?;
    Ok(Exit::Done)
}

fn told(dropped: &Dropped) -> String {
    let mut parts = Vec::new();
    if !dropped.dead_letters.is_empty() {
        let letters = amount(dropped.dead_letters.len(), "dead letter is", "dead letters are");
        parts.push(format!("{letters} dropped"));
    }
    if !dropped.held.is_empty() {
        let documents = amount(dropped.held.len(), "held document is", "held documents are");
        parts.push(format!("{documents} forgotten: {FORGETTING}"));
    }
    if dropped.held_kept > 0 {
        let documents = amount(dropped.held_kept, "held document stays", "held documents stay");
        parts.push(format!("{documents}: --forget-held forgets them, too"));
    }
    if dropped.more {
        parts.push("there may be more: drop again".to_owned());
    }
    if parts.is_empty() {
        parts.push("there is nothing to drop".to_owned());
    }
    parts.join("\n")
}
