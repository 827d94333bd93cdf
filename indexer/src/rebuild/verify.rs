//! Verification fetches: what an event without a version led to is fetched once more, now and then, to see whether it still was old.
//!
//! Nobody can tell from an answer alone that it is older than its event. So some documents are fetched again a while later: one
//! that differs, although no event came between, was old when it was written. Then all that were written lately are verified, and
//! from there on more of them, and later, until they agree again; while all agree, it is one of sixty-four.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use plan::DocumentId;
use tokio::time::Instant;

use super::{batch::Ticket, coalescer::Waiting, judge::Verdict};

/// Of so many documents one is verified while none differs: less than two requests in a hundred.
const RAREST: u32 = 64;

/// The shortest time from a write to its verification: most replicas have caught up by then.
const SHORTEST: Duration = Duration::from_secs(2);

/// The longest: caches before a gateway seldom keep anything for longer.
const LONGEST: Duration = Duration::from_mins(2);

/// Documents that wait for their verification, at most; others are not verified. About 150 bytes each.
const MOST: usize = 4_096;

/// Verifications asked for at once.
const AT_ONCE: usize = 200;

/// The content of a document, or that it is gone.
pub(super) fn content(body: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

/// Why the content of a document matters that is being fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// It doesn't: a backfill, a person, a version that is compared anyway.
    None,
    /// A live event asked for it and tells no version.
    Event,
    /// An event told that it was deleted.
    Deletion,
    /// It is being verified.
    Verification,
}

/// Notes what will be written, where a later answer may be compared with it.
pub(super) fn note_contents(tickets: &mut [Ticket], verdicts: &[Verdict]) {
    for (ticket, verdict) in tickets.iter_mut().zip(verdicts) {
        ticket.content = match verdict {
            _ if ticket.interest == Interest::None => None,
            Verdict::Found { body, .. } => Some(content(Some(body))),
            Verdict::Gone => Some(content(None)),
            _ => None,
        };
    }
}

/// Chooses what is verified, and learns from what it finds.
#[derive(Debug)]
pub(super) struct Verifier {
    checks: HashMap<DocumentId, Check>,
    due: BTreeSet<(Instant, DocumentId)>,
    /// What events led to lately and was not chosen: by when, and with which content.
    recent: VecDeque<(Instant, DocumentId, u64)>,
    /// One of so many documents is verified.
    every: u32,
    /// Documents since the last one that was chosen.
    passed: u32,
    /// From a write to its verification.
    delay: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Check {
    content: u64,
    at: Instant,
    delay: Duration,
    /// Whether its fetch was asked for.
    is_asked: bool,
}

/// What a verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// The document is as it was.
    Same,
    /// It had been written from an answer that was old.
    Differed,
}

impl Finding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Differed => "differed",
        }
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self {
            checks: HashMap::new(),
            due: BTreeSet::new(),
            recent: VecDeque::new(),
            every: RAREST,
            passed: 0,
            delay: SHORTEST,
        }
    }
}

impl Verifier {
    /// Why a document is fetched, as far as verifications go.
    pub(super) fn interest(&self, id: &DocumentId, entries: &[Waiting]) -> Interest {
        match () {
            () if entries.iter().any(|entry| entry.deleted) => Interest::Deletion,
            () if entries.iter().any(|entry| entry.is_unversioned) => Interest::Event,
            () if self.checks.get(id).is_some_and(|check| check.is_asked) => Interest::Verification,
            () => Interest::None,
        }
    }

    /// Notes that the fetch of a document ended, and with which content it was written. One that was not, because it failed or
    /// because nobody cares, is not verified: a replay looks after it.
    pub(super) fn ended(
        &mut self,
        id: &DocumentId,
        content: Option<u64>,
        interest: Interest,
        now: Instant,
    ) -> Option<Finding> {
        let before = self.take(id);
        let content = content?;
        match interest {
            Interest::Event => self.choose(id, content, now),
            // Its event says that it can't be there.
            Interest::Deletion if content != self::content(None) => {
                self.schedule(id, content, self.delay, now);
            }
            Interest::Verification => return before.map(|check| self.learn(id, check, content, now)),
            Interest::Deletion | Interest::None => {}
        }
        None
    }

    fn learn(&mut self, id: &DocumentId, check: Check, content: u64, now: Instant) -> Finding {
        if check.content == content {
            self.every = (self.every + self.every.div_ceil(8)).min(RAREST);
            self.delay = (self.delay * 31 / 32).max(SHORTEST);
            return Finding::Same;
        }
        self.every = (self.every / 4).max(1);
        // It may have caught up at any time since; whether it has, the next one tells.
        let delay = (check.delay * 2).min(LONGEST);
        self.delay = self.delay.max(delay);
        self.schedule(id, content, delay, now);
        for (at, id, content) in std::mem::take(&mut self.recent) {
            if now.saturating_duration_since(at) <= LONGEST {
                self.schedule(&id, content, self.delay, now);
            }
        }
        Finding::Differed
    }

    fn take(&mut self, id: &DocumentId) -> Option<Check> {
        let check = self.checks.remove(id)?;
        self.due.remove(&(check.at, id.clone()));
        Some(check)
    }

    fn choose(&mut self, id: &DocumentId, content: u64, now: Instant) {
        self.passed += 1;
        if self.passed >= self.every {
            self.passed = 0;
            return self.schedule(id, content, self.delay, now);
        }
        if self.recent.len() >= MOST {
            self.recent.pop_front();
        }
        self.recent.push_back((now, id.clone(), content));
    }

    fn schedule(&mut self, id: &DocumentId, content: u64, delay: Duration, now: Instant) {
        if self.take(id).is_none() && self.checks.len() >= MOST {
            return;
        }
        let at = now + delay;
        self.checks.insert(id.clone(), Check { content, at, delay, is_asked: false });
        self.due.insert((at, id.clone()));
    }

    /// The documents whose verification is due, each once, some hundreds at a time.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<DocumentId> {
        let mut ids = Vec::new();
        while ids.len() < AT_ONCE
            && self.due.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, id)) = self.due.pop_first()
        {
            if let Some(check) = self.checks.get_mut(&id) {
                check.is_asked = true;
                ids.push(id);
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> DocumentId {
        DocumentId::new(format!("m{n}")).unwrap()
    }

    /// So many events, each of which led to a write; gives how many verifications are due in the end.
    fn events(verifier: &mut Verifier, count: u32, now: Instant) -> Vec<DocumentId> {
        for n in 0..count {
            assert_eq!(verifier.ended(&id(n), Some(content(Some("old"))), Interest::Event, now), None);
        }
        verifier.take_due(now + LONGEST)
    }

    /// Verifies until nothing is due, by documents that have this content.
    fn verify(verifier: &mut Verifier, ids: &[DocumentId], body: &str, now: Instant) -> Vec<Finding> {
        let interest = |verifier: &Verifier, id| verifier.interest(id, &[]);
        let found = ids.iter().map(|id| {
            assert_eq!(interest(verifier, id), Interest::Verification);
            verifier.ended(id, Some(content(Some(body))), Interest::Verification, now).unwrap()
        });
        found.collect()
    }

    #[test]
    fn few_are_verified_while_all_agree() {
        let (mut verifier, now) = (Verifier::default(), Instant::now());
        let due = events(&mut verifier, 640, now);
        assert_eq!(due.len(), 10);
        assert_eq!(verify(&mut verifier, &due, "old", now), [Finding::Same; 10]);
        assert_eq!(events(&mut verifier, 640, now).len(), 10);
        assert_eq!(verifier.delay, SHORTEST);
    }

    #[test]
    fn more_are_verified_and_later_once_one_differed() {
        let (mut verifier, mut now) = (Verifier::default(), Instant::now());
        let due = events(&mut verifier, 64, now);
        assert_eq!(verify(&mut verifier, &due, "new", now), [Finding::Differed]);
        assert_eq!((verifier.every, verifier.delay), (16, 2 * SHORTEST));
        let late = verifier.take_due(now + 2 * SHORTEST);
        assert!(late.contains(&due[0]), "once more, for it may still be old");
        assert_eq!(late.len(), 64, "and all that were written about then");
        let others: Vec<DocumentId> = late.into_iter().filter(|id| *id != due[0]).collect();
        assert_eq!(verify(&mut verifier, &due, "newer", now), [Finding::Differed]);
        assert_eq!((verifier.every, verifier.delay), (4, 4 * SHORTEST));
        assert_eq!(verify(&mut verifier, &others[..1], "old", now), [Finding::Same]);
        let due = verifier.take_due(now + LONGEST);
        assert_eq!(verify(&mut verifier, &due, "newer", now), [Finding::Same]);
        for _ in 0..100 {
            now += LONGEST;
            let due = events(&mut verifier, 64, now);
            verify(&mut verifier, &due, "old", now);
        }
        assert_eq!((verifier.every, verifier.delay), (RAREST, SHORTEST), "what healed is forgotten");
    }

    #[test]
    fn a_later_event_takes_the_place_of_a_verification() {
        let (mut verifier, now) = (Verifier::default(), Instant::now());
        let due = events(&mut verifier, 64, now);
        verifier.ended(&due[0], Some(content(Some("changed"))), Interest::Event, now);
        assert_eq!(verifier.interest(&due[0], &[]), Interest::None, "what differs now is the event's");
        verifier.ended(&id(1), Some(content(Some("held before"))), Interest::Deletion, now);
        verifier.ended(&id(2), Some(content(None)), Interest::Deletion, now);
        assert_eq!(verifier.take_due(now + LONGEST), [id(1)], "a deleted document that is still there");
    }

    #[test]
    fn no_more_wait_than_there_is_room_for() {
        let (mut verifier, now) = (Verifier { every: 1, ..Verifier::default() }, Instant::now());
        for n in 0..10_000 {
            verifier.ended(&id(n), Some(1), Interest::Event, now);
        }
        assert_eq!((verifier.checks.len(), verifier.due.len()), (MOST, MOST));
        assert_eq!(verifier.take_due(now + LONGEST).len(), AT_ONCE);
    }
}
