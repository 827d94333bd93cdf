//! `errors`: documents that failed for now, and events that could not be understood.

mod drop;
mod list;
mod replay;
mod show;

use indexer::{
    Index,
    ledger::Held,
    log::{DeadLetterRow, LetterNumber},
};

pub(crate) use self::{drop::drop, list::list, replay::replay, show::show};
use crate::{args::Selection, failure::Failure};

/// Held documents of one read.
const PAGE: usize = 1_000;

/// Dead letters of one command. What is left is told, and is next.
const DEAD_LETTERS: usize = 10_000;

/// The held documents that are meant, in the order of their ids. An id that is not held is a failure.
async fn held(index: &Index, wanted: &Selection) -> Result<Vec<Held>, Failure> {
    if wanted.ids.is_empty() && (!wanted.numbers.is_empty() || wanted.source.is_some()) {
        return Ok(Vec::new());
    }
    let is_meant = |held: &Held| {
        (wanted.ids.is_empty() || wanted.ids.iter().any(|id| id == held.id.as_str()))
            && wanted.subgraph.as_ref().is_none_or(|subgraph| held.subgraph.as_ref() == Some(subgraph))
            && wanted.code.as_ref().is_none_or(|code| held.code.eq_ignore_ascii_case(code))
    };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = index.ledger.held(after.as_ref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|last| last.id.clone());
        found.extend(page.into_iter().filter(is_meant));
        if is_last {
            break;
        }
    }
    match wanted.ids.iter().find(|id| found.iter().all(|held| held.id.as_str() != *id)) {
        Some(id) => {
            let failure = Failure::new(format!("{id} is not held, or not by this subgraph and code"));
            Err(failure.help("see what is: `studio-search errors list`"))
        }
        None => Ok(found),
    }
}

/// The dead letters that are meant, the newest first, and whether there may be more. A number that there is not is a failure.
async fn letters(index: &Index, wanted: &Selection) -> Result<(Vec<DeadLetterRow>, bool), Failure> {
    if !wanted.numbers.is_empty() {
        let kept = index.log.read_dead_letters(&wanted.numbers).await?;
        let mut rows: Vec<DeadLetterRow> = kept.into_iter().map(|letter| letter.row).collect();
        if let Some(number) =
            wanted.numbers.iter().find(|number| rows.iter().all(|row| row.number != **number))
        {
            return Err(no_letter(*number));
        }
        rows.retain(|row| is_of(wanted, row));
        return Ok((rows, false));
    }
    if !wanted.ids.is_empty() || wanted.subgraph.is_some() {
        return Ok((Vec::new(), false));
    }
    let mut rows = index.log.dead_letters(DEAD_LETTERS).await?;
    let is_more = rows.len() == DEAD_LETTERS;
    rows.retain(|row| is_of(wanted, row));
    Ok((rows, is_more))
}

fn is_of(wanted: &Selection, row: &DeadLetterRow) -> bool {
    wanted.source.as_ref().is_none_or(|source| row.source == *source)
        && wanted.code.as_ref().is_none_or(|code| row.code.eq_ignore_ascii_case(code))
}

/// Nothing is replayed or dropped that was not named.
fn check_named(wanted: &Selection, all: bool) -> Result<(), Failure> {
    if all || !wanted.is_empty() {
        return Ok(());
    }
    let failure = Failure::usage("nothing is named");
    Err(failure.help("name what is meant with --number, --id, --source, --subgraph or --code; or --all"))
}

fn no_letter(number: LetterNumber) -> Failure {
    let failure = Failure::new(format!("there is no dead letter {number}"));
    failure
        .help("it may be replayed, dropped or expired by now; see what there is: `studio-search errors list`")
}
