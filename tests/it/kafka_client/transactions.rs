//! Transactions: all or nothing, fenced alone, and resolved when the broker comes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use harness::servers::kafka_of_its_own;
use indexer::{
    StateError,
    kafka::{Bundle, Member, Message, Outgoing, Topics, Transactions},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{broker, bundle, endpoint, endpoint_at, key_of, make, progress, record, seen, share_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_fails_its_own_bundle_alone() {
    let kafka = broker().await;
    let topic = make(kafka, "too-large", 3, &[("max.message.bytes", "100000")]).await;
    let transactions = Transactions::start(&endpoint(kafka), "too-large");
    // Noise, for lz4 would make it small enough.
    let mut seed = 1_u64;
    let mut large = Vec::new();
    while large.len() < 200_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        large.extend(seed.to_be_bytes());
    }
    let mut running = JoinSet::new();
    for number in 0..20 {
        let mut records = vec![record(&topic, &format!("small-{number}"), "fits")];
        if number == 7 {
            records.push(record(&topic, "large", large.clone()));
        }
        let transactions = transactions.clone();
        running.spawn(async move { (number, transactions.commit(bundle(records)).await) });
    }
    let mut refused = Vec::new();
    for (number, verdict) in running.join_all().await {
        match verdict {
            Ok(()) => {}
            Err(error @ StateError::Refused { .. }) => {
                assert!(error.to_string().contains("too-large: Broker: Message size too large"), "{error}");
                refused.push(number);
            }
            Err(other) => panic!("{number}: {other}"),
        }
    }
    assert_eq!(refused, [7]);
    let wanted = (0..20).filter(|number| *number != 7).map(|number| (format!("small-{number}"), 1));
    assert_eq!(seen(kafka, &topic), wanted.collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_document_goes_through_and_no_topic_is_made_by_mistake() {
    let kafka = broker().await;
    let topic = make(kafka, "large-document", 1, &[("max.message.bytes", "8388608")]).await;
    let transactions = Transactions::start(&endpoint(kafka), "large-document");
    let document = vec![b'x'; 5 << 20];
    transactions.commit(bundle(vec![record(&topic, "m1", document.clone())])).await.expect("it fits");
    let mut member =
        Member::join(&endpoint(kafka), "large-document", vec![Arc::clone(&topic)]).expect("joined");
    let share = share_of(&mut member).await;
    share.arrived().await;
    let records = share.take(&topic, 10, 10);
    assert_eq!(records[0].payload(), Some(document.as_slice()));

    let nowhere = record(&"no-such-topic".into(), "m1", "lost");
    let error = transactions.commit(bundle(vec![nowhere])).await.expect_err("there is no such topic");
    assert!(
        matches!(&error, StateError::Refused { .. }) && error.to_string().contains("no-such-topic"),
        "{error}"
    );
    assert_eq!(
        Topics::new(&endpoint(kafka)).describe(&["no-such-topic"]).await.expect("an answer"),
        BTreeMap::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_fenced_and_nobody_with_it() {
    let kafka = broker().await;
    let lane = make(kafka, "zombie.lane", 1, &[]).await;
    let out = make(kafka, "zombie.out", 1, &[]).await;
    let transactions = Transactions::start(&endpoint(kafka), "zombie");
    transactions.commit(bundle(vec![record(&lane, "m1", "wish")])).await.expect("an append");

    let mut first = Member::join(&endpoint(kafka), "zombie", vec![Arc::clone(&lane)]).expect("joined");
    let zombie = share_of(&mut first).await;
    zombie.release();
    first.leave().await;
    let mut second = Member::join(&endpoint(kafka), "zombie", vec![Arc::clone(&lane)]).expect("joined");
    let owner = share_of(&mut second).await;

    let mut running = JoinSet::new();
    for number in 0..30 {
        let records = vec![record(&out, &format!("{number}"), "written")];
        let offsets = match number % 10 {
            4 => vec![progress(&zombie, &lane, 0, 1)],
            5 => vec![progress(&owner, &lane, 0, 1)],
            _ => Vec::new(),
        };
        let transactions = transactions.clone();
        running.spawn(async move { (number, transactions.commit(Bundle { records, offsets }).await) });
    }
    for (number, verdict) in running.join_all().await {
        match (number % 10, verdict) {
            (4, Err(StateError::Fenced(_))) => {}
            (4, other) => panic!("the zombie commits {number}: {other:?}"),
            (_, verdict) => verdict.unwrap_or_else(|error| panic!("{number}: {error}")),
        }
    }
    let wanted = (0..30).filter(|number| number % 10 != 4).map(|number| (number.to_string(), 1));
    assert_eq!(seen(kafka, &out), wanted.collect());
    let committed = Topics::new(&endpoint(kafka)).committed("zombie", &lane).await.expect("an answer");
    assert_eq!(committed, BTreeMap::from([(0, 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_producers_with_one_name_the_younger_stays() {
    let kafka = broker().await;
    let topic = make(kafka, "one-name", 1, &[]).await;
    let older = Transactions::start(&endpoint(kafka), "one-name");
    older.commit(bundle(vec![record(&topic, "1", "")])).await.expect("it is alone");
    let younger = Transactions::start(&endpoint(kafka), "one-name");
    younger.commit(bundle(vec![record(&topic, "2", "")])).await.expect("it took over");
    for _ in 0..2 {
        let verdict = older.commit(bundle(vec![record(&topic, "3", "")])).await;
        assert!(matches!(&verdict, Err(StateError::Fenced(_))), "{verdict:?}");
    }
    younger.commit(bundle(vec![record(&topic, "4", "")])).await.expect("it stays");
    assert_eq!(seen(kafka, &topic).into_keys().collect::<Vec<_>>(), ["1", "2", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_is_none_is_refused_and_nothing_is_an_empty_transaction() {
    let kafka = broker().await;
    let topic = make(kafka, "no-offset", 1, &[]).await;
    let transactions = Transactions::start(&endpoint(kafka), "no-offset");
    let mut member = Member::join(&endpoint(kafka), "no-offset", vec![Arc::clone(&topic)]).expect("joined");
    let share = share_of(&mut member).await;
    let offsets = vec![progress(&share, &topic, 0, -1)];
    let verdict = transactions.commit(Bundle { records: vec![record(&topic, "1", "")], offsets }).await;
    assert!(matches!(&verdict, Err(StateError::Refused { .. })), "{verdict:?}");
    transactions.commit(Bundle::default()).await.expect("nothing is done at once");
    let twice = [5, 3].map(|next| progress(&share, &topic, 0, next)).to_vec();
    transactions.commit(Bundle { records: Vec::new(), offsets: twice }).await.expect("the highest counts");
    let committed = Topics::new(&endpoint(kafka)).committed("no-offset", &topic).await.expect("an answer");
    assert_eq!(committed, BTreeMap::from([(0, 5)]));
    assert!(seen(kafka, &topic).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_finds_the_partition_that_kafkas_own_producer_gives_it() {
    let kafka = broker().await;
    let topic = make(kafka, "murmur2", 12, &[]).await;
    let keys: Vec<String> = (0..200)
        .map(|number| format!("tt{number:07}"))
        .chain(["a", "21", "foobar", "Ünïcödé", "a-little-bit-longer-string"].map(str::to_owned))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let transactions = Transactions::start(&endpoint(kafka), "murmur2");
    let records = keys.iter().map(|key| record(&topic, key, *key)).collect();
    transactions.commit(bundle(records)).await.expect("an append");
    let told = kafka.records(&topic);
    let ours: BTreeMap<String, i32> = told.iter().map(|record| (key_of(record), record.partition)).collect();
    let theirs = keys.iter().map(|key| (*key).to_owned()).zip(kafka.partitions_of(&keys, 12));
    assert_eq!(ours, theirs.collect());
}

/// Exactly once for who reads what is committed: what was told to be committed is there once, the rest is not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_broker_loses_nothing_and_doubles_nothing() {
    let kafka = Arc::new(tokio::task::spawn_blocking(kafka_of_its_own).await.expect("a broker"));
    let topic = make(&kafka, "crash", 3, &[]).await;
    let transactions = Transactions::start(&endpoint(&kafka), "crash");
    let appending = {
        let (topic, transactions) = (Arc::clone(&topic), transactions.clone());
        tokio::spawn(async move {
            let (mut committed, start) = (BTreeSet::new(), Instant::now());
            let mut after_the_crash = 0;
            for number in 0.. {
                let records: Vec<Outgoing> =
                    (0..5).map(|part| record(&topic, &format!("{number}-{part}"), "x")).collect();
                match transactions.commit(bundle(records)).await {
                    Ok(()) => committed.extend((0..5).map(|part| format!("{number}-{part}"))),
                    Err(error) => assert!(error.is_passing(), "{error}"),
                }
                after_the_crash += usize::from(start.elapsed() > Duration::from_secs(5));
                if after_the_crash > 100 {
                    break;
                }
            }
            committed
        })
    };
    // A member reads all the while. What it is assigned anew it reads anew, as nobody commits.
    let (done, read) = (CancellationToken::new(), Arc::new(Mutex::new(BTreeMap::new())));
    let reading = {
        let (topic, done, read) = (Arc::clone(&topic), done.clone(), Arc::clone(&read));
        let mut member = Member::join(&endpoint(&kafka), "crash", vec![Arc::clone(&topic)]).expect("joined");
        tokio::spawn(async move {
            while let Some(share) = member.next_share(&done).await.expect("the group goes on") {
                while !share.revoked().is_cancelled() && !done.is_cancelled() {
                    for record in share.take(&topic, 1_000, 1 << 20) {
                        let key = String::from_utf8_lossy(record.key().expect("a key")).into_owned();
                        read.lock().unwrap().insert((record.partition(), record.offset()), key);
                    }
                    let _ = tokio::time::timeout(Duration::from_millis(100), share.arrived()).await;
                }
            }
            member.trouble()
        })
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let broker = Arc::clone(&kafka);
    tokio::task::spawn_blocking(move || {
        broker.kill();
        std::thread::sleep(Duration::from_secs(3));
        broker.start_again();
    })
    .await
    .expect("it starts again");
    let committed = appending.await.expect("it ends");
    assert!(transactions.trouble().is_none());
    assert!(committed.len() > 5 * 60, "{} are too few to have met the crash", committed.len());
    until("all is read", async || read.lock().unwrap().len() >= committed.len()).await;
    done.cancel();
    let trouble = reading.await.expect("it ends");
    assert!(trouble.is_none(), "{trouble:?}");
    let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
    read.lock().unwrap().values().for_each(|key| *by_key.entry(key.clone()).or_default() += 1);
    let wanted: BTreeMap<String, usize> = committed.into_iter().map(|key| (key, 1)).collect();
    assert_eq!(by_key, wanted);
    assert_eq!(seen(&kafka, &topic), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_told_and_waited_for() {
    let nowhere = endpoint_at("127.0.0.1:1");
    let transactions = Transactions::start(&nowhere, "nowhere");
    let mut waiting = Box::pin(transactions.commit(bundle(vec![record(&"any".into(), "1", "")])));
    let is_told = || transactions.trouble().is_some_and(|told| told.to_string().contains("refused"));
    tokio::select! {
        verdict = &mut waiting => panic!("{verdict:?}"),
        () = until("it is told", async || is_told()) => {}
    }
    let told = transactions.trouble().expect("it was just told");
    assert!(told.is_passing(), "{told}");
    assert!(told.to_string().starts_with("Kafka at 127.0.0.1:1: "), "{told}");
    assert!(told.to_string().contains("Connection refused"), "{told}");
    let told = Topics::new(&nowhere).ends("any").await.expect_err("nobody is there");
    assert!(told.is_passing() && told.to_string().contains("Connection refused"), "{told}");
    let member = Member::join(&nowhere, "nowhere", vec!["any".into()]).expect("it waits");
    until("trouble", async || member.trouble().is_some_and(|trouble| trouble.is_passing())).await;
    tokio::time::timeout(Duration::from_secs(5), member.leave()).await.expect("it leaves all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_so_without_the_password() {
    let mut stranger = endpoint(broker().await);
    for (key, value) in [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "studio"),
        ("sasl.password", "correct horse"),
    ] {
        stranger.properties.insert(key.to_owned(), value.into());
    }
    let transactions = Transactions::start(&stranger, "stranger");
    let verdict = transactions.commit(bundle(vec![record(&"any".into(), "1", "")])).await;
    let member = Member::join(&stranger, "stranger", vec!["any".into()]).expect("it waits");
    until("trouble", async || matches!(member.trouble(), Some(StateError::Refused { .. }))).await;
    let told = [
        verdict.expect_err("nobody lets it in"),
        member.trouble().expect("it is told"),
        Topics::new(&stranger).ends("any").await.expect_err("nobody lets it in"),
    ];
    for told in told {
        assert!(matches!(&told, StateError::Refused { .. }), "{told:?}");
        assert!(told.to_string().contains("SASL"), "{told}");
        assert!(!told.to_string().contains("horse"), "{told}");
    }
}
