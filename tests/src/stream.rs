//! Topics that carry what the graph tells of its changes: each line of its event files becomes a record.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::Value;

use crate::{background::Background, servers::produce};

/// How often the files are looked at.
const POLL: Duration = Duration::from_millis(50);

/// Follows event files into topics until it is dropped.
pub struct Stream {
    _following: Background<()>,
}

impl Stream {
    /// Follows these files, each into its topic.
    pub fn start(brokers: &str, files: BTreeMap<PathBuf, String>) -> Self {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .create()
            .expect("a producer");
        let following = Background::begin(move |is_ended| {
            let mut read: BTreeMap<&Path, u64> = BTreeMap::new();
            while !is_ended() {
                for (file, topic) in &files {
                    let from = read.entry(file).or_default();
                    *from = pass_on(&producer, file, topic, *from);
                }
                sleep(POLL);
            }
        });
        Self { _following: following }
    }
}

/// Sends the whole lines from a byte on, and gives where they end.
fn pass_on(producer: &BaseProducer, file: &Path, topic: &str, from: u64) -> u64 {
    let Ok(mut file) = File::open(file) else { return from };
    file.seek(SeekFrom::Start(from)).expect("a file");
    let (mut reader, mut at, mut line) = (BufReader::new(file), from, String::new());
    loop {
        line.clear();
        let bytes = reader.read_line(&mut line).expect("the graph writes text");
        if !line.ends_with('\n') {
            producer.flush(Duration::from_mins(1)).expect("the broker takes it");
            return at;
        }
        at += bytes as u64;
        let event: Value = serde_json::from_str(&line).expect("the graph writes JSON");
        let (key, value) = (event["key"].to_string(), event["value"].to_string());
        let mut record = BaseRecord::to(topic).key(key.as_str());
        record.payload = Some(value.as_bytes()).filter(|_| !event["value"].is_null());
        produce(producer, record);
    }
}
