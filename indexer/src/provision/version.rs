//! What becomes of the index versions by a plan: one is changed in place, or another one is made beside the served one.

use std::{collections::BTreeMap, sync::Arc};

use plan::{Field, FieldKind, FieldTree, IndexPlan};
use search::sqlite::SqliteIndex;

use super::{Action, Change, Kind, version_name};
use crate::ledger::versions::{KnownVersion, VersionState, served};

/// Which index version a plan goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The one that can take it in place, else another one.
    Fitting,
    /// Another one, though the served one has it already.
    Another,
}

/// The reason for a version of the served one's plan.
const ASKED_FOR: &str = "it was asked for";

/// The reason for which it isn't another version of this index at all.
const OTHER_ROOT: &str = "the root entity or its key is another one";

/// Reasons for which no process could write both versions.
const APART: [&str; 2] =
    ["documents are kept in another store", "documents find their owners by another number of partitions"];

/// The reason for a version whose documents only the graph knows.
const OTHER_QUERY: &str = "the query is another one, so every document is";

/// How such a version is filled.
const BACKFILLED: &str = "only the graph has its documents, so a backfill fills it, and both queries are asked while both versions live";

/// Fields of one list that are named; more are counted.
const NAMED: usize = 8;

/// Whether this version is of another index: an id of one is none of the other.
pub(super) fn has_other_root(change: &Change) -> bool {
    has(change, OTHER_ROOT)
}

/// Whether this version can't be written beside the served one.
pub(super) fn is_apart(change: &Change) -> bool {
    APART.iter().any(|reason| has(change, reason))
}

/// Whether this version has another query than the served one, so that a backfill fills it.
pub(super) fn has_other_query(change: &Change) -> bool {
    has(change, OTHER_QUERY)
}

fn has(change: &Change, reason: &str) -> bool {
    change.reasons.iter().any(|known| known == reason)
}

/// What becomes of the versions that are known, by this plan, where `next` is the number of the next one. The version that the
/// plan is for comes first; behind it those that were made for another plan, and were never served.
pub(crate) fn version_changes(
    known: &[KnownVersion],
    next: u32,
    plan: &IndexPlan,
    goal: Goal,
) -> Vec<Change> {
    let named = |number| version_name(&plan.name, number);
    let of = |number, action, reasons| Change::of(Kind::IndexVersion, &named(number), action, reasons);
    let Some(served) = served(known) else { return vec![Change::missing(Kind::IndexVersion, &named(1))] };
    let wanted = taken_by(known, plan, goal);
    let own = match wanted {
        Some(wanted) => of(wanted.number(), Action::Change, differences(wanted.plan(), plan)),
        None if goal == Goal::Another => of(next, Action::Rebuild, vec![ASKED_FOR.to_owned()]),
        None => of(next, Action::Rebuild, rebuild_reasons(served.plan(), plan)),
    };
    let lasting = lasting(known, plan);
    let others = known.iter().filter(|other| {
        let is_wanted = wanted.is_some_and(|wanted| wanted.number() == other.number());
        other.state.is_new() && !is_wanted && !lasting.contains(&other.number())
    });
    let removed = |other: &KnownVersion| {
        let reason = format!("it is {}, and made by another plan", other.state.name());
        of(other.number(), Action::Remove, vec![reason])
    };
    std::iter::once(own).chain(others.map(removed)).collect()
}

/// The versions on their way that have this very plan: they were asked for, and what else is provisioned leaves them alone.
pub(super) fn lasting(known: &[KnownVersion], plan: &IndexPlan) -> Vec<u32> {
    known.iter().filter(|known| is_on_its_way_by(known, plan)).map(KnownVersion::number).collect()
}

fn is_on_its_way_by(known: &KnownVersion, plan: &IndexPlan) -> bool {
    known.state.is_new() && known.state.is_live() && known.plan() == plan
}

/// The version that can take this plan in place: the served one if it can, else the newest of those that live. Where another one
/// is wanted, one that is on its way.
pub(super) fn taken_by<'k>(
    known: &'k [KnownVersion],
    plan: &IndexPlan,
    goal: Goal,
) -> Option<&'k KnownVersion> {
    if goal == Goal::Another && served(known).is_some() {
        return known.iter().rev().find(|known| is_on_its_way_by(known, plan));
    }
    let takes = |known: &&KnownVersion| rebuild_reasons(known.plan(), plan).is_empty();
    let live = known.iter().rev().filter(|known| known.state.is_live());
    served(known).filter(takes).or_else(|| live.into_iter().find(takes))
}

/// Whether what provision makes of this plan is served at once: the first version, or a change of the served one.
pub(super) fn serves(known: &[KnownVersion], plan: &IndexPlan, goal: Goal) -> bool {
    match taken_by(known, plan, goal) {
        Some(wanted) => wanted.state == VersionState::Served,
        None => served(known).is_none(),
    }
}

/// Why this plan can't take the place of the one that documents were written by, so that they are kept and found in another way;
/// empty: it can.
fn rebuild_reasons(before: &IndexPlan, plan: &IndexPlan) -> Vec<String> {
    let partitions = |plan: &IndexPlan| plan.kafka.as_ref().map(|kafka| kafka.partitions);
    let is_other_query = before.fetch.query_hash != plan.fetch.query_hash;
    let is_found_otherwise = || {
        let found_by = SqliteIndex::new(Arc::new(before.clone()), 1);
        let wanted = SqliteIndex::new(Arc::new(plan.clone()), 1);
        !wanted.lookup_paths().is_subset(&found_by.lookup_paths())
    };
    let fields = FieldChanges::between(&before.fields, &plan.fields);
    let [store, owners] = APART;
    let is_indexed_otherwise =
        if is_other_query { fields.is_indexed_otherwise } else { before.fields != plan.fields };
    let parts: [(&str, bool); 6] = [
        (OTHER_ROOT, before.entity != plan.entity || before.key != plan.key),
        (OTHER_QUERY, is_other_query),
        (store, before.store != plan.store),
        ("fields are indexed differently", is_indexed_otherwise),
        (owners, partitions(before) != partitions(plan)),
        (
            "documents are looked up by a key that the stored ones are not found by",
            !is_other_query && is_found_otherwise(),
        ),
    ];
    let told = parts.iter().filter(|(_, differs)| *differs).map(|(reason, _)| (*reason).to_owned());
    let mut reasons: Vec<String> = told.collect();
    if is_other_query {
        reasons.extend(fields.told());
        reasons.push(BACKFILLED.to_owned());
    }
    reasons
}

/// What another query makes of the fields of the document.
#[derive(Default)]
struct FieldChanges {
    gained: Vec<String>,
    lost: Vec<String>,
    /// Of another type.
    changed: Vec<String>,
    /// Whether a field of both is indexed in another way.
    is_indexed_otherwise: bool,
}

impl FieldChanges {
    fn between(before: &FieldTree, after: &FieldTree) -> Self {
        let by_path = |tree: &FieldTree| -> BTreeMap<String, Field> {
            tree.walk().map(|field| (field.path.clone(), field.clone())).collect()
        };
        let (before, after) = (by_path(before), by_path(after));
        let mut changes =
            Self { gained: only(&after, &before), lost: only(&before, &after), ..Self::default() };
        for (path, after) in &after {
            let Some(before) = before.get(path) else { continue };
            let shape = |field: &Field| (field.kind, field.graphql_type.clone(), field.list_depth);
            if shape(before) != shape(after) {
                changes.changed.push(path.clone());
            }
            changes.is_indexed_otherwise |= before.mapping != after.mapping;
        }
        changes
    }

    fn told(&self) -> impl Iterator<Item = String> {
        let lists = [("gains", &self.gained), ("loses", &self.lost), ("has in another type", &self.changed)];
        lists.into_iter().filter(|(_, paths)| !paths.is_empty()).map(|(word, paths)| {
            let named: Vec<String> = paths.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
            let more = match paths.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("the document {word} {}{more}", named.join(", "))
        })
    }
}

/// The paths of the document that only one of two trees has; of an object that is in it alone, not those below.
fn only(these: &BTreeMap<String, Field>, others: &BTreeMap<String, Field>) -> Vec<String> {
    let is_below = |path: &str| {
        let parent = path.rsplit_once('.').map(|(parent, _)| parent);
        parent.is_some_and(|parent| !others.contains_key(parent))
    };
    let is_own = |(path, field): &(&String, &Field)| {
        field.kind != FieldKind::Virtual && !others.contains_key(*path) && !is_below(path)
    };
    these.iter().filter(is_own).map(|(path, _)| path.clone()).collect()
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
