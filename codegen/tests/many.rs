//! A hundred mistakes in one file are a hundred findings, each at its own place.

mod base;

use std::{collections::BTreeSet, fmt::Write};

use codegen::{GraphSchema, Texts, compile, parse_config};
use plan::Diagnostic;

use self::base::{CONFIG, IDS, QUERY, SCHEMA, text};

fn findings(config: &str, query: &str, ids: &str) -> Vec<Diagnostic> {
    let checked = parse_config(&text("index.yaml", config), &|_| None);
    let mut diagnostics = checked.diagnostics.clone();
    if let Some(config) = checked.best_effort() {
        let others = config.wanted_files().into_iter().map(|file| (file.path, text("ids.graphql", ids)));
        let texts = Texts {
            query: text("query.graphql", query),
            schema: text("supergraph.graphql", SCHEMA),
            others: others.collect(),
        };
        diagnostics.extend(compile(config, &texts).diagnostics);
    }
    diagnostics
}

/// The errors of a file, by their places.
fn places(diagnostics: &[Diagnostic], file: &str) -> BTreeSet<usize> {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
    errors
        .filter_map(|diagnostic| diagnostic.place.as_ref())
        .filter(|(source, _)| source.name == file)
        .map(|(_, range)| range.start)
        .collect()
}

#[test]
fn a_hundred_mistakes_of_yaml() {
    let mut config = CONFIG.replace("http://localhost", "${NOBODY}http://localhost");
    for n in 0..24 {
        let _ = write!(
            config,
            "  wrong-{n}:\n    fiel: ./x{n}.ndjson\n    format: debezum\n    id: kye.movie_id\n    snapshot_reads: neverr\n"
        );
    }
    config.push_str("graph_: 1\nunknown: 2\nbackfill: { rate: fast, max: 3 }\n");
    let found = findings(&config, QUERY, IDS);
    assert!(places(&found, "index.yaml").len() >= 100, "{} findings", places(&found, "index.yaml").len());
}

#[test]
fn a_hundred_mistakes_of_graphql() {
    let mut query = "query A($id: ID!) {\n  movie(movieId: $id) {\n    movieId\n".to_owned();
    for n in 0..20 {
        let _ = write!(
            query,
            "    unknown{n}\n    a{n}: title(wrong: 1)\n    b{n}: talent(role: PILOT) {{ talentId }}\n    ...Missing{n}\n    \
             c{n}: talent(first: $missing{n}) {{ name }}\n"
        );
    }
    query.push_str("  }\n}\n");
    let schema = GraphSchema::parse(&text("schema", SCHEMA)).value.expect("the base is right");
    assert_eq!(places(&schema.check(&text("query.graphql", &query)), "query.graphql").len(), 100);
    assert_eq!(places(&findings(CONFIG, &query, IDS), "query.graphql").len(), 100);
}

#[test]
fn mistakes_of_all_files_at_once() {
    let config = CONFIG.replace("entity: Movie\n", "entity: Movie\nkie: movieId\n");
    let query = QUERY.replace("title", "titel").replace("status", "state");
    let ids = IDS.replace("movieId", "movieid");
    let found = findings(&config, &query, &ids);
    let count = |file| places(&found, file).len();
    assert_eq!((count("index.yaml"), count("query.graphql"), count("ids.graphql")), (1, 2, 1), "{found:?}");
}
