//! The embedded store: one SQLite table of documents, one of their values, one full-text index of their words.
//!
//! ```text
//! documents_<query hash>   doc, id, version, deleted, body, fetched_at, missing     shared by index versions of one query
//! entry_<index version>    doc, id, version, deleted, words, kept                   which document versions this index holds
//! value_<index version>    path, value, doc, element                                every value, and every bound list's elements
//! text_<index version>     rowid = doc, one column per text field                   FTS5 over words that are folded beforehand
//! index_version            version, documents, live, tombstones                     one row per index version, with its counts
//! ```
//! An *element* is a place in a document where conditions can hold together: the document itself is 0, the
//! objects of nested lists (and geo points) are counted from 1 in pre-order. A value belongs to its innermost
//! element. An element stands in the value table, too: its path is the list's, its value the number of its
//! last descendant, so that "inside of" is a range.

mod estimate;
mod explain;
mod facets;
mod filter;
mod functions;
mod kept;
mod layout;
mod page;
mod query;
mod read;
mod rows;
mod searched_text;
mod searcher;
mod suggest;
mod tally;
mod write;

use std::{fmt, sync::Arc};

use plan::IndexPlan;
use rusqlite::Connection;

use layout::Layout;
pub use searcher::SqliteSearcher;

use crate::{Counts, DocumentWrite, PutOutcome, StoredDocument};

/// One index version in the embedded store. Cheap to clone; holds no connection.
#[derive(Clone)]
pub struct SqliteIndex {
    plan: Arc<IndexPlan>,
    version: u32,
    layout: Arc<Layout>,
    tables: Arc<Tables>,
}

/// The counts stand here because walking 100,000 entries takes milliseconds, and the status page asks every two seconds.
const INDEX_VERSION: &str = "CREATE TABLE IF NOT EXISTS index_version (
    version INTEGER PRIMARY KEY, documents TEXT NOT NULL,
    live INTEGER NOT NULL DEFAULT 0, tombstones INTEGER NOT NULL DEFAULT 0) STRICT;";

/// The names of the tables: letters, digits and underscores only.
struct Tables {
    documents: String,
    entry: String,
    value: String,
    text: String,
}

impl SqliteIndex {
    /// Describes this version of the plan's index; touches nothing.
    pub fn new(plan: Arc<IndexPlan>, index_version: u32) -> Self {
        let layout = Arc::new(Layout::of(&plan));
        let tables = Arc::new(Tables::of(&plan.fetch.query_hash, index_version));
        Self { plan, version: index_version, layout, tables }
    }

    /// The plan it was made from.
    pub fn plan(&self) -> &IndexPlan {
        &self.plan
    }

    /// The number of this index version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Makes the tables that don't exist yet.
    pub fn create(&self, conn: &Connection) -> rusqlite::Result<()> {
        let Tables { documents, entry, value, text } = &*self.tables;
        conn.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {documents} (
                 doc INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, deleted INTEGER NOT NULL,
                 body TEXT, fetched_at INTEGER NOT NULL, missing TEXT NOT NULL) STRICT;
             CREATE INDEX IF NOT EXISTS {documents}_by_version ON {documents} (version);
             CREATE TABLE IF NOT EXISTS {entry} (
                 doc INTEGER PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL, deleted INTEGER NOT NULL,
                 words INTEGER NOT NULL, kept BLOB NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS {value} (
                 path INTEGER NOT NULL, value ANY NOT NULL, doc INTEGER NOT NULL, element INTEGER NOT NULL,
                 PRIMARY KEY (path, value, doc, element)) STRICT, WITHOUT ROWID;
             CREATE INDEX IF NOT EXISTS {value}_by_doc ON {value} (doc, path);
             {INDEX_VERSION}",
        ))?;
        if let Some(columns) = self.layout.text_column_list() {
            // The words come folded and joined by spaces, so the simplest tokenizer is the exact one.
            conn.execute_batch(&format!(
                "CREATE VIRTUAL TABLE IF NOT EXISTS {text} USING fts5({columns},
                     content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '2 3')",
            ))?;
        }
        conn.execute(
            "INSERT INTO index_version (version, documents) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (self.version, documents),
        )?;
        Ok(())
    }

    /// Removes this index version, and the documents with the last version that shares them.
    pub fn drop(&self, conn: &Connection) -> rusqlite::Result<()> {
        let Tables { documents, entry, value, text } = &*self.tables;
        conn.execute_batch(&format!(
            "DROP TABLE IF EXISTS {text}; DROP TABLE IF EXISTS {value}; DROP TABLE IF EXISTS {entry};
             {INDEX_VERSION}
             DELETE FROM index_version WHERE version = {};",
            self.version
        ))?;
        let shared = conn.prepare("SELECT 1 FROM index_version WHERE documents = ?")?.exists([documents])?;
        if !shared {
            conn.execute_batch(&format!("DROP TABLE IF EXISTS {documents}"))?;
        }
        Ok(())
    }
}

impl Tables {
    fn of(query_hash: &str, index_version: u32) -> Self {
        let query_hash: String = query_hash.chars().filter(char::is_ascii_alphanumeric).collect();
        Self {
            documents: format!("documents_{query_hash}"),
            entry: format!("entry_{index_version:06}"),
            value: format!("value_{index_version:06}"),
            text: format!("text_{index_version:06}"),
        }
    }
}

impl fmt::Debug for SqliteIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteIndex")
            .field("index", &self.plan.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
