//! The schema registry: that it answers, and what it keeps of the documents' topic.

use super::{Finding, Patient};
use crate::{StateError, provision::subject::DocumentsSubject, registry::Registry};

const REGISTRY: &str = "schema registry";

/// Asks the registry, where the configuration names one.
pub(super) async fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let Patient { plan, artifacts, place, .. } = *patient;
    let Some(endpoint) = place.kafka.as_ref().and_then(|kafka| kafka.registry.as_ref()) else {
        return Vec::new();
    };
    let registry = match Registry::new(endpoint) {
        Ok(registry) => registry,
        Err(error) => return vec![Finding::failed(REGISTRY, error.code(), error.to_string(), error.help())],
    };
    // Whether such a subject exists is no matter: an answer is one.
    if let Err(error) = registry.latest("studio-search-doctor").await {
        return vec![Finding::failed(REGISTRY, error.code(), error.to_string(), error.help())];
    }
    let mut findings = vec![Finding::ok(REGISTRY, "it answers")];
    match subject(DocumentsSubject::of(place, plan, artifacts.avro)).await {
        Ok(found) => findings.extend(found),
        Err(error) => findings.push(Finding::of_error("subject", &error)),
    }
    findings
}

async fn subject(
    subject: Result<Option<DocumentsSubject<'_>>, StateError>,
) -> Result<Option<Finding>, StateError> {
    let Some(subject) = subject? else { return Ok(None) };
    Ok(Some(Finding::of_change(&subject.change().await?)))
}
