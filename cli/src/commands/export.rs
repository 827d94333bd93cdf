//! `export`: every live document of an index version as a line of JSON, by id, for comparing and for moving.

use std::{path::Path, sync::Arc};

use indexer::{Index, store::Store};
use plan::{DocumentId, code::backfill::SS605};
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
pub(crate) async fn export(
    file: &Path,
    version: Option<u32>,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let store = match version {
        Some(number) => stored(&index, number).await?,
        None => index.store,
    };
    let mut after = None;
    loop {
        let lines = page(&*store, after.take()).await?;
        let Some((last, _)) = lines.last() else { break };
        after = Some(last.clone());
        for (_, line) in &lines {
            output.write(line)?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// The documents of another version than the served one.
async fn stored(index: &Index, number: u32) -> Result<Arc<dyn Store>, Failure> {
    let versions = index.versions().await?;
    let Some(known) = versions.iter().find(|known| known.number() == number) else {
        let numbers: Vec<String> = versions.iter().map(|known| known.number().to_string()).collect();
        let failure = Failure::new(format!("{} has no index version {number}", index.plan.name));
        return Err(failure.code(SS605).help(format!("its versions: {}", numbers.join(", "))));
    };
    Ok(index.open_version(known)?.store())
}

async fn page(store: &dyn Store, after: Option<DocumentId>) -> Result<Vec<(DocumentId, Vec<u8>)>, Failure> {
    let documents = store.scan(after.as_ref(), PAGE).await?;
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
