//! What the indexer relies on: versions, tombstones, reverse lookups, reading in order.

use plan::{DocumentId, DocumentVersion, field::MappingKind};

use super::{
    TestIndex, World, id,
    plans::{self, leaf, nested, object},
};
use crate::{Counts, DocumentWrite, PutOutcome};

/// Runs all of it.
pub async fn run(world: &dyn World) {
    only_a_greater_version_is_written(world).await;
    what_is_no_document_is_rejected_and_leaves_nothing(world).await;
    a_reverse_lookup_follows_every_change(world).await;
    documents_are_read_in_the_order_of_their_ids(world).await;
}

async fn movies(world: &dyn World) -> Box<dyn TestIndex> {
    let fields = vec![
        leaf("movieId", MappingKind::Keyword),
        leaf("number", MappingKind::Long),
        object("production", vec![leaf("ptpId", MappingKind::Keyword)]),
        nested(
            "actors",
            vec![
                leaf("talentId", MappingKind::Keyword),
                nested("jobs", vec![leaf("unionId", MappingKind::Keyword)]),
            ],
        ),
    ];
    world.index(plans::plan(fields)).await
}

async fn put(index: &dyn TestIndex, id: &DocumentId, version: i64, body: Option<&str>) -> PutOutcome {
    let missing = ["actors.\"talentId\"".to_owned()];
    let version = DocumentVersion::from_stored(version);
    let write = DocumentWrite { id, version, body, fetched_at_ms: 7, missing: &missing };
    index.write(&[write]).await.pop().unwrap()
}

async fn only_a_greater_version_is_written(world: &dyn World) {
    let (index, m1) = (movies(world).await, id("m/1 é?"));
    assert_eq!(index.get(&m1).await, None);
    assert_eq!(index.highest_version().await, None);
    let put = |version, body| put(&*index, &m1, version, body);
    let body = r#"{"movieId": "m1", "number":7}"#;
    assert_eq!(put(5, Some(body)).await, PutOutcome::Written);
    assert_eq!(put(5, Some(r#"{"movieId":"other"}"#)).await, PutOutcome::Superseded);
    assert_eq!(put(4, None).await, PutOutcome::Superseded);
    let stored = index.get(&m1).await.unwrap();
    assert_eq!((stored.body.as_deref(), stored.version.get(), stored.fetched_at_ms), (Some(body), 5, 7));
    assert_eq!((stored.id, stored.missing), (m1.clone(), vec!["actors.\"talentId\"".to_owned()]));
    assert_eq!(index.counts().await, Counts { live: 1, tombstones: 0 });
    assert_eq!(put(6, None).await, PutOutcome::Written);
    assert_eq!(index.counts().await, Counts { live: 0, tombstones: 1 });
    assert_eq!(index.get(&m1).await.unwrap().body, None);
    assert!(index.ids(None, 10).await.is_empty() && index.scan(None, 10).await.is_empty());
    // Neighbours that a double can't tell apart.
    let high = (1 << 60) + 1;
    assert_eq!(put(high, Some("{}")).await, PutOutcome::Written);
    assert_eq!(put(high - 1, None).await, PutOutcome::Superseded);
    assert_eq!(index.highest_version().await.unwrap().get(), high);
    assert_eq!(index.get(&m1).await.unwrap().version.get(), high);
    assert_eq!(index.scan(None, 10).await[0].body.as_deref(), Some("{}"));
}

async fn what_is_no_document_is_rejected_and_leaves_nothing(world: &dyn World) {
    let (index, m1, m2) = (movies(world).await, id("m1"), id("m2"));
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let many = format!(r#"{{"actors":[{}{{}}]}}"#, "{},".repeat(100_001));
    let refused = ["", "[]", "{", "nothing", "{} {}", deep.as_str(), many.as_str()];
    let write = |id, body| DocumentWrite {
        id,
        version: DocumentVersion::from_stored(1),
        body: Some(body),
        fetched_at_ms: 7,
        missing: &[],
    };
    let mut writes: Vec<DocumentWrite<'_>> = refused.iter().map(|body| write(&m1, *body)).collect();
    writes.insert(3, write(&m2, "{}"));
    let outcomes = index.write(&writes).await;
    for (outcome, write) in outcomes.iter().zip(&writes) {
        let is_rejected = matches!(outcome, PutOutcome::Rejected(_));
        assert_eq!(is_rejected, *write.id == m1, "{:.20?}: {outcome:?}", write.body);
    }
    assert_eq!(index.get(&m1).await, None);
    assert!(index.get(&m2).await.is_some(), "one bad document keeps no other away");
}

async fn a_reverse_lookup_follows_every_change(world: &dyn World) {
    let index = movies(world).await;
    let (m1, m2, m3) = (id("m1"), id("m2"), id("m3"));
    let body = r#"{"number":12,"production":{"ptpId":"p1"},"actors":[{"talentId":"t1"},{"talentId":"t2","jobs":[{"unionId":"u"}]}]}"#;
    for (version, id) in [(1, &m1), (2, &m2), (3, &m3)] {
        put(&*index, id, version, Some(body)).await;
    }
    let find = async |paths: &[&str], keys: &[&str], after, limit| {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let keys: Vec<DocumentId> = keys.iter().map(|key| id(key)).collect();
        let found = index.lookup(&paths, &keys, after, limit).await.unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(find(&["actors.talentId"], &["t2"], None, 10).await, ["m1", "m2", "m3"]);
    assert_eq!(find(&["actors.jobs.unionId"], &["u", "none"], None, 10).await, ["m1", "m2", "m3"]);
    assert_eq!(find(&["actors.talentId", "production.ptpId"], &["t2", "p1"], Some(&m1), 1).await, ["m2"]);
    assert_eq!(find(&["number"], &["12", "no number"], None, 1).await, ["m1"]);
    assert!(find(&["number"], &["no number"], None, 1).await.is_empty());
    assert!(find(&["actors.talentId"], &[], None, 1).await.is_empty());
    let many: Vec<String> = (0..70_000).map(|n| format!("t{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(find(&["actors.talentId"], &many, None, 2).await, ["m1", "m2"]);

    put(&*index, &m1, 4, Some(r#"{"actors":[{"talentId":"t1"}]}"#)).await;
    put(&*index, &m2, 5, None).await;
    assert_eq!(find(&["actors.talentId"], &["t2"], None, 10).await, ["m3"]);
    assert_eq!(find(&["actors.talentId"], &["t1"], None, 10).await, ["m1", "m3"]);
    assert_eq!(index.lookup(&["nowhere".to_owned()], &[m1], None, 1).await, None);
}

async fn documents_are_read_in_the_order_of_their_ids(world: &dyn World) {
    let index = movies(world).await;
    let mut all: Vec<DocumentId> = (0..450).map(|n| id(&format!("m{}", n * 7919 % 450))).collect();
    let bodies: Vec<String> = all.iter().map(|id| format!(r#"{{"movieId":"{id}"}}"#)).collect();
    let writes: Vec<DocumentWrite<'_>> = all
        .iter()
        .zip(&bodies)
        .map(|(id, body)| {
            let version = DocumentVersion::from_stored(1);
            DocumentWrite { id, version, body: Some(body), fetched_at_ms: 0, missing: &[] }
        })
        .collect();
    index.write(&writes).await;
    all.sort();
    assert_eq!(index.ids(None, 1_000).await, all);
    assert_eq!(index.ids(Some(&all[99]), 100).await, all[100..200]);
    let scanned = index.scan(Some(&all[9]), 300).await;
    assert!(scanned.iter().map(|stored| &stored.id).eq(&all[10..310]));
    assert_eq!(scanned[0].body.as_deref(), Some(&*format!(r#"{{"movieId":"{}"}}"#, all[10])));
    assert!(index.ids(all.last(), 10).await.is_empty());
}
