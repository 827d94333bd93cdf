//! What an administrator does to topics: makes them, deletes them, lets their records expire.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer},
};

use super::kafka::Kafka;

/// How long the broker may take for one of these.
const ANSWER: Duration = Duration::from_secs(30);

impl Kafka {
    /// Makes topics of one replica. They can be written when this returns.
    pub fn create_topics(&self, names: &[&str], partitions: i32) {
        let mut topics = Vec::new();
        for name in names {
            topics.push(NewTopic::new(name, partitions, TopicReplication::Fixed(1)));
        }
        let answers = block_on(self.administrator().create_topics(&topics, &patient()));
        for answer in answers.expect("the broker answers") {
            answer.unwrap_or_else(|(name, code)| panic!("{name} was not made: {code}"));
        }
        self.wait_for(names, true);
    }

    /// Deletes a topic, with all that is in it.
    pub fn delete_topic(&self, name: &str) {
        let answers = block_on(self.administrator().delete_topics(&[name], &patient()));
        for answer in answers.expect("the broker answers") {
            answer.unwrap_or_else(|(name, code)| panic!("{name} was not deleted: {code}"));
        }
        self.wait_for(&[name], false);
    }

    /// Deletes every record that a topic holds, as its retention would in the end.
    pub fn expire(&self, topic: &str) {
        let mut ends = TopicPartitionList::new();
        for (partition, end) in self.ends(topic) {
            ends.add_partition_offset(topic, partition, Offset::Offset(end)).expect("an offset");
        }
        let told = block_on(self.administrator().delete_records(&ends, &patient()));
        for element in told.expect("the broker answers").elements() {
            element.error().unwrap_or_else(|error| panic!("{topic}: {error}"));
        }
    }

    /// How many records were ever written to a topic, markers of transactions among them.
    pub fn length(&self, topic: &str) -> i64 {
        self.ends(topic).into_iter().map(|(_, end)| end).sum()
    }

    /// Where each partition ends.
    fn ends(&self, topic: &str) -> Vec<(i32, i64)> {
        let asking: BaseConsumer = self.client();
        let metadata = asking.fetch_metadata(Some(topic), ANSWER).expect("the broker answers");
        let partitions =
            metadata.topics()[0].partitions().iter().map(rdkafka::metadata::MetadataPartition::id);
        let end =
            |partition| asking.fetch_watermarks(topic, partition, ANSWER).expect("the broker answers").1;
        partitions.map(|partition| (partition, end(partition))).collect()
    }

    fn wait_for(&self, names: &[&str], wanted: bool) {
        let asking: BaseConsumer = self.client();
        let start = Instant::now();
        for name in names {
            let is_there = || {
                let told = asking.fetch_metadata(Some(name), ANSWER).expect("the broker answers");
                told.topics().iter().all(|topic| topic.error().is_none() && !topic.partitions().is_empty())
            };
            while is_there() != wanted {
                assert!(start.elapsed() < ANSWER, "{name} has not changed after {ANSWER:?}");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn administrator(&self) -> AdminClient<DefaultClientContext> {
        self.client()
    }

    fn client<C: FromClientConfig>(&self) -> C {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", &self.brokers).set("allow.auto.create.topics", "false");
        settings.create().expect("a client")
    }
}

fn patient() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}
