//! Heartbeats through a source: a record that asks for nothing. That it arrives, and when, shows that others would.
//!
//! A source that says nothing may have nothing to say, or its change capture may be dead. A heartbeat proves the way from the
//! topic, or the inbox, to the index; what stands before it, nobody but its own producer can prove. So none is written into a
//! file: the file is its producer's.

use std::collections::BTreeMap;

use plan::{Record, SourcePlan, index_plan::SourceInput};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::inbox;
use crate::{Index, StateError, index::World, now_ms};

/// The header that makes a record a heartbeat; its value is when it was sent, milliseconds of Unix time.
pub const HEADER: &str = "studio-search-heartbeat";

/// The key of a heartbeat: compacted topics take no record without one. Its value is null.
pub const KEY: &str = "studio-search-heartbeat";

/// What came through a source lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pulse {
    /// When the newest record was read, milliseconds of Unix time; heartbeats don't count.
    pub newest_at: Option<i64>,
    /// The newest heartbeat.
    pub heartbeat: Option<Heartbeat>,
}

/// A heartbeat that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When it was sent, milliseconds of Unix time, by the clock of who sent it.
    pub sent_at: i64,
    /// When it was read.
    pub arrived_at: i64,
}

impl Heartbeat {
    /// How long it was on its way, in milliseconds; 0 where the clocks say that it came before it was sent.
    pub fn took_ms(&self) -> i64 {
        self.arrived_at.saturating_sub(self.sent_at).max(0)
    }
}

impl Pulse {
    /// Takes over what is newer in another process' pulse of the same source.
    pub(crate) fn merge(&mut self, other: Self) {
        self.newest_at = self.newest_at.max(other.newest_at);
        self.heartbeat = self.heartbeat.max(other.heartbeat);
    }
}

/// The pulses of all sources, by their names, merged over processes.
pub(crate) fn merged<'p>(
    pulses: impl IntoIterator<Item = &'p BTreeMap<String, Pulse>>,
) -> BTreeMap<String, Pulse> {
    let mut all: BTreeMap<String, Pulse> = BTreeMap::new();
    for (source, pulse) in pulses.into_iter().flatten() {
        all.entry(source.clone()).or_default().merge(*pulse);
    }
    all
}

/// When a record was sent as a heartbeat; nothing where it is none.
pub(crate) fn sent_at(record: &Record) -> Option<i64> {
    match record.headers.get(HEADER)? {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    }
}

/// A record whose bytes need not be read: it is a heartbeat.
pub(crate) fn of_headers(headers: &[(&str, Option<&[u8]>)], timestamp: Option<i64>) -> Option<Record> {
    let (_, value) = headers.iter().rfind(|(name, _)| *name == HEADER)?;
    let sent_at = std::str::from_utf8((*value)?).ok()?;
    let headers = [(HEADER.to_owned(), Value::from(sent_at))].into_iter().collect();
    let record = Record { headers, timestamp, ..Record::default() };
    self::sent_at(&record).map(|_| record)
}

/// Sends a heartbeat through a source; gives when, or nothing where only its producer could.
///
/// Errors: the topic or the inbox doesn't take it.
pub async fn send(index: &Index, source: &SourcePlan) -> Result<Option<i64>, StateError> {
    let sent_at = now_ms();
    match (&source.input, &index.world) {
        (SourceInput::Http, World::Embedded(log)) => {
            let line = json!({"key": KEY, "headers": {HEADER: sent_at.to_string()}});
            inbox::accept(log.state(), &source.name, vec![line.to_string().into_bytes()]).await?;
        }
        #[cfg(feature = "kafka")]
        (SourceInput::Topic(topic), World::Shared(log)) => {
            let headers = vec![(HEADER.to_owned(), sent_at.to_string().into_bytes())];
            log.send(topic, KEY, headers).await?;
        }
        _ => return Ok(None),
    }
    Ok(Some(sent_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_known_by_its_header() {
        let line = format!("{{\"key\": \"{KEY}\", \"headers\": {{\"{HEADER}\": \"1700\"}}}}");
        assert_eq!(sent_at(&super::super::line::parse(line.as_bytes()).unwrap()), Some(1_700));
        let headers: [(&str, Option<&[u8]>); 2] = [("other", None), (HEADER, Some(b"1700"))];
        assert_eq!(of_headers(&headers, Some(9)).and_then(|record| sent_at(&record)), Some(1_700));
        assert_eq!(of_headers(&[(HEADER, Some(b"no number"))], None), None);
        assert_eq!(of_headers(&headers[..1], None), None);
    }

    #[test]
    fn the_newest_of_all_processes_counts() {
        let beat = |sent_at, arrived_at| Some(Heartbeat { sent_at, arrived_at });
        let one = BTreeMap::from([("a".to_owned(), Pulse { newest_at: Some(5), heartbeat: beat(1, 2) })]);
        let other = BTreeMap::from([("a".to_owned(), Pulse { newest_at: None, heartbeat: beat(3, 4) })]);
        assert_eq!(merged([&one, &other])["a"], Pulse { newest_at: Some(5), heartbeat: beat(3, 4) });
        assert_eq!(Heartbeat { sent_at: 9, arrived_at: 4 }.took_ms(), 0);
    }
}
