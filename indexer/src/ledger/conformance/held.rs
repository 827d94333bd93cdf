//! Held documents: written and cleared by newer fetches alone, due after growing pauses, and at once when their subgraph heals.

use std::collections::BTreeSet;

use plan::DocumentId;

use super::{LONG, NONE, World, failed, id, version};
use crate::{
    ledger::{Held, Hold, Ledger},
    now_ms,
    revision::{Revision, Want, Wants},
};

pub(super) async fn run(world: &dyn World) {
    a_hold_counts_its_attempts(world).await;
    only_what_is_newer_changes_a_hold(world).await;
    another_process_clears_what_one_held(world).await;
    every_id_can_be_held(world).await;
    what_is_due_is_told_as_often_as_asked(world).await;
    a_hold_keeps_what_is_wanted(world).await;
    a_subgraph_that_heals_makes_its_documents_due(world).await;
    many_are_held_and_heal(world).await;
    what_is_forgotten_is_not_tried_again(world).await;
    only_the_hold_that_was_seen_is_marked(world).await;
    what_sick_subgraphs_made_fail_is_left_out(world).await;
}

async fn held(ledger: &dyn Ledger) -> Vec<Held> {
    ledger.held(None, 10_000).await.unwrap()
}

async fn due(ledger: &dyn Ledger) -> Vec<DocumentId> {
    let mut due: Vec<DocumentId> =
        ledger.due(10_000, &[]).await.unwrap().into_iter().map(|held| held.id).collect();
    due.sort_unstable();
    due
}

async fn a_hold_counts_its_attempts(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    let (ledger, m1) = (ledgers.open(), id("m1"));
    assert_eq!((held(&*ledger).await, ledger.held_count().await.unwrap()), (Vec::new(), 0));
    ledger.hold(Vec::new()).await.unwrap();
    let before = now_ms();
    ledger.hold(vec![failed(&m1, 10, Some("talent"))]).await.unwrap();
    let first = held(&*ledger).await.remove(0);
    assert_eq!((&first.id, first.version, first.attempts), (&m1, version(10), 1));
    assert_eq!((first.subgraph.as_deref(), first.code.as_str()), (Some("talent"), "SS405"));
    let cause = failed(&m1, 10, Some("talent")).cause;
    assert_eq!((&first.path, &first.message), (&cause.path, &cause.message));
    assert!(first.first_at >= before && first.first_at <= now_ms() && first.last_at == first.first_at);
    let pauses = [1, 2, 4, 4].map(|times| times * i64::try_from(LONG.initial_ms).unwrap());
    assert_eq!(first.next_at - first.last_at, pauses[0]);
    for (attempt, pause) in (2..).zip(&pauses[1..]) {
        // Each time another process: attempts are remembered, not counted.
        let at = i64::from(attempt) * 10;
        ledgers.open().hold(vec![failed(&m1, at, None)]).await.unwrap();
        let again = held(&*ledger).await.remove(0);
        assert_eq!((again.attempts, again.version, again.subgraph), (attempt, version(at), None));
        assert_eq!((again.first_at, again.next_at - again.last_at), (first.first_at, *pause));
    }
    assert_eq!(ledger.held_count().await.unwrap(), 1);
    ledger.release(vec![(m1.clone(), version(1_000))]).await.unwrap();
    ledger.hold(vec![failed(&m1, 2_000, None)]).await.unwrap();
    assert_eq!(held(&*ledger).await[0].attempts, 1, "what was whole in between fails anew");
}

async fn only_what_is_newer_changes_a_hold(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    let (owner, zombie, m1) = (ledgers.open(), ledgers.open(), id("m1"));
    let release = async |ledger: &dyn Ledger, at: i64| {
        ledger.release(vec![(id("never-held"), version(9)), (m1.clone(), version(at))]).await.unwrap();
    };
    release(&*zombie, 50).await;
    // Neighbours that a double can't tell apart.
    let high = 1 << 60;
    owner.hold(vec![failed(&m1, high + 1, Some("talent"))]).await.unwrap();
    let before = held(&*owner).await;
    for at in [1, high, high + 1] {
        zombie.hold(vec![failed(&m1, at, Some("zombie"))]).await.unwrap();
        release(&*zombie, at).await;
        release(&*ledgers.open(), at).await;
        assert_eq!(held(&*owner).await, before, "a fetch at {at} is not newer");
    }
    zombie.mark_replayed(vec![(m1.clone(), version(high + 1))]).await.unwrap();
    assert_eq!(held(&*owner).await[0].version, version(high + 1), "a note keeps the version");
    // The fetch that failed last is the one that is told of, in whatever order they come.
    owner.hold(vec![failed(&m1, high + 3, None), failed(&id("m2"), 5, None)]).await.unwrap();
    owner.hold(vec![failed(&m1, high + 2, None), failed(&id("m2"), 6, None)]).await.unwrap();
    let versions: Vec<i64> = held(&*owner).await.iter().map(|held| held.version.get()).collect();
    assert_eq!(versions, [high + 3, 6]);
    release(&*owner, high + 4).await;
    let left = held(&*zombie).await;
    assert_eq!(left.iter().map(|held| held.id.as_str()).collect::<Vec<_>>(), ["m2"]);
}

async fn another_process_clears_what_one_held(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    let one = ledgers.open();
    // Whoever has just seen that nothing is held must not believe it after its own hold.
    for round in 0..5 {
        one.release(vec![(id("m9"), version(1))]).await.unwrap();
        one.hold(vec![failed(&id("m1"), 10 * round + 1, None)]).await.unwrap();
        one.release(vec![(id("m1"), version(10 * round + 2))]).await.unwrap();
        assert_eq!(held(&*one).await, Vec::new(), "round {round}");
    }
    one.hold(vec![failed(&id("m2"), 1, None)]).await.unwrap();
    ledgers.open().release(vec![(id("m2"), version(2))]).await.unwrap();
    assert_eq!(held(&*one).await, Vec::new());
    // And whoever saw that before it took the index over must not believe it any more.
    let successor = ledgers.open();
    successor.release(vec![(id("m3"), version(1))]).await.unwrap();
    one.hold(vec![failed(&id("m3"), 2, None)]).await.unwrap();
    successor.take_epoch(plan::Epoch::ZERO).await.unwrap();
    successor.release(vec![(id("m3"), version(3))]).await.unwrap();
    assert_eq!(held(&*one).await, Vec::new());
}

async fn every_id_can_be_held(world: &dyn World) {
    let ledgers = world.provisioned(NONE).await;
    let ledger = ledgers.open();
    let (long, longer) = ("x".repeat(508), "é".repeat(256));
    let odd =
        [" ", "#", "%2F", ".", "..", "/a/b?c=d&e", "\"\\\n", "epoch", "held:m1", "m1", "ü", &long, &longer];
    let mut ids: Vec<DocumentId> = odd.into_iter().map(id).collect();
    ids.sort_unstable();
    ledger.hold(ids.iter().map(|id| failed(id, 1, None)).collect()).await.unwrap();
    let listed: Vec<DocumentId> = held(&*ledger).await.into_iter().map(|held| held.id).collect();
    assert_eq!(listed, ids, "in the order of their bytes");
    let mut paged = Vec::new();
    while let [.., last] = ledger.held(paged.last(), 4).await.unwrap().as_slice() {
        let page = ledger.held(paged.last(), 4).await.unwrap();
        assert!(page.len() <= 4 && page.last() == Some(last));
        paged.extend(page.into_iter().map(|held| held.id));
    }
    assert_eq!(paged, ids);
    assert_eq!(due(&*ledger).await, ids);
    ledger.mark_replayed(ids.iter().map(|id| (id.clone(), version(1))).collect()).await.unwrap();
    ledger.release(ids.iter().map(|id| (id.clone(), version(2))).collect()).await.unwrap();
    assert_eq!(held(&*ledger).await, Vec::new());
}

async fn what_is_due_is_told_as_often_as_asked(world: &dyn World) {
    let ledgers = world.provisioned(NONE).await;
    let (ledger, other) = (ledgers.open(), ledgers.open());
    let [m1, m2, m3] = ["m1", "m2", "m3"].map(id);
    ledger.hold([&m1, &m2, &m3].map(|id| failed(id, 1, Some("talent"))).to_vec()).await.unwrap();
    assert_eq!(due(&*other).await, [m1.clone(), m2.clone(), m3.clone()]);
    assert_eq!(other.due(2, &[]).await.unwrap().len(), 2);
    assert_eq!(other.due(0, &[]).await.unwrap().len(), 0);
    assert_eq!(due(&*ledger).await.len(), 3, "asking changes nothing");
}

async fn a_hold_keeps_what_is_wanted(world: &dyn World) {
    let ledgers = world.provisioned(NONE).await;
    let (ledger, m1) = (ledgers.open(), id("m1"));
    let wants = |wanted: &[(&str, i64)]| {
        let want = |(key, revision): &(&str, i64)| {
            let revision = Revision::Number(*revision, 0);
            Want { source: "talent".to_owned(), key: Some(id(*key)), revision }
        };
        wanted.iter().map(want).collect::<Wants>()
    };
    let wanting = |at, wants| Hold { wants, ..failed(&m1, at, None) };
    ledger.hold(vec![wanting(1, wants(&[("t1", 5)]))]).await.unwrap();
    ledger.hold(vec![wanting(2, wants(&[("t1", 4), ("t2", 7)]))]).await.unwrap();
    ledger.hold(vec![failed(&m1, 3, None)]).await.unwrap();
    let all = wants(&[("t1", 5), ("t2", 7)]);
    assert_eq!(ledgers.open().due(10, &[]).await.unwrap()[0].wants, all);
    assert_eq!(held(&*ledgers.open()).await[0].wants, all);
    ledger.release(vec![(m1.clone(), version(4))]).await.unwrap();
    ledger.hold(vec![failed(&m1, 5, None)]).await.unwrap();
    assert_eq!(ledgers.open().due(10, &[]).await.unwrap()[0].wants, Wants::default());
}

async fn a_subgraph_that_heals_makes_its_documents_due(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    let (ledger, other) = (ledgers.open(), ledgers.open());
    let [healed, same, marked, elsewhere, unknown, nobody] = ["m1", "m2", "m3", "m4", "m5", "m6"].map(id);
    ledger
        .hold(vec![
            failed(&healed, 1, Some("talent")),
            failed(&same, 1, Some("talent")),
            failed(&marked, 1, Some("talent")),
            failed(&elsewhere, 1, Some("movies")),
            failed(&unknown, 1, None),
            failed(&nobody, 1, None),
        ])
        .await
        .unwrap();
    assert_eq!(due(&*other).await, []);
    // What is on its way already needs no second wish.
    other.mark_replayed(vec![(marked.clone(), version(1)), (id("never-held"), version(1))]).await.unwrap();
    ledger.release(vec![(nobody, version(2))]).await.unwrap();
    assert_eq!(due(&*other).await, [], "who can't be attributed tells nothing about others");
    ledger.release(vec![(healed, version(1))]).await.unwrap();
    assert_eq!(due(&*other).await, [], "the fetch that failed heals nothing");
    let healed = held(&*ledger).await.remove(0).id;
    other.release(vec![(healed, version(2))]).await.unwrap();
    assert_eq!(due(&*ledger).await, std::slice::from_ref(&same));
    ledger.mark_replayed(vec![(same.clone(), version(1))]).await.unwrap();
    assert_eq!(due(&*other).await, []);
    let rows = held(&*ledger).await;
    let waits = i64::try_from(LONG.max_ms).unwrap();
    let row = rows.iter().find(|row| row.id == same).unwrap();
    assert!(row.next_at > now_ms() + waits / 2, "marked: after the longest pause, if nothing is heard of it");
    assert_eq!(row.attempts, 1);
    // Fetched again, failed again: it is no longer on its way.
    ledger.hold(vec![failed(&same, 3, Some("movies"))]).await.unwrap();
    ledger.release(vec![(elsewhere, version(2))]).await.unwrap();
    assert_eq!(due(&*other).await, [same]);
}

async fn many_are_held_and_heal(world: &dyn World) {
    const MANY: usize = 1_500;
    let ledgers = world.provisioned(LONG).await;
    let ledger = ledgers.open();
    let ids: Vec<DocumentId> = (0..MANY).map(|number| id(format!("m{number:05}"))).collect();
    ledger.hold(ids.iter().map(|id| failed(id, 1, Some("talent"))).collect()).await.unwrap();
    assert_eq!(ledger.held_count().await.unwrap(), MANY as u64);
    assert!(held(&*ledger).await.iter().map(|held| &held.id).eq(&ids));
    ledger.release(vec![(ids[0].clone(), version(2))]).await.unwrap();
    let mut left: BTreeSet<DocumentId> = ids[1..].iter().cloned().collect();
    assert!(due(&*ledger).await.len() >= 1_000);
    for _ in 0..MANY {
        let replayed: Vec<DocumentId> =
            ledger.due(200, &[]).await.unwrap().into_iter().map(|held| held.id).collect();
        if replayed.is_empty() {
            break;
        }
        ledger.mark_replayed(replayed.iter().map(|id| (id.clone(), version(1))).collect()).await.unwrap();
        left.retain(|id| !replayed.contains(id));
        ledger.release(replayed.into_iter().map(|id| (id, version(2))).collect()).await.unwrap();
    }
    assert_eq!((left.len(), ledger.held_count().await.unwrap()), (0, 0), "all heal by each other");
}

async fn what_is_forgotten_is_not_tried_again(world: &dyn World) {
    let ledgers = world.provisioned(NONE).await;
    let (ledger, m1, m2) = (ledgers.open(), id("m1"), id("m2"));
    ledger.hold(vec![failed(&m1, 10, Some("talent")), failed(&m2, 20, Some("talent"))]).await.unwrap();
    ledgers.open().forget(vec![(m1.clone(), version(9)), (id("m3"), version(9))]).await.unwrap();
    assert_eq!(held(&*ledger).await.len(), 2, "a newer fetch has spoken");
    ledgers.open().forget(vec![(m1.clone(), version(10))]).await.unwrap();
    ledgers.open().forget(vec![(m1.clone(), version(10))]).await.unwrap();
    assert_eq!((ledger.held_count().await.unwrap(), due(&*ledger).await), (1, vec![m2]));
    ledger.hold(vec![failed(&m1, 11, None)]).await.unwrap();
    assert_eq!(held(&*ledger).await[0].attempts, 1, "the next failure holds it anew");
}

/// A fetch that fails between the append of a replay and its mark is on nobody's way any more.
async fn only_the_hold_that_was_seen_is_marked(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    let (ledger, [m1, m2]) = (ledgers.open(), ["m1", "m2"].map(id));
    ledger.hold(vec![failed(&m1, 1, Some("talent")), failed(&m2, 1, Some("talent"))]).await.unwrap();
    ledger.hold(vec![failed(&m1, 2, Some("talent"))]).await.unwrap();
    let before = held(&*ledger).await;
    ledgers.open().mark_replayed(vec![(m1.clone(), version(1))]).await.unwrap();
    assert_eq!(held(&*ledger).await, before, "it is tried again after its own pause");
    ledger.release(vec![(m2, version(2))]).await.unwrap();
    assert_eq!(due(&*ledger).await, [m1], "and at once when its subgraph answers");
}

async fn what_sick_subgraphs_made_fail_is_left_out(world: &dyn World) {
    let ledgers = world.provisioned(NONE).await;
    let (ledger, [m1, m2, m3, m4]) = (ledgers.open(), ["m1", "m2", "m3", "m4"].map(id));
    let several = "one of movies, talent";
    let holds = [(&m1, Some("talent")), (&m2, Some("movies")), (&m3, None), (&m4, Some(several))];
    ledger.hold(holds.map(|(id, subgraph)| failed(id, 1, subgraph)).to_vec()).await.unwrap();
    let without = async |subgraphs: &[&str]| {
        let subgraphs: Vec<String> = subgraphs.iter().map(|&name| name.to_owned()).collect();
        let rows = ledger.due(10, &subgraphs).await.unwrap();
        rows.into_iter().map(|held| held.id).collect::<BTreeSet<_>>()
    };
    assert_eq!(without(&["talent"]).await, [m2.clone(), m3.clone(), m4.clone()].into());
    assert_eq!(without(&["talent", several, "nobody"]).await, [m2.clone(), m3.clone()].into());
    let among = ledger.held_among(&[m4.clone(), id("m5"), m1.clone()]).await.unwrap();
    assert_eq!(among.into_iter().map(|held| held.id).collect::<BTreeSet<_>>(), [m1, m4].into());
    assert_eq!(ledger.held_among(&[]).await.unwrap(), []);
}
