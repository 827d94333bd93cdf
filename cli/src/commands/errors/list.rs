//! `errors list`: both as tables, or how many there are of each subgraph or code.

use std::{collections::BTreeMap, path::Path};

use indexer::{ledger::Held, log::DeadLetterRow};
use serde::Serialize;

use super::{held, letters};
use crate::{
    args::{By, Selection},
    environment::Environment,
    exit::Exit,
    failure::Failure,
    moment::moment,
    output::Output,
    paint::Paint,
    project::Project,
    table::Table,
};

/// The newest dead letters are the ones to look at; all of them stay.
const SHOWN: usize = 1_000;

#[derive(Serialize)]
struct Listed<'l> {
    success: bool,
    held: &'l [Held],
    dead_letters: &'l [DeadLetterRow],
    /// How many there are, shown or not.
    dead_letters_total: u64,
}

#[derive(Serialize)]
struct Grouped {
    success: bool,
    by: By,
    groups: Vec<Group>,
}

/// Of one subgraph, or of one code.
#[derive(Serialize)]
struct Group {
    name: String,
    held: usize,
    dead_letters: usize,
    /// When the last one failed or was found, milliseconds of Unix time.
    last_at: i64,
}

/// Lists held documents and dead letters.
pub(crate) async fn list(
    file: &Path,
    by: Option<By>,
    wanted: &Selection,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let held = held(&index, wanted).await?;
    let (mut letters, is_more) = letters(&index, wanted).await?;
    if let Some(by) = by {
        if is_more {
            output.warn(&format!("only the newest {} dead letters are counted", super::DEAD_LETTERS));
        }
        let groups = grouped(by, &held, &letters);
        output.answer(&Grouped { success: true, by, groups: grouped(by, &held, &letters) }, |paint| {
            group_table(by, &groups, paint)
        })?;
        return Ok(Exit::Done);
    }
    let found = letters.len() as u64;
    letters.truncate(SHOWN);
    let total = if is_more { index.log.dead_letter_count().await? } else { found };
    let listed = Listed { success: true, held: &held, dead_letters: &letters, dead_letters_total: total };
    output.answer(&listed, |paint| {
        let mut parts = Vec::new();
        if !held.is_empty() {
            parts.push(held_table(&held, index.plan.errors.auto_replay, paint));
        }
        if !letters.is_empty() {
            parts.push(letter_table(&letters, paint));
        }
        if parts.is_empty() {
            let nothing = match wanted.is_empty() {
                true => "nothing is held, and there are no dead letters",
                false => "nothing of that is held or a dead letter",
            };
            parts.push(nothing.to_owned());
        }
        if total > letters.len() as u64 {
            parts.push(format!("these are the newest {} of {total} dead letters", letters.len()));
        }
        parts.join("\n")
    })?;
    Ok(Exit::Done)
}

/// Counts, the largest first.
fn grouped(by: By, held: &[Held], letters: &[DeadLetterRow]) -> Vec<Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut note = |name: String, is_held: bool, at: i64| {
        let new = Group { name: name.clone(), held: 0, dead_letters: 0, last_at: at };
        let group = groups.entry(name).or_insert(new);
        *(if is_held { &mut group.held } else { &mut group.dead_letters }) += 1;
        group.last_at = group.last_at.max(at);
    };
    for held in held {
        let name = match by {
            By::Code => held.code.clone(),
            By::Subgraph => held.subgraph.clone().unwrap_or_else(|| "unknown".to_owned()),
        };
        note(name, true, held.last_at);
    }
    // No subgraph is to blame for an event that can't be understood.
    if by == By::Code {
        letters.iter().for_each(|letter| note(letter.code.clone(), false, letter.at));
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.held + group.dead_letters));
    groups
}

fn group_table(by: By, groups: &[Group], paint: Paint) -> String {
    if groups.is_empty() {
        return "nothing of that is held or a dead letter".to_owned();
    }
    let mut table = match by {
        By::Code => Table::new(&["code", ">held", ">dead letters", "last"]),
        By::Subgraph => Table::new(&["subgraph", ">held", "last"]),
    };
    for group in groups {
        let (name, held, last) = (group.name.clone(), group.held.to_string(), moment(group.last_at));
        match by {
            By::Code => table.row([name, held, group.dead_letters.to_string(), last]),
            By::Subgraph => table.row([name, held, last]),
        }
    }
    table.render(paint)
}

fn held_table(held: &[Held], replays: bool, paint: Paint) -> String {
    let mut table =
        Table::new(&["held document", "subgraph", "code", "path", ">tries", "next try", "message"]);
    for held in held {
        table.row([
            held.id.to_string(),
            held.subgraph.clone().unwrap_or_else(|| "unknown".to_owned()),
            held.code.clone(),
            held.path.clone().unwrap_or_default(),
            held.attempts.to_string(),
            if replays { moment(held.next_at) } else { "when asked for".to_owned() },
            held.message.clone(),
        ]);
    }
    table.render(paint)
}

fn letter_table(letters: &[DeadLetterRow], paint: Paint) -> String {
    let mut table = Table::new(&[">number", "dead letter of", "position", "code", "found", "reason"]);
    for letter in letters {
        table.row([
            letter.number.to_string(),
            letter.source.clone(),
            letter.position.clone(),
            letter.code.clone(),
            moment(letter.at),
            letter.reason.clone(),
        ]);
    }
    table.render(paint)
}
