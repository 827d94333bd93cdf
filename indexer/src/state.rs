//! The embedded world's one file: reindex log, ledger, documents and index in a SQLite database.
//!
//! Everything that must be true together is one transaction here. Commands open the file beside a `run`; a second `run`
//! is refused by a lock file.

mod turns;
mod writer;

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plan::{Code, code::store as codes};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use self::writer::Writer;
use crate::{registry::RegistryError, tasks::joined};

/// The layout of the tables below; a file of another layout is refused.
const LAYOUT: i64 = 8;

/// How long a command waits for another process' transaction. Ours are bounded by a batch, so this is never reached
/// unless something is stuck.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Idle reading connections that are kept. More would only wait for the same two cores.
const IDLE_READERS: usize = 4;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS version_plan (
    version INTEGER PRIMARY KEY, plan TEXT NOT NULL, plan_hash TEXT NOT NULL, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS version_lack (
    version INTEGER NOT NULL, id TEXT NOT NULL, document INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (version, id)) WITHOUT ROWID;
-- AUTOINCREMENT: a position is never used again after the log was trimmed.
CREATE TABLE IF NOT EXISTS log (
    position INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, id TEXT NOT NULL, cause TEXT NOT NULL,
    event_at INTEGER, deleted INTEGER NOT NULL, wants TEXT);
CREATE INDEX IF NOT EXISTS log_lane ON log (lane, position);
CREATE TABLE IF NOT EXISTS lane (lane INTEGER PRIMARY KEY, committed INTEGER NOT NULL, ended INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS source_position (
    source TEXT PRIMARY KEY, position INTEGER NOT NULL, identity TEXT, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, line BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS inbox_source ON inbox (source, seq);
CREATE TABLE IF NOT EXISTS held (
    id TEXT PRIMARY KEY, version INTEGER NOT NULL, subgraph TEXT, code TEXT NOT NULL, path TEXT, message TEXT NOT NULL,
    attempts INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, next_at INTEGER NOT NULL,
    replayed INTEGER NOT NULL, wants TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held_next ON held (next_at);
CREATE TABLE IF NOT EXISTS dead_letter (
    number INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, position TEXT NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL, record BLOB NOT NULL, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS backfill (
    number INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, ids TEXT NOT NULL, cursor TEXT, enumerated INTEGER NOT NULL,
    through TEXT NOT NULL, error TEXT, started_at INTEGER NOT NULL, ended_at INTEGER);
CREATE TABLE IF NOT EXISTS fan_out (
    source TEXT NOT NULL, found_in TEXT NOT NULL, is_idle INTEGER NOT NULL, fan_outs TEXT NOT NULL,
    PRIMARY KEY (source, found_in)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (
    id TEXT NOT NULL, writer TEXT NOT NULL, at INTEGER NOT NULL, steps TEXT NOT NULL, PRIMARY KEY (id, writer)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS history_at ON history (at);
CREATE TABLE IF NOT EXISTS saved_search (name TEXT PRIMARY KEY, filter TEXT NOT NULL, saved_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS saved_match (
    search TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (search, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS saved_match_at ON saved_match (at, id, search);
CREATE TABLE IF NOT EXISTS audit (kind TEXT PRIMARY KEY, audit TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS figures (process TEXT PRIMARY KEY, figures TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO lane VALUES (0, 0, 0), (1, 0, 0);
";

/// Why the state file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another `run` holds the lock.
    #[error("another `run` works on {0}")]
    Locked(PathBuf),
    /// The state file or the ledger doesn't exist, or holds no plan; says which.
    #[error("the index is not provisioned: {0}")]
    NotProvisioned(String),
    /// The file holds another index.
    #[error("{path} belongs to the index {found:?}, not to {wanted:?}")]
    OtherIndex {
        /// The file.
        path: PathBuf,
        /// The index in it.
        found: String,
        /// The index that was asked for.
        wanted: String,
    },
    /// Another release wrote it.
    #[error("{place} has layout {found}, this program writes layout {wanted}")]
    OtherLayout {
        /// The file or the index.
        place: String,
        /// Its layout.
        found: i64,
        /// Ours.
        wanted: i64,
    },
    /// The stored plan can't be read by this program.
    #[error("the plan in {place} can't be read: {reason}")]
    UnreadablePlan {
        /// The file or the index.
        place: String,
        /// Why.
        reason: String,
    },
    /// The plan needs a new index version.
    #[error("the plan needs a new index version, {version}: {reason}")]
    NeedsNewVersion {
        /// The name that the new version would have.
        version: String,
        /// What differs from the served one.
        reason: String,
    },
    /// The plan is of another root.
    #[error("{version} would be of another index: {reason}")]
    OtherRoot {
        /// The name that the new version would have.
        version: String,
        /// What differs from the served one.
        reason: String,
    },
    /// A thing beside the index can't be changed in place.
    #[error("the {what} can't be changed in place: {reason}")]
    NotInPlace {
        /// The thing.
        what: String,
        /// What differs.
        reason: String,
    },
    /// A saved change set is not what would be made now; says what differs.
    #[error("the saved change set no longer holds: {0}")]
    StaleChanges(String),
    /// Other index templates would make the index, or keep ours from being put.
    #[error("{server}: the index template {others} takes {index} from {own}, whose priority is {priority}")]
    OtherTemplate {
        /// The server.
        server: String,
        /// The other templates, each with its priority.
        others: String,
        /// The index.
        index: String,
        /// Our template.
        own: String,
        /// Its priority.
        priority: i64,
    },
    /// All epochs are used.
    #[error("the epochs of {0} are used up; provision a fresh state")]
    EpochsUsedUp(String),
    /// SQLite failed.
    #[error("{path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A server doesn't answer, or can't do it now.
    #[error("{what}: {reason}")]
    Unreachable {
        /// The server.
        what: String,
        /// Why, without secrets.
        reason: String,
    },
    /// A server refuses what it is asked for, and will until someone mends it.
    #[error("{what}: {reason}")]
    Refused {
        /// The server.
        what: String,
        /// Why, without secrets.
        reason: String,
    },
    /// The server refuses too many documents, each by itself.
    #[error("the store refuses too many documents within ten minutes, such as {id}: {reason}")]
    Refusing {
        /// One of them.
        id: String,
        /// Why that one is refused.
        reason: String,
    },
    /// The schema registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The share of the log that this was about belongs to another process by now. What was begun with it is thrown away.
    #[error("another process took over this share of {0}")]
    Fenced(String),
    /// The operating system failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StateError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::Locked(_) => codes::SS501,
            Self::NotProvisioned(_) => codes::SS502,
            Self::Sqlite { .. } | Self::Io { .. } | Self::EpochsUsedUp(_) => codes::SS503,
            Self::OtherIndex { .. } => codes::SS504,
            Self::NeedsNewVersion { .. } | Self::NotInPlace { .. } => codes::SS505,
            Self::OtherRoot { .. } => codes::SS522,
            Self::StaleChanges(_) => codes::SS520,
            Self::OtherTemplate { .. } => codes::SS521,
            Self::Registry(error) => error.code(),
            Self::OtherLayout { .. } | Self::UnreadablePlan { .. } => codes::SS506,
            Self::Unreachable { .. } | Self::Fenced(_) => codes::SS509,
            Self::Refused { .. } => codes::SS510,
            Self::Refusing { .. } => codes::SS511,
        }
    }

    /// Whether a server is to blame, so that waiting for it is better than ending.
    pub fn is_of_a_server(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Refused { .. } | Self::Refusing { .. } => true,
            Self::Registry(error) => error.is_of_a_server(),
            _ => false,
        }
    }

    /// Whether it goes by itself.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Registry(error) => error.is_passing(),
            _ => false,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Locked(_) => {
                "stop the other process first; `status`, `search` and `backfill start` work beside it"
            }
            Self::NotProvisioned(_) => "run `studio-search provision` with this file first",
            Self::OtherIndex { .. } => "give each index a `state.path` of its own",
            Self::NeedsNewVersion { .. } => {
                "set another `state.path` (with `kafka:`, another `name`), provision it, and backfill"
            }
            Self::OtherRoot { .. } => "give it another `name`, and another `state.path` where there is one",
            Self::NotInPlace { .. } => {
                "mend `kafka.topics` in index.yaml, delete the topic if nothing of it is needed, or give the index another `name`"
            }
            Self::StaleChanges(_) => {
                "look at what changed with `studio-search plan --out`, and provision that; nothing was made"
            }
            Self::OtherTemplate { .. } => {
                "give the other template a lower priority or other `index_patterns`, or give the index another `name`"
            }
            Self::Registry(error) => error.help(),
            Self::OtherLayout { .. } | Self::UnreadablePlan { .. } => {
                "use the release that wrote it, or provision a fresh `state.path` (with `kafka:`, another `name`)"
            }
            Self::Sqlite { .. } | Self::Io { .. } => {
                "check that the folder exists, is writable, and that the disk isn't full"
            }
            Self::Unreachable { .. } => "check that it runs, and its address; nothing is lost meanwhile",
            Self::Refused { .. } => {
                "check the credentials and their rights; an index that is missing is made by `studio-search provision`"
            }
            Self::Refusing { .. } => {
                "mend the mapping, a setting of the index, or the documents; after `studio-search resume` they are held instead"
            }
            Self::EpochsUsedUp(_) | Self::Fenced(_) => return None,
        })
    }
}

/// The open state file. Clones share its connections.
#[derive(Clone)]
pub struct StateFile {
    path: Arc<PathBuf>,
    writer: Arc<Writer>,
    readers: Arc<Mutex<Vec<Connection>>>,
}

/// Holds the right to `run` on a state file until it is dropped; the system drops it for a killed process.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "held for its lock")] File);

impl StateFile {
    /// Opens the file for this index, making it where it is missing.
    pub fn create(path: &Path, index: &str) -> Result<Self, StateError> {
        let state = Self::connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        state.in_transaction(|tx| {
            tx.execute_batch(TABLES)?;
            tx.execute(
                "INSERT OR IGNORE INTO meta VALUES ('layout', ?1), ('index', ?2)",
                (LAYOUT.to_string(), index),
            )
        })?;
        state.check(index)?;
        Ok(state)
    }

    /// Opens the file of a provisioned index.
    pub fn open(path: &Path, index: &str) -> Result<Self, StateError> {
        if !path.exists() {
            return Err(not_provisioned(path));
        }
        let state = Self::connect(path, OpenFlags::empty())?;
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'version_plan')";
        if state.with_reader(|conn| conn.query_row(tables, (), |row| row.get::<_, i64>(0)))? < 2 {
            return Err(not_provisioned(path));
        }
        state.check(index)?;
        Ok(state)
    }

    fn connect(path: &Path, create: OpenFlags) -> Result<Self, StateError> {
        let conn = open_connection(path, create)
            .map_err(|source| StateError::Sqlite { path: path.to_owned(), source })?;
        Ok(Self {
            path: Arc::new(path.to_owned()),
            writer: Arc::new(Writer::new(conn)),
            readers: Arc::default(),
        })
    }

    fn check(&self, index: &str) -> Result<(), StateError> {
        let found = self.meta("layout")?.and_then(|text| text.parse().ok()).unwrap_or(0);
        if found != LAYOUT {
            let place = self.path().display().to_string();
            return Err(StateError::OtherLayout { place, found, wanted: LAYOUT });
        }
        match self.meta("index")? {
            Some(found) if found != index => {
                Err(StateError::OtherIndex { path: self.path().to_owned(), found, wanted: index.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Takes the right to `run`, or says that another process has it.
    pub fn lock_for_run(&self) -> Result<RunLock, StateError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StateError::Io { path, source }
        };
        // The file's real name, so that a link is no way around the lock; and all of it, as movies.v1 isn't movies.v2.
        let mut name = self.path.canonicalize().map_err(io(self.path()))?.into_os_string();
        name.push(".lock");
        let path = PathBuf::from(name);
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(RunLock(file)),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked(self.path().to_owned())),
            Err(TryLockError::Error(source)) => Err(io(&path)(source)),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One value of the ledger's small facts.
    pub(crate) fn meta(&self, key: &str) -> Result<Option<String>, StateError> {
        self.with_reader(|conn| {
            conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
        })
    }

    /// Reads from one snapshot, here and now.
    pub fn with_reader<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let run = || {
            let conn = idle.map_or_else(|| open_connection(&self.path, OpenFlags::empty()), Ok)?;
            let value = {
                let tx = conn.unchecked_transaction()?;
                work(&tx)?
            };
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            if readers.len() < IDLE_READERS {
                readers.push(conn);
            }
            Ok(value)
        };
        run().map_err(|source| StateError::Sqlite { path: self.path().to_owned(), source })
    }

    /// [`StateFile::with_reader`] on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let state = self.clone();
        off_the_loop(move || state.with_reader(work)).await
    }
}

/// The error of a file that holds no plan.
pub(crate) fn not_provisioned(path: &Path) -> StateError {
    StateError::NotProvisioned(format!("{} holds no plan", path.display()))
}

async fn off_the_loop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, StateError> {
    joined(tokio::task::spawn_blocking(work).await)
}

fn open_connection(path: &Path, create: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    // FULL: what was answered with 202, or committed as a source's progress, survives a power cut.
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_differ_in_their_ending_have_locks_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let state = |name: &str| StateFile::create(&folder.path().join(name), "movies").unwrap();
        let files = ["movies.v1", "movies.v2", "movies.sqlite", "movies", "movies.db"].map(state);
        let locks: Vec<_> = files.iter().map(StateFile::lock_for_run).collect();
        assert!(locks.iter().all(Result::is_ok), "{locks:?}");
        assert!(matches!(files[0].lock_for_run(), Err(StateError::Locked(_))));
        assert!(folder.path().join("movies.db.lock").exists(), "where .gitignore looks for it");
    }

    #[cfg(unix)]
    #[test]
    fn one_file_under_two_names_has_one_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("movies.db"), folder.path().join("link.db"));
        let state = StateFile::create(&path, "movies").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let lock = state.lock_for_run().unwrap();
        let linked = StateFile::open(&link, "movies").unwrap();
        assert!(matches!(linked.lock_for_run(), Err(StateError::Locked(_))));
        drop(lock);
        linked.lock_for_run().unwrap();
    }
}
