//! The configuration of the Debezium connectors that fill a plan's topics, for Kafka Connect's REST API.

use std::collections::BTreeMap;

use plan::{
    Diagnostic, IndexPlan, SourcePlan, SourceText,
    code::kafka as codes,
    filter,
    index_plan::{Encoding, EventFormat, SnapshotReads, SourceInput},
    record::RecordRoot,
};
use serde_json::{Map, Value, json};

const FLATTEN: &str = "io.debezium.transforms.ExtractNewRecordState";
const OUTBOX: &str = "io.debezium.transforms.outbox.EventRouter";
const BY_TOPIC: &str = "org.apache.kafka.connect.transforms.predicates.TopicNameMatches";
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
const TEXT: &str = "org.apache.kafka.connect.storage.StringConverter";

/// What the outbox router puts in place of an event's aggregate type.
const ROUTED_BY: &str = "${routedByValue}";

/// The longest name of a replication slot: `PostgreSQL` keeps 63 bytes of it.
const MAX_SLOT: usize = 63;

/// One connector `{name, config}`, as `POST /connectors` takes it, or a list of them where the topics belong to several
/// databases: the topics of one prefix come from one.
///
/// Only sources with a topic in one of Debezium's three formats count. Where the database is and who reads it stands as
/// `${env:…}`, which Kafka's `EnvVarConfigProvider` fills in; nothing secret is in it. Every value is a text, as Connect
/// keeps them. Errors: SS311, where a topic tells no table, or no source has one.
pub fn connectors(plan: &IndexPlan) -> Result<Value, Diagnostic> {
    let mut tables: BTreeMap<&str, Vec<(&str, &SourcePlan)>> = BTreeMap::new();
    let mut outboxes: BTreeMap<&str, &SourcePlan> = BTreeMap::new();
    for source in &plan.sources {
        let SourceInput::Topic(topic) = &source.input else { continue };
        match source.format {
            EventFormat::Debezium | EventFormat::DebeziumFlat => {
                let (prefix, table) = table_of(topic).ok_or_else(|| no_table(&source.name, topic))?;
                tables.entry(prefix).or_default().push((table, source));
            }
            EventFormat::Outbox => {
                let (prefix, _) = topic.rsplit_once('.').ok_or_else(|| no_table(&source.name, topic))?;
                let other = outboxes.insert(prefix, source);
                if other.is_some_and(|other| other.encoding != source.encoding) {
                    return Err(two_encodings(prefix));
                }
            }
            EventFormat::Cloudevents | EventFormat::Plain => {}
        }
    }
    for (prefix, tables) in &tables {
        let is_avro = |(_, source): &(&str, &SourcePlan)| source.encoding == Encoding::Avro;
        if tables.iter().any(is_avro) && !tables.iter().all(is_avro) {
            return Err(two_encodings(prefix));
        }
    }
    let of_tables = tables.iter().map(|(prefix, tables)| of_tables(&plan.name, prefix, tables));
    let of_outboxes = outboxes.iter().map(|(prefix, source)| {
        // Two connectors must not share their own prefix, from which the names of their heartbeats follow.
        let own = format!("{prefix}{}", if tables.contains_key(prefix) { "-outbox" } else { "" });
        of_outbox(&plan.name, &own, prefix, source.encoding)
    });
    let mut connectors: Vec<Value> = of_tables.chain(of_outboxes).collect();
    match connectors.len() {
        0 => Err(no_topic()),
        1 => Ok(connectors.remove(0)),
        _ => Ok(Value::Array(connectors)),
    }
}

/// The prefix and `schema.table` of a topic that Debezium names: `prefix.schema.table`, where the prefix may have dots.
fn table_of(topic: &str) -> Option<(&str, &str)> {
    let before_table = topic.rfind('.')?;
    let before_schema = topic[..before_table].rfind('.')?;
    let (prefix, table) = (&topic[..before_schema], &topic[before_schema + 1..]);
    let is_whole = !prefix.is_empty() && table.split('.').all(|part| !part.is_empty());
    is_whole.then_some((prefix, table))
}

fn no_table(source: &str, topic: &str) -> Diagnostic {
    let message = format!("the topic {topic:?} of the source {source} doesn't tell which table fills it");
    Diagnostic::error(codes::SS311, message).help(
        "Debezium names topics `<prefix>.<schema>.<table>`, and those of the outbox `<prefix>.<aggregate type>`",
    )
}

fn no_topic() -> Diagnostic {
    let message = "no source of this index is filled by Debezium".to_owned();
    let help = "a connector follows from sources with a `topic:` and `format: debezium`, `debezium-flat` or `outbox`";
    Diagnostic::error(codes::SS311, message).help(help)
}

fn two_encodings(prefix: &str) -> Diagnostic {
    let message = format!("the topics of {prefix:?} are written in two encodings");
    let help = "one connector writes them all: give its sources the same `encoding:`";
    Diagnostic::error(codes::SS311, message).help(help)
}

fn of_tables(index: &str, prefix: &str, tables: &[(&str, &SourcePlan)]) -> Value {
    let mut names: Vec<&str> = tables.iter().map(|(table, _)| *table).collect();
    names.sort_unstable();
    names.dedup();
    let mut config = database(index, prefix, &names);
    // What a snapshot reads is ignored where every source says so.
    let is_ignored = tables.iter().all(|(_, source)| source.snapshot_reads == SnapshotReads::Ignore);
    let more = json!({
        "snapshot.mode": if is_ignored { "no_data" } else { "initial" },
        // A compacted topic forgets a deleted row by its tombstone.
        "tombstones.on.delete": "true",
        // By default truncates are not told.
        "skipped.operations": "none",
        // In base64, which is the default, a NUMERIC can't be an id.
        "decimal.handling.mode": "string",
    });
    config.extend(object(more));
    let encoding = tables.first().map(|(_, source)| source.encoding).unwrap_or_default();
    config.extend(converter("key", encoding));
    config.extend(converter("value", encoding));
    config.extend(adjusted_names(encoding));
    let mut whole: Vec<&str> =
        tables.iter().filter(|(_, source)| wants_whole_rows(source)).map(|(table, _)| *table).collect();
    whole.sort_unstable();
    whole.dedup();
    if !whole.is_empty() {
        // Else PostgreSQL tells neither the row before a change nor more than the key of a deleted one.
        let identities: Vec<String> = whole.iter().map(|table| format!("{}:FULL", regex(table))).collect();
        config.insert("replica.identity.autoset.values".to_owned(), identities.join(",").into());
    }
    let flat: Vec<String> = tables
        .iter()
        .filter(|(_, source)| source.format == EventFormat::DebeziumFlat)
        .map(|(table, _)| regex(&format!("{prefix}.{table}")))
        .collect();
    if !flat.is_empty() {
        config.extend(object(json!({
            "transforms": "unwrap",
            "transforms.unwrap.type": FLATTEN,
            "transforms.unwrap.delete.tombstone.handling.mode": "rewrite-with-tombstone",
            "transforms.unwrap.add.fields": "op,source.ts_ms",
        })));
    }
    if !flat.is_empty() && flat.len() < tables.len() {
        config.extend(object(json!({
            "transforms.unwrap.predicate": "flat",
            "predicates": "flat",
            "predicates.flat.type": BY_TOPIC,
            "predicates.flat.pattern": flat.join("|"),
        })));
    }
    json!({ "name": format!("{index}-{prefix}"), "config": config })
}

/// What writes keys or values: bare JSON, or Avro under a registry, whose address comes from the environment.
fn converter(part: &str, encoding: Encoding) -> Map<String, Value> {
    let class = format!("{part}.converter");
    let (class_name, setting, value) = match encoding {
        Encoding::Json => (JSON, "schemas.enable", "false"),
        Encoding::Avro => (AVRO, "schema.registry.url", "${env:SCHEMA_REGISTRY_URL}"),
    };
    let setting = (format!("{class}.{setting}"), value.into());
    Map::from_iter([(class, class_name.into()), setting])
}

/// Avro's names have letters, digits and underscores only; prefixes, tables and columns may have others.
fn adjusted_names(encoding: Encoding) -> Map<String, Value> {
    match encoding {
        Encoding::Json => Map::new(),
        Encoding::Avro => object(json!({
            "schema.name.adjustment.mode": "avro",
            "field.name.adjustment.mode": "avro",
        })),
    }
}

/// A connector that routes events to topics of one prefix; its own may be another.
fn of_outbox(index: &str, prefix: &str, routed: &str, encoding: Encoding) -> Value {
    // Debezium's own names for the table and its columns.
    let mut config = database(index, prefix, &["public.outbox"]);
    config.extend(object(json!({
        "snapshot.mode": "initial",
        // The outbox is emptied by its owner; that is no event.
        "tombstones.on.delete": "false",
        "key.converter": TEXT,
        "transforms": "outbox",
        "transforms.outbox.type": OUTBOX,
        "transforms.outbox.route.topic.replacement": format!("{routed}.{ROUTED_BY}"),
        "transforms.outbox.table.expand.json.payload": "true",
        "transforms.outbox.table.fields.additional.placement": "type:header:eventType",
    })));
    config.extend(converter("value", encoding));
    config.extend(adjusted_names(encoding));
    json!({ "name": format!("{index}-{prefix}"), "config": config })
}

/// What every connector says about its database, and what keeps its place there.
fn database(index: &str, prefix: &str, tables: &[&str]) -> Map<String, Value> {
    let of_environment = |what: &str| format!("${{env:{}_DATABASE_{what}}}", words(prefix).to_uppercase());
    let slot: String = words(&format!("{index}_{prefix}")).to_lowercase().chars().take(MAX_SLOT).collect();
    let tables: Vec<String> = tables.iter().map(|table| regex(table)).collect();
    object(json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": of_environment("HOSTNAME"),
        "database.port": of_environment("PORT"),
        "database.user": of_environment("USER"),
        "database.password": of_environment("PASSWORD"),
        "database.dbname": of_environment("NAME"),
        "topic.prefix": prefix,
        "table.include.list": tables.join(","),
        "plugin.name": "pgoutput",
        "slot.name": slot,
        "publication.name": slot,
        // Only these tables are published, so that the user needs no rights over others.
        "publication.autocreate.mode": "filtered",
        // Lets the database forget its log while these tables are quiet.
        "heartbeat.interval.ms": "10000",
        // The broker's own defaults.
        "topic.creation.default.partitions": "-1",
        "topic.creation.default.replication.factor": "-1",
    }))
}

/// Whether a source reads columns that are not in the key.
fn wants_whole_rows(source: &SourcePlan) -> bool {
    let is_row = |path: &plan::RecordPath| path.root() == RecordRoot::Row;
    let tests_rows = source.filter.as_ref().is_some_and(|text| {
        let text = SourceText { name: "<where>".into(), text: text.clone() };
        let tested = filter::parse(&text.into()).map(|filter| filter.paths()).unwrap_or_default();
        tested.iter().any(|names| names.first().is_some_and(|name| name == "row"))
    });
    [&source.id, &source.root_id].into_iter().flatten().any(is_row) || tests_rows
}

/// A name as a regular expression that matches only it. Dots stay as they are, as in Debezium's own examples: they match
/// themselves.
fn regex(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for letter in name.chars() {
        if !letter.is_alphanumeric() && !['.', '_', '-'].contains(&letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// A name with only letters, digits and underscores.
fn words(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => unreachable!("{other} is written as an object above"),
    }
}

#[cfg(test)]
mod tests;
