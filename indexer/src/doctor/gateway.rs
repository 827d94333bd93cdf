//! The gateway: that it answers the index's own operation, whether its errors say whose they are, and its clock.

use std::time::Duration;

use plan::{DocumentId, IdKind, IndexPlan};

use super::{Finding, Patient, clock};
use crate::{
    graph::{
        GraphError,
        http::HttpGraph,
        request::DocumentRequests,
        response::{Answer, AnswerError},
    },
    now_ms,
    rebuild::attribution::named_subgraph,
};

const GATEWAY: &str = "gateway";
const REDACTION: &str = "gateway errors";

/// What makes Apollo Router tell whose an error is.
const TELL: &str = "of Apollo Router, set `include_subgraph_errors: { all: true }`; of another gateway, let errors carry \
                    the subgraph's name as `extensions.service`; else a held document only tells who might be to blame";

/// Asks for a document that doesn't exist.
pub(super) async fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let plan = patient.plan;
    let timeout = Duration::from_millis(plan.graph.timeout_ms);
    let graph = match HttpGraph::new(patient.graph, timeout) {
        Ok(graph) => graph,
        Err(error) => {
            let code = plan::code::fetch::SS401;
            return vec![Finding::failed(GATEWAY, code, error.to_string(), "mend it under `graph:`")];
        }
    };
    let request = DocumentRequests::new(plan.clone().into()).documents(&[nobody(plan.key.kind)]);
    let asked = now_ms();
    let exchanged = graph.exchange(&request).await;
    let answered = now_ms();
    let mut findings = match &exchanged {
        Ok(reply) => answer(plan, &reply.body),
        Err(error) => vec![refusal(error)],
    };
    if let Some(theirs) = exchanged.ok().and_then(|reply| reply.date) {
        findings.push(clock::compared("gateway clock", theirs, asked, answered));
    }
    if patient.is_introspected {
        findings.push(Finding::warning(
            "gateway schema",
            "`graph.schema` is left out, so that the gateway must answer introspection wherever the files are read",
            "name the supergraph's file under `graph.schema`; then introspection may be off",
        ));
    }
    findings
}

/// An id that no document has.
fn nobody(kind: IdKind) -> DocumentId {
    let text = match kind {
        IdKind::String => "studio-search-doctor",
        IdKind::Integer => "-1",
    };
    DocumentId::new(text).expect("it is short, and no placeholder")
}

/// What an answer tells.
fn answer(plan: &IndexPlan, body: &[u8]) -> Vec<Finding> {
    let answer = match Answer::parse(body) {
        Ok(answer) => answer,
        Err(error) => return vec![refusal(&error)],
    };
    let is_absence = |error: &AnswerError| {
        error.code().is_some_and(|code| plan.errors.not_found_codes.iter().any(|known| known == code))
    };
    let operation = match answer.errors.iter().find(|error| !is_absence(error)) {
        None => Finding::ok(GATEWAY, "it answers the index's query"),
        Some(error) => {
            let whose = named_subgraph(plan, error).map(|name| format!(" ({name})")).unwrap_or_default();
            let message =
                format!("it answers an id that doesn't exist with an error{whose}: {}", error.message);
            let mend = "mend what fails there; if the error says that there is no such document, name its code under \
                        `errors.not_found_codes`";
            Finding::warning(GATEWAY, message, mend)
        }
    };
    vec![operation, redaction(plan, &answer.errors)]
}

/// Whether errors say whose they are.
fn redaction(plan: &IndexPlan, errors: &[AnswerError]) -> Finding {
    if errors.is_empty() {
        return Finding::ok(
            REDACTION,
            "not seen: it answered without an error (Apollo Router hides the subgraph's name unless \
             `include_subgraph_errors` is set)",
        );
    }
    match errors.iter().find_map(|error| named_subgraph(plan, error)) {
        Some(name) => Finding::ok(REDACTION, format!("they name the subgraph that failed ({name})")),
        None => Finding::warning(REDACTION, "they don't name the subgraph that failed", TELL),
    }
}

fn refusal(error: &GraphError) -> Finding {
    match error {
        // It knows the operation, and says that the made-up id is none.
        GraphError::Rejected(reason) => {
            Finding::ok(GATEWAY, format!("it answers, and takes no made-up id: {reason}"))
        }
        error => Finding::failed(GATEWAY, error.code(), error.to_string(), error.help()),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};
    use crate::testing;

    /// The answer of an Apollo Router 2 with its default settings.
    #[test]
    fn redacted_errors_are_told_with_the_setting() {
        let plan = testing::movies();
        let redacted =
            br#"{"data": {"d0": null}, "errors": [{"message": "Subgraph errors redacted", "path": ["d0"]}]}"#;
        let found = answer(&plan, redacted);
        assert_eq!(found[1].status, Status::Warning);
        assert!(found[1].help.as_deref().is_some_and(|help| help.contains("include_subgraph_errors")));
        let named = br#"{"data": {"d0": null}, "errors": [{"message": "no", "path": ["d0"], "extensions": {"service": "talent"}}]}"#;
        let found = answer(&plan, named);
        assert_eq!((found[0].status, found[1].status), (Status::Warning, Status::Ok));
        assert!(found[0].message.contains("(talent)"), "{found:?}");
    }

    #[test]
    fn a_refused_query_is_told_as_one() {
        let plan = testing::movies();
        let body =
            br#"{"errors": [{"message": "no field", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}]}"#;
        let found = answer(&plan, body);
        assert_eq!(found[0].code.map(|code| code.id), Some("SS402"));
        assert_eq!(answer(&plan, br#"{"data": {"d0": null}}"#)[0].status, Status::Ok);
    }
}
