//! Provision: makes what a plan needs and stores the plan that `run` runs. Every step may be repeated.
//!
//! The stored plan comes last: until it is there, nothing runs by what was made before it, and the next provision finishes.

mod ledger;
pub mod server;
pub mod state;
mod subject;
#[cfg(feature = "kafka")]
mod topics;

use plan::IndexPlan;
use serde::Serialize;
use serde_json::Value;

use self::{ledger::SharedLedger, server::Server, subject::DocumentsSubject};
use crate::{StateError, endpoints::Place};

/// What provision does to one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// What kind of thing it is.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Why.
    pub reasons: Vec<String>,
}

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is made.
    Add,
    /// It is changed in place.
    Change,
    /// It is as it should be.
    None,
}

/// What codegen makes beside the plan, for servers.
#[derive(Debug, Clone, Copy)]
pub struct Artifacts<'a> {
    /// The templates of a search server: `{"component_template": {"name", "body"}, "index_template": {"name", "body"}}`.
    pub templates: &'a Value,
    /// The Avro schema of a document.
    pub avro: &'a Value,
}

/// Says what [`provision`] would do, and changes nothing.
pub async fn changes(
    place: &Place,
    plan: &IndexPlan,
    artifacts: Artifacts<'_>,
) -> Result<Vec<Change>, StateError> {
    let Artifacts { templates, .. } = artifacts;
    let mut changes = match SharedLedger::of(place, plan, templates)? {
        Some(ledger) => ledger.changes().await?.0,
        None => state::changes(&place.state, plan)?,
    };
    if let Some(server) = Server::of(place, plan, templates, served(&changes))? {
        changes.extend(server.changes().await?);
    }
    #[cfg(feature = "kafka")]
    if let Some(topics) = topics::IndexTopics::of(place, plan)? {
        changes.extend(topics.changes().await?);
    }
    if let Some(subject) = DocumentsSubject::of(place, plan, artifacts.avro)? {
        changes.push(subject.change().await?);
    }
    Ok(changes)
}

/// Makes what is missing and changes what differs; gives what it did.
pub async fn provision(
    place: &Place,
    plan: &IndexPlan,
    artifacts: Artifacts<'_>,
) -> Result<Vec<Change>, StateError> {
    let Artifacts { templates, .. } = artifacts;
    let shared = SharedLedger::of(place, plan, templates)?;
    let (mut done, before) = match &shared {
        Some(ledger) => ledger.changes().await?,
        None => (state::changes(&place.state, plan)?, None),
    };
    if let Some(ledger) = &shared {
        ledger.make(&done).await?;
    }
    if let Some(server) = Server::of(place, plan, templates, served(&done))? {
        let changes = server.changes().await?;
        server.make(&changes).await?;
        done.extend(changes);
    }
    #[cfg(feature = "kafka")]
    if let Some(topics) = topics::IndexTopics::of(place, plan)? {
        let changes = topics.changes().await?;
        topics.make(&changes).await?;
        done.extend(changes);
    }
    let mut schema = None;
    if let Some(subject) = DocumentsSubject::of(place, plan, artifacts.avro)? {
        let change = subject.change().await?;
        schema = Some(subject.make().await?);
        done.push(change);
    }
    match shared {
        // Topics, and the registry's number of the schema, are to be there before the plan that names them.
        Some(ledger) => ledger.serve(before, schema).await?,
        None => drop(state::provision(&place.state, plan)?),
    }
    Ok(done)
}

/// The name of the index version that the ledger names.
fn served(changes: &[Change]) -> &str {
    let version = changes.iter().find(|change| change.kind == INDEX_VERSION);
    &version.expect("every ledger tells of one").name
}

/// How an index version is called among changes.
const INDEX_VERSION: &str = "index version";

/// The name of an index version, `movies-000001`.
pub fn version_name(index: &str, version: u32) -> String {
    format!("{index}-{version:06}")
}
