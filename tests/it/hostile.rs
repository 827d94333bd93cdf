//! What anybody may ask and must not bring anything down with: on every store and by every way, an answer or a clear error, in
//! bounded time and memory.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use harness::{
    folder::{Folder, Running},
    graph::RealGraph,
    link::{Break, Link},
    servers::{elasticsearch, opensearch, opensearch_2},
};
use reqwest::blocking::Client;
use serde_json::{Value, json};

const SETTLES: Duration = Duration::from_mins(3);

/// The longest that anybody waits: a search is stopped after ten seconds, a question after fifteen.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// Memory of `serve` at most, in bytes, whatever it was asked.
const MEMORY: u64 = 400 << 20;

/// Searches at once. `serve` lets 512 requests in.
const CROWD: usize = 500;

/// What a question must come to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    /// So many documents.
    Finds(u64),
    /// A refusal with this code.
    Refused(&'static str),
}

use Outcome::{Finds, Refused};

/// A question as the body of a request says it, and what it comes to.
struct Case {
    what: &'static str,
    question: Value,
    wanted: Outcome,
    /// Whether a server may refuse it by a limit of its own.
    is_heavy: bool,
}

/// The ways to ask.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Http,
    Subgraph,
    Command,
}

const WAYS: [Way; 3] = [Way::Http, Way::Subgraph, Way::Command];

/// Questions of which one is asked by the command line on a server, too: each is a process that takes a second.
const COMMANDS: usize = 5;

fn cases(cursor: &str) -> Vec<Case> {
    let asked = |what, question, wanted| Case { what, question, wanted, is_heavy: false };
    let filtered = |what, filter: String, wanted| asked(what, json!({"filter": filter}), wanted);
    let heavy = |what, filter, wanted| Case { is_heavy: true, ..filtered(what, filter, wanted) };
    let found = "movieId == 'm1'";
    let chain = |clause: &str, operator: &str, count: usize| vec![clause; count].join(operator);
    let around = |open: &str, close: &str, depth: usize| {
        format!("{}{found}{}", open.repeat(depth), close.repeat(depth))
    };
    let list = |count: usize| format!("movieId IN ['m1'{}]", ",'x'".repeat(count - 1));
    let padded = |bytes: usize| format!("{found}{}", " ".repeat(bytes - found.len()));
    let words = |count: usize| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
    vec![
        filtered("64 KiB", padded(64 << 10), Finds(1)),
        filtered("64 KiB and a byte", padded((64 << 10) + 1), Refused("SS708")),
        filtered("64 parentheses", around("(", ")", 64), Finds(1)),
        filtered("65 parentheses", around("(", ")", 65), Refused("SS708")),
        filtered("64 negations", around("NOT ", "", 64), Finds(1)),
        filtered("65 negations", around("NOT ", "", 65), Refused("SS708")),
        filtered("10,000 values", list(10_000), Finds(1)),
        filtered("10,001 values", list(10_001), Refused("SS708")),
        filtered("1,000 comparisons in OR", chain(found, " OR ", 1_000), Finds(1)),
        filtered("1,000 comparisons in AND", chain(found, " AND ", 1_000), Finds(1)),
        filtered("1,001 comparisons", chain(found, " OR ", 1_001), Refused("SS708")),
        heavy("a chain of bindings", chain("directors[name == 'Nobody']", " OR ", 500), Finds(0)),
        heavy("a pattern that backtracks", format!("title LIKE '{}b'", "*a".repeat(499)), Finds(0)),
        heavy("a pattern of any characters", format!("title LIKE '{}'", "?*".repeat(500)), Finds(0)),
        filtered(
            "a pattern that is too long",
            format!("title LIKE '{}'", "*a".repeat(501)),
            Refused("SS708"),
        ),
        filtered("128 words", format!("title MATCHES '{}'", words(128)), Finds(0)),
        filtered("129 words", format!("title MATCHES '{}'", words(129)), Refused("SS708")),
        filtered("an unknown field", "moveiId == 'm1'".to_owned(), Refused("SS702")),
        filtered("a value of another type", "popularity == 'much'".to_owned(), Refused("SS703")),
        filtered("an order of text", "title > 'm'".to_owned(), Refused("SS705")),
        filtered("a binding of no list", "production[status == 'x']".to_owned(), Refused("SS706")),
        filtered("no filter", "movieId ==".to_owned(), Refused("SS701")),
        filtered("what SQL would do", format!("{found} OR title == '\\' OR 1=1 --'"), Finds(1)),
        filtered(
            "what JSON would do",
            format!("{found} OR title == '\"}}}}, \"match_all\": {{}}'"),
            Finds(1),
        ),
        filtered("far past the calendar", format!("{found} AND releaseDate < 'now+999999y'"), Finds(1)),
        asked("ten million hits", json!({"first": 10_000_000}), Refused("SS712")),
        asked("facets without end", json!({"facets": vec!["type"; 21]}), Refused("SS712")),
        asked("orders without end", json!({"sort": vec!["title"; 9]}), Refused("SS712")),
        asked("a facet of nothing", json!({"facets": ["moveiId"]}), Refused("SS702")),
        asked("an order of many words", json!({"sort": ["people"]}), Refused("SS711")),
        asked("a long text", json!({"text": "x".repeat(17_000)}), Refused("SS713")),
        asked("a text of 129 words", json!({"text": words(129)}), Refused("SS713")),
        asked("a text of signs", json!({"text": "\"*) OR NEAR( {x} : \\ -"}), Finds(0)),
        asked("a cursor of another search", json!({"after": cursor, "filter": found}), Refused("SS710")),
        asked(
            "a cursor of another order",
            json!({"after": cursor, "sort": ["popularity"]}),
            Refused("SS710"),
        ),
        asked("a forged cursor", json!({"after": "7b7d"}), Refused("SS710")),
        asked("a cut cursor", json!({"after": &cursor[..cursor.len() - 2]}), Refused("SS710")),
        asked("a long cursor", json!({"after": "7b".repeat(40_000)}), Refused("SS710")),
    ]
}

#[test]
fn the_embedded_store_bears_what_anybody_asks() {
    let folder = with_movies(|_| {});
    bears(&folder, 1);
}

#[test]
fn elasticsearch_bears_what_anybody_asks() {
    bears_on_server("elasticsearch", &elasticsearch().url, "hostile-es");
}

#[test]
fn opensearch_bears_what_anybody_asks() {
    bears_on_server("opensearch", &opensearch().url, "hostile-os");
}

#[test]
fn the_older_opensearch_bears_what_anybody_asks() {
    bears_on_server("opensearch", &opensearch_2().url, "hostile-os2");
}

fn bears_on_server(kind: &str, url: &str, name: &str) {
    let link = Link::to(url);
    let folder = with_movies(|folder| folder.keep_on(kind, &link.url, name));
    let (serve, path) = bears(&folder, COMMANDS);
    // Whoever is cut off says so at once; who hears nothing says so before anybody gives up.
    for (how, wanted) in [(Break::Cut, &["SS716"][..]), (Break::Stalled, &["SS715", "SS716"])] {
        link.fail(how);
        for way in WAYS {
            let start = Instant::now();
            let Refused(code) = ask(&folder, &serve, &path, way, &json!({})) else {
                panic!("{way:?}: nobody is there")
            };
            assert!(wanted.contains(&code), "{how:?}, {way:?}: {code}");
            assert!(start.elapsed() < ANSWERED_WITHIN * 2, "{how:?}, {way:?} took {:?}", start.elapsed());
        }
        link.mend();
        harness::eventually(SETTLES, || match ask(&folder, &serve, &path, Way::Http, &json!({})) {
            Finds(20) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    assert_eq!(serve.terminate(), Some(0), "{}", folder.log());
}

/// Asks everything, one of so many by the command line, too. Gives the `serve` that has borne it, with the path of its
/// searches.
fn bears(folder: &Folder, commands: usize) -> (Running, String) {
    let serve = folder.serve();
    let page = json!({"first": 1, "sort": ["title"]});
    let path = search_path(folder);
    harness::eventually(SETTLES, || match post(&serve, &path, &page) {
        answer if answer["total"] == 20 => Ok(()),
        answer => Err(answer.to_string()),
    });
    let answer = post(&serve, &path, &page);
    let cursor = answer["next"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let mut wrong = Vec::new();
    for (number, Case { what, question, wanted, is_heavy }) in cases(cursor).into_iter().enumerate() {
        for way in WAYS.into_iter().filter(|way| *way != Way::Command || number % commands == 0) {
            let start = Instant::now();
            let outcome = ask(folder, &serve, &path, way, &question);
            let took = start.elapsed();
            let is_wanted = outcome == wanted || is_heavy && outcome == Refused("SS717");
            if !is_wanted || took > ANSWERED_WITHIN {
                wrong.push(format!("{what}, {way:?}: {outcome:?} after {took:?}, not {wanted:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    bears_a_crowd(&serve, &path);
    assert!(serve.peak_memory() < MEMORY, "{} bytes", serve.peak_memory());
    (serve, path)
}

fn ask(folder: &Folder, serve: &Running, path: &str, way: Way, question: &Value) -> Outcome {
    let refused = |error: &Value| {
        let code = error.as_str().unwrap_or_else(|| panic!("no code: {error}"));
        Refused(plan::Code::find(code).unwrap_or_else(|| panic!("{code} is no code of ours")).id)
    };
    match way {
        Way::Http => {
            let answer = post(serve, path, question);
            answer["total"].as_u64().map_or_else(|| refused(&answer["error"]["code"]), Finds)
        }
        Way::Subgraph => {
            const QUERY: &str = "query($text: String, $filter: String, $facets: [String!], $sort: [String!], $first: Int, $after: String) {
                movieSearch(text: $text, filter: $filter, facets: $facets, sort: $sort, first: $first, after: $after) { total facets { path } }
            }";
            let answer = post(serve, "/graphql", &json!({"query": QUERY, "variables": question}));
            let total = answer["data"]["movieSearch"]["total"].as_u64();
            total.map_or_else(|| refused(&answer["errors"][0]["extensions"]["code"]), Finds)
        }
        Way::Command => {
            let mut arguments = ["search", "index.yaml", "-o", "json"].map(str::to_owned).to_vec();
            for (name, value) in question.as_object().expect("an object") {
                let flag = if name == "facets" { "facet" } else { name };
                for value in value.as_array().map_or_else(|| vec![value], |values| values.iter().collect()) {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    match flag {
                        "text" => arguments.extend(["--".to_owned(), text]),
                        flag => arguments.push(format!("--{flag}={text}")),
                    }
                }
            }
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = folder.output(&arguments);
            let said = String::from_utf8_lossy(&output.stdout);
            let answer: Value = serde_json::from_str(&said)
                .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
            answer["data"]["total"].as_u64().map_or_else(|| refused(&answer["error"]["code"]), Finds)
        }
    }
}

/// As many as may be in the house, all at once: each is answered, or told that it took too long.
fn bears_a_crowd(serve: &Running, path: &str) {
    let question = json!({"text": "a", "filter": "directors[role == 'DIRECTOR' AND name LIKE '*a*']"});
    let start = Instant::now();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..CROWD).map(|_| scope.spawn(|| post(serve, path, &question))).collect();
        asking.into_iter().map(|answer| answer.join().expect("an answer")).collect()
    });
    let answered = answers.iter().filter(|answer| answer["total"].is_u64()).count();
    let refused = answers.iter().filter(|answer| answer["error"]["code"] == "SS715").count();
    assert_eq!((answered + refused, answered > CROWD / 2), (CROWD, true), "{answered} are answered");
    assert!(start.elapsed() < ANSWERED_WITHIN, "{:?}", start.elapsed());
}

fn post(serve: &Running, path: &str, body: &Value) -> Value {
    static CLIENT: LazyLock<Client> =
        LazyLock::new(|| Client::builder().timeout(ANSWERED_WITHIN * 2).build().expect("a client"));
    let request =
        CLIENT.post(format!("http://{}{path}", serve.admin())).header("content-type", "application/json");
    let text =
        request.body(body.to_string()).send().and_then(reqwest::blocking::Response::text).expect("an answer");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path} answered {text}"))
}

fn search_path(folder: &Folder) -> String {
    let status = folder.status();
    format!("/indexes/{}/search", status["name"].as_str().expect("a name"))
}

/// A folder with twenty movies in its index.
fn with_movies(store: impl FnOnce(&Folder)) -> Folder {
    let (folder, graph): (Folder, RealGraph) = Folder::with_graph();
    store(&folder);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    let ids: Vec<String> = (1..=20).map(|n| format!("m{n}")).collect();
    let mut start = vec!["backfill", "start", "index.yaml"];
    start.extend(ids.iter().flat_map(|id| ["--id", id.as_str()]));
    folder.succeed(&start);
    folder.settles_within(SETTLES);
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    drop(graph);
    folder
}
