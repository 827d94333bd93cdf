//! `serve` as its callers meet it: a real gateway that has it as a subgraph, and programs over HTTP.

use std::{collections::BTreeMap, time::Duration};

use harness::{
    eventually,
    folder::{Folder, Running},
    openapi, openmetrics,
    tls::Authority,
};
use reqwest::{Certificate, blocking::Client};
use serde_json::{Value, json};

const SETTLES: Duration = Duration::from_mins(3);

/// What nobody asks the index for stands here, too: `movies` of a person is not indexed.
const SLATE: &str = "query Slate($filter: String!, $after: String) {
    movieSearch(filter: $filter, sort: [\"title\"], first: 2, after: $after) {
        total
        pageInfo { hasNextPage endCursor }
        facets { path values { value count } }
        hits {
            node {
                movieId
                title
                production { ptpId status distributor }
                talent(role: DIRECTOR) { talentId name movies { movieId } }
            }
        }
    }
}";

/// The question that started it all: movies in photography with this person.
#[test]
fn one_query_asks_the_index_and_every_subgraph() {
    let (folder, graph) = Folder::with_graph();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    let documents = folder.backfills_within(SETTLES, &graph);
    let serve = folder.serve();
    graph.join("search", &format!("http://{}/graphql", serve.admin()));

    let (person, movies) = busiest_director(&documents);
    for movie in movies.iter().take(3) {
        let production = documents[movie]["production"]["ptpId"].as_str().expect("an id");
        graph.post(&format!("/edit/productions/{production}"), &json!({"status": "IN_PHOTOGRAPHY"}));
    }
    folder.settles_within(SETTLES);
    let mut wanted = graph.documents_of(&movies);
    wanted.retain(|_, document| document["production"]["status"] == "IN_PHOTOGRAPHY");
    assert!(wanted.len() >= 3, "more than one page");
    let filter = format!(
        "production.status == 'IN_PHOTOGRAPHY' AND directors[role == 'DIRECTOR' AND talentId == '{person}']"
    );
    graph.reset_counts();
    let (mut found, mut after) = (BTreeMap::new(), Value::Null);
    loop {
        let page = &graph.ask(SLATE, &json!({"filter": filter, "after": after}))["movieSearch"];
        assert_eq!(page["total"], wanted.len());
        assert_eq!(
            value(page, "production.status"),
            json!([{"value": "IN_PHOTOGRAPHY", "count": wanted.len()}])
        );
        for hit in page["hits"].as_array().expect("hits") {
            let movie = &hit["node"];
            found.insert(movie["movieId"].as_str().expect("an id").to_owned(), movie.clone());
        }
        after = page["pageInfo"]["endCursor"].clone();
        assert_eq!(page["pageInfo"]["hasNextPage"], !after.is_null());
        if after.is_null() {
            break;
        }
    }
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (id, movie) in &found {
        let document = &wanted[id];
        assert_eq!(movie["title"], document["title"], "{id}");
        for field in ["ptpId", "status", "distributor"] {
            assert_eq!(movie["production"][field], document["production"][field], "{id}");
        }
        let directors = movie["talent"].as_array().expect("directors");
        let director = directors.iter().find(|one| one["talentId"] == *person).expect("the person");
        assert!(director["movies"].as_array().expect("movies").len() >= wanted.len(), "{director}");
    }
    let counts = graph.counts();
    for subgraph in ["movies", "productions", "talent"] {
        assert!(counts[subgraph]["requests"].as_u64() > Some(0), "{subgraph}: {counts}");
    }

    let suggested = graph.ask("{ movieSuggest(prefix: \"avat\") { path value count } }", &json!({}));
    assert_eq!(suggested["movieSuggest"][0], json!({"path": "title", "value": "Avatar", "count": 1}));
    let wrong = graph.answer(SLATE, &json!({"filter": "titel == 'x'"}));
    let error = &wrong["errors"][0];
    assert_eq!(
        (&error["extensions"]["code"], &error["extensions"]["serviceName"]),
        (&json!("SS702"), &json!("search"))
    );
    assert_eq!(error["extensions"]["diagnostics"][0]["excerpt"], "titel == 'x'\n^^^^^");

    // An edit is found as soon as it is in the index, and never by what it was.
    let first = found.keys().next().expect("a movie");
    let production = &found[first]["production"]["ptpId"];
    graph.post(
        &format!("/edit/productions/{}", production.as_str().expect("an id")),
        &json!({"status": "WRAPPED"}),
    );
    eventually(SETTLES, || {
        let total = graph.ask(SLATE, &json!({"filter": filter}))["movieSearch"]["total"].clone();
        if total == wanted.len() - 1 { Ok(()) } else { Err(total.to_string()) }
    });
    assert_eq!(serve.terminate(), Some(0), "{}", folder.log());
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
}

/// The values of a facet of a page.
fn value(page: &Value, path: &str) -> Value {
    let facets = page["facets"].as_array().expect("facets");
    facets.iter().find(|facet| facet["path"] == path).expect("the facet")["values"].clone()
}

/// Who directs most movies that somebody produces, and their ids.
fn busiest_director(documents: &BTreeMap<String, Value>) -> (String, Vec<String>) {
    let mut movies = BTreeMap::<&str, Vec<String>>::new();
    for (id, document) in documents.iter().filter(|(_, document)| document["production"].is_object()) {
        for director in document["directors"].as_array().expect("directors") {
            movies.entry(director["talentId"].as_str().expect("an id")).or_default().push(id.clone());
        }
    }
    let (person, movies) =
        movies.into_iter().max_by_key(|(_, movies)| movies.len()).expect("somebody directs");
    (person.to_owned(), movies)
}

/// A folder with a few movies in its index.
fn with_movies() -> Folder {
    let (folder, graph) = Folder::with_graph();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    let ids: Vec<String> = (1..=20).flat_map(|n| ["--id".to_owned(), format!("m{n}")]).collect();
    let mut start = vec!["backfill", "start", "index.yaml"];
    start.extend(ids.iter().map(String::as_str));
    folder.succeed(&start);
    folder.settles_within(SETTLES);
    assert_eq!(run.terminate(), Some(0), "{}", folder.log());
    drop(graph);
    folder
}

fn told(serve: &Running, path: &str) -> (u16, Value) {
    let (status, text) = serve.get(path);
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}")))
}

#[test]
fn the_program_answers_over_http_without_a_run() {
    let folder = with_movies();
    let serve = folder.serve();
    let (status, page) = told(&serve, "/indexes/movies/search?first=3&sort=title&facets=type");
    assert_eq!(
        (status, page["total"].as_u64(), page["hits"].as_array().map(Vec::len)),
        (200, Some(20), Some(3)),
        "{page}"
    );
    let searched =
        folder.json(&["search", "index.yaml", "--first", "3", "--sort", "title", "--facet", "type"]);
    for part in ["total", "hits", "facets"] {
        assert_eq!(page[part], searched[part], "{part}: the command line finds the same");
    }
    let title = page["hits"][0]["document"]["title"].as_str().expect("a title");
    let typed = title.split(' ').next().expect("a word");
    let (_, suggested) = told(&serve, &format!("/indexes/movies/suggest?prefix={typed}"));
    let values = suggested["suggestions"].as_array().expect("suggestions");
    assert!(values.iter().any(|value| value["value"] == title), "{typed}: {suggested}");
    let shown = folder.json(&["search", "index.yaml", "--suggest", typed]);
    assert_eq!(shown["suggestions"], suggested["suggestions"]);
    let document = told(&serve, "/indexes/movies/documents/m1");
    assert_eq!(document, (200, json!({"id": "m1", "document": folder.exported()["m1"]})));

    assert_eq!(serve.get("/readyz"), (200, "ok\n".to_owned()));
    let families = openmetrics::read(&serve.get("/metrics").1);
    let asked = openmetrics::value(
        &families,
        "serve_questions_total",
        &[("index", "movies"), ("what", "search"), ("code", "ok")],
    );
    assert!((asked - 1.0).abs() < f64::EPSILON, "{asked}");

    openapi::check(&serve.get("/openapi.json").1);

    // What gateways compose is what the command writes.
    let sdl = folder.succeed(&["generate", "subgraph", "index.yaml"]);
    let url = format!("http://{}/graphql", serve.admin());
    let asked = json!({"query": "{ _service { sdl } }"});
    let answer = Client::new().post(url).json(&asked).send().expect("an answer").text().expect("text");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let served = answer["data"]["_service"]["sdl"].as_str().expect("an SDL");
    let meaning = |sdl: &str| sdl.split_whitespace().collect::<String>().replace("\"\"\"", "\"");
    assert_eq!(meaning(served), meaning(&sdl));

    // A plan with other suggestions is served as soon as it is provisioned.
    folder.edit("index.yaml", "  suggest: [title]", "  suggest: [title, production.distributor]");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    eventually(Duration::from_secs(30), || {
        let (_, indexes) = told(&serve, "/indexes");
        let suggest = &indexes["indexes"][0]["suggest"];
        if *suggest == json!(["title", "production.distributor"]) { Ok(()) } else { Err(indexes.to_string()) }
    });
    assert_eq!(serve.terminate(), Some(0), "{}", folder.log());
}

#[test]
fn a_port_that_others_reach_wants_a_token_and_shows_its_certificate() {
    let authority = Authority::new();
    let folder = Folder::new();
    authority.write_identity(&folder.path("server.pem"));
    let identity = "tls: { cert: ./server.pem, key: ./server.pem }";
    folder.edit(
        "index.yaml",
        "state:",
        &format!("serve: {{ tokens: [search-token-81], {identity} }}\nstate:"),
    );
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let serve = folder.serve_openly();
    let pem = std::fs::read(authority.ca()).expect("its certificate");
    let trusting = Client::builder().add_root_certificate(Certificate::from_pem(&pem).expect("one"));
    let client = trusting.build().expect("a client");
    let url = format!("https://{}/indexes/movies/search", serve.admin());
    let refused = client.get(&url).send().expect("an answer");
    assert_eq!(refused.status(), 401);
    let told: Value = serde_json::from_str(&refused.text().expect("text")).expect("JSON");
    assert_eq!(told["error"]["code"], "SS722", "{told}");
    assert_eq!(client.get(&url).bearer_auth("search-token-81").send().expect("an answer").status(), 200);
    let graphql = client.post(format!("https://{}/graphql", serve.admin())).body("{}");
    assert_eq!(graphql.send().expect("an answer").status(), 401);
    assert_eq!(serve.terminate(), Some(0), "{}", folder.log());
    assert!(!folder.log().contains("search-token-81"), "{}", folder.log());
}
