//! A real schema registry takes the Avro schema of a document, and judges its changes as its readers would.

use std::collections::BTreeMap;

use harness::servers::registry;
use indexer::{
    endpoints::RegistryEndpoint,
    registry::{Registry, RegistryError, SchemaId, SchemaReference, Schemas},
    source::decode::{RawRecord, RecordDecoder},
};
use plan::kafka_plan::Encoding;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::compiled::{every_kind, files, made, movies};

/// The call of Confluent's API that must succeed.
fn succeed(method: &str, path: &str, body: &Value) -> Value {
    registry().succeed(method, &format!("/apis/ccompat/v7{path}"), body)
}

fn body(schema: &Value) -> Value {
    json!({"schemaType": "AVRO", "schema": schema.to_string()})
}

/// Registers the schema as the subject's next version, compatible backwards, as `provision` does.
fn register(subject: &str, schema: &Value) -> Value {
    succeed("PUT", &format!("/config/{subject}"), &json!({"compatibility": "BACKWARD"}));
    succeed("POST", &format!("/subjects/{subject}/versions"), &body(schema))
}

fn is_compatible(subject: &str, schema: &Value) -> bool {
    let path = format!("/compatibility/subjects/{subject}/versions/latest");
    succeed("POST", &path, &body(schema))["is_compatible"].as_bool().expect("a verdict")
}

fn versions(subject: &str) -> Value {
    succeed("GET", &format!("/subjects/{subject}/versions"), &Value::Null)
}

/// The schema of a folder's configuration after changes of its texts: file, what stands there, what comes instead.
fn changed(folder: &str, changes: &[(&str, &str, &str)]) -> Value {
    let mut files: BTreeMap<String, String> = files(folder);
    for (file, from, to) in changes {
        let text = files.get_mut(*file).expect("a file");
        assert!(text.contains(from), "{file} has no {from:?}");
        *text = text.replacen(from, to, 1);
    }
    made(&files).compiled.avro
}

#[test]
fn an_added_selection_is_the_next_version() {
    // The query of before: it did not select these.
    let cases = [
        ("movies-documents-value", "configs/movies", "    runningTime\n", movies()),
        ("every-kind-documents-value", "tests/every-kind", "    extras\n", every_kind()),
        ("every-kind-objects-value", "tests/every-kind", "    origin { lat lon }\n", every_kind()),
        ("every-kind-below-value", "tests/every-kind", "      order\n", every_kind()),
    ];
    for (subject, folder, selection, now) in cases {
        let mut without = vec![("query.graphql", selection, "")];
        if selection.contains("origin") {
            without.push(("index.yaml", "  origin: geo_point\n", ""));
        }
        let before = changed(folder, &without);
        let now = now.compiled.avro;
        assert_ne!(before, now);
        let id = register(subject, &before)["id"].clone();
        let kept = succeed("GET", &format!("/schemas/ids/{id}"), &Value::Null);
        let kept: Value = serde_json::from_str(kept["schema"].as_str().expect("a schema")).expect("JSON");
        assert_eq!(kept, before, "{subject}: what comes back is what was registered");
        assert!(is_compatible(subject, &now), "{subject}: {now:#}");
        register(subject, &now);
        assert_eq!(versions(subject), json!([1, 2]));
    }
}

#[test]
fn a_key_of_another_type_is_refused() {
    let subject = "every-kind-changed-value";
    register(subject, &every_kind().compiled.avro);
    let numbered = changed(
        "tests/every-kind",
        &[
            (
                "schema.graphql",
                "type Work @key(fields: \"id\") {\n  id: ID!",
                "type Work @key(fields: \"id\") {\n  id: Int!",
            ),
            ("schema.graphql", "work(id: ID!)", "work(id: Int!)"),
            ("query.graphql", "($id: ID!)", "($id: Int!)"),
        ],
    );
    assert!(!is_compatible(subject, &numbered), "{numbered:#}");
    let path = format!("/apis/ccompat/v7/subjects/{subject}/versions");
    let (status, said) = registry().call("POST", &path, &body(&numbered));
    assert_eq!(status, 409, "{said:#}");
    assert_eq!(versions(subject), json!([1]));
}

/// The client that sources and provision use.
fn client() -> Registry {
    let url = format!("{}/apis/ccompat/v7", registry().url);
    Registry::new(&RegistryEndpoint { url, auth: None, ca: None }).expect("a client")
}

fn run<T>(what: impl Future<Output = T>) -> T {
    Runtime::new().expect("threads can be started").block_on(what)
}

#[test]
fn the_client_registers_and_is_told_of_what_can_not_follow() {
    let (client, subject) = (client(), "client/of a subject-value");
    run(async {
        assert_eq!(client.versions(subject).await, Ok(vec![]));
        assert_eq!(client.latest(subject).await, Ok(None));
        assert_eq!(client.compatibility(subject).await, Ok(None));
        let old = json!({"type": "record", "name": "R", "namespace": "client", "fields": [{"name": "a", "type": "string"}]});
        assert_eq!(client.objections(subject, &old, &[]).await, Ok(None), "anything may be the first");
        client.set_compatibility(subject, "BACKWARD").await.expect("it is set");
        assert_eq!(client.compatibility(subject).await, Ok(Some("BACKWARD".to_owned())));
        let id = client.register(subject, &old, &[]).await.expect("it is registered");
        assert_eq!(client.register(subject, &old, &[]).await, Ok(id), "it is found again");
        assert_eq!(client.versions(subject).await, Ok(vec![1]));
        let latest = client.latest(subject).await.expect("an answer").expect("a version");
        assert_eq!((latest.version, latest.schema_type.as_str()), (Some(1), "AVRO"));
        assert_eq!(serde_json::from_str::<Value>(&latest.schema).expect("JSON"), old);

        let new = json!({"type": "record", "name": "R", "namespace": "client", "fields": [{"name": "a", "type": "int"}]});
        let objections = client.objections(subject, &new, &[]).await.expect("a verdict");
        assert!(objections.is_some_and(|said| !said.is_empty()));
        let refused = client.register(subject, &new, &[]).await.expect_err("it can't be read");
        assert!(matches!(refused, RegistryError::Incompatible { .. }), "{refused:?}");
        let missing = client.schema(SchemaId::Number(2_000_000_000)).await.expect_err("nobody has so many");
        assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing:?}");
        let guid = client.schema(SchemaId::Guid(7)).await.expect_err("this registry has no GUIDs");
        assert!(guid.to_string().contains("Confluent Platform 8"), "{guid}");
    });
}

#[test]
fn records_are_read_by_the_schemas_that_they_name() {
    let client = client();
    let person = json!({"type": "record", "name": "Person", "namespace": "refs", "fields": [{"name": "name", "type": "string"}]});
    let cast = json!({"type": "record", "name": "Cast", "namespace": "refs", "fields": [{"name": "star", "type": "refs.Person"}]});
    let movie = json!({"type": "record", "name": "Movie", "namespace": "refs", "fields": [
        {"name": "id", "type": "long"}, {"name": "cast", "type": "refs.Cast"}, {"name": "director", "type": ["null", "refs.Person"]}]});
    let refers = |name: &str| SchemaReference { name: name.to_owned(), subject: name.to_owned(), version: 1 };
    let id = run(async {
        client.register("refs.Person", &person, &[]).await.expect("it is registered");
        client.register("refs.Cast", &cast, &[refers("refs.Person")]).await.expect("it is registered");
        let both = [refers("refs.Person"), refers("refs.Cast")];
        client.register("refs.movies-value", &movie, &both).await.expect("it is registered")
    });
    let decoder = RecordDecoder::new(Encoding::Avro, Some(Schemas::new(client)));
    let frame = [&[0][..], &id.to_be_bytes()].concat();
    let datum = [14, 6, b'B', b'o', b'b', 0];
    let framed = [&frame[..], &datum].concat();
    let wanted = json!({"id": 7, "cast": {"star": {"name": "Bob"}}, "director": null});
    let read = |raw: RawRecord<'_>| run(decoder.decode(&raw)).expect("the registry answers");
    let before = RawRecord { key: Some(b"m1"), value: Some(&framed), ..RawRecord::default() };
    let record = read(before).expect("it is read");
    assert_eq!((record.key, record.value), (json!("m1"), wanted.clone()));
    let headers =
        [("__value_schema_id", Some(frame.as_slice())), ("__key_schema_id", Some(frame.as_slice()))];
    let bare = RawRecord { key: Some(&datum), value: Some(&datum), headers: &headers, timestamp: None };
    let record = read(bare).expect("it is read");
    assert_eq!((record.key, record.value), (wanted.clone(), wanted));

    let unknown = [&[0][..], &2_000_000_000_u32.to_be_bytes(), &datum].concat();
    let bad = read(RawRecord { value: Some(&unknown), ..RawRecord::default() }).expect_err("no such schema");
    assert_eq!((bad.code.id, bad.raw), ("SS323", unknown));
    let cut =
        read(RawRecord { value: Some(&framed[..8]), ..RawRecord::default() }).expect_err("half a datum");
    assert!(cut.reason.contains("cast.star.name: the datum ends here"), "{}", cut.reason);
}

/// Nobody listens on port 9: the record is not to blame.
#[test]
fn a_registry_that_is_away_makes_no_dead_letters() {
    let endpoint = RegistryEndpoint { url: "http://127.0.0.1:9".to_owned(), auth: None, ca: None };
    let schemas = Schemas::new(Registry::new(&endpoint).expect("a client"));
    let decoder = RecordDecoder::new(Encoding::Avro, Some(schemas));
    let raw = RawRecord { value: Some(&[0, 0, 0, 0, 1, 2]), ..RawRecord::default() };
    let error = run(decoder.decode(&raw)).expect_err("it is away");
    assert!(error.is_passing(), "{error:?}");
}
