//! Held documents: a row each, under the version of the fetch that failed.
//!
//! The server compares versions: a row is written by a fetch that is newer than the one it tells of, and deleted by one that
//! is newer still. Whoever comes too late changes nothing, which is success. What is noted about a row between two fetches
//! is written under the row's own version.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use plan::{DocumentId, DocumentVersion};
use search::elastic::{ElasticError, Page, Rows, When, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::layout::{Kind, held_row};
use crate::{
    ledger::{Held, Hold, RetryPauses},
    now_ms,
    revision::Wants,
};

/// How many documents of a subgraph one release makes due. It bounds what a release takes; replays are slower than it.
const HEALED: usize = 1_000;

/// How long it is believed that nothing is held, or something. A document that another process held meanwhile stays held until
/// it is tried again; its own owner knows at once.
const BELIEVED: Duration = Duration::from_secs(1);

/// The held documents.
pub(super) struct HeldDocuments {
    rows: Rows,
    retry: RetryPauses,
    look: Mutex<Look>,
}

/// Whether anything is held, when it was last asked.
#[derive(Default)]
struct Look {
    /// Grows with each hold of this process: what was asked before it is no answer after it.
    changes: u64,
    answer: Option<(Instant, bool)>,
}

#[derive(Serialize, Deserialize)]
struct HeldRow {
    kind: Kind,
    id: DocumentId,
    version: DocumentVersion,
    subgraph: Option<String>,
    /// Whether it is in the log again.
    replayed: bool,
    next_at: i64,
    body: HeldBody,
}

#[derive(Serialize, Deserialize)]
struct HeldBody {
    code: String,
    path: Option<String>,
    message: String,
    attempts: u32,
    first_at: i64,
    last_at: i64,
    #[serde(default, skip_serializing_if = "Wants::is_empty")]
    wants: Wants,
}

impl HeldDocuments {
    /// The held documents among these rows, tried again after these pauses.
    pub(super) fn new(rows: Rows, retry: RetryPauses) -> Self {
        Self { rows, retry, look: Mutex::default() }
    }

    /// Forgets what is believed: another owner may have held documents that are now ours.
    pub(super) fn look_anew(&self) {
        self.believe(None);
    }

    fn believe(&self, is_held: Option<bool>) {
        let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        look.changes += 1;
        look.answer = is_held.map(|is_held| (Instant::now(), is_held));
    }

    /// Writes the holds that are newer than what is held.
    pub(super) async fn hold(&self, holds: Vec<Hold>) -> Result<(), ElasticError> {
        if holds.is_empty() {
            return Ok(());
        }
        // Before, because the answer may be lost; after, because somebody may have looked meanwhile.
        self.believe(Some(true));
        let there = self.read(holds.iter().map(|hold| &hold.id)).await?;
        let now = now_ms();
        let mut writes = Vec::new();
        for Hold { id, version, cause, wants } in holds {
            let before = there.get(&id);
            if before.is_some_and(|row| row.version >= version) {
                continue; // this fetch or a newer one has spoken
            }
            let attempts = before.map_or(0, |row| row.body.attempts).saturating_add(1);
            let mut all = before.map_or_else(Wants::default, |row| row.body.wants.clone());
            all.merge(wants);
            let row = HeldRow {
                kind: Kind::Held,
                version,
                subgraph: cause.subgraph,
                replayed: false,
                next_at: now.saturating_add(self.retry.after(attempts)),
                body: HeldBody {
                    code: cause.code,
                    path: cause.path,
                    message: cause.message,
                    attempts,
                    first_at: before.map_or(now, |row| row.body.first_at),
                    last_at: now,
                    wants: all,
                },
                id,
            };
            writes.push(Write::put(held_row(&row.id), &row, When::Newer(version.get())));
        }
        self.rows.write_all(&writes).await?;
        self.believe(Some(true));
        Ok(())
    }

    /// Clears what newer fetches completed, and makes due what the same subgraphs made fail.
    pub(super) async fn release(
        &self,
        completed: Vec<(DocumentId, DocumentVersion)>,
    ) -> Result<(), ElasticError> {
        if completed.is_empty() || !self.is_anything_held().await? {
            return Ok(());
        }
        let there = self.read(completed.iter().map(|(id, _)| id)).await?;
        let (mut deletes, mut subgraphs) = (Vec::new(), Vec::new());
        for (id, version) in completed {
            if let Some(row) = there.get(&id).filter(|row| row.version < version) {
                deletes.push(Write::delete(held_row(&id), When::Newer(version.get())));
                subgraphs.push(row.subgraph.clone());
            }
        }
        let cleared = self.rows.write_all(&deletes).await?;
        // Whoever can't be attributed tells nothing about others.
        let healed = subgraphs.into_iter().zip(cleared).filter(|(_, is_cleared)| *is_cleared);
        let healed: BTreeSet<String> = healed.filter_map(|(subgraph, _)| subgraph).collect();
        for subgraph in healed {
            self.make_due(&subgraph).await?;
        }
        Ok(())
    }

    /// Asks at most once in [`BELIEVED`].
    async fn is_anything_held(&self) -> Result<bool, ElasticError> {
        let changes = {
            let look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
            match look.answer {
                Some((at, is_held)) if at.elapsed() < BELIEVED => return Ok(is_held),
                _ => look.changes,
            }
        };
        let asked_at = Instant::now();
        let is_held = self.count().await? > 0;
        let mut look = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        if look.changes == changes {
            look.answer = Some((asked_at, is_held));
        }
        Ok(is_held)
    }

    /// Whatever is on its way already needs no second wish.
    async fn make_due(&self, subgraph: &str) -> Result<(), ElasticError> {
        let waits = [
            json!({ "term": { "subgraph": subgraph } }),
            json!({ "term": { "replayed": false } }),
            json!({ "range": { "next_at": { "gt": now_ms() } } }),
        ];
        let rows = self.find(&waits, vec!["next_at", "id"], Vec::new(), HEALED).await?;
        self.note(rows, |row| row.next_at = 0).await
    }

    /// What is due and not of these subgraphs, the longest due first.
    pub(super) async fn due(&self, limit: usize, without: &[String]) -> Result<Vec<Held>, ElasticError> {
        let is_due = [
            json!({ "range": { "next_at": { "lte": now_ms() } } }),
            json!({ "bool": { "must_not": { "terms": { "subgraph": without } } } }),
        ];
        let rows = self.find(&is_due, vec!["next_at", "id"], Vec::new(), limit).await?;
        Ok(rows.into_iter().map(Held::from).collect())
    }

    /// Those of these documents that are held.
    pub(super) async fn among(&self, ids: &[DocumentId]) -> Result<Vec<Held>, ElasticError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.read(ids.iter()).await?.into_values().map(Held::from).collect())
    }

    /// Notes that these holds are in the log again.
    pub(super) async fn mark_replayed(
        &self,
        holds: &[(DocumentId, DocumentVersion)],
    ) -> Result<(), ElasticError> {
        let next_at = now_ms().saturating_add(self.retry.longest());
        let mut rows = self.read(holds.iter().map(|(id, _)| id)).await?;
        let seen =
            holds.iter().filter_map(|(id, version)| rows.remove(id).filter(|row| row.version == *version));
        self.note(seen.collect(), |row| {
            row.replayed = true;
            row.next_at = next_at;
        })
        .await
    }

    /// Held documents in the order of their ids.
    pub(super) async fn list(
        &self,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<Held>, ElasticError> {
        let after = after.map(|id| id.as_str().into()).into_iter().collect();
        let rows = self.find(&[], vec!["id"], after, limit).await?;
        Ok(rows.into_iter().map(Held::from).collect())
    }

    /// Forgets holds. A row that a newer fetch wrote stays.
    pub(super) async fn forget(&self, holds: &[(DocumentId, DocumentVersion)]) -> Result<(), ElasticError> {
        let delete = |(id, version): &(DocumentId, DocumentVersion)| {
            Write::delete(held_row(id), When::NotOlder(version.get()))
        };
        let deletes: Vec<Write> = holds.iter().map(delete).collect();
        self.rows.write_all(&deletes).await.map(drop)
    }

    /// How many documents are held.
    pub(super) async fn count(&self) -> Result<u64, ElasticError> {
        self.rows.count(&Kind::Held.and(&[])).await
    }

    async fn find(
        &self,
        conditions: &[Value],
        sort: Vec<&'static str>,
        after: Vec<Value>,
        limit: usize,
    ) -> Result<Vec<HeldRow>, ElasticError> {
        self.rows.find(Page { query: Kind::Held.and(conditions), sort, after, limit }).await
    }

    async fn read(
        &self,
        ids: impl Iterator<Item = &DocumentId>,
    ) -> Result<HashMap<DocumentId, HeldRow>, ElasticError> {
        let ids: Vec<String> = ids.map(held_row).collect();
        let rows = self.rows.get_many::<HeldRow>(&ids).await?;
        Ok(rows.into_iter().map(|(_, row)| (row.id.clone(), row)).collect())
    }

    /// Writes rows under the versions that they have. One that a newer fetch wrote or cleared stays so.
    async fn note(&self, rows: Vec<HeldRow>, change: impl Fn(&mut HeldRow)) -> Result<(), ElasticError> {
        let noted = |mut row: HeldRow| {
            change(&mut row);
            Write::put(held_row(&row.id), &row, When::NotOlder(row.version.get()))
        };
        let writes: Vec<Write> = rows.into_iter().map(noted).collect();
        self.rows.write_all(&writes).await.map(drop)
    }
}

impl From<HeldRow> for Held {
    fn from(row: HeldRow) -> Self {
        let HeldRow { id, version, subgraph, next_at, body, .. } = row;
        let HeldBody { code, path, message, attempts, first_at, last_at, wants } = body;
        Self { id, version, subgraph, code, path, message, attempts, first_at, last_at, next_at, wants }
    }
}
