//! What happened to documents lately, for `trace`: noted in memory where it happens, written to the ledger each second, and
//! bounded everywhere, so that nobody pays for it who is in a hurry.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use plan::{DocumentId, DocumentVersion};
use serde::{Deserialize, Serialize};

use crate::{
    ledger::HoldCause,
    log::{Cause, Lane},
    now_ms,
};

/// The newest steps of a document that one process keeps. Enough for a few changes with all that follows from them.
pub const RING: usize = 16;

/// Documents whose steps a ledger keeps; those that nothing happened to for longest are forgotten first. About 40 MB.
pub const DOCUMENTS: u64 = 20_000;

/// Steps of the live lane that a process notes between two writes to the ledger, a second apart. More would cost a busy process
/// several per cent of its time; of what happens faster there is a sample.
const LIVE_STEPS: usize = 350;

/// Steps of the backfill lane beside them, so that neither pushes the other aside.
const BACKFILL_STEPS: usize = 50;

/// The longest text of a step, in characters.
const TEXT: usize = 300;

/// One thing that happened to a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When, milliseconds of Unix time by the clock of the process that did it.
    pub at: i64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum What {
    /// An event named the document.
    Event {
        /// Its source.
        source: String,
        /// Where it stands there.
        place: String,
        /// The lane that it asked in.
        lane: Lane,
        /// When the change happened, milliseconds of Unix time.
        event_at: Option<i64>,
        /// Whether it told of a deletion.
        deleted: bool,
    },
    /// The lookup of a related entity's event found the document.
    Lookup {
        /// The event's source.
        source: String,
        /// The lane that it asked in.
        lane: Lane,
        /// When the newest of the changes happened that were looked up together.
        event_at: Option<i64>,
    },
    /// Somebody else wished to have it rebuilt.
    Asked {
        /// Who.
        by: Cause,
        /// The lane.
        lane: Lane,
    },
    /// It was fetched.
    Fetch {
        /// The version that the fetch took as it started.
        #[serde(with = "as_text")]
        version: DocumentVersion,
        /// Milliseconds from the start of the request to the end of what followed from its answer.
        took_ms: i64,
        /// What became of it.
        result: FetchResult,
        /// Why it is held, or fetched again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<Because>,
    },
}

/// What became of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchResult {
    /// The document was written.
    Written,
    /// The index held it already, as it is known to have been acknowledged: nothing was written.
    Unchanged,
    /// Something newer was there.
    Superseded,
    /// It is gone: a tombstone was written.
    Gone,
    /// It is gone, and left as it is by the configuration's word.
    Ignored,
    /// It failed for now, and its last good content stays.
    Held,
    /// Nothing could be said, or written; it is fetched again.
    Again,
}

/// Why a fetch brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// The gateway's code, or ours.
    pub code: String,
    /// The subgraph that failed, if it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subgraph: Option<String>,
    /// The document's path that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What was said, its beginning.
    pub message: String,
}

impl From<&HoldCause> for Because {
    fn from(cause: &HoldCause) -> Self {
        Self {
            code: cause.code.clone(),
            subgraph: cause.subgraph.clone(),
            path: cause.path.clone(),
            message: beginning(&cause.message),
        }
    }
}

impl Because {
    /// A reason of ours, under its code.
    pub(crate) fn new(code: plan::Code, message: &str) -> Self {
        Self { code: code.id.to_owned(), subgraph: None, path: None, message: beginning(message) }
    }
}

/// The beginning of a text that may be of any length.
pub(crate) fn beginning(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The steps that a process noted and did not yet write.
#[derive(Debug, Default)]
pub struct History {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    /// How many, by lane.
    counts: [usize; 2],
    by_id: HashMap<DocumentId, Vec<Step>>,
}

impl History {
    /// Notes steps of this lane as far as there is room for them; the others are not even made.
    pub fn note(&self, lane: Lane, steps: impl IntoIterator<Item = (DocumentId, What)>) {
        let room = match lane {
            Lane::Live => LIVE_STEPS,
            Lane::Backfill => BACKFILL_STEPS,
        };
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let left = room.saturating_sub(noted.counts[lane.number()]);
        if left == 0 {
            return;
        }
        let at = now_ms();
        for (id, what) in steps.into_iter().take(left) {
            noted.by_id.entry(id).or_default().push(Step { at, what });
            noted.counts[lane.number()] += 1;
        }
    }

    /// Takes out what was noted, to be written.
    pub fn take(&self) -> Vec<(DocumentId, Vec<Step>)> {
        let noted = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        noted.by_id.into_iter().collect()
    }
}

/// The ring of a document after more happened to it: the newest [`RING`] steps.
pub(crate) fn ring(mut before: Vec<Step>, more: Vec<Step>) -> Vec<Step> {
    before.extend(more);
    before.drain(..before.len().saturating_sub(RING));
    before
}

/// Brings the rings of several processes into the order of their steps.
pub(crate) fn in_order(rings: impl IntoIterator<Item = Vec<Step>>) -> Vec<Step> {
    let mut steps: Vec<Step> = rings.into_iter().flatten().collect();
    steps.sort_by_key(|step| step.at);
    steps
}

/// A version as text: it has more bits than a JavaScript number.
mod as_text {
    use plan::DocumentVersion;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(super) fn serialize<S: Serializer>(version: &DocumentVersion, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(version)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DocumentVersion, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(DocumentVersion::from_stored).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(number: usize) -> (DocumentId, What) {
        let what = What::Asked { by: Cause::Person, lane: Lane::Live };
        (DocumentId::new(format!("m{number}")).unwrap(), what)
    }

    #[test]
    fn neither_lane_takes_the_room_of_the_other() {
        let history = History::default();
        history.note(Lane::Live, (1_000..10_000).map(asked));
        history.note(Lane::Backfill, (0..1_000).map(asked));
        let made = std::cell::Cell::new(0);
        let counted = |number| {
            made.set(made.get() + 1);
            asked(number)
        };
        history.note(Lane::Live, (0..10_000).map(counted));
        assert_eq!(made.get(), 0, "what there is no room for costs nothing");
        let taken = history.take();
        let of_backfill = taken.iter().filter(|(id, _)| id.as_str().len() < "m1000".len()).count();
        assert_eq!((taken.len() - of_backfill, of_backfill), (LIVE_STEPS, BACKFILL_STEPS));
        assert!(history.take().is_empty());
        history.note(Lane::Backfill, [asked(1)]);
        assert_eq!(history.take().len(), 1);
    }

    #[test]
    fn a_ring_keeps_the_newest() {
        let step = |at| Step { at, what: asked(1).1 };
        let kept = ring((0..10).map(step).collect(), (10..20).map(step).collect());
        assert_eq!(kept.iter().map(|step| step.at).collect::<Vec<_>>(), (4..20).collect::<Vec<_>>());
        let both = in_order([vec![step(1), step(5)], vec![step(2), step(9)]]);
        assert!(both.is_sorted_by_key(|step| step.at) && both.len() == 4);
    }

    #[test]
    fn a_step_is_read_as_it_was_written() {
        let because = Because::new(plan::code::fetch::SS401, &"é".repeat(1_000));
        assert!(because.message.chars().count() <= TEXT + 1);
        let what = What::Fetch {
            version: DocumentVersion::from_stored((1 << 60) + 1),
            took_ms: 12,
            result: FetchResult::Again,
            because: Some(because),
        };
        let step = Step { at: 7, what };
        let text = serde_json::to_string(&step).unwrap();
        assert!(text.contains("\"version\":\"1152921504606846977\""), "{text}");
        assert_eq!(serde_json::from_str::<Step>(&text).unwrap(), step);
    }
}
