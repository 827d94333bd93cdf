//! A topic as a source: the partitions that the group gave to this process, until it asks them back.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rdkafka::message::Headers;

use super::{
    MAX_READ_BYTES, Original, Position, Records, Source, SourceError, SourceRecord, decode::Decoder,
};
use crate::{
    kafka::{GroupOffsets, Message, OwnedMessage, Share, Topics},
    log::Ends,
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
        f.debug_struct("TopicPosition").field("topic", &self.topic).field("next", &self.next).finish()
    }
}

/// Reads a share of a topic.
pub struct TopicSource {
    topic: Arc<str>,
    share: Arc<Share>,
    decoder: Decoder,
    topics: Topics,
    /// Where each partition is read on.
    next: Ends,
    /// Where each partition ended when that was asked for. Beyond it, records don't count as progress.
    ends: Option<Ends>,
}

impl TopicSource {
    /// The topic's partitions of this share.
    pub fn new(topic: &Arc<str>, share: &Arc<Share>, decoder: Decoder, topics: Topics) -> Self {
        let next = share.committed(topic);
        Self { topic: Arc::clone(topic), share: Arc::clone(share), decoder, topics, next, ends: None }
    }

    fn position(&self) -> Position {
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
        if messages.is_empty() {
            return Ok(Records { records: Vec::new(), next: from.clone() });
        }
        let mut records = Vec::with_capacity(messages.len());
        for message in &messages {
            let original = original(message, &self.topic);
            let content = self.decoder.decode(&original).await?;
            self.next.insert(original.partition, original.offset + 1);
            let place = format!("partition {}, offset {}", original.partition, original.offset);
            records.push(SourceRecord { place, content, original: Some(Box::new(original)) });
        }
        Ok(Records { records, next: self.position() })
    }

    async fn arrived(&mut self) {
        self.share.arrived_in(&self.topic).await;
    }

    async fn end(&mut self) -> Result<i64, SourceError> {
        let mut ends = self.topics.ends(&self.topic).await?;
        ends.retain(|partition, _| self.next.contains_key(partition));
        self.ends = Some(ends);
        Ok(self.sum(|_, _| i64::MAX))
    }
}

fn original(message: &OwnedMessage, topic: &Arc<str>) -> Original {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Original {
        topic: Arc::clone(topic),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
    }
}
