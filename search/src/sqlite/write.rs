//! Putting documents: only a greater version is written, and of its rows only those that changed.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::{
    DocumentWrite, PutOutcome, SqliteIndex,
    rows::{self, RowValue, Rows, ValueRow},
};

impl SqliteIndex {
    /// Writes a document or a tombstone inside the caller's transaction, which must be rolled back after an error.
    pub fn put(&self, conn: &Connection, document: &DocumentWrite<'_>) -> rusqlite::Result<PutOutcome> {
        let doc = self.doc_of(conn, document)?;
        let entry = doc.map(|(doc, _)| self.entry(conn, doc)).transpose()?.flatten();
        if entry.as_ref().is_some_and(|entry| entry.version >= document.version.get()) {
            return Ok(PutOutcome::Superseded);
        }
        let rows = match document.body.map(|body| rows::read(&self.layout, body)) {
            None => Rows { values: HashSet::new(), texts: Vec::new(), kept: Vec::new() },
            Some(Ok(rows)) => rows,
            Some(Err(reason)) => return Ok(PutOutcome::Rejected(reason)),
        };
        let doc = self.write_document(conn, document, doc)?;
        self.write_values(conn, doc, &rows.values, entry.is_some())?;
        let words = fingerprint(&rows.texts);
        if entry.as_ref().map_or(0, |entry| entry.words) != words {
            self.write_texts(conn, doc, &rows.texts, entry.as_ref().is_some_and(|entry| entry.words != 0))?;
        }
        let sql = format!(
            "REPLACE INTO {} (doc, id, version, deleted, words, kept) VALUES (?, ?, ?, ?, ?, ?)",
            self.tables.entry
        );
        let (id, version, deleted) = (document.id.as_str(), document.version.get(), document.body.is_none());
        conn.prepare_cached(&sql)?.execute((doc, id, version, deleted, words, rows.kept))?;
        self.count(conn, entry.as_ref().map(|entry| entry.deleted), deleted)?;
        Ok(PutOutcome::Written)
    }

    /// Keeps the counts, in the transaction that changes what they count.
    fn count(&self, conn: &Connection, was_deleted: Option<bool>, is_deleted: bool) -> rusqlite::Result<()> {
        if was_deleted == Some(is_deleted) {
            return Ok(());
        }
        let change = |deleted| i64::from(is_deleted == deleted) - i64::from(was_deleted == Some(deleted));
        let sql = "UPDATE index_version SET live = live + ?, tombstones = tombstones + ? WHERE version = ?";
        conn.prepare_cached(sql)?.execute((change(false), change(true), self.version))?;
        Ok(())
    }

    /// The number and the version of the document in the documents table.
    fn doc_of(
        &self,
        conn: &Connection,
        document: &DocumentWrite<'_>,
    ) -> rusqlite::Result<Option<(i64, i64)>> {
        let sql = format!("SELECT doc, version FROM {} WHERE id = ?", self.tables.documents);
        conn.prepare_cached(&sql)?
            .query_row([document.id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    }

    fn entry(&self, conn: &Connection, doc: i64) -> rusqlite::Result<Option<Entry>> {
        let sql = format!("SELECT version, words, deleted FROM {} WHERE doc = ?", self.tables.entry);
        conn.prepare_cached(&sql)?
            .query_row([doc], |row| {
                Ok(Entry { version: row.get(0)?, words: row.get(1)?, deleted: row.get(2)? })
            })
            .optional()
    }

    /// Writes the documents table, unless another index version of the same query brought as much already.
    fn write_document(
        &self,
        conn: &Connection,
        document: &DocumentWrite<'_>,
        stored: Option<(i64, i64)>,
    ) -> rusqlite::Result<i64> {
        let table = &self.tables.documents;
        let version = document.version.get();
        let missing = serde_json::to_string(document.missing).unwrap_or_else(|_| "[]".to_owned());
        let (deleted, body, fetched_at) = (document.body.is_none(), document.body, document.fetched_at_ms);
        match stored {
            Some((doc, stored)) if stored >= version => Ok(doc),
            Some((doc, _)) => {
                let sql = format!(
                    "UPDATE {table} SET version = ?, deleted = ?, body = ?, fetched_at = ?, missing = ? WHERE doc = ?"
                );
                conn.prepare_cached(&sql)?
                    .execute(params![version, deleted, body, fetched_at, missing, doc])?;
                Ok(doc)
            }
            None => {
                let sql = format!(
                    "INSERT INTO {table} (id, version, deleted, body, fetched_at, missing) VALUES (?, ?, ?, ?, ?, ?)"
                );
                let id = document.id.as_str();
                conn.prepare_cached(&sql)?.insert(params![id, version, deleted, body, fetched_at, missing])
            }
        }
    }

    /// Leaves what is the same alone: most updates change a few values of many.
    fn write_values(
        &self,
        conn: &Connection,
        doc: i64,
        values: &HashSet<ValueRow>,
        known: bool,
    ) -> rusqlite::Result<()> {
        let table = &self.tables.value;
        let stored = if known { self.stored_values(conn, doc)? } else { HashSet::new() };
        let sql = format!("DELETE FROM {table} WHERE path = ? AND value = ? AND doc = ? AND element = ?");
        let mut delete = conn.prepare_cached(&sql)?;
        for row in stored.difference(values) {
            delete.execute(params![row.path, row.value, doc, row.element])?;
        }
        let sql = format!("INSERT INTO {table} (path, value, doc, element) VALUES (?, ?, ?, ?)");
        let mut insert = conn.prepare_cached(&sql)?;
        for row in values.difference(&stored) {
            insert.execute(params![row.path, row.value, doc, row.element])?;
        }
        Ok(())
    }

    fn stored_values(&self, conn: &Connection, doc: i64) -> rusqlite::Result<HashSet<ValueRow>> {
        let sql = format!("SELECT path, value, element FROM {} WHERE doc = ?", self.tables.value);
        conn.prepare_cached(&sql)?
            .query_map([doc], |row| {
                let value = RowValue::from_sql(row.get_ref(1)?);
                Ok(ValueRow { path: row.get(0)?, value, element: row.get(2)? })
            })?
            .collect()
    }

    fn write_texts(
        &self,
        conn: &Connection,
        doc: i64,
        texts: &[String],
        known: bool,
    ) -> rusqlite::Result<()> {
        let table = &self.tables.text;
        if known {
            conn.prepare_cached(&format!("DELETE FROM {table} WHERE rowid = ?"))?.execute([doc])?;
        }
        let Some(columns) = self.layout.text_column_list().filter(|_| !texts.is_empty()) else {
            return Ok(());
        };
        let places = ", ?".repeat(texts.len());
        let sql = format!("INSERT INTO {table} (rowid, {columns}) VALUES (?{places})");
        let values = std::iter::once(&doc as &dyn rusqlite::ToSql).chain(texts.iter().map(|text| text as _));
        conn.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(())
    }
}

/// What the index remembers of a document that it holds.
struct Entry {
    version: i64,
    words: i64,
    deleted: bool,
}

/// Tells whether the words changed; 0 where there are none. Another release may compute another number: then they are written once more.
fn fingerprint(texts: &[String]) -> i64 {
    if texts.iter().all(String::is_empty) {
        return 0;
    }
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish().cast_signed() | 1
}
