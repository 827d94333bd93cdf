//! The verdict on a query is graphql-js', and its lines are: over queries made from a seed, for each schema of the field.
//!
//! `SEED=7 CASES=2000 cargo test -p studio-search-tests verdicts` tries others.

use std::{collections::BTreeSet, fmt::Write, fs, sync::Arc};

use codegen::GraphSchema;
use harness::graphql_js::{Case, Verdict, cases, folder, verdicts};
use plan::{Diagnostic, SourceText, diagnostic::line_and_column};

/// The names in `schemas.mjs` with the files that both sides read.
const SCHEMAS: [(&str, &str); 5] = [
    ("github", "node_modules/@octokit/graphql-schema/schema.graphql"),
    ("github-json", "node_modules/@octokit/graphql-schema/schema.json"),
    ("shopify", "node_modules/@shopify/hydrogen-react/storefront.schema.json"),
    ("movies", "../../configs/movies/supergraph.graphql"),
    ("shows", "shows.graphql"),
];

/// Cases a schema, and the seed, unless the environment says otherwise.
const CASES: usize = 400;
const SEED: u32 = 20_261_122;

/// What GraphQL itself finds wrong; other codes are what a template may not be.
const GRAPHQL: [&str; 4] = ["SS201", "SS202", "SS203", "SS204"];

/// Where we refuse what graphql-js takes, and why; each by words of our message.
const STRICTER: [&str; 2] = [
    // A Float that no JSON number and no double can carry.
    "non-finite",
    // The specification refuses a nullable variable there. graphql-js overlooks it where the object itself is non-null.
    "may be null, and exactly one field",
];

#[test]
fn verdicts_and_lines_are_those_of_graphql_js() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let seed = number("SEED").unwrap_or(SEED);
    let count = number("CASES").and_then(|count| usize::try_from(count).ok()).unwrap_or(CASES);
    let names: Vec<&str> = SCHEMAS.iter().map(|(name, _)| *name).collect();
    let cases = cases(seed, count, &names);
    assert_eq!(cases.len(), count * names.len());
    let verdicts = verdicts(&cases);
    let mut differing = String::new();
    let mut number = 0;
    let (mut valid, mut invalid) = (0, 0);
    for (name, file) in SCHEMAS {
        let schema = schema(file);
        for (case, verdict) in cases.iter().zip(&verdicts).filter(|(case, _)| case.schema == name) {
            *(if verdict.valid { &mut valid } else { &mut invalid }) += 1;
            let query = Arc::new(SourceText { name: "query.graphql".into(), text: case.query.clone() });
            let mut ours = schema.check(&query);
            ours.retain(|diagnostic| GRAPHQL.contains(&diagnostic.code.id));
            if let Some(difference) = difference(&ours, verdict) {
                number += 1;
                let _ = writeln!(differing, "{}", told(case, verdict, &ours, &difference));
            }
        }
    }
    assert!(valid > cases.len() / 10 && invalid > cases.len() / 2, "{valid} valid, {invalid} invalid");
    assert!(number == 0, "seed {seed}: {number} of {} verdicts differ:\n{differing}", cases.len());
}

fn schema(file: &str) -> GraphSchema {
    let text = fs::read_to_string(folder().join(file)).expect("a schema");
    let parsed = GraphSchema::parse(&Arc::new(SourceText { name: file.to_owned(), text }));
    parsed.value.unwrap_or_else(|| panic!("{file}: {:?}", parsed.diagnostics))
}

fn line(diagnostic: &Diagnostic) -> usize {
    diagnostic.place.as_ref().map_or(0, |(source, range)| line_and_column(&source.text, range.start).0)
}

/// Every error of graphql-js stands on a line that we name, and we name no line without one.
fn difference(ours: &[Diagnostic], theirs: &Verdict) -> Option<String> {
    let is_known = |one: &Diagnostic| STRICTER.iter().any(|words| one.message.contains(words));
    if theirs.valid && ours.iter().all(is_known) {
        return None;
    }
    if ours.is_empty() != theirs.valid {
        return Some("VERDICT".into());
    }
    let lines: BTreeSet<usize> = ours.iter().map(line).collect();
    // Inside a definition that doesn't belong into a query, nothing else matters.
    let foreign = |(_, message): &&(Vec<usize>, String)| message.ends_with("definition is not executable.");
    let only_foreign = theirs.errors.iter().any(|error| foreign(&error));
    // Where a field is unknown, graphql-js goes on comparing it with others.
    let echo = |(_, message): &(Vec<usize>, String)| {
        theirs.errors.len() > 1 && message.contains("\" conflict because ")
    };
    let wanted = theirs.errors.iter().filter(|error| !only_foreign || foreign(error));
    let mut wanted = wanted.filter(|error| !echo(error));
    let missed = wanted.find(|(error, _)| !error.iter().any(|line| lines.contains(line)));
    if let Some((error, message)) = missed {
        return Some(format!("MISSED at {error:?}: {message}"));
    }
    let known: BTreeSet<usize> = theirs.errors.iter().flat_map(|(lines, _)| lines.iter().copied()).collect();
    let extra = ours.iter().filter(|one| !is_known(one)).map(line).find(|line| !known.contains(line))?;
    // A text that is no GraphQL has one error there, where reading stops, and may have more here.
    (!theirs.syntax).then(|| format!("EXTRA at {extra}"))
}

fn told(case: &Case, verdict: &Verdict, ours: &[Diagnostic], difference: &str) -> String {
    let mut text = format!("=== {difference} ({} on {})\n", case.change, case.schema);
    for (n, line) in case.query.lines().enumerate() {
        let _ = writeln!(text, "{:3} {line}", n + 1);
    }
    for (lines, message) in &verdict.errors {
        let _ = writeln!(text, "  graphql-js {lines:?}: {message}");
    }
    for diagnostic in ours {
        let _ = writeln!(text, "  {} [{}]: {}", diagnostic.code, line(diagnostic), diagnostic.message);
    }
    text
}
