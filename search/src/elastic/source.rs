//! What is stored for a document: its own text with the bookkeeping spliced in, and both taken apart again.

use std::borrow::Cow;

use plan::{DocumentId, DocumentVersion};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{DocumentWrite, StoredDocument};

/// Where the bookkeeping begins. The shape of documents has no key with two underscores, and whatever stands in the
/// bookkeeping before `original` is no object, so its last mention is the one that was spliced in.
const KEY: &str = "\"__search\":";

/// What is kept beside a document.
#[derive(Serialize, Deserialize)]
struct Bookkeeping<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    version: i64,
    deleted: bool,
    fetched_at: i64,
    #[serde(default, borrow)]
    missing: Vec<Cow<'a, str>>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    original: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(rename = "__search", borrow)]
    search: Bookkeeping<'a>,
}

/// Appends the source of a document. `adapted` is what the engine is to index in place of the body.
pub(super) fn write(document: &DocumentWrite<'_>, adapted: Option<&str>, into: &mut Vec<u8>) {
    let fields = adapted.or(document.body).unwrap_or("{}").trim_ascii();
    let open = fields.strip_suffix('}').unwrap_or(fields).trim_ascii_end();
    into.extend_from_slice(open.as_bytes());
    if open.len() > 1 {
        into.push(b',');
    }
    into.extend_from_slice(KEY.as_bytes());
    let original = adapted.and(document.body).and_then(|body| serde_json::from_str(body).ok());
    let bookkeeping = Bookkeeping {
        id: document.id.as_str().into(),
        version: document.version.get(),
        deleted: document.body.is_none(),
        fetched_at: document.fetched_at_ms,
        missing: document.missing.iter().map(Cow::from).collect(),
        original,
    };
    serde_json::to_writer(&mut *into, &bookkeeping).expect("text is written to memory");
    into.push(b'}');
}

/// Reads a source: the document as it was written, and what was kept beside it.
pub(super) fn read(source: &RawValue) -> Result<StoredDocument, String> {
    let text = source.get();
    let stored: Stored<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let search = stored.search;
    let body = match (search.deleted, search.original) {
        (true, _) => None,
        (false, Some(original)) => Some(original.get().to_owned()),
        (false, None) => Some(cut(text).ok_or("its bookkeeping is not where it was written")?),
    };
    Ok(StoredDocument {
        id: DocumentId::new(search.id).map_err(|error| error.to_string())?,
        version: DocumentVersion::from_stored(search.version),
        body,
        fetched_at_ms: search.fetched_at,
        missing: search.missing.into_iter().map(Cow::into_owned).collect(),
    })
}

fn cut(text: &str) -> Option<String> {
    let fields = &text[..text.rfind(KEY)?];
    Some(format!("{}}}", fields.strip_suffix(',').unwrap_or(fields)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(body: Option<&str>, adapted: Option<&str>) -> StoredDocument {
        let (id, missing) = (DocumentId::new("m\"1").unwrap(), [",\"__search\":{".to_owned()]);
        let document = DocumentWrite {
            id: &id,
            version: DocumentVersion::from_stored(1 << 40),
            body,
            fetched_at_ms: 7,
            missing: &missing,
        };
        let mut source = Vec::new();
        write(&document, adapted, &mut source);
        let stored = read(&RawValue::from_string(String::from_utf8(source).unwrap()).unwrap()).unwrap();
        assert_eq!((&stored.id, stored.version, &stored.missing[..]), (&id, document.version, &missing[..]));
        stored
    }

    #[test]
    fn a_document_comes_back_as_it_was_written() {
        for body in ["{}", r#"{"a":1.50,"b":{"__search":{}}}"#, "{\"a\":\"é\\u00e9\", \"b\" : [1e2]}"] {
            assert_eq!(round_trip(Some(body), None).body.as_deref(), Some(body));
            assert_eq!(round_trip(Some(body), Some(r#"{"a":2}"#)).body.as_deref(), Some(body));
        }
        assert_eq!(round_trip(None, None).body, None);
    }
}
