//! `export`: every live document of the served version as a line of JSON, by id, for comparing and for moving.

use std::path::Path;

use indexer::Index;
use plan::DocumentId;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{environment::Environment, exit::Exit, failure::Failure, output::Output, project::Project};

/// Documents of one read. Each read is one snapshot; a long one would keep SQLite's log from being trimmed.
const PAGE: usize = 500;

/// A line. The version is a string: it has more bits than a JavaScript number.
#[derive(Serialize)]
struct Line<'d> {
    id: &'d DocumentId,
    version: String,
    document: &'d RawValue,
}

/// Writes the lines to stdout, in every output format.
pub(crate) async fn export(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let mut after = None;
    loop {
        let lines = page(&index, after.take()).await?;
        let Some((last, _)) = lines.last() else { break };
        after = Some(last.clone());
        for (_, line) in &lines {
            output.write(line)?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

async fn page(index: &Index, after: Option<DocumentId>) -> Result<Vec<(DocumentId, Vec<u8>)>, Failure> {
    let documents = index.store.scan(after.as_ref(), PAGE).await?;
    let line = |stored: ::search::StoredDocument| {
        let body = stored.body.as_deref().unwrap_or("null");
        let unreadable =
            |error| Failure::new(format!("the stored document {} is damaged: {error}", stored.id));
        let document: &RawValue = serde_json::from_str(body).map_err(unreadable)?;
        let line = Line { id: &stored.id, version: stored.version.to_string(), document };
        let mut bytes = serde_json::to_vec(&line).map_err(unreadable)?;
        bytes.push(b'\n');
        Ok((stored.id.clone(), bytes))
    };
    documents.into_iter().map(line).collect()
}
