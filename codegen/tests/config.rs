//! The JSON Schema of `index.yaml` against the reader: what one takes the other takes, and a slip of the hand is told by both.

#![expect(clippy::unwrap_used, reason = "a case that can't be read fails the test")]

use std::{fs, path::Path, sync::Arc};

use codegen::{Texts, compile, config::SCHEMA, document_schema, parse_config};
use plan::{Diagnostic, SourceText};
use serde_json::{Map, Value};

fn section(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).unwrap();
    text.split("### ").find_map(|part| part.strip_prefix("index.yaml\n")).map(str::to_owned)
}

fn tests() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A JSON Schema, ready to be asked.
struct Validator {
    schemas: boon::Schemas,
    schema: boon::SchemaIndex,
}

impl Validator {
    fn new(schema: Value) -> Self {
        let (mut compiler, mut schemas) = (boon::Compiler::new(), boon::Schemas::new());
        compiler.add_resource("schema.json", schema).unwrap();
        let schema = compiler.compile("schema.json", &mut schemas).expect("a schema by the draft it names");
        Self { schemas, schema }
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.schema).map_err(|error| format!("{error:#}"))
    }
}

fn validator() -> Validator {
    Validator::new(serde_json::from_str(SCHEMA).unwrap())
}

fn json(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

fn told(yaml: &str) -> Vec<Diagnostic> {
    let source = Arc::new(SourceText { name: "index.yaml".into(), text: yaml.into() });
    parse_config(&source, &|_| Some("1".into())).diagnostics
}

fn whole() -> Value {
    let mut whole = json(&section(&tests().join("diagnostics/whole_language.case")).unwrap());
    // One of each two that exclude each other.
    whole["backfill"]["ids"] = serde_json::json!({ "index": true });
    whole
}

#[test]
fn the_schema_takes_every_right_configuration() {
    let validator = validator();
    let mut texts = vec![
        fs::read_to_string(tests().join("base/index.yaml")).unwrap(),
        fs::read_to_string(tests().join("../../configs/movies/index.yaml")).unwrap(),
        whole().to_string(),
    ];
    let cases = fs::read_dir(tests().join("ok")).unwrap().map(|entry| entry.unwrap().path());
    texts.extend(
        cases
            .filter(|path| path.extension().is_some_and(|end| end == "case"))
            .filter_map(|path| section(&path)),
    );
    assert!(texts.len() > 5);
    for text in texts {
        assert_eq!(validator.check(&json(&text)), Ok(()), "{text}");
    }
}

/// Each key misspelt, one at a time: the reader names the right one, and the schema refuses the wrong one.
#[test]
fn a_slip_in_any_key_is_told_with_the_nearest_name() {
    let (validator, whole) = (validator(), whole());
    let mut paths = Vec::new();
    keys(&whole, &mut Vec::new(), &mut paths);
    assert!(paths.len() > 130, "{}", paths.len());
    for path in &paths {
        let key = path.last().unwrap();
        let slip = format!("{key}x");
        let mut wrong = whole.clone();
        let parent =
            path[..path.len() - 1].iter().fold(&mut wrong, |value, step| match step.parse::<usize>() {
                Ok(index) => &mut value[index],
                Err(_) => &mut value[step.as_str()],
            });
        let map = parent.as_object_mut().unwrap();
        let value = map.remove(key).unwrap();
        map.insert(slip.clone(), value);
        assert!(validator.check(&wrong).is_err(), "the schema takes {slip} at {path:?}");
        let found = told(&wrong.to_string());
        let unknown = found.iter().find(|found| {
            found.code.id == "SS102" && found.message.starts_with(&format!("unknown key `{slip}`"))
        });
        let unknown = unknown.unwrap_or_else(|| panic!("nobody tells of {slip} at {path:?}: {found:?}"));
        assert_eq!(unknown.help.as_deref(), Some(format!("did you mean `{key}`?").as_str()), "{path:?}");
    }
}

/// A value of a kind that no key takes, at each key, one at a time: never silently ignored.
#[test]
fn a_value_of_the_wrong_kind_is_told_at_any_key() {
    let (validator, whole) = (validator(), whole());
    let mut paths = Vec::new();
    keys(&whole, &mut Vec::new(), &mut paths);
    for path in &paths {
        let mut wrong = whole.clone();
        let place = path.iter().fold(&mut wrong, |value, step| match step.parse::<usize>() {
            Ok(index) => &mut value[index],
            Err(_) => &mut value[step.as_str()],
        });
        // A list in a list is nowhere right.
        *place = serde_json::json!([[]]);
        assert!(validator.check(&wrong).is_err(), "the schema takes it at {path:?}");
        let found = told(&wrong.to_string());
        let is_told = found
            .iter()
            .any(|found| found.is_error() && ["SS104", "SS105", "SS117"].contains(&found.code.id));
        assert!(is_told, "nobody tells of a list in a list at {path:?}: {found:?}");
    }
}

/// A document of the example is one by the schema of its documents, and what is none is refused.
#[test]
fn documents_are_what_their_schema_says() {
    let folder = tests().join("../../configs/movies");
    let text = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        Arc::new(SourceText { name: name.to_owned(), text })
    };
    let config = parse_config(&text("index.yaml"), &|_| None).value.unwrap();
    let others = config.wanted_files().into_iter().map(|file| (file.path.clone(), text(&file.path)));
    let texts =
        Texts { query: text("query.graphql"), schema: text("supergraph.graphql"), others: others.collect() };
    let schema = document_schema(&compile(&config, &texts).value.unwrap().plan);
    let validator = Validator::new(schema);
    let document: Value = serde_json::from_str(&text("mocks/avatar.json").text).unwrap();
    assert_eq!(validator.check(&document), Ok(()));
    for (pointer, wrong) in [
        ("/movieId", Value::Null),
        ("/popularity", Value::from("many")),
        ("/type", Value::from("FILM")),
        ("/production", Value::from("none")),
        ("/directors/0/name", Value::from(7)),
    ] {
        let mut document = document.clone();
        *document.pointer_mut(pointer).unwrap() = wrong;
        assert!(validator.check(&document).is_err(), "{pointer}");
    }
    assert!(validator.check(&serde_json::json!({ "movieId": "m1", "titel": "x" })).is_err());
}

/// The paths of all keys that are not names of the user's choice.
fn keys(value: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let is_free = |at: &[String]| {
        let plain: Vec<&str> =
            at.iter().filter(|step| step.parse::<usize>().is_err()).map(String::as_str).collect();
        matches!(
            plain.as_slice(),
            ["sources" | "coverage" | "fields"]
                | ["graph", "headers" | "scalars"]
                | ["kafka", "properties"]
                | ["errors", "owners"]
                | ["store", "settings"]
                | ["search", "access", "policies"]
                | ["search", "saved", "headers"]
                | ["tests", "graph"]
                | ["tests", "expect", "documents", ..]
                | ["tests", "search", "facets", ..]
        )
    };
    match value {
        Value::Object(map) => below(map, at, found, is_free(at)),
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                at.push(number.to_string());
                keys(item, at, found);
                at.pop();
            }
        }
        _ => {}
    }
}

fn below(map: &Map<String, Value>, at: &mut Vec<String>, found: &mut Vec<Vec<String>>, is_free: bool) {
    for (key, value) in map {
        at.push(key.clone());
        if !is_free {
            found.push(at.clone());
        }
        keys(value, at, found);
        at.pop();
    }
}
