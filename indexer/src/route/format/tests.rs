//! Records of Debezium 3.6 and of its transforms, as Kafka delivered them, shortened.

use plan::{RecordPath, SourceText, id::IdKind};
use serde_json::json;

use super::{super::event::Event, *};

fn record(key: Value, value: Value) -> Record {
    Record { key, value, timestamp: Some(1_795_374_630_497), ..Record::default() }
}

fn with_headers(key: Value, value: Value, headers: Value) -> Record {
    let Value::Object(headers) = headers else { panic!("an object") };
    Record { headers, ..record(key, value) }
}

fn ids(event: &Event<'_>, path: &str) -> Vec<String> {
    let ids = event.ids(&RecordPath::parse(path).unwrap(), IdKind::String).unwrap();
    ids.iter().map(ToString::to_string).collect()
}

fn debezium(record: &Record) -> Event<'_> {
    Event::read(EventFormat::Debezium, record).unwrap()
}

/// Whether a filter lets Debezium's record pass.
fn passes(record: &Record, filter: &str) -> bool {
    let source = SourceText { name: "where".to_owned(), text: filter.to_owned() };
    debezium(record).passes(&plan::filter::parse(&source.into()).unwrap())
}

/// A production deleted from a table of the default replica identity: columns that can't be null hold empty texts.
fn deleted_by_key() -> Record {
    record(
        json!({"ptp_id": "p1"}),
        json!({
            "before": {"ptp_id": "p1", "movie_id": "", "status": "IN_DEVELOPMENT", "budget": null, "takes": 0},
            "after": null,
            "source": {"ts_ms": 1_795_374_629_574_i64, "snapshot": "false", "schema": "public", "table": "productions"},
            "transaction": null, "op": "d", "ts_ms": 1_795_374_629_756_i64
        }),
    )
}

#[test]
fn a_row_that_was_deleted_by_its_key_names_only_its_key() {
    let deleted = deleted_by_key();
    let event = debezium(&deleted);
    assert_eq!((event.change, event.at), (Change::Delete, Some(1_795_374_629_574)));
    assert_eq!(ids(&event, "key.ptp_id"), ["p1"]);
    assert_eq!(ids(&event, "row.ptp_id"), ["p1"]);
    assert!(ids(&event, "row.movie_id").is_empty(), "an empty text stands for what isn't told");
    assert!(ids(&event, "row.takes").is_empty(), "so does a zero");
    assert!(event.is_deleted_row());
}

#[test]
fn a_row_that_was_deleted_by_its_key_always_passes() {
    let deleted = deleted_by_key();
    // It was in production, and the default of its column says otherwise.
    assert!(passes(&deleted, "row.status == 'IN_PRODUCTION'"));
    assert!(passes(&deleted, "row.budget > 1000000"));
    assert!(!passes(&deleted, "key.ptp_id == 'p2'"), "the key is told");
}

#[test]
fn a_large_column_that_did_not_change_is_unknown() {
    let row = |synopsis: &str| json!({"movie_id": "m1", "title": "Avatar!", "synopsis": synopsis});
    let after = row("__debezium_unavailable_value");
    let changed = record(json!({"movie_id": "m1"}), json!({"before": null, "after": after, "op": "u"}));
    assert!(passes(&changed, "row.synopsis == 'a long one'"), "it may match");
    assert!(!passes(&changed, "row.title == 'Cube'"));
    let path = RecordPath::parse("row.synopsis").unwrap();
    let refused = debezium(&changed).ids(&path, IdKind::String).unwrap_err().to_string();
    assert!(refused.contains("REPLICA IDENTITY FULL"), "{refused}");
    let both = record(json!({}), json!({"before": row("m7"), "after": after, "op": "u"}));
    assert_eq!(ids(&debezium(&both), "row.synopsis"), ["m7"]);
}

#[test]
fn a_truncated_table_is_told_without_rows() {
    let value = json!({
        "before": null, "after": null,
        "source": {"ts_ms": 1_795_374_629_766_i64, "schema": "public", "table": "talents"},
        "transaction": {"id": "767:22400944", "total_order": 1, "data_collection_order": 1}, "op": "t"
    });
    let truncated = record(Value::Null, value);
    assert_eq!(debezium(&truncated).change, Change::Truncate);
}

#[test]
fn what_is_about_the_connector_changes_nothing() {
    let heartbeat = record(json!({"serverName": "studio"}), json!({"ts_ms": 1_795_374_611_608_i64}));
    let border = json!({"status": "END", "id": "759:22396648", "event_count": 1, "ts_ms": 1_795_374_629_723_i64,
        "data_collections": [{"data_collection": "public.movies", "event_count": 1}]});
    let border = record(json!({"id": "759:22396648"}), border);
    let message = json!({"op": "m", "ts_ms": 1, "message": {"prefix": "x", "content": "aGVsbG8="}});
    let message = record(json!({"prefix": "x"}), message);
    for record in [heartbeat, border, message] {
        assert_eq!(debezium(&record).change, Change::Nothing, "{record:?}");
    }
}

#[test]
fn a_flat_row_says_in_fields_or_headers_what_happened() {
    let row = |deleted: &str, op: &str| {
        json!({"credit_id": "c1", "movie_id": "m3", "__deleted": deleted, "__op": op,
            "__source_ts_ms": 1_795_374_629_571_i64, "__table": "credits"})
    };
    let cases = [
        (row("false", "r"), json!({}), Change::SnapshotRead, 1_795_374_629_571),
        (row("false", "u"), json!({}), Change::Upsert, 1_795_374_629_571),
        (row("true", "d"), json!({}), Change::Delete, 1_795_374_629_571),
        (json!({"movie_id": "m3"}), json!({}), Change::Upsert, 1_795_374_630_497),
        // Headers arrive as text.
        (
            json!({"movie_id": "m3", "__deleted": "false"}),
            json!({"__op": "r", "__source_ts_ms": "1795374613590"}),
            Change::SnapshotRead,
            1_795_374_613_590,
        ),
    ];
    for (value, headers, change, at) in cases {
        let record = with_headers(json!({"credit_id": "c1"}), value, headers);
        let event = Event::read(EventFormat::DebeziumFlat, &record).unwrap();
        assert_eq!((event.change, event.at), (change, Some(at)), "{record:?}");
        assert_eq!(ids(&event, "row.movie_id"), ["m3"]);
    }
    // `delete.tombstone.handling.mode` by default.
    let tombstone = record(json!({"credit_id": "c1"}), Value::Null);
    assert_eq!(Event::read(EventFormat::DebeziumFlat, &tombstone).unwrap().change, Change::Delete);
}

#[test]
fn an_outbox_event_is_its_payload() {
    let payload = json!({"talentId": "t1", "name": "Jim"});
    let expanded = record(json!("t1"), payload.clone());
    let text = record(json!("t1"), json!(payload.to_string()));
    let wrapped = record(
        json!({"schema": {"type": "string"}, "payload": "t1"}),
        json!({"schema": {"type": "string", "name": "io.debezium.data.Json"}, "payload": payload.to_string()}),
    );
    for record in [expanded, text, wrapped] {
        let event = Event::read(EventFormat::Outbox, &record).unwrap();
        assert_eq!((event.change, event.at), (Change::Upsert, record.timestamp));
        for path in ["key", "value.talentId", "row.talentId"] {
            assert_eq!(ids(&event, path), ["t1"], "{path} of {record:?}");
        }
    }
    let words = record(json!("t1"), json!("no JSON"));
    assert_eq!(ids(&Event::read(EventFormat::Outbox, &words).unwrap(), "key"), ["t1"]);
}

/// What `CloudEventsConverter` makes of a changed row.
fn cloud_event(op: &str, data: &Value) -> Value {
    json!({
        "id": "name:studio;lsn:22397392;txId:763;sequence:[\"22397392\",\"22397392\"]",
        "source": "/debezium/postgresql/studio", "specversion": "1.0",
        "type": "io.debezium.connector.postgresql.DataChangeEvent", "time": "2026-11-22T19:10:29.573Z",
        "datacontenttype": "application/json", "iodebeziumop": op, "iodebeziumtsms": "1795374629574", "data": data
    })
}

#[test]
fn a_cloud_event_of_debezium_has_images() {
    let images =
        json!({"before": {"ptp_id": "p1", "movie_id": "m1"}, "after": {"ptp_id": "p1", "movie_id": "m3"}});
    let wrapped = json!({"schema": {"type": "struct"}, "payload": images});
    for data in [&images, &wrapped] {
        let record = record(json!({"ptp_id": "p1"}), cloud_event("u", data));
        let event = Event::read(EventFormat::Cloudevents, &record).unwrap();
        assert_eq!((event.change, event.at), (Change::Upsert, Some(1_795_374_629_574)));
        assert_eq!(ids(&event, "row.movie_id"), ["m1", "m3"]);
        assert_eq!(ids(&event, "value.data.after.movie_id"), ["m3"]);
    }
    for (op, change) in [("r", Change::SnapshotRead), ("d", Change::Delete), ("t", Change::Truncate)] {
        let record = record(json!({}), cloud_event(op, &images));
        assert_eq!(Event::read(EventFormat::Cloudevents, &record).unwrap().change, change);
    }
}

#[test]
fn both_forms_of_a_cloud_event_read_alike() {
    let structured = json!({"id": "7", "source": "/slate", "specversion": "1.0", "type": "movie.renamed", "subject": "m1",
        "time": "2026-11-22T19:10:29.573Z", "data": {"movieId": "m1"}});
    let headers = json!({"ce_id": "7", "ce_source": "/slate", "ce_specversion": "1.0", "ce_type": "movie.renamed",
        "ce_subject": "m1", "ce_time": "2026-11-22T19:10:29.573Z", "content-type": "application/json"});
    let structured = record(Value::Null, structured);
    let binary = with_headers(Value::Null, json!({"movieId": "m1"}), headers.clone());
    for record in [structured, binary] {
        let event = Event::read(EventFormat::Cloudevents, &record).unwrap();
        assert_eq!((event.change, event.at), (Change::Upsert, Some(1_795_374_629_573)));
        for path in ["value.data.movieId", "row.movieId", "value.subject"] {
            assert_eq!(ids(&event, path), ["m1"], "{path} of {record:?}");
        }
    }
    let without_data = with_headers(Value::Null, Value::Null, headers);
    let event = Event::read(EventFormat::Cloudevents, &without_data).unwrap();
    assert_eq!((event.change, ids(&event, "value.subject")), (Change::Upsert, vec!["m1".to_owned()]));
    let neither = record(json!("m1"), json!({"movieId": "m1"}));
    assert_eq!(Event::read(EventFormat::Cloudevents, &neither).unwrap_err(), EventError::NoCloudEvent);
}
