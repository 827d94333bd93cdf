//! What provision makes in the state file: its tables, the tables of an index that is kept there, and the stored plan.

use std::{path::Path, sync::Arc};

use plan::{IndexPlan, index_plan::StoreKind};
use search::sqlite::SqliteIndex;

use super::{
    Action, Change, Kind, refuse_rebuilds,
    version::{self, Goal, lasting, taken_by, version_changes},
};
use crate::{
    StateError, StateFile,
    index::routed,
    ledger::{
        sqlite::versions::{self, known_versions},
        versions::{VersionState, served, served_and_others},
    },
};

/// Says what [`provision`] would do, and changes nothing.
pub fn changes(path: &Path, plan: &IndexPlan) -> Result<Vec<Change>, StateError> {
    changes_to(path, plan, Goal::Fitting)
}

/// As [`changes`], for a version of this goal.
pub(super) fn changes_to(path: &Path, plan: &IndexPlan, goal: Goal) -> Result<Vec<Change>, StateError> {
    let name = path.display().to_string();
    match StateFile::open(path, &plan.name).and_then(|state| Ok((known_versions(&state)?, next(&state)?))) {
        Ok((known, next)) if served(&known).is_some() => {
            let state = Change::of(Kind::StateFile, &name, Action::None, vec![]);
            Ok(std::iter::once(state).chain(version_changes(&known, next, plan, goal)).collect())
        }
        Ok(_) | Err(StateError::NotProvisioned(_)) => {
            let missing = Change::missing(Kind::StateFile, &name);
            Ok(std::iter::once(missing).chain(version_changes(&[], 1, plan, goal)).collect())
        }
        Err(error) => Err(error),
    }
}

/// Makes the state file, the index version and its tables, and stores the plan. Gives what it did.
pub fn provision(path: &Path, plan: &IndexPlan) -> Result<Vec<Change>, StateError> {
    provision_to(path, plan, Goal::Fitting)
}

/// As [`provision`], for a version of this goal.
pub(super) fn provision_to(path: &Path, plan: &IndexPlan, goal: Goal) -> Result<Vec<Change>, StateError> {
    let done = changes_to(path, plan, goal)?;
    refuse_rebuilds(&done)?;
    if done.iter().all(|change| change.action == Action::None) {
        return Ok(done);
    }
    let state = StateFile::create(path, &plan.name)?;
    let known = known_versions(&state)?;
    let (before, wanted) = (served(&known), taken_by(&known, plan, goal));
    let lasting = lasting(&known, plan);
    state.in_transaction(|tx| {
        let number = match (wanted, before) {
            (Some(wanted), _) => wanted.number(),
            (None, Some(_)) => versions::next_number(tx)?,
            (None, None) => 1,
        };
        if plan.store == StoreKind::Sqlite {
            SqliteIndex::new(Arc::new(plan.clone()), number).create(tx)?;
        }
        // Of a version that isn't served, and has its query, they are forgotten by its promotion: until then nobody reads what is new.
        match before {
            Some(before) if before.number() != number => {
                if before.plan().fetch.query_hash != plan.fetch.query_hash && wanted.is_none() {
                    versions::forget_positions(tx, &routed(served_and_others(&known)), plan)?;
                }
            }
            before => {
                let sources = before.map(|before| before.plan().sources.clone()).unwrap_or_default();
                versions::forget_positions(tx, &sources, plan)?;
            }
        }
        versions::remove_new(tx, |other| other == number || lasting.contains(&other))?;
        let first = if before.is_none() { VersionState::Served } else { VersionState::Building };
        versions::put(tx, number, plan, &first)
    })?;
    Ok(done)
}

/// Whether what provision makes of this plan is served at once. A file that can't be read says nothing here; it is told where its
/// changes are.
pub(super) fn serves(path: &Path, plan: &IndexPlan, goal: Goal) -> bool {
    let known = StateFile::open(path, &plan.name).and_then(|state| known_versions(&state));
    version::serves(&known.unwrap_or_default(), plan, goal)
}

fn next(state: &StateFile) -> Result<u32, StateError> {
    state.with_reader(versions::next_number)
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

    #[test]
    fn another_query_is_beside_the_served_one_and_another_root_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        let mut plan = testing::movies();
        provision(&path, &plan).unwrap();
        plan.fetch.query_hash = "fedcba9876543210".to_owned();
        plan.fields.0.retain(|field| field.name != "title");
        plan.fields.0[1].children[0].graphql_type = "String!".to_owned();
        plan.fields.0[2].name = "crew".to_owned();
        plan.fields.0[2].path = "crew".to_owned();
        let told = changes(&path, &plan).unwrap().remove(1);
        assert_eq!(told.action, Action::Rebuild);
        assert_eq!(
            told.reasons[1..4],
            [
                "the document gains `crew`",
                "the document loses `actors`, `title`",
                "the document has in another type `production.status`"
            ]
            .map(str::to_owned)
        );
        provision(&path, &plan).unwrap();
        assert!(changes(&path, &plan).unwrap().iter().all(|change| change.action == Action::None));
        plan.key.field = "id".to_owned();
        let refused = provision(&path, &plan).unwrap_err();
        assert_eq!(refused.code().id, "SS522", "{refused}");
    }

    #[test]
    fn another_version_of_the_same_plan_is_made_once_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movies.db");
        let mut plan = testing::movies();
        provision(&path, &plan).unwrap();
        let made = provision_to(&path, &plan, Goal::Another).unwrap().remove(1);
        assert_eq!((made.name.as_str(), made.action), ("movies-000002", Action::Rebuild));
        for goal in [Goal::Another, Goal::Fitting] {
            let again = provision_to(&path, &plan, goal).unwrap();
            assert!(again.iter().all(|change| change.action == Action::None), "{goal:?}: {again:?}");
        }
        let states = || {
            let known = known_versions(&StateFile::open(&path, "movies").unwrap()).unwrap();
            known.iter().map(|known| known.state.name()).collect::<Vec<_>>()
        };
        assert_eq!(states(), ["SERVED", "BUILDING"]);
        // What it was made by is another plan then.
        plan.keep_versions += 1;
        provision(&path, &plan).unwrap();
        assert_eq!(states(), ["SERVED", "REMOVING"]);
    }

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
