//! Index versions: each moves by compare-and-set, one of them is served, and what one lacks is known until it is filled.

use futures::future::join_all;

use super::{LONG, Ledgers, World, id, version};
use crate::ledger::{
    Ledger,
    versions::{KnownVersion, Lack, VersionState},
};

pub(super) async fn run(world: &dyn World) {
    let ledgers = world.provisioned(LONG).await;
    let ledger = ledgers.open();
    assert_eq!(ledger.version_states().await.unwrap(), [(1, VersionState::Served)]);
    let mut plan = ledgers.plan.clone();
    plan.fields.0.retain(|field| field.name != "title");
    (ledgers.make_second)(plan.clone()).await;
    let second = &ledger.versions().await.unwrap()[1];
    assert_eq!((second.number(), second.plan(), &second.state), (2, &plan, &VersionState::Building));
    assert_eq!(ledger.served().await.unwrap().version, 1, "it is beside the served one");
    one_of_many_moves_a_version(&ledgers).await;
    lacks_go_when_something_newer_is_there(&*ledger).await;
    one_is_served_at_any_time(&ledgers).await;
    what_is_removed_is_forgotten(&*ledger).await;
}

async fn state(ledger: &dyn Ledger, number: u32) -> Option<VersionState> {
    let versions: Vec<KnownVersion> = ledger.versions().await.unwrap();
    versions.into_iter().find(|known| known.number() == number).map(|known| known.state)
}

async fn one_of_many_moves_a_version(ledgers: &Ledgers) {
    let filling = |cursor: &str| VersionState::Filling { cursor: Some(id(cursor)), filled: 500 };
    let ledger = ledgers.open();
    assert!(!ledger.change_version(2, &VersionState::Ready, &VersionState::Removing).await.unwrap());
    assert!(!ledger.change_version(9, &VersionState::Building, &VersionState::Ready).await.unwrap());
    assert!(!ledger.promote(1, 2).await.unwrap(), "it isn't whole");
    let cursors = ["m\"1", "m2", "m3"];
    let racers: Vec<_> = cursors.iter().map(|_| ledgers.open()).collect();
    let race = racers.iter().zip(cursors).map(async |(ledger, cursor)| {
        ledger.change_version(2, &VersionState::Building, &filling(cursor)).await.unwrap()
    });
    let won = join_all(race).await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    let winner = cursors[won.iter().position(|won| *won).unwrap()];
    assert_eq!(state(&*ledger, 2).await, Some(filling(winner)));
    assert!(ledger.change_version(2, &filling(winner), &VersionState::Ready).await.unwrap());
}

async fn lacks_go_when_something_newer_is_there(ledger: &dyn Ledger) {
    let lack = |at: i64| Lack { id: id("m1"), version: version(at), reason: format!("refused at {at}") };
    let other = Lack { id: id("m2"), version: version(1), reason: "\u{fffd}".to_owned() };
    ledger.note_lacks(2, vec![lack(5), other.clone()]).await.unwrap();
    ledger.note_lacks(2, vec![lack(4)]).await.unwrap();
    assert_eq!(ledger.lacks(2, 9).await.unwrap(), [lack(5), other.clone()], "the newest write counts");
    assert_eq!(ledger.lacks(2, 1).await.unwrap(), [lack(5)]);
    assert_eq!(ledger.lacks(1, 9).await.unwrap(), []);
    ledger.note_lacks(2, vec![lack(6)]).await.unwrap();
    ledger.fill_lacks(2, vec![lack(5), other]).await.unwrap();
    assert_eq!(ledger.lacks(2, 9).await.unwrap(), [lack(6)], "it failed again meanwhile");
}

async fn one_is_served_at_any_time(ledgers: &Ledgers) {
    let racers: Vec<_> = (0..4).map(|_| ledgers.open()).collect();
    for (from, to) in [(1, 2), (2, 1), (1, 2)] {
        let won = join_all(racers.iter().map(async |ledger| ledger.promote(from, to).await.unwrap())).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{from} to {to}: {won:?}");
        assert_eq!(racers[0].served().await.unwrap().version, to);
        assert_eq!(state(&*racers[1], from).await, Some(VersionState::Kept));
    }
    assert!(!racers[0].promote(2, 2).await.unwrap());
}

async fn what_is_removed_is_forgotten(ledger: &dyn Ledger) {
    ledger.forget_version(1).await.unwrap();
    assert_eq!(state(ledger, 1).await, Some(VersionState::Kept), "nobody let go of it");
    let lack = Lack { id: id("m1"), version: version(7), reason: "refused".to_owned() };
    ledger.note_lacks(1, vec![lack]).await.unwrap();
    assert!(ledger.change_version(1, &VersionState::Kept, &VersionState::Removing).await.unwrap());
    ledger.forget_version(1).await.unwrap();
    assert_eq!(state(ledger, 1).await, None);
    assert_eq!(ledger.lacks(1, 9).await.unwrap(), []);
    assert_eq!(ledger.served().await.unwrap().version, 2);
}
