//! What a person and a page are shown of an audit.

use indexer::audit::{AuditKind, AuditRow, Difference, FieldCount, Finding, Kind, Report, Walk};
use plan::DocumentId;

use super::{markdown, told};
use crate::paint::Paint;

fn finding(id: &str, kind: Kind, differences: Vec<Difference>) -> Finding {
    Finding { id: DocumentId::new(id).unwrap(), kind, differences }
}

fn difference(path: &str, subgraph: &str, graph: &str, index: Option<&str>) -> Difference {
    Difference {
        path: path.to_owned(),
        subgraphs: vec![subgraph.to_owned()],
        graph: Some(graph.to_owned()),
        index: index.map(str::to_owned),
    }
}

fn found() -> AuditRow {
    let field = |subgraph: &str| FieldCount { subgraphs: vec![subgraph.to_owned()], documents: 1 };
    let report = Report {
        looked: 3_201,
        equal: 3_195,
        missing: 1,
        stale: 1,
        ghosts: 1,
        unanswered: 2,
        unsettled: 1,
        repaired: 3,
        enumerated: true,
        fields: [("title".to_owned(), field("movies")), ("actors.name".to_owned(), field("talent"))].into(),
        subgraphs: [("movies".to_owned(), 1), ("talent".to_owned(), 1)].into(),
        findings: vec![
            finding(
                "m5",
                Kind::Stale,
                vec![
                    difference("title", "movies", "\"A|B\"", Some("\"Old\u{1b}[2J\"")),
                    difference("actors[1].name", "talent", "\"Ann\"", None),
                ],
            ),
            finding("m6", Kind::Missing, Vec::new()),
            finding("zz", Kind::Ghost, Vec::new()),
        ],
    };
    AuditRow { kind: AuditKind::AskedFull, started_at: 0, ended_at: Some(90_000), walk: Walk::Over, report }
}

#[test]
fn what_was_found_is_told() {
    insta::assert_snapshot!(told(&found(), Paint::new(false)), @r#"
    3201 documents looked at: 1 missing, 1 stale, 1 ghost
    field        owner   stale documents
    actors.name  talent                1
    title        movies                1
    document           field           owner   graph  index
    m5        stale    title           movies  "A|B"  "Old [2J"
    m5        stale    actors[1].name  talent  "Ann"  -
    m6        missing
    zz        ghost
    2 documents can't be compared now: the graph answered with errors, or they are held (`studio-search errors list`)
    1 document differed and can't be judged: changed at each look, or entries wait in the log
    3 ids appended to the log, to be fetched anew
    "#);
}

#[test]
fn an_audit_is_a_page() {
    insta::assert_snapshot!(markdown::page("movies", &found()), @r#"
    ### studio-search audit: movies (full)

    1970-01-01T00:00:00Z to 1970-01-01T00:01:30Z

    | looked at | equal | missing | stale | ghosts | unanswered | unsettled | repaired |
    |---|---|---|---|---|---|---|---|
    | 3201 | 3195 | 1 | 1 | 1 | 2 | 1 | 3 |

    | owner | stale documents |
    |---|---|
    | movies | 1 |
    | talent | 1 |

    | field | owner | stale documents |
    |---|---|---|
    | actors.name | talent | 1 |
    | title | movies | 1 |

    <details><summary>Documents</summary>

    | document |  | field | owner | graph | index |
    |---|---|---|---|---|---|
    | m5 | stale | title | movies | "A\|B" | "Old \[2J" |
    | m5 | stale | actors\[1\].name | talent | "Ann" | - |
    | m6 | missing |  |  |  |  |
    | zz | ghost |  |  |  |  |

    </details>

    2 documents can't be compared now: the graph answered with errors, or they are held (`studio-search errors list`)

    1 document differed and can't be judged: changed at each look, or entries wait in the log

    3 ids appended to the log, to be fetched anew
    "#);
}

#[test]
fn what_was_not_looked_for_is_said() {
    let report = Report { looked: 1, equal: 1, ..Report::default() };
    let row = AuditRow { report, ..found() };
    insta::assert_snapshot!(told(&row, Paint::new(false)), @r#"
    1 document looked at: none differs from the graph
    missing documents were not looked for: `backfill.ids` names no query and no file
    "#);
}
