//! The proof that each entity of the document has a way to stay fresh: an event that can be traced back, or the
//! user's word. It is made for each entity at each path, and for each edge that leads to one.

use std::collections::BTreeSet;

use plan::{
    Diagnostic, FieldTree,
    code::graph as codes,
    field::MappingKind,
    index_plan::{CoverageLine, CoveredBy},
};

use crate::{
    config::{Config, CoverageException, Freshness, SourceConfig},
    schema::{Schema, TypeDef, TypeKind},
    shape::ShapeField,
    template::Template,
};

/// An entity at one path of the document.
pub(crate) struct Site<'a> {
    pub(crate) entity: &'a TypeDef,
    /// The field that holds it; `None` for the root.
    pub(crate) field: Option<&'a ShapeField>,
    fields: &'a [ShapeField],
}

impl Site<'_> {
    fn path(&self) -> &str {
        self.field.map_or("", |field| field.path.as_str())
    }

    /// The key field by which documents that hold the entity here are found, where one is selected.
    pub(crate) fn key(&self) -> Option<&ShapeField> {
        let field = self.field?;
        self.entity.simple_keys().find_map(|key| field.child_for(key))
    }

    /// Whether the entity's own subgraph owns the edge: then the holder's events don't tell of a new one.
    pub(crate) fn edge_is_related(&self) -> bool {
        self.field.is_some_and(|field| field.owners.intersection(&home(self.entity)).next().is_some())
    }

    /// Whether a path given by hand leads into the entity here.
    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.path()).is_some_and(|rest| rest.starts_with('.'))
    }
}

/// The subgraphs that own an entity: those that answer more of it than its keys.
fn home(entity: &TypeDef) -> BTreeSet<String> {
    let in_keys: BTreeSet<&str> = entity
        .keys
        .iter()
        .flat_map(|key| key.selection.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect();
    let own = entity.fields.iter().filter(|field| !in_keys.contains(field.name.as_str()));
    own.flat_map(|field| field.owners.iter().cloned()).collect()
}

/// Every entity of the document, the root first, then in the order of the query.
pub(crate) fn sites<'a>(
    schema: &'a Schema,
    entity: &'a TypeDef,
    document: &'a [ShapeField],
) -> Vec<Site<'a>> {
    let mut sites = vec![Site { entity, field: None, fields: document }];
    for field in document {
        field.walk(&mut |field| {
            for entity in schema.entities(field.type_name()) {
                let reads = |child: &ShapeField| {
                    child.parents.iter().any(|parent| schema.possible(parent).contains(entity.name.as_str()))
                };
                if field.children.iter().any(|child| child.field != "__typename" && reads(child)) {
                    sites.push(Site { entity, field: Some(field), fields: &field.children });
                }
            }
        });
    }
    sites
}

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
            let traceable: Vec<&SourceConfig> =
                sources.iter().copied().filter(|source| traces(source, site)).collect();
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
            lines.push(line(site, &traceable, exception));
        }
        self.check_names(sites, diagnostics);
        lines
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
        let message =
            format!("{name} events cannot be traced back to {root}: `{}` doesn't carry its key", field.path);
        let help = match site.entity.simple_keys().next() {
            Some(key) => format!("add `{key}` to `{} {{ … }}`, or {other}", field.name),
            None => format!("the key of {name} is composite, so no field can be looked up; {other}"),
        };
        self.template.error(codes::SS214, field.pos, message, help)
    }

    /// An edge that the related side owns needs someone who names its root.
    fn edge(&self, site: &Site<'_>, sources: &[&SourceConfig]) -> Option<Diagnostic> {
        let field = site.field?;
        let source = sources.first()?;
        let told = sources.iter().any(|source| {
            source.root_id.is_some() || source.back_reference.is_some() || source.edge.is_some()
        });
        if told || !site.edge_is_related() {
            return None;
        }
        let name = &site.entity.name;
        let owners: Vec<&str> = field.owners.iter().map(String::as_str).collect();
        let holder = field.parents.first().map_or("", String::as_str);
        let message = format!(
            "no event tells when a {name} is added to `{}`: {holder}.{} is owned by {}, as {name} itself is",
            field.path,
            field.field,
            owners.join(", "),
        );
        let help = format!(
            "give the source {} `root_id:` or `back_reference:`; or say `edge: holder` where events of {holder} tell of it",
            source.name.value
        );
        let diagnostic = Diagnostic::error(codes::SS215, message);
        Some(diagnostic.at(&self.config.source, source.name.range.clone()).help(help))
    }

    /// The key that reverse lookups ask for must be searchable, and present in every element.
    fn key_is_usable(&self, site: &Site<'_>, sources: &[&SourceConfig]) -> Option<Diagnostic> {
        let key = site.key()?;
        let field = site.field?;
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

    /// Sources and coverage lines must name types, and should name types that the document reads.
    fn check_names(&self, sites: &[Site<'_>], diagnostics: &mut Vec<Diagnostic>) {
        let read: BTreeSet<&str> = sites.iter().map(|site| site.entity.name.as_str()).collect();
        let entities = self.config.sources.iter().filter_map(|source| {
            let names_roots = source.root_id.is_some() || source.back_reference.is_some();
            source.entity.as_ref().map(|entity| (entity, names_roots || !source.reverse_lookup.is_empty()))
        });
        let exceptions = self.config.coverage.iter().map(|line| (&line.type_name, false));
        for (name, is_traced) in entities.chain(exceptions) {
            let object = self.schema.get(&name.value).filter(|ty| ty.is_composite());
            let (source, range) = (&self.config.source, name.range.clone());
            if object.is_none() {
                let names = self.schema.names().filter(|(_, kind)| kind.is_composite()).map(|(name, _)| name);
                let help = match plan::diagnostic::nearest(&name.value, names) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "name a type of the schema".to_owned(),
                };
                let message = format!("the schema has no type {}", name.value);
                diagnostics.push(Diagnostic::error(codes::SS210, message).at(source, range).help(help));
            } else if !is_traced && !read.contains(name.value.as_str()) && self.schema.tells_keys {
                let message = format!("the document doesn't read {}, so this has no effect", name.value);
                let help = "remove it, or select fields of that type";
                diagnostics.push(Diagnostic::warning(codes::SS221, message).at(source, range).help(help));
            }
        }
    }
}

/// Whether an event of this source leads to the documents that hold the entity here.
fn traces(source: &SourceConfig, site: &Site<'_>) -> bool {
    let is_found = || match site.field {
        None => true,
        Some(_) => site.key().is_some() || source.reverse_lookup.iter().any(|path| site.holds(&path.value)),
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

fn line(site: &Site<'_>, sources: &[&SourceConfig], exception: Option<&CoverageException>) -> CoverageLine {
    let owners: BTreeSet<&String> = site.fields.iter().flat_map(|field| &field.owners).collect();
    let covered_by = match exception {
        _ if !sources.is_empty() => CoveredBy::Source,
        Some(CoverageException { freshness: Freshness::Ignore, .. }) => CoveredBy::Ignore,
        _ => CoveredBy::Audit,
    };
    let by_key = sources.iter().any(|source| source.id.is_some());
    CoverageLine {
        path: site.path().to_owned(),
        type_name: site.entity.name.clone(),
        subgraphs: owners.into_iter().cloned().collect(),
        covered_by,
        sources: sources.iter().map(|source| source.name.value.clone()).collect(),
        reverse_lookup: site.key().filter(|_| by_key).map(|key| key.path.clone()),
    }
}
