//! What provision makes on a search server: the two templates, the index version, and the alias that searches go through.

use plan::{IndexPlan, index_plan::StoreKind};
use search::elastic::{Client, differences, is_live};
use serde_json::Value;

use super::{Action, Change, Kind, ledger, state, version::Goal};
use crate::{StateError, endpoints::Place};

/// A server and what should be there.
pub(crate) struct Server<'a> {
    client: Client,
    /// The names and bodies of the two templates.
    component: (&'a str, &'a Value),
    template: (&'a str, &'a Value),
    /// The index version, such as `movies-000001`, with what becomes of it.
    version: &'a Change,
    /// Whether searches are to go to that version; else the alias stays where it is.
    is_served: bool,
    alias: &'a str,
}

impl<'a> Server<'a> {
    /// The server of this place; `None` where the plan keeps its documents elsewhere.
    pub(crate) async fn of(
        place: &Place,
        plan: &'a IndexPlan,
        templates: &'a Value,
        version: &'a Change,
        goal: Goal,
    ) -> Result<Option<Self>, StateError> {
        if plan.store == StoreKind::Sqlite {
            return Ok(None);
        }
        let is_served = match plan.kafka {
            Some(_) => ledger::serves(place, plan, goal).await?,
            None => state::serves(&place.state, plan, goal),
        };
        let named = |kind: &str| {
            let template = &templates[kind];
            (template["name"].as_str().unwrap_or_default(), &template["body"])
        };
        let (component, template) = (named("component_template"), named("index_template"));
        Ok(Some(Self { client: place.client()?, component, template, version, is_served, alias: &plan.name }))
    }

    /// What is there against what should be.
    pub(crate) async fn changes(&self) -> Result<Vec<Change>, StateError> {
        let (name, wanted) = self.component;
        let there = self.client.component_template(name).await?;
        let component = compared(Kind::ComponentTemplate, name, wanted, there.as_ref());
        let (name, wanted) = self.template;
        let there = self.client.index_template(name).await?;
        let mut template = compared(Kind::IndexTemplate, name, wanted, there.as_ref());
        let index = self.index_change().await?;
        let rivals = self.rivals().await?;
        // The server takes no two of one priority, and of an index that is there only the next version is lost.
        let is_in_the_way = index.action == Action::Add
            || template.action != Action::None && rivals.iter().any(|(_, other)| *other == self.priority());
        match rivals.is_empty() {
            true => {}
            false if is_in_the_way => return Err(self.overtaken(&rivals)),
            false => template.reasons.push(self.overtaken(&rivals).to_string()),
        }
        Ok(vec![component, template, index, self.alias_change().await?])
    }

    /// What is there of the index version against what should be.
    pub(crate) async fn index_change(&self) -> Result<Change, StateError> {
        let Some(index) = self.client.index(self.index()).await? else {
            return Ok(Change::missing(Kind::Index, self.index()));
        };
        match self.check(&index) {
            Ok(()) => Ok(Change::of(Kind::Index, self.index(), Action::None, vec![])),
            Err(_) if self.is_left_over(&index) => {
                let reason = "a provision of another plan broke off behind it".to_owned();
                Ok(Change::of(Kind::Index, self.index(), Action::Change, vec![reason]))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the index was made for a version that the ledger has never heard of, and nobody searches it.
    fn is_left_over(&self, index: &Value) -> bool {
        self.version.action == Action::Rebuild
            && index.pointer("/mappings/_meta/index") == Some(&self.alias.into())
            && index["aliases"].as_object().is_none_or(serde_json::Map::is_empty)
    }

    /// The other templates that would make the index before ours, or beside it: their names and priorities.
    pub(crate) async fn rivals(&self) -> Result<Vec<(String, i64)>, StateError> {
        let mut rivals = self.client.templates_of(self.index()).await?;
        rivals.retain(|(name, priority)| name != self.template.0 && *priority >= self.priority());
        Ok(rivals)
    }

    /// The error that tells of these templates.
    pub(crate) fn overtaken(&self, rivals: &[(String, i64)]) -> StateError {
        let others: Vec<String> =
            rivals.iter().map(|(name, priority)| format!("{name} (priority {priority})")).collect();
        StateError::OtherTemplate {
            server: self.client.server_name().to_owned(),
            others: others.join(", "),
            index: self.index().to_owned(),
            own: self.template.0.to_owned(),
            priority: self.priority(),
        }
    }

    /// The name of the component template.
    pub(crate) fn component_template(&self) -> &str {
        self.component.0
    }

    fn priority(&self) -> i64 {
        self.template.1["priority"].as_i64().unwrap_or(0)
    }

    fn index(&self) -> &str {
        &self.version.name
    }

    /// Makes the changes, in an order in which each finds what it needs.
    pub(super) async fn make(&self, changes: &[Change]) -> Result<(), StateError> {
        let is_wanted =
            |kind: Kind| changes.iter().any(|change| change.kind == kind && change.action != Action::None);
        if is_wanted(Kind::ComponentTemplate) {
            self.client.put_component_template(self.component.0, self.component.1).await?;
        }
        if is_wanted(Kind::IndexTemplate) {
            self.client.put_index_template(self.template.0, self.template.1).await?;
        }
        if is_wanted(Kind::Index) {
            // Asked before the index is made by it: an index of another mapping would have to be deleted again.
            let mapping = self.client.mapping_for(self.index()).await?;
            if mapping.as_ref().and_then(|mapping| mapping.pointer("/_meta/index"))
                != Some(&self.alias.into())
            {
                return Err(self.overtaken(&self.rivals().await?));
            }
            if changes.iter().any(|change| change.kind == Kind::Index && change.action == Action::Change) {
                self.client.delete_index(self.index()).await?;
            }
            self.client.create_index(self.index()).await?;
        }
        if is_wanted(Kind::Alias) {
            let before: Vec<String> =
                self.client.alias(self.alias).await?.into_iter().map(|(index, _)| index).collect();
            self.client.point_alias(self.alias, self.index(), &before).await?;
        }
        Ok(())
    }

    /// An index that something else made would take documents in, and find none of them.
    fn check(&self, index: &Value) -> Result<(), StateError> {
        let mapping = &index["mappings"];
        if mapping.pointer("/_meta/index") != Some(&self.alias.into()) {
            return Err(self.refused(format!("{} was not made by studio-search", self.index())));
        }
        let wanted = &self.template.1["template"]["mappings"]["properties"];
        for (name, field) in wanted.as_object().into_iter().flatten() {
            let there = mapping["properties"].get(name).unwrap_or(&Value::Null);
            if !differences(field, there).is_empty() {
                return Err(
                    self.refused(format!("{} maps `{name}` in another way than the plan", self.index()))
                );
            }
        }
        Ok(())
    }

    /// What is there of the alias against what should be.
    pub(crate) async fn alias_change(&self) -> Result<Change, StateError> {
        let told = |action, reasons| Ok(Change::of(Kind::Alias, self.alias, action, reasons));
        // It stays where it is until what is made beside it is filled.
        if self.version.action == Action::Rebuild || !self.is_served {
            return told(Action::None, vec![]);
        }
        let there = self.client.alias(self.alias).await?;
        if there.is_empty() {
            if self.client.index(self.alias).await?.is_some() {
                return Err(self.refused(format!("an index has the name of the alias {}", self.alias)));
            }
            return told(Action::Add, vec![format!("for {}", self.index())]);
        }
        let is_right = there.len() == 1
            && there
                .iter()
                .all(|(index, filter)| index == self.index() && differences(filter, &is_live()).is_empty());
        let reason = || format!("to {} alone, without tombstones", self.index());
        told(Action::Change, if is_right { vec![] } else { vec![reason()] })
    }

    fn refused(&self, reason: String) -> StateError {
        StateError::Refused { what: self.client.server_name().to_owned(), reason }
    }
}

fn compared(kind: Kind, name: &str, wanted: &Value, there: Option<&Value>) -> Change {
    let Some(there) = there else { return Change::missing(kind, name) };
    let differ = differences(wanted, there);
    let reasons = match differ.as_slice() {
        [] => vec![],
        [one] => vec![format!("`{one}` differs")],
        [first, ..] => vec![format!("`{first}` and {} more differ", differ.len() - 1)],
    };
    Change::of(kind, name, Action::Change, reasons)
}
