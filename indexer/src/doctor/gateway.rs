//! The gateway: that it answers the index's own operation, and its clock.

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

/// What was found, and the errors beside the answer; `None` where it didn't answer.
pub(super) struct Examined {
    pub(super) findings: Vec<Finding>,
    pub(super) errors: Option<Vec<AnswerError>>,
}

/// Asks for a document that doesn't exist.
pub(super) async fn examine(patient: &Patient<'_>) -> Examined {
    let (findings, errors) = asked(patient).await;
    Examined { findings, errors }
}

async fn asked(patient: &Patient<'_>) -> (Vec<Finding>, Option<Vec<AnswerError>>) {
    let plan = patient.plan;
    let timeout = Duration::from_millis(plan.graph.timeout_ms);
    let graph = match HttpGraph::new(patient.graph, timeout) {
        Ok(graph) => graph,
        Err(error) => {
            let code = plan::code::fetch::SS401;
            let finding = Finding::failed(GATEWAY, code, error.to_string(), "mend it under `graph:`");
            return (vec![finding], None);
        }
    };
    let request = DocumentRequests::new(plan.clone().into()).documents(&[nobody(plan.key.kind)]);
    let asked = now_ms();
    let exchanged = graph.exchange(&request).await;
    let answered = now_ms();
    let (finding, errors) = match &exchanged {
        Ok(reply) => answer(plan, &reply.body),
        Err(error) => (refusal(error), None),
    };
    let mut findings = vec![finding];
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
    (findings, errors)
}

/// An id that no document has.
fn nobody(kind: IdKind) -> DocumentId {
    let text = match kind {
        IdKind::String => "studio-search-doctor",
        IdKind::Integer => "-1",
    };
    DocumentId::new(text).expect("it is short, and no placeholder")
}

/// What an answer tells, and its errors.
fn answer(plan: &IndexPlan, body: &[u8]) -> (Finding, Option<Vec<AnswerError>>) {
    let answer = match Answer::parse(body) {
        Ok(answer) => answer,
        Err(error) => return (refusal(&error), None),
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
    (operation, Some(answer.errors))
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

    #[test]
    fn an_error_is_told_with_whose_it_is() {
        let plan = testing::movies();
        let named = br#"{"data": {"d0": null}, "errors": [{"message": "no", "path": ["d0"], "extensions": {"service": "talent"}}]}"#;
        let (finding, errors) = answer(&plan, named);
        assert_eq!((finding.status, errors.unwrap().len()), (Status::Warning, 1));
        assert!(finding.message.contains("(talent)"), "{finding:?}");
    }

    #[test]
    fn a_refused_query_is_told_as_one() {
        let plan = testing::movies();
        let body =
            br#"{"errors": [{"message": "no field", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}]}"#;
        let found = answer(&plan, body);
        assert_eq!(found.0.code.map(|code| code.id), Some("SS402"));
        assert_eq!(answer(&plan, br#"{"data": {"d0": null}}"#).0.status, Status::Ok);
    }
}
