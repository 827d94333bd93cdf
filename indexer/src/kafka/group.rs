//! A member of a consumer group: what it is assigned, from assignment to revocation, as one share after another.
//!
//! A thread of its own polls and never stops, so that a slow owner is no reason to be thrown out of the group. What it reads
//! waits in the share, bounded; a full topic is paused, not the thread.

mod polling;
mod share;

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::polling::Seat;
pub use self::{
    polling::DRAIN,
    share::{Gap, MAX_BYTES, MAX_RECORDS, Share},
};
use super::client::{Cluster, Trouble, Watch};
use crate::{StateError, endpoints::KafkaEndpoint, heartbeat};

/// What the user may change.
///
/// A revocation is noticed by the next heartbeat, and a new partition or topic by the next look at the topics. librdkafka
/// keeps 4 MiB of its own beside the share's buffers; one answer of a broker is 8 MiB at most, unless one record is larger.
const PREFERRED: [(&str, &str); 5] = [
    ("heartbeat.interval.ms", "1000"),
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("queued.max.messages.kbytes", "4096"),
    ("fetch.max.bytes", "8388608"),
    ("fetch.queue.backoff.ms", "20"),
];

/// What must be so.
///
/// `range` gives equal partition numbers of two topics to one member, which is what makes one process own an id in both
/// lanes; the cooperative assignors don't. Generations, which fence, are the classic protocol's. An offset that is gone is
/// told, not skipped.
const NEEDED: [(&str, &str); 7] = [
    ("group.protocol", "classic"),
    ("partition.assignment.strategy", "range"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("isolation.level", "read_committed"),
    ("auto.offset.reset", "error"),
    ("allow.auto.create.topics", "false"),
];

/// A member of a consumer group. When it is dropped, it leaves the group as soon as its share is released.
pub struct Member {
    stop: CancellationToken,
    ended: CancellationToken,
    seats: Arc<Seats>,
    watch: Arc<Watch>,
}

/// What the polling thread hands over.
#[derive(Default)]
struct Seats {
    /// The newest share that nobody took yet.
    next: Mutex<Option<Arc<Share>>>,
    came: Notify,
    /// Why the thread ended by itself.
    end: Mutex<Option<Trouble>>,
}

impl Member {
    /// Joins a group and asks for shares of these topics. A partition without a committed offset is read from its beginning.
    ///
    /// Fails only where the settings are refused; brokers that are away are waited for.
    pub fn join(endpoint: &KafkaEndpoint, group: &str, topics: Vec<Arc<str>>) -> Result<Self, StateError> {
        let cluster = Arc::new(Cluster::new(endpoint));
        let instance = endpoint.instance_id.as_deref().map(|id| ("group.instance.id", id));
        let needed: Vec<(&str, &str)> =
            NEEDED.into_iter().chain([("group.id", group)]).chain(instance).collect();
        let settings = cluster.settings(&PREFERRED, &needed);
        let watch = Arc::new(Watch::new(cluster));
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let seats = Arc::new(Seats::default());
        let heartbeat = heartbeat::beside(format!("polling for {group}"));
        let seat = Seat::new(Arc::clone(&watch), Arc::clone(&seats), stop.clone(), heartbeat);
        let refused = |error| StateError::from(watch.cluster.trouble(&error));
        let consumer: BaseConsumer<Seat> = settings.create_with_context(seat).map_err(refused)?;
        let names: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        consumer.subscribe(&names).map_err(refused)?;
        let end = ended.clone().drop_guard();
        std::thread::Builder::new()
            .name(format!("kafka-{group}"))
            .spawn(move || {
                polling::poll(consumer, &topics);
                drop(end);
            })
            .expect("the system gives a thread");
        Ok(Self { stop, ended, seats, watch })
    }

    /// The next share, each once; `None` when `stop` is cancelled. Waits while nothing is assigned.
    ///
    /// The share before has been released or lost by then. `Err` where the group will give no more: `Fenced` where another
    /// process joined under the same instance id.
    pub async fn next_share(&mut self, stop: &CancellationToken) -> Result<Option<Arc<Share>>, StateError> {
        loop {
            if let Some(share) = self.seats.next.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Ok(Some(share));
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = self.seats.came.notified() => {}
                () = self.ended.cancelled() => {
                    let end = self.seats.end.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let end = end.unwrap_or_else(|| self.watch.cluster.told(
                        super::client::Meaning::Passing, "the member left its group",
                    ));
                    return Err(end.into());
                }
            }
        }
    }

    /// What is wrong, if anything is: brokers that are away, a topic that is missing, a right that is.
    pub fn trouble(&self) -> Option<StateError> {
        self.watch.trouble().map(StateError::from)
    }

    /// Leaves the group and waits until it has: others get the partitions at once, not after the session's end.
    pub async fn leave(self) {
        self.stop.cancel();
        self.ended.cancelled().await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
