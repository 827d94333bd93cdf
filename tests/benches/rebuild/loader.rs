//! The rival: bulks of bytes that were made beforehand, a thread for each that is in flight, and nothing that could go wrong
//! is looked after. Beside each bulk it makes the traffic that the program can't do without: an id out of a topic, the
//! document from the gateway, and the same document as Avro into another topic.

use std::{
    io::{BufReader, Write},
    net::TcpStream,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use harness::{
    gateway::{Documents, read_message},
    servers::{Kafka, Rest, produce},
};
use indexer::documents::DocumentSchema;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::json;

use super::processors::{Took, took};

/// Documents of one request to the gateway: the program's default.
const BATCH: usize = 25;

/// The value of an id's record, as the program writes it.
pub(crate) const WISH: &[u8] = br#"{"cause":"backfill"}"#;

/// What the rival writes to.
pub(crate) struct Loader<'s> {
    pub(crate) store: &'s Rest,
    pub(crate) index: &'s str,
    pub(crate) gateway: &'s str,
    pub(crate) kafka: &'s Kafka,
    /// Where it finds the ids.
    pub(crate) lane: &'s str,
    /// Where its documents go.
    pub(crate) log: &'s str,
    pub(crate) producer: BaseProducer,
    pub(crate) consumer: BaseConsumer,
    pub(crate) schema: DocumentSchema,
}

/// How bulks are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) in_flight: usize,
    pub(crate) documents: usize,
}

/// A bulk and what is done beside it, all made before the clock runs.
struct Piece {
    bulk: Vec<u8>,
    requests: Vec<Vec<u8>>,
    records: Vec<(String, Vec<u8>)>,
}

impl Loader<'_> {
    /// Loads all documents once, under a version that is greater than those before, and says what it took.
    pub(crate) fn load(&self, documents: &Documents, setting: Setting, version: u64) -> Took {
        let all: Vec<(&String, &String)> = documents.iter().collect();
        let pieces: Vec<Piece> =
            all.chunks(setting.documents).map(|some| self.piece(some, version)).collect();
        let queue = Mutex::new(pieces);
        took(|| {
            thread::scope(|scope| {
                scope.spawn(|| self.read_ids(documents));
                for _ in 0..setting.in_flight {
                    scope.spawn(|| self.work(&queue));
                }
            });
            self.producer.flush(Duration::from_mins(1)).expect("the broker takes it");
        })
    }

    /// Appends the ids as others would, and reads them.
    fn read_ids(&self, documents: &Documents) {
        self.kafka.append(self.lane, documents.keys().map(|id| (id.as_str(), WISH)));
        let mut read = 0;
        while read < documents.len() {
            let record = self.consumer.poll(Duration::from_millis(100));
            read += usize::from(record.is_some_and(|record| record.is_ok()));
        }
    }

    fn work(&self, queue: &Mutex<Vec<Piece>>) {
        let mut gateway = Connection::open(self.gateway);
        let mut store = Connection::open(&self.store.url);
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(Piece { bulk, requests, records }) = next() {
            for request in requests {
                let answer = gateway.post("/graphql", "application/json", &request);
                assert!(answer.starts_with(br#"{"data":{"#), "{}", String::from_utf8_lossy(&answer));
            }
            for (id, datum) in &records {
                produce(&self.producer, BaseRecord::to(self.log).key(id.as_str()).payload(datum.as_slice()));
            }
            self.producer.poll(Duration::ZERO);
            let path = format!("/{}/_bulk?filter_path=errors", self.index);
            let answer = store.post(&path, "application/x-ndjson", &bulk);
            assert_eq!(String::from_utf8_lossy(&answer), r#"{"errors":false}"#);
        }
    }

    fn piece(&self, documents: &[(&String, &String)], version: u64) -> Piece {
        let mut bulk = Vec::new();
        let mut records = Vec::with_capacity(documents.len());
        for (id, body) in documents {
            let fields = body.strip_suffix('}').expect("an object");
            writeln!(
                bulk,
                "{{\"index\":{{\"_id\":\"{id}\",\"version\":{version},\"version_type\":\"external\"}}}}\n\
                 {fields},\"__search\":{{\"id\":\"{id}\",\"version\":{version},\"deleted\":false,\"fetched_at\":1700000000000,\"missing\":[]}}}}"
            )
            .expect("memory takes it");
            let mut datum = vec![0; 5];
            self.schema.encode(body, &mut datum).expect("a document of the schema");
            records.push(((*id).clone(), datum));
        }
        Piece { bulk, requests: documents.chunks(BATCH).map(request).collect(), records }
    }
}

/// Reads all partitions of a topic from its beginning, without a group.
pub(crate) fn consumer(kafka: &Kafka, topic: &str, partitions: i32) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.brokers)
        .set("group.id", "the rival")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut all = TopicPartitionList::new();
    for partition in 0..partitions {
        all.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&all).expect("partitions");
    consumer
}

/// A request for these documents, as long as the program's own.
fn request(documents: &[(&String, &String)]) -> Vec<u8> {
    let ids = documents.iter().enumerate();
    let aliases: Vec<String> =
        ids.clone().map(|(n, _)| format!("$id{n}: ID! d{n}: movie(movieId: $id{n}) {{ ...F }} ")).collect();
    let variables: serde_json::Map<_, _> = ids.map(|(n, (id, _))| (format!("id{n}"), json!(id))).collect();
    json!({"query": aliases.concat(), "operationName": "MovieIndex", "variables": variables})
        .to_string()
        .into_bytes()
}

/// A connection that is kept.
struct Connection {
    host: String,
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(url: &str) -> Self {
        let host = url.trim_start_matches("http://").split('/').next().expect("a host").to_owned();
        let connection = TcpStream::connect(&host).expect("a server that listens");
        connection.set_nodelay(true).expect("a connection");
        Self { host, reader: BufReader::new(connection) }
    }

    fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let writer = self.reader.get_mut();
        writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body)).expect("the server reads");
        read_message(&mut self.reader).expect("the server answers")
    }
}
