//! What a datum keeps, what is refused and where, and agreement with apache-avro on documents made from a seed.

mod random;

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value as Avro, writer::datum::GenericDatumWriter,
};
use serde_json::{Value, json};

use self::random::{Made, Random};
use super::{DocumentError, DocumentSchema, Fault};

/// A record with a key, one field of each kind, a list of lists and a list of records.
fn schema() -> Value {
    let nullable = |name: &str, ty: Value| json!({"name": name, "type": ["null", ty], "default": null});
    let episode = json!({"type": "record", "name": "episodes", "namespace": "n.Movie", "fields": [
        nullable("number", json!("int")),
        nullable("title", json!("string")),
    ]});
    json!({"type": "record", "name": "Movie", "namespace": "n", "fields": [
        {"name": "movieId", "type": "string"},
        nullable("year", json!("int")),
        nullable("budget", json!("long")),
        nullable("rating", json!("double")),
        nullable("isColour", json!("boolean")),
        nullable("released", json!({"type": "string", "logicalType": "iso-8601"})),
        nullable("extras", json!({"type": "string", "logicalType": "json"})),
        nullable("words", json!({"type": "array", "items":
            ["null", {"type": "array", "items": ["null", "string"]}]})),
        nullable("episodes", json!({"type": "array", "items": ["null", episode]})),
    ]})
}

fn compiled() -> DocumentSchema {
    DocumentSchema::parse(&schema()).unwrap()
}

fn encoded(body: &str) -> Vec<u8> {
    let mut datum = Vec::new();
    compiled().encode(body, &mut datum).unwrap();
    datum
}

fn round_trip(body: &str) -> String {
    compiled().decode(&encoded(body)).unwrap()
}

fn refused(body: &str) -> DocumentError {
    let mut datum = vec![7];
    let error = compiled().encode(body, &mut datum).unwrap_err();
    assert_eq!(datum, [7], "what stood before stays, and nothing else");
    error
}

#[test]
fn a_body_as_javascript_writes_it_reads_back_as_the_same_text() {
    let body = r#"{"movieId":"m1","year":-2147483648,"budget":9223372036854775807,"rating":7,"isColour":true,"released":"2009-12-18T10:00:00.123456789+02:00[x]","extras":{"b": [1.50, null],"a":1e400},"words":[["a\n\"\\","\u0001"],null,[],[null,"é😀"]],"episodes":[{"number":1,"title":null},null]}"#;
    assert_eq!(round_trip(body), body);
    for number in ["0.1", "-0", "5e-324", "1.7976931348623157e308", "123456789012345680000", "1e21", "1e-7"] {
        let body = round_trip(&format!(r#"{{"movieId":"m","rating":{number}}}"#));
        assert!(body.contains(&format!(r#""rating":{number},"#)), "{number}: {body}");
    }
}

#[test]
fn names_may_come_in_any_order_escaped_or_not_at_all() {
    let body = r#" { "rating":1.0, "\u0065pisodes":[{"title":"\ud83d\ude00"},{}], "movieId":"m1" } "#;
    let read: Value = serde_json::from_str(&round_trip(body)).unwrap();
    let wanted = json!({"movieId": "m1", "year": null, "budget": null, "rating": 1, "isColour": null,
        "released": null, "extras": null, "words": null,
        "episodes": [{"number": null, "title": "😀"}, {"number": null, "title": null}]});
    assert_eq!(read, wanted);
}

#[test]
fn lists_of_any_length_are_read_back() {
    for length in [0, 1, 62, 63, 64, 126, 127, 1000] {
        let words = vec!["x"; length];
        let body = json!({"movieId": "m", "words": [words]}).to_string();
        let read: Value = serde_json::from_str(&round_trip(&body)).unwrap();
        assert_eq!(read["words"][0].as_array().unwrap().len(), length);
    }
}

#[test]
fn what_does_not_fit_is_refused_with_its_path() {
    let told = |body: &str| refused(body).to_string();
    assert_eq!(told(r#"{"year":1}"#), "`movieId`: it can't be null");
    assert_eq!(told(r#"{"movieId":null}"#), "`movieId`: it can't be null");
    assert_eq!(told(r#"{"movieId":7}"#), "`movieId`: a string is wanted, this is the number 7");
    assert_eq!(told(r#"{"movieId":"m","titel":1}"#), "`titel`: the schema has no such field");
    assert_eq!(told(r#"{"movieId":"m","movieId":"m"}"#), "`movieId`: it stands there twice");
    assert_eq!(told("null"), "the document: it can't be null");
    assert_eq!(told("[]"), "the document: an object is wanted, this is a list");
    let field = |value: &str| told(&format!(r#"{{"movieId":"m",{value}}}"#));
    assert_eq!(field(r#""year":2147483648"#), "`year`: 2147483648 does not fit into an integer of 32 bits");
    assert_eq!(field(r#""year":1.0"#), "`year`: an integer of 32 bits is wanted, this is the number 1.0");
    assert_eq!(
        field(r#""budget":9223372036854775808"#),
        "`budget`: 9223372036854775808 does not fit into an integer of 64 bits"
    );
    assert_eq!(field(r#""budget":-1e30"#), "`budget`: -1e30 does not fit into an integer of 64 bits");
    assert_eq!(field(r#""rating":1e400"#), "`rating`: 1e400 does not fit into a double");
    assert_eq!(field(r#""rating":"7""#), "`rating`: a double is wanted, this is the text \"7\"");
    assert_eq!(field(r#""isColour":0"#), "`isColour`: a boolean is wanted, this is the number 0");
    assert_eq!(field(r#""words":[["a"],["b",true]]"#), "`words.1.1`: a string is wanted, this is true");
    assert_eq!(
        field(r#""episodes":[{"number":1},{"number":"x"}]"#),
        "`episodes.1.number`: an integer of 32 bits is wanted, this is the text \"x\""
    );
    for broken in [r#"{"movieId":"m""#, r#"{"movieId":"m"} x"#, r#"{"movieId":"\ud800"}"#, "", "NaN"] {
        assert!(matches!(refused(broken).fault, Fault::NotJson(_)), "{broken}");
    }
    let rating = refused(r#"{"movieId":"m","rating":NaN}"#);
    assert!(matches!(rating.fault, Fault::NotJson(_)) && rating.path == "rating", "{rating}");
}

/// Each `{}` is three bytes, and thirty when its fields are written out.
#[test]
fn a_body_that_would_swell_is_refused() {
    let objects = "{},".repeat(3 << 20);
    let body = format!(r#"{{"movieId":"m","episodes":[{}]}}"#, objects.trim_end_matches(','));
    assert_eq!(refused(&body).fault, Fault::TooLong);
    let nested = format!(r#"{{"movieId":"m","extras":{}}}"#, "[".repeat(100_000));
    assert!(matches!(refused(&nested).fault, Fault::NotJson(_)), "depth costs no stack");
}

#[test]
fn a_damaged_datum_is_refused_and_never_a_panic() {
    let datum = encoded(
        r#"{"movieId":"m1","year":7,"rating":0.5,"isColour":true,"extras":{"a":1},"words":[["a"]],"episodes":[{"number":3}]}"#,
    );
    let schema = compiled();
    for end in 0..datum.len() {
        assert!(schema.decode(&datum[..end]).is_err(), "cut at {end}");
    }
    let mut longer = datum.clone();
    longer.push(0);
    assert!(matches!(schema.decode(&longer).unwrap_err().fault, Fault::Damaged(_)));
    for at in 0..datum.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = datum.clone();
            damaged[at] = value;
            if let Ok(read) = schema.decode(&damaged) {
                serde_json::from_str::<Value>(&read).unwrap_or_else(|error| panic!("{at}: {error}: {read}"));
            }
        }
    }
    let infinite = encoded(r#"{"movieId":"","rating":1}"#);
    let at = infinite.windows(8).position(|bytes| bytes == 1f64.to_le_bytes()).unwrap();
    let mut damaged = infinite;
    damaged[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    assert_eq!(schema.decode(&damaged).unwrap_err().path, "rating");
}

#[test]
fn only_schemas_of_documents_are_compiled() {
    let refused = |ty: Value| {
        let schema = json!({"type": "record", "name": "A", "fields": [{"name": "a", "type":
            {"type": "record", "name": "B", "fields": [{"name": "b", "type": ty}]}}]});
        DocumentSchema::parse(&schema).unwrap_err().to_string()
    };
    let told = |problem: &str| format!("this Avro schema is none of a document: \"a.b\" {problem}");
    assert_eq!(refused(json!("bytes")), told("has a type that no document has"));
    assert_eq!(refused(json!("B")), told("has a type that no document has"));
    assert_eq!(
        refused(json!(["string", "int"])),
        told("is a union of something else than null and one type")
    );
    assert!(DocumentSchema::parse(&json!("string")).is_err());
    let mut deep = json!("string");
    for _ in 0..200 {
        deep = json!({"type": "array", "items": ["null", deep]});
    }
    assert_eq!(refused(deep), told("is nested too deep"));
}

/// Other schemas and documents: `SEED=7 cargo test -p studio-search-indexer documents`.
#[test]
fn apache_avro_reads_what_we_write_and_writes_what_we_read() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random::<u64>);
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for case in 0..100 {
        let schema = random.schema();
        let ours = DocumentSchema::parse(&schema).unwrap();
        let theirs = Schema::parse(&schema).unwrap_or_else(|error| panic!("seed {seed}: {error}: {schema}"));
        let reader = GenericDatumReader::builder(&theirs).build().unwrap();
        let writer = GenericDatumWriter::builder(&theirs).build().unwrap();
        for _ in 0..4 {
            let Made { body, json, avro } = random.document(&schema);
            let place = format!("seed {seed}, case {case}: {body}\n{schema}");
            let mut datum = Vec::new();
            ours.encode(&body, &mut datum).unwrap_or_else(|error| panic!("{error}: {place}"));
            let read = reader.read_value(&mut datum.as_slice()).unwrap();
            assert!(same_avro(&read, &avro), "{place}\n{read:?}\n{avro:?}");
            let back = ours.decode(&datum).unwrap();
            assert!(same_json(&serde_json::from_str(&back).unwrap(), &json), "{place}\n{back}");
            let mut again = Vec::new();
            ours.encode(&back, &mut again).unwrap();
            assert_eq!(again, datum, "to the last bit: {place}");
            let written = writer.write_value_to_vec(avro).unwrap();
            assert_eq!(ours.decode(&written).unwrap(), back, "{place}");
        }
    }
}

/// Equality of doubles by their bits: `0.0` and `-0.0` differ, and nothing is rounded.
fn same_avro(one: &Avro, other: &Avro) -> bool {
    match (one, other) {
        (Avro::Double(one), Avro::Double(other)) => one.to_bits() == other.to_bits(),
        (Avro::Union(one, inner), Avro::Union(other, others)) => one == other && same_avro(inner, others),
        (Avro::Array(one), Avro::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_avro(one, other))
        }
        (Avro::Record(one), Avro::Record(other)) => {
            let same = |(one, other): (&(String, Avro), &(String, Avro))| {
                one.0 == other.0 && same_avro(&one.1, &other.1)
            };
            one.len() == other.len() && one.iter().zip(other).all(same)
        }
        _ => one == other,
    }
}

/// Equality of numbers as numbers. The parser of this test may miss a double's last bit; the datum's bytes are compared too.
fn same_json(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= other.abs() * 1e-15
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_json(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same_json(one, other)))
        }
        _ => one == other,
    }
}
