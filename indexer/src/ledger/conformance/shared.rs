//! What processes agree about: the plan, epochs, the state, figures, backfills.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use plan::Epoch;

use super::{LONG, Ledgers, World, id};
use crate::{
    StateError,
    ledger::{
        Backfill, BackfillIds, BackfillState, Figures, IndexState, LaneWishes, Ledger,
        figures::Freshness,
        pace::{Terms, change_wishes},
    },
    now_ms,
};

/// Processes that race.
const PROCESSES: usize = 4;

pub(super) async fn run(world: &dyn World) {
    // One index for all: what they are about has nothing in common.
    let ledgers = world.provisioned(LONG).await;
    the_provisioned_plan_is_served(&ledgers).await;
    epochs_end(&ledgers).await;
    epochs_grow_whoever_takes_them(&ledgers).await;
    one_of_many_changes_the_state(&ledgers).await;
    figures_are_of_those_who_live(&ledgers).await;
    backfills_are_numbered_and_go_forward(&ledgers).await;
    wishes_move_by_compare_and_set(&ledgers).await;
}

async fn the_provisioned_plan_is_served(ledgers: &Ledgers) {
    let served = ledgers.open().served().await.unwrap();
    assert_eq!((served.version, &served.plan), (1, &ledgers.plan));
}

async fn epochs_end(ledgers: &Ledgers) {
    let last = Epoch::new((1 << 23) - 1).unwrap();
    let error = ledgers.open().take_epoch(last).await.unwrap_err();
    assert!(matches!(error, StateError::EpochsUsedUp(_)), "{error}");
}

async fn epochs_grow_whoever_takes_them(ledgers: &Ledgers) {
    let first = ledgers.open().take_epoch(Epoch::ZERO).await.unwrap();
    assert_eq!(first, Epoch::new(1).unwrap());
    let race = async |ledger: Arc<dyn Ledger>| {
        let mut taken = Vec::new();
        for _ in 0..5 {
            taken.push(ledger.take_epoch(Epoch::ZERO).await.unwrap());
        }
        assert!(taken.is_sorted_by(|one, next| one < next), "{taken:?}");
        taken
    };
    let taken = join_all((0..PROCESSES).map(|_| race(ledgers.open()))).await.concat();
    let distinct: BTreeSet<Epoch> = taken.iter().copied().collect();
    assert_eq!(distinct.len(), 5 * PROCESSES, "{taken:?}");
    let highest = *distinct.last().unwrap();
    assert!(distinct.first().unwrap() > &first);
    // The index knows of epochs that a ledger from a backup doesn't.
    let stored = Epoch::new(highest.get() + 1_000).unwrap();
    let above = ledgers.open().take_epoch(stored).await.unwrap();
    assert_eq!(Some(above), stored.next());
    assert_eq!(Some(ledgers.open().take_epoch(Epoch::ZERO).await.unwrap()), above.next());
}

async fn one_of_many_changes_the_state(ledgers: &Ledgers) {
    let ledger = ledgers.open();
    let failed = |number: usize| IndexState::Failed {
        code: "SS401".to_owned(),
        reason: format!("process {number} says \"no\""),
    };
    assert_eq!(ledger.state().await.unwrap(), IndexState::Running);
    assert!(!ledger.change_state(&IndexState::Paused, &failed(0)).await.unwrap());
    assert_eq!(ledger.state().await.unwrap(), IndexState::Running);
    for round in 0..3 {
        let racers: Vec<_> = (0..PROCESSES).map(|_| ledgers.open()).collect();
        let race = racers.iter().enumerate().map(async |(number, ledger)| {
            ledger.change_state(&IndexState::Running, &failed(number)).await.unwrap()
        });
        let won = join_all(race).await;
        let winners: Vec<usize> = (0..PROCESSES).filter(|number| won[*number]).collect();
        assert_eq!(winners.len(), 1, "round {round}: {won:?}");
        assert_eq!(ledgers.open().state().await.unwrap(), failed(winners[0]));
        assert!(!ledger.change_state(&failed(PROCESSES), &IndexState::Running).await.unwrap());
        assert!(ledger.change_state(&failed(winners[0]), &IndexState::Running).await.unwrap());
    }
    ledger.set_state(IndexState::Paused).await.unwrap();
    assert_eq!(ledgers.open().state().await.unwrap(), IndexState::Paused);
    ledgers.open().set_state(failed(7)).await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), failed(7));
}

async fn figures_are_of_those_who_live(ledgers: &Ledgers) {
    let (one, other) = (ledgers.open(), ledgers.open());
    let figures = |process: &str, at: i64, events: u64| Figures {
        process: process.to_owned(),
        at,
        events,
        lag: [3, u64::from(u32::MAX)],
        freshness: Some(Freshness { p50: 1, p95: 2, p99: 3 }),
        waiting: Some("the gateway".to_owned()),
        ..Figures::default()
    };
    let now = now_ms();
    let (b, a) = (figures("host/2 b", now, 8), figures("host/1 a", now, 7));
    one.publish(&figures("host/1 a", now - 1, 6)).await.unwrap();
    other.publish(&b).await.unwrap();
    one.publish(&a).await.unwrap();
    assert_eq!(ledgers.open().figures().await.unwrap(), [a, b.clone()]);
    one.withdraw("host/1 a").await.unwrap();
    one.withdraw("host/1 a").await.unwrap();
    assert_eq!(other.figures().await.unwrap(), [b]);
    // Killed a minute ago.
    other.publish(&figures("host/2 b", now - 60_000, 9)).await.unwrap();
    assert_eq!(one.figures().await.unwrap(), []);
}

async fn wishes_move_by_compare_and_set(ledgers: &Ledgers) {
    let ledger = ledgers.open();
    let none = LaneWishes::default();
    assert_eq!(ledger.lane_wishes().await.unwrap(), none);
    let terms = [(7, Terms { now: true, rate_per_second: Some(2.5) })].into();
    let paused = LaneWishes { paused: true, stopped: [(0, 7), (3, -1)].into(), terms };
    assert!(ledger.change_lane_wishes(&none, &paused).await.unwrap());
    assert_eq!(ledgers.open().lane_wishes().await.unwrap(), paused);
    assert!(!ledgers.open().change_lane_wishes(&none, &none).await.unwrap(), "somebody was faster");
    let race = (0..4).map(|partition| {
        let ledger = ledgers.open();
        async move { change_wishes(&*ledger, |wishes| wishes.stopped.extend([(partition, 9)])).await.unwrap() }
    });
    join_all(race).await;
    let after = ledger.lane_wishes().await.unwrap();
    assert_eq!(after.stopped, (0..4).map(|partition| (partition, 9)).collect());
    assert!(after.paused);
}

async fn backfills_are_numbered_and_go_forward(ledgers: &Ledgers) {
    let ledger = ledgers.open();
    assert_eq!(ledger.backfills().await.unwrap(), []);
    assert_eq!(ledger.start_backfill(BackfillIds::Enumerated).await.unwrap(), 1);
    let racers: Vec<_> = (0..PROCESSES).map(|_| ledgers.open()).collect();
    let given = |number: usize| BackfillIds::Given(vec![id(format!("m{number}")), id("\"ü\\\n")]);
    let race = racers.iter().enumerate();
    let started = join_all(race.map(|(number, ledger)| ledger.start_backfill(given(number)))).await;
    let mut numbers: Vec<i64> = started.into_iter().map(Result::unwrap).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4, 5]);
    let all = ledgers.open().backfills().await.unwrap();
    assert_eq!(all.iter().map(|backfill| backfill.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(
        all.iter().all(|backfill| backfill.state == BackfillState::Enumerating && backfill.started_at > 0)
    );
    let ids: Vec<&BackfillIds> = all.iter().map(|backfill| &backfill.ids).collect();
    assert!((0..PROCESSES).all(|number| ids.contains(&&given(number))), "{ids:?}");

    let further = Backfill {
        cursor: Some("m500".to_owned()),
        enumerated: 500,
        through: [(0, 501), (7, 12)].into(),
        error: Some("the gateway is slow".to_owned()),
        ..all[1].clone()
    };
    ledger.save_backfill(&further).await.unwrap();
    ledgers.open().save_backfill(&Backfill { enumerated: 400, ..all[1].clone() }).await.unwrap();
    assert_eq!(ledgers.open().backfills().await.unwrap()[1], further);
    let (state, ended_at) = (BackfillState::Done, Some(now_ms()));
    let done = Backfill { state, ended_at, error: None, ..further.clone() };
    ledger.save_backfill(&done).await.unwrap();
    ledger.save_backfill(&Backfill { enumerated: 600, ..further }).await.unwrap();
    assert_eq!(ledger.backfills().await.unwrap()[1], done);
    let rebuilding = Backfill { state: BackfillState::Rebuilding, ..all[2].clone() };
    ledger.save_backfill(&rebuilding).await.unwrap();
    let open = ledgers.open().open_backfills().await.unwrap();
    assert_eq!(open.iter().map(|backfill| backfill.number).collect::<Vec<_>>(), [1, 3, 4, 5]);
    assert_eq!(open[1], rebuilding);
    // Who never started is not made by being saved.
    ledger.save_backfill(&Backfill { number: 99, ..rebuilding }).await.unwrap();
    assert_eq!(ledger.backfills().await.unwrap().len(), 5);
    assert_eq!(ledger.start_backfill(BackfillIds::Enumerated).await.unwrap(), 6);
}
