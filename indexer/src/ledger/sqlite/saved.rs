//! Saved searches in the state file, and the matches that wait to be posted.

use async_trait::async_trait;
use plan::DocumentVersion;
use rusqlite::{OptionalExtension, params};

use super::SqliteLedger;
use crate::{
    StateError,
    ledger::{BegunMatch, SavedSearch, SavedSearches},
    log::sqlite::read_id,
};

/// Counts the changes of the saved searches.
const COUNT_CHANGE: &str = "INSERT INTO meta VALUES ('saved_revision', '1')
    ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1";

#[async_trait]
impl SavedSearches for SqliteLedger {
    async fn saved_searches(&self) -> Result<Vec<SavedSearch>, StateError> {
        self.state
            .read(|conn| {
                conn.prepare_cached("SELECT name, filter, saved_at FROM saved_search ORDER BY name")?
                    .query_map((), |row| {
                        Ok(SavedSearch { name: row.get(0)?, filter: row.get(1)?, saved_at: row.get(2)? })
                    })?
                    .collect()
            })
            .await
    }

    async fn saved_revision(&self) -> Result<u64, StateError> {
        self.state
            .read(|conn| {
                let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'saved_revision'";
                Ok(conn.prepare_cached(sql)?.query_row((), |row| row.get(0)).optional()?.unwrap_or(0))
            })
            .await
    }

    async fn save_search(&self, search: SavedSearch) -> Result<(), StateError> {
        self.state
            .write(move |tx| {
                let SavedSearch { name, filter, saved_at } = search;
                tx.execute(
                    "INSERT OR REPLACE INTO saved_search VALUES (?1, ?2, ?3)",
                    params![name, filter, saved_at],
                )?;
                tx.execute(COUNT_CHANGE, ()).map(drop)
            })
            .await
    }

    async fn remove_search(&self, name: &str) -> Result<bool, StateError> {
        let name = name.to_owned();
        self.state
            .write(move |tx| {
                let removed = tx.execute("DELETE FROM saved_search WHERE name = ?1", [name])?;
                tx.execute(COUNT_CHANGE, ())?;
                Ok(removed > 0)
            })
            .await
    }

    async fn note_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError> {
        self.state
            .write(move |tx| {
                let mut note = tx.prepare_cached(
                    "INSERT INTO saved_match VALUES (?1, ?2, ?3, ?4) ON CONFLICT (search, id)
                     DO UPDATE SET version = excluded.version, at = excluded.at WHERE version < excluded.version",
                )?;
                for BegunMatch { search, id, version, at } in matches {
                    note.execute(params![search, id.as_str(), version.get(), at])?;
                }
                Ok(())
            })
            .await
    }

    async fn waiting_matches(
        &self,
        after: Option<&BegunMatch>,
        limit: usize,
    ) -> Result<Vec<BegunMatch>, StateError> {
        let (at, id, search) = after.map_or_else(
            || (i64::MIN, String::new(), String::new()),
            |after| (after.at, after.id.to_string(), after.search.clone()),
        );
        self.state
            .read(move |conn| {
                conn.prepare_cached(
                    "SELECT search, id, version, at FROM saved_match WHERE (at, id, search) > (?1, ?2, ?3)
                     ORDER BY at, id, search LIMIT ?4",
                )?
                .query_map(params![at, id, search, limit], |row| {
                    let version = DocumentVersion::from_stored(row.get(2)?);
                    Ok(BegunMatch { search: row.get(0)?, id: read_id(row, 1)?, version, at: row.get(3)? })
                })?
                .collect()
            })
            .await
    }

    async fn waiting_match_count(&self) -> Result<u64, StateError> {
        self.state.read(|conn| conn.query_row("SELECT count(*) FROM saved_match", (), |row| row.get(0))).await
    }

    async fn settle_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError> {
        self.state
            .write(move |tx| {
                let sql = "DELETE FROM saved_match WHERE search = ?1 AND id = ?2 AND version <= ?3";
                let mut forget = tx.prepare_cached(sql)?;
                matches.iter().try_for_each(|BegunMatch { search, id, version, .. }| {
                    forget.execute(params![search, id.as_str(), version.get()]).map(drop)
                })
            })
            .await
    }
}
