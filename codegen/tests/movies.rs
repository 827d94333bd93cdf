//! The example that runs, `configs/movies`, compiles; and a gateway would take every request that its plan can make.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use apollo_compiler::{ExecutableDocument, Schema};
use codegen::{Compiled, Texts, compile, parse_config};
use plan::{SourceText, index_plan::IdSource};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/movies");

fn read(name: &str) -> Arc<SourceText> {
    let path = Path::new(FOLDER).join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Arc::new(SourceText { name: name.to_owned(), text })
}

fn movies() -> Compiled {
    let checked = parse_config(&read("index.yaml"), &|_| None);
    let errors: Vec<_> = checked.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let config = checked.value.expect("there is no error");
    let wanted = config.wanted_files().into_iter();
    let others: BTreeMap<_, _> = wanted.map(|file| (file.path.clone(), read(&file.path))).collect();
    let schema = config.graph.schema.as_ref().expect("the example names its schema");
    let texts = Texts { query: read(&config.query.value), schema: read(&schema.value), others };
    let compiled = compile(&config, &texts);
    assert!(compiled.diagnostics.is_empty(), "{:#?}", compiled.diagnostics);
    compiled.value.expect("there is no error")
}

#[test]
fn a_gateway_takes_every_request_of_the_plan() {
    let plan = movies().plan;
    let schema = read("supergraph.graphql");
    let schema = Schema::parse_and_validate(&schema.text, &schema.name).expect("the supergraph is valid");
    let takes = |text: &str| {
        if let Err(refused) = ExecutableDocument::parse_and_validate(&schema, text, "request.graphql") {
            panic!("{text}\n{}", refused.errors);
        }
    };
    takes(&plan.fetch.query);
    for size in [1, 2, 25] {
        takes(
            &plan
                .fetch
                .mode
                .alias_query(&plan.fetch.operation_name, size)
                .expect("the example batches by aliases"),
        );
    }
    let back_references = plan.sources.iter().filter_map(|source| source.back_reference.as_ref());
    back_references.for_each(|query| takes(&query.query));
    match &plan.backfill.ids {
        Some(IdSource::Query(query)) => takes(&query.query),
        other => panic!("the example enumerates by a query, not by {other:?}"),
    }
}

#[test]
fn the_documents_of_the_example_can_be_encoded() {
    apache_avro::Schema::parse(&movies().avro).expect("Avro takes the schema");
}

#[test]
fn an_added_field_stays_compatible_backwards() {
    let older = movies().avro;
    let mut newer = older.clone();
    let fields = newer["fields"].as_array_mut().expect("a record has fields");
    let mut added = fields[1].clone();
    added["name"] = "added".into();
    fields.push(added);
    let parse = |schema| apache_avro::Schema::parse(schema).expect("Avro takes the schema");
    let (older, newer) = (parse(&older), parse(&newer));
    apache_avro::schema_compatibility::SchemaCompatibility::can_read(&older, &newer)
        .expect("new code reads old records");
}
