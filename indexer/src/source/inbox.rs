//! Events that came over HTTP: durable in the inbox before they are acknowledged, then consumed like any source.
//! A position is the number of the next row.

use async_trait::async_trait;
use rusqlite::params;

use super::{Source, SourceError, SourceRecord, line};
use crate::{StateError, StateFile};

/// Reads the inbox of one source.
pub struct InboxSource {
    name: String,
    state: StateFile,
}

impl InboxSource {
    /// The inbox of this source.
    pub fn new(name: &str, state: StateFile) -> Self {
        Self { name: name.to_owned(), state }
    }
}

/// Puts lines into the inbox of a source, all or none, durably.
pub async fn accept(state: &StateFile, source: &str, lines: Vec<Vec<u8>>) -> Result<(), StateError> {
    let source = source.to_owned();
    state
        .write(move |tx| {
            let mut insert = tx.prepare_cached("INSERT INTO inbox (source, line) VALUES (?1, ?2)")?;
            lines.iter().try_for_each(|line| insert.execute(params![source, line]).map(drop))
        })
        .await
}

#[async_trait]
impl Source for InboxSource {
    async fn read(&mut self, from: i64, limit: usize) -> Result<Vec<SourceRecord>, SourceError> {
        let name = self.name.clone();
        let sql = "SELECT seq, line FROM inbox WHERE source = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
        let records = self
            .state
            .read(move |conn| {
                let read = |row: &rusqlite::Row<'_>| {
                    let (number, line): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
                    let content = line::parse(&line);
                    Ok(SourceRecord { next: number + 1, place: format!("number {number}"), content })
                };
                conn.prepare_cached(sql)?.query_map(params![name, from, limit], read)?.collect()
            })
            .await?;
        Ok(records)
    }

    async fn end(&self) -> Result<i64, SourceError> {
        let name = self.name.clone();
        let sql = "SELECT coalesce(max(seq) + 1, 0) FROM inbox WHERE source = ?1";
        Ok(self.state.read(move |conn| conn.query_row(sql, [name], |row| row.get(0))).await?)
    }
}
