//! The plans of the simulated index: movies whose parts four subgraphs own, with every kind of edge, by one query and by a shorter one.

use plan::IndexPlan;
use serde_json::{Value, json};

/// How long a fetch may take until it is written. Short, so that a case has many of them.
pub(super) const DEADLINE_MS: u64 = 2_000;

/// How long the gateway is waited for.
pub(super) const TIMEOUT_MS: u64 = 1_000;

/// Partitions of either lane.
pub(super) const PARTITIONS: usize = 4;

/// The operation of the query that asks for everything.
const WHOLE: &str = "MovieIndex";

/// The operation of the query that doesn't ask for productions.
pub(super) const SHORT: &str = "ShortMovieIndex";

/// Whether an operation asks for documents.
pub(super) fn is_of_documents(operation: &str) -> bool {
    operation == WHOLE || operation == SHORT
}

/// The plan of the query that doesn't ask for productions, and needs nobody to tell of them.
pub(super) fn short(plan: &IndexPlan) -> IndexPlan {
    let mut short = plan.clone();
    short.fetch.operation_name = SHORT.to_owned();
    short.fetch.query_hash = "fedcba9876543210".to_owned();
    short.fields.0.retain(|field| field.path != "production");
    short.sources.retain(|source| source.name != "productions");
    short
}

/// What the documents of a plan show of a movie.
pub(super) fn shown_by(plan: &IndexPlan, mut movie: Value) -> Value {
    if plan.fetch.operation_name == SHORT {
        movie.as_object_mut().expect("an object").remove("production");
    }
    movie
}

/// Movies name their directors themselves. A production names its movie. Talents know where they act, and only the graph
/// can be asked for it.
pub(super) fn plan(deadline_ms: u64, max_fanout: u64) -> IndexPlan {
    let source = |name: &str, rest: &Value| source(name, max_fanout, rest);
    let leaf = |path: &str, owner: &str| field(path, "leaf", owner, "keyword", &json!([]));
    let plan = json!({
        "format": 1, "name": "movies", "entity": "Movie",
        "key": {"field": "movieId", "path": "movieId", "kind": "string"},
        "fetch": {
            "operation_name": WHOLE, "query_hash": "0123456789abcdef",
            "query": "query MovieIndex($id: ID!) { movie(movieId: $id) { movieId } }",
            "mode": {"mode": "alias", "variable_type": "ID!", "other_variables": "", "variable": "id", "root_key": "movie",
                "root": ["movie(movieId: $id", ") { ...F }"], "fragments": "fragment F on Movie { movieId }"},
        },
        "graph": {"batch_size": 4, "max_concurrency": 3, "timeout_ms": TIMEOUT_MS, "deadline_ms": deadline_ms},
        "subgraphs": {"movies": "http://m/", "people": "http://d/", "productions": "http://p/", "talent": "http://t/"},
        "fields": [
            leaf("movieId", "movies"),
            leaf("title", "movies"),
            field("director", "object", "movies", "object", &json!([
                leaf("director.personId", "movies"), leaf("director.name", "people")])),
            field("production", "object", "productions", "object", &json!([
                leaf("production.productionId", "productions"), leaf("production.status", "productions")])),
            field("actors", "object", "talent", "nested", &json!([
                leaf("actors.talentId", "talent"), leaf("actors.name", "talent")])),
        ],
        "sources": [
            source("movies", &json!({"entity": "Movie", "is_root": true, "edge": "holder"})),
            source("people", &json!({"entity": "Person", "edge": "holder", "reverse_lookup": ["director.personId"]})),
            source("productions", &json!({"entity": "Production", "edge": "related", "root_id": "row.movie",
                "reverse_lookup": ["production.productionId"]})),
            source("talent", &json!({"entity": "Talent", "edge": "related", "reverse_lookup": ["actors.talentId"],
                "back_reference": {"query": "query MoviesOf($id: ID!) { talent(id: $id) { movies { movieId } } }",
                    "operation_name": "MoviesOf", "ids": ["talent", "movies", "movieId"], "id_variable": "id"}})),
        ],
        "backfill": {"ids": {"query": {
            "query": "query MovieIds($offset: Int) { movies(offset: $offset) { movieId } }", "operation_name": "MovieIds",
            "ids": ["movies", "movieId"], "paging": {"offset": {"offset": "offset"}}}}, "rate_per_second": 20.0},
        "errors": {"partial": "hold", "not_found": "delete", "not_found_codes": [], "max_gone": 1.0,
            "retry_initial_ms": 500, "retry_max_ms": 4000, "auto_replay": true},
        "store": "sqlite", "keep_versions": 1,
        "search": {"text": [], "facets": [], "suggest": [], "boost": []},
        "freshness": {"warn_after_ms": 30000, "error_after_ms": 300_000},
        "coverage": [],
    });
    serde_json::from_value(plan).expect("the plan of the simulation")
}

fn field(path: &str, kind: &str, owner: &str, mapping: &str, children: &Value) -> Value {
    let name = path.rsplit('.').next().expect("a name");
    json!({"name": name, "path": path, "kind": kind, "type_name": "String", "graphql_type": "String", "list_depth": 0,
        "nullable": true, "owners": [owner], "mapping": {"kind": mapping}, "children": children})
}

fn source(name: &str, max_fanout: u64, rest: &Value) -> Value {
    let mut source = json!({"name": name, "input": "file", "format": "debezium", "id": "key.id", "id_kind": "string",
        "is_root": false, "snapshot_reads": "live", "max_fanout": max_fanout});
    let rest = rest.as_object().expect("an object").clone();
    source.as_object_mut().expect("an object").extend(rest);
    source
}
