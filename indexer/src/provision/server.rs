//! What provision makes on a search server: the two templates, the index version, and the alias that searches go through.

use plan::{IndexPlan, index_plan::StoreKind};
use search::elastic::{Client, differences, is_live};
use serde_json::Value;

use super::{Action, Change};
use crate::{StateError, endpoints::Place};

const COMPONENT: &str = "component template";
const TEMPLATE: &str = "index template";
const INDEX: &str = "index";
const ALIAS: &str = "alias";

/// A server and what should be there.
pub(super) struct Server<'a> {
    client: Client,
    /// The names and bodies of the two templates.
    component: (&'a str, &'a Value),
    template: (&'a str, &'a Value),
    /// The index version, such as `movies-000001`.
    index: &'a str,
    alias: &'a str,
}

impl<'a> Server<'a> {
    /// The server of this place; `None` where the plan keeps its documents elsewhere.
    pub(super) fn of(
        place: &Place,
        plan: &'a IndexPlan,
        templates: &'a Value,
        index: &'a str,
    ) -> Result<Option<Self>, StateError> {
        if plan.store == StoreKind::Sqlite {
            return Ok(None);
        }
        let named = |kind: &str| {
            let template = &templates[kind];
            (template["name"].as_str().unwrap_or_default(), &template["body"])
        };
        let (component, template) = (named("component_template"), named("index_template"));
        Ok(Some(Self { client: place.client()?, component, template, index, alias: &plan.name }))
    }

    /// What is there against what should be.
    pub(super) async fn changes(&self) -> Result<Vec<Change>, StateError> {
        let (name, wanted) = self.component;
        let component =
            compared(COMPONENT, name, wanted, self.client.component_template(name).await?.as_ref());
        let (name, wanted) = self.template;
        let template = compared(TEMPLATE, name, wanted, self.client.index_template(name).await?.as_ref());
        let index = self.client.index(self.index).await?;
        let index = match index {
            Some(index) => {
                self.check(&index)?;
                change(Action::None, INDEX, self.index, None)
            }
            None => change(Action::Add, INDEX, self.index, Some("it does not exist".to_owned())),
        };
        Ok(vec![component, template, index, self.alias_change().await?])
    }

    /// Makes the changes, in an order in which each finds what it needs.
    pub(super) async fn make(&self, changes: &[Change]) -> Result<(), StateError> {
        let is_wanted =
            |kind: &str| changes.iter().any(|change| change.kind == kind && change.action != Action::None);
        if is_wanted(COMPONENT) {
            self.client.put_component_template(self.component.0, self.component.1).await?;
        }
        if is_wanted(TEMPLATE) {
            self.client.put_index_template(self.template.0, self.template.1).await?;
        }
        if is_wanted(INDEX) {
            // Asked before the index is made by it: an index of another mapping would have to be deleted again.
            let mapping = self.client.mapping_for(self.index).await?;
            if mapping.as_ref().and_then(|mapping| mapping.pointer("/_meta/index"))
                != Some(&self.alias.into())
            {
                return Err(
                    self.refused(format!("another index template of a higher priority takes {}", self.index))
                );
            }
            self.client.create_index(self.index).await?;
        }
        if is_wanted(ALIAS) {
            let before: Vec<String> =
                self.client.alias(self.alias).await?.into_iter().map(|(index, _)| index).collect();
            self.client.point_alias(self.alias, self.index, &before).await?;
        }
        Ok(())
    }

    /// An index that something else made would take documents in, and find none of them.
    fn check(&self, index: &Value) -> Result<(), StateError> {
        let mapping = &index["mappings"];
        if mapping.pointer("/_meta/index") != Some(&self.alias.into()) {
            return Err(self.refused(format!("{} was not made by studio-search", self.index)));
        }
        let wanted = &self.template.1["template"]["mappings"]["properties"];
        for (name, field) in wanted.as_object().into_iter().flatten() {
            let there = mapping["properties"].get(name).unwrap_or(&Value::Null);
            if !differences(field, there).is_empty() {
                return Err(
                    self.refused(format!("{} maps `{name}` in another way than the plan", self.index))
                );
            }
        }
        Ok(())
    }

    async fn alias_change(&self) -> Result<Change, StateError> {
        let there = self.client.alias(self.alias).await?;
        if there.is_empty() {
            if self.client.index(self.alias).await?.is_some() {
                return Err(self.refused(format!("an index has the name of the alias {}", self.alias)));
            }
            return Ok(change(Action::Add, ALIAS, self.alias, Some(format!("for {}", self.index))));
        }
        let is_right = there.len() == 1
            && there
                .iter()
                .all(|(index, filter)| index == self.index && differences(filter, &is_live()).is_empty());
        Ok(match is_right {
            true => change(Action::None, ALIAS, self.alias, None),
            false => change(
                Action::Change,
                ALIAS,
                self.alias,
                Some(format!("to {} alone, without tombstones", self.index)),
            ),
        })
    }

    fn refused(&self, reason: String) -> StateError {
        StateError::Refused { what: self.client.server_name().to_owned(), reason }
    }
}

fn compared(kind: &'static str, name: &str, wanted: &Value, there: Option<&Value>) -> Change {
    let Some(there) = there else {
        return change(Action::Add, kind, name, Some("it does not exist".to_owned()));
    };
    let differ = differences(wanted, there);
    let reason = match differ.as_slice() {
        [] => return change(Action::None, kind, name, None),
        [one] => format!("`{one}` differs"),
        [first, ..] => format!("`{first}` and {} more differ", differ.len() - 1),
    };
    change(Action::Change, kind, name, Some(reason))
}

fn change(action: Action, kind: &'static str, name: &str, reason: Option<String>) -> Change {
    Change { action, kind, name: name.to_owned(), reasons: reason.into_iter().collect() }
}
