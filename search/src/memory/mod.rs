//! The in-memory store: documents in a map, read one by one for every question. For tests, simulations and small indexes;
//! being plain, it is also what the other stores are compared with.

pub(crate) mod rank;
mod search;
mod suggest;
pub(crate) mod values;

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use plan::{DocumentId, DocumentVersion, Field, IndexPlan, field::MappingKind};
use serde_json::Value;

use self::values::Values;
use crate::{
    Counts, DocumentWrite, PutOutcome, StoredDocument,
    document::{MAX_ELEMENTS, too_many_elements},
};

/// One index version in memory. Clones share their documents, which are gone with the last of them.
#[derive(Debug, Clone)]
pub struct MemoryIndex {
    plan: Arc<IndexPlan>,
    documents: Arc<RwLock<Documents>>,
}

type Documents = BTreeMap<DocumentId, Kept>;

/// A document or a tombstone.
#[derive(Debug)]
struct Kept {
    stored: StoredDocument,
    /// What the body says; `None` of a tombstone.
    document: Option<Value>,
}

/// A reverse lookup of a path that holds no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no path of a reverse lookup")]
pub struct UnknownPath(pub String);

impl MemoryIndex {
    /// A new index of this plan.
    pub fn new(plan: Arc<IndexPlan>) -> Self {
        Self { plan, documents: Arc::default() }
    }

    /// The plan it was made from.
    pub fn plan(&self) -> &IndexPlan {
        &self.plan
    }

    /// Writes documents and tombstones, each only where its version is greater than the stored one; outcomes in order.
    pub fn write(&self, documents: &[DocumentWrite<'_>]) -> Vec<PutOutcome> {
        documents.iter().map(|document| self.put(document)).collect()
    }

    fn put(&self, write: &DocumentWrite<'_>) -> PutOutcome {
        let document = match write.body.map(|body| read_body(&self.plan, body)).transpose() {
            Ok(document) => document,
            Err(reason) => return PutOutcome::Rejected(reason),
        };
        let stored = StoredDocument {
            id: write.id.clone(),
            version: write.version,
            body: write.body.map(str::to_owned),
            fetched_at_ms: write.fetched_at_ms,
            missing: write.missing.to_vec(),
        };
        // Nothing panics while it is locked, so that nothing is ever half written.
        let mut documents = self.documents.write().unwrap_or_else(PoisonError::into_inner);
        if documents.get(write.id).is_some_and(|kept| kept.stored.version >= write.version) {
            return PutOutcome::Superseded;
        }
        documents.insert(write.id.clone(), Kept { stored, document });
        PutOutcome::Written
    }

    /// Finds the live documents that hold one of the keys at one of the paths: ids in order, after `after`, at most `limit`.
    ///
    /// Every path of a source's `reverse_lookup` can be asked, and every keyword, integer and text with its whole value.
    pub fn lookup(
        &self,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, UnknownPath> {
        let places = paths.iter().map(|path| self.keys_at(path)).collect::<Result<Vec<_>, _>>()?;
        let wanted: Vec<HashSet<String>> = places
            .iter()
            .map(|place| keys.iter().filter_map(|key| place.written(key.as_str())).collect())
            .collect();
        let holds_one = |document: &Value| {
            let found = |(place, wanted): (&Values, &HashSet<String>)| {
                place.texts(document).iter().any(|text| wanted.contains(text))
            };
            places.iter().zip(&wanted).any(found)
        };
        let documents = self.documents();
        let found = live(&documents, after).filter(|(_, document)| holds_one(document));
        Ok(found.map(|(stored, _)| stored.id.clone()).take(limit).collect())
    }

    /// Where the keys at a path stand, and how they are read.
    fn keys_at(&self, path: &str) -> Result<Values, UnknownPath> {
        let fields = &self.plan.fields;
        let field = fields.get(path).ok_or_else(|| UnknownPath(path.to_owned()))?;
        let has_keys =
            matches!(field.mapping.kind, MappingKind::Keyword | MappingKind::Text | MappingKind::Long);
        if has_keys && field.mapping.has_exact_value() && is_indexed(&self.plan, field) {
            return Ok(Values::of(fields, field));
        }
        let by_sources = self.plan.sources.iter().flat_map(|source| &source.reverse_lookup);
        let by_coverage = self.plan.coverage.iter().filter_map(|line| line.reverse_lookup.as_ref());
        match by_sources.chain(by_coverage).any(|known| known == path) {
            true => Ok(Values::of(fields, field).read_as(MappingKind::Keyword)),
            false => Err(UnknownPath(path.to_owned())),
        }
    }

    /// Reads one document or tombstone.
    pub fn get(&self, id: &DocumentId) -> Option<StoredDocument> {
        self.documents().get(id).map(|kept| kept.stored.clone())
    }

    /// Reads live documents in the order of their ids, after `after`, at most `limit`.
    pub fn scan(&self, after: Option<&DocumentId>, limit: usize) -> Vec<StoredDocument> {
        live(&self.documents(), after).map(|(stored, _)| stored.clone()).take(limit).collect()
    }

    /// The ids of live documents in their order, after `after`, at most `limit`.
    pub fn ids(&self, after: Option<&DocumentId>, limit: usize) -> Vec<DocumentId> {
        live(&self.documents(), after).map(|(stored, _)| stored.id.clone()).take(limit).collect()
    }

    /// Counts the documents.
    pub fn counts(&self) -> Counts {
        let documents = self.documents();
        let live = live(&documents, None).count();
        Counts { live: live as u64, tombstones: (documents.len() - live) as u64 }
    }

    /// The highest version among the documents, tombstones included.
    pub fn highest_version(&self) -> Option<DocumentVersion> {
        self.documents().values().map(|kept| kept.stored.version).max()
    }

    fn documents(&self) -> RwLockReadGuard<'_, Documents> {
        self.documents.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The live documents after an id, in the order of their ids.
fn live<'d>(
    documents: &'d Documents,
    after: Option<&DocumentId>,
) -> impl Iterator<Item = (&'d StoredDocument, &'d Value)> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let after = documents.range::<DocumentId, _>((from, Bound::Unbounded));
    after.filter_map(|(_, kept)| Some((&kept.stored, kept.document.as_ref()?)))
}

/// Reads a body; the error says why it can't be indexed.
fn read_body(plan: &IndexPlan, body: &str) -> Result<Value, String> {
    let document: Value =
        serde_json::from_str(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    if !document.is_object() {
        return Err("the body is not a JSON object".to_owned());
    }
    match count_elements(&plan.fields.0, &document) > MAX_ELEMENTS {
        true => Err(too_many_elements()),
        false => Ok(document),
    }
}

/// The objects of nested lists, and the geo points.
fn count_elements(fields: &[Field], value: &Value) -> i64 {
    let inside = |field: &Field, value: &Value| match (field.mapping.kind, value) {
        (MappingKind::Nested, Value::Object(_)) => 1 + count_elements(&field.children, value),
        (MappingKind::Object, Value::Object(_)) => count_elements(&field.children, value),
        (MappingKind::GeoPoint, Value::Object(_)) => 1,
        _ => 0,
    };
    let indexed = fields.iter().filter(|field| field.mapping.indexed);
    indexed
        .map(|field| {
            let names = [field.name.clone()];
            let values = values::flat(plan::filter::values_at(value, &names));
            values.iter().map(|value| inside(field, value)).sum::<i64>()
        })
        .sum()
}

/// Whether neither the field nor what is around it says `index: false`.
fn is_indexed(plan: &IndexPlan, field: &Field) -> bool {
    let line = plan.fields.ancestry(&field.path).unwrap_or_default();
    !line.is_empty() && line.iter().all(|field| field.mapping.indexed)
}

#[cfg(test)]
mod tests;
