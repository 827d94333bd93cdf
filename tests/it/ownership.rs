//! The owners of a path are those that Apollo's query planner may ask for it: over queries made from a seed, for each graph.
//!
//! `SEED=7 CASES=2000 cargo test -p studio-search-tests ownership` tries others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

use codegen::{GraphSchema, PathOwners};
use harness::federation::{Case, Graph, plans};
use plan::SourceText;

/// Queries a graph, and the seed, unless the environment says otherwise.
const CASES: u32 = 100;
const SEED: u32 = 20_261_122;

#[test]
fn owners_are_those_that_the_planner_asks() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let seed = number("SEED").unwrap_or(SEED);
    let count = number("CASES").unwrap_or(CASES);
    let (graphs, cases) = plans(seed, count);
    assert_eq!(cases.len(), graphs.len() * usize::try_from(count).expect("a number of cases"));
    let mut wrong = String::new();
    let (mut paths, mut asked, mut single) = (0, 0, 0);
    for graph in &graphs {
        let schema = schema(graph);
        for case in cases.iter().filter(|case| case.graph == graph.name) {
            let query = Arc::new(SourceText { name: "query.graphql".into(), text: case.query.clone() });
            let owners = schema.owners(&query);
            let owners = owners
                .value
                .unwrap_or_else(|| panic!("seed {seed}: {}\n{:?}", case.query, owners.diagnostics));
            for path in owners.iter().filter(|path| path.is_leaf) {
                paths += 1;
                asked += usize::from(case.plan.contains_key(&path.path));
                single += usize::from(path.owners.len() == 1);
                if let Some(fault) = fault(graph, case, path) {
                    let _ = writeln!(wrong, "{} {}: {fault}\n  {}", graph.name, path.path, case.query);
                }
            }
        }
    }
    eprintln!("seed {seed}: {} queries, {paths} paths, {single} of them with one owner", cases.len());
    assert!(paths > cases.len() * 3 && asked * 10 > paths * 9, "{paths} paths, {asked} of them asked for");
    assert!(wrong.is_empty(), "seed {seed}:\n{wrong}");
}

/// What our owners of a path say otherwise than the planner does, or the subgraphs themselves.
fn fault(graph: &Graph, case: &Case, path: &PathOwners) -> Option<String> {
    let owners: BTreeSet<&str> = path.owners.iter().map(String::as_str).collect();
    // The planner answers names of types itself where it can, and asks nobody for a member that its choice can't bring.
    let asked = case.plan.get(&path.path).map_or(&[][..], Vec::as_slice);
    let is_name = path.coordinates.iter().all(|one| one.ends_with(".__typename"));
    let missed: Vec<&String> = asked.iter().filter(|subgraph| !owners.contains(subgraph.as_str())).collect();
    // It adds names of types for itself, wherever it goes on from.
    let is_told = missed.is_empty() || is_name && missed.len() < asked.len();
    if !is_told {
        return Some(format!("{missed:?} are asked, {owners:?} are the owners"));
    }
    let defines = |owner: &str| {
        let mut coordinates = path.coordinates.iter();
        coordinates.any(|one| one.ends_with(".__typename") || graph.fields[owner].contains(one))
    };
    owners.iter().find(|owner| !defines(owner)).map(|owner| format!("{owner} has no such field"))
}

fn schema(graph: &Graph) -> GraphSchema {
    let source = Arc::new(SourceText { name: format!("{}.graphql", graph.name), text: graph.sdl.clone() });
    let parsed = GraphSchema::parse(&source);
    parsed.value.unwrap_or_else(|| panic!("{}: {:?}", graph.name, parsed.diagnostics))
}

/// What composition writes, path by path: each line is a directive of federation.
#[test]
fn each_directive_has_its_owners() {
    let (graphs, _) = plans(SEED, 0);
    let of = |graph: &str, query: &str| {
        let graph = graphs.iter().find(|one| one.name == graph).expect("a graph");
        let query = Arc::new(SourceText { name: "query.graphql".into(), text: query.to_owned() });
        let owners = schema(graph).owners(&query);
        let owners = owners.value.unwrap_or_else(|| panic!("{:?}", owners.diagnostics));
        let leaves = owners.into_iter().filter(|path| path.is_leaf);
        leaves.map(|path| (path.path, path.owners.join(" "))).collect::<BTreeMap<_, _>>()
    };
    let said = |text: &str| -> BTreeMap<String, String> {
        let line =
            |line: &str| line.split_once(": ").map(|(path, owners)| (path.to_owned(), owners.to_owned()));
        text.lines().filter_map(|one| line(one.trim())).collect()
    };
    // @key, @override, @external, @requires, and @provides one and two levels down; a value type is asked where its
    // parent is.
    let book = "{ book(id: \"b\") { id isbn pages price priceTag size { width depth } visit { at }
        author { personId name born address { city street } friends { name } } } }";
    assert_eq!(
        of("library", book),
        said(
            "book.id: library shop
             book.isbn: library
             book.pages: library
             book.price: shop
             book.priceTag: library
             book.size.width: library shop
             book.size.depth: shop
             book.visit.at: shop
             book.author.personId: library people
             book.author.name: library people
             book.author.born: people
             book.author.address.city: library people
             book.author.address.street: people
             book.author.friends.name: people"
        )
    );
    // @interfaceObject, progressive @override, unions whose members differ, a key that can't be asked by, arguments
    // from a context.
    let others = "{ media { fans { born } score ... on Film { minutes } }
        anything { ... on Film { title } ... on Book { id } } offers { by { personId } } shelf(id: \"s\") { value labels { text } } }";
    assert_eq!(
        of("library", others),
        said(
            "media.fans.born: people
             media.__typename: library
             media.score: people
             media.minutes: library shop
             anything.__typename: library shop
             anything.title: library
             anything.id: library shop
             offers.by.personId: library people shop
             shelf.value: shop
             shelf.labels.text: library"
        )
        .into_iter()
        .filter(|(path, _)| !path.ends_with("__typename"))
        .collect()
    );
    let first =
        "{ book(isbn: \"b\") { isbn title size { width } postage notes { by { id name } } } me { name } }";
    assert_eq!(
        of("first", first),
        said(
            "book.isbn: books notes
             book.title: books
             book.size.width: books
             book.postage: notes
             book.notes.by.id: notes readers
             book.notes.by.name: notes readers
             me.name: readers"
        )
    );
}
