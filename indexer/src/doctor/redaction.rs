//! Whether the gateway's errors say whose they are, and what its router is to be told so that they do.
//!
//! Nothing is broken for it: no query fails in a subgraph for sure that is harmless there. What is looked at is the answer to
//! an id that doesn't exist, and what made documents fail before.

use plan::IndexPlan;

use super::Finding;
use crate::{graph::response::AnswerError, ledger::Held, rebuild::attribution::named_subgraph};

const CHECK: &str = "gateway errors";

/// What a router says in the place of a subgraph's error.
struct Mask {
    /// How its message begins.
    says: &'static str,
    /// The setting that makes it tell the subgraph.
    mend: &'static str,
}

/// The masks of routers, and the settings that their documentation names: Apollo Router's "Subgraph Error Inclusion", Cosmo's
/// "Subgraph Error Propagation", and "Error Masking" of Hive Router and of Hive Gateway.
const MASKS: [Mask; 3] = [
    Mask {
        says: "Subgraph errors redacted",
        mend: "of Apollo Router, set `include_subgraph_errors: { all: true }` in router.yaml",
    },
    Mask {
        says: "Failed to fetch from Subgraph",
        mend: "of WunderGraph Cosmo, set `subgraph_error_propagation: { attach_service_name: true, omit_extensions: false }` in \
               the router's config.yaml",
    },
    Mask {
        says: "Unexpected error",
        mend: "of Hive Router, let `error_masking.all.extensions` keep the key `service`, or set `error_masking: { enabled: false }`; \
               of Hive Gateway, set `maskedErrors: false` in gateway.config.ts",
    },
];

/// What can be told of a mask that is none of these.
const ANY: &str = "let errors carry the subgraph's name as `extensions.service` or `extensions.serviceName`: `studio-search explain \
                   SS404` has the settings of Apollo Router, Cosmo, Hive and Apollo Server; until then a held document only tells \
                   who might be to blame";

/// Looks at the errors of one answer, where one came, and at documents that are held.
pub(super) fn examine(plan: &IndexPlan, errors: Option<&[AnswerError]>, held: &[Held]) -> Option<Finding> {
    let found = seen(plan, errors.unwrap_or_default(), held);
    (errors.is_some() || found.help.is_some()).then_some(found)
}

fn seen(plan: &IndexPlan, errors: &[AnswerError], held: &[Held]) -> Finding {
    if let Some(name) = errors.iter().find_map(|error| named_subgraph(plan, error)) {
        return Finding::ok(CHECK, format!("they name the subgraph that failed ({name})"));
    }
    if let Some(error) = errors.first() {
        let message = format!("they don't name the subgraph that failed: {:?}", error.message);
        return Finding::warning(CHECK, message, mend(&error.message));
    }
    let hidden: Vec<&Held> = held.iter().filter(|held| is_hidden(held)).collect();
    match hidden.first() {
        Some(first) => {
            let (several, said) = (first.subgraph.as_deref().unwrap_or("unknown"), &first.message);
            let count = match hidden.len() {
                1 => "a document is".to_owned(),
                many => format!("{many} documents are"),
            };
            let message = format!("{count} held for an error that names no subgraph ({several}): {said:?}");
            Finding::warning(CHECK, message, mend(said))
        }
        None if held.is_empty() => Finding::ok(
            CHECK,
            "not seen: it answered without an error, and nothing is held (routers hide the subgraph's name unless they are told not \
             to: `studio-search explain SS404`)",
        ),
        None => Finding::ok(CHECK, "of every document that is held it is known who failed"),
    }
}

/// Whether the gateway's error left several subgraphs to blame. Where we say a code of our own, but this one, no error came.
fn is_hidden(held: &Held) -> bool {
    let is_of_gateway = held.code == plan::code::fetch::SS404.id || !held.code.starts_with("SS");
    is_of_gateway && held.subgraph.as_ref().is_none_or(|subgraph| subgraph.starts_with("one of "))
}

fn mend(message: &str) -> &'static str {
    MASKS.iter().find(|mask| message.starts_with(mask.says)).map_or(ANY, |mask| mask.mend)
}

#[cfg(test)]
mod tests {
    use plan::{DocumentId, DocumentVersion, Epoch};
    use serde_json::json;

    use super::{super::Status, *};
    use crate::{revision::Wants, testing};

    fn error(text: &str) -> AnswerError {
        serde_json::from_value(json!({"message": text, "path": ["d0"]})).unwrap()
    }

    fn held(subgraph: Option<&str>, code: &str, message: &str) -> Held {
        Held {
            id: DocumentId::new("m1").unwrap(),
            version: DocumentVersion::new(Epoch::ZERO, 1),
            subgraph: subgraph.map(str::to_owned),
            code: code.to_owned(),
            path: None,
            message: message.to_owned(),
            attempts: 1,
            first_at: 0,
            last_at: 0,
            next_at: 0,
            wants: Wants::default(),
        }
    }

    #[test]
    fn each_router_is_told_by_what_it_says_with_its_setting() {
        let plan = testing::movies();
        let told = [
            ("Subgraph errors redacted", "include_subgraph_errors: { all: true }"),
            ("Failed to fetch from Subgraph at Path 'd0'.", "attach_service_name: true"),
            ("Unexpected error.", "maskedErrors: false"),
            ("Unexpected error", "error_masking"),
            ("Internal server error", "extensions.serviceName"),
        ];
        for (says, setting) in told {
            let by_answer = seen(&plan, &[error(says)], &[]);
            let by_held = seen(&plan, &[], &[held(Some("one of movies, talent"), "SS404", says)]);
            for found in [by_answer, by_held] {
                assert_eq!(found.status, Status::Warning, "{found:?}");
                assert!(found.help.as_deref().is_some_and(|help| help.contains(setting)), "{found:?}");
            }
        }
    }

    #[test]
    fn what_names_its_subgraph_is_well() {
        let plan = testing::movies();
        let named: AnswerError =
            serde_json::from_value(json!({"message": "no", "extensions": {"service": "talent"}})).unwrap();
        assert_eq!(seen(&plan, &[error("no"), named], &[]).status, Status::Ok);
        let known = [held(Some("talent"), "DOWN", "no"), held(None, "SS511", "the store refuses it")];
        assert_eq!(seen(&plan, &[], &known).status, Status::Ok);
        assert_eq!(seen(&plan, &[], &[]).status, Status::Ok);
        assert_eq!(examine(&plan, None, &known), None, "nothing was seen");
    }
}
