//! Data of apache-avro's writer, and bytes that no writer wrote.

use std::time::Instant;

use apache_avro::{Schema, types::Value as Datum, writer::datum::GenericDatumWriter};
use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn written(schema: &Value, datum: Datum) -> Vec<u8> {
    let schema = Schema::parse(schema).unwrap();
    GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(datum).unwrap()
}

fn parsed(schema: &Value) -> WriterSchema {
    WriterSchema::parse(&schema.to_string(), &[]).unwrap()
}

fn decoded(schema: &Value, bytes: &[u8]) -> Result<Value, String> {
    parsed(schema).decode(bytes).map_err(|error| error.to_string())
}

/// A schema, a datum of it, and the JSON that it is.
type Case = (Value, Datum, Value);

fn leaf() -> impl Strategy<Value = Case> {
    let logical = |of: &str, name: &str| json!({"type": of, "logicalType": name});
    prop_oneof![
        Just((json!("null"), Datum::Null, Value::Null)),
        any::<bool>().prop_map(|value| (json!("boolean"), Datum::Boolean(value), value.into())),
        any::<i32>().prop_map(|value| (json!("int"), Datum::Int(value), value.into())),
        any::<i64>().prop_map(|value| (json!("long"), Datum::Long(value), value.into())),
        any::<i32>().prop_map(move |days| (logical("int", "date"), Datum::Date(days), days.into())),
        any::<i64>().prop_map(move |at| {
            (logical("long", "timestamp-micros"), Datum::TimestampMicros(at), at.into())
        }),
        (-1e9_f64..1e9).prop_map(|value| (json!("double"), Datum::Double(value), value.into())),
        ".{0,12}".prop_map(|text| (json!("string"), Datum::String(text.clone()), text.into())),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(|bytes| {
            let text = BASE64_STANDARD.encode(&bytes);
            (json!("bytes"), Datum::Bytes(bytes), text.into())
        }),
        prop::collection::vec(any::<u8>(), 5).prop_map(|bytes| {
            let text = BASE64_STANDARD.encode(&bytes);
            (json!({"type": "fixed", "name": "NAME", "size": 5}), Datum::Fixed(5, bytes), text.into())
        }),
        (0_u32..3).prop_map(|index| {
            let symbol = ["A", "B", "C"][index as usize].to_owned();
            let schema = json!({"type": "enum", "name": "NAME", "symbols": ["A", "B", "C"]});
            (schema, Datum::Enum(index, symbol.clone()), symbol.into())
        }),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    leaf().prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            // All items of a list have one schema.
            (inner.clone(), 0_usize..4).prop_map(|((schema, datum, value), count)| {
                let datum = Datum::Array(vec![datum; count]);
                (json!({"type": "array", "items": schema}), datum, vec![value; count].into())
            }),
            (inner.clone(), prop::collection::btree_set("[a-zé]{0,4}", 0..4)).prop_map(
                |((schema, datum, value), names)| {
                    let entries = names.iter().map(|name| (name.clone(), datum.clone())).collect();
                    let object = names.into_iter().map(|name| (name, value.clone())).collect();
                    (json!({"type": "map", "values": schema}), Datum::Map(entries), Value::Object(object))
                }
            ),
            (inner.clone(), any::<bool>()).prop_map(|((schema, datum, value), is_null)| {
                if schema == "null" || schema.is_array() {
                    return (schema, datum, value);
                }
                let schema = json!(["null", schema]);
                match is_null {
                    true => (schema, Datum::Union(0, Box::new(Datum::Null)), Value::Null),
                    false => (schema, Datum::Union(1, Box::new(datum)), value),
                }
            }),
            prop::collection::vec(inner, 0..4).prop_map(|fields| {
                let (mut schemas, mut data, mut object) = (Vec::new(), Vec::new(), serde_json::Map::new());
                for (number, (schema, datum, value)) in fields.into_iter().enumerate() {
                    let name = format!("f{number}");
                    schemas.push(json!({"name": name, "type": schema}));
                    data.push((name.clone(), datum));
                    object.insert(name, value);
                }
                let schema = json!({"type": "record", "name": "NAME", "fields": schemas});
                (schema, Datum::Record(data), object.into())
            }),
        ]
    })
}

/// Gives each named type a name of its own.
fn name(schema: &mut Value, number: &mut usize) {
    match schema {
        Value::Object(fields) => {
            if fields.get("name").is_some_and(|name| name == "NAME") {
                fields.insert("name".to_owned(), format!("N{number}").into());
                *number += 1;
            }
            fields.values_mut().for_each(|below| name(below, number));
        }
        Value::Array(branches) => branches.iter_mut().for_each(|below| name(below, number)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn what_another_writer_wrote_is_read(case in case(), damage: prop::sample::Index, byte: u8) {
        let (mut schema, datum, value) = case;
        name(&mut schema, &mut 0);
        let mut bytes = written(&schema, datum);
        prop_assert_eq!(decoded(&schema, &bytes), Ok(value));
        // Whatever is cut off or damaged is refused or read as something else; it never costs or panics.
        if !bytes.is_empty() {
            let at = damage.index(bytes.len());
            prop_assert!(decoded(&schema, &bytes[..at]).is_err());
            bytes[at] = byte;
            let _ = decoded(&schema, &bytes);
        }
        bytes.push(0);
        let _ = decoded(&schema, &bytes);
    }

    #[test]
    fn hostile_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for schema in [
            json!({"type": "array", "items": "null"}),
            json!({"type": "map", "values": {"type": "array", "items": ["string", "double"]}}),
            json!({"type": "record", "name": "R", "fields": [
                {"name": "next", "type": ["null", "R"]}, {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "scale": 9}}]}),
        ] {
            let _ = decoded(&schema, &bytes);
        }
    }

    #[test]
    fn hostile_schemas_are_refused(text in r#"[\[\]{}",:a-z0-9]{0,60}"#) {
        let _ = WriterSchema::parse(&text, &[]);
    }
}

#[test]
fn few_bytes_never_become_much() {
    let start = Instant::now();
    let many = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let nothings = decoded(&json!({"type": "array", "items": "null"}), &many).unwrap_err();
    assert!(nothings.contains("without a byte"), "{nothings}");
    let empty = json!({"type": "array", "items": {"type": "record", "name": "E", "fields": []}});
    assert!(decoded(&empty, &many).unwrap_err().contains("without a byte"));
    let long = json!({"type": "array", "items": {"type": "record", "name": "E", "fields": [
        {"name": "x".repeat(1 << 20), "type": "null"}]}});
    assert!(decoded(&long, &many).unwrap_err().contains("too large"));
    assert!(decoded(&json!("string"), &many).unwrap_err().contains("ends here"));
    assert!(decoded(&json!("bytes"), &[0x01]).unwrap_err().contains("negative"));

    let itself = json!({"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]});
    assert!(decoded(&itself, &[]).unwrap_err().contains("levels"));
    // Each level twice the one below it, without a byte.
    let mut doubled = json!("null");
    for level in 0..40 {
        doubled = match level {
            0 => json!({"type": "record", "name": "L0", "fields": []}),
            _ => json!({"type": "record", "name": format!("L{level}"), "fields": [
                {"name": "a", "type": doubled}, {"name": "b", "type": format!("L{}", level - 1)}]}),
        };
    }
    assert!(decoded(&doubled, &[]).unwrap_err().contains("too large"));
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn decimals_are_exact_text() {
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 2});
    assert_eq!(decoded(&decimal, &[4, 0x30, 0x34]), Ok("123.40".into()));
    assert_eq!(decoded(&decimal, &[2, 0xff]), Ok("-0.01".into()));
    let fixed = json!({"type": "fixed", "name": "D", "size": 4, "logicalType": "decimal", "precision": 9});
    assert_eq!(decoded(&fixed, &[0, 0, 0, 42]), Ok("42".into()));
    // Debezium's number whose scale is the row's own.
    let variable = json!({"type": "record", "name": "VariableScaleDecimal", "namespace": "io.debezium.data", "fields": [
        {"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}]});
    assert_eq!(decoded(&variable, &[2, 2, 0x7b]), Ok("12.3".into()));
    assert_eq!(decoded(&variable, &[0, 2, 0x7b]), Ok("123".into()));
    let hostile = [0xfe, 0xff, 0xff, 0xff, 0x0f, 2, 0x7b];
    assert_eq!(decoded(&variable, &hostile), Ok("ew==".into()), "a scale of two milliards is no text");
}

#[test]
fn other_kinds_are_as_kafka_connect_has_them() {
    assert_eq!(decoded(&json!("float"), &0.1_f32.to_le_bytes()), Ok(json!(0.1)));
    assert_eq!(decoded(&json!("double"), &f64::NAN.to_le_bytes()), Ok("NaN".into()));
    assert_eq!(decoded(&json!("float"), &f32::NEG_INFINITY.to_le_bytes()), Ok("-Infinity".into()));
    let uuid = json!({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"});
    let bytes: Vec<u8> = (0..16).collect();
    assert_eq!(decoded(&uuid, &bytes), Ok("00010203-0405-0607-0809-0a0b0c0d0e0f".into()));
    // A block that says its length, too.
    assert_eq!(decoded(&json!({"type": "array", "items": "int"}), &[3, 4, 2, 4, 0]), Ok(json!([1, 2])));
    assert!(decoded(&json!("int"), &[0xfe, 0xff, 0xff, 0xff, 0xff, 0x01]).unwrap_err().contains("32 bits"));
    assert!(decoded(&json!("boolean"), &[2]).unwrap_err().contains("0 or 1"));
    assert_eq!(WriterSchema::parse("string", &[]).unwrap().decode(&[2, b'x']), Ok("x".into()));
}

#[test]
fn names_are_found_in_their_namespaces_and_in_other_schemas() {
    let person = json!({"type": "record", "name": "Person", "namespace": "a.b", "fields": [
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["STAR"]}}]});
    let movie = json!({"type": "record", "name": "a.b.Movie", "fields": [
        {"name": "star", "type": "Person"}, {"name": "kind", "type": "a.b.Kind"},
        {"name": "next", "type": ["null", "Movie"]}]});
    let schema = WriterSchema::parse(&movie.to_string(), &[person.to_string()]).unwrap();
    let wanted = json!({"star": {"kind": "STAR"}, "kind": "STAR", "next": {"star": {"kind": "STAR"}, "kind": "STAR", "next": null}});
    assert_eq!(schema.decode(&[0, 0, 2, 0, 0, 0]), Ok(wanted));
    let error = schema.decode(&[0, 0, 2, 0, 9]).unwrap_err();
    assert_eq!(error.path, "next.kind");
    for (schema, reason) in [
        (
            json!({"type": "record", "name": "R", "fields": [{"name": "x", "type": "Unknown"}]}),
            "Unknown is not defined",
        ),
        (
            json!([{"type": "fixed", "name": "F", "size": 1}, {"type": "fixed", "name": "F", "size": 2}]),
            "defined twice",
        ),
        (json!({"type": "fixed", "name": "F"}), "no size"),
        (json!({"type": "array"}), "nothing of what it holds"),
        (json!({"name": "x"}), "no `type`"),
        (json!(7), "7 is no type"),
    ] {
        let error = WriterSchema::parse(&schema.to_string(), &[]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(126), "}".repeat(126));
    assert!(WriterSchema::parse(&deep, &[]).is_ok());
    let deeper = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(4000), "}".repeat(4000));
    assert!(WriterSchema::parse(&deeper, &[]).is_err());
}
