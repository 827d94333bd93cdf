//! `config`: the JSON Schema of the language, a file as it is understood, and its newest version.

use std::path::Path;

use codegen::config::SCHEMA;
use serde::Serialize;
use serde_json::Value;

use crate::{environment::Environment, exit::Exit, failure::Failure, output::Output, project::Project};

#[derive(Serialize)]
struct Expanded {
    success: bool,
    config: Value,
}

#[derive(Serialize)]
struct Upgraded {
    success: bool,
    version: u64,
    changed: bool,
}

/// Writes the JSON Schema of `index.yaml`. It is JSON in itself, so no envelope stands around it.
pub(crate) fn schema(output: &mut Output) -> Result<Exit, Failure> {
    output.write(SCHEMA.as_bytes())?;
    Ok(Exit::Done)
}

/// Writes the configuration with defaults and variables filled in.
pub(crate) fn expand(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let expansion = Project::expand(file, env, output)?;
    let yaml = expansion.to_yaml();
    output.answer(&Expanded { success: true, config: expansion.value }, |_| yaml)?;
    Ok(Exit::Done)
}

/// Says that the file is of the newest version: there is no other yet.
pub(crate) fn upgrade(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let project = Project::open(file, env)?;
    let shown = project.file.display();
    output.answer(&Upgraded { success: true, version: 1, changed: false }, |_| {
        format!("{shown} is of version 1, the newest: there is nothing to upgrade")
    })?;
    Ok(Exit::Done)
}
