//! Golden cases: `ok/` must compile, `diagnostics/` must not compile or must warn, and both must say what they said.
//!
//! `cases/` says how a case is written. `UPDATE=1 cargo test` writes what is said now.

#![expect(clippy::unwrap_used, reason = "a case that can't be read fails the test")]

mod cases;

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use codegen::{Compiled, Texts, compile, parse_config};
use plan::{Diagnostic, Severity, SourceText, diagnostic::line_and_column};

use self::cases::{Files, case_files, read_folder};

#[test]
fn what_is_right_compiles() {
    if std::env::var_os("UPDATE").is_some() {
        let base = read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/base"));
        let template = run(&base).1.unwrap().index_template;
        fs::write(analysis_file(), pretty(template.pointer(ANALYSIS).unwrap()) + "\n").unwrap();
    }
    for_each("ok", |name, said, compiled| {
        let compiled = compiled.unwrap_or_else(|| panic!("{name} must compile:\n{said}"));
        apache_avro::Schema::parse(&compiled.avro).unwrap_or_else(|error| panic!("{name}: {error}"));
        let json = compiled.plan.to_json();
        assert_eq!(serde_json::from_str::<plan::IndexPlan>(&json).unwrap(), compiled.plan, "{name}");
        let (avro, template) = (pretty(&compiled.avro), pretty(&without_analysis(compiled.index_template)));
        format!("{said}## plan\n{json}\n## avro\n{avro}\n## index template\n{template}\n")
    });
}

/// Where an index template says how texts become words: some 170 lines that hardly ever differ.
const ANALYSIS: &str = "/component_template/body/template/settings/analysis";

/// The template with the name of the file in place of its analysis, where it is what that file says; `base` writes it.
fn without_analysis(mut template: serde_json::Value) -> serde_json::Value {
    let analysis = template.pointer_mut(ANALYSIS).unwrap();
    if fs::read_to_string(analysis_file()).is_ok_and(|usual| usual == pretty(analysis) + "\n") {
        *analysis = "as in analysis.json".into();
    }
    template
}

fn analysis_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ok/analysis.json")
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn what_is_wrong_is_told() {
    for_each("diagnostics", |name, said, _| {
        assert!(!said.is_empty(), "{name} must be told something");
        said
    });
}

/// Runs every case of a folder and compares what it says with its `.expected` file.
fn for_each(folder: &str, show: impl Fn(&str, String, Option<Compiled>) -> String) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let base = read_folder(&tests.join("base"));
    let mut cases: Vec<PathBuf> =
        fs::read_dir(tests.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    cases.sort();
    assert!(!cases.is_empty());
    let mut differing = Vec::new();
    for path in cases {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let files = case_files(&base, &fs::read_to_string(&path).unwrap(), &name);
        let (said, compiled) = run(&files);
        let (again, _) = run(&files);
        assert_eq!(said, again, "{name}: same inputs, same bytes");
        let shown = show(&name, said, compiled);
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, shown).unwrap();
        } else if fs::read_to_string(&expected).ok().as_deref() != Some(shown.as_str()) {
            differing.push(format!("{folder}/{name}:\n{shown}"));
        }
    }
    assert!(
        differing.is_empty(),
        "{} cases differ (UPDATE=1 accepts them):\n{}",
        differing.len(),
        differing.join("\n")
    );
}

fn run(files: &Files) -> (String, Option<Compiled>) {
    let text = |name: &str| {
        let text = files.get(name).cloned().unwrap_or_default();
        Arc::new(SourceText { name: name.to_owned(), text })
    };
    let variable = |name: &str| match name {
        "GATEWAY" => Some("http://gateway:4000/graphql".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let config = parse_config(&text("index.yaml"), &variable);
    let mut diagnostics = config.diagnostics.clone();
    let mut compiled = None;
    if let Some(config) = config.best_effort() {
        let wanted = config.wanted_files();
        let path = |path: &str| path.trim_start_matches("./").to_owned();
        let mut others = BTreeMap::new();
        for file in &wanted {
            if files.contains_key(&path(&file.path)) {
                others.insert(file.path.clone(), text(&path(&file.path)));
            } else {
                diagnostics.push(config.unreadable(file, "there is no such file"));
            }
        }
        let of = |what: &str| wanted.iter().find(|file| file.what == what).map(|file| path(&file.path));
        let schema = of("schema").unwrap_or_else(|| "introspection.json".to_owned());
        let texts = Texts { query: text(&of("query").unwrap()), schema: text(&schema), others };
        if files.contains_key(&schema) && files.contains_key(&of("query").unwrap()) {
            let checked = compile(config, &texts);
            let has_error = checked.diagnostics.iter().any(Diagnostic::is_error);
            assert_eq!(checked.value.is_none(), has_error, "no value exactly where there is an error");
            diagnostics.extend(checked.diagnostics);
            compiled = checked.value;
        }
    }
    let is_sound = !diagnostics.iter().any(Diagnostic::is_error);
    for diagnostic in &diagnostics {
        let is_whole = diagnostic.place.is_some() && diagnostic.help.is_some();
        assert!(is_whole, "a finding has a place and a mend: {diagnostic:?}");
    }
    let said = diagnostics.iter().map(render).collect();
    (said, compiled.filter(|_| is_sound))
}

fn render(diagnostic: &Diagnostic) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut text = format!("{severity}[{}] {}\n", diagnostic.code, diagnostic.message);
    if let Some((source, range)) = &diagnostic.place {
        let (line, column) = line_and_column(&source.text, range.start);
        let (end_line, end_column) = line_and_column(&source.text, range.end);
        let _ = writeln!(text, "  at {}:{line}:{column}-{end_line}:{end_column}", source.name);
        let start = source.text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let written: String =
            source.text[start..].lines().next().unwrap_or_default().chars().take(150).collect();
        let width = if line == end_line { (end_column - column).clamp(1, 100) } else { 1 };
        let _ =
            writeln!(text, "  | {written}\n  | {}{}", " ".repeat((column - 1).min(150)), "^".repeat(width));
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(text, "  help: {help}");
    }
    text
}

/// Codes of the first two hundreds that no text alone can bring about.
const CODES_WITHOUT_A_CASE: [(&str, &str); 1] =
    [("SS204", "for GraphQL that the validator takes and the parser doesn't; none is known")];

#[test]
fn every_code_has_a_case() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folders = ["ok", "diagnostics"].map(|folder| read_folder(&tests.join(folder)));
    let expected: Vec<&String> = folders
        .iter()
        .flatten()
        .filter(|(name, _)| Path::new(name).extension().is_some_and(|extension| extension == "expected"))
        .map(|(_, text)| text)
        .collect();
    assert!(expected.len() >= 120, "{} cases", expected.len());
    for code in plan::code::config::ALL.iter().chain(plan::code::graph::ALL) {
        let is_told = expected.iter().any(|text| text.contains(&format!("[{code}]")));
        let is_excused = CODES_WITHOUT_A_CASE.iter().any(|(id, _)| *id == code.id);
        assert_ne!(is_told, is_excused, "{code} has a case, or else a reason why not");
    }
}
