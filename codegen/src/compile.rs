//! From a configuration and its texts to the plan and the artifacts, in the order in which one proof needs another.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use plan::{
    Diagnostic, IndexPlan, SourceText,
    code::graph as codes,
    diagnostic::nearest,
    index_plan::{IdQuery, PLAN_FORMAT},
};

use crate::{
    Checked, avro,
    config::{Config, IdsConfig, Located},
    coverage::{self, Proof},
    docs,
    fetch::{self, RootField},
    id_query::{self, Purpose},
    key, mapping,
    plan::{self as planned, Sources},
    rehearsal,
    schema::{Schema, TypeDef, TypeKind},
    shape::{self, ShapeField},
    template::Template,
    template_es::{self, Engine},
    validate,
};

/// The texts of the files that [`Config::wanted_files`] names.
#[derive(Debug, Clone)]
pub struct Texts {
    /// The query template.
    pub query: Arc<SourceText>,
    /// The schema: a supergraph SDL, a plain SDL, or the JSON answer of an introspection.
    pub schema: Arc<SourceText>,
    /// Other files by their paths as written.
    pub others: BTreeMap<String, Arc<SourceText>>,
}

/// What an index is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// What `run` runs.
    pub plan: IndexPlan,
    /// The Avro schema of a document.
    pub avro: serde_json::Value,
    /// The templates of the index for the store that the configuration names: see [`crate::index_templates`].
    pub index_template: serde_json::Value,
    /// The page about the index for people, in GitHub's Markdown.
    pub docs: String,
}

/// What Elasticsearch or `OpenSearch` keep of every document beside its own fields, and refuse in a mapping.
const RESERVED: [&str; 19] = [
    "_data_stream_timestamp",
    "_doc_count",
    "_feature",
    "_field_names",
    "_ignored",
    "_ignored_source",
    "_index",
    "_inference_fields",
    "_nested_path",
    "_primary_term",
    "_recovery_source",
    "_routing",
    "_seq_no",
    "_size",
    "_source",
    "_tier",
    "_tsid",
    "_type",
    "_version",
];

/// Proves that configuration, query and schema fit each other, and makes the plan and the artifacts.
pub fn compile(config: &Config, texts: &Texts) -> Checked<Compiled> {
    let mut diagnostics = Vec::new();
    let plan = index_plan(config, texts, &mut diagnostics);
    // What is wrong with the schema shows in every query that touches it.
    let mut told = Vec::new();
    diagnostics.retain(|diagnostic| {
        let is_new = !told.contains(diagnostic);
        if is_new && diagnostic.code == codes::SS201 {
            told.push(diagnostic.clone());
        }
        is_new
    });
    let compiled = plan.map(|plan| {
        let avro = avro::schema(config, &plan);
        Compiled {
            index_template: template_es::index_templates(config, &plan, Engine::of(config.store.kind)),
            docs: docs::page(&plan, &avro),
            avro,
            plan,
        }
    });
    Checked::new(compiled, diagnostics)
}

fn index_plan(config: &Config, texts: &Texts, diagnostics: &mut Vec<Diagnostic>) -> Option<IndexPlan> {
    let name = format!("{}Index", config.entity.value);
    let template = taken(Template::parse(&texts.query, &name), diagnostics);
    let schema = taken(Schema::parse(&texts.schema), diagnostics)?;
    let queries = id_queries(config, &schema, texts, diagnostics);
    let entity = entity(config, &schema, diagnostics);
    coverage::check_types(config, &schema, diagnostics);
    let mut template = template?;
    let verdict = validate::against(&schema, &texts.schema, &texts.query);
    if !verdict.is_empty() {
        diagnostics.extend(verdict);
        return None;
    }
    template.add_typenames(&schema);
    let template = &template;
    let root = fetch::root_field(template).map_err(|diagnostic| diagnostics.push(diagnostic)).ok()?;
    let mut fetch = fetch::plan(config, &schema, template, &root, diagnostics);
    let entity = entity?;
    answers_entity(config, &schema, template, &root, diagnostics)?;
    let mut roots = taken(shape::build(&schema, template, Some(&entity.name)), diagnostics)?;
    let answered = roots.first_mut()?;
    let document = std::mem::take(&mut answered.children);
    if let Some(fetch) = &mut fetch {
        fetch.owners = answered.owners.iter().cloned().collect();
    }
    reserve_names(template, &document, diagnostics);

    let root_key = root.field.response_key().node.as_str();
    let key = key::plan(config, &schema, template, entity, (root_key, root.pos), &document);
    let key = key.map_err(|diagnostic| diagnostics.push(diagnostic)).ok();
    let (tree, findings) = mapping::fields(config, &schema, template, &document);
    diagnostics.extend(findings);
    let search = planned::search(config, &tree, diagnostics);
    rehearsal::check(config, &tree, diagnostics);

    let named = config.sources.iter().filter_map(|source| source.entity.as_ref());
    let named = named.chain(config.coverage.iter().map(|line| &line.type_name));
    let named = named.map(|name| name.value.as_str()).collect();
    let key_name = key.as_ref().map(|key| key.field.clone());
    let root = (entity, key_name.as_deref());
    let sites = coverage::Search { schema: &schema, root, named }.sites(&document);
    let mut coverage = Vec::new();
    // A source that could not be read would be missed here, and the report would mislead.
    if config.sources_are_complete {
        coverage = Proof { config, schema: &schema, template, tree: &tree }.prove(&sites, diagnostics);
    }
    let key = key?;
    let sources = Sources { config, schema: &schema, sites: &sites, tree: &tree, key: &key };
    let planned_sources = config.sources.iter().map(|source| {
        let query = source.back_reference.as_ref().and_then(|path| queries.get(&path.value).cloned());
        sources.plan(source, query, diagnostics)
    });
    let planned_sources = planned_sources.collect();
    let ids = match &config.backfill.ids {
        Some(IdsConfig::Query(path)) => queries.get(&path.value).cloned(),
        _ => None,
    };
    let backfill = planned::backfill(config, ids, &tree, diagnostics);
    diagnostics.extend(schema.failures());
    let fetch = fetch?;
    Some(IndexPlan {
        format: PLAN_FORMAT,
        name: config.name.value.clone(),
        description: config.description.clone(),
        owner: config.owner.clone(),
        entity: entity.name.clone(),
        kafka: planned::kafka(config, &fetch.query_hash),
        fetch,
        graph: planned::graph_policy(config),
        subgraphs: schema.subgraphs.clone(),
        fields: tree,
        sources: planned_sources,
        backfill,
        errors: config.policies.errors.clone(),
        store: config.store.kind,
        keep_versions: config.store.keep_versions,
        search,
        freshness: config.policies.freshness.clone(),
        audit: config.policies.audit.clone(),
        coverage,
        key,
    })
}

/// The value, or the diagnostics moved to the others.
fn taken<T>(result: Result<T, Vec<Diagnostic>>, diagnostics: &mut Vec<Diagnostic>) -> Option<T> {
    result.map_err(|found| diagnostics.extend(found)).ok()
}

fn entity<'s>(config: &Config, schema: &'s Schema, diagnostics: &mut Vec<Diagnostic>) -> Option<&'s TypeDef> {
    let name = &config.entity;
    let found = schema.get(&name.value);
    if let Some(object) = found.filter(|ty| ty.kind == TypeKind::Object) {
        return Some(object);
    }
    let (message, help) = if found.is_some() {
        (
            format!("{} is no object type", name.value),
            "documents are objects: name the type that they have".to_owned(),
        )
    } else {
        let objects = schema.names().filter(|(_, kind)| *kind == TypeKind::Object);
        let near = nearest(&name.value, objects.map(|(name, _)| name));
        let help =
            near.map_or("name a type of the schema".to_owned(), |near| format!("did you mean {near}?"));
        (format!("the schema has no type {}", name.value), help)
    };
    diagnostics
        .push(Diagnostic::error(codes::SS210, message).at(&config.source, name.range.clone()).help(help));
    None
}

/// The root field must answer the entity, or an interface or union that it belongs to.
fn answers_entity(
    config: &Config,
    schema: &Schema,
    template: &Template,
    root: &RootField<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<()> {
    let ty = &schema.get(&schema.query)?.field(&root.field.name.node)?.ty;
    let entity = &config.entity;
    if schema.possible(ty.name()).contains(entity.value.as_str()) && ty.list_depth() <= 1 {
        return Some(());
    }
    let message = format!("`{}` answers {ty}, and the entity is {}", root.field.name.node, entity.value);
    let query = schema.get(&schema.query)?;
    let fitting =
        query.fields.iter().filter(|field| field.ty.name() == entity.value && field.ty.list_depth() <= 1);
    let fitting: Vec<String> = fitting.map(|field| format!("`{}`", field.name)).collect();
    let help = if fitting.is_empty() {
        format!("change `entity:`; no field of {} answers {}", schema.query, entity.value)
    } else {
        format!("use {}, or change `entity:`", fitting.join(" or "))
    };
    diagnostics.push(template.error(codes::SS209, root.pos, message, help));
    None
}

/// `__search` can't come from the graph: the shape refuses names with two underscores. Virtual fields are ours.
fn reserve_names(template: &Template, document: &[ShapeField], diagnostics: &mut Vec<Diagnostic>) {
    let is_reserved = |name: &str| name.eq_ignore_ascii_case("_id") || RESERVED.contains(&name);
    for field in document.iter().filter(|field| is_reserved(&field.name)) {
        let message = format!("the response key `{}` is reserved by search engines", field.name);
        diagnostics.push(template.error(
            codes::SS223,
            field.pos,
            message,
            "use an alias without the underscore",
        ));
    }
}

/// The queries for ids that the configuration names, compiled, by their paths.
fn id_queries(
    config: &Config,
    schema: &Schema,
    texts: &Texts,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<String, IdQuery> {
    let back_references = config.sources.iter().filter_map(|source| source.back_reference.as_ref());
    let mut wanted: Vec<(&Located<String>, bool)> = back_references.map(|path| (path, true)).collect();
    if let Some(IdsConfig::Query(path)) = &config.backfill.ids {
        wanted.push((path, false));
    }
    let Some(entity) = schema.get(&config.entity.value) else { return BTreeMap::new() };
    // What is wrong with the key itself is reported where the document is judged.
    let Ok(key) = key::field(config, entity, None) else { return BTreeMap::new() };
    if key::kind(config, schema, key).is_none() {
        return BTreeMap::new();
    }
    let mut queries = BTreeMap::new();
    let mut read = BTreeSet::new();
    for (path, is_back_reference) in wanted {
        if !read.insert(&path.value) {
            continue;
        }
        let Some(source) = texts.others.get(&path.value) else {
            let file = config.wanted_files().into_iter().find(|file| file.path == path.value);
            diagnostics.extend(file.map(|file| config.unreadable(&file, "its text was not given")));
            continue;
        };
        let name = format!("{}Ids", config.entity.value);
        let purpose = Purpose { entity: &entity.name, key: &key.name, is_back_reference, name: &name };
        let query = id_query::compile(schema, &texts.schema, source, &purpose);
        if let Some(query) = taken(query, diagnostics) {
            queries.insert(path.value.clone(), query);
        }
    }
    queries
}
