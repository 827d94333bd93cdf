//! `backfill start --into-new-version`: the version of another query by a backfill, one of the same query from the served version.

use std::{path::Path, sync::Arc};

use indexer::{
    Index,
    ledger::{
        BackfillIds,
        versions::{KnownVersion, VersionState},
    },
    provision::{Action, add_version},
};
use plan::{IndexPlan, code::backfill as codes};
use serde::Serialize;

use super::nowhere;
use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    follow,
    output::Output,
    project::{Project, artifacts},
};

/// What follows for a version that is filled from the served one.
#[derive(Serialize)]
struct Copied {
    success: bool,
    version: u32,
    /// How far it is.
    state: VersionState,
}

/// The version that waits for a backfill, for its query isn't the served one's.
pub(super) async fn waiting(index: &Index) -> Result<Option<KnownVersion>, Failure> {
    newest(index, |query| *query != index.plan.fetch.query_hash).await
}

/// The newest version on its way, of these queries.
async fn newest(index: &Index, is_wanted: impl Fn(&String) -> bool) -> Result<Option<KnownVersion>, Failure> {
    let versions = index.versions().await?.into_iter().rev();
    let is_on_its_way = |known: &KnownVersion| known.state.is_live() && known.state.is_new();
    Ok(versions.into_iter().find(|known| is_on_its_way(known) && is_wanted(&known.plan().fetch.query_hash)))
}

/// The ids of a version that waits for a backfill.
pub(super) fn ids(waiting: &KnownVersion) -> Result<BackfillIds, Failure> {
    match waiting.plan().backfill.ids {
        Some(_) => Ok(BackfillIds::IntoVersion(waiting.number())),
        None => Err(nowhere()),
    }
}

/// The plan that a backfill into a new version would be for: the waiting one's, else what the file says; none where that has the
/// served query.
pub(super) async fn planned(
    file: &Path,
    index: &Index,
    env: &Environment,
    output: &Output,
) -> Result<Option<Arc<IndexPlan>>, Failure> {
    if let Some(waiting) = waiting(index).await? {
        return Ok(Some(Arc::new(waiting.version.plan)));
    }
    let (_, compiled) = Project::compile(file, env, output).await?;
    let is_other_query = compiled.plan.fetch.query_hash != index.plan.fetch.query_hash;
    Ok(is_other_query.then(|| Arc::new(compiled.plan)))
}

/// Why a pace says nothing here.
pub(super) fn needs_no_pace() -> Failure {
    Failure::usage("--now and --rate are for what is asked of the gateway")
        .help("the query is unchanged, so that the version is filled from the served one: leave both out")
}

/// Makes another version, unless one of the served query is on its way already; `run` fills it.
pub(super) async fn copy(
    file: &Path,
    index: &Index,
    follows: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let on_its_way = newest(index, |query| *query == index.plan.fetch.query_hash).await?;
    let number = match on_its_way {
        Some(known) => known.number(),
        None => add(file, env, output).await?,
    };
    if !follows && index.ledger.figures().await?.is_empty() {
        output.say("nothing works on this index yet: `studio-search run` fills the version");
    }
    let state =
        if follows { follow::filling(index, number, output).await? } else { state_of(index, number).await? };
    let success = state.is_live();
    output.answer(&Copied { success, version: number, state: state.clone() }, |paint| match &state {
        VersionState::GivenUp { reason } => {
            paint.bad(&format!("index version {number} is given up: {reason}"))
        }
        state if state.is_whole() => {
            paint.good(&format!("index version {number} is filled: studio-search promote"))
        }
        state => format!("index version {number} is {}: it is filled from the served one", state.name()),
    })?;
    Ok(if success { Exit::Done } else { Exit::Failed })
}

/// Makes another version of what is provisioned.
async fn add(file: &Path, env: &Environment, output: &Output) -> Result<u32, Failure> {
    let (project, compiled) = Project::compile(file, env, output).await?;
    let place = project.place();
    let changes = indexer::provision::changes(&place, &compiled.plan, artifacts(&compiled)).await?;
    if changes.iter().any(|change| change.action != Action::None) {
        let failure = Failure::new("what the files say is not provisioned yet").code(codes::SS609);
        return Err(
            failure.help("`studio-search plan` shows what differs; run `studio-search provision` first")
        );
    }
    Ok(add_version(&place, &compiled.plan, artifacts(&compiled)).await?)
}

/// How far a version is; one that is no more is being removed.
async fn state_of(index: &Index, number: u32) -> Result<VersionState, Failure> {
    let states = index.ledger.version_states().await?;
    let state = states.into_iter().find(|(known, _)| *known == number);
    Ok(state.map_or(VersionState::Removing, |(_, state)| state))
}
