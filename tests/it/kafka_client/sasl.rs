//! A broker that lets nobody in without a password, through `kafka.properties` alone.

use std::sync::Arc;

use harness::{servers::kafka_for, tls::Authority};
use indexer::{
    StateError,
    endpoints::KafkaEndpoint,
    kafka::{Bundle, Member, Message, NewTopic, Topics, Transactions},
};

use super::{bundle, endpoint, progress, record, share_of};

const PASSWORD: &str = "correct-horse-battery";

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_passwords_lets_in_who_has_the_right_one() {
    let authority = Authority::new();
    let ca = authority.ca().display().to_string();
    let started = tokio::task::spawn_blocking(move || {
        let (kafka, guarded) = kafka_for(&[("indexer", PASSWORD)], &authority);
        kafka.allow("indexer", "--operation All --topic * --group * --transactional-id *");
        (authority, kafka, guarded)
    });
    let (_authority, kafka, guarded) = started.await.expect("a broker");
    let with_password = |mechanism: &str, password: &str| {
        let mut endpoint = KafkaEndpoint { brokers: vec![guarded.clone()], ..endpoint(&kafka) };
        for (key, value) in [
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", &ca),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "indexer"),
            ("sasl.password", password),
        ] {
            endpoint.properties.insert(key.to_owned(), value.into());
        }
        endpoint
    };
    for (mechanism, name) in [("PLAIN", "by-plain"), ("SCRAM-SHA-256", "by-scram")] {
        let endpoint = with_password(mechanism, PASSWORD);
        let topics = Topics::new(&endpoint);
        let topic = NewTopic { name: name.to_owned(), partitions: 1, replication: 1, config: [].into() };
        topics.create(topic).await.unwrap_or_else(|error| panic!("{mechanism}: {error}"));
        let name: Arc<str> = name.into();
        let transactions = Transactions::start(&endpoint, &name);
        let sent = transactions.commit(bundle(vec![record(&name, "m1", "a")])).await;
        sent.unwrap_or_else(|error| panic!("{mechanism}: {error}"));
        let mut member = Member::join(&endpoint, &name, vec![Arc::clone(&name)]).expect("joined");
        let share = share_of(&mut member).await;
        share.arrived_in(&name).await;
        let records = share.take(&name, 10, 1 << 20);
        assert_eq!(records.iter().map(Message::key).collect::<Vec<_>>(), [Some(b"m1".as_slice())]);
        let offsets = vec![progress(&share, &name, 0, 1)];
        let committed = transactions.commit(Bundle { records: Vec::new(), offsets }).await;
        committed.unwrap_or_else(|error| panic!("{mechanism}: {error}"));
        share.release();
        member.leave().await;

        let wrong = Topics::new(&with_password(mechanism, "wrong-horse-battery"));
        let told = wrong.ends(&name).await.expect_err("a wrong password");
        assert!(matches!(&told, StateError::Refused { .. }), "{mechanism}: {told:?}");
        assert!(!told.to_string().contains("horse"), "{told}");
    }
}
