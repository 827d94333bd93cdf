//! What happened to documents, bounded and whoever notes it; and how far audits are.

use super::{LONG, Ledgers, World, id, version};
use crate::{
    audit::{AuditKind, AuditRow, Report, Walk},
    history::{Because, DOCUMENTS, FetchResult, RING, Step, What},
    ledger::Ledger,
    log::{Cause, Lane},
    now_ms,
};

pub(super) async fn run(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    steps_of_all_processes_are_told_in_their_order(&ledgers).await;
    the_newest_steps_are_kept(&ledgers).await;
    every_id_has_a_history(&ledgers).await;
    an_audit_goes_forward_only(&ledgers).await;
    what_nothing_happened_to_for_longest_is_forgotten(&ledgers).await;
}

fn step(at: i64) -> Step {
    Step { at, what: What::Asked { by: Cause::Audit, lane: Lane::Backfill } }
}

async fn times(ledger: &dyn Ledger, document: &str) -> Vec<i64> {
    ledger.history(&id(document)).await.unwrap().iter().map(|step| step.at).collect()
}

async fn steps_of_all_processes_are_told_in_their_order(ledgers: &Ledgers) {
    let (route, rebuild) = (ledgers.open(), ledgers.open());
    assert_eq!(route.history(&id("m1")).await.unwrap(), []);
    let event = What::Event {
        source: "movies".to_owned(),
        place: "partition 0, offset 7".to_owned(),
        lane: Lane::Live,
        event_at: Some(-1),
        deleted: true,
    };
    let event = Step { at: 10, what: event };
    let because = Because {
        code: "DOWN".to_owned(),
        subgraph: Some("talent".to_owned()),
        path: Some("actors.name".to_owned()),
        message: "\"\u{fffd}\"\n".to_owned(),
    };
    let fetch = What::Fetch {
        version: version((1 << 60) + 1),
        took_ms: 3,
        result: FetchResult::Held,
        because: Some(because),
    };
    let fetch = Step { at: 20, what: fetch };
    rebuild.note_history("host/2", vec![(id("m1"), vec![fetch.clone()])]).await.unwrap();
    route
        .note_history("host/1", vec![(id("m1"), vec![event.clone()]), (id("m2"), vec![step(5)])])
        .await
        .unwrap();
    assert_eq!(ledgers.open().history(&id("m1")).await.unwrap(), [event, fetch]);
    route.note_history("host/1", Vec::new()).await.unwrap();
    route.note_history("host/1", vec![(id("m1"), vec![step(30)])]).await.unwrap();
    assert_eq!(times(&*rebuild, "m1").await, [10, 20, 30]);
    assert_eq!(times(&*rebuild, "m2").await, [5]);
}

async fn the_newest_steps_are_kept(ledgers: &Ledgers) {
    let ledger = ledgers.open();
    for round in 0..3_i64 {
        let steps = (0..10).map(|at| step(round * 10 + at)).collect();
        ledger.note_history("p", vec![(id("hot"), steps)]).await.unwrap();
    }
    let kept = times(&*ledger, "hot").await;
    assert_eq!((kept.len(), kept.first(), kept.last()), (RING, Some(&14), Some(&29)));
}

async fn every_id_has_a_history(ledgers: &Ledgers) {
    let ledger = ledgers.open();
    let odd = [" ", "#", "..", "/a/b?c=d&e", "\"\\\n", "p:m1", "ü", &"x".repeat(508), &"é".repeat(256)];
    let noted = odd.iter().zip(1..).map(|(document, at)| (id(*document), vec![step(at)])).collect();
    ledger.note_history("process: 1", noted).await.unwrap();
    for (document, at) in odd.iter().zip(1..) {
        assert_eq!(times(&*ledgers.open(), document).await, [at], "{document:?}");
    }
}

async fn what_nothing_happened_to_for_longest_is_forgotten(ledgers: &Ledgers) {
    const MORE: i64 = 100;
    let (ledger, many) = (ledgers.open(), i64::try_from(DOCUMENTS).unwrap() + MORE);
    let begin = now_ms() - many;
    let noted = (0..many).map(|number| (id(format!("d{number}")), vec![step(begin + number)])).collect();
    ledger.note_history("p", noted).await.unwrap();
    for old in ["hot".to_owned(), "d0".to_owned(), format!("d{}", MORE - 2)] {
        assert_eq!(times(&*ledger, &old).await, [0_i64; 0], "{old}");
    }
    for new in [MORE + 1, many - 1] {
        assert_eq!(times(&*ledger, &format!("d{new}")).await, [begin + new]);
    }
}

async fn an_audit_goes_forward_only(ledgers: &Ledgers) {
    let (one, other) = (ledgers.open(), ledgers.open());
    assert_eq!(one.audits().await.unwrap(), []);
    let row = |kind, started_at, looked| AuditRow {
        walk: Walk::Index(Some(id("m\"7"))),
        report: Report { looked, ..Report::default() },
        ..AuditRow::new(kind, started_at)
    };
    let full = AuditKind::ScheduledFull;
    one.save_audit(&row(full, 100, 500)).await.unwrap();
    other.save_audit(&row(full, 100, 400)).await.unwrap();
    other.save_audit(&row(full, 99, 900)).await.unwrap();
    assert_eq!(other.audits().await.unwrap(), [row(full, 100, 500)]);
    let ended = AuditRow { ended_at: Some(200), walk: Walk::Over, ..row(full, 100, 600) };
    other.save_audit(&ended).await.unwrap();
    one.save_audit(&row(full, 100, 700)).await.unwrap();
    let sample = row(AuditKind::AskedSample, 1, 1);
    one.save_audit(&sample).await.unwrap();
    let mut audits = ledgers.open().audits().await.unwrap();
    audits.sort_by_key(|row| row.kind);
    assert_eq!(audits, [ended, sample]);
    one.save_audit(&row(full, 300, 0)).await.unwrap();
    assert!(other.audits().await.unwrap().contains(&row(full, 300, 0)), "the next one");
}
