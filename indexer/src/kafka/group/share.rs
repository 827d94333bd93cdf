//! What one member owns from assignment to revocation, and the records of it that wait to be taken.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{Message, consumer::ConsumerGroupMetadata, message::OwnedMessage};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Records of a topic that may wait in a share. Two pages of the coalescer; more would only be memory.
pub const MAX_RECORDS: usize = 4_000;
/// The same in bytes, keys and values.
pub const MAX_BYTES: usize = 8 << 20;

/// An offset that should be read and isn't there any more, or not yet: records expired, or the topic was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset that was to be read next.
    pub wanted: i64,
    /// The oldest offset that is there.
    pub oldest: i64,
    /// The offset that the next record will get. Below `wanted` where the topic was made anew.
    pub end: i64,
}

/// A share of a group's partitions. Dropping it releases it.
pub struct Share(pub(super) Arc<Held>);

/// A share as the polling thread holds it.
pub(super) struct Held {
    generation: Arc<ConsumerGroupMetadata>,
    committed: BTreeMap<Arc<str>, BTreeMap<i32, i64>>,
    revoked: CancellationToken,
    is_lost: AtomicBool,
    buffers: Mutex<BTreeMap<Arc<str>, Buffer>>,
    arrived: Notify,
    is_released: Mutex<bool>,
    released: Condvar,
}

/// The records of one topic that wait.
#[derive(Default)]
struct Buffer {
    queues: BTreeMap<i32, VecDeque<OwnedMessage>>,
    /// The offset that comes next from the broker, by partition.
    next: BTreeMap<i32, i64>,
    gaps: BTreeMap<i32, Gap>,
    answered: BTreeSet<i32>,
    /// The partition that was served last.
    last: i32,
    records: usize,
    bytes: usize,
    is_paused: bool,
    arrived: Arc<Notify>,
}

/// What a topic's buffer asks of the polling thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Pause,
    Resume,
}

impl Share {
    /// The partitions of a topic, in their order.
    pub fn partitions(&self, topic: &str) -> Vec<i32> {
        self.0.committed.get(topic).map(|offsets| offsets.keys().copied().collect()).unwrap_or_default()
    }

    /// The offset from which each partition of a topic is read: what was committed, else its beginning.
    pub fn committed(&self, topic: &str) -> BTreeMap<i32, i64> {
        self.0.committed.get(topic).cloned().unwrap_or_default()
    }

    /// The generation of the group, as it was at the assignment. It must travel with the work, for a later one would let a
    /// zombie commit.
    pub fn generation(&self) -> Arc<ConsumerGroupMetadata> {
        Arc::clone(&self.0.generation)
    }

    /// Cancelled as soon as a revocation begins or the assignment is lost. Nothing is taken from then on.
    pub fn revoked(&self) -> &CancellationToken {
        &self.0.revoked
    }

    /// Whether it was lost: others may own it by now, and what is committed will be fenced.
    pub fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::Acquire)
    }

    /// Takes records of a topic that wait: each partition in its order, the partitions in turn, at least one if there is one.
    pub fn take(&self, topic: &str, max_records: usize, max_bytes: usize) -> Vec<OwnedMessage> {
        let mut buffers = self.0.buffers();
        if self.0.revoked.is_cancelled() {
            return Vec::new(); // what waits may not be forgotten yet
        }
        buffers.get_mut(topic).map(|buffer| buffer.take(max_records, max_bytes)).unwrap_or_default()
    }

    /// Resolves when something came, be it a record or a gap, since it last resolved. For one reader of all topics.
    pub async fn arrived(&self) {
        self.0.arrived.notified().await;
    }

    /// [`Share::arrived`] of one topic, for one reader of it. Never resolves for a topic that isn't in the share.
    pub async fn arrived_in(&self, topic: &str) {
        let notify = self.0.buffers().get(topic).map(|buffer| Arc::clone(&buffer.arrived));
        match notify {
            Some(notify) => notify.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Partitions that stand still because what they should read is not there.
    pub fn gaps(&self) -> Vec<Gap> {
        self.0.buffers().values().flat_map(|buffer| buffer.gaps.values().cloned()).collect()
    }

    /// Lets a partition with a gap go on from what is there.
    pub fn go_on_from_oldest(&self, topic: &str, partition: i32) {
        if let Some(buffer) = self.0.buffers().get_mut(topic)
            && buffer.gaps.contains_key(&partition)
        {
            buffer.answered.insert(partition);
        }
    }

    /// Says that nothing of the share is in work any more. A revocation waits for this, but not for ever.
    pub fn release(&self) {
        self.0.release();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Held {
    /// A share that begins at these offsets.
    pub(super) fn new(
        generation: ConsumerGroupMetadata,
        committed: BTreeMap<Arc<str>, BTreeMap<i32, i64>>,
    ) -> Self {
        let buffer = |next: &BTreeMap<i32, i64>| Buffer { next: next.clone(), ..Buffer::default() };
        let buffers = committed.iter().map(|(topic, next)| (Arc::clone(topic), buffer(next))).collect();
        Self {
            generation: Arc::new(generation),
            committed,
            revoked: CancellationToken::new(),
            is_lost: AtomicBool::new(false),
            buffers: Mutex::new(buffers),
            arrived: Notify::new(),
            is_released: Mutex::new(false),
            released: Condvar::new(),
        }
    }

    fn buffers(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Buffer>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self) {
        *self.is_released.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.released.notify_all();
    }

    /// Tells the owner that it is over. What waits is forgotten: it is read again by whoever is next.
    pub(super) fn revoke(&self, is_lost: bool) {
        self.is_lost.store(is_lost, Ordering::Release);
        self.revoked.cancel();
        for buffer in self.buffers().values_mut() {
            buffer.queues.clear();
            (buffer.records, buffer.bytes) = (0, 0);
            buffer.arrived.notify_one();
        }
        self.arrived.notify_one();
    }

    /// Waits until the owner released it; `false` if that took too long.
    pub(super) fn wait_until_released(&self, limit: Duration) -> bool {
        let guard = self.is_released.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.released.wait_timeout_while(guard, limit, |is_released| !*is_released);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Keeps a record until it is taken.
    pub(super) fn keep(&self, record: OwnedMessage) {
        let mut buffers = self.buffers();
        let Some(buffer) = buffers.get_mut(record.topic()) else { return };
        let (partition, offset) = (record.partition(), record.offset());
        let Some(next) = buffer.next.get_mut(&partition) else { return };
        // Fetched twice around a pause.
        if offset < *next {
            return;
        }
        *next = offset + 1;
        buffer.records += 1;
        buffer.bytes += size(&record);
        buffer.queues.entry(partition).or_default().push_back(record);
        buffer.arrived.notify_one();
        self.arrived.notify_one();
    }

    /// Topics that became too full, or empty enough again. Each wish is told once.
    pub(super) fn wishes(&self) -> Vec<(Arc<str>, Wish)> {
        let mut wishes = Vec::new();
        for (topic, buffer) in self.buffers().iter_mut() {
            let is_full = buffer.records >= MAX_RECORDS || buffer.bytes >= MAX_BYTES;
            // Half: a pause throws away what was fetched ahead, so it must be worth it.
            let has_room = buffer.records <= MAX_RECORDS / 2 && buffer.bytes <= MAX_BYTES / 2;
            if buffer.is_paused && has_room {
                buffer.is_paused = false;
                wishes.push((Arc::clone(topic), Wish::Resume));
            } else if !buffer.is_paused && is_full {
                buffer.is_paused = true;
                wishes.push((Arc::clone(topic), Wish::Pause));
            }
        }
        wishes
    }

    /// Whether a topic is paused, so that its reader's progress should be noticed soon.
    pub(super) fn is_any_paused(&self) -> bool {
        self.buffers().values().any(|buffer| buffer.is_paused)
    }

    /// Says that the consumer pauses nothing any more; what is too full will be paused again.
    pub(super) fn forget_pauses(&self) {
        self.buffers().values_mut().for_each(|buffer| buffer.is_paused = false);
    }

    pub(super) fn partitions(&self, topic: &str) -> Vec<i32> {
        self.committed.get(topic).map(|offsets| offsets.keys().copied().collect()).unwrap_or_default()
    }

    /// The offsets that come next, of all partitions without a gap.
    pub(super) fn reading(&self) -> Vec<(Arc<str>, i32, i64)> {
        let buffers = self.buffers();
        let of_topic = |(topic, buffer): (&Arc<str>, &Buffer)| {
            let is_open = |(partition, _): &(&i32, &i64)| !buffer.gaps.contains_key(partition);
            let named = |(partition, next): (&i32, &i64)| (Arc::clone(topic), *partition, *next);
            buffer.next.iter().filter(is_open).map(named).collect::<Vec<_>>()
        };
        buffers.iter().flat_map(of_topic).collect()
    }

    /// Tells the owner of a gap.
    pub(super) fn tell(&self, gap: Gap) {
        if let Some(buffer) = self.buffers().get_mut(&gap.topic) {
            buffer.gaps.insert(gap.partition, gap);
            buffer.arrived.notify_one();
        }
        self.arrived.notify_one();
    }

    /// Gaps that the owner lets be.
    pub(super) fn answered(&self) -> Vec<(Arc<str>, i32)> {
        let buffers = self.buffers();
        let of_topic = |(topic, buffer): (&Arc<str>, &Buffer)| {
            buffer.answered.iter().map(|partition| (Arc::clone(topic), *partition)).collect::<Vec<_>>()
        };
        buffers.iter().flat_map(of_topic).collect()
    }

    /// Goes on after a gap.
    pub(super) fn close_gap(&self, topic: &str, partition: i32, next: i64) {
        if let Some(buffer) = self.buffers().get_mut(topic) {
            buffer.gaps.remove(&partition);
            buffer.answered.remove(&partition);
            buffer.next.insert(partition, next);
        }
    }
}

impl Buffer {
    fn take(&mut self, max_records: usize, max_bytes: usize) -> Vec<OwnedMessage> {
        let after = self.queues.range(self.last + 1..).map(|(partition, _)| *partition);
        let before = self.queues.range(..=self.last).map(|(partition, _)| *partition);
        let turn: Vec<i32> = after.chain(before).collect();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        loop {
            let before = taken.len();
            for partition in &turn {
                let Some(queue) = self.queues.get_mut(partition) else { continue };
                let Some(next) = queue.front() else { continue };
                let size = size(next);
                if taken.len() >= max_records || !taken.is_empty() && bytes + size > max_bytes {
                    return taken;
                }
                taken.extend(queue.pop_front());
                bytes += size;
                self.last = *partition;
                self.records -= 1;
                self.bytes -= size;
            }
            if taken.len() == before {
                return taken;
            }
        }
    }
}

fn size(record: &OwnedMessage) -> usize {
    record.payload().map_or(0, <[u8]>::len) + record.key().map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;

    use super::*;

    fn buffer(records: &[(i32, &str)]) -> Buffer {
        let mut buffer = Buffer::default();
        for (offset, (partition, value)) in (0..).zip(records) {
            let value = Some(value.as_bytes().to_vec());
            let time = Timestamp::NotAvailable;
            let record = OwnedMessage::new(value, None, "live".to_owned(), time, *partition, offset, None);
            buffer.records += 1;
            buffer.bytes += size(&record);
            buffer.queues.entry(*partition).or_default().push_back(record);
        }
        buffer
    }

    fn values(records: &[OwnedMessage]) -> Vec<&str> {
        records.iter().map(|record| std::str::from_utf8(record.payload().unwrap()).unwrap()).collect()
    }

    #[test]
    fn partitions_take_turns_and_each_keeps_its_order() {
        let mut buffer =
            buffer(&[(0, "a1"), (0, "a2"), (0, "a3"), (0, "a4"), (1, "b1"), (2, "c1"), (2, "c2")]);
        // After partition 0, as it was the last one.
        assert_eq!(values(&buffer.take(2, usize::MAX)), ["b1", "c1"]);
        assert_eq!(values(&buffer.take(3, usize::MAX)), ["a1", "c2", "a2"]);
        assert_eq!(values(&buffer.take(10, usize::MAX)), ["a3", "a4"]);
        assert_eq!((buffer.records, buffer.bytes), (0, 0));
        assert!(buffer.take(10, usize::MAX).is_empty());
    }

    #[test]
    fn a_record_larger_than_what_is_asked_for_comes_alone() {
        let mut buffer = buffer(&[(1, "large"), (1, "s"), (2, "t")]);
        assert_eq!(values(&buffer.take(10, 3)), ["large"]);
        assert_eq!(values(&buffer.take(10, 3)), ["t", "s"]);
        assert!(buffer.take(0, 10).is_empty());
    }
}
