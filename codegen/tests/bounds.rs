//! Hostile files are refused soon and with little memory: each in a process of its own, whose peak the system tells.
//!
//! A release build is held to a second for 100 MB, a debug build to what it can do on a busy machine.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "what can't be measured fails the test")]
#![expect(clippy::print_stdout, reason = "figures for whoever asks with --nocapture")]

mod base;

use std::{
    env, fs,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use codegen::{Texts, compile, parse_config};
use plan::Diagnostic;

use self::base::{CONFIG, IDS, QUERY, SCHEMA, text};

/// Names the hostile file to a process of this test.
const CHOSEN: &str = "STUDIO_SEARCH_TEST_HOSTILE_FILE";

const LONG: usize = if cfg!(debug_assertions) { 25_000_000 } else { 100_000_000 };

const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });

/// Which file is hostile.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Config,
    Query,
    Ids,
    Schema,
}

/// What may be allocated beside the file: the libraries, and whatever is proportional to a limit of ours.
const SPARE_BYTES: usize = 64 << 20;

const FILES: [(&str, Kind); 17] = [
    ("yaml with a long text", Kind::Config),
    ("yaml with many brackets", Kind::Config),
    ("yaml with aliases of aliases", Kind::Config),
    ("yaml with NUL", Kind::Config),
    ("query with a long text", Kind::Query),
    ("query with many brackets", Kind::Query),
    ("query with fragments of fragments", Kind::Query),
    ("query with NUL", Kind::Query),
    ("query for ids with a long text", Kind::Ids),
    ("query for ids with many brackets", Kind::Ids),
    ("schema with a long text", Kind::Schema),
    ("schema with a long name", Kind::Schema),
    ("schema with many brackets", Kind::Schema),
    ("schema with NUL", Kind::Schema),
    ("introspection with a long text", Kind::Schema),
    ("introspection with many brackets", Kind::Schema),
    ("introspection with NUL", Kind::Schema),
];

fn hostile(name: &str) -> String {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    // One allocation that is just long enough, so that what is measured is what codegen takes.
    let long = |before: &str, after: &str| {
        let mut text = String::with_capacity(before.len() + LONG + after.len());
        text.push_str(before);
        let piece = "x".repeat(1_000_000);
        (0..LONG / piece.len()).for_each(|_| text.push_str(&piece));
        text.push_str(after);
        text
    };
    match name {
        "yaml with a long text" => long("name: \"", "\"\n"),
        "yaml with many brackets" => deep("[", "]"),
        "yaml with aliases of aliases" => {
            let line = |n: usize| format!("a{n}: &a{n} [*a{m}, *a{m}, *a{m}, *a{m}]\n", m = n - 1);
            format!("a0: &a0 x\n{}", (1..40).map(line).collect::<String>())
        }
        "yaml with NUL" => format!("{CONFIG}description: \0\n"),
        "query with a long text" | "query for ids with a long text" => long("{ a(b: \"", "\") }"),
        "query with many brackets" | "query for ids with many brackets" => deep("{a", "}"),
        "query with fragments of fragments" => {
            let fragment =
                |n| format!("fragment F{n} on Movie {{ ...F{m} a: sequel {{ ...F{m} }} }}\n", m = n + 1);
            let bomb: String = (0..60).map(fragment).collect();
            format!(
                "query A($id: ID!) {{ movie(movieId: $id) {{ ...F0 }} }}\n{bomb}fragment F60 on Movie {{ title }}"
            )
        }
        "query with NUL" => QUERY.replace("title", "title \0"),
        "schema with a long text" => long("type Query { a: Int }\n\"\"\"", ""),
        "schema with a long name" => long("type Query { a: ", " }"),
        "schema with many brackets" => format!("type Query @a(b: {}) {{ a: Int }}", deep("[", "]")),
        "schema with NUL" => format!("{SCHEMA}\0"),
        "introspection with a long text" => long("{\"data\": {\"__schema\": {\"description\": \"", ""),
        "introspection with many brackets" => format!("{{\"data\": {}", deep("[", "]")),
        "introspection with NUL" => "{\"data\": {\"__schema\": \0}}".to_owned(),
        _ => panic!("{name} is none of the files"),
    }
}

/// The most memory that this process ever had, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Runs in the process of one hostile file.
fn refuse(name: &str, kind: Kind) {
    let written = hostile(name);
    let length = written.len();
    let hostile = text("hostile", written);
    let before = peak();
    let start = Instant::now();
    let file = |of: Kind, own: &str| {
        if of == kind { Arc::clone(&hostile) } else { text("ours", own) }
    };
    let checked = parse_config(&file(Kind::Config, CONFIG), &|_| None);
    let mut diagnostics = checked.diagnostics.clone();
    if let Some(config) = checked.best_effort() {
        let ids = file(Kind::Ids, IDS);
        let others = config.wanted_files().into_iter().map(|file| (file.path, Arc::clone(&ids)));
        let texts = Texts {
            query: file(Kind::Query, QUERY),
            schema: file(Kind::Schema, SCHEMA),
            others: others.collect(),
        };
        diagnostics.extend(compile(config, &texts).diagnostics);
    }
    let (took, grown) = (start.elapsed(), peak() - before);
    assert!(diagnostics.iter().any(Diagnostic::is_error), "{name} must be refused");
    let longest = diagnostics.iter().map(|found| found.message.len()).max().unwrap_or(0);
    assert!(longest < 1_000, "{name}: a message of {longest} bytes");
    println!("{name}: {took:?}, {} KiB for {} KiB", grown >> 10, length >> 10);
    assert!(took < PATIENCE, "{name} took {took:?}");
    assert!(grown <= 2 * length + SPARE_BYTES, "{name} of {length} bytes took {grown} bytes");
}

#[test]
fn hostile_files_cost_little() {
    if let Ok(chosen) = env::var(CHOSEN) {
        let (name, kind) = FILES.into_iter().find(|(name, _)| *name == chosen).unwrap();
        return refuse(name, kind);
    }
    for (name, _) in FILES {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", "hostile_files_cost_little", "--nocapture"]).env(CHOSEN, name);
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        print!(
            "{}",
            said.lines()
                .filter(|line| line.starts_with(name))
                .fold(String::new(), |all, line| all + line + "\n")
        );
        assert!(
            output.status.success(),
            "{name}: {}{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
