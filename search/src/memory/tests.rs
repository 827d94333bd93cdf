//! What only the in-memory store promises: clones that share, keys of paths that are not indexed, a plain rank.

use plan::field::MappingKind;

use super::*;
use crate::{
    SearchRequest,
    conformance::{plans, searches::movie_plan},
};

fn put(index: &MemoryIndex, id: &str, version: i64, body: Option<&str>) -> PutOutcome {
    let (id, version) = (DocumentId::new(id).unwrap(), DocumentVersion::from_stored(version));
    let write = DocumentWrite { id: &id, version, body, fetched_at_ms: 0, missing: &[] };
    index.write(&[write]).remove(0)
}

#[test]
fn clones_share_their_documents() {
    let index = MemoryIndex::new(movie_plan().into());
    let clone = index.clone();
    assert_eq!(put(&index, "m1", 2, Some("{}")), PutOutcome::Written);
    assert_eq!(put(&clone, "m1", 1, None), PutOutcome::Superseded);
    assert_eq!(clone.counts(), Counts { live: 1, tombstones: 0 });
}

#[test]
fn a_path_of_a_reverse_lookup_need_not_be_indexed() {
    let mut hidden = plans::leaf("hidden", MappingKind::Double);
    hidden.mapping.indexed = false;
    let mut plan = plans::plan(vec![plans::nested("actors", vec![hidden])]);
    let index = MemoryIndex::new(plan.clone().into());
    let ask = |index: &MemoryIndex| {
        index.lookup(&["actors.hidden".to_owned()], &[DocumentId::new("1.5").unwrap()], None, 10)
    };
    assert_eq!(ask(&index), Err(UnknownPath("actors.hidden".to_owned())));
    plan.coverage.push(plans::reverse_lookup("actors.hidden"));
    let index = MemoryIndex::new(plan.into());
    put(&index, "m1", 1, Some(r#"{"actors":[{"hidden":2},{"hidden":1.5}]}"#));
    assert_eq!(ask(&index).unwrap(), [DocumentId::new("m1").unwrap()]);
}

#[test]
fn a_score_is_mentions_times_weights() {
    let index = MemoryIndex::new(movie_plan().into());
    let body = r#"{"title":"Crash, crash","synopsis":"crashes","actors":[{"name":"Ada"}]}"#;
    put(&index, "m1", 1, Some(body));
    let score = |text: &str| {
        let request = SearchRequest { text: Some(text.to_owned()), ..SearchRequest::default() };
        index.answer(&request, 0).unwrap().hits.first().and_then(|hit| hit.score)
    };
    // Twice in the title, which weighs 3; begun once in the synopsis, which weighs 1. People weigh 2.
    assert_eq!(score("crash"), Some(6.1));
    assert_eq!(score("crash ada"), Some(8.0));
    assert_eq!(score("ada crashing"), None);
}
