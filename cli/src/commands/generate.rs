//! `generate`: what follows from the query, written out. The same inputs give the same bytes, so that it can be committed.

use std::path::{Path, PathBuf};

use codegen::Compiled;
use serde::Serialize;

use crate::{
    args::Artifact, environment::Environment, exit::Exit, failure::Failure, files::write_whole,
    output::Output, project::Project,
};

#[derive(Serialize)]
struct Generated {
    success: bool,
    /// Where it was written; nothing where it went to stdout.
    path: PathBuf,
}

/// Writes one artifact to stdout, or into a folder under a name of its own.
pub(crate) async fn generate(
    kind: Artifact,
    file: &Path,
    out: Option<&Path>,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (_, compiled) = Project::compile(file, env, output).await?;
    let text = text(kind, &compiled)?;
    let Some(folder) = out else {
        // The artifact is a file in itself; an envelope around it would make it another one.
        output.write(text.as_bytes())?;
        return Ok(Exit::Done);
    };
    let path = folder.join(file_name(kind, &compiled.plan.name));
    let written = std::fs::create_dir_all(folder).and_then(|()| write_whole(&path, &text));
    written.map_err(|error| Failure::new(format!("{} can't be written: {error}", path.display())))?;
    let shown = path.display().to_string();
    output.answer(&Generated { success: true, path }, |_| shown)?;
    Ok(Exit::Done)
}

fn text(kind: Artifact, compiled: &Compiled) -> Result<String, Failure> {
    let mut text = match kind {
        Artifact::Avro => format!("{:#}", compiled.avro),
        Artifact::Template => format!("{:#}", compiled.index_template),
        Artifact::Plan => compiled.plan.to_json(),
        Artifact::Docs => compiled.docs.clone(),
        Artifact::JsonSchema => format!("{:#}", codegen::document_schema(&compiled.plan)),
        Artifact::Subgraph => ::search::serve::subgraph_sdl(&[&compiled.plan])
            .map_err(|error| Failure::new(error.to_string()))?
            .trim_end()
            .to_owned(),
        Artifact::Connector => {
            let connectors = codegen::connectors(&compiled.plan);
            format!("{:#}", connectors.map_err(|error| Failure::of_diagnostics(vec![error]))?)
        }
    };
    text.push('\n');
    Ok(text)
}

fn file_name(kind: Artifact, index: &str) -> String {
    match kind {
        Artifact::Avro => format!("{index}.avsc"),
        Artifact::Template => format!("{index}.template.json"),
        Artifact::Plan => format!("{index}.plan.json"),
        Artifact::Docs => format!("{index}.md"),
        Artifact::JsonSchema => format!("{index}.schema.json"),
        Artifact::Subgraph => format!("{index}.subgraph.graphql"),
        Artifact::Connector => format!("{index}.connector.json"),
    }
}
