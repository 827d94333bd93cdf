//! Reading documents by their id and by the ids of related entities that they hold.

use std::collections::BTreeSet;

use plan::{DocumentId, DocumentVersion, field::MappingKind};
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter, types::Value as SqlValue};

use super::{Counts, SqliteIndex, StoredDocument};

/// Keys in one statement; SQLite takes 32,766 parameters, paths and the rest among them.
const KEYS_A_STATEMENT: usize = 10_000;

impl SqliteIndex {
    /// Finds the live documents that hold one of the keys at one of the paths: ids in order, after `after`, at most `limit`.
    ///
    /// Every path of a source's `reverse_lookup` can be asked, and every keyword and integer; another one is an error.
    pub fn lookup(
        &self,
        conn: &Connection,
        paths: &[String],
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> rusqlite::Result<Vec<DocumentId>> {
        let mut ids = Vec::new();
        for path in paths {
            for keys in keys.chunks(KEYS_A_STATEMENT) {
                ids.extend(self.lookup_one(conn, path, keys, after, limit)?);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(limit);
        Ok(ids)
    }

    /// Every path that [`SqliteIndex::lookup`] can be asked for. A plan that adds one can't take the place of the plan
    /// that documents were written by: those documents would not be found there until they are written again.
    pub fn lookup_paths(&self) -> BTreeSet<&str> {
        self.layout.lookup_paths().collect()
    }

    fn lookup_one(
        &self,
        conn: &Connection,
        path: &str,
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        limit: usize,
    ) -> rusqlite::Result<Vec<DocumentId>> {
        let Some(lookup) = self.layout.lookup(path) else {
            return Err(rusqlite::Error::InvalidParameterName(format!(
                "{path} is no path of a reverse lookup"
            )));
        };
        let mut values: Vec<SqlValue> = keys.iter().filter_map(|key| key_value(lookup.kind, key)).collect();
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let places = vec!["?"; values.len()].join(", ");
        let sql = format!(
            "SELECT d.id FROM {} d WHERE d.doc IN (SELECT doc FROM {} WHERE path = {} AND value IN ({places})) \
             AND d.id > ? ORDER BY d.id LIMIT ?",
            self.tables.documents, self.tables.value, lookup.path.0
        );
        values.push(SqlValue::Text(after.map_or_else(String::new, |id| id.as_str().to_owned())));
        values.push(SqlValue::Integer(limit.try_into().unwrap_or(i64::MAX)));
        // One key is by far the most frequent: its statement is worth keeping, one with 733 keys is not.
        if keys.len() == 1 {
            conn.prepare_cached(&sql)?.query_map(params_from_iter(values), |row| read_id(row, 0))?.collect()
        } else {
            conn.prepare(&sql)?.query_map(params_from_iter(values), |row| read_id(row, 0))?.collect()
        }
    }

    /// Reads one document or tombstone of this index version.
    pub fn get(&self, conn: &Connection, id: &DocumentId) -> rusqlite::Result<Option<StoredDocument>> {
        let sql = format!("{} WHERE d.id = ?", self.select_documents());
        conn.prepare_cached(&sql)?.query_row([id.as_str()], read_document).optional()
    }

    /// Reads live documents in the order of their ids, after `after`, at most `limit`.
    pub fn scan(
        &self,
        conn: &Connection,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> rusqlite::Result<Vec<StoredDocument>> {
        let sql =
            format!("{} WHERE d.id > ? AND NOT e.deleted ORDER BY d.id LIMIT ?", self.select_documents());
        let after = after.map_or("", DocumentId::as_str);
        let limit: i64 = limit.try_into().unwrap_or(i64::MAX);
        conn.prepare_cached(&sql)?.query_map((after, limit), read_document)?.collect()
    }

    /// The ids of live documents in their order, after `after`, at most `limit`; their bodies aren't read.
    pub fn ids(
        &self,
        conn: &Connection,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> rusqlite::Result<Vec<DocumentId>> {
        let sql = format!(
            "SELECT d.id FROM {} d CROSS JOIN {} e ON e.doc = d.doc WHERE d.id > ? AND NOT e.deleted ORDER BY d.id LIMIT ?",
            self.tables.documents, self.tables.entry
        );
        let after = after.map_or("", DocumentId::as_str);
        let limit: i64 = limit.try_into().unwrap_or(i64::MAX);
        conn.prepare_cached(&sql)?.query_map((after, limit), |row| read_id(row, 0))?.collect()
    }

    /// Counts the documents of this index version.
    pub fn counts(&self, conn: &Connection) -> rusqlite::Result<Counts> {
        let sql = "SELECT live, tombstones FROM index_version WHERE version = ?";
        let count = |row: &Row<'_>, column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        conn.prepare_cached(sql)?
            .query_row([self.version], |row| Ok(Counts { live: count(row, 0)?, tombstones: count(row, 1)? }))
    }

    /// The highest version among the documents, tombstones included, in whatever index version of this query.
    pub fn highest_version(&self, conn: &Connection) -> rusqlite::Result<Option<DocumentVersion>> {
        let sql = format!("SELECT max(version) FROM {}", self.tables.documents);
        let version: Option<i64> = conn.query_row(&sql, [], |row| row.get(0))?;
        Ok(version.map(DocumentVersion::from_stored))
    }

    fn select_documents(&self) -> String {
        // CROSS keeps the planner from walking the entries and sorting.
        format!(
            "SELECT d.id, d.version, d.body, d.fetched_at, d.missing FROM {} d CROSS JOIN {} e ON e.doc = d.doc",
            self.tables.documents, self.tables.entry
        )
    }
}

/// A key as the value table writes it at a path of this kind; `None` where no value can equal it.
fn key_value(kind: MappingKind, key: &DocumentId) -> Option<SqlValue> {
    match kind {
        MappingKind::Long => key.as_str().parse().ok().map(SqlValue::Integer),
        _ => Some(SqlValue::Text(key.as_str().to_owned())),
    }
}

fn read_document(row: &Row<'_>) -> rusqlite::Result<StoredDocument> {
    let missing: String = row.get(4)?;
    Ok(StoredDocument {
        id: read_id(row, 0)?,
        version: DocumentVersion::from_stored(row.get(1)?),
        body: row.get(2)?,
        fetched_at_ms: row.get(3)?,
        missing: serde_json::from_str(&missing).map_err(|error| unreadable(4, error))?,
    })
}

fn read_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DocumentId> {
    let text: String = row.get(column)?;
    DocumentId::new(text).map_err(|error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}
