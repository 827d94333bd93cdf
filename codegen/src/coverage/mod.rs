//! The proof that each entity of the document has a way to stay fresh: an event that can be traced back, or the
//! user's word. It is made for each entity at each path, and for each edge that leads to one.

mod edges;
mod sites;

use std::collections::BTreeSet;

use plan::{
    Diagnostic, FieldTree,
    code::graph as codes,
    diagnostic::nearest,
    field::MappingKind,
    index_plan::{CoverageLine, CoveredBy},
};

pub(crate) use self::{
    edges::is_related,
    sites::{Search, Site},
};
use crate::{
    config::{Config, CoverageException, Freshness, SourceConfig},
    schema::{Schema, TypeDef, TypeKind},
    template::Template,
};

/// What the proof is made from.
pub(crate) struct Proof<'a> {
    pub(crate) config: &'a Config,
    pub(crate) schema: &'a Schema,
    pub(crate) template: &'a Template,
    pub(crate) tree: &'a FieldTree,
}

impl<'a> Proof<'a> {
    /// The sources that tell of an entity's changes.
    fn sources(&self, entity: &str) -> Vec<&'a SourceConfig> {
        let config = self.config;
        config.sources.iter().filter(|source| entity_of(config, source) == entity).collect()
    }

    fn exception(&self, entity: &str) -> Option<&'a CoverageException> {
        self.config.coverage.iter().find(|line| line.type_name.value == entity)
    }

    /// Proves every site, or says what is missing.
    pub(crate) fn prove(&self, sites: &[Site<'_>], diagnostics: &mut Vec<Diagnostic>) -> Vec<CoverageLine> {
        if !self.schema.tells_keys {
            self.warn_of_keys(diagnostics);
        }
        let mut told = BTreeSet::new();
        let mut lines = Vec::new();
        for site in sites {
            let sources = self.sources(&site.entity.name);
            let exception = self.exception(&site.entity.name);
            let traceable = self.traceable(site, sites);
            if traceable.is_empty() && exception.is_none() {
                if sources.is_empty() {
                    if told.insert(site.entity.name.as_str()) {
                        diagnostics.push(self.uncovered(site));
                    }
                } else {
                    diagnostics.push(self.untraceable(site, &sources));
                }
            }
            if exception.is_none() {
                diagnostics.extend(self.edge(site, &sources));
                diagnostics.extend(self.key_is_usable(site, &sources));
            }
            lines.push(self.line(site, sites, &traceable));
        }
        self.check_names(sites, diagnostics);
        lines
    }

    /// The sources whose events lead to the documents that hold the entity here.
    fn traceable(&self, site: &Site<'_>, sites: &[Site<'_>]) -> Vec<&'a SourceConfig> {
        let mut sources = self.sources(&site.entity.name);
        sources.retain(|source| traces(source, site, sites));
        sources
    }

    fn covered_by(&self, site: &Site<'_>, traceable: &[&SourceConfig]) -> CoveredBy {
        match self.exception(&site.entity.name) {
            _ if !traceable.is_empty() => CoveredBy::Source,
            Some(exception) => exception.freshness.into(),
            // An error says that nothing covers it, and there is no plan.
            None => CoveredBy::Audit,
        }
    }

    fn line(&self, site: &Site<'_>, sites: &[Site<'_>], traceable: &[&SourceConfig]) -> CoverageLine {
        let owners: BTreeSet<&String> = site.fields.iter().flat_map(|field| &field.owners).collect();
        let by_key = traceable.iter().any(|source| source.id.is_some());
        CoverageLine {
            path: site.path().to_owned(),
            type_name: site.entity.name.clone(),
            subgraphs: owners.into_iter().cloned().collect(),
            covered_by: self.covered_by(site, traceable),
            sources: traceable.iter().map(|source| source.name.value.clone()).collect(),
            reverse_lookup: site.key.filter(|_| by_key).map(|key| key.path.clone()),
            edge: self.edge_line(site, sites),
        }
    }

    fn warn_of_keys(&self, diagnostics: &mut Vec<Diagnostic>) {
        let graph = &self.config.graph;
        let place = graph.schema.as_ref().unwrap_or(&graph.url);
        let message = "the schema tells no keys, so it can't be proven that every entity has an event";
        let help = "use the supergraph SDL: `graph: { schema: ./supergraph.graphql }`";
        let warning = Diagnostic::warning(codes::SS216, message);
        diagnostics.push(warning.at(&self.config.source, place.range.clone()).help(help));
    }

    fn uncovered(&self, site: &Site<'_>) -> Diagnostic {
        let name = &site.entity.name;
        let mends = format!(
            "add a source with `entity: {name}`, or `coverage: {{ {name}: {{ freshness: audit }} }}` (or ignore)"
        );
        if let Some(field) = site.field {
            let message =
                format!("the document reads {name} at `{}`, and no event tells of its changes", field.path);
            self.template.error(codes::SS213, field.pos, message, mends)
        } else {
            let message = format!("no source tells of changes of {name}, the document itself");
            let help = format!(
                "add a source without `entity:`, or `coverage: {{ {name}: {{ freshness: audit }} }}`"
            );
            let range = self.config.entity.range.clone();
            Diagnostic::error(codes::SS213, message).at(&self.config.source, range).help(help)
        }
    }

    fn untraceable(&self, site: &Site<'_>, sources: &[&SourceConfig]) -> Diagnostic {
        let (name, root) = (&site.entity.name, &self.config.entity.value);
        let source = sources.first().map_or("", |source| source.name.value.as_str());
        let other = format!("give the source {source} `root_id:` or `back_reference:`");
        let Some(field) = site.field else {
            let message = format!("events of {name} don't name a document");
            let range = self.config.entity.range.clone();
            return Diagnostic::error(codes::SS214, message).at(&self.config.source, range).help(other);
        };
        let condition = if field.type_name() == name { String::new() } else { format!("... on {name} ") };
        let (message, help) = match site.key_name {
            _ if site.entity.keys.is_empty() => (
                format!("{name} events cannot be traced back to {root}: its key is not known"),
                format!(
                    "name its key field in the document: `reverse_lookup: {}.id`; or {other}",
                    field.path
                ),
            ),
            Some(key) if condition.is_empty() => (
                format!(
                    "{name} events cannot be traced back to {root}: `{}` doesn't carry its key",
                    field.path
                ),
                format!("add `{key}` to `{} {{ … }}`, or {other}", field.name),
            ),
            Some(key) => (
                format!(
                    "{name} events cannot be traced back to {root}: `{}` doesn't carry its key",
                    field.path
                ),
                format!("add `{condition}{{ {key} }}` to `{} {{ … }}`, or {other}", field.name),
            ),
            None => (
                format!(
                    "{name} events cannot be traced back to {root}: `{}` doesn't carry its key",
                    field.path
                ),
                format!("the key of {name} is composite, so no field can be looked up; {other}"),
            ),
        };
        self.template.error(codes::SS214, field.pos, message, help)
    }

    /// The key that reverse lookups ask for must be searchable, and present in every element.
    fn key_is_usable(&self, site: &Site<'_>, sources: &[&SourceConfig]) -> Option<Diagnostic> {
        let (key, field) = (site.key?, site.field?);
        let source = sources.first()?;
        if !is_searchable(self.tree, &key.path) {
            let message = format!(
                "`{}` can't be searched, so events of {} reach no document",
                key.path, site.entity.name
            );
            let help = format!(
                "remove what `fields:` says about `{}` or a field above it, so that its exact value is indexed",
                key.path
            );
            let diagnostic = Diagnostic::error(codes::SS222, message);
            return Some(diagnostic.at(&self.config.source, source.name.range.clone()).help(help));
        }
        let is_object = self.schema.get(field.type_name()).is_some_and(|ty| ty.kind == TypeKind::Object);
        if key.conditional && is_object {
            let message = format!("the key `{}` may be left out by a condition", key.path);
            let help = "select it without `@include` or `@skip`: documents without it are not found again";
            let warning = Diagnostic::warning(codes::SS225, message);
            return Some(warning.at(&self.template.source, self.template.range(key.pos)).help(help));
        }
        None
    }

    /// Sources and coverage lines should name types that the document reads.
    fn check_names(&self, sites: &[Site<'_>], diagnostics: &mut Vec<Diagnostic>) {
        let mut read: BTreeSet<&str> = sites.iter().map(|site| site.entity.name.as_str()).collect();
        for field in self.tree.walk() {
            read.extend(self.schema.possible(&field.type_name));
        }
        let entities = self.config.sources.iter().filter_map(|source| {
            let names_roots = source.root_id.is_some() || source.back_reference.is_some();
            source.entity.as_ref().map(|entity| (entity, names_roots || !source.reverse_lookup.is_empty()))
        });
        let exceptions = self.config.coverage.iter().map(|line| (&line.type_name, false));
        for (name, is_traced) in entities.chain(exceptions) {
            let is_known = self.schema.get(&name.value).is_some_and(TypeDef::is_composite);
            let (source, range) = (&self.config.source, name.range.clone());
            if is_known && !is_traced && !read.contains(name.value.as_str()) && self.schema.tells_keys {
                let message = format!("the document doesn't read {}, so this has no effect", name.value);
                let help = "remove it, or select fields of that type";
                diagnostics.push(Diagnostic::warning(codes::SS221, message).at(source, range).help(help));
            }
        }
    }
}

/// Sources and coverage lines must name types of the schema, whatever the query is worth.
pub(crate) fn check_types(config: &Config, schema: &Schema, diagnostics: &mut Vec<Diagnostic>) {
    let sources = config.sources.iter().filter_map(|source| source.entity.as_ref());
    for name in sources.chain(config.coverage.iter().map(|line| &line.type_name)) {
        if schema.get(&name.value).is_some_and(TypeDef::is_composite) {
            continue;
        }
        let names = schema.names().filter(|(_, kind)| kind.is_composite()).map(|(name, _)| name);
        let help = match nearest(&name.value, names) {
            Some(near) => format!("did you mean {near}?"),
            None => "name a type of the schema".to_owned(),
        };
        let message = format!("the schema has no type {}", name.value);
        let unknown = Diagnostic::error(codes::SS210, message);
        diagnostics.push(unknown.at(&config.source, name.range.clone()).help(help));
    }
}

/// Whether an event of this source leads to the documents that hold the entity here.
fn traces(source: &SourceConfig, site: &Site<'_>, sites: &[Site<'_>]) -> bool {
    // A path given by hand is about the entity that it leads to last.
    let is_here = |path: &str| {
        let above = |site: &Site<'_>| {
            path.strip_prefix(site.path()).is_some_and(|rest| site.path().is_empty() || rest.starts_with('.'))
        };
        let nearest = sites.iter().filter(|site| above(site)).map(|site| site.path().len()).max();
        above(site) && nearest == Some(site.path().len())
    };
    let is_found = || {
        site.field.is_none()
            || site.key.is_some()
            || source.reverse_lookup.iter().any(|path| is_here(&path.value))
    };
    source.root_id.is_some() || source.back_reference.is_some() || (source.id.is_some() && is_found())
}

/// The entity of a source: the root where it names none.
pub(crate) fn entity_of<'c>(config: &'c Config, source: &'c SourceConfig) -> &'c str {
    source.entity.as_ref().map_or(config.entity.value.as_str(), |entity| entity.value.as_str())
}

/// Whether the exact value at a path can be asked for.
pub(crate) fn is_searchable(tree: &FieldTree, path: &str) -> bool {
    tree.ancestry(path).is_some_and(|fields| {
        let Some((leaf, above)) = fields.split_last() else { return false };
        let open = |field: &&plan::Field| {
            field.mapping.indexed && matches!(field.mapping.kind, MappingKind::Object | MappingKind::Nested)
        };
        above.iter().all(open) && leaf.mapping.has_exact_value()
    })
}

impl From<Freshness> for CoveredBy {
    fn from(freshness: Freshness) -> Self {
        match freshness {
            Freshness::Ignore => Self::Ignore,
            Freshness::Audit => Self::Audit,
        }
    }
}
