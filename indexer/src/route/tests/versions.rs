//! What roots are told to show, by events that tell versions.

use std::collections::BTreeMap;

use plan::{DocumentId, DocumentVersion, Record, RecordPath, index_plan::ShownVersion};
use serde_json::{Value, json};

use super::{Bench, movies_of, scripted};
use crate::{
    log::Lane,
    revision::{Revision, Want, Wants},
    route::wishes::{Key, Wishes},
    store::{Document, Store, sqlite::SqliteStore},
    testing,
};

fn want(source: &str, key: Option<&str>, revision: impl Into<Value>) -> Want {
    let key = key.map(|key| DocumentId::new(key).unwrap());
    Want { source: source.to_owned(), key, revision: Revision::read(&revision.into()).unwrap() }
}

/// What a change of a movie's row asks for, by the id of the document, and of whom.
fn wishes(change: impl FnOnce(&mut plan::SourcePlan), value: Value) -> (Vec<(String, Wants)>, Vec<Key>) {
    let plan = testing::movies();
    let mut source = plan.sources[0].clone();
    source.version = RecordPath::parse("row.updated_at").ok();
    source.shown = vec![ShownVersion { path: "title".to_owned(), key: None }];
    change(&mut source);
    let record = Record { key: json!({"movie_id": "m1"}), value, ..Record::default() };
    let mut wishes = Wishes::default();
    wishes.add(&source, plan.key.kind, None, &record).unwrap();
    let entries = wishes.entries.into_iter().map(|entry| (entry.id.to_string(), entry.wants));
    (entries.collect(), wishes.keys)
}

#[test]
fn a_changed_row_tells_the_version_after_the_change() {
    let value = json!({"op": "u", "before": {"updated_at": 1_767_225_600_000_000_i64}, "after": {"updated_at": 1_767_225_600_000_007_i64}});
    let (entries, _) = wishes(|_| {}, value.clone());
    let wanted = Wants::from_iter([want("movies", None, json!(1_767_225_600_000_007_i64))]);
    assert_eq!(entries, [("m1".to_owned(), wanted)]);
    let (entries, _) = wishes(|source| source.shown.clear(), value);
    assert_eq!(entries, [("m1".to_owned(), Wants::default())], "nothing shows it");
}

#[test]
fn what_nobody_can_show_is_not_wanted() {
    for value in [
        json!({"op": "d", "before": {"updated_at": 7}, "after": null}),
        Value::Null,
        json!({"op": "u", "after": {"updated_at": null}}),
        json!({"op": "u", "after": {"updated_at": "__debezium_unavailable_value"}}),
        json!({"op": "u", "after": {"title": "no such column"}}),
    ] {
        assert_eq!(wishes(|_| {}, value.clone()).0, [("m1".to_owned(), Wants::default())], "{value}");
    }
}

#[test]
fn a_row_that_moved_tells_its_version_under_its_new_id() {
    let value = json!({"op": "u", "before": {"movie_id": "m1", "updated_at": 6}, "after": {"movie_id": "m2", "updated_at": 7}});
    let by_row = |source: &mut plan::SourcePlan| source.id = RecordPath::parse("row.movie_id").ok();
    let (entries, _) = wishes(by_row, value);
    let wanted = Wants::from_iter([want("movies", None, json!(7))]);
    assert_eq!(entries, [("m1".to_owned(), Wants::default()), ("m2".to_owned(), wanted)]);
}

#[test]
fn roots_that_a_related_row_names_show_its_entity() {
    let value = json!({"op": "u", "before": {"movie": "m8"}, "after": {"movie": "m9", "updated_at": 7}});
    let related = |source: &mut plan::SourcePlan| {
        source.is_root = false;
        source.root_id = RecordPath::parse("row.movie").ok();
        source.reverse_lookup = vec!["production.id".to_owned()];
    };
    let (entries, keys) = wishes(related, value);
    let wanted = Wants::from_iter([want("movies", Some("m1"), json!(7))]);
    assert_eq!(entries, [("m8".to_owned(), wanted.clone()), ("m9".to_owned(), wanted)]);
    assert_eq!(keys[0].revision, Some(Revision::Number(7, 0)));
}

/// More keys in one batch than are asked about together, some of them twice; the index and the graph both find roots.
#[tokio::test]
async fn a_root_shows_the_versions_of_every_key_that_found_it() {
    let mut bench = Bench::new();
    let source = &mut bench.plan.sources[0];
    source.version = RecordPath::parse("value.revision").ok();
    source.shown =
        vec![ShownVersion { path: "actors.revision".to_owned(), key: Some("actors.talentId".to_owned()) }];
    let store = SqliteStore::new(bench.state.clone(), std::sync::Arc::new(bench.plan.clone()), 1);
    let documents = [("m1", vec!["t00"]), ("m2", vec!["t00", "t39"])].map(|(id, talents)| {
        let actors: Vec<Value> = talents.into_iter().map(|id| json!({"talentId": id})).collect();
        Document {
            id: DocumentId::new(id).unwrap(),
            version: DocumentVersion::from_stored(1),
            body: Some(json!({"movieId": id, "actors": actors}).to_string()),
            fetched_at: 0,
            missing: Vec::new(),
        }
    });
    store.write(documents.to_vec()).await.unwrap();
    let line = |n: u32, revision: u32| {
        json!({"key": format!("t{n:02}"), "value": {"revision": revision}}).to_string() + "\n"
    };
    let lines: String = (0..40).map(|n| line(n, n + 1)).chain([line(0, 90), line(0, 80)]).collect();
    std::fs::write(bench.file(), lines).unwrap();
    let graph = scripted(|variables, _| match variables["talentId"].as_str() {
        Some("t05") => movies_of(&["m3", "m1"]),
        _ => movies_of(&[]),
    });
    bench.route(graph, true).run().await.unwrap();

    let page = bench.log.read(Lane::Live, 0, 10_000).await.unwrap();
    let mut wanted: BTreeMap<String, Wants> = BTreeMap::new();
    for logged in &page {
        wanted.entry(logged.entry.id.to_string()).or_default().merge(logged.entry.wants.clone());
    }
    assert_eq!(page.len(), 5, "the second lookup queues nothing again: {page:?}");
    let shows = |root: &str, key: &str| {
        let wants = Vec::from(wanted[root].clone());
        wants.into_iter().find(|want| want.key.as_ref().is_some_and(|found| found.as_str() == key))
    };
    for (root, key, revision) in
        [("m1", "t00", 90), ("m1", "t05", 6), ("m2", "t00", 90), ("m2", "t39", 40), ("m3", "t05", 6)]
    {
        assert_eq!(shows(root, key), Some(want("talent", Some(key), json!(revision))), "{root} {key}");
    }
    assert_eq!(Vec::from(wanted["m3"].clone()).len(), 1, "the graph was asked about one key");
}
