//! What real search servers do when something is wrong, and what becomes of it: an outcome for each document, or a reason.

mod busy;
mod refusing;

use std::{sync::Arc, time::Duration};

use harness::{
    eventually,
    folder::{Folder, assert_equal},
    servers::{elasticsearch, kafka},
};
use indexer::store::{Document, Outcome, Store, elastic::ElasticStore};
use plan::{DocumentId, DocumentVersion, field::MappingKind};
use search::{
    DocumentWrite, PutOutcome, SearchRequest,
    conformance::{
        World, checked,
        plans::{self, leaf, nested},
    },
    elastic::{Client, ElasticEndpoint, ElasticIndex, Engine, Trouble},
};
use serde_json::{Value, json};

use self::busy::Busy;
use crate::conformance::{SERVERS, SearchServer};

fn id(text: &str) -> DocumentId {
    DocumentId::new(text).expect("an id")
}

fn write<'a>(id: &'a DocumentId, version: i64, body: &'a str, missing: &'a [String]) -> DocumentWrite<'a> {
    let version = DocumentVersion::from_stored(version);
    DocumentWrite { id, version, body: Some(body), fetched_at_ms: 0, missing }
}

#[tokio::test]
async fn one_bad_document_among_a_thousand_is_rejected_alone() {
    let ids: Vec<DocumentId> = (0..1_000).map(|n| id(&format!("m{n}"))).collect();
    // Past what Lucene takes for one term.
    let endless = ["x".repeat(40_000)];
    for server in SERVERS {
        let server = SearchServer::new(server).await;
        let index = server.index(plans::plan(vec![leaf("movieId", MappingKind::Keyword)])).await;
        let mut writes: Vec<_> = ids.iter().map(|id| write(id, 1, "{}", &[])).collect();
        writes[499].missing = &endless;
        let outcomes = index.write(&writes).await;
        assert!(
            matches!(&outcomes[499], PutOutcome::Rejected(reason) if reason.contains("immense")),
            "{:?}",
            outcomes[499]
        );
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == PutOutcome::Written).count(), 999);
        assert_eq!(index.counts().await.live, 999);
    }
}

#[tokio::test]
async fn writers_that_share_a_bulk_hear_each_of_its_own() {
    for server in SERVERS {
        let server = SearchServer::new(server).await;
        let index = server.made(plans::plan(vec![leaf("movieId", MappingKind::Keyword)])).await;
        let store = ElasticStore::new(index);
        let document = |writer: usize, n: usize| Document {
            id: id(&format!("m{writer}-{n}")),
            version: DocumentVersion::from_stored(7),
            body: Some(if n == 3 { "[]".to_owned() } else { "{}".to_owned() }),
            fetched_at: 0,
            missing: Vec::new(),
        };
        // Far more than may be under way at once, each of another length.
        let writes = (1..40).map(|writer| {
            let (store, newer) = (store.clone(), document(writer, 0));
            let documents: Vec<Document> = (0..writer).map(|n| document(writer, n)).collect();
            tokio::spawn(async move {
                let first = store.write(documents).await.expect("outcomes");
                (first, store.write(vec![newer]).await.expect("outcomes"))
            })
        });
        for (before, written) in writes.collect::<Vec<_>>().into_iter().enumerate() {
            let (first, again) = written.await.expect("it ends");
            assert_eq!(first.len(), before + 1);
            for (n, outcome) in first.iter().enumerate() {
                let is_right = match outcome {
                    Outcome::Rejected(reason) => n == 3 && reason.contains("not a JSON object"),
                    outcome => n != 3 && *outcome == Outcome::Written,
                };
                assert!(is_right, "writer {before}, document {n}: {outcome:?}");
            }
            assert_eq!(again, [Outcome::Superseded]);
        }
    }
}

#[tokio::test]
async fn an_index_that_is_closed_for_writing_is_waited_for() {
    for server in SERVERS {
        let server = SearchServer::new(server).await;
        let index = server.made(plans::plan(vec![leaf("movieId", MappingKind::Keyword)])).await;
        let block = |is_closed: bool| {
            let (server, path) = (server.server, format!("/{}/_settings", index.name()));
            let settings = json!({"index.blocks.write": is_closed});
            tokio::task::spawn_blocking(move || server.succeed("PUT", &path, &settings))
        };
        block(true).await.expect("it is closed");
        let m1 = id("m1");
        let outcomes = index.write(&[write(&m1, 1, "{}", &[])]).await.expect("it answers");
        assert!(
            matches!(&outcomes[..], [PutOutcome::Again(reason)] if reason.contains("block")),
            "{outcomes:?}"
        );
        block(false).await.expect("it is open");
        let outcomes = index.write(&[write(&m1, 1, "{}", &[])]).await.expect("it answers");
        assert_eq!(outcomes, [PutOutcome::Written]);
    }
}

#[tokio::test]
async fn an_index_of_another_plan_or_of_none_is_told_of() {
    for server in SERVERS {
        let server = SearchServer::new(server).await;
        let index = server.made(plans::plan(vec![leaf("movieId", MappingKind::Keyword)])).await;
        let m1 = id("m1");
        let error = index.write(&[write(&m1, 1, r#"{"surprise":1}"#, &[])]).await.expect_err("strict");
        assert_eq!((error.trouble, error.is_passing()), (Trouble::OtherMapping, false), "{error}");
        assert!(error.reason.contains("surprise"), "{error}");

        let nowhere = ElasticIndex::new(
            server.client.clone(),
            server.engine,
            Arc::clone(index.plan()),
            "nowhere-000001",
        );
        let error = nowhere
            .lookup(&["movieId".to_owned()], std::slice::from_ref(&m1), None, 1)
            .await
            .expect_err("none");
        assert_eq!(error.trouble, Trouble::NoIndex, "{error}");
        assert_eq!(nowhere.get(&m1).await.expect_err("none").trouble, Trouble::NoIndex);
        let error = nowhere.answer(&SearchRequest::default(), 0).await.expect_err("none");
        assert_eq!(error.code().id, "SS717");
    }
}

#[tokio::test]
async fn a_server_that_is_away_loses_nothing_and_says_so() {
    let url = "http://127.0.0.1:9".to_owned();
    let endpoint = ElasticEndpoint { url, auth: None, ca: None, timeout: Duration::from_secs(5) };
    let plan = Arc::new(plans::plan(vec![leaf("movieId", MappingKind::Keyword)]));
    let index = ElasticIndex::new(
        Client::new(&endpoint).expect("an address"),
        Engine::OpenSearch,
        plan,
        "movies-000001",
    );
    let (m1, m2) = (id("m1"), id("m2"));
    let outcomes =
        index.write(&[write(&m1, 1, "{}", &[]), write(&m2, 1, "[]", &[])]).await.expect("outcomes");
    assert!(matches!(&outcomes[..], [PutOutcome::Again(_), PutOutcome::Rejected(_)]), "{outcomes:?}");
    let error = index.answer(&SearchRequest::default(), 0).await.expect_err("nobody is there");
    assert_eq!((error.code().id, error.help().is_some()), ("SS716", true));
}

/// What the embedded store answers at its limits, servers answer as well, or say that they can't.
#[tokio::test]
async fn filters_at_their_limits_are_answered() {
    let actors = nested("actors", vec![leaf("role", MappingKind::Keyword)]);
    let plan =
        plans::plan(vec![leaf("budget", MappingKind::Long), leaf("title", MappingKind::Keyword), actors]);
    let ids: Vec<DocumentId> = (0..100).map(|n| id(&format!("m{n}"))).collect();
    let body = |n: usize| json!({"budget": n, "title": "aaaa", "actors": [{"role": "STAR"}]}).to_string();
    let bodies: Vec<String> = (0..100).map(body).collect();
    let values: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    let chain = |clause: &str, operator: &str, count: usize| vec![clause; count].join(operator);
    let cases = [
        (format!("budget IN [{}]", values.join(",")), Some(100)),
        (chain("budget == 1", " OR ", 1_000), Some(1)),
        (chain("NOT budget < 5", " AND ", 500), Some(95)),
        (chain("actors[role=='STAR']", " OR ", 200), Some(100)),
        (format!("{}budget == 1{}", "(".repeat(64), ")".repeat(64)), Some(1)),
        (format!("{}budget == 1", "NOT ".repeat(64)), Some(1)),
        (format!("title LIKE '{}'", "?*".repeat(4)), Some(100)),
        (format!("title LIKE '{}b'", "*a".repeat(499)), None),
    ];
    for server in SERVERS {
        let server = SearchServer::new(server).await;
        let index = server.index(plan.clone()).await;
        let writes: Vec<_> = ids.iter().zip(&bodies).map(|(id, body)| write(id, 1, body, &[])).collect();
        index.write(&writes).await;
        for (text, wanted) in &cases {
            let filter = Some(checked(text, &plan.fields));
            let request = SearchRequest { filter, ..SearchRequest::default() };
            match (index.search(&request, 0).await, wanted) {
                (Ok(response), Some(wanted)) => assert_eq!(response.total, *wanted, "{text:.60}"),
                (Ok(response), None) => assert_eq!(response.total, 0, "{text:.60}"),
                (Err(error), None) => assert!(["SS716", "SS717"].contains(&error.code().id), "{error}"),
                (Err(error), Some(_)) => panic!("{text:.60}: {error}"),
            }
        }
    }
}

/// Elasticsearch reads text in other ways than the filter language; what is written is still what is read.
#[tokio::test]
async fn values_that_do_not_fit_are_kept_beside_those_that_do() {
    let body = r#"{"movieId": 12.50, "actors": ["stray", {"role": {"a": 1}}, [[{"role": "STAR"}]]]}"#;
    for server in SERVERS {
        let server = SearchServer::new(server).await;
        let actors = nested("actors", vec![leaf("role", MappingKind::Keyword)]);
        let index = server.made(plans::plan(vec![leaf("movieId", MappingKind::Keyword), actors])).await;
        let m1 = id("m1");
        let outcomes = index.write(&[write(&m1, 1, body, &[])]).await.expect("it answers");
        assert_eq!(outcomes, [PutOutcome::Written]);
        let stored = index.get(&m1).await.expect("it answers").expect("a document");
        assert_eq!(stored.body.as_deref(), Some(body));
        let (server, path) = (server.server, format!("/{}/_doc/m1", index.name()));
        let seen = tokio::task::spawn_blocking(move || server.succeed("GET", &path, &Value::Null))
            .await
            .expect("it answers");
        assert_eq!(seen["_source"]["movieId"], "12.5");
        assert_eq!(seen["_source"]["actors"], json!([{}, {"role": "STAR"}]));
    }
}

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

/// Asks for the rebuild of the first thirty movies.
fn backfill_thirty(folder: &Folder) {
    let ids: Vec<String> = (1..=30).map(|n| format!("m{n}")).collect();
    let asked = ids.iter().flat_map(|id| ["--id", id]);
    let start: Vec<&str> = ["backfill", "start", "index.yaml"].into_iter().chain(asked).collect();
    folder.succeed(&start);
}

fn held(folder: &Folder) -> Vec<Value> {
    folder.json(&["errors", "list", "index.yaml"])["held"].as_array().expect("a list").clone()
}

/// A bulk over Kafka fares item by item: what the server has no room for now is sent again, the one document that it rejects is
/// held with the reason, thousands beside them are indexed.
#[test]
fn every_item_of_a_bulk_has_its_own_fate() {
    let (folder, graph) = Folder::with_movies(1_600);
    let name = "faults-items";
    let busy = Busy::before(elasticsearch(), &format!("{name}-000001"));
    folder.keep_on("elasticsearch", &busy.url, name);
    let _stream = folder.share_over(kafka(), None, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let directors = json!(["t1", "t2", "t3", "t4", "t5", "t6"]);
    graph.post(
        "/movies",
        &json!({"movieId": "m9001", "title": "Omnibus", "production": {}, "directors": directors}),
    );
    let most_directors = |limit: Value| {
        let settings = json!({"index.mapping.nested_objects.limit": limit});
        elasticsearch().succeed("PUT", &format!("/{name}-000001/_settings"), &settings);
    };
    most_directors(json!(5));

    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    eventually(SETTLES, || {
        let status = folder.status();
        let is_through = status["backfill"]["state"] == "DONE" && status["lag"]["backfill"] == 0;
        let is_through = is_through && status["lag"]["live"] == 0 && status["held"] == 1;
        if is_through { Ok(()) } else { Err(format!("{status:#}\n{}", folder.log())) }
    });
    assert!(busy.refused() > 100, "{} items were refused", busy.refused());
    let [held] = &held(&folder)[..] else { panic!("one document is held") };
    assert_eq!((&held["id"], &held["code"]), (&json!("m9001"), &json!("SS507")), "{held:#}");
    assert!(held["message"].as_str().is_some_and(|message| message.contains("nested")), "{held:#}");
    let mut accepted = graph.documents();
    accepted.remove("m9001").expect("the graph has it");
    assert_equal(&folder.exported(), &accepted, &folder.log());

    most_directors(json!(10_000));
    folder.succeed(&["errors", "replay", "index.yaml", "--id", "m9001"]);
    folder.settles_within(SETTLES);
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    assert_eq!(run.terminate(), Some(0), "SIGTERM drains and exits 0: {}", folder.log());
}

/// Someone made the index anew, with a number where the plan has a text. No document fits, and none is lost.
#[test]
fn an_index_of_another_mapping_is_told_of_and_mended() {
    let (folder, graph) = Folder::with_graph();
    let (server, name) = (elasticsearch(), "faults-mapping");
    folder.keep_on("elasticsearch", &server.url, name);
    let _stream = folder.share_over(kafka(), None, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let index = format!("/{name}-000001");
    server.succeed("DELETE", &index, &Value::Null);
    let mappings = json!({"properties": {"movieId": {"type": "long"}}});
    server.succeed("PUT", &index, &json!({"mappings": mappings}));

    let run = folder.run();
    backfill_thirty(&folder);
    eventually(SETTLES, || match held(&folder).len() {
        30 => Ok(()),
        found => Err(format!("{found} are held: {:#}\n{}", folder.status(), folder.log())),
    });
    for held in held(&folder) {
        let says_why = held["message"].as_str().is_some_and(|message| message.contains("movieId"));
        assert!(held["code"] == "SS507" && says_why, "{held:#}");
    }
    assert_eq!(folder.exported().len(), 0);

    server.succeed("DELETE", &index, &Value::Null);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["errors", "replay", "index.yaml", "--all"]);
    folder.settles_within(SETTLES);
    let mut thirty = graph.documents();
    thirty.retain(|id, _| id[1..].parse::<u32>().is_ok_and(|n| n <= 30));
    assert_equal(&folder.exported(), &thirty, &folder.log());
    assert_eq!(run.terminate(), Some(0), "SIGTERM drains and exits 0: {}", folder.log());
}

/// Someone points the served alias at another index: documents still go to the version that they are for, searches are mended by
/// `provision`, and no other index is ever written to.
#[test]
fn an_alias_that_was_moved_by_hand_takes_no_document_with_it() {
    let (folder, graph) = Folder::with_graph();
    let (server, name) = (elasticsearch(), "faults-alias");
    folder.keep_on("elasticsearch", &server.url, name);
    let _stream = folder.share_over(kafka(), None, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    backfill_thirty(&folder);
    folder.settles_within(SETTLES);

    server.succeed("PUT", "/elsewhere", &json!({}));
    let moved = json!({"actions": [
        {"remove": {"index": format!("{name}-000001"), "alias": name}},
        {"add": {"index": "elsewhere", "alias": name}},
    ]});
    server.succeed("POST", "/_aliases", &moved);
    graph.post("/edit/movies/m7", &json!({"title": "While the alias is away"}));
    folder.settles_within(SETTLES);
    let counted = |index: &str| {
        server.succeed("POST", &format!("/{index}/_refresh"), &Value::Null);
        server.succeed("GET", &format!("/{index}/_count"), &Value::Null)["count"].clone()
    };
    assert_eq!(counted("elsewhere"), 0);
    let planned = folder.json(&["plan", "index.yaml"]);
    let alias =
        planned["changes"].as_array().expect("changes").iter().find(|change| change["kind"] == "alias");
    assert_ne!(alias.expect("an alias")["action"], "none", "{planned:#}");

    folder.succeed(&["provision", "index.yaml", "--yes"]);
    assert_eq!((counted(name), counted("elsewhere")), (json!(30), json!(0)));
    let found = folder.json(&["search", "index.yaml", "alias away"]);
    assert_eq!(found["hits"][0]["document"]["movieId"], "m7", "{found:#}");
    let mut thirty = graph.documents();
    thirty.retain(|id, _| id[1..].parse::<u32>().is_ok_and(|n| n <= 30));
    assert_equal(&folder.exported(), &thirty, &folder.log());
    assert_eq!(run.terminate(), Some(0), "SIGTERM drains and exits 0: {}", folder.log());
}
