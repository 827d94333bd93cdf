//! The reindex log in the state file: a table, trimmed below what is committed.

use std::sync::Arc;

use async_trait::async_trait;
use plan::DocumentId;
use rusqlite::{OptionalExtension, Row, Transaction, params};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Append, Cause, DeadLetterRow, Ends, Entry, KeptLetter, Lane, LetterNumber, Logged, Ownership, Progress,
    ReindexLog, Tenure,
};
use crate::{
    StateError, StateFile, now_ms, revision::Wants, source::Position, state::RunLock, store::Document,
};

/// The one partition of a log that one process owns.
const PARTITION: i32 = 0;

/// The log of the embedded world.
#[derive(Clone)]
pub struct SqliteLog {
    state: StateFile,
    /// Is notified once after each append of this process, for its one reader.
    appended: Arc<Notify>,
}

impl SqliteLog {
    /// The log in this file.
    pub fn new(state: StateFile) -> Self {
        Self { state, appended: Arc::default() }
    }

    /// The file.
    pub fn state(&self) -> &StateFile {
        &self.state
    }

    /// Reads at most `limit` entries of a lane after a position, in order.
    pub async fn read(&self, lane: Lane, after: i64, limit: usize) -> Result<Vec<Logged>, StateError> {
        self.state
            .read(move |conn| {
                let sql = "SELECT position, id, cause, event_at, deleted, wants FROM log
                           WHERE lane = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
                let mut statement = conn.prepare_cached(sql)?;
                let rows = statement.query_map(params![lane.number(), after, limit], |row| {
                    let cause: String = row.get(2)?;
                    Ok(Logged {
                        partition: PARTITION,
                        position: row.get(0)?,
                        entry: Entry {
                            id: read_id(row, 1)?,
                            lane,
                            cause: read_cause(&cause),
                            event_at: row.get(3)?,
                            deleted: row.get(4)?,
                            wants: read_wants(row, 5)?,
                        },
                    })
                })?;
                rows.collect()
            })
            .await
    }

    /// Says that every entry of the lane up to this position is complete, and trims it.
    async fn commit(&self, lane: Lane, through: i64) -> Result<(), StateError> {
        self.state
            .write(move |tx| {
                let lane = lane.number();
                tx.prepare_cached("UPDATE lane SET committed = max(committed, ?2) WHERE lane = ?1")?
                    .execute(params![lane, through])?;
                tx.prepare_cached("DELETE FROM log WHERE lane = ?1 AND position <= ?2")?
                    .execute(params![lane, through])?;
                Ok(())
            })
            .await
    }

    /// The position up to which the lane is complete.
    pub async fn committed(&self, lane: Lane) -> Result<i64, StateError> {
        let sql = "SELECT committed FROM lane WHERE lane = ?1";
        self.state.read(move |conn| conn.query_row(sql, [lane.number()], |row| row.get(0))).await
    }
}

#[async_trait]
impl ReindexLog for SqliteLog {
    async fn append(&self, append: Append) -> Result<(), StateError> {
        self.state.write(move |tx| append_in(tx, &append)).await?;
        self.appended.notify_one();
        Ok(())
    }

    async fn ends(&self, lane: Lane) -> Result<Ends, StateError> {
        let sql = "SELECT ended FROM lane WHERE lane = ?1";
        let end = self.state.read(move |conn| conn.query_row(sql, [lane.number()], |row| row.get(0))).await?;
        Ok(Ends::from([(PARTITION, end)]))
    }

    async fn lag(&self, lane: Lane) -> Result<u64, StateError> {
        self.lag_through(lane, &Ends::from([(PARTITION, i64::MAX)])).await
    }

    async fn lag_through(&self, lane: Lane, through: &Ends) -> Result<u64, StateError> {
        let position = through.get(&PARTITION).copied().unwrap_or(0);
        let sql = "SELECT count(*) FROM log WHERE lane = ?1 AND position <= ?2";
        self.state
            .read(move |conn| conn.query_row(sql, params![lane.number(), position], |row| row.get(0)))
            .await
    }

    async fn source_progress(&self, source: &str) -> Result<Option<Position>, StateError> {
        let source = source.to_owned();
        let sql = "SELECT position, identity FROM source_position WHERE source = ?1";
        self.state
            .read(move |conn| {
                let read = |row: &Row<'_>| Ok(Position::new(row.get(0)?, row.get(1)?));
                conn.query_row(sql, [source], read).optional()
            })
            .await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterRow>, StateError> {
        let sql = "SELECT number, source, position, code, reason, at FROM dead_letter ORDER BY number DESC LIMIT ?1";
        self.state.read(move |conn| conn.prepare(sql)?.query_map([limit], read_letter)?.collect()).await
    }

    async fn read_dead_letters(&self, numbers: &[LetterNumber]) -> Result<Vec<KeptLetter>, StateError> {
        let sql =
            "SELECT number, source, position, code, reason, at, record FROM dead_letter WHERE number = ?1";
        let numbers: Vec<i64> = rows_of(numbers).collect();
        self.state
            .read(move |conn| {
                let mut statement = conn.prepare_cached(sql)?;
                let read = |row: &Row<'_>| {
                    Ok(KeptLetter { row: read_letter(row)?, record: row.get(6)?, original: None })
                };
                let mut letters = Vec::new();
                for number in numbers {
                    letters.extend(statement.query_row([number], read).optional()?);
                }
                Ok(letters)
            })
            .await
    }

    async fn dead_letter_count(&self) -> Result<u64, StateError> {
        let sql = "SELECT count(*) FROM dead_letter";
        self.state.read(move |conn| conn.query_row(sql, (), |row| row.get(0))).await
    }
}

/// The whole log, which belongs to the holder of the state file's lock for as long as it lives.
pub struct SqliteTenure {
    log: SqliteLog,
    /// How far each lane is read; nothing before the first read.
    read: [tokio::sync::Mutex<Option<i64>>; 2],
    revoked: CancellationToken,
    _lock: Arc<RunLock>,
}

/// Hands out the one tenure of a state file.
pub struct WholeLog(Option<Arc<SqliteTenure>>);

impl WholeLog {
    /// The log under this lock.
    pub fn new(log: SqliteLog, lock: Arc<RunLock>) -> Self {
        let tenure =
            SqliteTenure { log, read: Default::default(), revoked: CancellationToken::new(), _lock: lock };
        Self(Some(Arc::new(tenure)))
    }
}

#[async_trait]
impl Ownership for WholeLog {
    async fn next_tenure(&mut self, stop: &CancellationToken) -> Result<Option<Arc<dyn Tenure>>, StateError> {
        let Some(tenure) = self.0.take() else {
            stop.cancelled().await;
            return Ok(None);
        };
        Ok(Some(tenure))
    }
}

#[async_trait]
impl Tenure for SqliteTenure {
    /// The lock excludes every other owner, and the transaction that took the epoch is this world's fenced commit.
    async fn prove(&self) -> Result<(), StateError> {
        Ok(())
    }

    fn is_executor(&self) -> bool {
        true
    }

    async fn committed(&self, lane: Lane) -> Result<Ends, StateError> {
        Ok(Ends::from([(PARTITION, self.log.committed(lane).await?)]))
    }

    async fn read(&self, lane: Lane, limit: usize) -> Result<Vec<Logged>, StateError> {
        let mut read = self.read[lane.number()].lock().await;
        let after = match *read {
            Some(after) => after,
            None => self.log.committed(lane).await?,
        };
        let page = self.log.read(lane, after, limit).await?;
        *read = Some(page.last().map_or(after, |logged| logged.position));
        Ok(page)
    }

    async fn appended(&self) {
        self.log.appended.notified().await;
    }

    async fn append(&self, _query: &str, documents: &[Document]) -> Result<Vec<Option<String>>, StateError> {
        Ok(vec![None; documents.len()])
    }

    async fn commit(&self, lane: Lane, through: &Ends) -> Result<(), StateError> {
        match through.get(&PARTITION) {
            Some(through) => self.log.commit(lane, *through).await,
            None => Ok(()),
        }
    }

    fn take_loss(&self) -> Option<String> {
        None
    }

    fn revoked(&self) -> &CancellationToken {
        &self.revoked
    }

    fn release(&self) {}
}

/// Appends inside a transaction of the caller, and gives the last position of each lane that got entries.
pub(crate) fn append_in(tx: &Transaction<'_>, append: &Append) -> rusqlite::Result<[Option<i64>; 2]> {
    let mut ends = [None; 2];
    {
        let mut insert = tx.prepare_cached(
            "INSERT INTO log (lane, id, cause, event_at, deleted, wants) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for Entry { id, lane, cause, event_at, deleted, wants } in &append.entries {
            insert.execute(params![
                lane.number(),
                id.as_str(),
                cause.name(),
                event_at,
                deleted,
                wants.to_json()
            ])?;
            ends[lane.number()] = Some(tx.last_insert_rowid());
        }
    }
    for (lane, end) in ends.iter().enumerate() {
        if let Some(end) = end {
            tx.execute("UPDATE lane SET ended = ?2 WHERE lane = ?1", params![lane, end])?;
        }
    }
    let mut bury = tx.prepare_cached(
        "INSERT INTO dead_letter (source, position, code, reason, record, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for letter in &append.dead_letters {
        bury.execute(params![
            letter.source,
            letter.position,
            letter.code.id,
            letter.reason,
            letter.record,
            now_ms()
        ])?;
    }
    let mut settle = tx.prepare_cached("DELETE FROM dead_letter WHERE number = ?1")?;
    for number in rows_of(&append.settled) {
        settle.execute([number])?;
    }
    if let Some(progress) = &append.progress {
        let Progress { source, position } = progress;
        tx.prepare_cached(
            "INSERT OR REPLACE INTO source_position (source, position, identity, at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![source, position.at, position.identity, now_ms()])?;
        // What was routed from the inbox is in the log now. A position with an identity is a file's and counts bytes.
        if position.identity.is_none() {
            tx.prepare_cached("DELETE FROM inbox WHERE source = ?1 AND seq < ?2")?
                .execute(params![source, position.at])?;
        }
    }
    Ok(ends)
}

/// The numbers of rows. What names a partition is no row of this table.
fn rows_of(numbers: &[LetterNumber]) -> impl Iterator<Item = i64> {
    numbers.iter().filter(|letter| letter.partition.is_none()).map(|letter| letter.number)
}

fn read_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetterRow> {
    Ok(DeadLetterRow {
        number: LetterNumber::of_row(row.get(0)?),
        source: row.get(1)?,
        position: row.get(2)?,
        code: row.get(3)?,
        reason: row.get(4)?,
        at: row.get(5)?,
    })
}

/// Reads an id column. What is stored was an id when it was written.
pub(crate) fn read_id(row: &Row<'_>, column: usize) -> rusqlite::Result<DocumentId> {
    let text: String = row.get(column)?;
    DocumentId::new(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// Reads a column of wants.
pub(crate) fn read_wants(row: &Row<'_>, column: usize) -> rusqlite::Result<Wants> {
    let text: Option<String> = row.get(column)?;
    Ok(Wants::from_json(text.as_deref()))
}

fn read_cause(name: &str) -> Cause {
    [Cause::Event, Cause::Lookup, Cause::Backfill, Cause::Replay, Cause::Verification, Cause::Audit]
        .into_iter()
        .find(|cause| cause.name() == name)
        .unwrap_or(Cause::Person)
}
