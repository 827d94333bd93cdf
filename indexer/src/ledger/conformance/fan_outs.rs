//! Wide fan-outs: one run of a source at a time, which only goes forward, and nothing that is asked for is lost.

use std::collections::BTreeSet;

use futures::future::join_all;
use plan::DocumentId;
use serde_json::json;

use super::{LONG, Ledgers, World, id};
use crate::{
    ledger::{
        FanOutRun, FanOutStep, FanOuts, Fanning, FoundIn, Ledger, WideKey, WideKeys, fan_outs::MAX_WAITING,
    },
    revision::Revision,
};

/// Processes that race.
const PROCESSES: usize = 4;

pub(super) async fn run(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    a_run_goes_forward_and_what_comes_meanwhile_is_the_next(&ledgers).await;
    who_was_overtaken_changes_nothing(&ledgers).await;
    keys_that_are_asked_for_at_once_are_all_kept(&ledgers).await;
    no_more_wait_than_there_is_room_for(&ledgers).await;
}

fn of(source: &str) -> Fanning {
    Fanning { source: source.to_owned(), found_in: FoundIn::Index }
}

fn keys(asked: impl IntoIterator<Item = (DocumentId, WideKey)>, event_at: i64) -> WideKeys {
    WideKeys { keys: asked.into_iter().collect(), event_at: Some(event_at) }
}

fn from(root: &str, revision: i64) -> WideKey {
    WideKey { from: Some(root.to_owned()), revision: Revision::read(&json!(revision)) }
}

fn plainly(key: impl Into<String>) -> (DocumentId, WideKey) {
    (id(key), WideKey::default())
}

async fn ask(ledger: &dyn Ledger, source: &str, wanted: WideKeys) -> Option<FanOuts> {
    ledger.step_fan_outs(&of(source), FanOutStep::Ask(wanted)).await.unwrap()
}

async fn begin(ledger: &dyn Ledger, source: &str) -> Option<FanOutRun> {
    ledger.step_fan_outs(&of(source), FanOutStep::Begin).await.unwrap().and_then(|now| now.running)
}

async fn save(ledger: &dyn Ledger, source: &str, run: &FanOutRun) -> bool {
    ledger.step_fan_outs(&of(source), FanOutStep::Save(run.clone())).await.unwrap().is_some()
}

async fn end(ledger: &dyn Ledger, source: &str, number: u64) -> bool {
    ledger.step_fan_outs(&of(source), FanOutStep::End(number)).await.unwrap().is_some()
}

async fn a_run_goes_forward_and_what_comes_meanwhile_is_the_next(ledgers: &Ledgers) {
    let (one, other) = (ledgers.open(), ledgers.open());
    assert_eq!(one.fan_outs().await.unwrap(), []);
    assert_eq!(begin(&*one, "talent").await, None, "nothing was asked for");
    assert_eq!(other.fan_outs().await.unwrap(), []);
    // Asked for twice before it begins: from where both begin, with the later version.
    let hot = id("\"t\u{fc}1\"\n");
    ask(&*one, "talent", keys([(hot.clone(), from("m500", 7)), (id("t2"), from("m9", 1))], 70))
        .await
        .unwrap();
    ask(&*other, "talent", keys([(hot.clone(), from("m300", 5)), (id("t2"), from("m9", 2))], 50))
        .await
        .unwrap();
    let whole = WideKey { from: None, revision: Revision::read(&json!(7)) };
    let wanted = keys([(hot.clone(), whole), (id("t2"), from("m9", 2))], 70);
    let [open] = &ledgers.open().fan_outs().await.unwrap()[..] else { panic!("one source") };
    assert_eq!((&open.of, &open.running, &open.waiting), (&of("talent"), &None, &wanted));

    let run = begin(&*one, "talent").await.unwrap();
    assert_eq!((run.number, &run.wanted, run.roots), (1, &wanted, 0));
    assert_eq!(begin(&*other, "talent").await.as_ref(), Some(&run), "it goes on");
    let further = FanOutRun { groups: 1, after: Some("m7".to_owned()), roots: 2_000, ..run.clone() };
    assert!(save(&*one, "talent", &further).await);
    assert!(save(&*one, "talent", &further).await, "the answer was lost");
    assert!(!save(&*other, "talent", &run).await, "it is further");
    // Its first pages were read before.
    let again = ask(&*other, "talent", keys([(hot.clone(), from("m500", 8))], 80)).await.unwrap();
    assert_eq!(again.running.as_ref(), Some(&further));
    assert_eq!(again.waiting, keys([(hot.clone(), from("m500", 8))], 80));
    assert!(again.holds(&hot) && again.holds(&id("t2")) && !again.holds(&id("t3")));

    let through = FanOutRun { through: Some([(0, 41), (7, -1)].into()), ..further };
    assert!(save(&*one, "talent", &through).await);
    assert_eq!(ledgers.open().fan_outs().await.unwrap()[0].running, Some(through));
    assert!(end(&*one, "talent", 1).await && !end(&*other, "talent", 1).await);
    let next = begin(&*other, "talent").await.unwrap();
    assert_eq!((next.number, next.wanted, next.roots), (2, again.waiting, 0));
    assert!(end(&*other, "talent", 2).await);
    assert_eq!(one.fan_outs().await.unwrap(), []);
}

async fn who_was_overtaken_changes_nothing(ledgers: &Ledgers) {
    let (zombie, owner) = (ledgers.open(), ledgers.open());
    ask(&*zombie, "people", keys([plainly("p1")], 1)).await.unwrap();
    let old = begin(&*zombie, "people").await.unwrap();
    assert!(end(&*owner, "people", old.number).await);
    ask(&*owner, "people", keys([plainly("p2")], 2)).await.unwrap();
    let new = begin(&*owner, "people").await.unwrap();
    assert!(new.number > old.number, "no number is used twice, even where nothing was left in between");
    assert!(!save(&*zombie, "people", &FanOutRun { roots: 9_000, ..old.clone() }).await);
    assert!(!end(&*zombie, "people", old.number).await);
    assert_eq!(begin(&*zombie, "people").await, Some(new.clone()));
    // The same source's answers of the graph are another matter.
    let graph = Fanning { found_in: FoundIn::Graph, ..of("people") };
    let asked = FanOutStep::Ask(keys([plainly("p3")], 3));
    let asked = owner.step_fan_outs(&graph, asked).await.unwrap().unwrap();
    assert_eq!((asked.running, asked.runs), (None, 0));
    assert_eq!(owner.fan_outs().await.unwrap().len(), 2);
    assert!(end(&*owner, "people", new.number).await);
    owner.step_fan_outs(&graph, FanOutStep::Begin).await.unwrap();
    owner.step_fan_outs(&graph, FanOutStep::End(1)).await.unwrap();
}

async fn keys_that_are_asked_for_at_once_are_all_kept(ledgers: &Ledgers) {
    let racers: Vec<_> = (0..PROCESSES).map(|_| ledgers.open()).collect();
    let race = racers.iter().enumerate().map(async |(number, ledger)| {
        for round in 0..5 {
            ask(&**ledger, "talent", keys([plainly(format!("t{number}.{round}"))], 1)).await.unwrap();
            begin(&**ledger, "talent").await.unwrap();
        }
    });
    join_all(race).await;
    let mut kept = BTreeSet::new();
    let mut numbers = Vec::new();
    while let Some(run) = begin(&*racers[0], "talent").await {
        kept.extend(run.wanted.keys.into_keys());
        numbers.push(run.number);
        assert!(end(&*racers[1], "talent", run.number).await);
    }
    assert_eq!((kept.len(), numbers), (5 * PROCESSES, vec![3, 4]), "{kept:?}");
}

async fn no_more_wait_than_there_is_room_for(ledgers: &Ledgers) {
    let ledger = ledgers.open();
    let many = (0..MAX_WAITING).map(|number| plainly(format!("t{number}")));
    ask(&*ledger, "talent", keys(many, 1)).await.unwrap();
    assert_eq!(ask(&*ledger, "talent", keys([plainly("one more")], 2)).await, None);
    ask(&*ledger, "talent", keys([plainly("t7")], 3)).await.expect("it waits already");
    let run = begin(&*ledger, "talent").await.unwrap();
    assert_eq!((run.wanted.keys.len(), run.wanted.event_at), (MAX_WAITING, Some(3)));
    ask(&*ledger, "talent", keys([plainly("one more")], 4)).await.expect("there is room again");
    assert!(end(&*ledger, "talent", run.number).await);
    let last = begin(&*ledger, "talent").await.unwrap();
    assert!(end(&*ledger, "talent", last.number).await);
}
