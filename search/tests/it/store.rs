//! The embedded store as the indexer writes it: versions, tombstones, reverse lookups, two index versions over one query.

use std::time::{Duration, Instant};

use plan::{DocumentId, DocumentVersion, field::MappingKind};
use rusqlite::Connection;
use search::{Counts, DocumentWrite, PutOutcome, sqlite::SqliteIndex};

use search::conformance::plans::{self, leaf, nested, object};

fn id(text: &str) -> DocumentId {
    DocumentId::new(text).unwrap()
}

fn write<'a>(id: &'a DocumentId, version: i64, body: Option<&'a str>) -> DocumentWrite<'a> {
    DocumentWrite { id, version: DocumentVersion::from_stored(version), body, fetched_at_ms: 7, missing: &[] }
}

fn movies() -> SqliteIndex {
    let fields = vec![
        leaf("movieId", MappingKind::Keyword),
        leaf("number", MappingKind::Long),
        object("production", vec![leaf("ptpId", MappingKind::Keyword)]),
        nested("actors", vec![leaf("talentId", MappingKind::Keyword), leaf("hidden", MappingKind::Text)]),
    ];
    let mut plan = plans::plan(fields);
    plan.coverage.push(plans::reverse_lookup("actors.hidden"));
    SqliteIndex::new(plan.into(), 1)
}

#[test]
fn a_reverse_lookup_follows_every_change() {
    let (index, conn) = (movies(), Connection::open_in_memory().unwrap());
    index.create(&conn).unwrap();
    let (m1, m2, m3) = (id("m1"), id("m2"), id("m3"));
    let body = r#"{"number":12,"production":{"ptpId":"p1"},"actors":[{"talentId":"t1"},{"talentId":"t2","hidden":"h"}]}"#;
    for (version, id) in [(1, &m1), (2, &m2), (3, &m3)] {
        index.put(&conn, &write(id, version, Some(body))).unwrap();
    }
    let find = |paths: &[&str], keys: &[&str], after, limit| {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let keys: Vec<DocumentId> = keys.iter().map(|key| id(key)).collect();
        let found = index.lookup(&conn, &paths, &keys, after, limit).unwrap();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(find(&["actors.talentId"], &["t2"], None, 10), ["m1", "m2", "m3"]);
    assert_eq!(find(&["actors.talentId", "production.ptpId"], &["t2", "p1"], Some(&m1), 1), ["m2"]);
    assert_eq!(find(&["number"], &["12", "no number"], None, 1), ["m1"]);
    assert_eq!(find(&["actors.hidden"], &["h"], None, 1), ["m1"]);
    assert!(find(&["number"], &["no number"], None, 1).is_empty());

    index.put(&conn, &write(&m1, 4, Some(r#"{"actors":[{"talentId":"t1"}]}"#))).unwrap();
    index.put(&conn, &write(&m2, 5, None)).unwrap();
    assert_eq!(find(&["actors.talentId"], &["t2"], None, 10), ["m3"]);
    assert_eq!(find(&["actors.talentId"], &["t1"], None, 10), ["m1", "m3"]);
    assert!(index.lookup(&conn, &["nowhere".to_owned()], &[m1], None, 1).is_err());
}

/// Why a new path of this kind must not come in place: `provision` compares these.
#[test]
fn what_was_written_before_a_path_was_looked_up_is_not_found_there() {
    let fields = || vec![leaf("movieId", MappingKind::Keyword), leaf("rating", MappingKind::Double)];
    let before = SqliteIndex::new(plans::plan(fields()).into(), 1);
    let mut plan = plans::plan(fields());
    plan.coverage.push(plans::reverse_lookup("rating"));
    let after = SqliteIndex::new(plan.into(), 1);
    let (conn, m1) = (Connection::open_in_memory().unwrap(), id("m1"));
    before.create(&conn).unwrap();
    before.put(&conn, &write(&m1, 1, Some(r#"{"movieId":"m1","rating":"7"}"#))).unwrap();
    let found = |path: &str, key| after.lookup(&conn, &[path.to_owned()], &[id(key)], None, 1).unwrap();
    assert_eq!(found("movieId", "m1"), [id("m1")]);
    assert!(found("rating", "7").is_empty());
    let added: Vec<&str> = after.lookup_paths().difference(&before.lookup_paths()).copied().collect();
    assert_eq!(added, ["rating"]);
}

#[test]
fn two_index_versions_of_one_query_share_their_documents() {
    let conn = Connection::open_in_memory().unwrap();
    let one = movies();
    let two = SqliteIndex::new(one.plan().clone().into(), 2);
    let m1 = id("m1");
    one.create(&conn).unwrap();
    one.put(&conn, &write(&m1, 1, Some(r#"{"movieId":"m1"}"#))).unwrap();
    two.create(&conn).unwrap();
    assert_eq!(two.counts(&conn).unwrap().live, 0);
    assert_eq!(two.get(&conn, &m1).unwrap(), None);
    assert_eq!(two.put(&conn, &write(&m1, 1, Some(r#"{"movieId":"m1"}"#))).unwrap(), PutOutcome::Written);
    for index in [&two, &one] {
        assert_eq!(index.put(&conn, &write(&m1, 2, Some("{}"))).unwrap(), PutOutcome::Written);
        assert_eq!(index.put(&conn, &write(&m1, 2, Some("{}"))).unwrap(), PutOutcome::Superseded);
    }
    one.drop(&conn).unwrap();
    assert_eq!(two.scan(&conn, None, 10).unwrap().len(), 1);
    two.drop(&conn).unwrap();
    let left: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'doc%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn counting_reads_no_document() {
    let (index, conn) = (movies(), Connection::open_in_memory().unwrap());
    index.create(&conn).unwrap();
    for number in 0..100_000 {
        let body = (number % 10 > 0).then_some("{}");
        index.put(&conn, &write(&id(&format!("m{number}")), 1, body)).unwrap();
    }
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(index.counts(&conn).unwrap(), Counts { live: 90_000, tombstones: 10_000 });
    }
    // A walk over the entries takes seconds here, even on a fast machine.
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
}
