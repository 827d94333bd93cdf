//! Saved searches in reverse: which of them a document matches, and telling a webhook when one begins to.
//!
//! A match *begins* when a document is written that matches a saved search, and what the index held of it before did not match, or was not
//! there. So a rewrite that changes nothing about it is not told again, and saving a search tells nothing of the documents that
//! match it already: they are found by searching. A document that is written with paths missing is not judged before it is whole. Time
//! passing is no write: `now` in a filter is that of the write.
//!
//! # What is kept, and what may be lost
//!
//! [`Watch`] is asked before a document is appended and written, so that what it held before is still there. What begins to match is a row in the
//! ledger, with the version that is about to be written, before the write itself. After a crash in between, the entry is uncommitted, and
//! its document fetched and judged again. [`posting`] posts a row once the index holds that version or a later one, and only if it
//! still matches; it forgets the row after the webhook has answered. So each match that is still true is posted at least once, with the same
//! `key` each time. What begins and ends while the webhook is away is not posted.
//!
//! Posting is one task of whoever owns the first partition of the live lane, and nothing waits for it. While the webhook is away, matches
//! wait in the ledger, at most [`MAX_WAITING`]; what begins while so many wait is dropped and counted. Without a webhook
//! nothing is kept: matches are logged and counted.
//!
//! # What it costs
//!
//! Filters are parsed when they change, and held against a document through [`plan::filter::FilterSet`]: a filter that asks for a value
//! costs a document nothing that doesn't hold it. What was there before is only read of documents that match something.

mod known;
pub(crate) mod posting;
mod watch;
pub mod webhook;

use plan::{Diagnostic, IndexPlan, code::search::SS731};
use serde::{Deserialize, Serialize};

pub use self::known::{Broken, Known, checked};
pub(crate) use self::{known::Reading, watch::Watch};
use crate::{
    Index, StateError,
    endpoints::Place,
    ledger::{Figures, Ledger, SavedSearch},
};

/// Saved searches of an index at most.
pub const MAX_SEARCHES: usize = 10_000;

/// The text of all their filters together, in bytes: what each process holds parsed in memory follows it.
pub const MAX_TOTAL_BYTES: usize = 4 << 20;

/// The longest name of a saved search, in characters.
pub const MAX_NAME: usize = 120;

/// Matches that wait to be posted, at most; about, as processes that share an index count each for itself.
pub const MAX_WAITING: u64 = 100_000;

/// The saved searches as a process knows them, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SavedFigures {
    /// How many there are.
    pub searches: usize,
    /// Those that don't fit the served plan, and match nothing; at most a hundred names.
    pub broken: Vec<String>,
}

/// The saved searches of an index, for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SavedStatus {
    /// As a process that runs knows them, or as they are read where none runs.
    #[serde(flatten)]
    pub figures: SavedFigures,
    /// Matches that wait to be posted.
    pub waiting: u64,
    /// Why the webhook was not reached at the last try.
    pub webhook_waits: Option<String>,
}

/// What is wrong with a saved search before it is saved beside these.
pub fn refused(search: &SavedSearch, others: &[SavedSearch]) -> Option<Diagnostic> {
    let SavedSearch { name, filter, .. } = search;
    let refuse = |message: String, help: &str| Some(Diagnostic::error(SS731, message).help(help));
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || name.trim() != name || name.contains(char::is_control) {
        return refuse(
            format!("{name:?} can't name a saved search"),
            &format!("1 to {MAX_NAME} characters on one line, no blanks around them"),
        );
    }
    let others = || others.iter().filter(|other| other.name != *name);
    if others().count() >= MAX_SEARCHES {
        return refuse(
            format!("the index has {MAX_SEARCHES} saved searches, and can't have more"),
            "remove some with `studio-search saved remove`",
        );
    }
    if others().map(|other| other.filter.len()).sum::<usize>() + filter.len() > MAX_TOTAL_BYTES {
        let limit = MAX_TOTAL_BYTES >> 20;
        return refuse(
            format!("the filters of all saved searches together would have more than {limit} MiB"),
            "shorten the longest ones, or remove some with `studio-search saved remove`",
        );
    }
    None
}

/// The saved searches of an index by these figures of its processes; read anew where none of them has looked yet.
pub(crate) async fn status(
    ledger: &dyn Ledger,
    plan: &IndexPlan,
    figures: &[Figures],
) -> Result<SavedStatus, StateError> {
    let told = figures.iter().find_map(|figures| figures.saved.clone());
    let saved = match told {
        Some(told) => told,
        None if ledger.saved_revision().await? == 0 => SavedFigures::default(),
        None => Known::read(ledger.saved_searches().await?, &plan.fields).figures(),
    };
    let waiting = match saved.searches {
        0 => 0, // whatever waits is over
        _ => ledger.waiting_match_count().await?,
    };
    let webhook_waits = figures.iter().find_map(|figures| figures.webhook_waits.clone());
    Ok(SavedStatus { figures: saved, waiting, webhook_waits })
}

/// What this plan would break: a warning for each saved search of the index that doesn't fit its fields. An index that isn't
/// provisioned has none.
pub async fn unfit(place: &Place, plan: &IndexPlan) -> Result<Vec<Diagnostic>, StateError> {
    let index = match Index::open(&plan.name, place).await {
        Err(StateError::NotProvisioned(_)) => return Ok(Vec::new()),
        index => index?,
    };
    let known = Known::read(index.ledger.saved_searches().await?, &plan.fields);
    Ok(known.broken().iter().flat_map(Broken::warnings).collect())
}

#[cfg(test)]
mod tests;
