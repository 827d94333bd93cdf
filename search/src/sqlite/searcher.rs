//! The embedded store behind the searcher port: connections of its own, off the async threads, with a time limit.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags};
use tokio::{sync::oneshot, time::timeout};

use super::SqliteIndex;
use crate::{Explanation, SearchError, SearchRequest, SearchResponse, Searcher, SuggestRequest, Suggestion};

/// A search longer than this is stopped: it would hold back the checkpoint of the write-ahead log, and so let the file grow.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// How long to wait for a lock. Readers of a write-ahead log wait only while the file is recovered or removed.
const LOCK_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of the file that a search reads in place. Without it nearly every row looked at is a page copied from the system, because
/// SQLite drops its own cache whenever somebody has written: half of the time of a search for text (`--bench search`).
const MAPPED_BYTES: i64 = 1 << 40;

/// Connections kept for the next search. More searches at once open more, and close them again.
const KEPT_CONNECTIONS: usize = 4;

/// Searches one index version in a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteSearcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    index: SqliteIndex,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteSearcher {
    /// Searches this index in this file; opens nothing before the first search.
    pub fn new(file: impl Into<PathBuf>, index: SqliteIndex) -> Self {
        let shared = Shared { file: file.into(), index, idle: Mutex::new(Vec::new()) };
        Self { shared: shared.into() }
    }
}

impl Shared {
    fn connection(&self) -> rusqlite::Result<Connection> {
        if let Some(conn) = self.idle().pop() {
            return Ok(conn);
        }
        // Not read-only: the first reader of a write-ahead log may have to recover it. It never makes the file, though.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.file, flags)?;
        conn.busy_timeout(LOCK_LIMIT)?;
        conn.pragma_update(None, "query_only", true)?;
        conn.pragma_update(None, "mmap_size", MAPPED_BYTES)?;
        Ok(conn)
    }

    fn keep(&self, conn: Connection) {
        let mut idle = self.idle();
        if idle.len() < KEPT_CONNECTIONS {
            idle.push(conn);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        // A connection is taken out while it is used, so a panic leaves none half-used behind.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the index on one of the connections, seen from now.
    fn ask<A>(
        &self,
        question: impl FnOnce(&SqliteIndex, &Connection, i64) -> Result<A, SearchError>,
        started: oneshot::Sender<InterruptHandle>,
    ) -> Result<A, SearchError> {
        let conn = self.connection()?;
        let _ = started.send(conn.get_interrupt_handle());
        let answer = question(&self.index, &conn, Timestamp::now().as_millisecond());
        self.keep(conn);
        answer
    }
}

impl SqliteSearcher {
    /// Asks off the async threads, and stops what takes too long.
    async fn ask<A: Send + 'static>(
        &self,
        question: impl FnOnce(&SqliteIndex, &Connection, i64) -> Result<A, SearchError> + Send + 'static,
    ) -> Result<A, SearchError> {
        let shared = Arc::clone(&self.shared);
        let (started, interrupt) = oneshot::channel();
        let mut task = tokio::task::spawn_blocking(move || shared.ask(question, started));
        let joined = if let Ok(joined) = timeout(TIME_LIMIT, &mut task).await {
            joined
        } else {
            if let Ok(interrupt) = interrupt.await {
                interrupt.interrupt();
            }
            task.await
        };
        let answer = joined.map_err(|error| SearchError::Store(Box::new(error)))?;
        answer.map_err(|error| if was_interrupted(&error) { timed_out() } else { error })
    }
}

#[async_trait]
impl Searcher for SqliteSearcher {
    async fn search(&self, request: SearchRequest) -> Result<SearchResponse, SearchError> {
        self.ask(move |index, conn, now_ms| index.search(conn, &request, now_ms)).await
    }

    async fn explain(&self, request: SearchRequest) -> Result<Explanation, SearchError> {
        self.ask(move |index, conn, now_ms| index.explained(conn, &request, now_ms)).await
    }

    async fn suggest(&self, request: SuggestRequest) -> Result<Vec<Suggestion>, SearchError> {
        self.ask(move |index, conn, now_ms| index.suggestions(conn, &request, now_ms)).await
    }
}

fn was_interrupted(error: &SearchError) -> bool {
    let SearchError::Store(source) = error else { return false };
    let sqlite = source.downcast_ref::<rusqlite::Error>();
    sqlite.and_then(rusqlite::Error::sqlite_error_code) == Some(ErrorCode::OperationInterrupted)
}

fn timed_out() -> SearchError {
    SearchError::TimedOut { seconds: TIME_LIMIT.as_secs() }
}
