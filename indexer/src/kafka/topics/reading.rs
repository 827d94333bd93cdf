//! Reads single records of a topic for people: the last ones, or one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
};

use super::{ANSWER, Shared};
use crate::kafka::client::{Meaning, Trouble};

pub(super) fn latest(shared: &Shared, topic: &str, records: usize) -> Result<Vec<OwnedMessage>, Trouble> {
    let beginnings = shared.offsets(topic, Offset::Beginning)?;
    let ends = shared.offsets(topic, Offset::End)?;
    // Markers of transactions have offsets, too, and so has what compaction removed. So look twice as far until it is enough.
    let mut depth = i64::try_from(records).unwrap_or(i64::MAX).saturating_mul(2).max(1);
    loop {
        let from = |(partition, end): (&i32, &i64)| {
            let oldest = beginnings.get(partition).copied().unwrap_or_default();
            (*partition, (end - depth).max(oldest))
        };
        let from: BTreeMap<i32, i64> = ends.iter().map(from).collect();
        let mut found = through(shared, topic, &from, &ends, Some)?;
        let is_all = from.iter().all(|(partition, offset)| beginnings.get(partition) == Some(offset));
        if found.len() >= records || is_all {
            found.sort_by_key(|record| (Reverse(record.timestamp().to_millis()), Reverse(record.offset())));
            found.truncate(records);
            return Ok(found);
        }
        depth = depth.saturating_mul(4);
    }
}

pub(super) fn one(
    shared: &Shared,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Option<OwnedMessage>, Trouble> {
    let at = |offsets: BTreeMap<i32, i64>| offsets.get(&partition).copied();
    let oldest = at(shared.offsets(topic, Offset::Beginning)?);
    let end = at(shared.offsets(topic, Offset::End)?);
    if oldest.is_none_or(|oldest| offset < oldest) || end.is_none_or(|end| offset >= end) {
        return Ok(None);
    }
    let (from, to) = (BTreeMap::from([(partition, offset)]), BTreeMap::from([(partition, offset + 1)]));
    let found = through(shared, topic, &from, &to, Some)?;
    Ok(found.into_iter().find(|record| record.offset() == offset))
}

/// What is kept of the records from offsets to ends, in the order of each partition.
pub(super) fn through<T>(
    shared: &Shared,
    topic: &str,
    from: &BTreeMap<i32, i64>,
    ends: &BTreeMap<i32, i64>,
    mut keep: impl FnMut(OwnedMessage) -> Option<T>,
) -> Result<Vec<T>, Trouble> {
    let consumer =
        shared.consumer(&[("group.id", "studio-search-reading"), ("enable.partition.eof", "true")])?;
    let mut open: BTreeSet<i32> =
        ends.iter().filter(|(partition, end)| from.get(partition) < Some(end)).map(|(at, _)| *at).collect();
    let mut list = TopicPartitionList::new();
    for partition in &open {
        let added = list.add_partition_offset(topic, *partition, Offset::Offset(from[partition]));
        added.map_err(|error| shared.cluster.trouble(&error))?;
    }
    let explained = |error: &KafkaError| consumer.context().0.explained(error);
    consumer.assign(&list).map_err(|error| explained(&error))?;
    let (mut records, mut heard) = (Vec::new(), Instant::now());
    while !open.is_empty() {
        match consumer.poll(ANSWER / 100) {
            Some(Ok(record)) => {
                let end = ends.get(&record.partition()).copied().unwrap_or_default();
                if record.offset() + 1 >= end {
                    open.remove(&record.partition());
                }
                if record.offset() < end {
                    records.extend(keep(record.detach()));
                }
                heard = Instant::now();
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
                heard = Instant::now();
            }
            // A client must name a group to be assigned anything by hand; it needs no right to it.
            Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::GroupAuthorizationFailed))) | None => {}
            Some(Err(error)) => {
                let trouble = explained(&error);
                if trouble.meaning != Meaning::Passing {
                    return Err(trouble);
                }
            }
        }
        if heard.elapsed() > ANSWER {
            let silent = format!("{topic} can't be read to its end: nothing came for {ANSWER:?}");
            let trouble = consumer.context().0.trouble();
            return Err(trouble.unwrap_or_else(|| shared.cluster.told(Meaning::Passing, &silent)));
        }
    }
    Ok(records)
}
