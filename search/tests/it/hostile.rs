//! What a user may send and must not bring the store down with: every one an answer or a clear error, in bounded time.

use std::time::{Duration, Instant};

use search::SearchRequest;
use serde_json::json;

use crate::searches::{Movies, text};

fn hundred() -> Movies {
    let mut movies = Movies::of(&[]);
    for number in 0..100 {
        movies.put(
            &format!("m{number}"),
            &json!({
                "title": format!("{} crash {number}", "a".repeat(500)), "type": "FEATURE", "budget": number,
                "actors": [{"name": "aaa bbb", "role": "STAR"}, {"name": "ccc", "role": "DIRECTOR"}],
            }),
        );
    }
    movies
}

/// Generous for a debug build beside other tests; what this guards against takes minutes.
fn in_time(what: &str, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    assert!(start.elapsed() < Duration::from_secs(10), "{what} took {:?}", start.elapsed());
}

#[test]
fn free_text_is_never_syntax() {
    let movies = hundred();
    let long = "crash \" ".repeat(1_400);
    for hostile in [
        "\"",
        "\"\"\"",
        "crash\"",
        "NEAR(crash, 5)",
        "crash NOT",
        "NOT",
        "AND OR",
        "title: crash",
        "{title} : crash",
        "crash*",
        "* * *",
        "^crash",
        "crash + crash",
        "(((((",
        "-title",
        "'; DROP TABLE text_000001; --",
        "\0crash\0",
        "crash\u{0}",
        "\u{202e}crash",
        "f:title",
        "rank",
        "😀",
        long.as_str(),
    ] {
        in_time(hostile, || {
            movies.try_search(&text(hostile)).unwrap_or_else(|error| panic!("{hostile:.40}: {error:?}"));
        });
    }
    assert_eq!(
        movies.try_search(&text("crash\" AND (\"crash")).unwrap().total,
        0,
        "AND is a word that no title holds"
    );
    assert_eq!(movies.try_search(&text("crash\" (\"crash")).unwrap().total, 100);
    assert_eq!(movies.try_search(&text(&"x".repeat(17_000))).unwrap_err().code().id, "SS713");
}

#[test]
fn filters_at_their_limits_are_answered() {
    let movies = hundred();
    let total = |filter: &str| {
        let request = SearchRequest { filter: Some(movies.filter(filter)), ..SearchRequest::default() };
        movies.try_search(&request).unwrap().total
    };
    let values: Vec<String> = (0..10_000).map(|number| format!("{number}")).collect();
    let chain = |clause: &str, operator: &str, count: usize| vec![clause; count].join(operator);
    let nested = |opens: &str, inner: &str, closes: &str, depth: usize| {
        format!("{}{inner}{}", opens.repeat(depth), closes.repeat(depth))
    };
    let cases = [
        ("10,000 values", format!("budget IN [{}]", values.join(",")), 100),
        ("a chain of OR", chain("budget == 1", " OR ", 1_000), 1),
        ("a chain of AND", chain("NOT budget < 5", " AND ", 1_000), 95),
        ("a chain of constants", chain("true", " AND ", 7_000), 100),
        (
            "a chain of constants in a binding",
            format!("actors[{} AND role == 'STAR']", chain("true", " AND ", 7_000)),
            100,
        ),
        ("a chain of bindings", chain("actors[role=='STAR']", " OR ", 1_000), 100),
        ("a chain of MATCHES", chain("actors.name MATCHES 'aaa'", " AND ", 300), 100),
        ("64 parentheses", nested("(", "budget == 1", ")", 64), 1),
        ("64 NOT", nested("NOT ", "budget == 1", "", 64), 1),
        ("a hostile LIKE", format!("title LIKE '{}b'", "*a".repeat(499)), 0),
        ("another LIKE", format!("title LIKE '{}'", "?*".repeat(500)), 100),
        ("hostile text", r#"title == '\' OR 1=1 --' OR title MATCHES '") OR (*"'"#.to_owned(), 0),
    ];
    for (what, filter, wanted) in cases {
        in_time(what, || assert_eq!(total(&filter), wanted, "{what}"));
    }
}

/// SQLite searches a set of pairs to its end for every pair that is not in it, wherever "no" and "unknown" would differ.
#[test]
fn not_inside_of_a_list_takes_no_longer_than_the_list() {
    let mut movies = Movies::of(&[]);
    let people: Vec<_> = (0..10)
        .map(|n| json!({"name": format!("n{n}"), "role": if n % 2 == 0 { "STAR" } else { "DIRECTOR" }}))
        .collect();
    for number in 0..4_000 {
        movies.put(&format!("m{number}"), &json!({"actors": people}));
    }
    for filter in [
        "actors[NOT role == 'STAR' AND name == 'n1']",
        "actors[role == 'STAR' AND NOT name LIKE 'n*']",
        "actors[NOT (role == 'STAR' OR NOT name MATCHES 'n1')]",
    ] {
        let request = SearchRequest { filter: Some(movies.filter(filter)), ..SearchRequest::default() };
        let start = Instant::now();
        movies.try_search(&request).unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "{filter} took {:?}", start.elapsed());
    }
}
