//! Records as their producers frame them, without a registry; `tests/it/registry.rs` has a real one.

use serde_json::json;

use super::*;

async fn read(encoding: Encoding, raw: RawRecord<'_>) -> Result<Record, BadRecord> {
    RecordDecoder::new(encoding, None).decode(&raw).await.expect("no registry is asked")
}

#[tokio::test]
async fn keys_are_json_or_text_and_never_bent() {
    for (key, wanted) in [
        (&br#"{"movie_id":"m1"}"#[..], json!({"movie_id": "m1"})),
        (b"[1]", json!([1])),
        (br#""m1""#, json!("m1")),
        (b"m1", json!("m1")),
        (b"42", json!(42)),
        (b"-7", json!(-7)),
        (b"007", json!("007")),
        (b"1e5", json!("1e5")),
        (b"1.0", json!("1.0")),
        (b"123456789012345678901234567890", json!("123456789012345678901234567890")),
        (b"true", json!("true")),
        (b"null", json!(null)),
        (b"{half", json!("{half")),
        (b"", json!("")),
        (b"\xff\xfe", json!(null)),
        (&42_i64.to_be_bytes(), json!(null)),
        (b"\0\0\0\0\x07{\"id\":1}", json!({"id": 1})),
    ] {
        let raw = RawRecord { key: Some(key), value: None, ..RawRecord::default() };
        assert_eq!(read(Encoding::Json, raw).await.unwrap().key, wanted, "{key:?}");
    }
}

#[tokio::test]
async fn a_tombstone_and_headers_are_kept() {
    let headers = [
        ("ce_type", Some(&b"renamed"[..])),
        ("twice", Some(b"1")),
        ("twice", Some(b"2")),
        ("none", None),
        ("bytes", Some(b"\xff")),
    ];
    let raw = RawRecord { key: Some(b"m1"), value: None, headers: &headers, timestamp: Some(7) };
    let record = read(Encoding::Json, raw).await.unwrap();
    assert_eq!((record.value, record.timestamp), (Value::Null, Some(7)));
    let wanted = json!({"ce_type": "renamed", "twice": "2", "none": null, "bytes": null});
    assert_eq!(Value::Object(record.headers), wanted);
}

#[tokio::test]
async fn what_is_no_json_is_told_with_its_bytes() {
    for value in [&b"{half"[..], b"", b"\xff", b"words", &b"[".repeat(10_000)] {
        let raw = RawRecord { key: Some(b"m1"), value: Some(value), ..RawRecord::default() };
        let bad = read(Encoding::Json, raw).await.unwrap_err();
        assert_eq!((bad.code, bad.raw.as_slice()), (codes::SS301, value));
        assert!(bad.reason.starts_with("the value: it is no JSON"), "{}", bad.reason);
    }
    let framed = b"\x01GUID-of-16-bytes{\"a\":1}";
    let raw = RawRecord { value: Some(framed), ..RawRecord::default() };
    assert_eq!(read(Encoding::Json, raw).await.unwrap().value, json!({"a": 1}));
    let long = vec![b' '; MAX_PART_BYTES + 1];
    let raw = RawRecord { value: Some(&long), ..RawRecord::default() };
    let bad = read(Encoding::Json, raw).await.unwrap_err();
    assert!(bad.reason.contains("longer") && bad.raw.len() == MAX_DEAD_LETTER_BYTES);
}

#[tokio::test]
async fn a_value_that_names_no_schema_is_told() {
    for value in [&b"{}"[..], b"", b"\0", b"\0\0\0\0\0x", b"\x01short", b"\x02"] {
        let raw = RawRecord { value: Some(value), ..RawRecord::default() };
        let bad = read(Encoding::Avro, raw).await.unwrap_err();
        assert_eq!(bad.code, codes::SS323, "{value:?}");
        assert!(bad.reason.contains("names no schema"), "{}", bad.reason);
    }
}

#[test]
fn schemas_are_named_before_the_payload_or_in_a_header() {
    assert_eq!(framed(b"\0\0\0\x01\x02rest"), Some((SchemaId::Number(258), &b"rest"[..])));
    let guid = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f;
    let mut bytes = vec![1];
    bytes.extend(0_u8..16);
    assert_eq!(framed(&bytes), Some((SchemaId::Guid(guid), &b""[..])));
    assert_eq!(SchemaId::Guid(guid).to_string(), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    let headers = [(VALUE_SCHEMA, Some(&b"\0\0\0\0\x01"[..])), (VALUE_SCHEMA, Some(bytes.as_slice()))];
    assert_eq!(named(&headers, VALUE_SCHEMA, b"bare"), Some((SchemaId::Guid(guid), &b"bare"[..])));
    assert_eq!(named(&headers, KEY_SCHEMA, b"bare"), None);
    assert_eq!(named(&[(VALUE_SCHEMA, Some(b"text"))], VALUE_SCHEMA, b"bare"), None);
}
