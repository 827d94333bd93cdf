//! `pause` and `resume`: stops and goes on consuming, for all processes. They notice within a second.

use std::path::Path;

use indexer::ledger::IndexState;
use serde::Serialize;

use crate::{environment::Environment, exit::Exit, failure::Failure, output::Output, project::Project};

#[derive(Serialize)]
struct Set<'s> {
    success: bool,
    name: &'s str,
    state: &'static str,
}

/// Stops consuming.
pub(crate) async fn pause(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    set(file, IndexState::Paused, env, output).await
}

/// Goes on consuming, also after the index paused itself.
pub(crate) async fn resume(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    set(file, IndexState::Running, env, output).await
}

async fn set(
    file: &Path,
    state: IndexState,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let (name, word) = (index.plan.name.as_str(), state.name());
    index.ledger.set_state(state).await?;
    output.answer(&Set { success: true, name, state: word }, |_| format!("{name} is {word}"))?;
    Ok(Exit::Done)
}
