//! Index versions: a row for each plan, and one row that says how far all of them are. Whoever moves a version replaces that one
//! by compare-and-set, so that two are never served, and none is.

use plan::{DocumentId, DocumentVersion};
use search::elastic::{ElasticError, Page, Rows, Stamp, When, Write};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

use super::{
    layout::{Kind, VERSIONS, lack_row, plan_row},
    meta::ATTEMPTS,
    told,
};
use crate::{
    StateError,
    ledger::{
        DocumentSchema, IndexVersion, read_plan,
        versions::{KnownVersion, Lack, VersionState},
    },
};

/// How far all versions are, and what tells whether that has changed since. Nothing is there before the first provision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Versions {
    states: States,
    stamp: Option<Stamp>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct States {
    /// The highest number that was ever used. None is used again: a process that slept meanwhile would take one version for
    /// another.
    highest: u32,
    /// By number.
    versions: Vec<OneState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OneState {
    number: u32,
    /// The row of its plan.
    plan: String,
    state: VersionState,
}

#[derive(Serialize, Deserialize)]
struct StatesRow {
    kind: Kind,
    body: States,
}

#[derive(Serialize, Deserialize)]
struct PlanRow {
    kind: Kind,
    number: u32,
    body: PlanBody,
}

#[derive(Serialize, Deserialize)]
struct PlanBody {
    plan: Box<RawValue>,
    schema: Option<DocumentSchema>,
}

#[derive(Serialize, Deserialize)]
struct LackRow {
    kind: Kind,
    id: DocumentId,
    version: DocumentVersion,
    number: u32,
    body: LackBody,
}

#[derive(Serialize, Deserialize)]
struct LackBody {
    reason: String,
}

impl Versions {
    /// The number of the next version.
    pub(crate) fn next_number(&self) -> u32 {
        self.states.highest.saturating_add(1)
    }

    fn find(&mut self, number: u32) -> Option<&mut OneState> {
        self.states.versions.iter_mut().find(|one| one.number == number)
    }

    fn state(&self, number: u32) -> Option<&VersionState> {
        self.states.versions.iter().find(|one| one.number == number).map(|one| &one.state)
    }

    /// Writes them, unless somebody else has meanwhile; says whether nobody had.
    async fn write(self, rows: &Rows) -> Result<bool, ElasticError> {
        let row = StatesRow { kind: Kind::Meta, body: self.states };
        let when = self.stamp.map_or(When::Missing, When::Unchanged);
        rows.write(Write::put(VERSIONS, &row, when)).await
    }
}

/// How far all versions are.
async fn read(rows: &Rows) -> Result<Versions, ElasticError> {
    let row = rows.get::<StatesRow>(VERSIONS).await?;
    Ok(row.map_or_else(Versions::default, |(row, stamp)| Versions { states: row.body, stamp: Some(stamp) }))
}

/// How far each is, by number.
pub(super) async fn states(rows: &Rows) -> Result<Vec<(u32, VersionState)>, ElasticError> {
    let versions = read(rows).await?.states.versions;
    Ok(versions.into_iter().map(|one| (one.number, one.state)).collect())
}

/// Every version with its plan, by number, and what [`put`] needs to add one.
pub(crate) async fn known(rows: &Rows) -> Result<(Vec<KnownVersion>, Versions), StateError> {
    for _ in 0..ATTEMPTS {
        let versions = read(rows).await.map_err(told)?;
        let wanted: Vec<String> = versions.states.versions.iter().map(|one| one.plan.clone()).collect();
        let plans = rows.get_many::<PlanRow>(&wanted).await.map_err(told)?;
        let mut known = Vec::new();
        for one in &versions.states.versions {
            let Some((_, row)) = plans.iter().find(|(id, _)| *id == one.plan) else { break };
            let place = format!("{} of {}", rows.alias(), rows.server_name());
            let plan = read_plan(row.body.plan.get(), &place)?;
            let version = IndexVersion { version: one.number, plan, schema: row.body.schema.clone() };
            known.push(KnownVersion { version, state: one.state.clone() });
        }
        // The plan of a version that was forgotten meanwhile is gone, and so is the version.
        if known.len() == versions.states.versions.len() {
            return Ok((known, versions));
        }
    }
    Err(rows.contended(VERSIONS).into())
}

/// Adds a version, or gives one another plan; a new one begins in this state. Every one that was never served is let go of, but for
/// those that stay, itself among them.
/// Says whether nobody else wrote meanwhile.
pub(crate) async fn put(
    rows: &Rows,
    mut before: Versions,
    version: &IndexVersion,
    first: VersionState,
    stay: &[u32],
) -> Result<bool, StateError> {
    let number = version.version;
    let plan = RawValue::from_string(version.plan.to_json()).expect("a plan is written as JSON");
    let body = PlanBody { plan, schema: version.schema.clone() };
    let row = PlanRow { kind: Kind::Version, number, body };
    // Under a name of its own, so that who is slower overwrites nothing.
    let name = plan_row(number, rand::random());
    rows.write(Write::put(&name, &row, When::Always)).await.map_err(told)?;

    let mut outdated = None;
    match before.find(number) {
        Some(one) => outdated = Some(std::mem::replace(&mut one.plan, name.clone())),
        None => before.states.versions.push(OneState { number, plan: name.clone(), state: first }),
    }
    before.states.versions.sort_by_key(|one| one.number);
    before.states.highest = before.states.highest.max(number);
    for other in
        before.states.versions.iter_mut().filter(|one| !stay.contains(&one.number) && one.state.is_new())
    {
        other.state = VersionState::Removing;
    }
    let is_put = before.write(rows).await.map_err(told)?;
    if let Some(unused) = if is_put { outdated } else { Some(name) } {
        rows.write(Write::delete(unused, When::Always)).await.map_err(told)?;
    }
    Ok(is_put)
}

/// Moves a version on if it is `from`; says whether it was.
pub(super) async fn change(
    rows: &Rows,
    number: u32,
    from: &VersionState,
    to: &VersionState,
) -> Result<bool, ElasticError> {
    for _ in 0..ATTEMPTS {
        let mut versions = read(rows).await?;
        match versions.find(number).filter(|one| one.state == *from) {
            Some(one) => one.state = to.clone(),
            None => return Ok(false),
        }
        if versions.write(rows).await? {
            return Ok(true);
        }
    }
    Err(rows.contended(VERSIONS))
}

/// Serves `to` and keeps `from`, if they are whole and served; says whether they were.
pub(super) async fn promote(rows: &Rows, from: u32, to: u32) -> Result<bool, ElasticError> {
    for _ in 0..ATTEMPTS {
        let mut versions = read(rows).await?;
        let is_possible = versions.state(from) == Some(&VersionState::Served)
            && matches!(versions.state(to), Some(VersionState::Ready | VersionState::Kept));
        if !is_possible {
            return Ok(false);
        }
        for (number, state) in [(from, VersionState::Kept), (to, VersionState::Served)] {
            versions.find(number).expect("it has a state").state = state;
        }
        if versions.write(rows).await? {
            return Ok(true);
        }
    }
    Err(rows.contended(VERSIONS))
}

/// Forgets a version that is being removed, and what it lacks.
pub(super) async fn forget(rows: &Rows, number: u32) -> Result<(), ElasticError> {
    for _ in 0..ATTEMPTS {
        let mut versions = read(rows).await?;
        let Some(at) = versions
            .states
            .versions
            .iter()
            .position(|one| one.number == number && one.state == VersionState::Removing)
        else {
            return Ok(());
        };
        let plan = versions.states.versions.remove(at).plan;
        if versions.write(rows).await? {
            rows.write(Write::delete(plan, When::Always)).await?;
            return fill_lacks(rows, number, lacks(rows, number, usize::MAX).await?).await;
        }
    }
    Err(rows.contended(VERSIONS))
}

fn lacks_of(number: u32) -> serde_json::Value {
    Kind::Lack.and(&[json!({ "term": { "number": number } })])
}

/// Notes documents that a version lacks; of one document the newest write counts.
pub(super) async fn note_lacks(rows: &Rows, number: u32, lacks: Vec<Lack>) -> Result<(), ElasticError> {
    let note = |Lack { id, version, reason }: Lack| {
        let name = lack_row(number, &id);
        let row = LackRow { kind: Kind::Lack, id, version, number, body: LackBody { reason } };
        Write::put(name, &row, When::Newer(version.get()))
    };
    let writes: Vec<Write> = lacks.into_iter().map(note).collect();
    rows.write_all(&writes).await.map(drop)
}

/// The documents that a version lacks, by id, at most `limit`.
pub(super) async fn lacks(rows: &Rows, number: u32, limit: usize) -> Result<Vec<Lack>, ElasticError> {
    let page = Page { query: lacks_of(number), sort: vec!["id"], after: Vec::new(), limit };
    let rows: Vec<LackRow> = rows.find(page).await?;
    Ok(rows
        .into_iter()
        .map(|row| Lack { id: row.id, version: row.version, reason: row.body.reason })
        .collect())
}

/// Forgets lacks, each up to the version that was written, or asked for, meanwhile.
pub(super) async fn fill_lacks(rows: &Rows, number: u32, lacks: Vec<Lack>) -> Result<(), ElasticError> {
    let delete = |lack: Lack| Write::delete(lack_row(number, &lack.id), When::NotOlder(lack.version.get()));
    let deletes: Vec<Write> = lacks.into_iter().map(delete).collect();
    rows.write_all(&deletes).await.map(drop)
}
