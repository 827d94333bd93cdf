//! Holds the demo graph to the supergraph it stands in for, and its events to what it shows.

use std::collections::BTreeMap;
use std::path::Path;

use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use async_graphql::{Request, Variables};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::DemoGraph;
use super::edits::{CreditMove, Edit, NewMovie};

const SUPERGRAPH: &str = include_str!("../../../configs/movies/supergraph.graphql");
const DOCUMENT: &str = include_str!("../../../configs/movies/query.graphql");
const MOVIE_IDS: &str = include_str!("../../../configs/movies/movie-ids.graphql");
const MOVIES_OF_TALENT: &str = include_str!("../../../configs/movies/movies-of-talent.graphql");

fn graph() -> (DemoGraph, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (DemoGraph::load(folder.path()).unwrap(), folder)
}

async fn ask(graph: &DemoGraph, query: &str, variables: Value) -> Value {
    let response = graph.execute(Request::new(query).variables(Variables::from_json(variables))).await;
    assert!(response.errors.is_empty(), "{:?}", response.errors);
    response.data.into_json().unwrap()
}

async fn document(graph: &DemoGraph, id: &str) -> Value {
    ask(graph, DOCUMENT, json!({ "id": id })).await["movie"].take()
}

fn fields(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn told(folder: &Path, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every type, field and argument with its GraphQL type and default; what only federation or directives add is left out.
fn shape(sdl: &str) -> BTreeMap<String, Vec<String>> {
    let of_federation = |name: &str| name.starts_with("join__") || name.starts_with("link__");
    let mut shape = BTreeMap::new();
    for definition in async_graphql::parser::parse_schema(sdl).unwrap().definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let name = definition.node.name.node.to_string();
        let mut lines: Vec<String> = match definition.node.kind {
            TypeKind::Object(object) => object
                .fields
                .into_iter()
                .map(|field| {
                    let arguments = field.node.arguments.into_iter().map(|argument| {
                        let default = argument.node.default_value.map(|value| value.node.to_string());
                        format!("{}: {} = {default:?}", argument.node.name, argument.node.ty)
                    });
                    format!("{}({:?}): {}", field.node.name, arguments.collect::<Vec<_>>(), field.node.ty)
                })
                .collect(),
            TypeKind::Enum(of) => of.values.into_iter().map(|value| value.node.value.to_string()).collect(),
            _ => Vec::new(),
        };
        lines.sort();
        if !of_federation(&name) {
            shape.insert(name, lines);
        }
    }
    shape
}

#[test]
fn the_schema_is_the_supergraphs() {
    let (graph, _folder) = graph();
    let supergraph = shape(SUPERGRAPH);
    assert_eq!(supergraph["Movie"].len(), 14);
    assert_eq!(shape(&graph.sdl()), supergraph);
}

#[tokio::test]
async fn a_document_joins_all_three_domains() {
    let (graph, _folder) = graph();
    let inception = document(&graph, "m2026").await;
    assert_eq!(inception["title"], "Inception");
    assert_eq!(inception["production"]["ptpId"], "p2026");
    assert_eq!(
        inception["directors"],
        json!([{ "talentId": "t1", "name": "Christopher Nolan", "role": "DIRECTOR" }])
    );
    for absent in ["m0", "m9999", "m02026", "x", ""] {
        assert_eq!(document(&graph, absent).await, Value::Null, "{absent}");
    }
}

#[tokio::test]
async fn a_batch_of_aliases_over_one_fragment_answers_each() {
    let (graph, _folder) = graph();
    let query = "query Batch($a: ID!, $b: ID!) { a: movie(movieId: $a) { ...Document } b: movie(movieId: $b) { ...Document } }
                 fragment Document on Movie { movieId directors: talent(role: DIRECTOR) { name } }";
    let answer = ask(&graph, query, json!({ "a": "m9", "b": "m9999" })).await;
    assert_eq!(
        answer,
        json!({ "a": { "movieId": "m9", "directors": [{ "name": "Roman Polanski" }] }, "b": null })
    );
    let answer = ask(&graph, "{ moviesByIds(ids: [\"m9999\", \"m1\"]) { movieId } }", json!({})).await;
    assert_eq!(answer, json!({ "moviesByIds": [null, { "movieId": "m1" }] }));
}

#[tokio::test]
async fn the_list_goes_on_behind_a_movie_that_is_gone() {
    let (graph, _folder) = graph();
    let (mut seen, mut after) = (0, Value::Null);
    loop {
        let page = ask(&graph, MOVIE_IDS, json!({ "first": 1000, "after": after })).await["movies"].take();
        seen += page["edges"].as_array().unwrap().len();
        after = page["pageInfo"]["endCursor"].clone();
        graph.edit(Edit::DeleteMovie { id: after.as_str().unwrap().to_owned() }).unwrap();
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!(seen, 3201);
    for first in [0, 1001, -1] {
        let request = Request::new(MOVIE_IDS).variables(Variables::from_json(json!({ "first": first })));
        assert_eq!(graph.execute(request).await.errors.len(), 1, "{first}");
    }
}

#[tokio::test]
async fn a_renamed_talent_is_told_with_both_images_and_stands_in_every_movie() {
    let (graph, folder) = graph();
    let patch = fields(json!({ "name": "C. Nolan" }));
    graph.edit(Edit::Talent { id: "t1".to_owned(), patch }).unwrap();
    let [line] = &told(folder.path(), "talents.ndjson")[..] else { panic!("one edit is one line") };
    assert_eq!(line["key"], json!({ "talent_id": "t1" }));
    assert_eq!(line["value"]["op"], "u");
    assert_eq!(
        line["value"]["before"],
        json!({ "talent_id": "t1", "name": "Christopher Nolan", "role": "DIRECTOR" })
    );
    assert_eq!(line["value"]["after"]["name"], "C. Nolan");
    let answer = ask(&graph, MOVIES_OF_TALENT, json!({ "id": "t1" })).await;
    for movie in answer["talent"]["movies"].as_array().unwrap() {
        let document = document(&graph, movie["movieId"].as_str().unwrap()).await;
        assert_eq!(document["directors"][0]["name"], "C. Nolan");
    }
}

#[tokio::test]
async fn a_movie_that_passes_to_another_director_is_one_event_that_names_both() {
    let (graph, folder) = graph();
    let credit = |from: Option<&str>, to: Option<&str>| {
        Edit::Move(CreditMove {
            movie_id: "m2026".into(),
            from: from.map(Into::into),
            to: to.map(Into::into),
        })
    };
    graph.edit(credit(Some("t1"), Some("t3"))).unwrap();
    assert_eq!(document(&graph, "m2026").await["directors"][0]["talentId"], "t3");
    graph.edit(credit(None, Some("t1"))).unwrap();
    graph.edit(credit(Some("t3"), None)).unwrap();
    assert_eq!(document(&graph, "m2026").await["directors"][0]["talentId"], "t1");
    let rows: Vec<_> = told(folder.path(), "cast.ndjson")
        .iter()
        .map(|line| {
            json!([
                line["value"]["op"],
                line["value"]["before"]["talent_id"],
                line["value"]["after"]["talent_id"]
            ])
        })
        .collect();
    let expected = [
        json!(["u", "t1", "t3"]),
        json!(["c", null, "t1"]),
        json!(["d", "t3", null]),
        json!([null, null, null]),
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_made_movie_joins_and_a_deleted_one_is_gone_everywhere() {
    let (graph, folder) = graph();
    let movie: NewMovie = serde_json::from_value(json!({ "title": "New", "directors": ["t5"] })).unwrap();
    graph.edit(Edit::CreateMovie(movie)).unwrap();
    let made = document(&graph, "m3202").await;
    assert_eq!((&made["type"], &made["production"]["status"]), (&json!("FEATURE"), &json!("IN_DEVELOPMENT")));
    assert_eq!(made["directors"][0]["talentId"], "t5");

    let told_of = graph.edit(Edit::DeleteMovie { id: "m3202".to_owned() }).unwrap();
    assert_eq!(told_of.len(), 3);
    assert_eq!(document(&graph, "m3202").await, Value::Null);
    let people = ask(&graph, MOVIES_OF_TALENT, json!({ "id": "t5" })).await;
    assert!(!people["talent"]["movies"].as_array().unwrap().contains(&json!({ "movieId": "m3202" })));
    assert_eq!(
        ask(&graph, "{ production(ptpId: \"p3202\") { ptpId } }", json!({})).await["production"],
        Value::Null
    );
    let lines = told(folder.path(), "movies.ndjson");
    let ops: Vec<_> = lines.iter().map(|line| line["value"]["op"].clone()).collect();
    assert_eq!(ops, [json!("c"), json!("d"), Value::Null]);
    assert_eq!(
        lines[2],
        json!({ "key": { "movie_id": "m3202" }, "value": null, "timestamp": lines[2]["timestamp"] })
    );
}

#[tokio::test]
async fn an_edit_that_cannot_be_made_changes_nothing_and_is_told_to_nobody() {
    let (graph, folder) = graph();
    let production = |id: &str, patch| Edit::Production { id: id.to_owned(), patch: fields(patch) };
    let before = document(&graph, "m1").await;
    for (edit, expected) in [
        (production("p999999", json!({ "status": "WRAPPED" })), "there is no production p999999"),
        (production("p1", json!({ "ptpId": "p2" })), "ptpId is the key and cannot be edited"),
        (production("p1", json!({ "movieId": "m2" })), "m2 has a production already"),
        (production("p1", json!({ "movieId": "m99999" })), "there is no movie m99999"),
        (production("p1", json!({ "status": "LOST" })), "unknown variant `LOST`"),
        (production("p1", json!({ "colour": "red" })), "unknown field `colour`"),
        (Edit::Movie { id: "m1".to_owned(), patch: fields(json!({ "title": null })) }, "invalid type: null"),
        (Edit::DeleteMovie { id: "m1x".to_owned() }, "there is no movie m1x"),
        (
            Edit::CreateMovie(serde_json::from_value(json!({ "movieId": "m1", "title": "x" })).unwrap()),
            "m1 exists",
        ),
        (Edit::CreateMovie(serde_json::from_value(json!({})).unwrap()), "missing field `title`"),
    ] {
        let error = graph.edit(edit).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(document(&graph, "m1").await, before);
    for file in ["movies.ndjson", "productions.ndjson", "talents.ndjson", "cast.ndjson"] {
        assert!(told(folder.path(), file).is_empty(), "{file}");
    }
}

#[tokio::test]
async fn a_production_that_moves_to_another_movie_leaves_the_first() {
    let (graph, folder) = graph();
    let movie: NewMovie = serde_json::from_value(json!({ "title": "New", "production": null })).unwrap();
    graph.edit(Edit::CreateMovie(movie)).unwrap();
    assert_eq!(document(&graph, "m3202").await["production"], Value::Null);
    let patch = fields(json!({ "movieId": "m3202" }));
    graph.edit(Edit::Production { id: "p1".to_owned(), patch }).unwrap();
    assert_eq!(document(&graph, "m1").await["production"], Value::Null);
    assert_eq!(document(&graph, "m3202").await["production"]["ptpId"], "p1");
    let value = &told(folder.path(), "productions.ndjson")[0]["value"];
    assert_eq!((&value["before"]["movie_id"], &value["after"]["movie_id"]), (&json!("m1"), &json!("m3202")));
}

#[tokio::test]
async fn a_seed_gives_the_same_life_again_and_what_is_told_is_what_is_shown() {
    let lived = |graph: &DemoGraph| {
        let mut random = StdRng::seed_from_u64(7);
        (0..2_000).map(|_| graph.apply_random_edit(&mut random).unwrap()).collect::<Vec<_>>()
    };
    let ((one, folder), (other, _folder)) = (graph(), graph());
    assert_eq!(lived(&one), lived(&other));

    let last_by_key: BTreeMap<String, Value> = told(folder.path(), "productions.ndjson")
        .into_iter()
        .map(|mut line| (line["key"]["ptp_id"].as_str().unwrap().to_owned(), line["value"]["after"].take()))
        .collect();
    assert!(last_by_key.len() > 100);
    for row in last_by_key.values() {
        let shown = &document(&one, row["movie_id"].as_str().unwrap()).await["production"];
        let image = json!([row["ptp_id"], row["status"], row["budget"], row["gross_us"]]);
        assert_eq!(image, json!([shown["ptpId"], shown["status"], shown["budget"], shown["grossUS"]]));
    }
}

#[tokio::test]
async fn edits_come_over_http_with_a_status_that_says_what_became_of_them() {
    let (graph, _folder) = graph();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, graph.router()).into_future());
    let client = reqwest::Client::new();
    for (path, body, status) in [
        ("/edit/movies/m1", json!({ "title": "Renamed" }), 200),
        ("/edit/movies/m9999", json!({ "title": "Renamed" }), 404),
        ("/edit/productions/p1", json!({ "movieId": "m2" }), 409),
        ("/edit/talents/t1", json!({ "age": 9 }), 400),
        ("/move", json!({ "movieId": "m2026", "from": "t1", "to": "t3" }), 200),
        ("/movies", json!({ "title": "New" }), 200),
    ] {
        let response = client.post(format!("{base}{path}")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    assert_eq!(client.delete(format!("{base}/movies/m3202")).send().await.unwrap().status(), 200);
    let request = json!({ "query": DOCUMENT, "variables": { "id": "m1" }, "operationName": "MovieIndex" });
    let response = client.post(format!("{base}/graphql")).json(&request).send().await.unwrap();
    assert_eq!(response.json::<Value>().await.unwrap()["data"]["movie"]["title"], "Renamed");
}
