//! A real schema registry takes the Avro schema of a document, and judges its changes as its readers would.

use std::collections::BTreeMap;

use harness::servers::registry;
use serde_json::{Value, json};

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
