//! The configuration's language, a file as it is understood, and the codes.

use std::{path::Path, process::Command};

use crate::{Folder, assert_conversation};

#[test]
fn a_file_with_everything_filled_in() {
    let folder = Folder::new().with(
        "  timeout: 200ms\n",
        "  timeout: ${TIMEOUT:-200ms}\n  headers: { authorization: \"Bearer ${TOKEN:-dev}\", x-key: s3cret }\n",
    );
    assert_conversation!(folder, ["config expand", "config upgrade", "config expand missing"], @r#"
    $ studio-search config expand
    version: 1
    name: movies
    entity: Movie
    query: ./query.graphql
    graph:
      url: "http://127.0.0.1:9/graphql"
      schema: ./schema.graphql
      headers:
        authorization: "Bearer ${TOKEN:-hidden}"
        x-key: hidden
      batch:
        size: 25
      max_concurrency: 16
      timeout: 200ms
      deadline: 30s
      scalars:
        Date: date
        DateTime: date
        JSON: flattened
    state:
      path: ./movies.db
    sources:
      changes:
        entity: Movie
        file: ./changes.ndjson
        format: plain
        encoding: json
        id: value.movieId
        snapshot_reads: backfill
        max_fanout: 5000
    errors:
      partial: hold
      not_found: delete
      not_found_codes:
        - NOT_FOUND
      max_gone: 5%
      retry:
        initial: 1s
        max: 5m
      auto_replay: true
    freshness:
      warn_after: 30s
      error_after: 5m
    store:
      type: sqlite
    search:
      text: []
      facets: []
      suggest: []
      rank:
        boost: []
    serve:
      listen: "127.0.0.1:9468"
      tokens: []
    admin:
      listen: "127.0.0.1:0"
    --- exit 0
    $ studio-search config upgrade
    index.yaml is of version 1, the newest: there is nothing to upgrade
    --- exit 0
    $ studio-search config expand missing
    --- stderr
    error: missing can't be read: it does not exist
      help: name an index.yaml, or a folder that holds one
    --- exit 64
    "#);
}

/// What `expand` writes is a configuration, and one that says the same.
#[test]
fn an_expanded_file_reads_back() {
    let folder = Folder::new();
    let expand = |folder: &Folder| folder.command("config expand").output().expect("it was built").stdout;
    let once = expand(&folder);
    assert!(!once.is_empty());
    folder.write("index.yaml", &String::from_utf8(once.clone()).expect("text"));
    assert_eq!(String::from_utf8(expand(&folder)), String::from_utf8(once));
    assert!(folder.talk(&["validate --deny-warnings"]).contains("--- exit 0"));
}

#[test]
fn secrets_are_in_no_output() {
    let folder = Folder::new().with("  timeout: 200ms\n", "  headers: { x-key: s3cret }\n  timeout: 5s\n");
    let said = folder.talk(&["config expand", "config expand --json", "validate"]);
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn the_schema_is_json_as_it_is() {
    let output = Folder::new().command("config schema").output().expect("it was built");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../codegen/src/config/schema.json");
    let schema = std::fs::read(schema).expect("it is committed");
    assert!(output.status.success() && output.stdout == schema);
}

#[test]
fn every_code_is_listed_and_explained() {
    let folder = Folder::new();
    let list =
        String::from_utf8(folder.command("explain").output().expect("it was built").stdout).expect("text");
    let codes: Vec<&str> =
        list.lines().filter_map(|line| line.split_once("  ")).map(|(code, _)| code).collect();
    assert!(codes.len() > 60 && codes.contains(&"SS124"), "{list}");
    for code in codes {
        let mut command = Command::new(env!("CARGO_BIN_EXE_studio-search"));
        let output = command.args(["explain", code]).output().expect("it was built");
        assert!(output.status.success() && output.stdout.len() > 60, "{code}");
    }
}

const FILE_SOURCE: &str =
    "sources:\n  changes: { file: ./changes.ndjson, format: plain, id: value.movieId }\n";

const ON_KAFKA: &str = r#"kafka:
  brokers: ["${KAFKA_BROKERS:-localhost:9092}"]
  schema_registry: ${SCHEMA_REGISTRY_URL:-http://localhost:8081}
  registry_auth: { username: search, password: s3cret }
  properties: { security.protocol: SASL_SSL, sasl.password: s3cret, session.timeout.ms: 45000 }
store: { type: opensearch, url: "http://127.0.0.1:9" }
sources:
  changes: { topic: studio.public.movies, format: debezium, encoding: avro, id: key.movie_id }
"#;

#[test]
fn a_file_with_topics() {
    let folder = Folder::new().with(FILE_SOURCE, ON_KAFKA);
    assert_conversation!(folder, ["validate", "config expand", "generate connector"], @r#"
    $ studio-search validate
    index.yaml is valid: index movies, 3 fields, 1 source
    --- exit 0
    $ studio-search config expand
    version: 1
    name: movies
    entity: Movie
    query: ./query.graphql
    graph:
      url: "http://127.0.0.1:9/graphql"
      schema: ./schema.graphql
      batch:
        size: 25
      max_concurrency: 16
      timeout: 200ms
      deadline: 30s
      scalars:
        Date: date
        DateTime: date
        JSON: flattened
    kafka:
      brokers:
        - "localhost:9092"
      schema_registry: "http://localhost:8081"
      registry_auth:
        username: hidden
        password: hidden
      topics:
        partitions: 12
        replication: 3
      properties:
        security.protocol: SASL_SSL
        sasl.password: hidden
        session.timeout.ms: 45000
    sources:
      changes:
        entity: Movie
        topic: studio.public.movies
        format: debezium
        encoding: avro
        id: key.movie_id
        snapshot_reads: backfill
        on_gap: audit
        max_fanout: 5000
    errors:
      partial: hold
      not_found: delete
      not_found_codes:
        - NOT_FOUND
      max_gone: 5%
      retry:
        initial: 1s
        max: 5m
      auto_replay: true
    freshness:
      warn_after: 30s
      error_after: 5m
    store:
      type: opensearch
      url: "http://127.0.0.1:9"
    search:
      text: []
      facets: []
      suggest: []
      rank:
        boost: []
    serve:
      listen: "127.0.0.1:9468"
      tokens: []
    admin:
      listen: "127.0.0.1:0"
    --- exit 0
    $ studio-search generate connector
    {
      "name": "movies-studio",
      "config": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": "${env:STUDIO_DATABASE_HOSTNAME}",
        "database.port": "${env:STUDIO_DATABASE_PORT}",
        "database.user": "${env:STUDIO_DATABASE_USER}",
        "database.password": "${env:STUDIO_DATABASE_PASSWORD}",
        "database.dbname": "${env:STUDIO_DATABASE_NAME}",
        "topic.prefix": "studio",
        "table.include.list": "public.movies",
        "plugin.name": "pgoutput",
        "slot.name": "movies_studio",
        "publication.name": "movies_studio",
        "publication.autocreate.mode": "filtered",
        "heartbeat.interval.ms": "10000",
        "topic.creation.default.partitions": "-1",
        "topic.creation.default.replication.factor": "-1",
        "snapshot.mode": "initial",
        "tombstones.on.delete": "true",
        "skipped.operations": "none",
        "decimal.handling.mode": "string",
        "key.converter": "io.confluent.connect.avro.AvroConverter",
        "key.converter.schema.registry.url": "${env:SCHEMA_REGISTRY_URL}",
        "value.converter": "io.confluent.connect.avro.AvroConverter",
        "value.converter.schema.registry.url": "${env:SCHEMA_REGISTRY_URL}",
        "schema.name.adjustment.mode": "avro",
        "field.name.adjustment.mode": "avro"
      }
    }
    --- exit 0
    "#);
}

#[test]
fn a_property_that_is_not_the_users() {
    let file = ON_KAFKA.replace("security.protocol: SASL_SSL", "group.id: mine");
    let folder = Folder::new().with(FILE_SOURCE, &file);
    assert_conversation!(folder, ["validate"], @r#"
    $ studio-search validate
    1 error
    --- stderr
    error[SS123]: the property `group.id` of Kafka's client is not yours to set
        ╭─[index.yaml:13:17]
     12 │   registry_auth: { username: ******, password: ****** }
     13 │   properties: { group.id: ****, sasl.password: ******, session.timeout.ms: ***** }
        ·                 ────────
     14 │ store: { type: opensearch, url: "http://127.0.0.1:9" }
        ╰────
      help: leave it out: the groups are called after the index, `<name>-route` and `<name>-rebuild`

      more: studio-search explain SS123
    --- exit 1
    "#);
}
