//! Whatever is written into the four kinds of files, the answer is a value or diagnostics, soon, and never a panic.

mod base;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use codegen::{Texts, compile, parse_config};
use plan::Diagnostic;

use self::base::{CONFIG, IDS, QUERY, SCHEMA, text};

/// How long any of the hostile texts may take, in a debug build on a machine that others keep busy, too.
const PATIENCE: Duration = Duration::from_secs(20);

/// Compiles and checks what every answer promises: places lie in their texts, a value is there without errors only.
fn run([config, query, schema, ids]: [&str; 4]) -> Vec<Diagnostic> {
    let checked = parse_config(&text("index.yaml", config), &|_| None);
    let mut diagnostics = checked.diagnostics.clone();
    assert_eq!(checked.value.is_none(), diagnostics.iter().any(Diagnostic::is_error));
    if let Some(config) = checked.best_effort() {
        let others = config.wanted_files().into_iter().map(|file| (file.path, text("ids.graphql", ids)));
        let texts = Texts {
            query: text("query.graphql", query),
            schema: text("supergraph.graphql", schema),
            others: others.collect::<BTreeMap<_, _>>(),
        };
        let compiled = compile(config, &texts);
        assert_eq!(compiled.value.is_none(), compiled.diagnostics.iter().any(Diagnostic::is_error));
        diagnostics.extend(compiled.diagnostics);
    }
    for diagnostic in &diagnostics {
        assert!(diagnostic.place.is_some() && diagnostic.help.is_some(), "{diagnostic:?}");
        assert!(!diagnostic.message.contains(char::is_control), "{diagnostic:?}");
    }
    for (source, range) in diagnostics.iter().filter_map(|diagnostic| diagnostic.place.as_ref()) {
        assert!(source.text.get(range.clone()).is_some(), "{range:?} cuts a character of {}", source.name);
    }
    diagnostics
}

/// A small generator of the kind that needs no dependency: the same seed, the same mutations.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

/// Deletes, doubles, swaps or inserts somewhere, at borders of characters.
fn mutate(text: &str, dice: &mut Dice) -> String {
    const PIECES: [&str; 24] = [
        "{", "}", "(", ")", "[", "]", ":", "!", "$", "@", "...", "\"", "\"\"\"", "#", "é", "\u{feff}",
        "\r\n", "\t", "- ", "${", "&a ", "*a", "null", "\u{0}",
    ];
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(3) {
        let at = dice.below(chars.len());
        let end = (at + 1 + dice.below(12)).min(chars.len());
        match dice.below(4) {
            0 => drop(chars.drain(at..end)),
            1 => {
                let copy: Vec<char> = chars[at..end].to_vec();
                chars.splice(at..at, copy);
            }
            2 => {
                let other = dice.below(chars.len());
                chars.swap(at, other);
            }
            _ => drop(chars.splice(at..at, PIECES[dice.below(PIECES.len())].chars())),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn mutated_files_are_answered() {
    let base = [CONFIG, QUERY, SCHEMA, IDS];
    assert!(run(base).is_empty());
    for seed in 0..600 {
        let mut dice = Dice(seed);
        let which = dice.below(4);
        let mutated = mutate(base[which], &mut dice);
        let mut files = base;
        files[which] = &mutated;
        let outcome = std::panic::catch_unwind(|| run(files));
        assert!(outcome.is_ok(), "seed {seed} panicked, file {which}:\n{mutated}");
    }
}

#[test]
fn hostile_files_are_refused_soon() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let long = "x".repeat(20_000_000);
    let fragment =
        |n| format!("fragment F{n} on Movie {{ ...F{m} ...F{m} a: sequel {{ ...F{m} }} }}\n", m = n + 1);
    let bomb = (0..40).map(fragment).collect::<Vec<_>>().concat();
    let bomb = format!(
        "query A($id: ID!) {{ movie(movieId: $id) {{ ...F0 }} }}\n{bomb}fragment F40 on Movie {{ title }}"
    );
    let link = |n| format!("fragment F{n} on Movie {{ ...F{m} }}\n", m = n + 1);
    let chain = (0..5_000).map(link).collect::<Vec<_>>().concat();
    let alias = |n| format!("a{n}: &a{n} [*a{m}, *a{m}]\n", m = n - 1);
    let aliases = (1..40).map(alias).collect::<Vec<_>>().concat();
    let configs = [
        deep("[", "]"),
        deep("{a: ", "}"),
        format!("a0: &a0 x\n{aliases}"),
        format!("name: {long}"),
        "\u{0}".to_owned(),
        format!("{CONFIG}description: \"{}\"\n", "${A}".repeat(10_000)),
    ];
    let queries = [
        deep("{a", "}"),
        format!("query A($id: {}ID{}) {{ a }}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{{ a(b: \"{long}\") }}"),
        format!("{{ {} }}", "a ".repeat(200_000)),
        bomb,
        "{ a(b: \"\u{0}\") }".to_owned(),
        format!("query A($id: ID!) {{ movie(movieId: $id) {{ ...F0 }} }}\n{chain}"),
        format!(
            "query A($id: ID!) {{ movie(movieId: $id) {{ ...F0 }} }}\n{chain}fragment F5000 on Movie {{ title }}"
        ),
        format!("query A($a: {}) {{ a }}", "[ ".repeat(60)),
        "query A($a: Int = trueish, $b: [Int = [, \"$c\": \"\\u{".to_owned(),
    ];
    let schemas = [
        format!("type Query {{ a: {}Int{} }}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("type Query @a(b: {}) {{ a: Int }}", deep("[", "]")),
        format!("type Query {{ a: {long} }}"),
        format!("\"\"\"{long}"),
        format!("{{\"data\": {}", deep("[", "]")),
        format!(
            "{{\"__schema\": {{\"queryType\": {{\"name\": \"Query\"}}, \"types\": [{}]}}}}",
            deep("{\"kind\":", "}")
        ),
    ];
    let refused = |name: &str, files: [&str; 4]| {
        let start = Instant::now();
        let diagnostics = run(files);
        assert!(diagnostics.iter().any(Diagnostic::is_error), "{name} must be refused");
        assert!(start.elapsed() < PATIENCE, "{name} took {:?}", start.elapsed());
    };
    for (n, config) in configs.iter().enumerate() {
        refused(&format!("config {n}"), [config, QUERY, SCHEMA, IDS]);
    }
    for (n, query) in queries.iter().enumerate() {
        refused(&format!("query {n}"), [CONFIG, query, SCHEMA, IDS]);
    }
    for (n, schema) in schemas.iter().enumerate() {
        refused(&format!("schema {n}"), [CONFIG, QUERY, schema, IDS]);
    }
}
