//! Provision: makes what a plan needs and stores the plan that `run` runs. Every step may be repeated.
//!
//! The stored plan comes last: until it is there, nothing runs by what was made before it, and the next provision finishes.

mod change;
mod ledger;
pub mod server;
pub mod state;
pub(crate) mod subject;
#[cfg(feature = "kafka")]
pub(crate) mod topics;
mod version;

use plan::IndexPlan;
use serde_json::Value;

pub use self::change::{Action, Change, ChangeSet, Kind, fills_from_graph, needs_backfill, refuse_rebuilds};
pub(crate) use self::version::{Goal, version_changes};
use self::{
    ledger::{Before, SharedLedger},
    server::Server,
    subject::DocumentsSubject,
};
use crate::{StateError, endpoints::Place};

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
    place.check()?;
    let Artifacts { templates, .. } = artifacts;
    let mut changes = ledger_changes(place, plan, artifacts).await?;
    if let Some(server) = Server::of(place, plan, templates, version_of(&changes), Goal::Fitting).await? {
        changes.extend(server.changes().await?);
    }
    #[cfg(feature = "kafka")]
    if let Some(topics) = topics::IndexTopics::of(place, plan)? {
        changes.extend(topics.changes().await?);
    }
    if let Some(subject) = DocumentsSubject::of(place, plan, artifacts.avro)? {
        changes.push(subject.change().await?);
    }
    explain(plan, &mut changes);
    Ok(changes)
}

fn explain(plan: &IndexPlan, changes: &mut [Change]) {
    if let Some(kafka) = &plan.kafka {
        change::explain_documents_log(changes, &kafka.documents);
    }
}

/// What would become of the ledger, or the state file, and of the index version that it tells of.
pub(crate) async fn ledger_changes(
    place: &Place,
    plan: &IndexPlan,
    artifacts: Artifacts<'_>,
) -> Result<Vec<Change>, StateError> {
    match SharedLedger::of(place, plan, artifacts.templates, Goal::Fitting)? {
        Some(ledger) => Ok(ledger.changes().await?.0),
        None => state::changes(&place.state, plan),
    }
}

/// Makes what is missing and changes what differs; gives what it did.
pub async fn provision(
    place: &Place,
    plan: &IndexPlan,
    artifacts: Artifacts<'_>,
) -> Result<Vec<Change>, StateError> {
    make(place, plan, artifacts, Goal::Fitting).await
}

/// Makes another index version beside the served one, which has this plan already; `run` fills it from there. One that was asked
/// for before and is still on its way is that version. Gives its number.
pub async fn add_version(
    place: &Place,
    plan: &IndexPlan,
    artifacts: Artifacts<'_>,
) -> Result<u32, StateError> {
    let done = make(place, plan, artifacts, Goal::Another).await?;
    let name = &version_of(&done).name;
    let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    Ok(number.expect("an index version's name ends with its number"))
}

async fn make(
    place: &Place,
    plan: &IndexPlan,
    artifacts: Artifacts<'_>,
    goal: Goal,
) -> Result<Vec<Change>, StateError> {
    place.check()?;
    let Artifacts { templates, .. } = artifacts;
    let shared = SharedLedger::of(place, plan, templates, goal)?;
    let (mut done, before) = match &shared {
        Some(ledger) => ledger.changes().await?,
        None => (state::changes_to(&place.state, plan, goal)?, Before::default()),
    };
    refuse_rebuilds(&done)?;
    if let Some(ledger) = &shared {
        ledger.make(&done).await?;
    }
    if let Some(server) = Server::of(place, plan, templates, version_of(&done), goal).await? {
        let changes = server.changes().await?;
        server.make(&changes).await?;
        done.extend(changes);
    }
    #[cfg(feature = "kafka")]
    if let Some(topics) = topics::IndexTopics::of(place, plan)? {
        let changes = topics.changes().await?;
        refuse_rebuilds(&changes)?;
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
        Some(ledger) => ledger.store(before, schema).await?,
        None => drop(state::provision_to(&place.state, plan, goal)?),
    }
    explain(plan, &mut done);
    Ok(done)
}

/// The index version that the plan is for, as the ledger, or the state file, tells of it.
pub(crate) fn version_of(changes: &[Change]) -> &Change {
    // Those that are removed stand behind it.
    changes.iter().find(|change| change.kind == Kind::IndexVersion).expect("every ledger tells of one")
}

/// The name of an index version, `movies-000001`.
pub fn version_name(index: &str, version: u32) -> String {
    format!("{index}-{version:06}")
}
