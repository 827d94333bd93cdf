//! The guard against a mapping that fits no more: too many documents that the store refuses, each by itself.

use std::collections::{BTreeMap, BTreeSet};

use plan::DocumentId;
use tokio::time::Instant;

use super::recent::{Recent, WINDOW};

/// Fewer than this many in a window never alarm: some documents are just too large, or too long in one field.
const ALWAYS_ALLOWED: usize = 50;

/// More than this share of what was offered to the store is no matter of single documents.
const MAX_SHARE: f64 = 0.05;

/// Ids that are remembered at most, of each kind: 512 bytes each at the worst. More of them change no verdict.
const MAX_KNOWN: usize = 10_000;

/// Counts refused documents, each once, and written ones in a sliding window.
#[derive(Debug, Default)]
pub struct RefusalGuard {
    written: Recent<usize>,
    refused: BTreeMap<DocumentId, Instant>,
    /// Refused and given back: one of them that is written shows that the cause is mended.
    waiting: BTreeSet<DocumentId>,
    trusted_until: Option<Instant>,
}

impl RefusalGuard {
    /// Notes how many documents of a batch were written, and says whether the refusal of others is their own fault. If it
    /// isn't, they are not counted, so that they are judged alike when they are offered again.
    pub fn admit(&mut self, written: usize, refused: &[DocumentId], now: Instant) -> bool {
        self.refused.retain(|_, at| now.duration_since(*at) <= WINDOW);
        self.written.add(written, now);
        let is_trusted = self.trusted_until.is_some_and(|until| now < until);
        let new: BTreeSet<&DocumentId> =
            refused.iter().filter(|id| !self.refused.contains_key(*id)).collect();
        let all_refused = self.refused.len() + new.len();
        let offered = all_refused + self.written.sum(now);
        #[expect(clippy::cast_precision_loss, reason = "ten minutes of writes are far below 2^52")]
        let share = all_refused as f64 / offered.max(1) as f64;
        if !is_trusted && !new.is_empty() && all_refused > ALWAYS_ALLOWED && share > MAX_SHARE {
            let room = MAX_KNOWN.saturating_sub(self.waiting.len());
            self.waiting.extend(refused.iter().take(room).cloned());
            return false;
        }
        let room = MAX_KNOWN.saturating_sub(self.refused.len());
        self.refused.extend(new.into_iter().take(room).cloned().map(|id| (id, now)).collect::<Vec<_>>());
        true
    }

    /// Notes that nothing more is to be done about a document for now, and whether its content was written.
    pub fn finish(&mut self, id: &DocumentId, is_written: bool) {
        if self.waiting.remove(id) && is_written {
            self.waiting.clear();
            self.refused.clear();
        }
    }

    /// Whether documents were refused and given back, and none of them was written since.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A person looked and said to go on: what is refused within the next window is held.
    pub fn trust(&mut self, now: Instant) {
        self.trusted_until = Some(now + WINDOW);
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ids(numbers: std::ops::Range<usize>) -> Vec<DocumentId> {
        numbers.map(|number| DocumentId::new(format!("m{number}")).unwrap()).collect()
    }

    #[test]
    fn few_refused_documents_are_their_own_fault() {
        let (mut guard, now) = (RefusalGuard::default(), Instant::now());
        assert!(guard.admit(0, &ids(0..50), now), "50 are always allowed");
        for _ in 0..100 {
            assert!(guard.admit(0, &ids(0..50), now), "and are no more by being tried again");
        }
        assert!(!guard.admit(0, &ids(50..51), now));
        assert!(guard.admit(970, &ids(50..51), now), "51 of 1,021 are below 5 %");
        assert!(guard.admit(0, &ids(100..150), now + WINDOW + Duration::from_secs(1)), "the window moved on");
    }

    #[test]
    fn many_wait_until_one_of_them_is_written_or_a_person_says_so() {
        let (mut guard, now) = (RefusalGuard::default(), Instant::now());
        assert!(!guard.admit(10, &ids(0..100), now));
        assert!(guard.is_waiting());
        guard.finish(&ids(200..201)[0], true);
        assert!(guard.is_waiting(), "another document says nothing about these");
        guard.finish(&ids(0..1)[0], false);
        assert!(guard.is_waiting(), "nor does one that is gone");
        guard.finish(&ids(1..2)[0], true);
        assert!(!guard.is_waiting());

        assert!(!guard.admit(10, &ids(0..100), now));
        guard.trust(now);
        assert!(!guard.is_waiting() && guard.admit(10, &ids(0..100), now));
        assert!(!guard.admit(10, &ids(200..300), now + 2 * WINDOW), "once");
    }
}
