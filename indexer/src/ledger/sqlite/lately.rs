//! What happened lately, in the state file: the steps of documents, and the newest audits.

use plan::DocumentId;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{as_json, from_json};
use crate::{
    audit::AuditRow,
    history::{self, DOCUMENTS, Step},
};

/// Adds steps to the rings of documents, and forgets the documents that nothing happened to for longest.
pub(super) fn note(
    tx: &Transaction<'_>,
    writer: &str,
    noted: Vec<(DocumentId, Vec<Step>)>,
) -> rusqlite::Result<()> {
    let mut read = tx.prepare_cached("SELECT steps FROM history WHERE id = ?1 AND writer = ?2")?;
    let mut write = tx.prepare_cached("INSERT OR REPLACE INTO history VALUES (?1, ?2, ?3, ?4)")?;
    for (id, steps) in noted {
        let before: Option<Vec<Step>> =
            read.query_row([id.as_str(), writer], |row| from_json(row, 0)).optional()?;
        let ring = history::ring(before.unwrap_or_default(), steps);
        let at = ring.last().map_or(0, |step| step.at);
        write.execute(params![id.as_str(), writer, at, as_json(&ring)])?;
    }
    tx.prepare_cached(
        "DELETE FROM history WHERE at < (SELECT at FROM history ORDER BY at DESC LIMIT 1 OFFSET ?1)",
    )?
    .execute([DOCUMENTS])?;
    Ok(())
}

/// The steps of a document.
pub(super) fn history(conn: &Connection, id: &DocumentId) -> rusqlite::Result<Vec<Step>> {
    let mut read = conn.prepare_cached("SELECT steps FROM history WHERE id = ?1")?;
    let rings: Vec<Vec<Step>> =
        read.query_map([id.as_str()], |row| from_json(row, 0))?.collect::<Result<_, _>>()?;
    Ok(history::in_order(rings))
}

/// The newest audit of each kind.
pub(super) fn audits(conn: &Connection) -> rusqlite::Result<Vec<AuditRow>> {
    conn.prepare_cached("SELECT audit FROM audit ORDER BY kind")?
        .query_map((), |row| from_json(row, 0))?
        .collect()
}

/// Writes how far an audit is, unless what is there is newer or further.
pub(super) fn save_audit(tx: &Transaction<'_>, audit: &AuditRow) -> rusqlite::Result<()> {
    let kind = audit.kind.name();
    let there: Option<AuditRow> = tx
        .query_row("SELECT audit FROM audit WHERE kind = ?1", [kind], |row| from_json(row, 0))
        .optional()?;
    if there.is_none_or(|there| there.gives_way_to(audit)) {
        tx.execute("INSERT OR REPLACE INTO audit VALUES (?1, ?2)", [kind, &as_json(audit)])?;
    }
    Ok(())
}
