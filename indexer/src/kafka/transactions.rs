//! Appends and commits of offsets, all or nothing: one transactional producer on a thread of its own.
//!
//! Whatever waits when a transaction begins shares it, so a thousand small appends cost a few round trips. Offsets go last,
//! each group's under the generation that they were read in: if that generation is over, nothing of the transaction is ever
//! seen.

mod producer;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::consumer::ConsumerGroupMetadata;
use tokio::sync::{mpsc, oneshot};

use self::producer::Producing;
use super::client::{Cluster, Meaning, Trouble, Watch};
use crate::{
    StateError,
    endpoints::KafkaEndpoint,
    heartbeat::{self, Heartbeat},
};

/// What one transaction may hold: more would make its first bundle wait for its last, less would commit more often.
const MAX_RECORDS: usize = 10_000;
/// The same in bytes. A single bundle may be larger, and then has its transaction for itself.
const MAX_BYTES: usize = 8 << 20;

/// Bundles that may wait for the next transaction; who comes then waits for a place.
const WAITING: usize = 1_024;

/// How soon after the last one a transaction may begin that only appends. A transaction costs the brokers and us the same
/// whatever it holds; the first one after a pause begins at once, and so does one that commits, for its caller does nothing else.
const PACE: Duration = Duration::from_millis(50);

/// One record to append.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The topic.
    pub topic: Arc<str>,
    /// The key; by its murmur2 hash the record finds its partition, as Java's producers do it.
    pub key: Option<Vec<u8>>,
    /// The value; none is a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The partition, where the key doesn't decide.
    pub partition: Option<i32>,
}

/// How far a group is, said by one who read under a generation of it.
#[derive(Clone)]
pub struct GroupOffsets {
    /// The generation, as it was when the partitions were assigned. See [`super::Share::generation`].
    pub group: Arc<ConsumerGroupMetadata>,
    /// Topic, partition, and the offset that is read next. An empty list says, and fences, nothing.
    pub next: Vec<(Arc<str>, i32, i64)>,
}

/// What happens together or not at all.
#[derive(Clone, Default)]
pub struct Bundle {
    /// Records to append.
    pub records: Vec<Outgoing>,
    /// Offsets to commit.
    pub offsets: Vec<GroupOffsets>,
}

impl Bundle {
    /// Whether there is nothing to commit but what it appends. The offsets beside documents say only by what right.
    fn only_appends(&self) -> bool {
        !self.records.is_empty()
    }

    fn bytes(&self) -> usize {
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        self.records.iter().map(|record| size(&record.key) + size(&record.payload)).sum()
    }
}

/// A bundle and who waits for its verdict.
struct Waiting {
    bundle: Bundle,
    verdict: oneshot::Sender<Result<(), Trouble>>,
}

/// A bundle in the queue.
pub struct Pending(oneshot::Receiver<Result<(), Trouble>>);

impl Pending {
    /// What became of it, as [`Transactions::commit`] says.
    pub async fn verdict(self) -> Result<(), StateError> {
        Ok(self.0.await.expect("the thread answers before it ends")?)
    }
}

/// The transactional producer of this process. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub struct Transactions {
    waiting: mpsc::Sender<Waiting>,
    watch: Arc<Watch>,
}

impl Transactions {
    /// Starts the producer. It takes the transactional id over from whoever had it before, and waits for a broker if it must.
    pub fn start(endpoint: &KafkaEndpoint, transactional_id: &str) -> Self {
        let watch = Arc::new(Watch::new(Arc::new(Cluster::new(endpoint))));
        let (waiting, queue) = mpsc::channel(WAITING);
        let producing = Producing::new(Arc::clone(&watch), transactional_id);
        let heartbeat = heartbeat::beside("transactions");
        std::thread::Builder::new()
            .name("kafka-transactions".to_owned())
            .spawn(move || work(queue, producing, &heartbeat))
            .expect("the system gives a thread");
        Self { waiting, watch }
    }

    /// Appends and commits; `Ok` says that the transaction is committed.
    ///
    /// `Fenced` where a generation is over or another process has the transactional id, `Refused` where this bundle can't be
    /// taken as it is, `Unreachable` where the brokers couldn't do it now. A dropped call may or may not happen.
    pub async fn commit(&self, bundle: Bundle) -> Result<(), StateError> {
        self.submit(bundle).await.verdict().await
    }

    /// Takes a place in the queue: what is submitted later is committed later, or in the same transaction.
    pub async fn submit(&self, bundle: Bundle) -> Pending {
        let (verdict, told) = oneshot::channel();
        let sent = self.waiting.send(Waiting { bundle, verdict }).await;
        sent.expect("the thread ends after the last handle");
        Pending(told)
    }

    /// What keeps commits waiting, if anything does.
    pub fn trouble(&self) -> Option<StateError> {
        self.watch.trouble().map(StateError::from)
    }
}

fn work(mut queue: mpsc::Receiver<Waiting>, mut producing: Producing, heartbeat: &Heartbeat) {
    let is_given_up = |queue: &mpsc::Receiver<Waiting>| {
        heartbeat.beat(); // it is asked between any two steps
        queue.sender_strong_count() == 0
    };
    // A process that dies in a transaction blocks its successor until this is done: so not at the first append.
    let _ = producing.ready(&|| is_given_up(&queue));
    let mut left = None;
    let mut began: Option<Instant> = None;
    while let Some(first) = left.take().or_else(|| heartbeat.wait(|| queue.blocking_recv())) {
        let pause = began.map_or(Duration::ZERO, |began| PACE.saturating_sub(began.elapsed()));
        if first.bundle.only_appends() && queue.len() < WAITING / 2 {
            std::thread::sleep(pause);
        }
        began = Some(Instant::now());
        let (mut records, mut bytes) = (first.bundle.records.len(), first.bundle.bytes());
        let mut together = vec![first];
        while let Ok(next) = queue.try_recv() {
            records += next.bundle.records.len();
            bytes += next.bundle.bytes();
            if records > MAX_RECORDS || bytes > MAX_BYTES {
                left = Some(next);
                break;
            }
            together.push(next);
        }
        serve(together, &mut producing, &|| is_given_up(&queue));
    }
}

/// Runs the bundles in one transaction, and each alone if that fails: one that is fenced must not fail the others.
fn serve(mut together: Vec<Waiting>, producing: &mut Producing, is_given_up: &dyn Fn() -> bool) {
    together.retain(|waiting| !waiting.verdict.is_closed());
    let bundles: Vec<&Bundle> = together.iter().map(|waiting| &waiting.bundle).collect();
    let mut verdict = producing.transact(&bundles, is_given_up);
    // What passes is worth a second transaction: the first was aborted, so the brokers are there again.
    if verdict.as_ref().is_err_and(|trouble| trouble.meaning == Meaning::Passing) {
        verdict = producing.transact(&bundles, is_given_up);
    }
    let is_final = verdict.is_ok() || together.len() == 1;
    for waiting in together {
        let verdict = match is_final {
            true => verdict.clone(),
            false => producing.transact(&[&waiting.bundle], is_given_up),
        };
        // Who no longer waits is not told.
        let _ = waiting.verdict.send(verdict);
    }
}
