//! The client layer on a real broker: what is committed, what is fenced, who owns what, and what a crash of the broker costs.

mod frozen;
mod group;
mod sasl;
mod silent;
mod topics;
mod transactions;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use harness::servers::{Delivered, Kafka, kafka};
use indexer::{
    endpoints::KafkaEndpoint,
    kafka::{Bundle, GroupOffsets, Member, NewTopic, Outgoing, Share, Topics},
};
use tokio_util::sync::CancellationToken;

/// Generous, for two shared cores.
const PATIENCE: Duration = Duration::from_secs(30);

fn endpoint(kafka: &Kafka) -> KafkaEndpoint {
    endpoint_at(&kafka.brokers)
}

fn endpoint_at(address: &str) -> KafkaEndpoint {
    KafkaEndpoint {
        brokers: vec![address.to_owned()],
        properties: BTreeMap::new(),
        instance_id: None,
        registry: None,
    }
}

/// Makes a topic with settings of its own, and gives its name.
async fn make(kafka: &Kafka, name: &str, partitions: i32, config: &[(&str, &str)]) -> Arc<str> {
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let topic = NewTopic { name: name.to_owned(), partitions, replication: 1, config };
    Topics::new(&endpoint(kafka)).create(topic).await.expect("a new topic");
    name.into()
}

fn record(topic: &Arc<str>, key: &str, value: impl Into<Vec<u8>>) -> Outgoing {
    Outgoing {
        topic: Arc::clone(topic),
        key: Some(key.as_bytes().to_vec()),
        payload: Some(value.into()),
        headers: Vec::new(),
        partition: None,
    }
}

fn bundle(records: Vec<Outgoing>) -> Bundle {
    Bundle { records, offsets: Vec::new() }
}

/// A commit of one partition of the share.
fn progress(share: &Share, topic: &Arc<str>, partition: i32, next: i64) -> GroupOffsets {
    GroupOffsets { group: share.generation(), next: vec![(Arc::clone(topic), partition, next)] }
}

async fn share_of(member: &mut Member) -> Arc<Share> {
    let stop = CancellationToken::new();
    let share = tokio::time::timeout(PATIENCE, member.next_share(&stop)).await;
    share.expect("a share in time").expect("the group goes on").expect("nobody stopped")
}

/// What a reader of committed records sees, by Kafka's own consumer: how often each key is there.
fn seen(kafka: &Kafka, topic: &str) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    for record in kafka.records(&topic.replace('.', "[.]")) {
        *seen.entry(key_of(&record)).or_default() += 1;
    }
    seen
}

fn key_of(record: &Delivered) -> String {
    String::from_utf8(record.key.clone().expect("a key")).expect("UTF-8")
}

/// Waits for something that isn't told.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Starts the broker where it may block, as the runtime's threads may not.
async fn broker() -> &'static Kafka {
    tokio::task::spawn_blocking(kafka).await.expect("a broker")
}
