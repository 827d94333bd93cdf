//! What provision makes in the state file: its tables, the tables of an index that is kept there, and the stored plan.

use std::{path::Path, sync::Arc};

use plan::{IndexPlan, index_plan::StoreKind};
use rusqlite::params;
use search::sqlite::SqliteIndex;

use super::{Action, Change, INDEX_VERSION, version_name};
use crate::{StateError, StateFile, ledger::sqlite::served_version};

/// Says what [`provision`] would do, and changes nothing.
pub fn changes(path: &Path, plan: &IndexPlan) -> Result<Vec<Change>, StateError> {
    let file =
        |action, reasons| Change { action, kind: "state file", name: path.display().to_string(), reasons };
    let version = |action, number, reasons| Change {
        action,
        kind: INDEX_VERSION,
        name: version_name(&plan.name, number),
        reasons,
    };
    match StateFile::open(path, &plan.name).and_then(|state| served_version(&state)) {
        Ok(served) if served.plan == *plan => {
            Ok(vec![file(Action::None, vec![]), version(Action::None, served.version, vec![])])
        }
        Ok(served) => {
            let reasons = differences(&served.plan, plan, served.version)?;
            Ok(vec![file(Action::None, vec![]), version(Action::Change, served.version, reasons)])
        }
        Err(StateError::NotProvisioned(_)) => {
            let new = || vec!["it does not exist".to_owned()];
            Ok(vec![file(Action::Add, new()), version(Action::Add, 1, new())])
        }
        Err(error) => Err(error),
    }
}

/// Makes the state file, the index version and its tables, and stores the plan. Gives what it did.
pub fn provision(path: &Path, plan: &IndexPlan) -> Result<Vec<Change>, StateError> {
    let done = changes(path, plan)?;
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

/// What differs between the served plan and this one, where it can be changed in place; else an error.
pub(super) fn differences(
    served: &IndexPlan,
    plan: &IndexPlan,
    version: u32,
) -> Result<Vec<String>, StateError> {
    let rebuilt = |reason: &str| StateError::NeedsNewVersion { served: version, reason: reason.to_owned() };
    if served.entity != plan.entity || served.key != plan.key {
        return Err(rebuilt("the root entity or its key is another one"));
    }
    if served.fetch.query_hash != plan.fetch.query_hash {
        return Err(rebuilt("the query is another one, so every document is"));
    }
    if served.store != plan.store {
        return Err(rebuilt("documents are kept in another store"));
    }
    if served.fields != plan.fields {
        return Err(rebuilt("fields are indexed differently"));
    }
    let partitions = |plan: &IndexPlan| plan.kafka.as_ref().map(|kafka| kafka.partitions);
    if partitions(served) != partitions(plan) {
        return Err(rebuilt("documents find their owners by another number of partitions"));
    }
    let looked_up = SqliteIndex::new(Arc::new(served.clone()), version);
    let wanted = SqliteIndex::new(Arc::new(plan.clone()), version);
    if !wanted.lookup_paths().is_subset(&looked_up.lookup_paths()) {
        return Err(rebuilt("documents are looked up by a key that the stored ones are not found by"));
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
    Ok(changed)
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
