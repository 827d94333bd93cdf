//! The limit alone, over a gateway that is a sentence long.

use super::*;

const BEST: Duration = Duration::from_millis(100);

/// Rounds of answers, as many at once as the limit lets, each of which takes as long as `takes` says of their number.
fn rounds(limit: &mut Limit, now: &mut Instant, rounds: usize, answer_takes: impl Fn(usize) -> Duration) {
    for _ in 0..rounds {
        let (started, places) = (*now + Duration::from_millis(1), limit.places());
        let took = answer_takes(places);
        *now = started + took;
        for _ in 0..places {
            limit.note_taken(limit.places());
            limit.answered(started, 1, took, *now);
        }
    }
}

/// A gateway that works on so many at a time, while the others wait.
#[expect(clippy::cast_precision_loss, reason = "few requests")]
fn knee(at: usize) -> impl Fn(usize) -> Duration {
    move |taken| BEST.mul_f64((taken as f64 / at as f64).max(1.0))
}

#[test]
fn a_fast_gateway_is_asked_for_all_it_may_be_asked_within_a_few_answers() {
    let mut now = Instant::now();
    for (ceiling, within) in [(1, 0), (3, 0), (16, 4), (100, 9)] {
        let mut limit = Limit::new(ceiling, now);
        rounds(&mut limit, &mut now, within, |_| Duration::from_millis(5));
        assert_eq!(limit.places(), ceiling);
    }
}

#[test]
fn times_alone_tell_the_knee() {
    let mut now = Instant::now();
    let mut limit = Limit::new(64, now);
    rounds(&mut limit, &mut now, 60, knee(8));
    assert!((8..=16).contains(&limit.places()), "{limit:?}");
    rounds(&mut limit, &mut now, 60, knee(2));
    assert!((2..=4).contains(&limit.places()), "{limit:?}");
    rounds(&mut limit, &mut now, 120, knee(32));
    assert!((32..=64).contains(&limit.places()), "{limit:?}");
    // A queue of our own never becomes what counts as quiet, however long it stands.
    rounds(&mut limit, &mut now, 4_000, knee(4));
    assert!((4..=9).contains(&limit.places()), "{limit:?}");
}

#[test]
fn a_graph_that_gets_slower_by_itself_is_believed_after_a_while() {
    let mut now = Instant::now();
    let mut limit = Limit::new(16, now);
    rounds(&mut limit, &mut now, 20, knee(100));
    assert_eq!(limit.places(), 16);
    let mut least = 16;
    for _ in 0..200 {
        rounds(&mut limit, &mut now, 1, |_| BEST * 6);
        least = least.min(limit.places());
    }
    assert!(least <= 8, "first it is taken for our fault: {least}");
    assert!(limit.places() > 12, "{limit:?}");
}

#[test]
fn small_batches_are_no_congestion() {
    let mut now = Instant::now();
    let mut limit = Limit::new(8, now);
    for n in 0..1_000 {
        let documents = if n % 3 == 0 { 1 } else { 25 };
        let started = now + Duration::from_millis(1);
        now = started + Duration::from_millis(95 + documents as u64);
        limit.note_taken(limit.places());
        limit.answered(started, documents, now - started, now);
    }
    assert_eq!(limit.places(), 8, "{limit:?}");
}

#[test]
fn what_nobody_needs_does_not_grow() {
    let mut now = Instant::now();
    let mut limit = Limit::new(50, now);
    for _ in 0..1_000 {
        let started = now;
        now += BEST;
        limit.note_taken(2);
        limit.answered(started, 1, BEST, now);
    }
    assert_eq!(limit.places(), 4);
}

#[test]
fn refusals_shrink_it_once_a_round_and_never_below_one() {
    let start = Instant::now();
    let mut limit = Limit::new(16, start);
    let mut now = start;
    rounds(&mut limit, &mut now, 10, |_| BEST);
    limit.note_taken(16);
    let started = now + Duration::from_millis(1);
    now += Duration::from_millis(5);
    for _ in 0..16 {
        assert!(!limit.refused(started, None, now));
    }
    assert_eq!(limit.places(), 14, "of one round only the first counts");
    let mut alone = 0;
    for _ in 0..10 {
        now += Duration::from_millis(5);
        limit.note_taken(limit.places());
        alone += u32::from(limit.refused(now - Duration::from_millis(1), None, now));
    }
    assert_eq!(limit.places(), 1);
    assert!(alone > 0, "then only waiting helps");
}
