//! The schemas by which records were written, each read once: a topic names the same few for years.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{RegisteredSchema, Registry, RegistryError, SchemaId};
use crate::avro::WriterSchema;

/// Schemas kept at most, the oldest given up first. A schema of 200 columns takes some 50 KiB.
const MAX_KEPT: usize = 1_000;

/// How long an id that the registry doesn't know is not asked for again. A topic may hold millions of records that name it; who
/// registers it and replays its dead letters is not kept waiting.
const UNKNOWN_FOR: Duration = Duration::from_secs(3);

/// Schemas that one may refer to, over all levels.
const MAX_REFERENCES: usize = 100;

/// A registry's schemas, as far as records named them. Clones share them.
#[derive(Clone)]
pub struct Schemas {
    registry: Registry,
    kept: Arc<Mutex<Kept>>,
}

/// A schema, or what is wrong with it: a registry never changes what it has given a number to.
type Read = Result<Arc<WriterSchema>, String>;

/// What is known of an id.
struct Known {
    read: Read,
    /// Until when it is believed; `None`: for ever.
    until: Option<Instant>,
}

#[derive(Default)]
struct Kept {
    by_id: HashMap<SchemaId, Known>,
    order: VecDeque<SchemaId>,
}

impl Schemas {
    /// The schemas of this registry; none is asked for yet.
    pub fn new(registry: Registry) -> Self {
        Self { registry, kept: Arc::default() }
    }

    /// The schema that a record names, or why no record can be read by it. An id that the registry doesn't know is asked for
    /// again some seconds later: it may be known by then.
    ///
    /// Errors: the registry doesn't answer, or refuses to. They say nothing about the record.
    pub async fn get(&self, id: SchemaId) -> Result<Result<Arc<WriterSchema>, String>, RegistryError> {
        let is_believed = |known: &&Known| known.until.is_none_or(|until| Instant::now() < until);
        if let Some(known) = self.lock().by_id.get(&id).filter(is_believed) {
            return Ok(known.read.clone());
        }
        let (read, until) = match self.read(id).await {
            Err(error @ RegistryError::NotFound { .. }) => {
                (Err(error.to_string()), Some(Instant::now() + UNKNOWN_FOR))
            }
            read => (read?, None),
        };
        let mut kept = self.lock();
        if kept.by_id.insert(id, Known { read: read.clone(), until }).is_none() {
            kept.order.push_back(id);
        }
        if kept.order.len() > MAX_KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_id.remove(&oldest);
        }
        Ok(read)
    }

    async fn read(&self, id: SchemaId) -> Result<Read, RegistryError> {
        let registered = self.registry.schema(id).await?;
        if registered.schema_type != "AVRO" {
            return Ok(Err(format!("schema {id} is of the type {}, not AVRO", registered.schema_type)));
        }
        let references = match self.references(&registered).await? {
            Ok(references) => references,
            Err(reason) => return Ok(Err(format!("schema {id}: {reason}"))),
        };
        let schema = WriterSchema::parse(&registered.schema, &references);
        Ok(schema.map(Arc::new).map_err(|error| format!("schema {id}: {error}")))
    }

    /// The texts of all schemas that one refers to, each behind those that it refers to itself.
    async fn references(
        &self,
        registered: &RegisteredSchema,
    ) -> Result<Result<Vec<String>, String>, RegistryError> {
        let mut texts = Vec::new();
        let mut known: BTreeMap<(String, u32), RegisteredSchema> = BTreeMap::new();
        let mut written = BTreeSet::new();
        // A walk in depth, whose entries are met a second time when all below them is written.
        let below = |schema: &RegisteredSchema| {
            let references = schema.references.iter().rev();
            references.map(|reference| (reference.subject.clone(), reference.version)).collect::<Vec<_>>()
        };
        let mut open: Vec<((String, u32), bool)> =
            below(registered).into_iter().map(|key| (key, false)).collect();
        while let Some((key, is_done)) = open.pop() {
            if written.contains(&key) {
                continue;
            }
            if is_done {
                texts.push(known[&key].schema.clone());
                written.insert(key);
                continue;
            }
            if known.contains_key(&key) {
                return Ok(Err(format!("version {} of {} refers to itself", key.1, key.0)));
            }
            if known.len() >= MAX_REFERENCES {
                return Ok(Err(format!("it refers to more than {MAX_REFERENCES} others")));
            }
            let schema = self.registry.version(&key.0, key.1).await?;
            open.push((key.clone(), true));
            open.extend(below(&schema).into_iter().map(|key| (key, false)));
            known.insert(key, schema);
        }
        Ok(Ok(texts))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is held, and each entry is whole by itself.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
