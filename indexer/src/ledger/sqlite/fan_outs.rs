//! Wide fan-outs, in the state file: a row for each source, which moves as a whole.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{as_json, from_json};
use crate::ledger::{FanOutStep, FanOuts, Fanning};

/// Those of which something is left to be done.
pub(super) fn open(conn: &Connection) -> rusqlite::Result<Vec<FanOuts>> {
    conn.prepare_cached("SELECT fan_outs FROM fan_out WHERE is_idle = 0 ORDER BY source, found_in")?
        .query_map((), |row| from_json(row, 0))?
        .collect()
}

/// Takes a step; gives what they are then, or `None` where it was refused.
pub(super) fn step(tx: &Transaction<'_>, of: Fanning, step: FanOutStep) -> rusqlite::Result<Option<FanOuts>> {
    let there: Option<FanOuts> = tx
        .prepare_cached("SELECT fan_outs FROM fan_out WHERE source = ?1 AND found_in = ?2")?
        .query_row([&of.source, of.found_in.name()], |row| from_json(row, 0))
        .optional()?;
    let mut fan_outs = there.unwrap_or_else(|| FanOuts::new(of));
    if !fan_outs.take(step) {
        return Ok(None);
    }
    let Fanning { source, found_in } = &fan_outs.of;
    tx.prepare_cached("INSERT OR REPLACE INTO fan_out VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        source,
        found_in.name(),
        fan_outs.is_idle(),
        as_json(&fan_outs)
    ])?;
    Ok(Some(fan_outs))
}
