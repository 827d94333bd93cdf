//! What provision makes in the schema registry: the schema of the documents topic, and the rule for those that follow it.

use plan::{IndexPlan, kafka_plan::Encoding};
use serde_json::Value;

use super::{Action, Change, Kind};
use crate::{
    StateError,
    endpoints::Place,
    ledger::DocumentSchema,
    registry::{Registry, RegistryError},
};

/// A reader with the new schema can read what was written with the old one.
const LEVEL: &str = "BACKWARD";

/// The subject under which the documents topic's schemas stand.
pub(crate) struct DocumentsSubject<'a> {
    registry: Registry,
    name: String,
    schema: &'a Value,
}

impl<'a> DocumentsSubject<'a> {
    /// The subject of this plan's documents; `None` where they are written without a schema.
    pub(crate) fn of(place: &Place, plan: &IndexPlan, schema: &'a Value) -> Result<Option<Self>, StateError> {
        let Some(kafka) = plan.kafka.as_ref().filter(|kafka| kafka.documents_encoding == Encoding::Avro)
        else {
            return Ok(None);
        };
        let endpoint = place.kafka.as_ref().and_then(|kafka| kafka.registry.as_ref());
        let endpoint = endpoint.ok_or_else(|| StateError::Refused {
            what: "the configuration".to_owned(),
            reason: "it names no `kafka.schema_registry`, and the plan writes documents in Avro".to_owned(),
        })?;
        // The strategy of names that every client of a registry begins with.
        let name = format!("{}-value", kafka.documents);
        Ok(Some(Self { registry: Registry::new(endpoint)?, name, schema }))
    }

    /// What is there against what should be. A schema that can't follow the one before is an error.
    pub(crate) async fn change(&self) -> Result<Change, StateError> {
        let change = |action, reasons| Change::of(Kind::Subject, &self.name, action, reasons);
        let Some(latest) = self.registry.latest(&self.name).await? else {
            return Ok(change(Action::Add, vec!["it has no schema".to_owned()]));
        };
        let mut reasons = Vec::new();
        if self.registry.compatibility(&self.name).await?.as_deref() != Some(LEVEL) {
            reasons.push(format!("its compatibility is not {LEVEL}"));
        }
        let there: Option<Value> = serde_json::from_str(&latest.schema).ok();
        if there.as_ref() != Some(self.schema) {
            if let Some(reason) = self.registry.objections(&self.name, self.schema, &[]).await? {
                return Err(RegistryError::Incompatible { subject: self.name.clone(), reason }.into());
            }
            reasons.push("its schema is another one".to_owned());
        }
        Ok(change(Action::Change, reasons))
    }

    /// Registers the schema, or finds it again, under the rule: with its number.
    pub(super) async fn make(&self) -> Result<DocumentSchema, StateError> {
        if self.registry.compatibility(&self.name).await?.as_deref() != Some(LEVEL) {
            self.registry.set_compatibility(&self.name, LEVEL).await?;
        }
        let id = self.registry.register(&self.name, self.schema, &[]).await?;
        Ok(DocumentSchema { text: self.schema.to_string(), id: Some(id) })
    }
}
