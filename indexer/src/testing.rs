//! A small plan for the unit tests: movies with a production and a list of talents, owned by three subgraphs.

use std::path::Path;

use plan::IndexPlan;
use serde_json::{Value, json};

use crate::endpoints::{Endpoints, GraphEndpoint, Place};

/// The endpoints of [`movies`] with all its files in one folder, `movies.db` and `movies.ndjson`; nobody is served.
pub(crate) fn endpoints(folder: &Path, gateway: &str) -> Endpoints {
    Endpoints {
        graph: GraphEndpoint { url: gateway.to_owned(), headers: Vec::new(), ca: None },
        source_files: [("movies".to_owned(), folder.join("movies.ndjson"))].into(),
        place: Place::embedded(folder.join("movies.db")),
        ids_file: None,
        admin: None,
        tokens: Vec::new(),
        identity: None,
        webhook: None,
    }
}

/// The plan in alias mode.
pub(crate) fn movies() -> IndexPlan {
    let field = |name: &str, path: &str, kind: &str, owner: &str, mapping: &str, children: Value| {
        json!({"name": name, "path": path, "kind": kind, "type_name": "String", "graphql_type": "String",
            "list_depth": 0, "nullable": true, "owners": [owner], "mapping": {"kind": mapping}, "children": children})
    };
    let plan = json!({
        "format": 1, "name": "movies", "entity": "Movie",
        "key": {"field": "movieId", "path": "movieId", "kind": "string"},
        "fetch": {
            "operation_name": "MovieIndex", "query_hash": "0123456789abcdef",
            "owners": ["movies"],
            "query": "query MovieIndex($id: ID!) { movie(movieId: $id) { movieId } }",
            "mode": {"mode": "alias", "variable_type": "ID!", "other_variables": "", "variable": "id", "root_key": "movie",
                "root": ["movie(movieId: $id", ") { ...F }"], "fragments": "fragment F on Movie { movieId }"},
        },
        "graph": {"batch_size": 25, "max_concurrency": 4, "timeout_ms": 2000, "deadline_ms": 5000},
        "subgraphs": {"movies": "http://m/", "productions": "http://p/", "talent": "http://t/"},
        "fields": [
            field("movieId", "movieId", "leaf", "movies", "keyword", json!([])),
            field("title", "title", "leaf", "movies", "keyword", json!([])),
            field("production", "production", "object", "productions", "object", json!([
                field("status", "production.status", "leaf", "productions", "keyword", json!([]))])),
            field("actors", "actors", "object", "talent", "nested", json!([
                field("talentId", "actors.talentId", "leaf", "talent", "keyword", json!([])),
                field("name", "actors.name", "leaf", "talent", "keyword", json!([]))])),
        ],
        "sources": [
            {"name": "movies", "entity": "Movie", "input": "file", "format": "debezium", "id": "key.movie_id", "id_kind": "string",
                "is_root": true, "edge": "holder", "snapshot_reads": "live", "max_fanout": 5000},
            {"name": "talent", "entity": "Talent", "input": "http", "format": "plain", "id": "key", "id_kind": "string",
                "is_root": false, "reverse_lookup": ["actors.talentId"], "edge": "holder", "snapshot_reads": "live",
                "max_fanout": 5000},
        ],
        "backfill": {},
        "errors": {"partial": "hold", "not_found": "delete", "not_found_codes": ["NOT_FOUND"], "max_gone": 0.05,
            "retry_initial_ms": 50, "retry_max_ms": 1000, "auto_replay": true},
        "store": "sqlite",
        "search": {"text": [], "facets": [], "suggest": [], "boost": []},
        "freshness": {"warn_after_ms": 30000, "error_after_ms": 300_000},
        "coverage": [],
    });
    serde_json::from_value(plan).expect("the plan of the unit tests")
}
