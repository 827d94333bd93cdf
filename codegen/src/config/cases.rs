//! `tests:` — what `studio-search test` plays through without a network.

use std::collections::BTreeSet;

use plan::{code::config as codes, diagnostic::nearest};
use serde_json::{Map, Value as Json};

use super::{
    reader::{Item, Located, Reader, Section},
    sources::SourceConfig,
    written::{Node, Value},
};

/// A test of an event, of a search, or of both. Paths are as written.
#[derive(Debug, Clone, PartialEq)]
pub struct TestCase {
    /// Its name; no two are alike.
    pub name: Located<String>,
    /// What happens; `None`: nothing does.
    pub event: Option<TestEvent>,
    /// The files of documents that the index holds before.
    pub index: Vec<Located<String>>,
    /// Document ids with the files of what the gateway answers for them.
    pub graph: Vec<(Located<String>, Located<String>)>,
    /// What must have happened.
    pub expect: Expected,
    /// What a search must find.
    pub search: Option<TestSearch>,
}

/// The event of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestEvent {
    /// The source that tells it.
    pub source: Located<String>,
    /// The file of its record, or of several, a line each.
    pub file: Located<String>,
}

/// What must have happened when the events are done.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expected {
    /// The ids that were rebuilt, and no others; `None`: any.
    pub ids: Option<Vec<Located<String>>>,
    /// Documents by id, with the fields that they must hold; null where there must be none.
    pub documents: Vec<(Located<String>, Json)>,
}

/// How many documents hold a value, by value.
pub type Counts = Vec<(String, u64)>;

/// The search of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestSearch {
    /// The place of the whole, for what is wrong with it.
    pub range: std::ops::Range<usize>,
    /// Words.
    pub text: Option<String>,
    /// A condition.
    pub filter: Option<Located<String>>,
    /// `PATH` or `PATH:desc`; the ids are then expected in this order.
    pub sort: Vec<Located<String>>,
    /// Counts by value, by path.
    pub facets: Vec<(Located<String>, Counts)>,
    /// The ids that it finds, and no others.
    pub expect: Vec<Located<String>>,
}

impl TestCase {
    /// Whether it begins with an index of its own; else it goes on with what the test before it left.
    pub fn begins_anew(&self) -> bool {
        self.event.is_some() || !self.index.is_empty()
    }

    /// The files that it names, with what each is.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Located<String>)> {
        let event = self.event.iter().map(|event| ("event", &event.file));
        let documents = self.index.iter().map(|path| ("document", path));
        event.chain(documents).chain(self.graph.iter().map(|(_, path)| ("response", path)))
    }
}

/// Reads the tests. The sources are given where all of them could be read.
pub(super) fn read(
    reader: &mut Reader<'_>,
    file: &mut Section<'_>,
    sources: Option<&[SourceConfig]>,
) -> Vec<TestCase> {
    let items = file.read(reader, "tests", Reader::list).unwrap_or_default();
    let mut cases: Vec<TestCase> = Vec::new();
    let mut names = BTreeSet::new();
    for item in items {
        let Some(case) = read_case(reader, &item, sources) else { continue };
        if !names.insert(case.name.value.clone()) {
            let message = format!("two tests have the name {:?}", case.name.value);
            reader.error(codes::SS118, &case.name.range, message, "`--filter` picks tests by their names");
        }
        if cases.is_empty() && !case.begins_anew() {
            let message = format!("the test {:?} searches an index that holds nothing", case.name.value);
            let help = "name documents under `index:`; later tests may go on with what this one leaves";
            reader.missing(codes::SS122, &case.name.range, message, help);
        }
        cases.push(case);
    }
    cases
}

fn read_case(reader: &mut Reader<'_>, item: &Item<'_>, sources: Option<&[SourceConfig]>) -> Option<TestCase> {
    let mut case = reader.section(item)?;
    let name = case.require(reader, "name", "name the test", Reader::filled_text);
    let event_item = case.take("event");
    let event = event_item.as_ref().and_then(|item| read_event(reader, item, sources));
    let index = case.read(reader, "index", Reader::texts).unwrap_or_default();
    let graph_item = case.take("graph");
    let graph = graph_item.as_ref().map_or_else(Vec::new, |item| {
        let named = reader.named(item);
        named.into_iter().filter_map(|(id, path)| Some((id, reader.filled_text(&path)?))).collect()
    });
    let expect_item = case.take("expect");
    let expect = expect_item.as_ref().and_then(|item| read_expect(reader, item)).unwrap_or_default();
    let search_item = case.take("search");
    let search = search_item.as_ref().and_then(|item| read_search(reader, item));
    case.finish(reader);
    let name = name?;
    match (&event_item, &expect_item, &search_item) {
        (None, None, None) => {
            let message = format!("the test {:?} tests nothing", name.value);
            let help = "give it `event:` and `expect:`, or `search:`";
            reader.missing(codes::SS122, &name.range, message, help);
        }
        (Some(item), None, None) => {
            let message = format!("the test {:?} expects nothing", name.value);
            reader.missing(codes::SS122, &item.range, message, "say under `expect:` which ids are rebuilt");
        }
        (None, Some(item), _) => {
            let message = format!("nothing happens in the test {:?}", name.value);
            let help = "give it an `event:`; what a search finds stands under `search.expect`";
            reader.missing(codes::SS122, &item.range, message, help);
        }
        _ => {}
    }
    if let (Some(item), None) = (&graph_item, &event_item) {
        let message = format!("nothing asks the graph in the test {:?}", name.value);
        reader.missing(codes::SS122, &item.range, message, "give it an `event:`, or leave `graph:` out");
    }
    Some(TestCase { name, event, index, graph, expect, search })
}

fn read_event(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    sources: Option<&[SourceConfig]>,
) -> Option<TestEvent> {
    let mut event = reader.section(item)?;
    let source = event.require(reader, "source", "name one of `sources`", Reader::filled_text);
    let file = event.require(reader, "file", "name the file of the event", Reader::filled_text);
    event.finish(reader);
    let source = source?;
    let names = || sources.into_iter().flatten().map(|source| source.name.value.as_str());
    if sources.is_some() && !names().any(|name| name == source.value) {
        let message = format!("there is no source {:?}", source.value);
        let help = match nearest(&source.value, names()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("sources: {}", names().collect::<Vec<_>>().join(", ")),
        };
        reader.error(codes::SS105, &source.range, message, help);
    }
    Some(TestEvent { source, file: file? })
}

fn read_expect(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Expected> {
    let mut expect = reader.section(item)?;
    let ids = expect.read(reader, "ids", Reader::texts);
    let mut documents = Vec::new();
    if let Some(item) = expect.take("documents") {
        for (id, document) in reader.named(&item) {
            match &document.node.value {
                Value::Null => documents.push((id, Json::Null)),
                _ if reader.section(&document).is_some() => {
                    let json = json(reader, &document, document.node);
                    documents.push((id, json));
                }
                _ => {}
            }
        }
    }
    expect.finish(reader);
    Some(Expected { ids, documents })
}

/// What a node says, as JSON; variables are filled in.
fn json(reader: &mut Reader<'_>, item: &Item<'_>, node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Number(number) => number.parse().map_or_else(|_| Json::String(number.clone()), Json::Number),
        Value::Text(_) => {
            let item = Item { node, path: item.path.clone(), range: node.range.clone() };
            reader.text(&item).map_or(Json::Null, |text| Json::String(text.value))
        }
        Value::List(nodes) => nodes.iter().map(|node| json(reader, item, node)).collect(),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| (entry.key.clone(), json(reader, item, &entry.node)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn read_search(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<TestSearch> {
    let mut search = reader.section(item)?;
    let text = search.read(reader, "text", Reader::text).map(|text| text.value);
    let filter = search.read(reader, "filter", Reader::filled_text);
    let sort = search.read(reader, "sort", Reader::texts).unwrap_or_default();
    let mut facets = Vec::new();
    if let Some(item) = search.take("facets") {
        for (path, counts) in reader.named(&item) {
            let counts = reader.named(&counts).into_iter();
            let counts =
                counts.filter_map(|(value, item)| Some((value.value, reader.integer(&item, 0..=u64::MAX)?)));
            facets.push((path, counts.collect()));
        }
    }
    let help = "list the ids that it finds; `[]` where it finds nothing";
    let expect = search.require(reader, "expect", help, Reader::texts);
    search.finish(reader);
    Some(TestSearch { range: item.range.clone(), text, filter, sort, facets, expect: expect? })
}
