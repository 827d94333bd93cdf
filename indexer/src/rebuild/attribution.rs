//! Whose fault an error is: the owning subgraph, from the error itself or else from the path and the plan. Of an error without a
//! path, every subgraph that the document is read from is suspected.

use std::collections::BTreeSet;

use plan::IndexPlan;
use serde_json::Value;

use crate::{graph::response::AnswerError, ledger::HoldCause};

/// The code of an error that carries none.
const NO_CODE: &str = "SS404";

/// Turns an error of the gateway into the cause of a hold. `names` are the response keys below the document's root.
pub fn cause_of(plan: &IndexPlan, error: &AnswerError, names: &[&str]) -> HoldCause {
    let path = known_prefix(plan, names);
    HoldCause {
        subgraph: named_subgraph(plan, error).or_else(|| match error.names().is_empty() {
            true => one_of(plan.fields.walk().flat_map(|field| &field.owners)),
            false => owners_of(plan, path.as_deref()),
        }),
        code: error.code().unwrap_or(NO_CODE).to_owned(),
        path,
        message: error.message.clone(),
    }
}

/// The subgraph that the error names: by its service name, or by the address that was asked.
pub(crate) fn named_subgraph(plan: &IndexPlan, error: &AnswerError) -> Option<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    ["service", "serviceName", "subgraph", "subgraphName"]
        .iter()
        .find_map(|key| text(error.extensions.get(*key)))
        .or_else(|| {
            let url = error.extensions.get("response")?.get("url")?.as_str()?;
            let same = |known: &str| known.trim_end_matches('/') == url.trim_end_matches('/');
            plan.subgraphs.iter().find(|(_, known)| same(known)).map(|(name, _)| name.clone())
        })
}

/// The longest prefix of the names that is a path of the plan; below a scalar there is nothing to know.
fn known_prefix(plan: &IndexPlan, names: &[&str]) -> Option<String> {
    (1..=names.len())
        .rev()
        .map(|length| names[..length].join("."))
        .find(|path| plan.fields.get(path).is_some())
}

/// The owners of a path, or of the root entity.
pub(super) fn owners_of(plan: &IndexPlan, path: Option<&str>) -> Option<String> {
    let field = plan.fields.get(path.unwrap_or(&plan.key.path))?;
    one_of(&field.owners)
}

/// The subgraph that is meant where it can only be one of these; `one of a, b` where it can be several.
fn one_of<'a>(owners: impl IntoIterator<Item = &'a String>) -> Option<String> {
    let owners: BTreeSet<&str> = owners.into_iter().map(String::as_str).collect();
    let all: Vec<&str> = owners.into_iter().collect();
    match all.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        several => Some(format!("one of {}", several.join(", "))),
    }
}
