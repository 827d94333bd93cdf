//! The page about an index for people: its fields, who owns them, and what keeps each of them fresh.

mod markdown;
mod picture;

use plan::{
    Field, FieldKind, IndexPlan, RecordPath,
    index_plan::{
        CoverageLine, CoveredBy, EdgeWay, Encoding, EventFormat, IdSource, SourceInput, SourcePlan,
    },
};

use serde_json::Value;

use self::markdown::{code, codes, list, paragraph, table, text};
use crate::mapping;

/// The page as GitHub's Markdown, without a line break at its end. The same plan gives the same bytes.
///
/// `avro` is the schema of a document, which has a name of its own.
pub(crate) fn page(plan: &IndexPlan, avro: &Value) -> String {
    let description = plan.description.as_deref().map(paragraph).filter(|words| !words.is_empty());
    let sections = [
        Some(format!("# {}", text(&plan.name))),
        Some("<!-- Made by `studio-search generate docs` from the plan. Do not edit. -->".to_owned()),
        description,
        Some(about(plan)),
        Some("## Picture\n\nWho answers what, and whose events keep it fresh.".to_owned()),
        Some(format!("```mermaid\n{}```", picture::flowchart(plan))),
        Some(format!("## Fields\n\n{}", fields(plan))),
        Some(format!("## Freshness of entities\n\n{}", entities(plan))),
        edges(plan).map(|edges| format!("## Freshness of edges\n\n{edges}")),
        Some(format!("## Sources\n\n{}", sources(plan))),
        exceptions(plan).map(|exceptions| format!("## Exceptions\n\n{exceptions}")),
        Some(format!("## Artifacts\n\n{}", artifacts(plan, avro))),
    ];
    sections.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn about(plan: &IndexPlan) -> String {
    let mut rows = Vec::new();
    let mut row = |what: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![what.to_owned(), value]);
        }
    };
    row("Owner", plan.owner.as_deref().map(text).unwrap_or_default());
    row("A document is", format!("{}, known by {}", code(&plan.entity), code(&plan.key.field)));
    row("Query", code(&plan.fetch.operation_name));
    let subgraphs = plan.subgraphs.keys().map(|name| {
        let whom = plan.errors.owners.get(name).map(|whom| format!(" ({})", text(whom)));
        format!("{}{}", code(name), whom.unwrap_or_default())
    });
    row("Subgraphs", list(subgraphs));
    row("Text is searched in", codes(plan.search.text.iter().map(|field| &field.path)));
    row("Facets", codes(&plan.search.facets));
    row("Suggestions", codes(&plan.search.suggest));
    row(
        "Backfills take ids from",
        match &plan.backfill.ids {
            Some(IdSource::Query(query)) => format!("the query {}", code(&query.operation_name)),
            Some(IdSource::File) => "a file".to_owned(),
            Some(IdSource::Topic(topic)) => format!("the topic {}", code(&topic.topic)),
            Some(IdSource::Index) => "the index itself".to_owned(),
            None => String::new(),
        },
    );
    if let Some(kafka) = &plan.kafka {
        row(
            "Work is shared by",
            format!("at most {} processes, the partitions of each topic", kafka.partitions),
        );
        row("Documents to rebuild", codes([&kafka.live, &kafka.backfill]));
        row("Documents", code(&kafka.documents));
        row("Dead letters", code(&kafka.dead_letters));
    }
    table(&["What", "Is"], &rows)
}

fn fields(plan: &IndexPlan) -> String {
    let rows: Vec<Vec<String>> = plan
        .fields
        .walk()
        .map(|field| {
            let ty = if field.graphql_type.is_empty() { String::new() } else { code(&field.graphql_type) };
            let doc = field.doc.as_deref().map(text).unwrap_or_default();
            vec![code(&field.path), ty, index_type(field), codes(&field.owners), freshness(plan, field), doc]
        })
        .collect();
    table(&["Path", "GraphQL type", "Index type", "Subgraphs", "Kept fresh by", "Description"], &rows)
}

fn index_type(field: &Field) -> String {
    let mapping = &field.mapping;
    if !mapping.indexed {
        return "not indexed".to_owned();
    }
    let mut said = vec![mapping::word(mapping.kind).to_owned()];
    said.extend(mapping.analyzer.as_deref().map(|analyzer| format!("analyzer {}", code(analyzer))));
    said.extend(mapping.keyword.map(|_| "its exact value too".to_owned()));
    said.extend(mapping.suggest.then(|| "suggested".to_owned()));
    said.extend(mapping.copy_to.as_deref().map(|path| format!("copied to {}", code(path))));
    said.join(", ")
}

/// What keeps a field fresh: the entity that it belongs to, and for a field that leads to an entity, who tells of the edge.
fn freshness(plan: &IndexPlan, field: &Field) -> String {
    if field.kind == FieldKind::Virtual {
        return "the fields that are copied here".to_owned();
    }
    let leading: Vec<&CoverageLine> =
        plan.coverage.iter().filter(|line| line.edge.is_some() && line.path == field.path).collect();
    let told = leading.iter().filter_map(|line| {
        let edge = line.edge.as_ref()?;
        Some(covered(edge.covered_by, edge.sources.iter().map(|source| &source.name)))
    });
    let above = |line: &&CoverageLine| {
        let rest = field.path.strip_prefix(line.path.as_str());
        rest.is_some_and(|rest| line.path.is_empty() || rest.starts_with('.'))
    };
    let nearest = plan.coverage.iter().filter(above).map(|line| line.path.len()).max();
    let own = plan.coverage.iter().filter(above).filter(|line| Some(line.path.len()) == nearest);
    let own = own.map(|line| covered(line.covered_by, &line.sources));
    let mut words: Vec<String> = if leading.is_empty() { own.collect() } else { told.collect() };
    words.sort();
    words.dedup();
    words.join("; ")
}

fn covered<'n>(by: CoveredBy, sources: impl IntoIterator<Item = &'n String>) -> String {
    match by {
        CoveredBy::Source => codes(sources),
        CoveredBy::Audit => "the audit".to_owned(),
        CoveredBy::Ignore => "nothing, as the configuration says".to_owned(),
    }
}

/// A path of the document; the document itself has none.
fn place(path: &str) -> String {
    if path.is_empty() { "the document".to_owned() } else { code(path) }
}

fn entities(plan: &IndexPlan) -> String {
    let rows: Vec<Vec<String>> = plan
        .coverage
        .iter()
        .map(|line| {
            let found = match &line.reverse_lookup {
                Some(path) => format!("the index, by {}", code(path)),
                None if line.covered_by == CoveredBy::Source && line.path.is_empty() => "its id".to_owned(),
                None => String::new(),
            };
            vec![
                code(&line.type_name),
                place(&line.path),
                codes(&line.subgraphs),
                covered(line.covered_by, &line.sources),
                found,
            ]
        })
        .collect();
    table(&["Entity", "At", "Subgraphs", "Kept fresh by", "Its documents are found by"], &rows)
}

fn edges(plan: &IndexPlan) -> Option<String> {
    let rows: Vec<Vec<String>> = plan
        .coverage
        .iter()
        .filter_map(|line| {
            let edge = line.edge.as_ref()?;
            let ways = edge.sources.iter().map(|source| match source.by {
                EdgeWay::Holder => format!("{}, as an event of the holder", code(&source.name)),
                EdgeWay::RootId => format!("{}, whose records name the documents", code(&source.name)),
                EdgeWay::BackReference => format!("{}, after asking the graph", code(&source.name)),
            });
            let told = match edge.covered_by {
                CoveredBy::Source => ways.collect::<Vec<_>>().join("; "),
                by => covered(by, []),
            };
            let row =
                [code(&line.path), code(&edge.field), codes(&edge.holders), codes(&edge.subgraphs), told];
            Some(row.to_vec())
        })
        .collect();
    (!rows.is_empty()).then(|| table(&["At", "Edge", "Held by", "Subgraphs", "A new one is told by"], &rows))
}

fn sources(plan: &IndexPlan) -> String {
    let rows: Vec<Vec<String>> = plan
        .sources
        .iter()
        .map(|source| {
            let lines = plan.coverage.iter().filter(|line| line.sources.contains(&source.name));
            let filter = source.filter.as_deref().map(code).unwrap_or_default();
            vec![
                code(&source.name),
                code(&source.entity),
                input(source),
                list(lines.map(|line| place(&line.path))),
                ways(source),
                filter,
            ]
        })
        .collect();
    table(&["Source", "Entity", "Records", "Covers", "From a record to documents", "Only where"], &rows)
}

fn input(source: &SourcePlan) -> String {
    let format = match source.format {
        EventFormat::Debezium => "debezium",
        EventFormat::DebeziumFlat => "debezium-flat",
        EventFormat::Outbox => "outbox",
        EventFormat::Cloudevents => "cloudevents",
        EventFormat::Plain => "plain",
    };
    match &source.input {
        SourceInput::File => format!("{format}, a file"),
        SourceInput::Http => format!("{format}, over HTTP"),
        SourceInput::Topic(topic) => {
            let encoding = if source.encoding == Encoding::Avro { " in Avro" } else { "" };
            format!("{format}{encoding}, the topic {}", code(topic))
        }
    }
}

fn ways(source: &SourcePlan) -> String {
    let path = |path: &RecordPath| code(&path.to_string());
    let mut ways = Vec::new();
    if source.is_root {
        ways.extend(source.id.as_ref().map(|id| format!("{} is the document's id", path(id))));
    }
    if let (Some(id), false) = (&source.id, source.reverse_lookup.is_empty()) {
        ways.push(format!("{} is looked up in {}", path(id), codes(&source.reverse_lookup)));
    }
    ways.extend(source.root_id.as_ref().map(|root| format!("{} names documents", path(root))));
    ways.extend(
        source
            .back_reference
            .as_ref()
            .map(|query| format!("the graph is asked: {}", code(&query.operation_name))),
    );
    ways.join("; ")
}

fn exceptions(plan: &IndexPlan) -> Option<String> {
    let rows: Vec<Vec<String>> = plan
        .coverage
        .iter()
        .filter_map(|line| {
            let what = match line.covered_by {
                CoveredBy::Source => return None,
                CoveredBy::Audit => "no event tells of it; the audit finds what changed",
                CoveredBy::Ignore => "no event tells of it, and nobody looks",
            };
            Some(vec![code(&line.type_name), place(&line.path), what.to_owned()])
        })
        .collect();
    (!rows.is_empty()).then(|| table(&["Type", "At", "What it means"], &rows))
}

fn artifacts(plan: &IndexPlan, avro: &Value) -> String {
    let name = &plan.name;
    let row =
        |kind: &str, file: String, what: String| vec![code(&format!("generate {kind}")), code(&file), what];
    let named = |part: &str| avro[part].as_str().unwrap_or_default().to_owned();
    let record = format!("{}.{}", named("namespace"), named("name"));
    let record = format!("the Avro schema of a document, {}", code(record.trim_start_matches('.')));
    let rows = [
        row("avro", format!("{name}.avsc"), record),
        row("template", format!("{name}.template.json"), "the index template".to_owned()),
        row("plan", format!("{name}.plan.json"), "the plan".to_owned()),
        row("json-schema", format!("{name}.schema.json"), "the JSON Schema of a document".to_owned()),
        row("docs", format!("{name}.md"), "this page".to_owned()),
    ];
    table(&["Command", "File", "What"], &rows)
}
