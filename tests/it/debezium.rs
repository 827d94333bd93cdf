//! Debezium for real: what connectors make of changes in PostgreSQL is routed as the program routes it, whatever the form.
//!
//! Records become sentences: the lane, the roots, what is looked up. Every form must come to the same sentences.

pub(crate) mod world;

use std::{fs, sync::LazyLock};

use harness::{
    eventually,
    folder::Folder,
    servers::{DATABASE, connect, postgres},
};
use indexer::{
    log::Lane,
    route::{
        event::{Change, Event},
        wishes::Wishes,
    },
};
use plan::{
    IdKind, IndexPlan, Record, RecordPath, SourcePlan,
    index_plan::{Encoding, EventFormat, SourceInput},
};
use serde_json::{Value, json};

use self::world::{PATIENCE, TOPICS};
use crate::compiled::movies;

/// A source of `configs/movies`, reading this format.
fn source(name: &str, format: EventFormat) -> SourcePlan {
    let plan = movies().compiled.plan;
    let source = plan.sources.into_iter().find(|source| source.name == name);
    SourcePlan { format, ..source.expect("a source of this name") }
}

fn records(topic: &str) -> &'static [Record] {
    TOPICS.get(topic).unwrap_or_else(|| panic!("there is no topic {topic} among {:?}", TOPICS.keys()))
}

/// What a record asks for, in words.
fn told(source: &SourcePlan, record: &Record) -> String {
    let mut wishes = Wishes::default();
    if let Err(error) = wishes.add(source, IdKind::String, None, record) {
        return format!("refused: {error}");
    }
    if wishes.is_truncated {
        return "truncated".to_owned();
    }
    let lane = |lane: Lane| if lane == Lane::Live { "live" } else { "backfill" };
    let roots = wishes.entries.iter().map(|entry| {
        format!("{} {}{}", lane(entry.lane), entry.id, if entry.deleted { " deleted" } else { "" })
    });
    let keys = wishes.keys.iter().map(|key| format!("{} look up {}", lane(key.lane), key.id));
    roots.chain(keys).collect::<Vec<_>>().join(", ")
}

fn all_told(source: &SourcePlan, topic: &str) -> Vec<String> {
    records(topic).iter().map(|record| told(source, record)).collect()
}

/// When the changes of a topic happened, by what it says itself.
fn times(format: EventFormat, topic: &str) -> Vec<i64> {
    let events = records(topic).iter().map(|record| Event::read(format, record).expect("an event"));
    // A snapshot has its own time, and a tombstone only that of its record.
    let streamed = events.filter(|event| event.change == Change::Upsert);
    streamed.map(|event| event.at.expect("it is told")).collect()
}

const MOVIES: [&str; 8] = [
    "backfill m1",
    "backfill m2",
    "live m1",
    // A key that changes is one row deleted and another created.
    "live m2 deleted",
    "live m2 deleted",
    "live m3",
    "live m3 deleted",
    "live m3 deleted",
];

const PRODUCTIONS: [&str; 4] = [
    "backfill m1, backfill look up p1",
    "live m3, live look up p1",
    // The table tells no movie here: whoever holds the production is found by its key.
    "live look up p1",
    "live look up p1",
];

const CREDITS: [&str; 3] =
    ["backfill m1, backfill look up t1", "live m1, live m3, live look up t1", "live m3, live look up t1"];

/// The forms that carry Debezium's envelope.
const ENVELOPES: [(&str, EventFormat); 5] = [
    ("bare", EventFormat::Debezium),
    ("wrapped", EventFormat::Debezium),
    ("avro", EventFormat::Debezium),
    ("cloud", EventFormat::Cloudevents),
    ("cloudbare", EventFormat::Cloudevents),
];

#[test]
fn every_form_of_the_envelope_asks_for_the_same() {
    for (prefix, format) in ENVELOPES {
        let topic = |table: &str| format!("{prefix}.public.{table}");
        let movies = all_told(&source("movie-changes", format), &topic("movies"));
        assert_eq!(movies[..8], MOVIES, "{prefix}");
        assert_eq!(movies[8..], ["live 99"], "{prefix}");
        let productions = all_told(&source("production-changes", format), &topic("productions"));
        assert_eq!(productions[..4], PRODUCTIONS, "{prefix}");
        let credits = all_told(&source("cast-changes", format), &topic("credits"));
        assert_eq!(credits[..3], CREDITS, "{prefix}");
        let talents = all_told(&source("talent-changes", format), &topic("talents"));
        assert_eq!(talents, ["backfill look up t1", "truncated", "live look up 99"], "{prefix}");
        assert_eq!(
            times(format, &topic("movies")),
            times(EventFormat::Debezium, "bare.public.movies"),
            "{prefix}"
        );
    }
}

#[test]
fn flat_rows_ask_for_the_same_but_know_no_row_before() {
    let format = EventFormat::DebeziumFlat;
    for prefix in ["flat", "flatheaders"] {
        let topic = |table: &str| format!("{prefix}.public.{table}");
        assert_eq!(all_told(&source("movie-changes", format), &topic("movies"))[..8], MOVIES, "{prefix}");
        let productions = all_told(&source("production-changes", format), &topic("productions"));
        assert_eq!(productions[..4], PRODUCTIONS, "{prefix}");
        let credits = all_told(&source("cast-changes", format), &topic("credits"));
        assert_eq!(credits[..3], [CREDITS[0], "live m3, live look up t1", CREDITS[2]], "{prefix}");
        // The transform drops truncates.
        let talents = all_told(&source("talent-changes", format), &topic("talents"));
        assert_eq!(talents, ["backfill look up t1", "live look up 99"], "{prefix}");
        assert_eq!(
            times(format, &topic("movies")),
            times(EventFormat::Debezium, "bare.public.movies"),
            "{prefix}"
        );
    }
    // By itself it says neither that a row comes from a snapshot nor when it changed, and of deletes it leaves tombstones.
    let movies = all_told(&source("movie-changes", format), "flatdefault.public.movies");
    let live = ["live m1", "live m2", "live m1", "live m2 deleted", "live m3", "live m3 deleted", "live 99"];
    assert_eq!(movies, live);
}

#[test]
fn a_changed_key_carries_the_other_in_a_header() {
    for (prefix, format) in ENVELOPES {
        let records = records(&format!("{prefix}.public.movies"));
        let by_header = |name: &str| {
            records.iter().filter(|record| record.headers.contains_key(name)).collect::<Vec<_>>()
        };
        assert_eq!(by_header("__debezium.newkey").len(), 2, "{prefix}: the delete and its tombstone");
        let [created] = by_header("__debezium.oldkey")[..] else { panic!("{prefix}: one is created") };
        assert_eq!(Event::read(format, created).expect("an event").change, Change::Upsert);
    }
}

#[test]
fn what_the_database_does_not_tell_is_no_id() {
    // The delete of a production, of which only the key is told.
    let mut production = source("production-changes", EventFormat::Debezium);
    production.id = Some(RecordPath::parse("row.movie_id").expect("a path"));
    let refused = &all_told(&production, "bare.public.productions")[2];
    assert!(refused.contains("REPLICA IDENTITY FULL"), "{refused}");
    // The update of a movie, whose long synopsis did not change.
    let mut movie = source("movie-changes", EventFormat::Debezium);
    movie.id = Some(RecordPath::parse("row.synopsis").expect("a path"));
    for (prefix, format) in ENVELOPES {
        movie.format = format;
        let refused = &all_told(&movie, &format!("{prefix}.public.movies"))[2];
        assert!(refused.starts_with("refused") && refused.contains("placeholder"), "{prefix}: {refused}");
    }
}

#[test]
fn a_condition_never_drops_a_row_that_was_deleted() {
    let text = plan::SourceText { name: "where".to_owned(), text: "row.popularity > 6".to_owned() };
    let filter = plan::filter::parse(&text.into()).expect("a filter");
    let movie = source("movie-changes", EventFormat::Debezium);
    let passing = records("bare.public.movies").iter().filter(|record| {
        let mut wishes = Wishes::default();
        wishes.add(&movie, IdKind::String, Some(&filter), record).expect("an event");
        !wishes.entries.is_empty()
    });
    let passing: Vec<String> = passing.map(|record| told(&movie, record)).collect();
    // m2 had 5, but its delete says 0.
    assert_eq!(
        passing,
        [
            "backfill m1",
            "live m1",
            "live m2 deleted",
            "live m2 deleted",
            "live m3 deleted",
            "live m3 deleted"
        ]
    );
}

/// NUMERIC(18,0) as a key.
#[test]
fn a_number_of_any_length_is_an_id_where_it_is_written_as_one() {
    let mut award = source("movie-changes", EventFormat::Debezium);
    award.id = Some(RecordPath::parse("key.award_id").expect("a path"));
    award.id_kind = IdKind::Integer;
    assert_eq!(all_told(&award, "bare.public.awards"), ["backfill 42", "live 99"]);
    // `decimal.handling.mode` by default: bytes. Avro's schema tells that they are a number, JSON is base64.
    assert_eq!(all_told(&award, "avro.public.awards"), ["backfill 42", "live 99"]);
    let refused = &all_told(&award, "wrapped.public.awards")[0];
    assert!(refused.starts_with("refused") && refused.contains("Kg=="), "{refused}");
}

#[test]
fn the_outbox_names_its_aggregate_in_the_key() {
    let mut talent = source("talent-changes", EventFormat::Outbox);
    talent.id = Some(RecordPath::parse("key").expect("a path"));
    for topic in ["outboxtext.talent", "outboxjson.talent", "outboxexpanded.talent"] {
        assert_eq!(
            all_told(&talent, topic),
            ["live look up t1", "live look up t2", "live look up 99"],
            "{topic}"
        );
    }
    talent.id = Some(RecordPath::parse("value.talentId").expect("a path"));
    for topic in ["outboxtext.talent", "outboxjson.talent", "outboxexpanded.talent"] {
        assert_eq!(told(&talent, &records(topic)[0]), "live look up t1", "{topic}");
        assert!(records(topic)[0].headers.contains_key("id"), "{topic}: each event has an id");
    }
}

#[test]
fn what_a_connector_says_about_itself_asks_for_nothing() {
    let movie = source("movie-changes", EventFormat::Debezium);
    for topic in ["__debezium-heartbeat.bare", "bare.transaction"] {
        assert!(!records(topic).is_empty());
        for record in records(topic) {
            assert_eq!(told(&movie, record), "", "{topic}: {record:?}");
        }
    }
}

/// Starts the one connector of a plan as it is written, with its placeholders, after Connect has found nothing wrong with it.
fn start_generated(plan: &IndexPlan, slot: &str) {
    let made = codegen::connectors(plan).expect("topics of tables");
    let name = made["name"].as_str().expect("a name");
    let class = "io.debezium.connector.postgresql.PostgresConnector";
    let mut config = made["config"].clone();
    config["name"] = name.into();
    let verdict = connect().succeed("PUT", &format!("/connector-plugins/{class}/config/validate"), &config);
    let settings = verdict["configs"].as_array().expect("a list").iter();
    let wrong: Vec<&Value> = settings.filter(|setting| setting["value"]["errors"] != json!([])).collect();
    assert_eq!((&verdict["error_count"], wrong), (&json!(0), vec![]));
    world::start_connector(name, &made["config"]);
    world::wait_until_streaming(slot);
}

#[test]
fn the_generated_connector_fills_the_topics() {
    // The tables, and no change of ours among those that the other tests count.
    LazyLock::force(&TOPICS);
    let mut plan = movies().compiled.plan;
    for source in &mut plan.sources {
        let table = match source.name.as_str() {
            "movie-changes" => "movies",
            "production-changes" => "productions",
            "talent-changes" => "talents",
            _ => "credits",
        };
        source.input = SourceInput::Topic(format!("studio.public.{table}"));
    }
    // One topic is flat, so that the connector has to tell them apart.
    plan.sources[2].format = EventFormat::DebeziumFlat;
    start_generated(&plan, "movies_studio");
    let identities = "SELECT relname, relreplident FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relname IN ('movies', 'productions', 'credits') ORDER BY 1";
    assert_eq!(postgres().run(DATABASE, identities), "credits|f\nmovies|d\nproductions|f\n");
    postgres().run(DATABASE, "UPDATE productions SET movie_id = '98' WHERE ptp_id = '99';\nTRUNCATE talents;\nINSERT INTO talents VALUES ('98', 'New', 'ACTOR');\n");
    let tables =
        ["movies", "productions", "talents", "credits"].map(|table| format!("studio.public.{table}"));
    let mut topics = world::read(&tables);
    eventually(PATIENCE, || {
        topics = world::read(&tables);
        let counts: Vec<usize> = tables.iter().map(|topic| topics.get(topic).map_or(0, Vec::len)).collect();
        // Flat rows lose the truncate.
        if counts == [2, 2, 2, 1] { Ok(()) } else { Err(format!("{counts:?}")) }
    });
    let all = |name: &str, topic: &str| {
        let source = plan.sources.iter().find(|source| source.name == name).expect("a source");
        topics[topic].iter().map(|record| told(source, record)).collect::<Vec<_>>()
    };
    assert_eq!(
        all("production-changes", "studio.public.productions"),
        ["backfill 99, backfill look up 99", "live 99, live 98, live look up 99"],
        "the row before the change is told"
    );
    assert_eq!(all("talent-changes", "studio.public.talents"), ["backfill look up 99", "live look up 98"]);
}

#[test]
fn the_generated_connector_routes_the_outbox() {
    LazyLock::force(&TOPICS);
    let mut plan = movies().compiled.plan;
    plan.name = "outbox".to_owned();
    let mut talent = source("talent-changes", EventFormat::Outbox);
    // A prefix of its own: two connectors of one prefix in one worker wait a minute for the other's metrics to go.
    talent.input = SourceInput::Topic("routed.talent".to_owned());
    talent.id = Some(RecordPath::parse("value.talentId").expect("a path"));
    // The payload becomes a record of the registry, and the key stays text.
    talent.encoding = Encoding::Avro;
    plan.sources = vec![talent.clone()];
    start_generated(&plan, "outbox_routed");
    postgres().run(
        DATABASE,
        "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('talent', '97', 'Renamed', '{\"talentId\": \"97\"}')",
    );
    eventually(PATIENCE, || {
        let topics = world::read(&["routed.talent".to_owned()]);
        let last = topics.get("routed.talent").and_then(|records| records.last());
        match last.map(|record| (told(&talent, record), &record.headers["eventType"])) {
            Some((told, kind)) if told == "live look up 97" && kind == "Renamed" => {
                assert_eq!(last.map(|record| &record.key), Some(&json!(97)));
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    });
}

/// From PostgreSQL to documents, and the pause that a truncated table makes.
#[test]
fn a_truncated_table_pauses_the_index_and_deletes_nothing() {
    let (folder, graph) = Folder::with_graph();
    let follow = |source: &str, topic: &str| {
        let lines = records(topic).iter().map(|record| json!(record).to_string() + "\n");
        fs::write(folder.path("events").join(format!("{source}.ndjson")), lines.collect::<String>())
            .expect("writable");
    };
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    follow("cast", "wrapped.public.credits");
    folder.succeed(&["run", "index.yaml", "--once"]);
    let indexed = folder.exported();
    assert_eq!(
        indexed.keys().filter(|id| ["m1", "m3"].contains(&id.as_str())).count(),
        2,
        "{}",
        folder.log()
    );
    assert_eq!(indexed["m1"], graph.documents()["m1"]);

    follow("talents", "wrapped.public.talents");
    let paused = folder.output(&["run", "index.yaml", "--once"]);
    assert_eq!(paused.status.code(), Some(1), "{}", String::from_utf8_lossy(&paused.stderr));
    let status = folder.status();
    assert_eq!((&status["state"], &status["code"]), (&json!("FAILED"), &json!("SS310")), "{status:#}");
    let after = folder.exported();
    assert!(indexed.keys().all(|id| after.contains_key(id)), "{}", folder.log());
    // The next process waits, too.
    assert_eq!(folder.output(&["run", "index.yaml", "--once"]).status.code(), Some(1));
    folder.succeed(&["resume", "index.yaml"]);
    folder.succeed(&["run", "index.yaml", "--once"]);
    let status: Value = folder.status();
    assert_eq!(status["state"], "RUNNING", "{status:#}");
    assert!(folder.exported().len() > indexed.len(), "the movies of t1 were found after the pause");
}
