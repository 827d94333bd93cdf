//! Index versions in the state file.

use plan::{DocumentVersion, IndexPlan, SourcePlan};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{as_json, from_json};
use crate::{
    StateError, StateFile,
    index::routed,
    ledger::{
        IndexVersion, read_plan,
        versions::{KnownVersion, Lack, VersionState},
    },
    log::sqlite::read_id,
};

/// Every index version in this file, by number.
pub(crate) fn known_versions(state: &StateFile) -> Result<Vec<KnownVersion>, StateError> {
    type Row = (u32, String, VersionState);
    let read = |conn: &Connection| -> rusqlite::Result<Vec<Row>> {
        conn.prepare_cached("SELECT version, plan, state FROM version_plan ORDER BY version")?
            .query_map((), |row| Ok((row.get(0)?, row.get(1)?, from_json(row, 2)?)))?
            .collect()
    };
    let place = state.path().display().to_string();
    let known = |(version, text, state): Row| {
        let plan = read_plan(&text, &place)?;
        Ok(KnownVersion { version: IndexVersion { version, plan, schema: None }, state })
    };
    state.with_reader(read)?.into_iter().map(known).collect()
}

/// How far each is; their plans are not read.
pub(super) fn states(conn: &Connection) -> rusqlite::Result<Vec<(u32, VersionState)>> {
    conn.prepare_cached("SELECT version, state FROM version_plan ORDER BY version")?
        .query_map((), |row| Ok((row.get(0)?, from_json(row, 1)?)))?
        .collect()
}

/// The number of the next version. A number is never used again: a process that slept meanwhile would take one version for another.
pub(crate) fn next_number(conn: &Connection) -> rusqlite::Result<u32> {
    let kept: Option<String> = conn
        .query_row("SELECT value FROM meta WHERE key = 'highest_version'", (), |row| row.get(0))
        .optional()?;
    let known: u32 =
        conn.query_row("SELECT coalesce(max(version), 0) FROM version_plan", (), |row| row.get(0))?;
    let kept = kept.and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(known.max(kept).saturating_add(1))
}

/// Writes a version with its plan; a new one begins in this state, another stays how far it is.
pub(crate) fn put(
    tx: &Transaction<'_>,
    number: u32,
    plan: &IndexPlan,
    first: &VersionState,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO version_plan (version, plan, plan_hash, state) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (version) DO UPDATE SET plan = excluded.plan, plan_hash = excluded.plan_hash",
        params![number, plan.to_json(), plan.hash(), as_json(first)],
    )?;
    let next = next_number(tx)?;
    tx.execute("INSERT OR REPLACE INTO meta VALUES ('highest_version', ?1)", [(next - 1).to_string()])?;
    Ok(())
}

/// Lets go of every version that was never served, but for those that stay.
pub(crate) fn remove_new(tx: &Transaction<'_>, stays: impl Fn(u32) -> bool) -> rusqlite::Result<()> {
    for (number, state) in states(tx)?.into_iter().filter(|(number, state)| !stays(*number) && state.is_new())
    {
        change(tx, number, &state, &VersionState::Removing)?;
    }
    Ok(())
}

/// Moves a version on if it is `from`; says whether it was.
pub(super) fn change(
    tx: &Transaction<'_>,
    number: u32,
    from: &VersionState,
    to: &VersionState,
) -> rusqlite::Result<bool> {
    let sql = "UPDATE version_plan SET state = ?3 WHERE version = ?1 AND state = ?2";
    Ok(tx.prepare_cached(sql)?.execute(params![number, as_json(from), as_json(to)])? == 1)
}

/// Serves `to` and keeps `from`, if they are whole and served; says whether they were.
pub(super) fn promote(tx: &Transaction<'_>, from: u32, to: u32) -> rusqlite::Result<bool> {
    let states = states(tx)?;
    let state = |wanted| states.iter().find(|(number, _)| *number == wanted).map(|(_, state)| state);
    let (Some(VersionState::Served), Some(whole @ (VersionState::Ready | VersionState::Kept))) =
        (state(from), state(to))
    else {
        return Ok(false);
    };
    forget_other_inputs(tx, from, to)?;
    Ok(change(tx, from, &VersionState::Served, &VersionState::Kept)?
        && change(tx, to, whole, &VersionState::Served)?)
}

/// A position counts in what it was taken from; in another input it would skip what nobody has read.
fn forget_other_inputs(tx: &Transaction<'_>, from: u32, to: u32) -> rusqlite::Result<()> {
    let plan = |number: u32| -> rusqlite::Result<IndexPlan> {
        tx.query_row("SELECT plan FROM version_plan WHERE version = ?1", [number], |row| from_json(row, 0))
    };
    let (before, plan) = (plan(from)?, plan(to)?);
    // What only another query needs is read while its version lives.
    let other = Some(&plan).filter(|plan| plan.fetch.query_hash != before.fetch.query_hash);
    forget_positions(tx, &routed([&before].into_iter().chain(other)), &plan)
}

/// Forgets where the sources of a plan are that read another input before, or were not read.
pub(crate) fn forget_positions(
    tx: &Transaction<'_>,
    before: &[SourcePlan],
    plan: &IndexPlan,
) -> rusqlite::Result<()> {
    let mut forget = tx.prepare_cached("DELETE FROM source_position WHERE source = ?1")?;
    for source in &plan.sources {
        let known = before.iter().find(|known| known.name == source.name);
        if known.is_none_or(|known| known.input != source.input) {
            forget.execute([&source.name])?;
        }
    }
    Ok(())
}

/// Forgets a version that is being removed, and what it lacks.
pub(super) fn forget(tx: &Transaction<'_>, number: u32) -> rusqlite::Result<()> {
    let removing = as_json(&VersionState::Removing);
    tx.execute("DELETE FROM version_plan WHERE version = ?1 AND state = ?2", params![number, removing])?;
    tx.execute("DELETE FROM version_lack WHERE version NOT IN (SELECT version FROM version_plan)", ())?;
    Ok(())
}

/// Notes documents that a version lacks; of one document the newest write counts.
pub(crate) fn note_lacks(tx: &Transaction<'_>, number: u32, lacks: &[Lack]) -> rusqlite::Result<()> {
    let mut note = tx.prepare_cached(
        "INSERT INTO version_lack VALUES (?1, ?2, ?3, ?4) ON CONFLICT (version, id)
         DO UPDATE SET document = excluded.document, reason = excluded.reason WHERE document < excluded.document",
    )?;
    lacks.iter().try_for_each(|lack| {
        note.execute(params![number, lack.id.as_str(), lack.version.get(), lack.reason]).map(drop)
    })
}

/// The documents that a version lacks, by id, at most `limit`.
pub(super) fn lacks(conn: &Connection, number: u32, limit: usize) -> rusqlite::Result<Vec<Lack>> {
    conn.prepare_cached(
        "SELECT id, document, reason FROM version_lack WHERE version = ?1 ORDER BY id LIMIT ?2",
    )?
    .query_map(params![number, limit], |row| {
        let version = DocumentVersion::from_stored(row.get(1)?);
        Ok(Lack { id: read_id(row, 0)?, version, reason: row.get(2)? })
    })?
    .collect()
}

/// Forgets lacks, each up to the version that was written meanwhile.
pub(super) fn fill_lacks(tx: &Transaction<'_>, number: u32, lacks: &[Lack]) -> rusqlite::Result<()> {
    let mut forget =
        tx.prepare_cached("DELETE FROM version_lack WHERE version = ?1 AND id = ?2 AND document <= ?3")?;
    lacks
        .iter()
        .try_for_each(|lack| forget.execute(params![number, lack.id.as_str(), lack.version.get()]).map(drop))
}
