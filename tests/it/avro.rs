//! Documents as Avro: what the real gateway answers reads back equal, and other libraries take schemas and datums.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use codegen::{Texts, compile, parse_config};
use harness::{
    avro::{Library, Reading},
    graph::RealGraph,
    graphql_js, repository,
};
use indexer::documents::DocumentSchema;
use plan::SourceText;
use serde_json::{Map, Value, json};

/// Every so many movies one goes to the other libraries.
const SHARE: usize = 20;

#[test]
fn every_movie_of_the_real_graph_reads_back_equal() {
    let events = tempfile::tempdir().expect("a temporary folder");
    let graph = RealGraph::start(events.path());
    let avro = avro_of(&repository().join("configs/movies"), &[]);
    let schema = DocumentSchema::parse(&avro).expect("codegen's schema");
    let (mut datums, mut documents) = (Vec::new(), Vec::new());
    for (id, body) in graph.bodies() {
        let mut datum = Vec::new();
        schema.encode(body.get(), &mut datum).unwrap_or_else(|error| panic!("{id}: {error}"));
        let back = schema.decode(&datum).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(parsed(&back), parsed(body.get()), "{id}");
        assert!(datum.len() < body.get().len() / 2, "{id}: names are not stored");
        datums.push(datum);
        documents.push(parsed(body.get()));
    }
    assert_eq!(datums.len(), 3_201);

    let some: Vec<Vec<u8>> = datums.into_iter().step_by(SHARE).collect();
    let wanted: Vec<Value> = documents.into_iter().step_by(SHARE).collect();
    for library in &mut libraries() {
        let Reading { values, written } = read(library, &avro, None, &some);
        assert_same(&values, &wanted, library.name);
        let back: Vec<Value> = written.iter().map(|datum| decoded(&schema, datum)).collect();
        assert_same(&back, &wanted, library.name);
    }
}

/// Lists of lists, unions, scalars of every kind, both logical types of ours, and names that are words of Avro.
#[test]
fn other_libraries_take_every_type_of_field() {
    let folder = every_type();
    let avro = avro_of(&folder, &[]);
    let schema = DocumentSchema::parse(&avro).expect("codegen's schema");
    let body = fs::read_to_string(folder.join("answer.json")).expect("an answer");
    let mut datum = Vec::new();
    schema.encode(&body, &mut datum).unwrap_or_else(|error| panic!("{error}"));
    let document = parsed(&body);
    let back = decoded(&schema, &datum);
    // What an object of another type would have is null.
    assert_same(std::slice::from_ref(&back), &[filled(&avro, &document, &Value::clone)], "ours");
    assert_eq!(
        back["parts"][0],
        json!({"__typename": "Door", "name": null, "inches": null, "door": "left", "isOpen": true})
    );

    // Whoever doesn't know the logical types sees the JSON's text.
    let wanted = filled(&avro, &document, &|json| Value::from(json.to_string()));
    for library in &mut libraries() {
        let Reading { values, written } = read(library, &avro, None, std::slice::from_ref(&datum));
        let seen: Vec<Value> = values.iter().map(|value| filled(&avro, value, &compact)).collect();
        assert_same(&seen, std::slice::from_ref(&wanted), library.name);
        assert_same(&[decoded(&schema, &written[0])], std::slice::from_ref(&back), library.name);
    }
}

#[test]
fn other_libraries_take_the_schema_of_a_query_on_github() {
    let avro = avro_of(&graphql_js::folder().join("github"), &[]);
    let schema = DocumentSchema::parse(&avro).expect("codegen's schema");
    let mut datum = Vec::new();
    schema
        .encode(r#"{"id":"R_1","owner":{"id":"O_1"}}"#, &mut datum)
        .unwrap_or_else(|error| panic!("{error}"));
    for library in &mut libraries() {
        let Reading { values, .. } = read(library, &avro, None, std::slice::from_ref(&datum));
        assert_eq!(values[0]["owner"]["id"], "O_1", "{}", library.name);
        assert_same(&values, &[decoded(&schema, &datum)], library.name);
    }
}

/// That they take our schemas means something.
#[test]
fn other_libraries_refuse_what_is_no_schema() {
    let field = |ty: Value| json!({"name": "a", "type": ty});
    let record = |name: &str, fields: &[Value]| json!({"type": "record", "name": name, "fields": fields});
    let twice = [field(record("B", &[field(json!("int"))])), json!({"name": "b", "type": record("B", &[])})];
    let (mut fastavro, mut java) = (Library::fastavro(), Library::java());
    for (schema, what) in [
        (record("A", &twice), "a record that is defined twice"),
        (record("A", &[field(json!("text"))]), "a type that nobody has"),
    ] {
        assert!(fastavro.read(&schema, None, &[]).is_err(), "fastavro takes {what}");
        assert!(java.read(&schema, None, &[]).is_err(), "Java takes {what}");
    }
    // Only Java reads names strictly.
    assert!(java.read(&record("A-B", &[field(json!("int"))]), None, &[]).is_err());
}

/// The query grows by one selection, at the root, in objects and in lists: consumers of the new schema read old datums.
#[test]
fn an_added_selection_is_backward_compatible() {
    let folder = every_type();
    let of = |selection: &str| {
        avro_of(
            &folder,
            &[("query.graphql", &format!("query Q($id: ID!) {{ thing(id: $id) {{ {selection} }} }}"))],
        )
    };
    let old = of("id inside { id } insides { id } matrix { id } parts { ... on Door { isOpen } }");
    let body = r#"{"id":"a","inside":{"id":"b"},"insides":[{"id":"c"},null],"matrix":[[{"id":"d"}],null],"parts":[{"__typename":"Door","isOpen":true}]}"#;
    let mut datum = Vec::new();
    let schema = DocumentSchema::parse(&old).expect("codegen's schema");
    schema.encode(body, &mut datum).unwrap_or_else(|error| panic!("{error}"));
    let rest = "id insides { id } matrix { id } parts { ... on Door { isOpen } }";
    let grown = [
        "count id inside { id } insides { id } matrix { id } parts { ... on Door { isOpen } }".to_owned(),
        format!("{rest} inside {{ id moment }}"),
        format!("{rest} inside {{ inside {{ id }} id }}"),
        format!("{rest} inside {{ id }} owner {{ name ... on Wheel {{ inches }} }} grid anything words"),
        "id inside { id } insides { words id } matrix { id } parts { ... on Door { isOpen } }".to_owned(),
        "id inside { id } insides { id inside { id } } matrix { id insides { id } } parts { ... on Door { isOpen } }".to_owned(),
        "id inside { id } insides { id } matrix { id } parts { ... on Wheel { inches } ... on Door { isOpen } }".to_owned(),
        // And back: what is no longer selected is skipped.
        "id inside { id } matrix { id }".to_owned(),
    ];
    let mut libraries = libraries();
    for selection in grown {
        let new = of(&selection);
        assert_ne!(new, old);
        let answer = compatibility(&mut libraries[1], &new, &old);
        assert_eq!(answer["compatibility"], "COMPATIBLE", "{selection}: {answer}");
        let wanted = filled(&new, &parsed(body), &compact);
        for library in &mut libraries {
            let Reading { values, .. } = read(library, &old, Some(&new), std::slice::from_ref(&datum));
            assert_same(&values, std::slice::from_ref(&wanted), library.name);
        }
    }
}

#[test]
fn a_changed_type_is_told_incompatible() {
    let folder = every_type();
    let query = ("query.graphql", "query Q($id: ID!) { thing(id: $id) { id name colours } }");
    let schema = fs::read_to_string(folder.join("schema.graphql")).expect("a schema");
    let old = avro_of(&folder, &[query]);
    let changed = |from: &str, to: &str| {
        assert!(schema.contains(from), "{from}");
        avro_of(&folder, &[query, ("schema.graphql", &schema.replace(from, to))])
    };
    let mut java = Library::java();
    for (from, to) in [
        // The key.
        ("  id: ID!", "  id: Int!"),
        ("colours: [Colour!]!", "colours: [Boolean!]!"),
        ("colours: [Colour!]!", "colours: Colour!"),
    ] {
        let new = changed(from, to);
        let answer = compatibility(&mut java, &new, &old);
        assert_eq!(answer["compatibility"], "INCOMPATIBLE", "{from} to {to}: {answer}");
        let mut datum = Vec::new();
        let body = r#"{"id":"a","name":"n","colours":["RED"]}"#;
        DocumentSchema::parse(&old).expect("codegen's").encode(body, &mut datum).expect("it fits");
        let misread = java.read(&old, Some(&new), &[datum]);
        assert!(misread.is_err(), "{from} to {to}: {misread:?}");
    }
}

fn every_type() -> std::path::PathBuf {
    repository().join("tests/every-type")
}

fn libraries() -> [Library; 2] {
    [Library::fastavro(), Library::java()]
}

/// The Avro schema of a folder with an `index.yaml`; some of its files may have another text.
fn avro_of(folder: &Path, others: &[(&str, &str)]) -> Value {
    let text = |name: &str| {
        let name = name.trim_start_matches("./");
        let other = others.iter().find(|(other, _)| *other == name).map(|(_, text)| (*text).to_owned());
        let kept = || fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Arc::new(SourceText { name: name.to_owned(), text: other.unwrap_or_else(kept) })
    };
    let config = parse_config(&text("index.yaml"), &|_| Some("http://127.0.0.1:1".to_owned()));
    let config = config.value.unwrap_or_else(|| panic!("{:?}", config.diagnostics));
    let (mut query, mut schema, mut rest) = (None, None, BTreeMap::new());
    for file in config.wanted_files() {
        match file.what {
            "query" => query = Some(text(&file.path)),
            "schema" => schema = Some(text(&file.path)),
            _ => drop(rest.insert(file.path.clone(), text(&file.path))),
        }
    }
    let texts = Texts { query: query.expect("a query"), schema: schema.expect("a schema"), others: rest };
    let compiled = compile(&config, &texts);
    compiled.value.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics)).avro
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn decoded(schema: &DocumentSchema, datum: &[u8]) -> Value {
    parsed(&schema.decode(datum).unwrap_or_else(|error| panic!("{error}")))
}

fn read(library: &mut Library, writer: &Value, reader: Option<&Value>, datums: &[Vec<u8>]) -> Reading {
    let reading =
        library.read(writer, reader, datums).unwrap_or_else(|error| panic!("{}: {error}", library.name));
    assert_eq!(
        (reading.values.len(), reading.written.len()),
        (datums.len(), datums.len()),
        "{}",
        library.name
    );
    reading
}

fn compatibility(java: &mut Library, reader: &Value, writer: &Value) -> Value {
    java.ask(&json!({"reader": reader, "writer": writer}))
}

/// A JSON text without its white space, so that only its meaning is compared.
fn compact(text: &Value) -> Value {
    text.as_str().map_or(Value::Null, |text| Value::from(parsed(text).to_string()))
}

/// A document as its Avro schema has it: absent fields are null, and no others are there; `json` turns what stands where
/// the schema says JSON.
fn filled(schema: &Value, document: &Value, json: &dyn Fn(&Value) -> Value) -> Value {
    match schema {
        _ if document.is_null() => Value::Null,
        Value::Array(branches) => filled(&branches[1], document, json),
        _ if schema["logicalType"] == "json" => json(document),
        _ if schema["type"] == "array" => {
            let items = document.as_array().expect("a list").iter();
            items.map(|item| filled(&schema["items"], item, json)).collect()
        }
        _ if schema["type"] == "record" => {
            let fields = schema["fields"].as_array().expect("fields").iter().map(|field| {
                let name = field["name"].as_str().expect("a name");
                (name.to_owned(), filled(&field["type"], &document[name], json))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        _ => document.clone(),
    }
}

/// Equality of JSON, of numbers as numbers: 7 is 7.0.
fn assert_same(found: &[Value], wanted: &[Value], who: &str) {
    assert_eq!(found.len(), wanted.len(), "{who}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(plain(found), plain(wanted), "{who}");
    }
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(double) => Value::from(double),
            None => number.as_i64().and_then(exact).unwrap_or_else(|| value.clone()),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        _ => value.clone(),
    }
}

/// An integer as the double that is the same number, where there is one.
fn exact(integer: i64) -> Option<Value> {
    i32::try_from(integer).ok().map(f64::from).map(Value::from)
}
