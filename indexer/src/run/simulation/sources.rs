//! The logs of the subgraphs' events, each read by one process at a time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::world::World;
use crate::source::{Position, Records, Source, SourceError, SourceRecord, line};

/// Events of all sources, by the source's name.
#[derive(Default)]
pub(super) struct Events {
    by_source: Mutex<BTreeMap<String, Vec<Event>>>,
    told: Notify,
}

struct Event {
    /// When its source tells it.
    at: Instant,
    text: Vec<u8>,
}

impl Events {
    /// A source is going to tell an event after a while, and never before an earlier one.
    pub(super) fn tell(&self, source: &str, text: String, after: Duration) {
        let mut all = self.by_source();
        let events = all.entry(source.to_owned()).or_default();
        let earliest = events.last().map_or_else(Instant::now, |last| last.at);
        events.push(Event { at: earliest.max(Instant::now() + after), text: text.into_bytes() });
        self.told.notify_waiters();
    }

    /// Waits until a source tells what stands after this position.
    async fn arrived(&self, source: &str, position: usize) {
        let told = self.told.notified();
        let next = self.by_source().get(source).and_then(|events| events.get(position)).map(|event| event.at);
        match next {
            Some(at) => sleep_until(at).await,
            None => told.await,
        }
    }

    fn by_source(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Event>>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many events a source tells in all.
    pub(super) fn count(&self, source: &str) -> usize {
        self.by_source().get(source).map_or(0, Vec::len)
    }

    fn read(&self, source: &str, from: usize, limit: usize) -> Vec<Vec<u8>> {
        let all = self.by_source();
        let now = Instant::now();
        let events = all.get(source).map_or(&[][..], |events| &events[from..]);
        events
            .iter()
            .take_while(|event| event.at <= now)
            .take(limit)
            .map(|event| event.text.clone())
            .collect()
    }
}

/// A source under the right of one generation. Where it is read on says so, as a topic's position does.
pub(super) struct SharedSource {
    world: Arc<World>,
    name: String,
    generation: u64,
    /// Where it is read on.
    at: usize,
}

impl SharedSource {
    pub(super) fn new(world: &Arc<World>, name: &str, generation: u64) -> Self {
        Self { world: Arc::clone(world), name: name.to_owned(), generation, at: 0 }
    }
}

#[async_trait]
impl Source for SharedSource {
    async fn read(&mut self, from: &Position, limit: usize) -> Result<Records, SourceError> {
        self.world.pause(0..20).await;
        let at = usize::try_from(from.at).expect("events count from 0");
        let limit = limit.min(self.world.dice.below(8) + 1);
        self.at = at;
        let read = self.world.events.read(&self.name, at, limit);
        let record = |(n, text): (usize, &Vec<u8>)| SourceRecord {
            place: format!("event {}", at + n),
            content: line::parse(text),
            original: None,
        };
        let records: Vec<SourceRecord> = read.iter().enumerate().map(record).collect();
        let next = match records.len() {
            0 => from.clone(),
            count => Position::new(count_of(at + count), Some(self.generation.to_string())),
        };
        Ok(Records { records, next })
    }

    async fn arrived(&mut self) {
        self.world.events.arrived(&self.name, self.at).await;
    }

    async fn end(&mut self) -> Result<i64, SourceError> {
        Ok(count_of(self.world.events.count(&self.name)))
    }
}

fn count_of(events: usize) -> i64 {
    i64::try_from(events).expect("few events")
}
