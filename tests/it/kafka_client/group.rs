//! Members of a group: who owns what and until when, how much waits in memory, and what is told of a gap.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use indexer::{
    StateError,
    kafka::{Bundle, Gap, Member, Message, Share, Topics, Transactions, group::MAX_RECORDS},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{broker, bundle, endpoint, make, progress, record, share_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn equal_partitions_of_both_lanes_have_one_owner() {
    let kafka = broker().await;
    let live = make(kafka, "owners.live", 12, &[]).await;
    let backfill = make(kafka, "owners.backfill", 12, &[]).await;
    let stop = CancellationToken::new();
    let owned: Arc<Mutex<BTreeMap<usize, Arc<Share>>>> = Arc::default();
    let mut members = Vec::new();
    for number in 0..3 {
        let (owned, stop) = (Arc::clone(&owned), stop.clone());
        let topics = vec![Arc::clone(&live), Arc::clone(&backfill)];
        let mut member = Member::join(&endpoint(kafka), "owners", topics).expect("joined");
        members.push(tokio::spawn(async move {
            while let Some(share) = member.next_share(&stop).await.expect("the group goes on") {
                owned.lock().unwrap().insert(number, Arc::clone(&share));
                tokio::select! { () = share.revoked().cancelled() => {}, () = stop.cancelled() => {} }
                owned.lock().unwrap().remove(&number);
                share.release();
            }
            member.leave().await;
        }));
    }
    until("three members with four partitions each", async || {
        let owned = owned.lock().unwrap();
        owned.len() == 3 && owned.values().all(|share| share.partitions(&live).len() == 4)
    })
    .await;
    let mut all = BTreeSet::new();
    for share in owned.lock().unwrap().values() {
        assert_eq!(share.partitions(&live), share.partitions(&backfill));
        assert_eq!(share.committed(&live).keys().copied().collect::<Vec<_>>(), share.partitions(&live));
        all.extend(share.partitions(&live));
    }
    assert_eq!(all, (0..12).collect());
    stop.cancel();
    for member in members {
        timeout(Duration::from_secs(5), member).await.expect("it leaves").expect("without a fault");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_waits_until_the_share_is_released() {
    let kafka = broker().await;
    let lane = make(kafka, "handover", 2, &[]).await;
    let transactions = Transactions::start(&endpoint(kafka), "handover");
    let records = (0..10).map(|number| record(&lane, &number.to_string(), "wish")).collect();
    transactions.commit(bundle(records)).await.expect("an append");

    let mut first = Member::join(&endpoint(kafka), "handover", vec![Arc::clone(&lane)]).expect("joined");
    let share = share_of(&mut first).await;
    assert_eq!(share.committed(&lane), BTreeMap::from([(0, 0), (1, 0)]));
    until("records", async || !share.take(&lane, 1, 1).is_empty()).await;

    let mut second = Member::join(&endpoint(kafka), "handover", vec![Arc::clone(&lane)]).expect("joined");
    timeout(Duration::from_secs(10), share.revoked().cancelled()).await.expect("a second member is noticed");
    assert!(!share.is_lost());
    assert!(share.take(&lane, 1, 1).is_empty(), "nothing is begun any more");
    let stop = CancellationToken::new();
    let early = timeout(Duration::from_secs(2), second.next_share(&stop)).await;
    assert!(early.is_err(), "the second owns something before the first released it");

    // What was in work is finished under the old generation, and the next owner goes on behind it.
    let offsets = vec![progress(&share, &lane, 0, 2), progress(&share, &lane, 1, 1)];
    transactions.commit(Bundle { records: Vec::new(), offsets }).await.expect("it is still ours");
    share.release();
    let (theirs, ours) = (share_of(&mut second).await, share_of(&mut first).await);
    let committed: BTreeMap<i32, i64> =
        theirs.committed(&lane).into_iter().chain(ours.committed(&lane)).collect();
    assert_eq!(committed, BTreeMap::from([(0, 2), (1, 1)]));

    let overdue = vec![progress(&share, &lane, 0, 3)];
    let verdict = transactions.commit(Bundle { records: Vec::new(), offsets: overdue }).await;
    assert!(matches!(&verdict, Err(StateError::Fenced(_))), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_memory_is_bounded_and_comes_once_and_in_order() {
    const RECORDS: usize = 200_000;
    let kafka = broker().await;
    let (live, backfill) =
        (make(kafka, "bounded.live", 3, &[]).await, make(kafka, "bounded.backfill", 3, &[]).await);
    let transactions = Transactions::start(&endpoint(kafka), "bounded");
    for from in (0..RECORDS).step_by(10_000) {
        let one = |number: usize| record(&backfill, &format!("tt{number:07}"), number.to_string());
        transactions.commit(bundle((from..from + 10_000).map(one).collect())).await.expect("an append");
    }
    let topics = vec![Arc::clone(&live), Arc::clone(&backfill)];
    let mut member = Member::join(&endpoint(kafka), "bounded", topics).expect("joined");
    let share = share_of(&mut member).await;
    share.arrived_in(&backfill).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // A lane that is full is no reason for the other to wait.
    transactions.commit(bundle(vec![record(&live, "m1", "now")])).await.expect("an append");
    timeout(Duration::from_secs(2), share.arrived_in(&live)).await.expect("live goes first");

    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    let (mut count, mut first) = (0, None);
    while count < RECORDS {
        let records = share.take(&backfill, usize::MAX, usize::MAX);
        if records.is_empty() {
            timeout(Duration::from_secs(10), share.arrived_in(&backfill)).await.expect("there is more");
            continue;
        }
        assert!(records.len() <= MAX_RECORDS, "{} waited", records.len());
        first.get_or_insert(records.len());
        for record in &records {
            let before = last.insert(record.partition(), record.offset());
            assert!(before < Some(record.offset()), "{before:?} and then {}", record.offset());
        }
        count += records.len();
    }
    assert_eq!(first, Some(MAX_RECORDS), "as many wait as may");
    let ends = Topics::new(&endpoint(kafka)).ends(&backfill).await.expect("an answer");
    assert_eq!(last.keys().collect::<Vec<_>>(), ends.keys().collect::<Vec<_>>());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((count, share.take(&backfill, 10, 1_000).len()), (RECORDS, 0), "none comes twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_next_offset_is_gone_says_so_and_waits() {
    let kafka = broker().await;
    let topics = Topics::new(&endpoint(kafka));
    let source = make(kafka, "gap", 2, &[]).await;
    let transactions = Transactions::start(&endpoint(kafka), "gap");
    let append = async |from: i32, through: i32| {
        let records = (from..=through).flat_map(|number| [0, 1].map(|partition| (number, partition)));
        let one = |(number, partition): (i32, i32)| {
            let mut one = record(&source, "", number.to_string());
            one.partition = Some(partition);
            one
        };
        transactions.commit(bundle(records.map(one).collect())).await.expect("an append");
    };
    append(0, 9).await;
    let mut member = Member::join(&endpoint(kafka), "gap", vec![Arc::clone(&source)]).expect("joined");
    let share = share_of(&mut member).await;
    let offsets = vec![progress(&share, &source, 0, 2), progress(&share, &source, 1, 9)];
    transactions.commit(Bundle { records: Vec::new(), offsets }).await.expect("a commit");
    share.release();
    member.leave().await;
    topics.delete_records(&source, BTreeMap::from([(0, 5)])).await.expect("deleted");

    let mut member = Member::join(&endpoint(kafka), "gap", vec![Arc::clone(&source)]).expect("joined");
    let share = share_of(&mut member).await;
    until("a gap", async || !share.gaps().is_empty()).await;
    let gap = Gap { topic: Arc::clone(&source), partition: 0, wanted: 2, oldest: 5, end: 11 };
    assert_eq!(share.gaps(), [gap]);
    let mut taken = Vec::new();
    until("the other partition", async || {
        taken.extend(share.take(&source, 10, 1_000));
        !taken.is_empty()
    })
    .await;
    append(10, 10).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    taken.extend(share.take(&source, 10, 1_000));
    assert!(taken.iter().all(|record| record.partition() == 1), "it waits to be told");
    assert_eq!(taken.len(), 2, "and the other goes on");

    share.go_on_from_oldest(&source, 0);
    let mut after = Vec::new();
    until("what is left", async || {
        after.extend(
            share.take(&source, 10, 1_000).iter().map(|record| (record.partition(), record.offset())),
        );
        after.len() == 6
    })
    .await;
    assert_eq!(after, [(0, 5), (0, 6), (0, 7), (0, 8), (0, 9), (0, 11)]);
    assert_eq!(share.gaps(), []);
}

/// A process that stood still wants what others have done and deleted meanwhile. That is no loss.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_before_it_was_deleted_is_no_gap() {
    const DONE: usize = 9_000;
    let kafka = broker().await;
    let lane = make(kafka, "trimmed", 1, &[]).await;
    let transactions = Transactions::start(&endpoint(kafka), "trimmed");
    let one = |number: usize| record(&lane, "m1", number.to_string());
    transactions.commit(bundle((0..=DONE).map(one).collect())).await.expect("an append");
    let mut member = Member::join(&endpoint(kafka), "trimmed", vec![Arc::clone(&lane)]).expect("joined");
    let share = share_of(&mut member).await;
    // A full share reads no further, and librdkafka throws away what it fetched ahead.
    share.arrived_in(&lane).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let offsets = vec![progress(&share, &lane, 0, i64::try_from(DONE).expect("it fits"))];
    transactions.commit(Bundle { records: Vec::new(), offsets }).await.expect("a commit");
    let before = BTreeMap::from([(0, i64::try_from(DONE - 1).expect("it fits"))]);
    Topics::new(&endpoint(kafka)).delete_records(&lane, before).await.expect("deleted");

    let mut offsets = Vec::new();
    until("what is not done", async || {
        let taken = share.take(&lane, usize::MAX, usize::MAX);
        offsets.extend(taken.iter().map(|record| usize::try_from(record.offset()).expect("it fits")));
        assert_eq!(share.gaps(), []);
        offsets.last() == Some(&DONE)
    })
    .await;
    assert!(offsets.len() < DONE, "the share was not full: {}", offsets.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_gives_way_to_its_namesake() {
    let kafka = broker().await;
    let lane = make(kafka, "namesake", 1, &[]).await;
    let mut named = endpoint(kafka);
    named.instance_id = Some("pod-0".to_owned());
    let mut first = Member::join(&named, "namesake", vec![Arc::clone(&lane)]).expect("joined");
    let before = share_of(&mut first).await;
    let mut second = Member::join(&named, "namesake", vec![Arc::clone(&lane)]).expect("joined");
    let after = share_of(&mut second).await;
    let stop = CancellationToken::new();
    let end = timeout(Duration::from_secs(15), first.next_share(&stop)).await.expect("it is told");
    assert!(matches!(&end, Err(StateError::Fenced(_))), "{:?}", end.err());
    assert!(before.revoked().is_cancelled());

    let transactions = Transactions::start(&endpoint(kafka), "namesake");
    let commit = |share: &Share| {
        let offsets = vec![progress(share, &lane, 0, 0)];
        transactions.commit(Bundle { records: Vec::new(), offsets })
    };
    let verdict = commit(&before).await;
    assert!(matches!(&verdict, Err(StateError::Fenced(_))), "{verdict:?}");
    commit(&after).await.expect("the younger owns it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_told_until_it_is_there() {
    let kafka = broker().await;
    let mut impatient = endpoint(kafka);
    impatient.properties.insert("topic.metadata.refresh.interval.ms".to_owned(), "1000".into());
    let mut member = Member::join(&impatient, "missing", vec!["missing".into()]).expect("joined");
    until("trouble", async || matches!(member.trouble(), Some(StateError::Refused { .. }))).await;
    let told = member.trouble().expect("it is told").to_string();
    assert!(told.contains("missing"), "{told}");
    let topic = make(kafka, "missing", 1, &[]).await;
    until("an assignment", async || {
        let share = timeout(Duration::from_millis(100), share_of(&mut member)).await;
        share.is_ok_and(|share| share.partitions(&topic) == [0])
    })
    .await;
    until("no trouble", async || member.trouble().is_none()).await;
}
