//! The whole chain: a change in PostgreSQL goes by Debezium and Kafka through the program into the index.
//!
//! The graph is changed first and the tables after it, as services do that write to the database they answer from. Nobody hears
//! of a change but through Debezium. Three indexes read the same tables, each in another form of records.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use harness::{
    eventually,
    folder::{Folder, Running, assert_equal},
    graph::RealGraph,
    link::{Break, Link},
    servers::{DATABASE, connect, elasticsearch, kafka, postgres, registry},
};
use serde_json::{Value, json};

use crate::debezium::world;

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(4);

/// What a snapshot reads.
const MOVIES: usize = 30;

const TABLES: &str = "
CREATE SCHEMA chain;
CREATE TABLE chain.movies (movie_id text PRIMARY KEY, title text NOT NULL, synopsis text);
ALTER TABLE chain.movies ALTER synopsis SET STORAGE EXTERNAL;
CREATE TABLE chain.productions (ptp_id text PRIMARY KEY, movie_id text NOT NULL, status text);
CREATE TABLE chain.talents (talent_id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE chain.credits (movie_id text, talent_id text, credit_id bigserial PRIMARY KEY);
";

/// What Debezium tells of a long value that an update left as it was.
const PLACEHOLDER: &str = "__debezium_unavailable_value";

/// The graph, and the tables behind it.
struct Studio {
    graph: RealGraph,
    /// The movies that an index may hold: those of the tables, and all others of their directors, as the graph tells them.
    ids: BTreeSet<String>,
    _events: tempfile::TempDir,
}

impl Studio {
    /// A graph, and tables with the first of its movies.
    fn start() -> Self {
        let events = tempfile::tempdir().expect("a temporary folder");
        let graph = RealGraph::start(events.path());
        let captured: Vec<String> = (1..=MOVIES).map(|n| format!("m{n}")).collect();
        let mut ids: BTreeSet<String> = captured.iter().cloned().collect();
        let documents = graph.documents_of(&captured);
        let text = |value: &Value| format!("'{}'", value.as_str().unwrap_or_default().replace('\'', "''"));
        let (mut movies, mut productions, mut credits) = (Vec::new(), Vec::new(), Vec::new());
        let mut talents = BTreeSet::new();
        for (id, movie) in &documents {
            movies.push(format!("('{id}', {}, repeat('long ', 2000))", text(&movie["title"])));
            let production = &movie["production"];
            let (ptp, status) = (text(&production["ptpId"]), text(&production["status"]));
            productions.push(format!("({ptp}, '{id}', {status})"));
            for talent in movie["directors"].as_array().expect("a list") {
                talents.insert(format!("({}, {})", text(&talent["talentId"]), text(&talent["name"])));
                ids.extend(movies_of(&graph, &talent["talentId"]));
                credits.push(format!("('{id}', {})", text(&talent["talentId"])));
            }
        }
        let sql = postgres();
        sql.run(DATABASE, TABLES);
        let talents: Vec<String> = talents.into_iter().collect();
        for (table, rows) in
            [("movies", movies), ("productions", productions), ("talents", talents), ("credits", credits)]
        {
            sql.run(DATABASE, &format!("INSERT INTO chain.{table} VALUES {}", rows.join(",")));
        }
        Self { graph, ids, _events: events }
    }

    /// Changes the graph, then the tables.
    fn change(&self, route: &str, body: &Value, sql: &str) {
        self.graph.post(route, body);
        postgres().run(DATABASE, sql);
    }

    fn documents(&self) -> BTreeMap<String, Value> {
        self.graph.documents_of(&Vec::from_iter(self.ids.clone()))
    }
}

fn movies_of(graph: &RealGraph, talent: &Value) -> Vec<String> {
    let query = "query($id: ID!) { talent(talentId: $id) { movies { movieId } } }";
    let answer = graph.ask(query, &json!({"id": talent}));
    let movies = answer["talent"]["movies"].as_array().expect("a list").iter();
    movies.map(|movie| movie["movieId"].as_str().expect("an id").to_owned()).collect()
}

/// An index that reads the tables' topics in one form.
struct Chain {
    name: &'static str,
    folder: Folder,
}

impl Chain {
    /// Provisions the index and starts the connector that is generated for it, with a change that no configuration asks for.
    fn provision(
        name: &'static str,
        studio: &Studio,
        registry: Option<&Link>,
        change: impl Fn(&mut Value),
    ) -> Self {
        let folder = Folder::beside(&studio.graph);
        folder.keep_on("elasticsearch", &elasticsearch().url, name);
        folder.share(kafka(), registry.map(|link| link.url.as_str()));
        let tables = [
            ("movies", "movies"),
            ("productions", "productions"),
            ("talents", "talents"),
            ("cast", "credits"),
        ];
        let topics = tables.map(|(_, table)| format!("{name}.chain.{table}"));
        kafka().create_topics(&topics.each_ref().map(String::as_str), 3);
        for ((file, _), topic) in tables.iter().zip(&topics) {
            let encoding = registry.map_or("", |_| "\n    encoding: avro");
            folder.follow(file, &format!("{topic}{encoding}"));
        }
        folder.succeed(&["provision", "index.yaml", "--yes"]);
        let generated = folder.succeed(&["generate", "connector", "index.yaml"]);
        let mut connector: Value = serde_json::from_str(&generated).expect("one connector");
        change(&mut connector["config"]);
        world::start_connector(name, &connector["config"]);
        Self { name, folder }
    }

    /// The state of the index and its code.
    fn state(&self) -> (Value, Value) {
        let status = self.folder.status();
        (status["state"].clone(), status["code"].clone())
    }

    fn equals_within(&self, limit: Duration, wanted: &BTreeMap<String, Value>) {
        eventually(limit, || {
            let found = self.folder.exported();
            if found == *wanted { Ok(()) } else { Err(self.difference(&found, wanted)) }
        });
    }

    fn difference(&self, found: &BTreeMap<String, Value>, wanted: &BTreeMap<String, Value>) -> String {
        let differs = |id: &&String| found.get(*id) != wanted.get(*id);
        let ids: BTreeSet<&String> = found.keys().chain(wanted.keys()).filter(differs).collect();
        format!("{}: {ids:?} differ, {:#}\n{}", self.name, self.folder.status(), self.folder.log())
    }
}

#[test]
fn changes_in_postgresql_reach_the_index_in_every_form() {
    // Whatever is not up yet starts side by side.
    let studio = thread::scope(|scope| {
        scope.spawn(elasticsearch);
        scope.spawn(connect);
        Studio::start()
    });
    let link = Link::to(&registry().url);
    let wrapped = |config: &mut Value| {
        config["key.converter.schemas.enable"] = "true".into();
        config["value.converter.schemas.enable"] = "true".into();
    };
    let bare = Chain::provision("chain-bare", &studio, None, |_| {});
    let wrapped = Chain::provision("chain-wrapped", &studio, None, wrapped);
    let avro = Chain::provision("chain-avro", &studio, Some(&link), |_| {});
    let chains = [&bare, &wrapped, &avro];

    a_snapshot_goes_to_the_throttled_lane(&chains);
    let runs = a_registry_that_is_away_is_waited_for(&chains, &studio, &link);
    let studio = changes_are_followed(&chains, studio);
    a_truncate_pauses_and_deletes_nothing(&chains, &studio);
    for (chain, run) in chains.iter().zip(runs) {
        let status = chain.folder.status();
        assert_eq!((&status["held"], &status["dead_letters"]), (&json!(0), &json!(0)), "{status:#}");
        assert_eq!(run.terminate(), Some(0), "{}", chain.folder.log());
    }
}

/// Nobody rebuilds yet, so that the lanes show what was appended to them.
fn a_snapshot_goes_to_the_throttled_lane(chains: &[&Chain]) {
    let routes: Vec<Running> =
        chains.iter().map(|chain| chain.folder.run_with(&["--role", "route"])).collect();
    for (chain, route) in chains.iter().zip(routes) {
        eventually(SETTLES, || {
            let status = chain.folder.status();
            let read = |name: &str| {
                let mut sources = status["sources"].as_array().expect("sources").iter();
                let source = sources.find(|source| source["name"] == name).expect("a source");
                source["position"].as_u64().unwrap_or(0)
            };
            let movies = read("movie-changes");
            // Each movie, and again as that of a production; credits and talents bring some more.
            let enough = status["lag"]["backfill"].as_u64() >= Some(2 * MOVIES as u64);
            let connector =
                connect().call("GET", &format!("/connectors/{}/status", chain.name), &Value::Null);
            let is_routed = movies == MOVIES as u64 && enough;
            if is_routed {
                Ok(())
            } else {
                Err(format!("{status:#}\n{connector:#?}\n{}", chain.folder.log()))
            }
        });
        let status = chain.folder.status();
        assert_eq!(
            (&status["lag"]["live"], &status["documents"]),
            (&json!(0), &json!(0)),
            "{}: {status:#}",
            chain.name
        );
        assert_eq!(route.terminate(), Some(0), "{}", chain.folder.log());
    }
}

/// A process that starts knows no schema yet.
fn a_registry_that_is_away_is_waited_for(chains: &[&Chain], studio: &Studio, link: &Link) -> Vec<Running> {
    link.fail(Break::Cut);
    let runs: Vec<Running> = chains.iter().map(|chain| chain.folder.run()).collect();
    let snapshot = studio.documents();
    chains.iter().for_each(|chain| chain.equals_within(SETTLES, &snapshot));
    studio.change(
        "/edit/movies/m1",
        &json!({"title": "Told In Avro"}),
        "UPDATE chain.movies SET title = 'Told In Avro' WHERE movie_id = 'm1'",
    );
    let changed = studio.documents();
    let [others @ .., avro] = chains else { unreachable!("the last one reads Avro") };
    others.iter().for_each(|chain| chain.equals_within(SETTLES, &changed));
    assert_equal(&avro.folder.exported(), &snapshot, &avro.folder.log());
    assert_eq!(avro.state(), (json!("RUNNING"), Value::Null));
    let healthy = runs.iter().all(|run| run.get("/livez").0 == 200 && run.get("/readyz").0 == 200);
    assert!(healthy, "who waits is alive: {}", avro.folder.log());
    link.mend();
    avro.equals_within(SETTLES, &changed);
    runs
}

fn changes_are_followed(chains: &[&Chain], mut studio: Studio) -> Studio {
    studio.change(
        "/edit/movies/m2",
        &json!({"title": "Zanzibar Express"}),
        "UPDATE chain.movies SET title = 'Zanzibar Express' WHERE movie_id = 'm2'",
    );
    studio.change(
        "/edit/productions/p3",
        &json!({"status": "IN_PHOTOGRAPHY"}),
        "UPDATE chain.productions SET status = 'IN_PHOTOGRAPHY' WHERE ptp_id = 'p3'",
    );
    let before = studio.documents();
    let director = |movie: &str| before[movie]["directors"][0]["talentId"].as_str().map(str::to_owned);
    let captured = (3..=28).map(|n| format!("m{n}"));
    let directed: Vec<(String, String)> =
        captured.filter_map(|id| director(&id).map(|director| (id, director))).collect();
    let (_, renamed) = &directed[0];
    studio.change(
        &format!("/edit/talents/{renamed}"),
        &json!({"name": "Renamed Everywhere"}),
        &format!("UPDATE chain.talents SET name = 'Renamed Everywhere' WHERE talent_id = '{renamed}'"),
    );
    // A credit that passes on is one row, whose images name both people.
    let (moved, from) = directed.iter().find(|(_, from)| from != renamed).expect("another director");
    studio.change(
        "/move",
        &json!({"movieId": moved, "from": from, "to": renamed}),
        &format!(
            "UPDATE chain.credits SET talent_id = '{renamed}' WHERE movie_id = '{moved}' AND talent_id = '{from}'"
        ),
    );
    studio.graph.delete_movie("m29");
    postgres().run(
        DATABASE,
        "DELETE FROM chain.credits WHERE movie_id = 'm29';\nDELETE FROM chain.productions WHERE movie_id = 'm29';\n\
         DELETE FROM chain.movies WHERE movie_id = 'm29';\n",
    );
    // Debezium makes two rows of a key that changes.
    studio.graph.post("/movies", &json!({"movieId": "m9030", "title": "Another Key", "production": null}));
    studio.graph.delete_movie("m30");
    studio.ids.insert("m9030".to_owned());
    postgres().run(
        DATABASE,
        "UPDATE chain.movies SET movie_id = 'm9030', title = 'Another Key' WHERE movie_id = 'm30'",
    );

    let wanted = studio.documents();
    assert_eq!(wanted.len(), before.len() - 1, "one was deleted, and one has another key");
    for chain in chains {
        chain.equals_within(SETTLES, &wanted);
        elasticsearch().succeed("POST", &format!("/{}/_refresh", chain.name), &Value::Null);
        let found = chain.folder.json(&["search", "index.yaml", "zanzibar"]);
        assert_eq!(found["hits"][0]["document"]["movieId"], "m2", "{found:#}");
    }
    let told = kafka().records("chain-bare\\.chain\\.movies");
    let is_left_out = |value: &Vec<u8>| String::from_utf8_lossy(value).contains(PLACEHOLDER);
    assert!(
        told.iter().filter_map(|record| record.value.as_ref()).any(is_left_out),
        "a long synopsis that did not change was not told"
    );
    studio
}

fn a_truncate_pauses_and_deletes_nothing(chains: &[&Chain], studio: &Studio) {
    let before = studio.documents();
    postgres().run(DATABASE, "TRUNCATE chain.movies");
    for chain in chains {
        eventually(SETTLES, || match chain.state() {
            (state, code) if (&state, &code) == (&json!("FAILED"), &json!("SS310")) => Ok(()),
            other => Err(format!("{}: {other:?}\n{}", chain.name, chain.folder.log())),
        });
    }
    studio.change(
        "/edit/movies/m7",
        &json!({"title": "After The Truncate"}),
        "INSERT INTO chain.movies VALUES ('m7', 'After The Truncate', NULL)",
    );
    let after = studio.documents();
    // By now the insert has come as far as anything does while the index is paused.
    eventually(SETTLES, || {
        let told = kafka().records("chain-.*\\.chain\\.movies");
        let inserted = told.iter().filter(|record| {
            let value = record.value.as_deref().unwrap_or_default();
            String::from_utf8_lossy(value).contains("After The Truncate")
        });
        if inserted.count() == chains.len() { Ok(()) } else { Err("the insert is not told yet".to_owned()) }
    });
    for chain in chains {
        assert_equal(&chain.folder.exported(), &before, &chain.folder.log());
        chain.folder.succeed(&["resume", "index.yaml"]);
    }
    for chain in chains {
        chain.equals_within(SETTLES, &after);
        assert_eq!(chain.state(), (json!("RUNNING"), Value::Null));
    }
}
