//! Connectors of made-up sources; `tests/it/debezium.rs` starts one in Kafka Connect.

use plan::{
    IdKind, RecordPath,
    index_plan::{EdgeTeller, Encoding, OnGap},
};

use super::*;

fn source(topic: &str, format: EventFormat) -> SourcePlan {
    SourcePlan {
        name: "changes".to_owned(),
        entity: "Movie".to_owned(),
        input: SourceInput::Topic(topic.to_owned()),
        format,
        id: RecordPath::parse("key.movie_id").ok(),
        id_kind: IdKind::String,
        is_root: true,
        root_id: None,
        reverse_lookup: Vec::new(),
        back_reference: None,
        edge: EdgeTeller::Holder,
        encoding: Encoding::Json,
        on_gap: OnGap::Audit,
        snapshot_reads: SnapshotReads::Backfill,
        filter: None,
        version: None,
        shown: Vec::new(),
        max_fanout: 5_000,
    }
}

fn connectors_of(sources: Vec<SourcePlan>) -> Result<Value, Diagnostic> {
    let plan = include_str!("../../../configs/movies/generated/plan.json");
    connectors(&IndexPlan { sources, ..serde_json::from_str(plan).unwrap() })
}

#[test]
fn one_connector_fills_the_topics_of_one_prefix() {
    let mut production = source("studio.public.productions", EventFormat::Debezium);
    production.root_id = RecordPath::parse("row.movie_id").ok();
    let mut tested = source("studio.public.talents", EventFormat::Debezium);
    tested.filter = Some("row.role == 'ACTOR'".to_owned());
    let made = connectors_of(vec![
        source("studio.public.movies", EventFormat::Debezium),
        production,
        tested,
        source("studio.public.movies", EventFormat::Debezium),
        source("slate-events", EventFormat::Cloudevents),
    ])
    .unwrap();
    assert_eq!(made["name"], "movies-studio");
    let config = &made["config"];
    assert_eq!(config["topic.prefix"], "studio");
    assert_eq!(config["table.include.list"], "public.movies,public.productions,public.talents");
    assert_eq!(config["replica.identity.autoset.values"], "public.productions:FULL,public.talents:FULL");
    assert_eq!(config["skipped.operations"], "none", "truncates are told");
    assert_eq!(config["database.password"], "${env:STUDIO_DATABASE_PASSWORD}");
    assert_eq!(
        (&config["slot.name"], &config["snapshot.mode"]),
        (&json!("movies_studio"), &json!("initial"))
    );
    assert!(config.get("transforms").is_none());
    assert!(config.as_object().unwrap().values().all(Value::is_string), "{config:#}");
}

#[test]
fn only_flat_topics_are_flattened() {
    let flat = source("studio.public.credits", EventFormat::DebeziumFlat);
    let mixed = connectors_of(vec![source("studio.public.movies", EventFormat::Debezium), flat.clone()]);
    assert_eq!(mixed.unwrap()["config"]["predicates.flat.pattern"], "studio.public.credits");
    let made = connectors_of(vec![flat]).unwrap();
    assert_eq!(made["config"]["transforms.unwrap.type"], FLATTEN);
    assert!(made["config"].get("predicates").is_none(), "{made:#}");
}

#[test]
fn each_prefix_has_a_connector_of_its_own() {
    let mut quiet = source("movies-db.eu.public.movies", EventFormat::Debezium);
    quiet.snapshot_reads = SnapshotReads::Ignore;
    let made = connectors_of(vec![quiet, source("outbox.event.talent", EventFormat::Outbox)]).unwrap();
    let [tables, outbox] = &made.as_array().unwrap()[..] else { panic!("{made:#}") };
    assert_eq!(tables["name"], "movies-movies-db.eu");
    assert_eq!(tables["config"]["slot.name"], "movies_movies_db_eu");
    assert_eq!(tables["config"]["database.port"], "${env:MOVIES_DB_EU_DATABASE_PORT}");
    assert_eq!(tables["config"]["snapshot.mode"], "no_data");
    assert_eq!(
        outbox["config"]["transforms.outbox.route.topic.replacement"],
        "outbox.event.${routedByValue}"
    );
}

#[test]
fn an_outbox_beside_tables_has_a_name_of_its_own() {
    let tables = source("studio.public.movies", EventFormat::Debezium);
    let made = connectors_of(vec![tables, source("studio.talent", EventFormat::Outbox)]).unwrap();
    assert_eq!([&made[0]["name"], &made[1]["name"]], ["movies-studio", "movies-studio-outbox"]);
    let config = &made[1]["config"];
    assert_eq!(config["topic.prefix"], "studio-outbox");
    assert_eq!(config["transforms.outbox.route.topic.replacement"], "studio.${routedByValue}");
}

#[test]
fn a_topic_that_tells_no_table_is_an_error() {
    for topic in ["movies", "public.movies", ".public.movies", "studio..movies"] {
        let error = connectors_of(vec![source(topic, EventFormat::Debezium)]).unwrap_err();
        assert_eq!(error.code, codes::SS311, "{topic}");
        assert!(error.help.is_some());
    }
    assert!(connectors_of(vec![source("events", EventFormat::Outbox)]).is_err());
    assert!(connectors_of(vec![source("events", EventFormat::Plain)]).is_err());
}

#[test]
fn topics_in_avro_have_the_converter_of_a_registry() {
    let mut movies = source("studio.public.movies", EventFormat::Debezium);
    movies.encoding = Encoding::Avro;
    let made = connectors_of(vec![movies.clone()]).unwrap();
    for part in ["key", "value"] {
        assert_eq!(made["config"][format!("{part}.converter")], AVRO);
        assert_eq!(
            made["config"][format!("{part}.converter.schema.registry.url")],
            "${env:SCHEMA_REGISTRY_URL}"
        );
        assert!(made["config"].get(format!("{part}.converter.schemas.enable")).is_none(), "{made:#}");
    }
    // A prefix may have hyphens, and Avro's names may not.
    assert_eq!(made["config"]["schema.name.adjustment.mode"], "avro");
    let mut talent = source("outbox.event.talent", EventFormat::Outbox);
    talent.encoding = Encoding::Avro;
    let outbox = connectors_of(vec![talent.clone()]).unwrap();
    assert_eq!([&outbox["config"]["key.converter"], &outbox["config"]["value.converter"]], [TEXT, AVRO]);

    let other = source("studio.public.credits", EventFormat::Debezium);
    assert_eq!(connectors_of(vec![movies, other]).unwrap_err().code, codes::SS311);
    let other = source("outbox.event.movie", EventFormat::Outbox);
    assert_eq!(connectors_of(vec![talent, other]).unwrap_err().code, codes::SS311);
}
