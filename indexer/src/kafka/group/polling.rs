//! The thread that polls a consumer, and what happens on it when partitions are assigned and revoked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    types::RDKafkaRespErr,
};
use tokio_util::sync::CancellationToken;

use super::{
    Seats,
    share::{Gap, Held, Share, Wish},
};
use crate::{
    heartbeat::Heartbeat,
    kafka::client::{Meaning, Watch},
};

/// How long a revocation waits for its owner to finish what it began. Far below `max.poll.interval.ms`, after which the group
/// would go on without us, and enough for what a gateway and a store need.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How long one question to a broker may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How often it is looked whether what was wrong is mended.
const PROBE: Duration = Duration::from_secs(1);

/// The consumer's side of a member.
pub(super) struct Seat {
    watch: Arc<Watch>,
    seats: Arc<Seats>,
    stop: CancellationToken,
    heartbeat: Heartbeat,
    held: Mutex<Option<Arc<Held>>>,
}

impl Seat {
    pub(super) fn new(
        watch: Arc<Watch>,
        seats: Arc<Seats>,
        stop: CancellationToken,
        heartbeat: Heartbeat,
    ) -> Self {
        Self { watch, seats, stop, heartbeat, held: Mutex::default() }
    }

    fn held(&self) -> Option<Arc<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn assign(&self, consumer: &BaseConsumer<Self>, assigned: &TopicPartitionList) {
        // First of all: what comes below takes time, and a later generation would let us commit what we don't own.
        let generation = consumer.group_metadata().expect("a consumer with a group has its metadata");
        let start = loop {
            match starts(consumer, assigned) {
                Ok(start) => break start,
                // Without them nothing can begin. Heartbeats go on meanwhile; if the group goes on without us, commits are fenced.
                Err(error) => self.watch.note(self.watch.explained(&error)),
            }
            self.heartbeat.beat();
            if self.stop.is_cancelled() {
                break TopicPartitionList::new();
            }
            std::thread::sleep(PROBE / 4);
        };
        let mut committed: BTreeMap<Arc<str>, BTreeMap<i32, i64>> = BTreeMap::new();
        for element in start.elements() {
            if let Offset::Offset(offset) = element.offset() {
                committed.entry(element.topic().into()).or_default().insert(element.partition(), offset);
            }
        }
        if let Err(error) = consumer.assign(&start) {
            self.watch.note(self.watch.explained(&error));
            return;
        }
        let held = Arc::new(Held::new(generation, committed));
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&held));
        *self.seats.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Share(held)));
        self.seats.came.notify_one();
        if self.watch.trouble().is_some_and(|trouble| trouble.meaning == Meaning::Passing) {
            self.watch.clear();
        }
    }

    /// Tells the owner of a share that others have it.
    fn lose(&self) {
        if let Some(held) = self.held.lock().unwrap_or_else(PoisonError::into_inner).take() {
            held.revoke(true);
        }
        drop(self.seats.next.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(held) = held {
            let is_lost = consumer.assignment_lost();
            held.revoke(is_lost);
            // Who never got it has nothing to finish.
            drop(self.seats.next.lock().unwrap_or_else(PoisonError::into_inner).take());
            if !is_lost && !held.wait_until_released(DRAIN) {
                tracing::warn!(
                    "partitions go to another process, and what is in work on them is thrown away after {DRAIN:?}"
                );
            }
        }
        if let Err(error) = consumer.unassign() {
            self.watch.note(self.watch.explained(&error));
        }
    }
}

/// The offset to begin each partition at: the committed one, else its oldest.
fn starts(
    consumer: &BaseConsumer<Seat>,
    assigned: &TopicPartitionList,
) -> Result<TopicPartitionList, KafkaError> {
    let mut start = TopicPartitionList::new();
    if assigned.count() == 0 {
        return Ok(start);
    }
    let mut fresh = TopicPartitionList::new();
    for element in consumer.committed_offsets(assigned.clone(), ANSWER)?.elements() {
        element.error()?;
        match element.offset() {
            Offset::Offset(offset) => {
                start.add_partition_offset(element.topic(), element.partition(), Offset::Offset(offset))?;
            }
            _ => fresh.add_partition_offset(element.topic(), element.partition(), Offset::Beginning)?,
        }
    }
    if fresh.count() > 0 {
        for element in consumer.offsets_for_times(fresh, ANSWER)?.elements() {
            element.error()?;
            start.add_partition_offset(element.topic(), element.partition(), element.offset())?;
        }
    }
    Ok(start)
}

impl ConsumerContext for Seat {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            _ => self.revoke(consumer),
        }
    }
}

impl ClientContext for Seat {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.watch.log(level, facility, line);
    }

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.error(error, reason);
    }
}

/// Polls until the member is dropped or can't go on, then leaves the group.
pub(super) fn poll(consumer: BaseConsumer<Seat>, topics: &[Arc<str>]) {
    let seat = Arc::clone(consumer.context());
    let mut probed = Instant::now();
    let mut may_have_gaps = false;
    while !seat.stop.is_cancelled() {
        seat.heartbeat.beat();
        let held = seat.held();
        let is_any_paused = held.as_ref().is_some_and(|held| held.is_any_paused());
        let wait = if is_any_paused { Duration::from_millis(10) } else { Duration::from_millis(50) };
        match consumer.poll(wait) {
            // Read anew: a rebalance may have happened in this poll.
            Some(Ok(record)) => {
                if let Some(held) = seat.held() {
                    held.keep(record.detach());
                }
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                let trouble = seat.watch.cluster.trouble(&KafkaError::MessageConsumptionFatal(code));
                tracing::warn!("{}: {}", trouble.what, trouble.reason);
                seat.lose();
                *seat.seats.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
                break;
            }
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::LogTruncation,
            ))) => may_have_gaps = true,
            // The context heard of it.
            Some(Err(_)) | None => {}
        }
        let Some(held) = seat.held() else {
            probe(&consumer, &seat.watch, topics, &mut probed);
            continue;
        };
        for (topic, wish) in held.wishes() {
            follow(&consumer, &seat.watch, &held, &topic, wish);
        }
        if may_have_gaps {
            may_have_gaps = find_gaps(&consumer, &held).is_err_and(|error| {
                seat.watch.note(seat.watch.explained(&error));
                true
            });
        }
        let answered = held.answered();
        if !answered.is_empty()
            && let Err(error) = go_on(&consumer, &held, &answered)
        {
            seat.watch.note(seat.watch.explained(&error));
        }
        probe(&consumer, &seat.watch, topics, &mut probed);
    }
    // Closing revokes, which waits for the owner, and leaves.
    drop(consumer);
    // A consumer that failed for good revokes nothing.
    seat.lose();
}

fn follow(consumer: &BaseConsumer<Seat>, watch: &Watch, held: &Held, topic: &str, wish: Wish) {
    let mut list = TopicPartitionList::new();
    for partition in held.partitions(topic) {
        list.add_partition(topic, partition);
    }
    let done = match wish {
        Wish::Pause => consumer.pause(&list),
        Wish::Resume => consumer.resume(&list),
    };
    if let Err(error) = done {
        watch.note(watch.explained(&error));
    }
}

/// Finds out which partitions stand still, and lets those go on that need not. librdkafka tells that one does, but not which.
fn find_gaps(consumer: &BaseConsumer<Seat>, held: &Held) -> Result<(), KafkaError> {
    for (topic, partition, wanted) in held.reading() {
        let (oldest, end) = consumer.fetch_watermarks(&topic, partition, ANSWER)?;
        if (oldest..=end).contains(&wanted) {
            continue;
        }
        // Who stood still wants what others have done meanwhile, and that may be deleted.
        if let Some(done) = committed(consumer, &topic, partition)?
            && wanted < oldest
            && oldest <= done
        {
            held.close_gap(&topic, partition, done);
            continue;
        }
        tracing::warn!("{topic}/{partition}: offset {wanted} is not there; it holds {oldest} to {end}");
        held.tell(Gap { topic, partition, wanted, oldest, end });
    }
    assign_anew(consumer, held)
}

/// The offset up to which the group is done with a partition by now.
fn committed(consumer: &BaseConsumer<Seat>, topic: &str, partition: i32) -> Result<Option<i64>, KafkaError> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, partition);
    let told = consumer.committed_offsets(asked, ANSWER)?;
    let Some(element) = told.find_partition(topic, partition) else { return Ok(None) };
    element.error()?;
    Ok(match element.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    })
}

/// Lets partitions go on after their gaps.
fn go_on(consumer: &BaseConsumer<Seat>, held: &Held, answered: &[(Arc<str>, i32)]) -> Result<(), KafkaError> {
    for (topic, partition) in answered {
        let (oldest, _) = consumer.fetch_watermarks(topic, *partition, ANSWER)?;
        held.close_gap(topic, *partition, oldest);
    }
    assign_anew(consumer, held)
}

/// Reads on from where it is in every partition without a gap. One that stood still can't be sought, only assigned anew.
fn assign_anew(consumer: &BaseConsumer<Seat>, held: &Held) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (topic, partition, next) in held.reading() {
        list.add_partition_offset(&topic, partition, Offset::Offset(next))?;
    }
    // A pause ends with it.
    held.forget_pauses();
    consumer.assign(&list)
}

/// Looks now and then whether what was wrong is mended: librdkafka tells of failures alone.
fn probe(consumer: &BaseConsumer<Seat>, watch: &Watch, topics: &[Arc<str>], probed: &mut Instant) {
    let Some(trouble) = watch.trouble() else { return };
    if probed.elapsed() < PROBE {
        return;
    }
    let is_there = |topic: &Arc<str>| {
        let told = consumer.fetch_metadata(Some(topic), PROBE);
        told.is_ok_and(|told| told.topics().iter().all(|topic| topic.error().is_none()))
    };
    let is_assigned = consumer.context().held().is_some();
    // A right that the group lacks shows in no metadata: only an assignment proves it.
    if (trouble.meaning == Meaning::Passing || is_assigned) && topics.iter().all(is_there) {
        watch.clear();
    }
    *probed = Instant::now();
}
