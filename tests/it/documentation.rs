//! The page about an index says to its readers what the plan says, whatever the names and descriptions hold.

use std::{collections::BTreeMap, fs, sync::Arc};

use codegen::{Compiled, Texts, compile, parse_config};
use harness::{markdown::read, repository};
use plan::SourceText;
use serde_json::Value;

/// Types and fields with names of Mermaid's own words, and texts that Markdown could take for its own.
const SUPERGRAPH: &str = r#"
schema @link(url: "https://specs.apollo.dev/link/v1.0") @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION) { query: Query }
scalar join__FieldSet
enum join__Graph {
  A @join__graph(name: "end", url: "http://a")
  B @join__graph(name: "we \"quote\" | `pipe` [x]; style:a#b", url: "http://b")
}
type Query @join__type(graph: A) @join__type(graph: B) { end(id: ID!): end @join__field(graph: A) }
type end @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {
  id: ID!
  """
  A | pipe, a `tick`, *stars*, __lines__, <b>tags</b> & entities &lt; [a](b) \| ~~gone~~,
  and a second line. %%{init: {}}%% "quotes" $x$ \
  """
  graph: String @join__field(graph: A)
  "- no list"
  style: subgraph @join__field(graph: B)
}
type subgraph @join__type(graph: B, key: "click") { click: ID! class: [[String!]!]! }
"#;

const CONFIG: &str = r#"
version: 1
name: nasty
description: "1. | `no` list\n\n# no heading <i>\\|</i>"
owner: "a | b <c@example.com>"
entity: end
query: ./query.graphql
graph: { url: "http://localhost:4000", schema: ./supergraph.graphql }
sources:
  ends: { http: true, format: plain, id: key, where: "value.a == 'x | y' OR value.b == '`x`'" }
  subgraphs: { entity: subgraph, http: true, format: plain, id: key, root_id: value.end }
"#;

fn compiled() -> Compiled {
    let text = |name: &str, text: &str| Arc::new(SourceText { name: name.to_owned(), text: text.to_owned() });
    let config = parse_config(&text("index.yaml", CONFIG), &|_| None);
    let config = config.value.unwrap_or_else(|| panic!("{:?}", config.diagnostics));
    let query = "query Q($id: ID!) { end(id: $id) { id graph style { click class } } }";
    let texts = Texts {
        query: text("query.graphql", query),
        schema: text("supergraph.graphql", SUPERGRAPH),
        others: BTreeMap::new(),
    };
    let compiled = compile(&config, &texts);
    compiled.value.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))
}

/// The cells of the column with this head, in the table that has it.
fn column<'v>(page: &'v Value, first: &str, head: &str) -> Vec<&'v str> {
    let tables = page["tables"].as_array().expect("tables");
    let rows = tables.iter().find(|table| table[0][0] == first).and_then(Value::as_array).expect("a table");
    let at =
        rows[0].as_array().and_then(|cells| cells.iter().position(|cell| cell == head)).expect("a column");
    rows[1..].iter().map(|row| row[at].as_str().expect("a cell")).collect()
}

/// What text becomes on one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The page says of each field, entity and source what the plan does; how many cells a row has follows from the last.
fn agrees(page: &str, plan: &plan::IndexPlan) -> Value {
    let read = read(page);
    let fields: Vec<&plan::Field> = plan.fields.walk().collect();
    assert_eq!(column(&read, "Path", "Path"), fields.iter().map(|field| &field.path).collect::<Vec<_>>());
    assert_eq!(
        column(&read, "Path", "Description"),
        fields.iter().map(|field| line(field.doc.as_deref().unwrap_or_default())).collect::<Vec<_>>()
    );
    assert_eq!(
        column(&read, "Path", "Subgraphs"),
        fields.iter().map(|field| line(&field.owners.join(", "))).collect::<Vec<_>>()
    );
    let filters = plan.sources.iter().map(|source| source.filter.clone().unwrap_or_default());
    assert_eq!(column(&read, "Source", "Only where"), filters.collect::<Vec<_>>());
    let places =
        plan.coverage.iter().map(|line| if line.path.is_empty() { "the document" } else { &line.path });
    assert_eq!(column(&read, "Entity", "At"), places.collect::<Vec<_>>());
    let edges = plan.coverage.iter().filter(|line| line.edge.is_some()).map(|line| line.path.as_str());
    assert_eq!(column(&read, "At", "At"), edges.collect::<Vec<_>>());
    let picture = &read["pictures"][0];
    let nodes = picture["nodes"].as_object().expect("nodes");
    assert_eq!(nodes.len(), plan.sources.len() + plan.coverage.len() + plan.subgraphs.len());
    for (n, name) in plan.subgraphs.keys().enumerate() {
        assert_eq!(picture["nodes"][format!("g{n}")], line(name));
    }
    for (n, source) in plan.sources.iter().enumerate() {
        assert_eq!(picture["nodes"][format!("s{n}")], source.name);
    }
    read
}

#[test]
fn the_committed_page_says_what_the_plan_says() {
    let folder = repository().join("configs/movies/generated");
    let text = |file: &str| fs::read_to_string(folder.join(file)).expect("a generated file");
    let plan: plan::IndexPlan = serde_json::from_str(&text("plan.json")).expect("a plan");
    let page = agrees(&text("movies.md"), &plan);
    let told = |start: &str, label: &str, end: &str| {
        let edges = page["pictures"][0]["edges"].as_array().expect("edges").iter();
        edges.filter(|edge| **edge == serde_json::json!([start, label, end])).count()
    };
    // The document, production and directors; their four sources in the order of the file.
    assert_eq!(told("e0", "Movie.production", "e1"), 1);
    assert_eq!(told("e0", "Movie.talent", "e2"), 1);
    assert_eq!(told("s0", "", "e0"), 1);
    assert_eq!(told("s1", "new edges", "e1"), 1);
    assert_eq!(told("s2", "new edges", "e2") + told("s3", "new edges", "e2"), 2);
}

#[test]
fn names_and_descriptions_stay_what_they_are() {
    let compiled = compiled();
    let page = agrees(&compiled.docs, &compiled.plan);
    let paragraphs = page["paragraphs"].as_array().expect("paragraphs");
    let description = line(compiled.plan.description.as_deref().expect("one"));
    assert!(paragraphs.iter().any(|one| *one == description), "{description}: {paragraphs:?}");
    assert!(column(&page, "What", "Is").contains(&"a | b <c@example.com>"));
}
