//! The producer itself: one transaction after another, each resolved one way or the other before the next.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::ConsumerGroupMetadata,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use super::{Bundle, Outgoing};
use crate::kafka::client::{Meaning, Trouble, Watch};

/// After this long a broker aborts a transaction by itself. An open one blocks its successor and every reader of what is
/// committed, so a crash costs them this; what takes longer than this to produce can't be committed.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one call of librdkafka blocks before somebody looks whether it is still wanted.
const STEP: Duration = Duration::from_secs(2);

/// How long its events are listened to between two steps: connections that failed, and why.
const EVENTS: Duration = Duration::from_millis(5);

/// What may be changed by the user.
///
/// `message.max.bytes`: the largest answer that is read from a gateway, so no document is larger. Batches stay below the
/// megabyte that brokers take unless told otherwise. `lz4`: every client reads it, and it costs the least time of all.
const PREFERRED: [(&str, &str); 5] = [
    ("compression.type", "lz4"),
    ("linger.ms", "1"),
    ("message.max.bytes", "33554432"),
    ("queue.buffering.max.kbytes", "65536"),
    ("topic.metadata.propagation.max.ms", "3000"),
];

/// One producer under its transactional id.
pub(super) struct Producing {
    watch: Arc<Watch>,
    transactional_id: String,
    producer: Option<BaseProducer<Deliveries>>,
    /// Set once another process has the transactional id. There is no way back.
    fenced: Option<Trouble>,
}

/// Hears of each record whether it arrived.
struct Deliveries {
    watch: Arc<Watch>,
    failed: Mutex<Option<Trouble>>,
}

/// Offsets under their generation, the highest of each partition.
type Merged = Vec<(Arc<ConsumerGroupMetadata>, BTreeMap<(Arc<str>, i32), i64>)>;

impl Producing {
    pub(super) fn new(watch: Arc<Watch>, transactional_id: &str) -> Self {
        Self { watch, transactional_id: transactional_id.to_owned(), producer: None, fenced: None }
    }

    /// Makes a producer that may begin a transaction, where there is none. Waits for a broker; ends early, with what is
    /// wrong, where the broker refuses or nobody waits any more.
    pub(super) fn ready(&mut self, is_given_up: &dyn Fn() -> bool) -> Result<(), Trouble> {
        if let Some(fenced) = &self.fenced {
            return Err(fenced.clone());
        }
        if self.producer.is_some() {
            return Ok(());
        }
        let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
        let settings = self.watch.cluster.settings(
            &PREFERRED,
            &[
                ("transactional.id", &self.transactional_id),
                ("transaction.timeout.ms", &timeout),
                ("message.timeout.ms", &timeout),
                ("enable.idempotence", "true"),
                ("acks", "all"),
                // What Java's producers do, so that whoever writes to a lane finds the same partition.
                ("partitioner", "murmur2_random"),
                ("allow.auto.create.topics", "false"),
            ],
        );
        let deliveries = Deliveries { watch: Arc::clone(&self.watch), failed: Mutex::default() };
        let producer: BaseProducer<Deliveries> =
            settings.create_with_context(deliveries).map_err(|error| self.noted(&error))?;
        loop {
            let Err(error) = producer.init_transactions(STEP) else { break };
            producer.poll(EVENTS);
            let trouble = self.noted(&error);
            if is_given_up() || trouble.meaning != Meaning::Passing || !is_retriable(&error) {
                return Err(trouble);
            }
        }
        self.watch.clear();
        self.producer = Some(producer);
        Ok(())
    }

    /// Runs one transaction. `Err` says why nothing of it will be seen.
    pub(super) fn transact(
        &mut self,
        bundles: &[&Bundle],
        is_given_up: &dyn Fn() -> bool,
    ) -> Result<(), Trouble> {
        let offsets = self.merged(bundles)?;
        let records = || bundles.iter().flat_map(|bundle| &bundle.records);
        if records().next().is_none() && offsets.is_empty() {
            return Ok(());
        }
        self.ready(is_given_up)?;
        let producer = self.producer.as_ref().expect("it was just made ready");
        let began = Instant::now();
        let Err(error) = run(producer, records(), &offsets, is_given_up) else {
            self.watch.clear();
            return Ok(());
        };
        Err(self.settled(&error, began, is_given_up))
    }

    /// The offsets of all bundles by generation. A position that is none would be committed as silently as no position.
    fn merged(&self, bundles: &[&Bundle]) -> Result<Merged, Trouble> {
        let mut merged: Merged = Vec::new();
        for of_group in bundles.iter().flat_map(|bundle| &bundle.offsets) {
            for (topic, partition, next) in &of_group.next {
                if *next < 0 || *partition < 0 {
                    let reason = format!("{topic}/{partition}: {next} is no offset");
                    return Err(self.watch.cluster.told(Meaning::Refused, &reason));
                }
                let known = merged.iter().position(|(group, _)| Arc::ptr_eq(group, &of_group.group));
                let at = known.unwrap_or_else(|| {
                    merged.push((Arc::clone(&of_group.group), BTreeMap::new()));
                    merged.len() - 1
                });
                let highest = merged[at].1.entry((Arc::clone(topic), *partition)).or_insert(*next);
                *highest = (*highest).max(*next);
            }
        }
        Ok(merged)
    }

    /// Ends a transaction that failed, so that the next can begin, and says why it failed.
    fn settled(&mut self, error: &KafkaError, began: Instant, is_given_up: &dyn Fn() -> bool) -> Trouble {
        let Some(producer) = &self.producer else { return self.watch.cluster.trouble(error) };
        // The report about a record knows better than the sum of them.
        let report = producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_record_lost = report.is_some();
        let trouble = report.unwrap_or_else(|| self.watch.explained(error));
        if trouble.meaning == Meaning::Passing {
            self.watch.note(trouble.clone());
        }
        while producer.client().fatal_error().is_none() {
            producer.poll(EVENTS);
            match producer.abort_transaction(STEP) {
                // The numbers that librdkafka gives to records have a gap then, and it would abort the next transaction, too.
                Ok(()) if is_record_lost => break,
                Ok(()) => return trouble,
                // Aborting goes on until it is resolved; a transaction can't begin before.
                Err(error) if is_retriable(&error) && !is_given_up() => {
                    self.noted(&error);
                }
                Err(_) => break,
            }
        }
        self.replaced(trouble, began)
    }

    /// Gives a producer up that can do no more. A new one is made for the next transaction, unless another process has the
    /// transactional id.
    fn replaced(&mut self, trouble: Trouble, began: Instant) -> Trouble {
        let fatal = self.producer.take().and_then(|producer| producer.client().fatal_error());
        let Some((code, reason)) = fatal else { return trouble };
        let cluster = &self.watch.cluster;
        let is_fenced = cluster.trouble_of("", code).meaning == Meaning::Fenced;
        // A broker that ends a transaction for its age fences its producer, too, and tells no difference.
        if is_fenced && began.elapsed() < TRANSACTION_TIMEOUT {
            let reason = format!("another process has the transactional id {:?}", self.transactional_id);
            let fenced = cluster.told(Meaning::Fenced, &reason);
            self.watch.note(fenced.clone());
            self.fenced = Some(fenced.clone());
            return fenced;
        }
        match cluster.trouble_of("", code).meaning {
            Meaning::Refused => cluster.told(Meaning::Refused, &reason),
            _ => cluster.told(Meaning::Passing, &reason),
        }
    }

    fn noted(&self, error: &KafkaError) -> Trouble {
        let trouble = self.watch.explained(error);
        self.watch.note(trouble.clone());
        trouble
    }
}

/// Produces, flushes, sends offsets, commits. Nothing is produced after offsets were sent.
fn run<'a>(
    producer: &BaseProducer<Deliveries>,
    records: impl Iterator<Item = &'a Outgoing>,
    offsets: &Merged,
    is_given_up: &dyn Fn() -> bool,
) -> Result<(), KafkaError> {
    *producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    producer.begin_transaction()?;
    for record in records {
        send(producer, record)?;
    }
    // Each record arrives or fails within the transaction's time, so this ends.
    producer.flush(TRANSACTION_TIMEOUT * 2)?;
    if producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
        return Err(KafkaError::MessageProduction(RDKafkaErrorCode::Fail));
    }
    for (group, next) in offsets {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in next {
            list.add_partition_offset(topic, *partition, rdkafka::Offset::Offset(*next))?;
        }
        until_resolved(producer, is_given_up, || {
            producer.send_offsets_to_transaction(&list, group, TRANSACTION_TIMEOUT)
        })?;
    }
    until_resolved(producer, is_given_up, || producer.commit_transaction(STEP))
}

/// Calls again what librdkafka says may be called again: it then goes on, and does nothing twice.
fn until_resolved(
    producer: &BaseProducer<Deliveries>,
    is_given_up: &dyn Fn() -> bool,
    call: impl Fn() -> Result<(), KafkaError>,
) -> Result<(), KafkaError> {
    loop {
        match call() {
            Err(error) if is_retriable(&error) && !is_given_up() => {
                producer.poll(EVENTS);
                let watch = &producer.context().watch;
                watch.note(watch.explained(&error));
            }
            other => return other,
        }
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable(),
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

fn send(producer: &BaseProducer<Deliveries>, outgoing: &Outgoing) -> Result<(), KafkaError> {
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&outgoing.topic);
    record.key = outgoing.key.as_deref();
    record.payload = outgoing.payload.as_deref();
    record.partition = outgoing.partition;
    if !outgoing.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(outgoing.headers.len());
        record.headers = Some(outgoing.headers.iter().fold(headers, |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value.as_slice()) })
        }));
    }
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                producer.poll(Duration::from_millis(20));
                record = again;
            }
            Err((error, _)) => {
                let context = producer.context();
                if let Some(code) = error.rdkafka_error_code() {
                    context.fail(context.watch.cluster.trouble_of(&outgoing.topic, code));
                }
                return Err(error);
            }
        }
    }
}

impl Deliveries {
    fn fail(&self, trouble: Trouble) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(trouble);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, record)) = result else { return };
        match error.rdkafka_error_code() {
            // Thrown away because another one failed.
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {}
            Some(code) => self.fail(self.watch.cluster.trouble_of(record.topic(), code)),
            None => self.fail(self.watch.cluster.trouble(error)),
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.watch.log(level, facility, line);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.error(error, reason);
    }
}
