//! Real Elasticsearch and real `OpenSearch` take the templates, and every document that a graph can answer by them.

use std::{collections::BTreeMap, fmt::Write};

use harness::{graph::RealGraph, servers::Rest};
use serde_json::{Value, json};

use crate::{
    compiled::{Made, every_kind, files, made, movies},
    engines::{create_index, engines, found, in_order, index, put_templates},
};

#[test]
fn movies_of_a_real_gateway_are_indexed() {
    let made = movies();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let documents: Vec<_> = RealGraph::start(folder.path()).documents().into_iter().collect();
    assert!(documents.len() > 3_000);
    for (server, engine) in engines() {
        put_templates(server, engine, &made);
        wins(server, &made, "movies-000001");
        create_index(server, "movies-000001");
        index(server, "movies-000001", &documents);
        let count = server.succeed("GET", "/movies-000001/_count", &Value::Null);
        assert_eq!(count["count"], documents.len());
        let by =
            json!({"nested": {"path": "directors", "query": {"match": {"directors.name": "spielberg"}}}});
        let spielbergs =
            documents.iter().filter(|(_, movie)| movie["directors"].to_string().contains("Spielberg"));
        assert_eq!(found(server, "movies-000001", &by).len(), spielbergs.count());
        let people = json!({"match": {"people": {"query": "Steven Spielberg", "operator": "and"}}});
        assert_eq!(found(server, "movies-000001", &people), found(server, "movies-000001", &by));
    }
}

/// Ours must be the template that makes the index, alone, and the index must be as it says.
fn wins(server: &Rest, made: &Made, name: &str) {
    let simulated = server.succeed("POST", &format!("/_index_template/_simulate_index/{name}"), &Value::Null);
    assert_eq!(simulated["overlapping"], json!([]), "{simulated:#}");
    let template = &simulated["template"];
    assert_eq!(template["mappings"]["dynamic"], "strict");
    assert_eq!(template["mappings"]["_meta"]["plan"], made.compiled.plan.hash());
    assert_eq!(template["mappings"]["properties"]["__search"]["properties"]["deleted"]["type"], "boolean");
    assert!(template["settings"]["index"]["refresh_interval"].is_string(), "{simulated:#}");
    let fields = made
        .compiled
        .plan
        .fields
        .0
        .iter()
        .filter(|field| field.mapping.indexed || !field.graphql_type.is_empty());
    for field in fields {
        assert!(template["mappings"]["properties"][&field.name].is_object(), "{} is not mapped", field.path);
    }
}

#[test]
fn every_kind_of_field_is_indexed_and_found() {
    let made = every_kind();
    let documents = documents();
    for (server, engine) in engines() {
        put_templates(server, engine, &made);
        let name = "every-kind-000001";
        wins(server, &made, name);
        create_index(server, name);
        let settings = server.succeed("GET", &format!("/{name}/_settings"), &Value::Null);
        assert_eq!(settings[name]["settings"]["index"]["refresh_interval"], "500ms");
        assert_eq!(settings[name]["settings"]["index"]["number_of_replicas"], "0");
        index(server, name, &documents);
        for (what, query, ids) in queries() {
            assert_eq!(found(server, name, &query), ids, "{what} on {}: {query}", server.url);
        }
        let sort = json!({"sort": [{"heading.lowercase": "asc"}]});
        // É sorts with E, before the ideographs and the rest; capitals don't matter.
        assert_eq!(in_order(server, name, &sort), ["w4", "w3", "w1", "w2"], "{}", server.url);
        let newest = json!({"sort": [{"released": {"order": "desc", "missing": "_last"}}]});
        assert_eq!(in_order(server, name, &newest), ["w1", "w2", "w4", "w3"], "{}", server.url);
        let whole = server.succeed("GET", &format!("/{name}/_doc/w3"), &Value::Null);
        assert_eq!(whole["_source"]["released"], "in the nineties", "what can't be indexed is still there");
    }
}

fn documents() -> Vec<(String, Value)> {
    let text = &files("tests/every-kind")["documents.ndjson"];
    let documents = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    documents.map(|document: Value| (document["id"].as_str().expect("an id").to_owned(), document)).collect()
}

/// What is asked, how, and who must be found.
fn queries() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let text = |path: &str, words: &str| json!({"match": {path: {"query": words, "operator": "and"}}});
    let in_credits = |query: Value| json!({"nested": {"path": "credits", "query": query}});
    let both = |one: Value, two: Value| json!({"bool": {"filter": [one, two]}});
    let within = |path: &str, lat: f64, lon: f64| json!({"geo_distance": {"distance": "50km", path: {"lat": lat, "lon": lon}}});
    let (is_tom, directs) =
        (json!({"term": {"credits.name.raw": "Tom Holland"}}), json!({"term": {"credits.role": "DIRECTOR"}}));
    let job = |query: Value| in_credits(json!({"nested": {"path": "credits.jobs", "query": query}}));
    vec![
        ("a title, joined", text("heading", "spiderman no way home"), vec!["w1"]),
        ("a title, apart", text("heading", "spider man"), vec!["w1"]),
        ("a title with another sign", text("heading", "wall-e"), vec!["w2"]),
        ("a title without the sign", text("heading", "walle"), vec!["w2"]),
        ("a possessive", text("heading", "schindlers list"), vec!["w3"]),
        ("accents, ligatures and a word for a sign", text("heading", "eclair and aenima"), vec!["w4"]),
        ("a phrase over a sign", json!({"match_phrase": {"heading": "eclair and ænima"}}), vec!["w4"]),
        ("stems", text("synopsis", "run"), vec!["w1", "w4"]),
        ("the possessive of prose", text("synopsis", "wizard mistake"), vec!["w1"]),
        ("plain words, folded", text("tagline", "strasse lodz"), vec!["w1"]),
        ("the words of the filter language", text("heading.words", "way home"), vec!["w1"]),
        ("prefixes by the field's analyzer", text("code", "spid"), vec!["w1"]),
        ("prefixes of a title", text("heading.prefix", "spiderm"), vec!["w1"]),
        ("prefixes with the sign", text("heading.prefix", "Spider-M"), vec!["w1"]),
        ("a prefix is no infix", text("heading.prefix", "pider"), vec![]),
        ("what is typed is not cut into prefixes", text("heading.prefix", "sx"), vec![]),
        ("prefixes of a keyword", in_credits(text("credits.role.prefix", "direc")), vec!["w1", "w2"]),
        ("an enum", json!({"term": {"kind": "SERIES"}}), vec!["w4"]),
        ("a keyword as text", text("kind.words", "series"), vec!["w4"]),
        ("an id", json!({"term": {"id": "w3"}}), vec!["w3"]),
        ("a whole value", json!({"term": {"heading.raw": "WALL·E"}}), vec!["w2"]),
        ("a list of keywords", json!({"term": {"languages.raw": "es"}}), vec!["w1"]),
        ("a list of lists of numbers", json!({"term": {"grid": 6}}), vec!["w4"]),
        (
            "a date, compared at milliseconds",
            json!({"term": {"released": "2008-06-26T22:00:00.123Z"}}),
            vec!["w2"],
        ),
        ("a date with a space", json!({"range": {"released": {"lt": "2000"}}}), vec!["w4"]),
        ("a long that is text", json!({"range": {"gross": {"gte": 1_000_000_000}}}), vec!["w1"]),
        ("a double", json!({"range": {"rating": {"gt": 8.3}}}), vec!["w2"]),
        ("a boolean", json!({"term": {"colour": false}}), vec!["w3"]),
        ("a point", within("origin", 40.7, -74.1), vec!["w1"]),
        ("a point after a null", within("locations", 33.7, -84.3), vec!["w1"]),
        ("no point where it has no numbers", json!({"exists": {"field": "origin"}}), vec!["w1", "w2"]),
        ("an object of unknown keys", json!({"term": {"extras.format.ratio": "2.39:1"}}), vec!["w1", "w2"]),
        ("its booleans are words", json!({"term": {"extras.format.imax": "false"}}), vec!["w2"]),
        ("its lists", json!({"term": {"extras.labels": "b"}}), vec!["w1"]),
        ("two conditions on one element", in_credits(both(is_tom.clone(), directs.clone())), vec![]),
        ("each on another one", both(in_credits(is_tom), in_credits(directs)), vec!["w1"]),
        ("a list in a list", job(text("credits.jobs.title", "stunts")), vec!["w1"]),
        ("unknown keys in it", job(json!({"term": {"credits.jobs.terms.union": "SAG"}})), vec!["w1"]),
        (
            "a list of lists of objects",
            json!({"nested": {"path": "scenes", "query": both(json!({"term": {"scenes.number": 2}}), text("scenes.place", "sanctum"))}}),
            vec!["w1"],
        ),
        (
            "objects that are not kept apart",
            both(json!({"term": {"tags.name.raw": "hero"}}), json!({"range": {"tags.weight": {"gt": 0.5}}})),
            vec!["w1"],
        ),
        (
            "a union",
            json!({"nested": {"path": "related", "query": {"term": {"related.__typename": "Trailer"}}}}),
            vec!["w1"],
        ),
        ("copied from below", text("people", "andrew director"), vec!["w2"]),
        ("initials and names in one", text("people", "jonwatts"), vec![]),
        (
            "what is beside the document",
            json!({"term": {"__search.version": 7}}),
            vec!["w1", "w2", "w3", "w4"],
        ),
        ("what isn't indexed", json!({"match": {"notes": "searching"}}), vec![]),
    ]
}

#[test]
fn a_field_that_nobody_mapped_is_refused() {
    let made = every_kind();
    for (server, engine) in engines() {
        put_templates(server, engine, &made);
        let name = "every-kind-000002";
        create_index(server, name);
        for body in [json!({"id": "w9", "surprise": 1}), json!({"id": "w9", "credits": [{"surprise": 1}]})] {
            let (status, answer) = server.call("PUT", &format!("/{name}/_doc/w9"), &body);
            assert_eq!(status, 400, "{answer:#}");
            assert_eq!(answer["error"]["type"], "strict_dynamic_mapping_exception", "{answer:#}");
        }
    }
}

#[test]
fn texts_and_keys_past_every_limit_keep_no_document_away() {
    let made = every_kind();
    let endless = "x".repeat(100_000);
    let words = "long and longer ".repeat(10_000);
    let document = |text: &str| {
        json!({"id": "w5", "heading": text, "synopsis": text, "tagline": text, "code": text, "kind": text,
               "languages": [text], "credits": [{"name": text, "role": text}], "notes": text, "payload": {"text": text}})
    };
    for (server, engine) in engines() {
        put_templates(server, engine, &made);
        let name = "every-kind-000003";
        create_index(server, name);
        index(server, name, &[("w5".into(), document(&endless)), ("w6".into(), document(&words))]);
        let crowd: Vec<_> =
            (0..20_000).map(|n| json!({"name": format!("Extra {n}"), "role": "EXTRA"})).collect();
        index(server, name, &[("w7".into(), json!({"id": "w7", "heading": "Crowd", "credits": crowd}))]);
        let last =
            json!({"nested": {"path": "credits", "query": {"term": {"credits.name.raw": "Extra 19999"}}}});
        assert_eq!(found(server, name, &last), ["w7"], "{}", server.url);
        let longer = json!({"match": {"heading": "longer"}});
        assert_eq!(found(server, name, &longer), ["w6"], "{}", server.url);
    }
}

#[test]
fn an_index_whose_name_begins_with_the_name_of_another_gets_its_own_template() {
    let mut files = files("tests/every-kind");
    let name = |name: &str| format!("name: {name}\nentity");
    let mut named = |from: &str, to: &str| {
        let text = files["index.yaml"].replace(&name(from), &name(to));
        assert_ne!(text, files["index.yaml"]);
        files.insert("index.yaml".into(), text);
        self::made(&files)
    };
    let (short, long) = (named("every-kind", "twin"), named("twin", "twin-0"));
    for (server, engine) in engines() {
        put_templates(server, engine, &short);
        put_templates(server, engine, &long);
        for (name, made) in [("twin-000001", &short), ("twin-0-000001", &long)] {
            let path = format!("/_index_template/_simulate_index/{name}");
            let simulated = server.succeed("POST", &path, &Value::Null);
            let index = &simulated["template"]["mappings"]["_meta"]["index"];
            assert_eq!(*index, made.compiled.plan.name, "{simulated:#}");
        }
    }
}

/// 1,900 fields, 60 nested lists, 25 objects inside of each other.
#[test]
fn the_largest_document_fits() {
    let mut schema = String::from(
        "directive @key(fields: String!) repeatable on OBJECT\ntype Query { root(id: ID!): Root }\n",
    );
    let mut query = String::from("query Large($id: ID!) { root(id: $id) { id ");
    let mut root = String::from("type Root @key(fields: \"id\") { id: ID! level: L0 ");
    for n in 0..1_750 {
        let _ = write!(root, "f{n}: String ");
        let _ = write!(query, "f{n} ");
    }
    for n in 0..60 {
        let _ = write!(root, "n{n}: [Item!] ");
        let _ = write!(query, "n{n} {{ x }} ");
    }
    let _ = writeln!(schema, "{root}}}\ntype Item {{ x: Int }}");
    for n in 0..25 {
        let _ = writeln!(schema, "type L{n} {{ x: Int level: L{} }}", n + 1);
        let _ = write!(query, "level {{ x ");
    }
    let _ = writeln!(schema, "type L25 {{ x: Int }}");
    let _ = write!(query, "{}", "} ".repeat(27));
    let config = "version: 1\nname: large\nentity: Root\nquery: q\ngraph: { url: \"http://localhost/\", schema: s }\n\
                  sources: { roots: { http: true, format: plain, id: key } }\n\
                  store: { settings: { number_of_replicas: 0 } }\n";
    let files = [("index.yaml", config), ("q", &query), ("s", &schema)];
    let files: BTreeMap<String, String> = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let made = made(&files);
    for (server, engine) in engines() {
        put_templates(server, engine, &made);
        create_index(server, "large-000001");
        index(
            server,
            "large-000001",
            &[("1".into(), json!({"id": "1", "f1749": "last", "n59": [{"x": 1}]}))],
        );
        assert_eq!(found(server, "large-000001", &json!({"term": {"f1749.raw": "last"}})), ["1"]);
    }
}
