//! What codegen and the filter language promise for any text at all; each fuzz target gives one of the texts.

use std::{collections::BTreeMap, sync::Arc};

use codegen::{GraphSchema, Texts, compile, parse_config};
use plan::{Diagnostic, IndexPlan, SourceText};

/// The files of the goldens, of which a target replaces one.
#[derive(Debug, Clone, Copy)]
pub struct Files<'t> {
    /// `index.yaml`.
    pub config: &'t str,
    /// The query template.
    pub query: &'t str,
    /// The schema.
    pub schema: &'t str,
    /// Every query for ids.
    pub ids: &'t str,
}

/// The files that the goldens start from.
pub const BASE: Files<'static> = Files {
    config: include_str!("../../codegen/tests/base/index.yaml"),
    query: include_str!("../../codegen/tests/base/query.graphql"),
    schema: include_str!("../../codegen/tests/base/supergraph.graphql"),
    ids: include_str!("../../codegen/tests/base/movies-of-talent.graphql"),
};

/// A named text.
pub fn text(name: &str, text: &str) -> Arc<SourceText> {
    Arc::new(SourceText { name: name.to_owned(), text: text.to_owned() })
}

/// The bytes as a text; none where they are no UTF-8, which is refused where files are read.
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Compiles the files and checks every promise.
///
/// # Panics
/// Where a promise is broken.
pub fn codegen_keeps_its_promises(files: Files<'_>) {
    let checked = parse_config(&text("index.yaml", files.config), &variable);
    assert_eq!(checked.value.is_none(), has_error(&checked.diagnostics), "a value, or else an error");
    told_in_place(&checked.diagnostics);
    let Some(config) = checked.best_effort() else { return };
    let schema = text("schema", files.schema);
    let others = config.wanted_files().into_iter().map(|file| (file.path, text("ids.graphql", files.ids)));
    let texts = Texts {
        query: text("query.graphql", files.query),
        schema: Arc::clone(&schema),
        others: others.collect::<BTreeMap<_, _>>(),
    };
    let compiled = compile(config, &texts);
    assert_eq!(compiled.value.is_none(), has_error(&compiled.diagnostics), "a value, or else an error");
    told_in_place(&compiled.diagnostics);
    // Hash maps are seeded anew each time. Some of the inputs are enough: it costs as much as all the rest.
    if files.query.len() % 8 == 0 {
        let again = compile(config, &texts);
        assert_eq!(compiled.diagnostics, again.diagnostics, "the same inputs, the same words");
        assert_eq!(compiled.value, again.value, "the same inputs, the same plan");
    }
    let (true, Some(compiled)) = (checked.value.is_some(), compiled.value) else { return };

    let json = compiled.plan.to_json();
    let read: IndexPlan = serde_json::from_str(&json).expect("a plan can be read back");
    assert_eq!(read, compiled.plan, "a plan is read back as it was");
    apache_avro::Schema::parse(&compiled.avro).expect("the Avro schema is legal");
    let schema = GraphSchema::parse(&schema).value.expect("it was read before");
    let verdict = schema.check(&text("fetch", &compiled.plan.fetch.query));
    assert!(verdict.is_empty(), "what is fetched is valid: {}\n{verdict:?}", compiled.plan.fetch.query);
}

/// Reads and checks a filter and matches it against a record and a document.
///
/// # Panics
/// Where a promise is broken.
pub fn filters_keep_their_promises(written: &str, plan: &IndexPlan, document: &serde_json::Value) {
    let filter = match plan::filter::parse(&text("<filter>", written)) {
        Ok(filter) => filter,
        Err(diagnostic) => return told_in_place(&[diagnostic]),
    };
    match filter.check_record() {
        Ok(()) => drop(filter.matches_record(&|names| plan::filter::values_at(document, names))),
        Err(diagnostics) => told_in_place(&diagnostics),
    }
    match filter.check(&plan.fields) {
        Ok(checked) => {
            checked.matches(document, 1_700_000_000_000);
            assert_eq!(checked.fingerprint(), filter.check(&plan.fields).expect("again").fingerprint());
        }
        Err(diagnostics) => told_in_place(&diagnostics),
    }
}

/// A plan with a field of every kind that a filter can ask for.
///
/// # Panics
/// Where its files don't compile.
pub fn plan_of_every_kind() -> IndexPlan {
    let written = format!("{}fields: {{ production.shootingLocation.point: geo_point }}\n", BASE.config);
    let query = "query A($id: ID!) { movie(movieId: $id) { movieId title type releaseDate countries popularity year \
                 isColour extras ratings production { ptpId status shootingLocation { city point { lat lon } } } \
                 actors: talent { talentId name role } } }";
    let config = parse_config(&text("index.yaml", &written), &variable).value.expect("the base is right");
    let ids = text("ids.graphql", BASE.ids);
    let others = config.wanted_files().into_iter().map(|file| (file.path, Arc::clone(&ids)));
    let texts = Texts {
        query: text("query.graphql", query),
        schema: text("schema", BASE.schema),
        others: others.collect(),
    };
    let compiled = compile(&config, &texts);
    compiled.value.unwrap_or_else(|| panic!("the base compiles: {:?}", compiled.diagnostics)).plan
}

fn variable(name: &str) -> Option<String> {
    (name == "A").then(|| "a: [".to_owned())
}

fn has_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

fn told_in_place(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty() && !diagnostic.message.contains('\n'), "{diagnostic:?}");
        assert!(diagnostic.help.is_some(), "no mend is told: {diagnostic:?}");
        let (source, range) = diagnostic.place.as_ref().expect("every finding has a place");
        assert!(source.text.get(range.clone()).is_some(), "{range:?} cuts a character: {diagnostic:?}");
    }
}
