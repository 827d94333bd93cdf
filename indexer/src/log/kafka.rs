//! The reindex log on Kafka: two co-partitioned topics that several processes share.
//!
//! Wishes and dead letters may be repeated without harm, so they are appended plainly, outside of transactions: no process that
//! dies in the middle of one holds up the readers of a lane, and its offsets are dense, so that a lag is exact. What must not
//! be repeated by a process that lost its share, commits and documents, goes through [`Transactions`].

pub(crate) mod dead_letter;
mod tenure;
mod wire;

use std::{
    cmp::Reverse,
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use plan::{KafkaPlan, SourcePlan, index_plan::SourceInput};

pub(crate) use self::tenure::Shares;
use super::{Append, DeadLetterRow, Ends, KeptLetter, Lane, LetterNumber, ReindexLog};
use crate::{
    StateError,
    documents::topic::TopicValues,
    endpoints::KafkaEndpoint,
    index::routed,
    kafka::{Appender, Bundle, Message, Outgoing, OwnedMessage, Topics, Transactions},
    ledger::{
        IndexVersion,
        elastic::ElasticLedger,
        settled::{Reach, Settled},
        versions::KnownVersion,
    },
    patience::Patience,
    registry::{Registry, Schemas},
    source::{Position, decode::RecordDecoder},
};

/// The shared log. Clones share their connections, each of which is opened when it is needed first.
#[derive(Clone)]
pub(crate) struct KafkaLog(Arc<Shared>, Patience);

struct Shared {
    /// The name of the index.
    index: String,
    /// The sources that are routed.
    sources: Vec<SourcePlan>,
    kafka: KafkaPlan,
    endpoint: KafkaEndpoint,
    schemas: Option<Schemas>,
    topics: Topics,
    lanes: [Arc<str>; 2],
    /// One for each query that is fetched.
    documents: Vec<DocumentsLog>,
    dead_letters: Arc<str>,
    /// Remembers which dead letters are settled: a single record of a topic can't be deleted.
    ledger: Arc<ElasticLedger>,
    appender: OnceLock<Appender>,
    transactions: OnceLock<Transactions>,
}

/// Where the documents of a query are kept.
struct DocumentsLog {
    /// The query's hash.
    query: String,
    topic: Arc<str>,
    values: TopicValues,
}

impl DocumentsLog {
    /// The log of an index version; `None` where its plan names no topics.
    fn of(version: &IndexVersion) -> Result<Option<Self>, StateError> {
        let Some(kafka) = &version.plan.kafka else { return Ok(None) };
        let (query, topic) = (version.plan.fetch.query_hash.clone(), kafka.documents.as_str().into());
        Ok(Some(Self { query, topic, values: TopicValues::of(version)? }))
    }
}

impl KafkaLog {
    /// The log of an index that serves one of these versions.
    pub(crate) fn new(
        served: &KnownVersion,
        known: &[KnownVersion],
        kafka: &KafkaPlan,
        endpoint: &KafkaEndpoint,
        ledger: &Arc<ElasticLedger>,
    ) -> Result<Self, StateError> {
        let live = known.iter().filter(|other| other.state.is_live() && other.number() != served.number());
        let mut documents: Vec<DocumentsLog> = Vec::new();
        let mut plans = Vec::new();
        for version in [served].into_iter().chain(live) {
            let log = DocumentsLog::of(&version.version)?;
            if let Some(log) = log.filter(|log| documents.iter().all(|known| known.query != log.query)) {
                documents.push(log);
                plans.push(version.plan());
            }
        }
        let schemas = endpoint.registry.as_ref().map(|registry| Registry::new(registry).map(Schemas::new));
        Ok(Self(
            Arc::new(Shared {
                index: served.plan().name.clone(),
                sources: routed(plans.into_iter()),
                kafka: kafka.clone(),
                endpoint: endpoint.clone(),
                schemas: schemas.transpose()?,
                topics: Topics::new(endpoint),
                lanes: [kafka.live.as_str().into(), kafka.backfill.as_str().into()],
                documents,
                dead_letters: kafka.dead_letters.as_str().into(),
                ledger: Arc::clone(ledger),
                appender: OnceLock::new(),
                transactions: OnceLock::new(),
            }),
            Patience::default(),
        ))
    }

    /// The same log, whose brokers are waited for.
    pub(crate) fn with(&self, patience: Patience) -> Self {
        Self(Arc::clone(&self.0), patience)
    }

    /// How the brokers are reached.
    pub(crate) fn endpoint(&self) -> &KafkaEndpoint {
        &self.0.endpoint
    }

    /// What can be asked about topics.
    pub(crate) fn topics(&self) -> &Topics {
        &self.0.topics
    }

    /// Appends a record without a value to some topic.
    pub(crate) async fn send(
        &self,
        topic: &str,
        key: &str,
        headers: Vec<(String, Vec<u8>)>,
    ) -> Result<(), StateError> {
        let (topic, key) = (topic.into(), Some(key.as_bytes().to_vec()));
        self.appender()?.append(&[Outgoing { topic, key, payload: None, headers, partition: None }]).await
    }

    /// What decodes the records of a source.
    pub(crate) fn decoder(&self, source: &SourcePlan) -> RecordDecoder {
        RecordDecoder::new(source.encoding, self.0.schemas.clone())
    }

    fn source(&self, name: &str) -> Option<&SourcePlan> {
        self.0.sources.iter().find(|source| source.name == name)
    }

    fn topic_of(&self, source: &str) -> Option<&str> {
        match &self.source(source)?.input {
            SourceInput::Topic(topic) => Some(topic),
            SourceInput::File | SourceInput::Http => None,
        }
    }

    /// The group that reads a source. The sources of one topic read it in groups of their own, as each commits what it has routed.
    pub(crate) fn group_of(&self, source: &SourcePlan) -> String {
        let mut readers = self.0.sources.iter().filter(|other| other.input == source.input);
        let route_group = &self.0.kafka.route_group;
        match readers.next() {
            Some(first) if first.name != source.name => format!("{route_group}-{}", source.name),
            _ => route_group.clone(),
        }
    }

    /// The topic of a source and the group that reads it, where the topic is there.
    async fn existing(&self, source: &str) -> Result<Option<(&str, String)>, StateError> {
        let Some((plan, topic)) = self.source(source).zip(self.topic_of(source)) else {
            return Ok(None);
        };
        let is_there = self.0.topics.exists(topic).await?;
        Ok(is_there.then(|| (topic, self.group_of(plan))))
    }

    fn lane(&self, lane: Lane) -> &Arc<str> {
        &self.0.lanes[lane.number()]
    }

    fn appender(&self) -> Result<&Appender, StateError> {
        if let Some(appender) = self.0.appender.get() {
            return Ok(appender);
        }
        let appender = Appender::start(&self.0.endpoint)?;
        Ok(self.0.appender.get_or_init(|| appender))
    }

    /// The one transactional producer of this process. Its name is never used again: under a name that lives on, a process that
    /// was frozen would take it back from its successor when it wakes. What a killed process left open, its timeout ends.
    pub(crate) fn transactions(&self) -> &Transactions {
        self.0.transactions.get_or_init(|| {
            let instance = rand::random::<u64>();
            Transactions::start(&self.0.endpoint, &format!("{}-{instance:016x}", self.0.index))
        })
    }

    /// The position of the last entry that is committed in each partition that has a commit.
    async fn committed(&self, lane: Lane) -> Result<Ends, StateError> {
        let next = self
            .1
            .try_until_done(|| self.0.topics.committed(&self.0.kafka.rebuild_group, self.lane(lane)))
            .await?;
        Ok(next.into_iter().map(|(partition, next)| (partition, next - 1)).collect())
    }
}

#[async_trait]
impl ReindexLog for KafkaLog {
    async fn append(&self, append: Append) -> Result<(), StateError> {
        let Append { entries, dead_letters, settled, progress } = append;
        let mut records = Vec::with_capacity(entries.len() + dead_letters.len());
        for entry in &entries {
            records.push(wire::record(self.lane(entry.lane), entry));
        }
        for letter in dead_letters {
            records.push(dead_letter::record(&self.0.dead_letters, letter));
        }
        if !records.is_empty() {
            let appender = self.appender()?;
            self.1.try_until_done(|| appender.append(&records)).await?;
        }
        if !settled.is_empty() {
            self.settle(&settled).await?;
        }
        let Some(position) = progress.and_then(|progress| progress.position.topic) else { return Ok(()) };
        let offsets = vec![position.into_offsets()];
        let bundle = Bundle { records: Vec::new(), offsets };
        self.1.try_until_done(|| self.transactions().commit(bundle.clone())).await
    }

    async fn ends(&self, lane: Lane) -> Result<Ends, StateError> {
        let next = self.1.try_until_done(|| self.0.topics.ends(self.lane(lane))).await?;
        Ok(next.into_iter().map(|(partition, next)| (partition, next - 1)).collect())
    }

    async fn lag(&self, lane: Lane) -> Result<u64, StateError> {
        let (topics, group) = (&self.0.topics, &self.0.kafka.rebuild_group);
        Ok(self.1.try_until_done(|| topics.lag(group, self.lane(lane))).await?.values().sum())
    }

    async fn lag_through(&self, lane: Lane, through: &Ends) -> Result<u64, StateError> {
        let committed = self.committed(lane).await?;
        let beginnings = self.1.try_until_done(|| self.0.topics.beginnings(self.lane(lane))).await?;
        let behind = through.iter().map(|(partition, end)| {
            // Before the first commit, everything that is there is behind.
            let first = beginnings.get(partition).map_or(-1, |begin| begin - 1);
            let done = committed.get(partition).copied().unwrap_or(first);
            u64::try_from(end - done).unwrap_or(0)
        });
        Ok(behind.sum())
    }

    /// The group remembers it.
    async fn source_progress(&self, _source: &str) -> Result<Option<Position>, StateError> {
        Ok(None)
    }

    async fn source_position(&self, source: &str) -> Result<Option<i64>, StateError> {
        let Some((topic, group)) = self.existing(source).await? else { return Ok(None) };
        let next = self.0.topics.committed(&group, topic).await?;
        Ok((!next.is_empty()).then(|| next.values().sum()))
    }

    async fn source_lag(&self, source: &str) -> Result<Option<u64>, StateError> {
        let Some((topic, group)) = self.existing(source).await? else { return Ok(None) };
        Ok(Some(self.0.topics.lag(&group, topic).await?.values().sum()))
    }

    async fn source_waits_for(&self, source: &str) -> Result<Option<String>, StateError> {
        let Some(topic) = self.topic_of(source) else { return Ok(None) };
        let is_there = self.0.topics.exists(topic).await?;
        Ok((!is_there)
            .then(|| format!("the topic {topic} does not exist; it is read as soon as it is there")))
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterRow>, StateError> {
        let Letters { reach, settled } = self.letters().await?;
        let begins: Ends = reach.iter().map(|(partition, range)| (*partition, range.start)).collect();
        let ends: Ends = reach.iter().map(|(partition, range)| (*partition, range.end)).collect();
        let mut depth = i64::try_from(limit).unwrap_or(i64::MAX);
        loop {
            let from = |(partition, range): (&i32, &Range<i64>)| {
                (*partition, settled.reach_back(*partition, range.clone(), depth))
            };
            let from: Ends = reach.iter().map(from).collect();
            let (is_all, known) = (from == begins, settled.clone());
            let keep = move |message: OwnedMessage| {
                let is_open = !known.contains(message.partition(), message.offset());
                is_open.then(|| dead_letter::row(&message))
            };
            let mut rows = self.0.topics.select(&self.0.dead_letters, from, ends.clone(), keep).await?;
            // A topic that somebody else made may have lost single records.
            if rows.len() >= limit || is_all {
                rows.sort_by_key(|row| Reverse((row.at, row.number)));
                rows.truncate(limit);
                return Ok(rows);
            }
            depth = depth.saturating_mul(4).max(1);
        }
    }

    async fn read_dead_letters(&self, numbers: &[LetterNumber]) -> Result<Vec<KeptLetter>, StateError> {
        let Letters { reach, settled } = self.letters().await?;
        let is_there = |(partition, offset): &(i32, i64)| {
            let is_within = reach.get(partition).is_some_and(|range| range.contains(offset));
            is_within && !settled.contains(*partition, *offset)
        };
        let wanted: BTreeSet<(i32, i64)> = offsets(numbers).filter(is_there).collect();
        let (mut from, mut to) = (Ends::new(), Ends::new());
        for (partition, offset) in &wanted {
            from.entry(*partition).or_insert(*offset);
            to.insert(*partition, offset + 1);
        }
        let keep = move |message: OwnedMessage| {
            let is_wanted = wanted.contains(&(message.partition(), message.offset()));
            is_wanted.then(|| dead_letter::kept(&message))
        };
        self.0.topics.select(&self.0.dead_letters, from, to, keep).await
    }

    async fn dead_letter_count(&self) -> Result<u64, StateError> {
        let Letters { reach, settled } = self.letters().await?;
        let open = |(partition, range): (&i32, &Range<i64>)| settled.open_within(*partition, range.clone());
        Ok(reach.iter().map(open).sum())
    }
}

/// What there is in the topic of dead letters.
struct Letters {
    reach: Reach,
    settled: Settled,
}

impl KafkaLog {
    async fn letters(&self) -> Result<Letters, StateError> {
        // Before the topic's ends: nothing is settled that is not in the topic by then.
        let settled = self.0.ledger.settled_letters().await?;
        let reach = self.reach_of_letters().await?;
        Ok(Letters { settled: settled.trimmed(&reach), reach })
    }

    async fn reach_of_letters(&self) -> Result<Reach, StateError> {
        let topic = &self.0.dead_letters;
        let (begins, ends) = (self.0.topics.beginnings(topic).await?, self.0.topics.ends(topic).await?);
        let range = |(partition, end)| {
            let begin = begins.get(&partition).copied().unwrap_or_default();
            (partition, begin.min(end)..end)
        };
        Ok(ends.into_iter().map(range).collect())
    }

    /// Remembers that these dead letters are settled, and forgets those that their topic has deleted.
    async fn settle(&self, numbers: &[LetterNumber]) -> Result<(), StateError> {
        let mut settled = Settled::default();
        offsets(numbers).for_each(|(partition, offset)| settled.insert(partition, offset));
        let reach = self.1.try_until_done(|| self.reach_of_letters()).await?;
        self.1.try_until_done(|| self.0.ledger.settle_letters(&settled, &reach)).await
    }
}

/// Partitions and offsets. What names no partition is no record of a topic.
fn offsets(numbers: &[LetterNumber]) -> impl Iterator<Item = (i32, i64)> {
    numbers.iter().filter_map(|letter| Some((letter.partition?, letter.number)))
}

/// A record for a topic, whose partition follows from its key.
fn keyed(topic: &Arc<str>, key: &str, payload: Option<Vec<u8>>) -> Outgoing {
    Outgoing {
        topic: Arc::clone(topic),
        key: Some(key.as_bytes().to_vec()),
        payload,
        headers: Vec::new(),
        partition: None,
    }
}
