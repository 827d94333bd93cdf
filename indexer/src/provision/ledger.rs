//! What provision makes where processes share an index: its ledger beside the documents, and the plan in it.

use plan::IndexPlan;
use search::elastic::{Client, Rows, differences};
use serde_json::{Map, Value, json};

use super::{
    Action, Change, Kind,
    version::{self, Goal, lasting, taken_by, version_changes},
};
use crate::{
    StateError,
    endpoints::Place,
    ledger::{
        DocumentSchema, IndexVersion,
        elastic::{Versions, known, layout, put, rows},
        versions::{KnownVersion, VersionState, served},
    },
};

/// The settings of the documents that are the ledger's as well: how many copies the user wants of what must not be lost.
const COPIES: [&str; 2] = ["number_of_replicas", "auto_expand_replicas"];

/// A ledger on a server, and what should be in it.
pub(super) struct SharedLedger<'a> {
    client: Client,
    plan: &'a IndexPlan,
    goal: Goal,
    /// The index of its rows.
    index: String,
    copies: Map<String, Value>,
}

/// The index versions as they were read; one is added or changed only while nobody else has done so.
#[derive(Debug, Clone, Default)]
pub(super) struct Before {
    known: Vec<KnownVersion>,
    versions: Versions,
}

/// Whether what provision makes of this plan is served at once. A ledger that can't be read says nothing here; it is told where
/// its changes are.
pub(super) async fn serves(place: &Place, plan: &IndexPlan, goal: Goal) -> Result<bool, StateError> {
    let there = known(&Rows::new(place.client()?, layout::index(&plan.name))).await;
    Ok(version::serves(&there.map(|(known, _)| known).unwrap_or_default(), plan, goal))
}

impl<'a> SharedLedger<'a> {
    /// The ledger of this place; `None` where it is in a state file.
    pub(super) fn of(
        place: &Place,
        plan: &'a IndexPlan,
        templates: &Value,
        goal: Goal,
    ) -> Result<Option<Self>, StateError> {
        if plan.kafka.is_none() {
            return Ok(None);
        }
        let settings = &templates["component_template"]["body"]["template"]["settings"]["index"];
        let copies =
            COPIES.iter().filter_map(|name| Some(((*name).to_owned(), settings.get(*name)?.clone())));
        let (client, index) = (place.client()?, layout::index(&plan.name));
        Ok(Some(Self { client, plan, goal, index, copies: copies.collect() }))
    }

    /// What is there against what should be, and the index versions that are there so far.
    pub(super) async fn changes(&self) -> Result<(Vec<Change>, Before), StateError> {
        let there = self.client.index(&self.index).await?;
        let ledger = match &there {
            None => Change::missing(Kind::Ledger, &self.index),
            Some(there) => Change::of(Kind::Ledger, &self.index, Action::Change, self.reasons(there)?),
        };
        let (known, versions) = match there {
            // By its own name: its alias may be what is missing.
            Some(_) => known(&Rows::new(self.client.clone(), &self.index)).await?,
            None => Default::default(),
        };
        let changes = version_changes(&known, versions.next_number(), self.plan, self.goal);
        Ok((std::iter::once(ledger).chain(changes).collect(), Before { known, versions }))
    }

    /// Makes the ledger, without the plan.
    pub(super) async fn make(&self, changes: &[Change]) -> Result<(), StateError> {
        let ledger = changes.iter().find(|change| change.kind == Kind::Ledger);
        match ledger.map_or(Action::None, |change| change.action) {
            Action::Add => {
                let body = layout::body(&self.plan.name, &self.copies);
                self.client.create_index_as(&self.index, &body).await?;
            }
            Action::Change => {
                let settings = json!({ "index": layout::settings(&self.copies) });
                self.client.put_settings(&self.index, &settings).await?;
                self.client.put_mapping(&self.index, &layout::mappings(&self.plan.name)).await?;
                let alias = layout::alias(&self.plan.name);
                self.client.hide_behind(&self.index, &alias).await?;
            }
            Action::Rebuild | Action::Remove | Action::None => {}
        }
        Ok(())
    }

    /// Stores the plan, and the schema of its documents log: of the first version, of one that takes it in place, or of another one
    /// beside the served one.
    pub(super) async fn store(
        &self,
        Before { known: before, versions }: Before,
        schema: Option<DocumentSchema>,
    ) -> Result<(), StateError> {
        let taken = taken_by(&before, self.plan, self.goal);
        let number = taken.map_or_else(|| versions.next_number(), KnownVersion::number);
        let wanted = IndexVersion { version: number, plan: self.plan.clone(), schema };
        let mut stay = lasting(&before, self.plan);
        stay.push(number);
        let is_alone = before.iter().all(|other| stay.contains(&other.number()) || !other.state.is_new());
        if taken.is_some_and(|taken| taken.version == wanted) && is_alone {
            return Ok(());
        }
        let first = if served(&before).is_none() { VersionState::Served } else { VersionState::Building };
        let rows = rows(self.client.clone(), &self.plan.name);
        if put(&rows, versions, &wanted, first, &stay).await? {
            return Ok(());
        }
        // Whoever was faster may have wanted the same.
        if known(&rows).await?.0.iter().any(|known| known.version == wanted) {
            return Ok(());
        }
        Err(self.refused("another `provision` stored another plan meanwhile; run it again".to_owned()))
    }

    /// What has to be changed about a ledger that is there.
    fn reasons(&self, there: &Value) -> Result<Vec<String>, StateError> {
        let mapping = &there["mappings"];
        let meta = |name: &str| mapping.pointer(&format!("/_meta/{name}"));
        if meta("index") != Some(&self.plan.name.as_str().into()) {
            return Err(self.refused(format!("{} was not made by studio-search", self.index)));
        }
        let found = meta("layout").and_then(Value::as_i64).unwrap_or(0);
        if found != layout::LAYOUT {
            let place = format!("{} of {}", self.index, self.client.server_name());
            return Err(StateError::OtherLayout { place, found, wanted: layout::LAYOUT });
        }
        let mut reasons = Vec::new();
        let wanted = layout::mappings(&self.plan.name);
        for (name, field) in wanted["properties"].as_object().into_iter().flatten() {
            match mapping["properties"].get(name) {
                None => reasons.push(format!("it lacks the field `{name}`")),
                Some(there) if differences(field, there).is_empty() => {}
                Some(_) => {
                    let reason = format!("{} maps `{name}` in another way than this program", self.index);
                    return Err(self.refused(reason));
                }
            }
        }
        if wanted["dynamic"] != mapping["dynamic"] {
            reasons.push("`dynamic` differs".to_owned());
        }
        let set = &there["settings"]["index"];
        for (name, wanted) in layout::settings(&self.copies) {
            if !differences(&wanted, &set[&name]).is_empty() {
                reasons.push(format!("`{name}` differs"));
            }
        }
        if there["aliases"].get(layout::alias(&self.plan.name)).is_none() {
            reasons.push(format!("it lacks the alias {}", layout::alias(&self.plan.name)));
        }
        Ok(reasons)
    }

    fn refused(&self, reason: String) -> StateError {
        StateError::Refused { what: self.client.server_name().to_owned(), reason }
    }
}
