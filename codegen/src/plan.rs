//! From the proven parts to the plan: sources with their ways back to documents, backfill, and search.

use std::collections::BTreeSet;

use plan::{
    Code, Diagnostic, Field, FieldTree, IdKind, KafkaPlan,
    code::{config as config_codes, graph as codes},
    field::MappingKind,
    index_plan::{
        BackfillPlan, Boost, ChecksPlan, EdgeTeller, Encoding, GraphPolicy, IdQuery, IdSource, IdTopic,
        KeyPlan, Recency, SearchPlan, SourceInput, SourcePlan, WeightedPath,
    },
};

use crate::{
    config::{BackfillConfig, Config, IdsConfig, Located, SourceConfig, SourceEndpoint, access},
    coverage::{self, Site},
    key,
    mapping::{unknown_path, word},
    schema::Schema,
};

/// The limits of the traffic to the gateway.
pub(crate) fn graph_policy(config: &Config) -> GraphPolicy {
    let graph = &config.graph;
    GraphPolicy {
        batch_size: graph.batch_size,
        max_concurrency: graph.max_concurrency,
        timeout_ms: graph.timeout_ms,
        deadline_ms: graph.deadline_ms,
    }
}

/// Where ids come from, and what must hold of a new index version; `query` is the compiled one, where the configuration names one.
pub(crate) fn backfill(
    config: &Config,
    query: Option<IdQuery>,
    tree: &FieldTree,
    diagnostics: &mut Vec<Diagnostic>,
) -> BackfillPlan {
    let ids = match &config.backfill.ids {
        Some(IdsConfig::Query(_)) => query.map(IdSource::Query),
        Some(IdsConfig::File(_)) => Some(IdSource::File),
        Some(IdsConfig::Topic { topic, id }) => {
            Some(IdSource::Topic(IdTopic { topic: topic.value.clone(), id: id.clone() }))
        }
        Some(IdsConfig::Index) => Some(IdSource::Index),
        None => None,
    };
    let checks = checks(config, tree, diagnostics);
    let BackfillConfig { rate_per_second, windows, back_off, .. } = &config.backfill;
    BackfillPlan {
        ids,
        rate_per_second: *rate_per_second,
        windows: windows.clone(),
        back_off: *back_off,
        checks,
    }
}

/// What must hold of a new index version; documents without a field are counted by a search, so that it must be indexed.
fn checks(config: &Config, tree: &FieldTree, diagnostics: &mut Vec<Diagnostic>) -> ChecksPlan {
    let checks = &config.backfill.checks;
    for path in &checks.required {
        if let Some(diagnostic) = unknown_path(config, tree, path) {
            diagnostics.push(diagnostic);
            continue;
        }
        let line = tree.ancestry(&path.value).unwrap_or_default();
        if let Some(closed) = line.iter().find(|field| !field.mapping.indexed) {
            let message = format!("`{}` can't be required: `{}` is not indexed", path.value, closed.path);
            let diagnostic = Diagnostic::error(config_codes::SS115, message);
            diagnostics
                .push(diagnostic.at(&config.source, path.range.clone()).help("name a field that is indexed"));
        }
    }
    let usual = ChecksPlan::default();
    ChecksPlan {
        min_count_ratio: checks.min_count_ratio,
        required: checks.required.iter().map(|path| path.value.clone()).collect(),
        max_missing: checks.max_missing.unwrap_or(0.0),
        sample: checks.sample.map_or(usual.sample, |sample| usize::try_from(sample).unwrap_or(usize::MAX)),
    }
}

/// The topics and groups of the index; `None` without `kafka:`.
pub(crate) fn kafka(config: &Config, query_hash: &str) -> Option<KafkaPlan> {
    let kafka = config.kafka.as_ref()?;
    let mut plan = KafkaPlan::new(&config.name.value, query_hash, kafka.partitions, kafka.replication);
    if kafka.registry.is_some() {
        plan.documents_encoding = Encoding::Avro;
    }
    if let Some(topic) = &config.policies.dead_letters {
        plan.dead_letters.clone_from(&topic.value);
    }
    Some(plan)
}

/// What sources are planned from.
pub(crate) struct Sources<'a> {
    pub(crate) config: &'a Config,
    pub(crate) schema: &'a Schema,
    pub(crate) sites: &'a [Site<'a>],
    pub(crate) tree: &'a FieldTree,
    pub(crate) key: &'a KeyPlan,
}

impl Sources<'_> {
    /// One source with its ways back to documents.
    pub(crate) fn plan(
        &self,
        source: &SourceConfig,
        back_reference: Option<IdQuery>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> SourcePlan {
        let entity = coverage::entity_of(self.config, source);
        let sites = || self.sites.iter().filter(|site| site.entity.name == entity);
        let is_root = entity == self.config.entity.value;
        let reverse_lookup =
            if source.id.is_some() { self.reverse_lookup(source, diagnostics) } else { Vec::new() };
        let shown = self.shown(source, &reverse_lookup, diagnostics);
        let inferred = if sites().any(|site| coverage::is_related(self.schema, site)) {
            EdgeTeller::Related
        } else {
            EdgeTeller::Holder
        };
        SourcePlan {
            name: source.name.value.clone(),
            entity: entity.to_owned(),
            input: match &source.endpoint {
                SourceEndpoint::File(_) => SourceInput::File,
                SourceEndpoint::Http => SourceInput::Http,
                SourceEndpoint::Topic(topic) => SourceInput::Topic(topic.value.clone()),
            },
            format: source.format,
            id: source.id.clone(),
            id_kind: if is_root { self.key.kind } else { self.id_kind(entity, &reverse_lookup) },
            is_root,
            root_id: source.root_id.clone(),
            reverse_lookup,
            back_reference,
            edge: source.edge.as_ref().map_or(inferred, |edge| edge.value),
            encoding: source.encoding,
            on_gap: source.on_gap,
            snapshot_reads: source.snapshot_reads,
            filter: source.filter.as_ref().map(|filter| filter.value.clone()),
            version: source.version.as_ref().map(|version| version.value.clone()),
            shown,
            max_fanout: source.max_fanout,
        }
    }

    /// The key fields of the entity in the document: the inferred ones and those given by hand.
    fn reverse_lookup(&self, source: &SourceConfig, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
        let entity = coverage::entity_of(self.config, source);
        let keys = self.sites.iter().filter(|site| site.entity.name == entity).filter_map(|site| site.key);
        let mut paths: BTreeSet<String> = keys.map(|key| key.path.clone()).collect();
        for path in &source.reverse_lookup {
            if let Some(diagnostic) = unknown_path(self.config, self.tree, path) {
                diagnostics.push(diagnostic);
            } else if coverage::is_searchable(self.tree, &path.value) {
                paths.insert(path.value.clone());
            } else {
                let message =
                    format!("`{}` can't be looked up: it has no exact value in the index", path.value);
                let help = "name a key field, and keep it `keyword` (or `text` with `keyword: raw`)";
                diagnostics.push(self.error(codes::SS222, path, message, help));
            }
        }
        let is_root = entity == self.config.entity.value;
        let names_roots = source.root_id.is_some() || source.back_reference.is_some();
        // Where the schema tells keys, the proof of coverage says this at the path itself.
        let is_site = self.sites.iter().any(|site| site.entity.name == entity);
        if paths.is_empty() && !is_root && !names_roots && !is_site && self.is_read(entity) {
            let message = format!(
                "{entity} events cannot be traced back to {}: its key is not known",
                self.config.entity.value
            );
            let help = "name its key field in the document: `reverse_lookup: production.id`; or give `root_id:` or `back_reference:`";
            diagnostics.push(self.error(codes::SS214, &source.name, message, help));
        }
        paths.into_iter().collect()
    }

    /// Whether the document reads a type, or the schema can't tell that it doesn't matter.
    fn is_read(&self, type_name: &str) -> bool {
        !self.schema.tells_keys || self.tree.walk().any(|field| field.type_name == type_name)
    }

    /// How a related entity's id is written: as its key that the document carries, or as the field that is looked up.
    fn id_kind(&self, entity: &str, reverse_lookup: &[String]) -> IdKind {
        let mut carried = self.sites.iter().filter(|site| site.entity.name == entity && site.key.is_some());
        let carried = carried.next().and_then(|site| site.key_name);
        let key =
            self.schema.get(entity).and_then(|ty| ty.field(carried.or_else(|| ty.simple_keys().next())?));
        if let Some(kind) = key.and_then(|key| key::kind(self.config, self.schema, key)) {
            return kind;
        }
        let looked_up = reverse_lookup.first().and_then(|path| self.tree.get(path));
        match looked_up.map(|field| field.type_name.as_str()) {
            Some("Int") => IdKind::Integer,
            _ => IdKind::String,
        }
    }

    pub(crate) fn error<T>(&self, code: Code, place: &Located<T>, message: String, help: &str) -> Diagnostic {
        Diagnostic::error(code, message).at(&self.config.source, place.range.clone()).help(help)
    }
}

/// What text search covers and shows; every path is checked against the fields.
pub(crate) fn search(config: &Config, tree: &FieldTree, diagnostics: &mut Vec<Diagnostic>) -> SearchPlan {
    let mut check = |path: &Located<String>, fits: &dyn Fn(&Field) -> bool, what: &str, help: &str| {
        if let Some(diagnostic) = unknown_path(config, tree, path) {
            diagnostics.push(diagnostic);
            return false;
        }
        let fields = tree.ancestry(&path.value).unwrap_or_default();
        let closed = fields.iter().find(|field| !is_open(field, &path.value));
        let kind = fields.last().map_or("", |field| word(field.mapping.kind));
        let message = match closed {
            Some(closed) if !closed.mapping.indexed => {
                format!("`{}` can't {what}: `{}` is not indexed", path.value, closed.path)
            }
            Some(closed) => {
                format!("`{}` can't {what}: `{}` is {}", path.value, closed.path, word(closed.mapping.kind))
            }
            None if fields.last().is_some_and(|field| fits(field)) => return true,
            None => format!("`{}` is {kind} and can't {what}", path.value),
        };
        let diagnostic = Diagnostic::error(config_codes::SS115, message);
        diagnostics.push(diagnostic.at(&config.source, path.range.clone()).help(help));
        false
    };
    let has_words = |field: &Field| matches!(field.mapping.kind, MappingKind::Text | MappingKind::Keyword);
    let is_counted = |field: &Field| field.mapping.has_exact_value();
    // The engines rank by fields of the document itself, and one value each.
    let is_single = |field: &Field| {
        tree.ancestry(&field.path).is_some_and(|line| line.iter().all(|field| field.list_depth == 0))
    };
    let is_number = |field: &Field| {
        is_single(field) && matches!(field.mapping.kind, MappingKind::Long | MappingKind::Double)
    };
    let is_date = |field: &Field| is_single(field) && field.mapping.kind == MappingKind::Date;
    let wish = &config.search;
    let words = "name a text or keyword field that is indexed";
    let text = wish.text.iter().filter(|field| check(&field.path, &has_words, "be searched as text", words));
    let text =
        text.map(|field| WeightedPath { path: field.path.value.clone(), weight: field.weight }).collect();
    let exact = "name a leaf with an exact value; a text field has one with `keyword: raw`";
    let facets = wish.facets.iter().filter(|path| check(path, &is_counted, "be counted", exact));
    let facets = facets.map(|path| path.value.clone()).collect();
    let is_whole = |field: &Field| has_words(field) && is_counted(field);
    let whole = "name a text or keyword field with its whole value; a text field has one with `keyword: raw`";
    let suggest = wish.suggest.iter().filter(|path| check(path, &is_whole, "be suggested", whole));
    let suggest = suggest.map(|path| path.value.clone()).collect();
    let numbers = "name one number of the document, mapped as long or double";
    let boost = wish.boost.iter().filter(|(field, ..)| check(field, &is_number, "raise the rank", numbers));
    let boost = boost.map(|(field, modifier, factor)| Boost {
        field: field.value.clone(),
        modifier: *modifier,
        factor: *factor,
    });
    let boost = boost.collect();
    let dates = "name one date of the document, mapped as date";
    let recency = wish
        .recency
        .as_ref()
        .filter(|recency| check(&recency.field, &is_date, "tell how recent it is", dates));
    let recency = recency.map(|recency| Recency {
        field: recency.field.value.clone(),
        half_life_ms: recency.half_life_ms,
        factor: recency.factor,
    });
    let access = access::plan(config, tree, diagnostics);
    SearchPlan { text, facets, suggest, boost, recency, access }
}

/// Whether a field on the way to `path` lets what is below it be searched.
fn is_open(field: &Field, path: &str) -> bool {
    let is_above = field.path.len() < path.len();
    field.mapping.indexed
        && (!is_above || matches!(field.mapping.kind, MappingKind::Object | MappingKind::Nested))
}
