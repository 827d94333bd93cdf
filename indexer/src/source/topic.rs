//! A topic as a source: the partitions that the group gave to this process, until it asks them back.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use plan::Record;
use rdkafka::message::Headers;
use tokio::sync::Notify;

use super::{
    BadRecord, MAX_READ_BYTES, Original, Position, Records, Source, SourceError, SourceRecord,
    decode::{RawRecord, RecordDecoder},
};
use crate::{
    kafka::{Gap, GroupOffsets, Message, OwnedMessage, Share, Topics},
    log::Ends,
    patience::Patience,
};

/// How long a read waits for a record that is known to be there. The brokers may have to be reached first.
const WAIT: Duration = Duration::from_secs(10);

/// Where the partitions of a topic are read on, as a member of the group under one generation.
#[derive(Clone)]
pub struct TopicPosition {
    topic: Arc<str>,
    next: Ends,
    share: Arc<Share>,
}

impl TopicPosition {
    /// After a gap, in its partition.
    pub(crate) fn after(gap: &Gap, share: &Arc<Share>) -> Self {
        let next = Ends::from([(gap.partition, gap.oldest)]);
        Self { topic: Arc::clone(&gap.topic), next, share: Arc::clone(share) }
    }

    /// The position as offsets to commit. They travel with their generation, so that a zombie can't commit them.
    pub(crate) fn into_offsets(self) -> GroupOffsets {
        let Self { topic, next, share } = self;
        let next = next.into_iter().map(|(partition, next)| (Arc::clone(&topic), partition, next));
        GroupOffsets { group: share.generation(), next: next.collect() }
    }
}

impl PartialEq for TopicPosition {
    fn eq(&self, other: &Self) -> bool {
        (&self.topic, &self.next) == (&other.topic, &other.next)
    }
}

impl Eq for TopicPosition {}

impl std::fmt::Debug for TopicPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicPosition")
            .field("topic", &self.topic)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// Gaps in a topic that are answered, told by whoever answers them to whoever reads on after them.
///
/// What was read before it is committed later, and must not set its partition back.
#[derive(Clone, Default)]
pub struct Leaps(Arc<Answered>);

#[derive(Default)]
struct Answered {
    /// The offset that is missing, and the one that is read next, by partition.
    leaps: Mutex<BTreeMap<i32, (i64, i64)>>,
    came: Notify,
}

impl Leaps {
    /// Tells of a gap before anything is read after it.
    pub fn tell(&self, gap: &Gap) {
        let leap = (gap.wanted, gap.oldest);
        self.0.leaps.lock().unwrap_or_else(PoisonError::into_inner).insert(gap.partition, leap);
        self.0.came.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.0.leaps.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Where a partition goes on that is read up to `next`: there, unless a gap begins there.
    fn over(&self, partition: i32, next: i64) -> i64 {
        let mut leaps = self.0.leaps.lock().unwrap_or_else(PoisonError::into_inner);
        match leaps.get(&partition) {
            Some((missing, oldest)) if *missing == next => {
                let oldest = *oldest;
                leaps.remove(&partition);
                oldest
            }
            _ => next,
        }
    }
}

/// Reads a share of a topic.
pub struct TopicSource {
    topic: Arc<str>,
    share: Arc<Share>,
    decoder: RecordDecoder,
    topics: Topics,
    /// Where each partition is read on.
    next: Ends,
    leaps: Leaps,
    /// Where each partition ended when that was asked for. Beyond it, records don't count as progress.
    ends: Option<Ends>,
}

impl TopicSource {
    /// The topic's partitions of this share.
    pub fn new(
        topic: &Arc<str>,
        share: &Arc<Share>,
        decoder: RecordDecoder,
        topics: Topics,
        leaps: Leaps,
    ) -> Self {
        let next = share.committed(topic);
        let (topic, share) = (Arc::clone(topic), Arc::clone(share));
        Self { topic, share, decoder, topics, next, leaps, ends: None }
    }

    /// Decodes a record; nothing where the share was asked back while the registry was waited for.
    async fn decode(
        &self,
        message: &OwnedMessage,
        headers: &[(&str, Option<&[u8]>)],
    ) -> Result<Option<Result<Record, BadRecord>>, SourceError> {
        let raw = RawRecord {
            key: message.key(),
            value: message.payload(),
            headers,
            timestamp: message.timestamp().to_millis(),
        };
        let patience = Patience::until(self.share.revoked().clone());
        let decode = || async { Ok(self.decoder.decode(&raw).await?) };
        match patience.try_until_done(decode).await {
            Err(error) if error.is_of_a_server() && self.share.revoked().is_cancelled() => Ok(None),
            decoded => Ok(Some(decoded?)),
        }
    }

    fn position(&mut self) -> Position {
        for (partition, next) in &mut self.next {
            *next = self.leaps.over(*partition, *next);
        }
        let topic = TopicPosition {
            topic: Arc::clone(&self.topic),
            next: self.next.clone(),
            share: Arc::clone(&self.share),
        };
        Position { at: self.sum(|_, next| next), topic: Some(topic), identity: None }
    }

    /// The sum of the offsets, each as far as it counts.
    fn sum(&self, of: impl Fn(i32, i64) -> i64) -> i64 {
        let counted = |(partition, next): (&i32, &i64)| {
            let end = self.ends.as_ref().and_then(|ends| ends.get(partition)).copied().unwrap_or(i64::MAX);
            of(*partition, *next).min(end)
        };
        self.next.iter().map(counted).sum()
    }
}

#[async_trait]
impl Source for TopicSource {
    /// Goes on where the last read ended, whatever position it is given: the group remembers the first one.
    async fn read(&mut self, from: &Position, limit: usize) -> Result<Records, SourceError> {
        let mut messages = self.share.take(&self.topic, limit, MAX_READ_BYTES);
        if messages.is_empty() && self.ends.is_some() && from.at < self.sum(|_, _| i64::MAX) {
            let _ = tokio::time::timeout(WAIT, self.share.arrived_in(&self.topic)).await;
            messages = self.share.take(&self.topic, limit, MAX_READ_BYTES);
        }
        if messages.is_empty() && self.leaps.is_empty() {
            return Ok(Records { records: Vec::new(), next: from.clone() });
        }
        let mut records = Vec::with_capacity(messages.len());
        for message in &messages {
            let headers: Vec<(&str, Option<&[u8]>)> = headers(message).collect();
            let Some(content) = self.decode(message, &headers).await? else {
                return Ok(Records { records, next: self.position() }); // asked back, and read again by the next owner
            };
            let original = original(message, &self.topic, &headers);
            self.next.insert(original.partition, original.offset + 1);
            let place = format!("partition {}, offset {}", original.partition, original.offset);
            records.push(SourceRecord { place, content, original: Some(Box::new(original)) });
        }
        Ok(Records { records, next: self.position() })
    }

    async fn arrived(&mut self) {
        tokio::select! {
            () = self.share.arrived_in(&self.topic) => {}
            () = self.leaps.0.came.notified() => {}
        }
    }

    async fn end(&mut self) -> Result<i64, SourceError> {
        let mut ends = self.topics.ends(&self.topic).await?;
        ends.retain(|partition, _| self.next.contains_key(partition));
        self.ends = Some(ends);
        Ok(self.sum(|_, _| i64::MAX))
    }
}

/// The headers of a record.
pub(crate) fn headers(message: &OwnedMessage) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
    message.headers().into_iter().flat_map(Headers::iter).map(|header| (header.key, header.value))
}

fn original(message: &OwnedMessage, topic: &Arc<str>, headers: &[(&str, Option<&[u8]>)]) -> Original {
    let owned = |(name, value): &(&str, Option<&[u8]>)| ((*name).to_owned(), value.map(<[u8]>::to_vec));
    Original {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.iter().map(owned).collect(),
    }
}
