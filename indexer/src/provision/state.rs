//! What provision makes in the state file: its tables, the tables of an index that is kept there, and the stored plan.

use std::{path::Path, sync::Arc};

use plan::{IndexPlan, index_plan::StoreKind};
use rusqlite::params;
use search::sqlite::SqliteIndex;

use super::{Action, Change, Kind, refuse_rebuilds, version_change};
use crate::{StateError, StateFile, ledger::sqlite::served_version};

/// Says what [`provision`] would do, and changes nothing.
pub fn changes(path: &Path, plan: &IndexPlan) -> Result<Vec<Change>, StateError> {
    let name = path.display().to_string();
    match StateFile::open(path, &plan.name).and_then(|state| served_version(&state)) {
        Ok(served) => Ok(vec![
            Change::of(Kind::StateFile, &name, Action::None, vec![]),
            version_change(Some(&served), plan),
        ]),
        Err(StateError::NotProvisioned(_)) => {
            Ok(vec![Change::missing(Kind::StateFile, &name), version_change(None, plan)])
        }
        Err(error) => Err(error),
    }
}

/// Makes the state file, the index version and its tables, and stores the plan. Gives what it did.
pub fn provision(path: &Path, plan: &IndexPlan) -> Result<Vec<Change>, StateError> {
    let done = changes(path, plan)?;
    refuse_rebuilds(&done)?;
    if done.iter().all(|change| change.action == Action::None) {
        return Ok(done);
    }
    let state = StateFile::create(path, &plan.name)?;
    let served = match served_version(&state) {
        Ok(served) => Some(served),
        Err(StateError::NotProvisioned(_)) => None,
        Err(error) => return Err(error),
    };
    let number = served.as_ref().map_or(1, |served| served.version);
    let index = SqliteIndex::new(Arc::new(plan.clone()), number);
    state.in_transaction(|tx| {
        if plan.store == StoreKind::Sqlite {
            index.create(tx)?;
        }
        // A position counts in what it was taken from; elsewhere it would skip what nobody has read.
        let mut forget = tx.prepare("DELETE FROM source_position WHERE source = ?1")?;
        for source in &plan.sources {
            let before = served.as_ref().and_then(|served| served.plan.source(&source.name));
            if before.is_none_or(|before| before.input != source.input) {
                forget.execute([&source.name])?;
            }
        }
        tx.execute(
            "INSERT OR REPLACE INTO version_plan (version, plan, plan_hash, served) VALUES (?1, ?2, ?3, 1)",
            params![number, plan.to_json(), plan.hash()],
        )
    })?;
    Ok(done)
}

/// Why this plan can't take the place of the served one, whose documents are kept and found in another way; empty: it can.
pub(super) fn rebuild_reasons(served: &IndexPlan, plan: &IndexPlan, version: u32) -> Vec<String> {
    let partitions = |plan: &IndexPlan| plan.kafka.as_ref().map(|kafka| kafka.partitions);
    let found_by = SqliteIndex::new(Arc::new(served.clone()), version);
    let wanted = SqliteIndex::new(Arc::new(plan.clone()), version);
    let parts: [(&str, bool); 6] = [
        ("the root entity or its key is another one", served.entity != plan.entity || served.key != plan.key),
        ("the query is another one, so every document is", served.fetch.query_hash != plan.fetch.query_hash),
        ("documents are kept in another store", served.store != plan.store),
        ("fields are indexed differently", served.fields != plan.fields),
        (
            "documents find their owners by another number of partitions",
            partitions(served) != partitions(plan),
        ),
        (
            "documents are looked up by a key that the stored ones are not found by",
            !wanted.lookup_paths().is_subset(&found_by.lookup_paths()),
        ),
    ];
    parts.iter().filter(|(_, differs)| *differs).map(|(reason, _)| (*reason).to_owned()).collect()
}

/// What differs between the served plan and one that can take its place; empty: nothing.
pub(super) fn differences(served: &IndexPlan, plan: &IndexPlan) -> Vec<String> {
    if served == plan {
        return Vec::new();
    }
    let parts: [(&str, bool); 9] = [
        ("sources", served.sources != plan.sources),
        ("graph", served.graph != plan.graph || served.subgraphs != plan.subgraphs),
        ("kafka", served.kafka != plan.kafka),
        ("fetch mode", served.fetch != plan.fetch),
        ("backfill", served.backfill != plan.backfill),
        ("errors", served.errors != plan.errors),
        ("search", served.search != plan.search),
        ("freshness", served.freshness != plan.freshness),
        ("coverage", served.coverage != plan.coverage),
    ];
    let mut changed: Vec<String> =
        parts.iter().filter(|(_, differs)| *differs).map(|(part, _)| format!("`{part}` changed")).collect();
    if changed.is_empty() {
        changed.push("its description changed".to_owned());
    }
    changed
}

#[cfg(test)]
mod tests {
    use plan::index_plan::SourceInput;

    use super::*;
    use crate::{
        log::{Append, Progress, ReindexLog, sqlite::SqliteLog},
        source::Position,
        testing,
    };

    #[tokio::test]
    async fn a_source_with_another_input_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        let mut plan = testing::movies();
        provision(&path, &plan).unwrap();
        let log = SqliteLog::new(StateFile::open(&path, "movies").unwrap());
        let position = Position::new(500, Some("7-abc".to_owned()));
        for source in ["movies", "talent"] {
            let progress = Progress { source: source.to_owned(), position: position.clone() };
            log.append(Append { progress: Some(progress), ..Append::default() }).await.unwrap();
        }
        plan.sources[0].input = SourceInput::Http;
        plan.sources[1].max_fanout = 7;
        provision(&path, &plan).unwrap();
        assert_eq!(log.source_progress("movies").await.unwrap(), None);
        assert_eq!(log.source_progress("talent").await.unwrap(), Some(position));
        // What is left out for a while may come back as something else.
        let movies = plan.sources.remove(1);
        provision(&path, &plan).unwrap();
        plan.sources.push(movies);
        provision(&path, &plan).unwrap();
        assert_eq!(log.source_progress("talent").await.unwrap(), None);
    }
}
