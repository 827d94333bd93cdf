//! A share of both lanes, from its assignment by the group until it is revoked.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::{DocumentsLog, KafkaLog, keyed, wire};
use crate::{
    StateError,
    documents::topic::TopicValues,
    heartbeat::waiting,
    kafka::{Bundle, Gap, GroupOffsets, Member, Message, Outgoing, Share},
    log::{Ends, Lane, Logged, Ownership, Tenure},
    store::Document,
};

/// Bytes of a lane that are taken at once: ids are short.
const MAX_BYTES: usize = 1 << 20;

/// How often complete entries are deleted from their lanes.
const TRIM: Duration = Duration::from_mins(1);

/// This process' membership among those who rebuild.
pub(crate) struct Shares {
    log: KafkaLog,
    member: Member,
}

impl Shares {
    /// Joins them.
    pub(crate) fn join(log: &KafkaLog) -> Result<Self, StateError> {
        let member = Member::join(&log.0.endpoint, &log.0.kafka.rebuild_group, log.0.lanes.to_vec())?;
        Ok(Self { log: log.clone(), member })
    }
}

#[async_trait]
impl Ownership for Shares {
    async fn next_tenure(&mut self, stop: &CancellationToken) -> Result<Option<Arc<dyn Tenure>>, StateError> {
        let Some(share) = self.member.next_share(stop).await? else { return Ok(None) };
        let next = self.log.0.lanes.each_ref().map(|topic| share.committed(topic));
        Ok(Some(Arc::new(KafkaTenure {
            trimmed: std::sync::Mutex::new(Instant::now()),
            log: self.log.clone(),
            share,
            next: Mutex::new(next),
        })))
    }

    async fn leave(self: Box<Self>) {
        self.member.leave().await;
    }
}

struct KafkaTenure {
    log: KafkaLog,
    share: Arc<Share>,
    /// The offset that follows what is complete, by lane and partition. Locked while a bundle finds its place in the queue, so
    /// that no later transaction takes a commit back.
    next: Mutex<[BTreeMap<i32, i64>; 2]>,
    /// When what is complete was deleted last.
    trimmed: std::sync::Mutex<Instant>,
}

impl KafkaTenure {
    /// Puts a bundle into the queue with everything that is complete, and waits for its verdict.
    async fn transact(&self, mut bundle: Bundle, through: Option<(Lane, &Ends)>) -> Result<(), StateError> {
        let pending = {
            let mut next = self.next.lock().await;
            if let Some((lane, through)) = through {
                let moved = through.iter().map(|(partition, through)| (*partition, through + 1));
                next[lane.number()].extend(moved);
            }
            let group = self.share.generation();
            let of_lane = |(topic, next): (&Arc<str>, &BTreeMap<i32, i64>)| {
                let topic = Arc::clone(topic);
                next.clone().into_iter().map(move |(partition, next)| (Arc::clone(&topic), partition, next))
            };
            let next = self.log.0.lanes.iter().zip(&*next).flat_map(of_lane).collect();
            bundle.offsets.push(GroupOffsets { group, next });
            self.log.transactions().submit(bundle).await
        };
        waiting(pending.verdict()).await // the brokers may be away for long
    }
}

impl KafkaTenure {
    /// Deletes what is complete, now and then. What isn't deleted now is deleted with more of it later.
    async fn trim(&self) {
        {
            let mut trimmed = self.trimmed.lock().unwrap_or_else(PoisonError::into_inner);
            if trimmed.elapsed() < TRIM {
                return;
            }
            *trimmed = Instant::now();
        }
        let next = self.next.lock().await.clone();
        let (topics, lanes) = (self.log.topics().clone(), self.log.0.lanes.clone());
        tokio::spawn(async move {
            for (lane, next) in lanes.iter().zip(next) {
                if let Err(error) = topics.delete_records(lane, next).await {
                    tracing::debug!("{lane} was not trimmed: {error}");
                }
            }
        });
    }
}

#[async_trait]
impl Tenure for KafkaTenure {
    async fn prove(&self) -> Result<(), StateError> {
        if self.share.partitions(self.log.lane(Lane::Live)).is_empty() {
            return Ok(()); // there are more processes than partitions, and nothing is fetched here
        }
        self.transact(Bundle::default(), None).await
    }

    fn is_executor(&self) -> bool {
        self.share.partitions(self.log.lane(Lane::Live)).contains(&0)
    }

    async fn committed(&self, lane: Lane) -> Result<Ends, StateError> {
        let next = self.share.committed(self.log.lane(lane));
        Ok(next.into_iter().map(|(partition, next)| (partition, next - 1)).collect())
    }

    async fn read(&self, lane: Lane, limit: usize) -> Result<Vec<Logged>, StateError> {
        let messages = self.share.take(self.log.lane(lane), limit, MAX_BYTES);
        let logged = messages.iter().filter_map(|message| {
            let (partition, position) = (message.partition(), message.offset());
            let entry = wire::entry(lane, message.key(), message.payload());
            if entry.is_none() {
                let topic = message.topic();
                tracing::error!(
                    "{topic}, partition {partition}, offset {position}: no id, so nothing is rebuilt"
                );
            }
            Some(Logged { partition, position, entry: entry? })
        });
        Ok(logged.collect())
    }

    async fn appended(&self) {
        self.share.arrived().await;
    }

    async fn append(&self, query: &str, documents: &[Document]) -> Result<Vec<Option<String>>, StateError> {
        let Some(DocumentsLog { topic, values, .. }) =
            self.log.0.documents.iter().find(|log| log.query == query)
        else {
            // Whoever fetches by a query has opened an index version of it.
            return Ok(vec![
                Some(format!("there is no documents log of the query {query}"));
                documents.len()
            ]);
        };
        let mut records = Vec::with_capacity(documents.len());
        let mut refusals = Vec::with_capacity(documents.len());
        for document in documents {
            let value = values.value(document);
            refusals.push(value.as_ref().err().cloned());
            if let Ok(value) = value {
                let headers = TopicValues::headers(document);
                records.push(Outgoing { headers, ..keyed(topic, document.id.as_str(), value) });
            }
        }
        if !records.is_empty() {
            self.transact(Bundle { records, offsets: Vec::new() }, None).await?;
        }
        Ok(refusals)
    }

    async fn commit(&self, lane: Lane, through: &Ends) -> Result<(), StateError> {
        self.transact(Bundle::default(), Some((lane, through))).await?;
        self.trim().await;
        Ok(())
    }

    fn take_loss(&self) -> Option<String> {
        let gap = self.share.gaps().into_iter().next()?;
        let Gap { topic, partition, wanted, oldest, .. } = gap;
        // What is left is read once a person has seen this.
        self.share.go_on_from_oldest(&topic, partition);
        Some(format!(
            "{topic}, partition {partition}: the entries from {wanted} to {oldest} were deleted before they were rebuilt, so \
             the index may be stale; `studio-search resume` goes on with what is left, and a full backfill mends it"
        ))
    }

    fn revoked(&self) -> &CancellationToken {
        self.share.revoked()
    }

    fn release(&self) {
        self.share.release();
    }
}
