//! How the ledger lies in its index: names, the mapping, and the ids of rows.

use plan::DocumentId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{audit::AuditKind, ledger::Fanning};

/// The layout of the rows; a ledger of another layout is refused.
pub(crate) const LAYOUT: i64 = 2;

/// The longest `_id` that both engines take, in bytes.
const MAX_ROW_ID_BYTES: usize = 512;

/// A keyword longer than this would not fit one of Lucene's terms, and the row would be refused: four bytes a character.
const MAX_KEYWORD: u32 = 32_766 / 4;

/// The row of the epoch, that of the index's state, and that of how far its versions are.
pub(super) const EPOCH: &str = "epoch";
pub(super) const STATE: &str = "state";
pub(super) const VERSIONS: &str = "versions";

/// The row that counts the changes of the saved searches.
pub(super) const SAVED: &str = "saved";

/// The row of what people want of the backfill lane.
pub(super) const BACKFILL_LANE: &str = "backfill_lane";

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The epoch, the state of the index, or how far its versions are.
    Meta,
    /// The plan of an index version.
    Version,
    /// A document that an index version lacks.
    Lack,
    /// A held document.
    Held,
    /// A backfill.
    Backfill,
    /// The wide fan-outs of a source.
    FanOuts,
    /// The figures of a process.
    Figures,
    /// What a process did to a document lately.
    History,
    /// The newest audit of a kind.
    Audit,
    /// A saved search.
    Saved,
    /// A document that begins to match a saved search, and was not posted yet.
    Match,
    /// Dead letters of a partition that are settled.
    #[cfg(feature = "kafka")]
    Letters,
}

impl Kind {
    /// The condition of rows of this kind that meet the others as well.
    pub(super) fn and(self, others: &[Value]) -> Value {
        let mut filter = vec![json!({ "term": { "kind": self } })];
        filter.extend_from_slice(others);
        json!({ "bool": { "filter": filter } })
    }
}

/// The name by which the ledger of an index is read and written.
pub(crate) fn alias(index: &str) -> String {
    format!("studio-search-{index}-ledger")
}

/// The index behind that name.
pub(crate) fn index(index: &str) -> String {
    format!("{}-000001", alias(index))
}

/// What the index is made of. `copies` are the settings of its replicas; the server's own rule where they are empty.
pub(crate) fn body(index: &str, copies: &Map<String, Value>) -> Value {
    let mut settings = settings(copies);
    settings.insert("number_of_shards".to_owned(), 1.into());
    json!({
        "settings": { "index": settings },
        "mappings": mappings(index),
        "aliases": { alias(index): { "is_hidden": true } },
    })
}

/// The settings that can be changed in place.
pub(crate) fn settings(copies: &Map<String, Value>) -> Map<String, Value> {
    let mut settings = copies.clone();
    settings.insert("hidden".to_owned(), true.into());
    // Whoever reads refreshes first; this is for people who look into it.
    settings.insert("refresh_interval".to_owned(), "5s".into());
    settings
}

/// Only what rows are found and sorted by is indexed; the rest of a row is in `body`, which the server does not look into.
pub(crate) fn mappings(index: &str) -> Value {
    let keyword = json!({ "type": "keyword" });
    json!({
        "dynamic": "strict",
        "_meta": { "managed_by": "studio-search", "index": index, "layout": LAYOUT },
        "properties": {
            "kind": keyword,
            "body": { "type": "object", "enabled": false },
            // A held document; one that an index version lacks.
            "id": keyword,
            "version": { "type": "long" },
            "subgraph": { "type": "keyword", "ignore_above": MAX_KEYWORD },
            "replayed": { "type": "boolean" },
            "next_at": { "type": "long" },
            // A backfill, an index version and what it lacks, a partition of dead letters; fan-outs.
            "number": { "type": "long" },
            "ended": { "type": "boolean" },
            // Figures, the steps of a document.
            "process": keyword,
            "at": { "type": "long" },
            // A saved search, and what begins to match it.
            "name": keyword,
        },
    })
}

/// The row of a held document.
pub(super) fn held_row(id: &DocumentId) -> String {
    row_of("held", id.as_str())
}

/// The row of what a process did to a document.
pub(super) fn history_row(id: &DocumentId, process: &str) -> String {
    row_of("history", &format!("{process}:{id}"))
}

/// The row of the newest audit of a kind.
pub(super) fn audit_row(kind: AuditKind) -> String {
    format!("audit:{}", kind.name())
}

/// A row that is called after a document. A document id may be as long as a row's may be, which leaves no room for the kind.
fn row_of(kind: &str, name: &str) -> String {
    let named = format!("{kind}:{name}");
    if named.len() <= MAX_ROW_ID_BYTES {
        return named;
    }
    let digest = Sha256::digest(name.as_bytes());
    digest.iter().fold(format!("{kind}#"), |row, byte| row + &format!("{byte:02x}"))
}

/// A row for the plan of an index version.
pub(super) fn plan_row(number: u32, chance: u64) -> String {
    format!("version:{number}:{chance:016x}")
}

/// The row of a document that an index version lacks.
pub(super) fn lack_row(number: u32, id: &DocumentId) -> String {
    row_of("lack", &format!("{number}:{id}"))
}

/// The row of a backfill.
pub(super) fn backfill_row(number: i64) -> String {
    format!("backfill:{number}")
}

/// The row of the wide fan-outs of a source.
pub(super) fn fan_outs_row(Fanning { source, found_in }: &Fanning) -> String {
    row_of("fan_outs", &format!("{}:{source}", found_in.name()))
}

/// The row of a saved search.
pub(super) fn saved_row(name: &str) -> String {
    row_of("saved", name)
}

/// The row of a document that begins to match a saved search. The name has no blank at its end, so that it can't be mistaken.
pub(super) fn match_row(search: &str, id: &DocumentId) -> String {
    row_of("match", &format!("{search} :{id}"))
}

/// The row of the settled dead letters of a partition.
#[cfg(feature = "kafka")]
pub(super) fn letters_row(partition: i32) -> String {
    format!("letters:{partition}")
}

/// The row of a process' figures.
pub(super) fn figures_row(process: &str) -> String {
    format!("figures:{process}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_has_a_row_of_its_own_that_a_server_takes() {
        let longest = |last: char| DocumentId::new(format!("{}{last}", "x".repeat(511))).unwrap();
        let ids = [DocumentId::new("m1").unwrap(), longest('a'), longest('b')];
        let rows = ids.each_ref().map(held_row);
        assert_eq!(rows[0], "held:m1");
        assert!(rows[1] != rows[2] && rows.iter().all(|row| row.len() <= MAX_ROW_ID_BYTES), "{rows:?}");
    }
}
