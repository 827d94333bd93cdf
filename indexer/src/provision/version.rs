//! What becomes of the index versions by a plan: one is changed in place, or another one is made beside the served one.

use std::sync::Arc;

use plan::IndexPlan;
use search::sqlite::SqliteIndex;

use super::{Action, Change, Kind, version_name};
use crate::ledger::versions::{KnownVersion, VersionState, served};

/// Reasons for a new version whose documents only the graph knows: what is stored can't fill it.
const NEEDS_GRAPH: [&str; 4] = [
    "the root entity or its key is another one",
    "the query is another one, so every document is",
    "documents are kept in another store",
    "documents find their owners by another number of partitions",
];

/// Whether documents of this version can't be filled from the served one.
pub(super) fn needs_graph(change: &Change) -> bool {
    change.reasons.iter().any(|reason| NEEDS_GRAPH.contains(&reason.as_str()))
}

/// What becomes of the versions that are known, by this plan, where `next` is the number of the next one. The version that the
/// plan is for comes first; behind it those that were made for another plan, and were never served.
pub(crate) fn version_changes(known: &[KnownVersion], next: u32, plan: &IndexPlan) -> Vec<Change> {
    let named = |number| version_name(&plan.name, number);
    let of = |number, action, reasons| Change::of(Kind::IndexVersion, &named(number), action, reasons);
    let Some(served) = served(known) else { return vec![Change::missing(Kind::IndexVersion, &named(1))] };
    let wanted = taken_by(known, plan);
    let own = match wanted {
        Some(wanted) => of(wanted.number(), Action::Change, differences(wanted.plan(), plan)),
        None => of(next, Action::Rebuild, rebuild_reasons(served.plan(), plan)),
    };
    let others = known.iter().filter(|other| {
        other.state.is_new() && wanted.is_none_or(|wanted| wanted.number() != other.number())
    });
    let removed = |other: &KnownVersion| {
        let reason = format!("it is {}, and made by another plan", other.state.name());
        of(other.number(), Action::Remove, vec![reason])
    };
    std::iter::once(own).chain(others.map(removed)).collect()
}

/// The version that can take this plan in place: the served one if it can, else the newest of those that live.
pub(super) fn taken_by<'k>(known: &'k [KnownVersion], plan: &IndexPlan) -> Option<&'k KnownVersion> {
    let takes = |known: &&KnownVersion| rebuild_reasons(known.plan(), plan).is_empty();
    let live = known.iter().rev().filter(|known| known.state.is_live());
    served(known).filter(takes).or_else(|| live.into_iter().find(takes))
}

/// Whether what provision makes of this plan is served at once: the first version, or a change of the served one.
pub(super) fn serves(known: &[KnownVersion], plan: &IndexPlan) -> bool {
    match taken_by(known, plan) {
        Some(wanted) => wanted.state == VersionState::Served,
        None => served(known).is_none(),
    }
}

/// Why this plan can't take the place of the one that documents were written by, so that they are kept and found in another way;
/// empty: it can.
fn rebuild_reasons(before: &IndexPlan, plan: &IndexPlan) -> Vec<String> {
    let partitions = |plan: &IndexPlan| plan.kafka.as_ref().map(|kafka| kafka.partitions);
    let found_by = SqliteIndex::new(Arc::new(before.clone()), 1);
    let wanted = SqliteIndex::new(Arc::new(plan.clone()), 1);
    let [entity, query, store, owners] = NEEDS_GRAPH;
    let parts: [(&str, bool); 6] = [
        (entity, before.entity != plan.entity || before.key != plan.key),
        (query, before.fetch.query_hash != plan.fetch.query_hash),
        (store, before.store != plan.store),
        ("fields are indexed differently", before.fields != plan.fields),
        (owners, partitions(before) != partitions(plan)),
        (
            "documents are looked up by a key that the stored ones are not found by",
            !wanted.lookup_paths().is_subset(&found_by.lookup_paths()),
        ),
    ];
    parts.iter().filter(|(_, differs)| *differs).map(|(reason, _)| (*reason).to_owned()).collect()
}

/// What differs between the plan of a version and one that can take its place; empty: nothing.
fn differences(served: &IndexPlan, plan: &IndexPlan) -> Vec<String> {
    if served == plan {
        return Vec::new();
    }
    let parts: [(&str, bool); 10] = [
        ("sources", served.sources != plan.sources),
        ("graph", served.graph != plan.graph || served.subgraphs != plan.subgraphs),
        ("kafka", served.kafka != plan.kafka),
        ("fetch mode", served.fetch != plan.fetch),
        ("backfill", served.backfill != plan.backfill),
        ("errors", served.errors != plan.errors),
        ("store.keep_versions", served.keep_versions != plan.keep_versions),
        ("search", served.search != plan.search),
        ("freshness", served.freshness != plan.freshness),
        ("coverage", served.coverage != plan.coverage),
    ];
    let mut changed: Vec<String> =
        parts.iter().filter(|(_, differs)| *differs).map(|(part, _)| format!("`{part}` changed")).collect();
    if changed.is_empty() {
        changed.push("its description changed".to_owned());
    }
    changed
}
