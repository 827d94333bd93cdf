//! What a backfill asks of each subgraph: the calls that a gateway makes for one request, and the bytes that answer them.
//!
//! Both follow from who owns the selected paths. A gateway plans as it likes, so that this is an estimate: one call for the
//! root, and one more for each place where another subgraph goes on.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Field, FieldKind, IndexPlan, index_plan::FetchMode};
use serde::Serialize;
use serde_json::Value;

use super::{Range, count};

/// What a backfill asks of one subgraph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubgraphLoad {
    /// Its name.
    pub name: String,
    /// Calls that the gateway makes to it.
    pub calls: Range,
    /// Bytes of the documents that come from it.
    pub bytes: Range,
}

/// Where each subgraph goes on with a document: its places, by their paths; the root's is empty.
pub(super) struct Places<'p> {
    plan: &'p IndexPlan,
    root: &'p str,
    of: BTreeMap<&'p str, BTreeSet<&'p str>>,
}

impl<'p> Places<'p> {
    /// Those of a plan; `None` where the schema doesn't tell who owns what.
    pub(super) fn of(plan: &'p IndexPlan) -> Option<Self> {
        let owned =
            |owner: &&String| plan.fields.0.iter().filter(|field| field.owners.contains(owner)).count();
        let root = plan.fetch.owners.iter().max_by_key(owned)?;
        let mut places = Self { plan, root, of: BTreeMap::new() };
        places.of.entry(root).or_default().insert("");
        places.walk(&plan.fields.0, root, "");
        Some(places)
    }

    fn walk(&mut self, level: &'p [Field], here: &'p str, at: &'p str) {
        for field in level.iter().filter(|field| field.kind != FieldKind::Virtual) {
            let server = self.server(field, here, at);
            if server != here {
                self.of.entry(server).or_default().insert(at);
            }
            self.walk(&field.children, server, &field.path);
        }
    }

    /// Who answers a field: whoever answers what is around it, where that is an owner; else one that is asked there already.
    fn server(&self, field: &'p Field, here: &'p str, at: &str) -> &'p str {
        if field.owners.is_empty() || field.owners.iter().any(|owner| owner == here) {
            return here;
        }
        let is_asked =
            |owner: &&String| self.of.get(owner.as_str()).is_some_and(|places| places.contains(at));
        field.owners.iter().find(is_asked).unwrap_or(&field.owners[0])
    }

    /// Calls to each subgraph for `requests` of `batch` documents. Where a request repeats its root field under aliases, a gateway
    /// may go on from each alias by itself, as Apollo's does, or from all at once.
    pub(super) fn calls(&self, requests: Range, batch: usize) -> BTreeMap<&'p str, Range> {
        let repeated = match self.plan.fetch.mode {
            FetchMode::Alias { .. } => count(batch),
            FetchMode::List { .. } | FetchMode::Single { .. } => 1.0,
        };
        let calls = self.of.iter().map(|(name, places)| {
            // The root is asked once a request, whatever the batch.
            let at_root = count(usize::from(*name == self.root));
            let beyond = count(places.len()) - at_root;
            let each = Range {
                likely: at_root + beyond * repeated,
                low: at_root + beyond,
                high: at_root + beyond * repeated,
            };
            (*name, requests.by(each))
        });
        calls.collect()
    }

    /// Bytes of one document by the subgraphs that they come from; they add up to its length.
    pub(super) fn bytes(&self, body: &str) -> BTreeMap<&'p str, f64> {
        let mut bytes: BTreeMap<&'p str, f64> = self.of.keys().map(|name| (*name, 0.0)).collect();
        if let Ok(document) = serde_json::from_str(body) {
            self.weigh(&self.plan.fields.0, &document, self.root, "", &mut bytes);
        }
        let weighed: f64 = bytes.values().sum();
        // Braces and white space belong to all alike.
        let factor = if weighed > 0.0 { count(body.len()) / weighed } else { 0.0 };
        bytes.values_mut().for_each(|bytes| *bytes *= factor);
        bytes
    }

    fn weigh(
        &self,
        level: &'p [Field],
        value: &Value,
        here: &'p str,
        at: &str,
        bytes: &mut BTreeMap<&'p str, f64>,
    ) {
        if let Value::Array(elements) = value {
            return elements.iter().for_each(|element| self.weigh(level, element, here, at, bytes));
        }
        let Value::Object(object) = value else { return };
        for field in level.iter().filter(|field| field.kind != FieldKind::Virtual) {
            let Some(value) = object.get(&field.name) else { continue };
            let server = self.server(field, here, at);
            let own = bytes.entry(server).or_default();
            // Quotes, colon and comma.
            *own += count(field.name.len() + 4);
            if field.children.is_empty() || value.is_null() {
                *own += count(value.to_string().len());
            } else {
                self.weigh(&field.children, value, server, &field.path, bytes);
            }
        }
    }
}
