//! The movies' tables in PostgreSQL, some changes of them, and what connectors of every kind made of these, read from Kafka.

use std::{collections::BTreeMap, fmt::Write, sync::LazyLock, time::Duration};

use harness::{
    eventually,
    servers::{DATABASE, Delivered, connect, kafka, postgres, registry},
};
use indexer::{
    endpoints::RegistryEndpoint,
    registry::{Registry, Schemas},
    source::decode::{RawRecord, RecordDecoder},
};
use plan::{Record, kafka_plan::Encoding};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Ten times what a step takes on two busy cores.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// Credits tell whole rows. The other tables have the replica identity that tables have by default.
const TABLES: &str = "
CREATE TABLE movies (movie_id text PRIMARY KEY, title text NOT NULL, type text NOT NULL DEFAULT 'FEATURE', synopsis text,
  release_date date, popularity int NOT NULL, score numeric(4,2), updated_at timestamptz NOT NULL DEFAULT now());
ALTER TABLE movies ALTER synopsis SET STORAGE EXTERNAL;
CREATE TABLE productions (ptp_id text PRIMARY KEY, movie_id text NOT NULL, status text NOT NULL, budget bigint);
CREATE TABLE talents (talent_id text PRIMARY KEY, name text NOT NULL, role text NOT NULL);
CREATE TABLE credits (credit_id text PRIMARY KEY, movie_id text NOT NULL, talent_id text NOT NULL);
ALTER TABLE credits REPLICA IDENTITY FULL;
CREATE TABLE awards (award_id numeric(18,0) PRIMARY KEY, movie_id text NOT NULL);
CREATE TABLE outbox (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype text NOT NULL, aggregateid text NOT NULL,
  type text NOT NULL, payload jsonb);
";

/// What snapshots read.
const ROWS: &str = "
INSERT INTO movies VALUES ('m1', 'Avatar', 'FEATURE', repeat('long ', 2000), '2009-12-18', 7, 8.5);
INSERT INTO movies VALUES ('m2', 'Cube', 'FEATURE', NULL, NULL, 5, 7.1);
INSERT INTO productions VALUES ('p1', 'm1', 'WRAPPED', 237000000);
INSERT INTO talents VALUES ('t1', 'James Cameron', 'DIRECTOR');
INSERT INTO credits VALUES ('c1', 'm1', 't1');
INSERT INTO awards VALUES (42, 'm1');
";

/// What is streamed.
const CHANGES: &str = "
UPDATE movies SET title = 'Avatar!' WHERE movie_id = 'm1';
UPDATE movies SET movie_id = 'm3' WHERE movie_id = 'm2';
DELETE FROM movies WHERE movie_id = 'm3';
UPDATE productions SET movie_id = 'm3' WHERE ptp_id = 'p1';
DELETE FROM productions WHERE ptp_id = 'p1';
UPDATE credits SET movie_id = 'm3' WHERE credit_id = 'c1';
DELETE FROM credits WHERE credit_id = 'c1';
TRUNCATE talents;
INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('talent', 't1', 'Renamed', '{\"talentId\": \"t1\"}');
INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('talent', 't2', 'Removed', NULL);
DELETE FROM outbox;
";

/// The last change of each table: where its topic holds this key, it holds everything.
const LAST: &str = "
INSERT INTO movies VALUES ('99', 'Last', 'FEATURE', NULL, NULL, 0, NULL);
INSERT INTO productions VALUES ('99', '99', 'WRAPPED', NULL);
INSERT INTO talents VALUES ('99', 'Last', 'DIRECTOR');
INSERT INTO credits VALUES ('99', '99', '99');
INSERT INTO awards VALUES (99, '99');
INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('talent', '99', 'Renamed', '{\"talentId\": \"99\"}');
";

const CAPTURED: &str = "public.movies,public.productions,public.talents,public.credits,public.awards";
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const TEXT: &str = "org.apache.kafka.connect.storage.StringConverter";
const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
const CLOUD_EVENTS: &str = "io.debezium.converters.CloudEventsConverter";

/// The connectors: the prefix of their topics, and what they differ in. Every value is a text in Kafka Connect.
fn connectors() -> Vec<(&'static str, Value)> {
    let registry = format!("{}/apis/ccompat/v7", registry().url);
    let flat = |mut more: Value| {
        more["transforms"] = "unwrap".into();
        more["transforms.unwrap.type"] = "io.debezium.transforms.ExtractNewRecordState".into();
        more
    };
    let outbox = |prefix: &str, mut more: Value| {
        more["table.include.list"] = "public.outbox".into();
        more["transforms"] = "outbox".into();
        more["transforms.outbox.type"] = "io.debezium.transforms.outbox.EventRouter".into();
        more["transforms.outbox.route.topic.replacement"] = format!("{prefix}.${{routedByValue}}").into();
        more
    };
    let cloud_events = |mut more: Value| {
        more["value.converter"] = CLOUD_EVENTS.into();
        more["value.converter.serializer.type"] = "json".into();
        more["value.converter.data.serializer.type"] = "json".into();
        more
    };
    vec![
        (
            "bare",
            json!({"heartbeat.interval.ms": "500", "provide.transaction.metadata": "true", "decimal.handling.mode": "string"}),
        ),
        (
            "wrapped",
            json!({"key.converter": JSON, "value.converter": JSON,
                "key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true"}),
        ),
        (
            "avro",
            json!({"key.converter": AVRO, "key.converter.schema.registry.url": registry,
                "value.converter": AVRO, "value.converter.schema.registry.url": registry}),
        ),
        ("cloud", cloud_events(json!({}))),
        ("cloudbare", cloud_events(json!({"value.converter.json.schemas.enable": "false"}))),
        (
            "flat",
            flat(json!({"transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
                "transforms.unwrap.add.fields": "op,source.ts_ms"})),
        ),
        (
            "flatheaders",
            flat(json!({"transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
                "transforms.unwrap.add.headers": "op,source.ts_ms"})),
        ),
        ("flatdefault", flat(json!({}))),
        ("outboxtext", outbox("outboxtext", json!({"key.converter": TEXT, "value.converter": TEXT}))),
        ("outboxjson", outbox("outboxjson", json!({}))),
        (
            "outboxexpanded",
            outbox("outboxexpanded", json!({"transforms.outbox.table.expand.json.payload": "true"})),
        ),
    ]
}

/// What every connector has in common.
fn settings(prefix: &str) -> Value {
    json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": "${env:STUDIO_DATABASE_HOSTNAME}",
        "database.port": "${env:STUDIO_DATABASE_PORT}",
        "database.user": "${env:STUDIO_DATABASE_USER}",
        "database.password": "${env:STUDIO_DATABASE_PASSWORD}",
        "database.dbname": "${env:STUDIO_DATABASE_NAME}",
        "topic.prefix": prefix,
        "table.include.list": CAPTURED,
        "plugin.name": "pgoutput",
        "slot.name": prefix,
        "publication.name": prefix,
        "publication.autocreate.mode": "filtered",
        "skipped.operations": "none",
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "1",
    })
}

/// The records of every topic, decoded, in their order.
pub(super) static TOPICS: LazyLock<BTreeMap<String, Vec<Record>>> = LazyLock::new(|| {
    let postgres = postgres();
    postgres.run(DATABASE, TABLES);
    postgres.run(DATABASE, ROWS);
    let connectors = connectors();
    for (prefix, differences) in &connectors {
        let Value::Object(mut settings) = settings(prefix) else { unreachable!("an object") };
        settings.extend(differences.as_object().expect("an object").clone());
        start_connector(prefix, &Value::Object(settings));
    }
    // A connector that streams holds its slot; what happens from there on is streamed.
    connectors.iter().for_each(|(prefix, _)| wait_until_streaming(prefix));
    postgres.run(DATABASE, CHANGES);
    postgres.run(DATABASE, LAST);
    let mut wanted = Vec::new();
    for (prefix, _) in &connectors {
        match prefix.starts_with("outbox") {
            true => wanted.push(format!("{prefix}.talent")),
            false => wanted.extend(CAPTURED.split(',').map(|table| format!("{prefix}.{table}"))),
        }
    }
    wanted.push("bare.transaction".to_owned());
    wanted.push("__debezium-heartbeat.bare".to_owned());
    delivered(&wanted)
});

/// Starts a connector and waits until it runs.
pub(crate) fn start_connector(name: &str, config: &Value) {
    connect().succeed("PUT", &format!("/connectors/{name}/config"), config);
    eventually(PATIENCE, || {
        let (_, status) = connect().call("GET", &format!("/connectors/{name}/status"), &Value::Null);
        match status["tasks"][0]["state"].as_str() {
            Some("RUNNING") => Ok(()),
            _ => Err(format!("{name}: {status:#}")),
        }
    });
}

/// Waits until a replication slot is read.
pub(crate) fn wait_until_streaming(slot: &str) {
    eventually(PATIENCE, || {
        let sql = format!("SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'");
        if postgres().run(DATABASE, &sql).trim() == "t" { Ok(()) } else { Err(format!("{slot} is not read")) }
    });
}

/// What these topics hold now.
pub(super) fn read(topics: &[String]) -> BTreeMap<String, Vec<Record>> {
    let decoders = Decoders::new();
    let mut by_topic: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in kafka().records(&topics.join("|").replace('.', "[.]")) {
        by_topic.entry(record.topic.clone()).or_default().push(decoders.record(&record));
    }
    by_topic
}

/// The records of these topics when each of them ends with its last change, or is about the connector alone.
fn delivered(topics: &[String]) -> BTreeMap<String, Vec<Record>> {
    let mut found = BTreeMap::new();
    eventually(PATIENCE, || {
        let by_topic = read(topics);
        let mut missing = String::new();
        for topic in topics {
            let records = by_topic.get(topic).map_or(&[][..], Vec::as_slice);
            let is_whole = match topic.contains("public.") || topic.ends_with(".talent") {
                true => records.iter().any(is_last),
                false => !records.is_empty(),
            };
            if !is_whole {
                let _ = write!(missing, " {topic} ({})", records.len());
            }
        }
        if !missing.is_empty() {
            return Err(format!("not all delivered:{missing}"));
        }
        found = by_topic;
        Ok(())
    });
    found
}

/// Whether a record tells of the row 99.
fn is_last(record: &Record) -> bool {
    let key = record.key.get("payload").unwrap_or(&record.key);
    let id = key.as_object().map_or(Some(key), |columns| columns.values().next());
    // The bytes of a decimal in base64, too.
    id.is_some_and(|id| *id == "99" || *id == 99 || *id == "Yw==")
}

/// Reads records as sources do. Two connectors write values under the registry; JSON never begins with a zero.
struct Decoders {
    runtime: Runtime,
    json: RecordDecoder,
    avro: RecordDecoder,
}

impl Decoders {
    fn new() -> Self {
        let url = format!("{}/apis/ccompat/v7", registry().url);
        let registry = Registry::new(&RegistryEndpoint { url, auth: None, ca: None }).expect("a client");
        Self {
            runtime: Runtime::new().expect("threads can be started"),
            json: RecordDecoder::new(Encoding::Json, None),
            avro: RecordDecoder::new(Encoding::Avro, Some(Schemas::new(registry))),
        }
    }

    fn record(&self, delivered: &Delivered) -> Record {
        let headers: Vec<_> =
            delivered.headers.iter().map(|header| (header.name.as_str(), header.value.as_deref())).collect();
        let raw = RawRecord {
            key: delivered.key.as_deref(),
            value: delivered.value.as_deref(),
            headers: &headers,
            timestamp: Some(delivered.timestamp),
        };
        let is_avro = delivered.value.as_ref().is_none_or(|value| value.first() == Some(&0));
        let decoder = if is_avro { &self.avro } else { &self.json };
        let record = self.runtime.block_on(decoder.decode(&raw)).expect("the registry answers");
        record.unwrap_or_else(|bad| panic!("{}: {} {delivered:?}", delivered.topic, bad.reason))
    }
}
