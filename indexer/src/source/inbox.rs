//! Events that came over HTTP: durable in the inbox before they are acknowledged, then consumed like any source.
//! A position is the number of the next row.

use async_trait::async_trait;
use rusqlite::params;

use super::{MAX_READ_BYTES, Position, Records, Source, SourceError, SourceRecord, line};
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

/// The position behind the newest line of a source.
pub(crate) async fn end(state: &StateFile, source: &str) -> Result<i64, StateError> {
    let source = source.to_owned();
    let sql = "SELECT coalesce(max(seq) + 1, 0) FROM inbox WHERE source = ?1";
    state.read(move |conn| conn.query_row(sql, [source], |row| row.get(0))).await
}

#[async_trait]
impl Source for InboxSource {
    async fn read(&mut self, from: &Position, limit: usize) -> Result<Records, SourceError> {
        // A position with an identity is a file's that had this source's name.
        let at = if from.identity.is_none() { from.at } else { 0 };
        let (name, from) = (self.name.clone(), Position::new(at, None));
        let sql = "SELECT seq, line FROM inbox WHERE source = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
        let read = self.state.read(move |conn| {
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query(params![name, from.at, limit])?;
            let (mut records, mut next, mut bytes) = (Vec::new(), from, 0);
            while bytes < MAX_READ_BYTES
                && let Some(row) = rows.next()?
            {
                let (number, line): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
                records.push(SourceRecord {
                    place: format!("number {number}"),
                    content: line::parse(&line),
                    original: None,
                });
                next.at = number + 1;
                bytes += line.len();
            }
            Ok(Records { records, next })
        });
        Ok(read.await?)
    }

    async fn end(&mut self) -> Result<i64, SourceError> {
        Ok(end(&self.state, &self.name).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{provision::state::provision, testing};

    #[tokio::test]
    async fn a_files_position_skips_nothing_of_an_inbox() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        provision(&path, &testing::movies()).unwrap();
        let state = StateFile::open(&path, "movies").unwrap();
        accept(&state, "talent", vec![br#"{"key":"t1"}"#.to_vec()]).await.unwrap();
        let mut source = InboxSource::new("talent", state);
        let of_a_file = Position::new(67_501, Some("7-abc".to_owned()));
        let records = source.read(&of_a_file, 10).await.unwrap();
        assert_eq!((records.records.len(), records.next), (1, Position::new(2, None)));
    }
}
