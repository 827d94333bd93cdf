//! Documents on their way into an index and out of it, the same for every store.

use plan::{DocumentId, DocumentVersion};

/// Objects of nested lists and geo points in one document at most. A million rows, or documents of Lucene's, for one document
/// would hold up every other write.
pub(crate) const MAX_ELEMENTS: i64 = 100_000;

/// Why a document with more than [`MAX_ELEMENTS`] is refused.
pub(crate) fn too_many_elements() -> String {
    format!("the document has more than {MAX_ELEMENTS} elements in its nested lists")
}

/// A document on its way into the index.
#[derive(Debug, Clone, Copy)]
pub struct DocumentWrite<'a> {
    /// Its id.
    pub id: &'a DocumentId,
    /// Its version; only a greater one than the stored is written.
    pub version: DocumentVersion,
    /// The JSON object as it was received; `None` is a tombstone.
    pub body: Option<&'a str>,
    /// When its fetch began, milliseconds since the epoch of Unix.
    pub fetched_at_ms: i64,
    /// Paths that the graph could not answer.
    pub missing: &'a [String],
}

/// A document as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// Its id.
    pub id: DocumentId,
    /// Its version.
    pub version: DocumentVersion,
    /// The JSON object as it was received; `None` is a tombstone.
    pub body: Option<String>,
    /// When its fetch began, milliseconds since the epoch of Unix.
    pub fetched_at_ms: i64,
    /// Paths that the graph could not answer.
    pub missing: Vec<String>,
}

/// How many documents an index version holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Documents that a search can find.
    pub live: u64,
    /// Soft deletes that remember their version.
    pub tombstones: u64,
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// The index holds it.
    Written,
    /// The index holds this version or a newer one; nothing was written.
    Superseded,
    /// It can't be indexed as it is, and nothing was written; the reason.
    Rejected(String),
    /// The store was too busy, or went away before it answered; the reason. Its fate is unknown.
    Again(String),
}
