//! Documents that are older than their events: fetched again soon, and written and held where that doesn't help.

use std::time::Duration;

use plan::{IndexPlan, code::fetch::SS409};

use super::{attribution::owners_of, batch::Ticket, judge::Verdict};
use crate::{ledger::HoldCause, metrics::Metrics, revision::Behind};

/// How often an older document is fetched again before it is held. With the pauses between, 7.5 seconds: a replica that lags has
/// caught up by then, a cache may not have. Its entries hold up the commit of their lane as long.
pub(super) const TRIES: u32 = 4;

/// The pause after the first answer that is too old; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The pause after so many answers in a row that were too old, and one more.
pub(super) fn pause_after(behind: u32) -> Duration {
    FIRST_PAUSE * 2_u32.pow(behind.min(TRIES))
}

/// Compares what was found with what its entries want it to show. An older document is not written before the last try, as the
/// index may hold a newer one: replicas don't lag alike.
pub(super) fn weigh(plan: &IndexPlan, ticket: &Ticket, verdict: Verdict, metrics: &Metrics) -> Verdict {
    let Verdict::Found { body, missing, hold: None } = verdict else { return verdict };
    if ticket.wants.is_empty() {
        return Verdict::Found { body, missing, hold: None };
    }
    let Some(behind) = ticket.wants.first_unmet(plan, &body) else {
        metrics.version_check("fresh");
        return Verdict::Found { body, missing, hold: None };
    };
    if ticket.behind < TRIES {
        metrics.version_check("behind");
        return Verdict::Behind;
    }
    metrics.version_check("given_up");
    Verdict::Found { body, missing, hold: Some(cause(plan, &behind)) }
}

fn cause(plan: &IndexPlan, behind: &Behind) -> HoldCause {
    HoldCause {
        subgraph: owners_of(plan, &behind.path),
        code: SS409.id.to_owned(),
        path: Some(behind.path.clone()),
        message: behind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use plan::{DocumentId, DocumentVersion, index_plan::ShownVersion};
    use tokio::time::Instant;

    use super::*;
    use crate::{
        log::{Cause, Entry, Lane, Logged},
        rebuild::{
            coalescer::{Coalescer, REFETCH_INTERVAL},
            verify::Interest,
        },
        revision::{Revision, Want, Wants},
        testing,
    };

    fn id(n: u8) -> DocumentId {
        DocumentId::new(format!("m{n}")).unwrap()
    }

    fn wants(revision: i64) -> Wants {
        let revision = Revision::Number(revision, 0);
        Wants::from_iter([Want { source: "movies".into(), key: None, revision }])
    }

    fn logged(position: i64, lane: Lane, wants: Wants) -> Logged {
        let (cause, event_at) = (Cause::Event, None);
        let entry = Entry { id: id(1), lane, cause, event_at, deleted: false, wants };
        Logged { partition: 0, position, entry }
    }

    fn wanting(position: i64, revision: i64) -> Logged {
        logged(position, Lane::Live, wants(revision))
    }

    #[test]
    fn a_document_that_is_behind_waits_longer_each_time_and_wants_the_latest() {
        let (mut coalescer, mut now) = (Coalescer::default(), Instant::now());
        coalescer.arrive(wanting(1, 7), now);
        coalescer.arrive(wanting(2, 5), now);
        for behind in 0..TRIES {
            assert_eq!(coalescer.take(25, 25, now).unwrap().ids, [id(1)]);
            assert_eq!(coalescer.wanted(&id(1)), (wanting(0, 7).entry.wants, behind));
            coalescer.postpone(&id(1), now);
            let pause = pause_after(behind);
            assert_eq!(coalescer.next_wake(), Some(now + pause));
            coalescer.wake(now + pause - Duration::from_millis(1));
            assert_eq!(coalescer.take(25, 25, now), None);
            now += pause;
            coalescer.wake(now);
        }
        coalescer.take(25, 25, now).unwrap();
        assert_eq!(coalescer.wanted(&id(1)).1, TRIES);
        assert_eq!(coalescer.finish(&id(1), now).len(), 2, "nothing is completed before");
        coalescer.arrive(wanting(3, 8), now);
        coalescer.wake(now + REFETCH_INTERVAL);
        coalescer.take(25, 25, now + REFETCH_INTERVAL).unwrap();
        assert_eq!(coalescer.wanted(&id(1)), (wanting(0, 8).entry.wants, 0), "an answer forgives");
    }

    #[test]
    fn something_live_ends_the_pause_and_a_replay_is_not_postponed() {
        let (mut coalescer, now) = (Coalescer::default(), Instant::now());
        coalescer.arrive(wanting(1, 7), now);
        for _ in 0..3 {
            coalescer.take(25, 25, now);
            coalescer.postpone(&id(1), now);
            coalescer.wake(now + Duration::from_mins(1));
        }
        coalescer.take(25, 25, now).unwrap();
        coalescer.postpone(&id(1), now);
        coalescer.arrive(logged(2, Lane::Backfill, Wants::default()), now);
        assert!(coalescer.next_wake() > Some(now + REFETCH_INTERVAL), "a backfill has time");
        coalescer.arrive(logged(3, Lane::Live, Wants::default()), now);
        assert_eq!(coalescer.next_wake(), Some(now + REFETCH_INTERVAL));
        coalescer.wake(now + REFETCH_INTERVAL);
        assert_eq!(coalescer.take(25, 25, now).unwrap().ids, [id(1)]);
        assert_eq!(coalescer.take(25, 25, now), None, "it stands in one place");
        assert_eq!(coalescer.finish(&id(1), now).len(), 3);
        coalescer.wake(now + Duration::from_mins(2));

        let mut replayed = wanting(4, 7);
        replayed.entry.cause = Cause::Replay;
        coalescer.arrive(replayed, now);
        coalescer.take(25, 25, now).unwrap();
        assert_eq!(coalescer.wanted(&id(1)).1, TRIES);
    }

    #[test]
    fn an_older_document_is_written_after_the_last_try_alone() {
        let mut plan = testing::movies();
        plan.sources[0].shown = vec![ShownVersion { path: "title".to_owned(), key: None }];
        let found = |title: u8| Verdict::Found {
            body: format!(r#"{{"movieId":"m1","title":{title}}}"#),
            missing: Vec::new(),
            hold: None,
        };
        let metrics = Metrics::default();
        let weighed = |wants, behind, verdict| {
            let version = DocumentVersion::from_stored(1);
            let (interest, content) = (Interest::None, None);
            let (id, lane) = (id(1), Lane::Live);
            let (deleted, is_doubted) = (false, false);
            let ticket =
                Ticket { id, fetch: 1, version, deleted, lane, wants, behind, interest, is_doubted, content };
            weigh(&plan, &ticket, verdict, &metrics)
        };
        assert_eq!(weighed(wants(7), 0, found(7)), found(7));
        assert_eq!(weighed(Wants::default(), 0, found(6)), found(6));
        assert_eq!(weighed(wants(7), TRIES - 1, found(6)), Verdict::Behind);
        assert_eq!(weighed(wants(7), 0, Verdict::Gone), Verdict::Gone, "a delete that came after it");
        let Verdict::Found { body, hold: Some(cause), .. } = weighed(wants(7), TRIES, found(6)) else {
            panic!("it is neither written nor held")
        };
        assert_eq!(body, r#"{"movieId":"m1","title":6}"#);
        assert_eq!(
            (cause.code.as_str(), cause.subgraph.as_deref(), cause.path.as_deref()),
            ("SS409", Some("movies"), Some("title"))
        );
        assert_eq!(cause.message, "an event of movies tells of 7, and the graph still answers title: 6");
    }
}
