//! Who tells of a new edge: the entity that holds the field, or the one that it leads to.

use std::collections::BTreeSet;

use plan::{
    Diagnostic,
    code::graph as codes,
    index_plan::{CoveredBy, EdgeLine, EdgeSource, EdgeTeller, EdgeWay},
};

use super::{Proof, Site};
use crate::{
    config::SourceConfig,
    ownership,
    schema::{Schema, TypeDef},
};

/// On whose side an edge is kept, as the schema's owners say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Holder,
    Related,
    /// A subgraph answers the edge that answers nothing else of either entity.
    Neither,
}

/// The subgraphs that own an entity: those that answer more of it than its keys.
fn home(schema: &Schema, entity: &TypeDef, counts: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let in_keys: BTreeSet<&str> = entity
        .keys
        .iter()
        .flat_map(|key| key.selection.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect();
    let own = entity.fields.iter().filter(|field| !in_keys.contains(field.name.as_str()));
    let own = own.filter(|field| counts(field.ty.name()));
    own.flat_map(|field| ownership::owners(schema, entity, field)).collect()
}

/// A type without a key is a part of what holds it, and so is the edge to it.
fn side(schema: &Schema, site: &Site<'_>) -> Side {
    let Some(field) = site.field.filter(|field| !field.owners.is_empty() && !site.entity.keys.is_empty())
    else {
        return Side::Holder;
    };
    if !field.owners.is_disjoint(&home(schema, site.entity, |_| true)) {
        return Side::Related;
    }
    // Fields that lead on say nothing: a subgraph of links alone adds them to both sides.
    let is_value = |ty: &str| schema.kind(ty).is_none_or(|kind| !kind.is_composite());
    let homes: BTreeSet<String> =
        site.holders.iter().flat_map(|holder| home(schema, holder, is_value)).collect();
    if homes.is_empty() || !field.owners.is_disjoint(&homes) { Side::Holder } else { Side::Neither }
}

/// Whether the entity's own subgraph owns the edge: then the holder's events don't tell of a new one.
pub(crate) fn is_related(schema: &Schema, site: &Site<'_>) -> bool {
    side(schema, site) == Side::Related
}

fn names_roots(source: &SourceConfig) -> bool {
    source.root_id.is_some() || source.back_reference.is_some()
}

impl Proof<'_> {
    /// An edge that the holder's events don't tell of needs someone who names its root.
    pub(super) fn edge(&self, site: &Site<'_>, sources: &[&SourceConfig]) -> Option<Diagnostic> {
        let field = site.field?;
        let source = sources.first()?;
        let owning = side(self.schema, site);
        let is_told = sources.iter().any(|source| names_roots(source) || source.edge.is_some());
        if is_told || owning == Side::Holder {
            return None;
        }
        let name = &site.entity.name;
        let owners = field.owners.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let holder = holders(site).join(" or ");
        let coordinates = coordinates(site);
        let help = format!(
            "give the source {} `root_id:` or `back_reference:`; or say `edge: holder` where events of {holder} tell of it",
            source.name.value
        );
        let diagnostic = if owning == Side::Related {
            let message = format!(
                "no event tells when a {name} is added to `{}`: {coordinates} is owned by {owners}, as {name} itself is",
                field.path,
            );
            Diagnostic::error(codes::SS215, message)
        } else {
            let message = format!(
                "perhaps no event tells of a new {name} at `{}`: {coordinates} is owned by {owners}, which answers no value of {holder} and nothing of {name}",
                field.path,
            );
            Diagnostic::warning(codes::SS227, message)
        };
        Some(diagnostic.at(&self.config.source, source.name.range.clone()).help(help))
    }

    /// Who tells of a new edge, as the plan says it; `None` for the root.
    pub(super) fn edge_line(&self, site: &Site<'_>, sites: &[Site<'_>]) -> Option<EdgeLine> {
        let field = site.field?;
        let sources = self.sources(&site.entity.name);
        let is_related = |source: &&SourceConfig| match &source.edge {
            Some(edge) => edge.value == EdgeTeller::Related,
            None => is_related(self.schema, site),
        };
        let teller = if sources.iter().any(is_related) { EdgeTeller::Related } else { EdgeTeller::Holder };
        let mut ways: Vec<(&SourceConfig, EdgeWay)> = Vec::new();
        for source in &sources {
            ways.extend(source.root_id.iter().map(|_| (*source, EdgeWay::RootId)));
            ways.extend(source.back_reference.iter().map(|_| (*source, EdgeWay::BackReference)));
        }
        let mut held_by = None;
        if teller == EdgeTeller::Holder {
            for holder in sites.iter().filter(|one| is_held_by(site, one)) {
                let traceable = self.traceable(holder, sites);
                held_by = Some(self.covered_by(holder, &traceable));
                ways.extend(traceable.into_iter().map(|source| (source, EdgeWay::Holder)));
            }
        }
        let exception = self.exception(&site.entity.name).map(|exception| exception.freshness.into());
        let mut told_by: Vec<EdgeSource> = Vec::new();
        for (source, by) in ways {
            let one = EdgeSource { name: source.name.value.clone(), by };
            if !told_by.contains(&one) {
                told_by.push(one);
            }
        }
        let covered_by = match exception.or(held_by) {
            _ if !told_by.is_empty() => CoveredBy::Source,
            Some(word) => word,
            // An error says that nobody tells of it, and there is no plan.
            None => CoveredBy::Audit,
        };
        Some(EdgeLine {
            field: coordinates(site),
            holders: holders(site),
            subgraphs: field.owners.iter().cloned().collect(),
            teller,
            covered_by,
            sources: told_by,
        })
    }
}

fn holders(site: &Site<'_>) -> Vec<String> {
    site.holders.iter().map(|holder| holder.name.clone()).collect()
}

/// Whether a site is the one whose entity holds the edge to another.
fn is_held_by(site: &Site<'_>, above: &Site<'_>) -> bool {
    let rest = site.path().strip_prefix(above.path());
    rest.is_some_and(|rest| above.path().is_empty() || rest.starts_with('.'))
        && site.holders.iter().any(|holder| holder.name == above.entity.name)
}

/// The field that leads to the entity, such as `Movie.production`.
fn coordinates(site: &Site<'_>) -> String {
    let selected = site.field.and_then(|field| field.selected_on.iter().next());
    selected.map_or_else(String::new, |(parent, field)| format!("{parent}.{field}"))
}
