//! `sources:` and `coverage:` — what tells of changes, and what is fresh without being told.

use std::sync::Arc;

use plan::{
    RecordPath, SourceText,
    code::config as codes,
    index_plan::{EdgeTeller, Encoding, EventFormat, OnGap, SnapshotReads},
};

use super::{
    is_index_name,
    kafka::{self, KafkaPart},
    reader::{Item, Located, Reader, Section},
    without_effect,
};

/// One event source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// Its name under `sources:`.
    pub name: Located<String>,
    /// The entity whose changes it tells; `None`: the root entity.
    pub entity: Option<Located<String>>,
    /// Where its records come from.
    pub endpoint: SourceEndpoint,
    /// How a record is read.
    pub format: EventFormat,
    /// How the bytes of a topic's record are written.
    pub encoding: Encoding,
    /// The entity's id in the record.
    pub id: Option<RecordPath>,
    /// Root ids that the record itself names.
    pub root_id: Option<RecordPath>,
    /// Paths of key fields given by hand; they add to the inferred ones.
    pub reverse_lookup: Vec<Located<String>>,
    /// The file of a query that asks the graph for root ids.
    pub back_reference: Option<Located<String>>,
    /// Who tells of a new edge; `None`: as the schema's owners say.
    pub edge: Option<Located<EdgeTeller>>,
    /// Where records of a snapshot go.
    pub snapshot_reads: SnapshotReads,
    /// Only records that satisfy this filter count.
    pub filter: Option<Located<String>>,
    /// Where the record tells the version of what it changed.
    pub version: Option<Located<RecordPath>>,
    /// A fan-out past this many roots goes into the backfill lane.
    pub max_fanout: u64,
    /// What is done where records of a topic expired before they were read.
    pub on_gap: OnGap,
}

/// Where a source's records come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEndpoint {
    /// A file of lines, as written.
    File(Located<String>),
    /// `POST /events/<index>/<source>`.
    Http,
    /// A Kafka topic.
    Topic(Located<String>),
}

/// An entity that is fresh by other means than events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoverageException {
    /// The type.
    pub type_name: Located<String>,
    /// By what.
    pub freshness: Freshness,
}

/// What keeps an uncovered entity fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing.
    Ignore,
    /// The audit's sweep.
    Audit,
}

/// Reads all sources; false where something is wrong with one of them.
pub(super) fn read(
    reader: &mut Reader<'_>,
    file: &mut Section<'_>,
    root: Option<&str>,
    kafka: &KafkaPart,
) -> (Vec<SourceConfig>, bool) {
    let help = "name at least one stream of changes, such as `movie-changes: { file: ./events.ndjson, format: plain, id: key }`";
    let Some(item) = file.require(reader, "sources", help, |_, item| Some(item.clone())) else {
        return (Vec::new(), false);
    };
    let named = reader.named(&item);
    let count = named.len();
    if count == 0 {
        reader.missing(codes::SS103, &item.range, "`sources` names no source".into(), help);
    }
    let errors = |reader: &Reader<'_>| reader.diagnostics.iter().filter(|found| found.is_error()).count();
    let before = errors(reader);
    let sources =
        named.into_iter().filter_map(|(name, item)| read_source(reader, name, &item, root, kafka)).collect();
    (sources, count > 0 && errors(reader) == before)
}

fn read_source(
    reader: &mut Reader<'_>,
    name: Located<String>,
    item: &Item<'_>,
    root: Option<&str>,
    kafka: &KafkaPart,
) -> Option<SourceConfig> {
    if !is_index_name(&name.value) {
        let message = format!("{:?} can't name a source", name.value);
        let help = "a small letter, then small letters, digits or dashes: it stands in URLs and reports";
        reader.error(codes::SS109, &name.range, message, help);
    }
    let mut source = reader.section(item)?;
    let entity = source.read(reader, "entity", Reader::filled_text);
    let endpoint = read_endpoint(reader, &mut source, kafka);
    let formats = "say how records are read: `format: debezium`, or for any JSON `format: plain`";
    let format = source.require(reader, "format", formats, read_format);
    let encoding = read_encoding(reader, &mut source, endpoint.as_ref(), kafka);
    let id = source.read(reader, "id", read_record_path);
    // Debezium's outbox router makes the id of what changed the record's key.
    let is_key = format == Some(EventFormat::Outbox) && !source.has("id");
    let id = id.or_else(|| RecordPath::parse("key").ok().filter(|_| is_key));
    let root_id = source.read(reader, "root_id", read_record_path);
    let reverse_lookup = source.read(reader, "reverse_lookup", Reader::text_or_texts).unwrap_or_default();
    let back_reference = source.section(reader, "back_reference").and_then(|mut back| {
        let query = back.require(reader, "query", "name the file of the query", Reader::filled_text);
        back.finish(reader);
        query
    });
    let edge_item = source.take("edge");
    let tellers = [("holder", EdgeTeller::Holder), ("related", EdgeTeller::Related)];
    let edge = edge_item.as_ref().and_then(|item| {
        let value = reader.word(item, &tellers)?;
        Some(Located { value, range: item.range.clone() })
    });
    let reads = [
        ("backfill", SnapshotReads::Backfill),
        ("live", SnapshotReads::Live),
        ("ignore", SnapshotReads::Ignore),
    ];
    let snapshot_reads = source.read(reader, "snapshot_reads", |r, item| r.word(item, &reads));
    let filter = source.read(reader, "where", read_filter);
    let version = source.read(reader, "version", |r, item| {
        let value = read_record_path(r, item)?;
        Some(Located { value, range: item.range.clone() })
    });
    let on_gap = source.read(reader, "on_gap", |r, item| {
        let words = [("audit", OnGap::Audit), ("backfill", OnGap::Backfill), ("pause", OnGap::Pause)];
        let on_gap = r.word(item, &words)?;
        if matches!(endpoint, Some(SourceEndpoint::File(_) | SourceEndpoint::Http)) {
            let consequence = "a file or an inbox has no offsets that expire; leave it out";
            without_effect(r, item, "`on_gap`", consequence);
        }
        Some(on_gap)
    });
    let max_fanout = source.read(reader, "max_fanout", |r, item| r.integer(item, 1..=1_000_000_000));
    check_ids(
        reader,
        &source,
        (&name, entity.as_ref(), root),
        (id.as_ref(), root_id.as_ref(), back_reference.as_ref()),
    );
    if let (Some(edge), None, None) = (&edge, &root_id, &back_reference)
        && edge.value == EdgeTeller::Related
    {
        let message = format!(
            "`edge: related` says that {} tells of new edges, but nothing names their roots",
            name.value
        );
        let help = "add `root_id:` (a path in the record) or `back_reference: { query: … }`";
        reader.missing(codes::SS120, &edge.range, message, help);
    }
    source.finish(reader);
    Some(SourceConfig {
        name,
        entity,
        endpoint: endpoint?,
        format: format?,
        encoding,
        id,
        root_id,
        reverse_lookup,
        back_reference,
        edge,
        snapshot_reads: snapshot_reads.unwrap_or(SnapshotReads::Backfill),
        filter,
        version,
        max_fanout: max_fanout.unwrap_or(5_000),
        on_gap: on_gap.unwrap_or_default(),
    })
}

/// A source needs an id to look anything up by: its entity's, or the root's.
fn check_ids(
    reader: &mut Reader<'_>,
    source: &Section<'_>,
    (name, entity, root): (&Located<String>, Option<&Located<String>>, Option<&str>),
    (id, root_id, back_reference): (Option<&RecordPath>, Option<&RecordPath>, Option<&Located<String>>),
) {
    if id.is_some() || source.has("id") {
        return;
    }
    let is_root = entity.is_none_or(|entity| Some(entity.value.as_str()) == root);
    if is_root || (root_id.is_none() && !source.has("root_id")) {
        let message = format!("the source {} doesn't say where a record holds the id", name.value);
        let help = "add `id:` with a path into the record, such as key.movie_id or value.data.id";
        reader.missing(codes::SS120, &name.range, message, help);
    } else if let Some(query) = back_reference {
        let message = format!("the back-reference of {} needs the id of what changed", name.value);
        reader.missing(codes::SS120, &query.range, message, "add `id:` with a path into the record");
    }
}

/// Reports a topic where there are no brokers.
pub(super) fn needs_kafka(reader: &mut Reader<'_>, topic: &Item<'_>, kafka: &KafkaPart, instead: &str) {
    if kafka.place.is_none() {
        let message = format!("`{}` needs Kafka, and there is no `kafka:`", topic.path);
        let help =
            format!("name the brokers: `kafka: {{ brokers: [\"localhost:9092\"] }}`; or use {instead}");
        reader.missing(codes::SS124, &topic.range, message, help);
    }
}

fn read_endpoint(
    reader: &mut Reader<'_>,
    source: &mut Section<'_>,
    kafka: &KafkaPart,
) -> Option<SourceEndpoint> {
    let (file, http, topic) = (source.take("file"), source.take("http"), source.take("topic"));
    let given: Vec<&Item<'_>> = [&file, &http, &topic].into_iter().flatten().collect();
    let [_only] = given.as_slice() else {
        let range = given.get(1).map_or(&source.range, |second| &second.range).clone();
        let names: Vec<String> = given
            .iter()
            .filter_map(|item| item.path.rsplit('.').next())
            .map(|key| format!("`{key}`"))
            .collect();
        let message = match given.len() {
            0 => format!("`{}` doesn't say where its records come from", source.path),
            _ => format!("`{}` has {} at once", source.path, names.join(" and ")),
        };
        let help = "give exactly one of `file: PATH`, `http: true`, `topic: NAME`";
        match given.len() {
            0 => reader.missing(codes::SS110, &range, message, help),
            _ => reader.error(codes::SS110, &range, message, help),
        }
        return None;
    };
    if let (Some(item), Some(_)) = (file.as_ref().or(http.as_ref()), &kafka.place) {
        let message = format!("with `kafka:` every source is a topic, and `{}` is none", item.path);
        let help = "processes share their work, and see the same topics but not the same files: `topic: NAME`; or leave `kafka:` out";
        reader.error(codes::SS124, &item.range, message, help);
    }
    if let Some(file) = file {
        return reader.filled_text(&file).map(SourceEndpoint::File);
    }
    if let Some(topic) = topic {
        needs_kafka(reader, &topic, kafka, "`file: PATH` or `http: true`");
        return kafka::read_topic(reader, &topic).map(SourceEndpoint::Topic);
    }
    let http = http?;
    if reader.boolean(&http)? {
        return Some(SourceEndpoint::Http);
    }
    reader.error(
        codes::SS110,
        &http.range,
        "`http: false` leaves the source without records".into(),
        "write `http: true`, or `file: PATH`",
    );
    None
}

fn read_format(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<EventFormat> {
    let formats = [
        ("debezium", EventFormat::Debezium),
        ("debezium-flat", EventFormat::DebeziumFlat),
        ("outbox", EventFormat::Outbox),
        ("cloudevents", EventFormat::Cloudevents),
        ("plain", EventFormat::Plain),
    ];
    reader.word(item, &formats)
}

fn read_encoding(
    reader: &mut Reader<'_>,
    source: &mut Section<'_>,
    endpoint: Option<&SourceEndpoint>,
    kafka: &KafkaPart,
) -> Encoding {
    let Some(item) = source.take("encoding") else { return Encoding::Json };
    let words = [("json", Encoding::Json), ("avro", Encoding::Avro)];
    let encoding = reader.word(&item, &words).unwrap_or_default();
    match endpoint {
        Some(SourceEndpoint::File(_) | SourceEndpoint::Http) if encoding == Encoding::Avro => {
            let message = format!("`{}` is avro, and only a topic can be", item.path);
            let help = "events in files and over HTTP are JSON: leave it out";
            reader.error(codes::SS121, &item.range, message, help);
        }
        Some(SourceEndpoint::Topic(_)) if encoding == Encoding::Avro && !kafka.has_registry => {
            let message = format!("`{}` is avro, and there is no schema registry", item.path);
            let help = "name it: `kafka: { schema_registry: http://localhost:8081 }`";
            // Without `kafka:` the topic is told of.
            if kafka.place.is_some() {
                reader.missing(codes::SS124, &item.range, message, help);
            }
        }
        _ => {}
    }
    encoding
}

pub(super) fn read_record_path(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<RecordPath> {
    let text = reader.filled_text(item)?;
    match RecordPath::parse(&text.value) {
        Ok(path) => Some(path),
        Err(error) => {
            let help = "key.…, value.… or headers.…; row.… means the row before and after the change";
            reader.error(codes::SS116, &item.range, error.to_string(), help);
            None
        }
    }
}

/// Reads a filter over records; its mistakes are told at their place in the file.
fn read_filter(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Located<String>> {
    let text = reader.filled_text(item)?;
    let source = Arc::new(SourceText { name: "<where>".into(), text: text.value.clone() });
    let checked = plan::filter::parse(&source).map_err(|mistake| vec![mistake]);
    let Err(mistakes) = checked.and_then(|filter| filter.check_record()) else { return Some(text) };
    for mistake in mistakes {
        let part = mistake.place.as_ref().map_or(0..0, |(_, range)| range.clone());
        let range = reader.locate(item, &text.value, &part);
        let source = Arc::clone(reader.source);
        reader.diagnostics.push(mistake.at(&source, range));
    }
    None
}

/// Reads the entities that need no source.
pub(super) fn read_coverage(reader: &mut Reader<'_>, file: &mut Section<'_>) -> Vec<CoverageException> {
    let Some(item) = file.take("coverage") else { return Vec::new() };
    let words = [("ignore", Freshness::Ignore), ("audit", Freshness::Audit)];
    let mut lines = Vec::new();
    for (type_name, item) in reader.named(&item) {
        let Some(mut line) = reader.section(&item) else { continue };
        let help = "say `freshness: audit` or `freshness: ignore`";
        let freshness = line.require(reader, "freshness", help, |r, item| r.word(item, &words));
        line.finish(reader);
        if let Some(freshness) = freshness {
            lines.push(CoverageException { type_name, freshness });
        }
    }
    lines
}
