//! Topics from outside: what there is, how it is set up, where it begins and ends, and how far a group is.

mod reading;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::executor::block_on;
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic as NativeTopic, ResourceSpecifier,
        TopicReplication,
    },
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
};

use super::client::{Cluster, Meaning, Trouble, Watch};
use crate::{StateError, endpoints::KafkaEndpoint, tasks::joined};

/// How long a question may take. A broker that starts, or elects, needs a few seconds.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// How long a changed setting may take until it is told. What isn't there by then was not taken.
const TAKEN: Duration = Duration::from_secs(3);

/// How long a client's events are heard after an answer, so that they don't pile up.
const HEAR: Duration = Duration::from_millis(1);

/// How long they are heard after a failure, for one of them tells why.
const LISTEN: Duration = Duration::from_millis(100);

/// What must be so: nobody is made a member of a group by asking, and the end is the end of what is committed.
const NEEDED: [(&str, &str); 5] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("isolation.level", "read_committed"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
];

/// How long is waited before a group whose coordinator is being chosen is asked about again.
const SETTLING: Duration = Duration::from_millis(200);

/// A topic as it should be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: i32,
    /// Copies of each; -1 leaves it to the brokers.
    pub replication: i32,
    /// Its own settings, such as `cleanup.policy`.
    pub config: BTreeMap<String, String>,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its partitions.
    pub partitions: i32,
    /// Copies of its first partition.
    pub replication: i32,
    /// All its settings, with the defaults of the brokers.
    pub config: BTreeMap<String, String>,
    /// Those that the topic has itself.
    pub own: BTreeMap<String, String>,
}

/// Asks and changes topics. Clones share its connections.
#[derive(Clone)]
pub struct Topics {
    shared: Arc<Shared>,
}

struct Shared {
    cluster: Arc<Cluster>,
    /// One client that belongs to no group.
    reader: Mutex<Option<Arc<Asking>>>,
    /// One a group: whose offsets are asked for is a setting of a client.
    groups: Mutex<HashMap<String, Arc<Asking>>>,
}

type Asking = BaseConsumer<Ear>;

/// Settings by name.
type Config = BTreeMap<String, String>;

/// Hears what librdkafka says of a client that asks.
pub(super) struct Ear(Watch);

impl Topics {
    /// Topics of this cluster. Connects when it is first asked.
    pub fn new(endpoint: &KafkaEndpoint) -> Self {
        let cluster = Arc::new(Cluster::new(endpoint));
        Self { shared: Arc::new(Shared { cluster, reader: Mutex::default(), groups: Mutex::default() }) }
    }

    /// Those of these topics that exist.
    pub async fn describe(&self, topics: &[&str]) -> Result<BTreeMap<String, Described>, StateError> {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        self.blocking(move |shared| shared.describe(&topics)).await
    }

    /// Whether there is a topic of this name.
    pub async fn exists(&self, topic: &str) -> Result<bool, StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| Ok(shared.size(&topic)?.is_some())).await
    }

    /// How many brokers there are, asked beside a topic, which need not exist.
    pub async fn brokers(&self, topic: &str) -> Result<usize, StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| {
            let reader = shared.reader()?;
            let metadata = asked(&reader, |reader| reader.fetch_metadata(Some(&topic), ANSWER))?;
            Ok(metadata.brokers().len())
        })
        .await
    }

    /// Makes a topic, and waits until it can be written. One that exists is `Refused`.
    pub async fn create(&self, topic: NewTopic) -> Result<(), StateError> {
        self.blocking(move |shared| shared.create(&topic)).await
    }

    /// Gives a topic these settings of its own, beside those that it has.
    pub async fn alter(&self, topic: &str, config: BTreeMap<String, String>) -> Result<(), StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| shared.alter(&topic, config)).await
    }

    /// The offset of the oldest record that is there, by partition.
    pub async fn beginnings(&self, topic: &str) -> Result<BTreeMap<i32, i64>, StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| shared.offsets(&topic, Offset::Beginning)).await
    }

    /// The offset after the last record that is committed, by partition. Markers of transactions have offsets, too.
    pub async fn ends(&self, topic: &str) -> Result<BTreeMap<i32, i64>, StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| shared.offsets(&topic, Offset::End)).await
    }

    /// The offsets that a group reads next, of the partitions where it committed one.
    pub async fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, StateError> {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        self.blocking(move |shared| shared.committed(&group, &topic)).await
    }

    /// How many offsets a group is behind the end, by partition. Markers count, so it need not be the number of records.
    pub async fn lag(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, u64>, StateError> {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        self.blocking(move |shared| {
            let committed = shared.committed(&group, &topic)?;
            let beginnings = shared.offsets(&topic, Offset::Beginning)?;
            let behind = |(partition, end): (i32, i64)| {
                let oldest = beginnings.get(&partition).copied().unwrap_or_default();
                let next = committed.get(&partition).copied().unwrap_or(oldest).max(oldest);
                (partition, u64::try_from(end - next).unwrap_or_default())
            };
            Ok(shared.offsets(&topic, Offset::End)?.into_iter().map(behind).collect())
        })
        .await
    }

    /// Deletes what lies before these offsets.
    pub async fn delete_records(&self, topic: &str, before: BTreeMap<i32, i64>) -> Result<(), StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| shared.delete_records(&topic, &before)).await
    }

    /// The last records of a topic over all its partitions, at most this many, the newest first.
    pub async fn latest(&self, topic: &str, records: usize) -> Result<Vec<OwnedMessage>, StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| reading::latest(shared, &topic, records)).await
    }

    /// The record at an offset; `None` where it is gone, or none that a reader sees.
    pub async fn read_one(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<OwnedMessage>, StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| reading::one(shared, &topic, partition, offset)).await
    }

    /// What is kept of the records from these offsets up to those ends, in the order of each partition. An offset must not lie
    /// before the beginning of its partition.
    pub async fn select<T: Send + 'static>(
        &self,
        topic: &str,
        from: BTreeMap<i32, i64>,
        ends: BTreeMap<i32, i64>,
        keep: impl FnMut(OwnedMessage) -> Option<T> + Send + 'static,
    ) -> Result<Vec<T>, StateError> {
        let topic = topic.to_owned();
        self.blocking(move |shared| reading::through(shared, &topic, &from, &ends, keep)).await
    }

    /// Asks on a thread that may block: librdkafka knows no other way.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Shared) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, StateError> {
        let shared = Arc::clone(&self.shared);
        Ok(joined(tokio::task::spawn_blocking(move || ask(&shared)).await)?)
    }
}

impl Shared {
    /// A consumer that is a member of nothing.
    fn consumer(&self, more: &[(&str, &str)]) -> Result<Asking, Trouble> {
        let needed: Vec<(&str, &str)> = NEEDED.iter().chain(more).copied().collect();
        let settings = self.cluster.settings(&[], &needed);
        let ear = Ear(Watch::new(Arc::clone(&self.cluster)));
        settings.create_with_context(ear).map_err(|error| self.cluster.trouble(&error))
    }

    fn reader(&self) -> Result<Arc<Asking>, Trouble> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.is_none() {
            *reader = Some(Arc::new(self.consumer(&[])?));
        }
        Ok(Arc::clone(reader.as_ref().expect("it was just made")))
    }

    fn of_group(&self, group: &str) -> Result<Arc<Asking>, Trouble> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = groups.get(group) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(self.consumer(&[("group.id", group), ("group.protocol", "classic")])?);
        groups.insert(group.to_owned(), Arc::clone(&new));
        Ok(new)
    }

    /// The number of partitions and of copies of a topic; `None` if there is no such topic.
    fn size(&self, topic: &str) -> Result<Option<(i32, i32)>, Trouble> {
        let reader = self.reader()?;
        let metadata = asked(&reader, |reader| reader.fetch_metadata(Some(topic), ANSWER))?;
        let Some(told) = metadata.topics().iter().find(|told| told.name() == topic) else { return Ok(None) };
        match told.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                return Ok(None);
            }
            Some(code) => return Err(self.cluster.trouble_of(topic, code)),
        }
        let copies = told.partitions().first().map_or(0, |first| first.replicas().len());
        let number = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
        Ok(Some((number(told.partitions().len()), number(copies))))
    }

    fn existing(&self, topic: &str) -> Result<i32, Trouble> {
        let unknown = || self.cluster.trouble_of(topic, RDKafkaErrorCode::UnknownTopicOrPartition);
        Ok(self.size(topic)?.ok_or_else(unknown)?.0)
    }

    fn describe(&self, topics: &[String]) -> Result<BTreeMap<String, Described>, Trouble> {
        let mut described = BTreeMap::new();
        for topic in topics {
            let Some((partitions, replication)) = self.size(topic)? else { continue };
            let (config, own) = self.config(topic)?;
            described.insert(topic.clone(), Described { partitions, replication, config, own });
        }
        Ok(described)
    }

    /// All settings of a topic, and those that it has itself. A topic without settings is one that we may not look at.
    fn config(&self, topic: &str) -> Result<(Config, Config), Trouble> {
        let resources = [ResourceSpecifier::Topic(topic)];
        let answers = self.admin(|admin| block_on(admin.describe_configs(&resources, &options())))?;
        let (mut config, mut own) = (BTreeMap::new(), BTreeMap::new());
        for answer in answers {
            for entry in answer.map_err(|code| self.cluster.trouble_of(topic, code))?.entries {
                let Some(value) = entry.value else { continue };
                if entry.source == ConfigSource::DynamicTopic {
                    own.insert(entry.name.clone(), value.clone());
                }
                config.insert(entry.name, value);
            }
        }
        if config.is_empty() {
            let reason =
                format!("{topic}: its settings can't be read; is the right to describe them missing?");
            return Err(self.cluster.told(Meaning::Refused, &reason));
        }
        Ok((config, own))
    }

    fn create(&self, topic: &NewTopic) -> Result<(), Trouble> {
        if self.size(&topic.name)?.is_some() {
            return Err(self.cluster.trouble_of(&topic.name, RDKafkaErrorCode::TopicAlreadyExists));
        }
        let replication = TopicReplication::Fixed(topic.replication);
        let mut native = NativeTopic::new(&topic.name, topic.partitions, replication);
        native.config.extend(topic.config.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let answers = self.admin(|admin| block_on(admin.create_topics([&native], &options())))?;
        for answer in answers {
            answer.map_err(|(name, code)| self.cluster.trouble_of(&name, code))?;
        }
        // Brokers hear of a topic one after another.
        let start = Instant::now();
        while self.size(&topic.name)?.is_none_or(|(partitions, _)| partitions < topic.partitions) {
            if start.elapsed() > ANSWER {
                let reason = format!("{} was made and is not there after {ANSWER:?}", topic.name);
                return Err(self.cluster.told(Meaning::Passing, &reason));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn alter(&self, topic: &str, config: BTreeMap<String, String>) -> Result<(), Trouble> {
        self.existing(topic)?;
        // The brokers' call replaces all that the topic has itself, so what it has is said again.
        let (_, mut own) = self.config(topic)?;
        own.extend(config);
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (key, value) in &own {
            change = change.set(key, value);
        }
        let answers = self.admin(|admin| block_on(admin.alter_configs([&change], &options())))?;
        for answer in answers {
            answer.map_err(|(_, code)| self.cluster.trouble_of(topic, code))?;
        }
        // Whether the brokers took them, the client library doesn't tell. Brokers hear of it one after another.
        let start = Instant::now();
        loop {
            let (_, now) = self.config(topic)?;
            let Some((key, value)) = own.iter().find(|(key, value)| now.get(*key) != Some(value)) else {
                return Ok(());
            };
            if start.elapsed() > TAKEN {
                let reason = format!("{topic}: the brokers did not take `{key}: {value}`");
                return Err(self.cluster.told(Meaning::Refused, &reason));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The beginnings or the ends of a topic's partitions.
    fn offsets(&self, topic: &str, which: Offset) -> Result<BTreeMap<i32, i64>, Trouble> {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.existing(topic)? {
            let added = list.add_partition_offset(topic, partition, which);
            added.map_err(|error| self.cluster.trouble(&error))?;
        }
        let reader = self.reader()?;
        let told = asked(&reader, |reader| reader.offsets_for_times(list, ANSWER))?;
        self.by_partition(topic, &told)
    }

    fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>, Trouble> {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.existing(topic)? {
            list.add_partition(topic, partition);
        }
        let of_group = self.of_group(group)?;
        // A group that nobody asked about yet, or a broker that has just come up: who coordinates it is settled within moments.
        let until = Instant::now() + ANSWER;
        let told = asked(&of_group, |of_group| {
            let mut told = of_group.committed_offsets(list.clone(), ANSWER);
            while told.as_ref().is_err_and(is_settling) && Instant::now() < until {
                std::thread::sleep(SETTLING);
                told = of_group.committed_offsets(list.clone(), ANSWER);
            }
            told
        })?;
        self.by_partition(topic, &told)
    }

    /// The offsets of a list, of those that have one.
    fn by_partition(&self, topic: &str, list: &TopicPartitionList) -> Result<BTreeMap<i32, i64>, Trouble> {
        let mut offsets = BTreeMap::new();
        for element in list.elements_for_topic(topic) {
            element.error().map_err(|error| self.cluster.trouble(&error))?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert(element.partition(), offset);
            }
        }
        Ok(offsets)
    }

    fn delete_records(&self, topic: &str, before: &BTreeMap<i32, i64>) -> Result<(), Trouble> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in before {
            let added = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
            added.map_err(|error| self.cluster.trouble(&error))?;
        }
        if list.count() == 0 {
            return Ok(());
        }
        self.existing(topic)?;
        let told = self.admin(|admin| block_on(admin.delete_records(&list, &options())))?;
        for element in told.elements() {
            element.error().map_err(|error| self.cluster.trouble(&error))?;
        }
        Ok(())
    }

    /// Asks an admin client that lives for one question: it hears no errors, and so would keep them all. The reader was asked
    /// before, and tells better why nobody answers.
    fn admin<T>(&self, ask: impl FnOnce(&AdminClient<Ear>) -> Result<T, KafkaError>) -> Result<T, Trouble> {
        let settings = self.cluster.settings(&[], &[]);
        let ear = Ear(Watch::new(Arc::clone(&self.cluster)));
        let admin: Result<AdminClient<Ear>, KafkaError> = settings.create_with_context(ear);
        admin.and_then(|admin| ask(&admin)).map_err(|error| self.cluster.trouble(&error))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}

/// Whether a group's coordinator is being chosen, or is reading what it has to know.
fn is_settling(error: &KafkaError) -> bool {
    let codes = [
        RDKafkaErrorCode::NotCoordinator,
        RDKafkaErrorCode::CoordinatorNotAvailable,
        RDKafkaErrorCode::CoordinatorLoadInProgress,
    ];
    error.rdkafka_error_code().is_some_and(|code| codes.contains(&code))
}

/// Asks, and tells a failure by its cause.
pub(super) fn asked<T>(
    asking: &Asking,
    ask: impl FnOnce(&Asking) -> Result<T, KafkaError>,
) -> Result<T, Trouble> {
    let answer = ask(asking);
    // What it has to tell of its connections waits to be polled. It reads nothing, so no record is lost.
    let (start, listen) = (Instant::now(), if answer.is_ok() { HEAR } else { LISTEN });
    while start.elapsed() < listen {
        let _ = asking.poll(listen);
    }
    let watch = &asking.context().0;
    match answer {
        Ok(answer) => {
            watch.clear();
            Ok(answer)
        }
        Err(error) => Err(watch.explained(&error)),
    }
}

impl ConsumerContext for Ear {}

impl ClientContext for Ear {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.0.log(level, facility, line);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}
