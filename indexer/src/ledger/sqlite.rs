//! The ledger in the state file.

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion, Epoch};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Backfill, BackfillIds, FanOutStep, FanOuts, Fanning, Figures, Held, Hold, IndexState, IndexVersion,
    LaneWishes, Ledger, RetryPauses,
    figures::FIGURES_ARE_FRESH_MS,
    versions::{KnownVersion, Lack, VersionState, served},
};
use crate::{
    StateError, StateFile,
    audit::AuditRow,
    history::Step,
    log::sqlite::{read_id, read_wants},
    now_ms,
    revision::Wants,
    state::not_provisioned,
};

mod fan_outs;
mod lately;
mod saved;
pub(crate) mod versions;

/// What [`read_held`] reads.
const HELD_COLUMNS: &str =
    "id, version, subgraph, code, path, message, attempts, first_at, last_at, next_at, wants";

/// The ledger of the embedded world.
#[derive(Clone)]
pub struct SqliteLedger {
    state: StateFile,
    retry: RetryPauses,
}

impl SqliteLedger {
    /// The ledger in this file.
    pub fn new(state: StateFile, retry: RetryPauses) -> Self {
        Self { state, retry }
    }
}

/// The served index version in this file.
pub(crate) fn served_version(state: &StateFile) -> Result<IndexVersion, StateError> {
    let known = versions::known_versions(state)?;
    served(&known).map(|known| known.version.clone()).ok_or_else(|| not_provisioned(state.path()))
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn served(&self) -> Result<IndexVersion, StateError> {
        served_version(&self.state)
    }

    async fn versions(&self) -> Result<Vec<KnownVersion>, StateError> {
        versions::known_versions(&self.state)
    }

    async fn version_states(&self) -> Result<Vec<(u32, VersionState)>, StateError> {
        self.state.read(versions::states).await
    }

    async fn change_version(
        &self,
        number: u32,
        from: &VersionState,
        to: &VersionState,
    ) -> Result<bool, StateError> {
        let (from, to) = (from.clone(), to.clone());
        self.state.write(move |tx| versions::change(tx, number, &from, &to)).await
    }

    async fn promote(&self, from: u32, to: u32) -> Result<bool, StateError> {
        self.state.write(move |tx| versions::promote(tx, from, to)).await
    }

    async fn forget_version(&self, number: u32) -> Result<(), StateError> {
        self.state.write(move |tx| versions::forget(tx, number)).await
    }

    async fn note_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
        self.state.write(move |tx| versions::note_lacks(tx, number, &lacks)).await
    }

    async fn lacks(&self, number: u32, limit: usize) -> Result<Vec<Lack>, StateError> {
        self.state.read(move |conn| versions::lacks(conn, number, limit)).await
    }

    async fn fill_lacks(&self, number: u32, lacks: Vec<Lack>) -> Result<(), StateError> {
        self.state.write(move |tx| versions::fill_lacks(tx, number, &lacks)).await
    }

    async fn take_epoch(&self, stored: Epoch) -> Result<Epoch, StateError> {
        let taken = self
            .state
            .write(move |tx| {
                let next = epoch_in(tx)?.max(stored).next();
                if let Some(epoch) = next {
                    tx.execute(
                        "INSERT OR REPLACE INTO meta VALUES ('epoch', ?1)",
                        [epoch.get().to_string()],
                    )?;
                }
                Ok(next)
            })
            .await?;
        taken.ok_or_else(|| StateError::EpochsUsedUp(self.state.path().display().to_string()))
    }

    async fn hold(&self, holds: Vec<Hold>) -> Result<(), StateError> {
        if holds.is_empty() {
            return Ok(());
        }
        let retry = self.retry;
        self.state
            .write(move |tx| {
                let now = now_ms();
                let mut tried = tx.prepare_cached(
                    "SELECT attempts, first_at, wants FROM held WHERE id = ?1 AND version < ?2",
                )?;
                let mut known = tx.prepare_cached("SELECT 1 FROM held WHERE id = ?1")?;
                let mut insert = tx.prepare_cached(
                    "INSERT OR REPLACE INTO held VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11)",
                )?;
                for Hold { id, version, cause, wants } in holds {
                    let before: Option<(u32, i64, Wants)> = tried
                        .query_row(params![id.as_str(), version.get()], |row| {
                            Ok((row.get(0)?, row.get(1)?, read_wants(row, 2)?))
                        })
                        .optional()?;
                    if before.is_none() && known.exists([id.as_str()])? {
                        continue; // this fetch or a newer one has spoken
                    }
                    let (attempts, first_at, mut all) = before
                        .map_or((1, now, Wants::default()), |(tried, first, wants)| {
                            (tried.saturating_add(1), first, wants)
                        });
                    all.merge(wants);
                    insert.execute(params![
                        id.as_str(),
                        version.get(),
                        cause.subgraph,
                        cause.code,
                        cause.path,
                        cause.message,
                        attempts,
                        first_at,
                        now,
                        now.saturating_add(retry.after(attempts)),
                        all.to_json(),
                    ])?;
                }
                Ok(())
            })
            .await
    }

    async fn release(&self, completed: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        // Nearly always nothing is held; a look is cheaper than a transaction.
        if !self.state.read(|conn| conn.prepare_cached("SELECT 1 FROM held LIMIT 1")?.exists(())).await? {
            return Ok(());
        }
        self.state
            .write(move |tx| {
                let mut delete =
                    tx.prepare_cached("DELETE FROM held WHERE id = ?1 AND version < ?2 RETURNING subgraph")?;
                let mut healed = Vec::new();
                for (id, version) in completed {
                    let subgraph: Option<Option<String>> =
                        delete.query_row(params![id.as_str(), version.get()], |row| row.get(0)).optional()?;
                    healed.extend(subgraph);
                }
                healed.sort_unstable();
                healed.dedup();
                // Whoever can't be attributed tells nothing about others; whoever is on the way needs no second wish.
                let mut due = tx.prepare_cached(
                    "UPDATE held SET next_at = 0 WHERE subgraph = ?1 AND replayed = 0 AND next_at > ?2",
                )?;
                for subgraph in healed {
                    due.execute(params![subgraph, now_ms()])?;
                }
                Ok(())
            })
            .await
    }

    async fn due(&self, limit: usize, without: &[String]) -> Result<Vec<Held>, StateError> {
        let without = as_json(&without);
        let sql = format!(
            "SELECT {HELD_COLUMNS} FROM held WHERE next_at <= ?1
             AND (subgraph IS NULL OR subgraph NOT IN (SELECT value FROM json_each(?2)))
             ORDER BY next_at LIMIT ?3"
        );
        self.state
            .read(move |conn| {
                let asked = params![now_ms(), without, limit];
                conn.prepare_cached(&sql)?.query_map(asked, read_held)?.collect()
            })
            .await
    }

    async fn mark_replayed(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        let next_at = now_ms().saturating_add(self.retry.longest());
        self.state
            .write(move |tx| {
                let sql = "UPDATE held SET next_at = ?3, replayed = 1 WHERE id = ?1 AND version = ?2";
                let mut mark = tx.prepare_cached(sql)?;
                holds.iter().try_for_each(|(id, version)| {
                    mark.execute(params![id.as_str(), version.get(), next_at]).map(drop)
                })
            })
            .await
    }

    async fn held_among(&self, ids: &[DocumentId]) -> Result<Vec<Held>, StateError> {
        let ids: Vec<&str> = ids.iter().map(DocumentId::as_str).collect();
        let ids = as_json(&ids);
        let sql = format!("SELECT {HELD_COLUMNS} FROM held WHERE id IN (SELECT value FROM json_each(?1))");
        self.state.read(move |conn| conn.prepare_cached(&sql)?.query_map([ids], read_held)?.collect()).await
    }

    async fn held(&self, after: Option<&DocumentId>, limit: usize) -> Result<Vec<Held>, StateError> {
        let after = after.map(|id| id.as_str().to_owned()).unwrap_or_default();
        let sql = format!("SELECT {HELD_COLUMNS} FROM held WHERE id > ?1 ORDER BY id LIMIT ?2");
        self.state
            .read(move |conn| {
                conn.prepare_cached(&sql)?.query_map(params![after, limit], read_held)?.collect()
            })
            .await
    }

    async fn forget(&self, holds: Vec<(DocumentId, DocumentVersion)>) -> Result<(), StateError> {
        self.state
            .write(move |tx| {
                let mut delete = tx.prepare_cached("DELETE FROM held WHERE id = ?1 AND version <= ?2")?;
                holds.iter().try_for_each(|(id, version)| {
                    delete.execute(params![id.as_str(), version.get()]).map(drop)
                })
            })
            .await
    }

    async fn held_count(&self) -> Result<u64, StateError> {
        let sql = "SELECT count(*) FROM held";
        self.state.read(move |conn| conn.query_row(sql, (), |row| row.get(0))).await
    }

    async fn state(&self) -> Result<IndexState, StateError> {
        self.state.read(state_in).await
    }

    async fn change_state(&self, from: &IndexState, to: &IndexState) -> Result<bool, StateError> {
        let (from, to) = (from.clone(), as_json(to));
        self.state
            .write(move |tx| {
                let is_from = state_in(tx)? == from;
                if is_from {
                    tx.execute("INSERT OR REPLACE INTO meta VALUES ('state', ?1)", [to])?;
                }
                Ok(is_from)
            })
            .await
    }

    async fn set_state(&self, state: IndexState) -> Result<(), StateError> {
        let text = as_json(&state);
        self.state
            .write(move |tx| tx.execute("INSERT OR REPLACE INTO meta VALUES ('state', ?1)", [text]).map(drop))
            .await
    }

    async fn lane_wishes(&self) -> Result<LaneWishes, StateError> {
        self.state.read(wishes_in).await
    }

    async fn change_lane_wishes(&self, from: &LaneWishes, to: &LaneWishes) -> Result<bool, StateError> {
        let (from, to) = (from.clone(), as_json(to));
        self.state
            .write(move |tx| {
                let is_from = wishes_in(tx)? == from;
                if is_from {
                    tx.execute("INSERT OR REPLACE INTO meta VALUES ('backfill_lane', ?1)", [to])?;
                }
                Ok(is_from)
            })
            .await
    }

    async fn publish(&self, figures: &Figures) -> Result<(), StateError> {
        let (process, at, text) = (figures.process.clone(), figures.at, as_json(figures));
        self.state
            .write(move |tx| {
                tx.execute("DELETE FROM figures WHERE at < ?1", [at - FIGURES_ARE_FRESH_MS])?;
                tx.execute("INSERT OR REPLACE INTO figures VALUES (?1, ?2, ?3)", params![process, text, at])?;
                Ok(())
            })
            .await
    }

    async fn withdraw(&self, process: &str) -> Result<(), StateError> {
        let process = process.to_owned();
        self.state
            .write(move |tx| tx.execute("DELETE FROM figures WHERE process = ?1", [process]).map(drop))
            .await
    }

    async fn figures(&self) -> Result<Vec<Figures>, StateError> {
        let sql = "SELECT figures FROM figures WHERE at >= ?1 ORDER BY process";
        self.state
            .read(move |conn| {
                let since = now_ms() - FIGURES_ARE_FRESH_MS;
                conn.prepare(sql)?.query_map([since], |row| from_json(row, 0))?.collect()
            })
            .await
    }

    async fn start_backfill(&self, ids: BackfillIds) -> Result<i64, StateError> {
        let ids = as_json(&ids);
        self.state
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO backfill (state, ids, enumerated, through, started_at) VALUES ('\"ENUMERATING\"', ?1, 0, '{}', ?2)",
                    params![ids, now_ms()],
                )?;
                Ok(tx.last_insert_rowid())
            })
            .await
    }

    async fn backfills(&self) -> Result<Vec<Backfill>, StateError> {
        self.state.read(|conn| backfills_in(conn, true)).await
    }

    async fn save_backfill(&self, backfill: &Backfill) -> Result<(), StateError> {
        let row = backfill.clone();
        self.state
            .write(move |tx| {
                tx.execute(
                    "UPDATE backfill SET state = ?2, cursor = ?3, enumerated = ?4, through = ?5, error = ?6,
                     ended_at = ?7 WHERE number = ?1 AND enumerated <= ?4 AND ended_at IS NULL",
                    params![
                        row.number,
                        as_json(&row.state),
                        row.cursor,
                        row.enumerated,
                        as_json(&row.through),
                        row.error,
                        row.ended_at
                    ],
                )?;
                Ok(())
            })
            .await
    }

    async fn open_backfills(&self) -> Result<Vec<Backfill>, StateError> {
        self.state.read(|conn| backfills_in(conn, false)).await
    }

    async fn fan_outs(&self) -> Result<Vec<FanOuts>, StateError> {
        self.state.read(fan_outs::open).await
    }

    async fn step_fan_outs(&self, of: &Fanning, step: FanOutStep) -> Result<Option<FanOuts>, StateError> {
        let of = of.clone();
        self.state.write(move |tx| fan_outs::step(tx, of, step)).await
    }

    async fn note_history(
        &self,
        writer: &str,
        noted: Vec<(DocumentId, Vec<Step>)>,
    ) -> Result<(), StateError> {
        let writer = writer.to_owned();
        self.state.write(move |tx| lately::note(tx, &writer, noted)).await
    }

    async fn history(&self, id: &DocumentId) -> Result<Vec<Step>, StateError> {
        let id = id.clone();
        self.state.read(move |conn| lately::history(conn, &id)).await
    }

    async fn audits(&self) -> Result<Vec<AuditRow>, StateError> {
        self.state.read(lately::audits).await
    }

    async fn save_audit(&self, audit: &AuditRow) -> Result<(), StateError> {
        let audit = audit.clone();
        self.state.write(move |tx| lately::save_audit(tx, &audit)).await
    }
}

fn wishes_in(conn: &Connection) -> rusqlite::Result<LaneWishes> {
    let sql = "SELECT value FROM meta WHERE key = 'backfill_lane'";
    let wishes = conn.query_row(sql, (), |row| from_json(row, 0)).optional()?;
    Ok(wishes.unwrap_or_default())
}

fn backfills_in(conn: &Connection, ended: bool) -> rusqlite::Result<Vec<Backfill>> {
    let sql = r#"SELECT number, state, ids, cursor, enumerated, through, error, started_at, ended_at
                 FROM backfill WHERE ?1 OR state IN ('"ENUMERATING"', '"REBUILDING"') ORDER BY number"#;
    let read = |row: &Row<'_>| {
        Ok(Backfill {
            number: row.get(0)?,
            state: from_json(row, 1)?,
            ids: from_json(row, 2)?,
            cursor: row.get(3)?,
            enumerated: row.get(4)?,
            through: from_json(row, 5)?,
            error: row.get(6)?,
            started_at: row.get(7)?,
            ended_at: row.get(8)?,
        })
    };
    conn.prepare_cached(sql)?.query_map([ended], read)?.collect()
}

fn read_held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        id: read_id(row, 0)?,
        version: DocumentVersion::from_stored(row.get(1)?),
        subgraph: row.get(2)?,
        code: row.get(3)?,
        path: row.get(4)?,
        message: row.get(5)?,
        attempts: row.get(6)?,
        first_at: row.get(7)?,
        last_at: row.get(8)?,
        next_at: row.get(9)?,
        wants: read_wants(row, 10)?,
    })
}

fn state_in(conn: &Connection) -> rusqlite::Result<IndexState> {
    let sql = "SELECT value FROM meta WHERE key = 'state'";
    let text: Option<String> = conn.query_row(sql, (), |row| row.get(0)).optional()?;
    Ok(text.map_or(IndexState::Running, |text| {
        serde_json::from_str(&text).unwrap_or_else(|_| IndexState::unreadable(&text))
    }))
}

fn epoch_in(conn: &Connection) -> rusqlite::Result<Epoch> {
    let kept: Option<String> =
        conn.query_row("SELECT value FROM meta WHERE key = 'epoch'", (), |row| row.get(0)).optional()?;
    Ok(kept.and_then(|text| Epoch::new(text.parse().ok()?)).unwrap_or(Epoch::ZERO))
}

fn as_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("ledger rows have string keys only")
}

fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt as _;

    use super::*;
    use crate::{
        ledger::conformance::{self, Ledgers, World},
        provision::state::provision,
        testing,
    };

    struct Files(tempfile::TempDir);

    #[async_trait]
    impl World for Files {
        async fn provisioned(&self, retry: RetryPauses) -> Ledgers {
            let folder = tempfile::tempdir_in(&self.0).unwrap().keep();
            let (path, plan) = (folder.join("movies.db"), testing::movies());
            provision(&path, &plan).unwrap();
            let other = path.clone();
            let make_second = move |plan: plan::IndexPlan| {
                provision(&other, &plan).unwrap();
                async {}.boxed()
            };
            let open = move || -> Arc<dyn Ledger> {
                Arc::new(SqliteLedger::new(StateFile::open(&path, "movies").unwrap(), retry))
            };
            Ledgers { plan, open: Box::new(open), make_second: Box::new(make_second) }
        }
    }

    #[tokio::test]
    async fn the_ledger_in_the_state_file_does_what_every_ledger_must() {
        conformance::run(&Files(tempfile::tempdir().unwrap())).await;
    }
}
