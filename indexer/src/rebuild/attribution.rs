//! Whose fault an error is: the subgraph that the error names, weighed against those that the plan suspects at its place.
//!
//! Suspected is who should have answered what is null there, for an error makes its place null (GraphQL, "Handling Execution
//! Errors"). A name that is wrong is worse than several that might be right, so that one name is told only where nothing
//! contradicts it. `tests/it/attribution.rs` measures it against a real gateway.

use std::collections::BTreeSet;

use plan::{Field, FieldKind, IndexPlan};
use serde_json::{Value, value::RawValue};

use crate::{graph::response::AnswerError, ledger::HoldCause};

/// The code of an error that carries none.
const NO_CODE: &str = "SS404";

/// Where gateways write the subgraph's name into `extensions`. Apollo Gateway, Cosmo and Hive Gateway say `serviceName`;
/// Apollo Router and Hive Router say `service`, and leave what the subgraph itself wrote there.
const NAMES: [&str; 4] = ["serviceName", "service", "subgraph", "subgraphName"];

/// How messages begin that name a subgraph in quotes next: of Cosmo, of Apollo Router, of Apollo Gateway.
const SENTENCES: [&str; 3] = [
    "Failed to fetch from Subgraph ",
    "HTTP fetch failed from ",
    "Error while fetching subquery from service ",
];

type Suspects<'a> = BTreeSet<&'a str>;

/// Turns an error of the gateway into the cause of a hold. `at` are the keys and indices from the document's root to the
/// error's place, `document` is what came beside it; `None` where all of the answer is null.
pub(super) fn cause_of(
    plan: &IndexPlan,
    error: &AnswerError,
    at: &[&Value],
    document: Option<&RawValue>,
) -> HoldCause {
    // Only documents that failed come here, so that a tree of JSON may be made of them.
    let document = document.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let suspects = suspects(plan, at, document.as_ref());
    HoldCause {
        subgraph: one_of(&weighed(named(plan, error), suspects)),
        code: error.code().unwrap_or(NO_CODE).to_owned(),
        path: known_prefix(plan, at),
        message: error.message.clone(),
    }
}

/// The subgraph that an error names, where it names one only.
pub(crate) fn named_subgraph(plan: &IndexPlan, error: &AnswerError) -> Option<String> {
    let named = named(plan, error);
    if named.len() == 1 { one_of(&named) } else { None }
}

/// The subgraphs that can answer a path, as a cause tells them.
pub(super) fn owners_of(plan: &IndexPlan, path: &str) -> Option<String> {
    one_of(&plan.fields.get(path)?.owners.iter().map(String::as_str).collect())
}

/// What an error says and what the plan suspects, as one.
fn weighed<'a>(named: Suspects<'a>, suspects: Suspects<'a>) -> Suspects<'a> {
    if named.is_empty() || suspects.is_empty() {
        return if named.is_empty() { suspects } else { named };
    }
    let both: Suspects<'a> = named.intersection(&suspects).copied().collect();
    // They contradict each other: the plan may be older than the gateway's supergraph, or a subgraph names another's.
    if both.is_empty() { named.union(&suspects).copied().collect() } else { both }
}

/// The subgraphs that an error names: by name, else by the address that was asked. What names none of the plan is a
/// subgraph's own business, unless the plan knows none.
fn named<'a>(plan: &'a IndexPlan, error: &'a AnswerError) -> Suspects<'a> {
    let is_known = |name: &&str| plan.subgraphs.is_empty() || plan.subgraphs.contains_key(*name);
    let names = NAMES.iter().filter_map(|key| error.extensions.get(*key)?.as_str());
    let told = SENTENCES.iter().filter_map(|start| quoted(error.message.strip_prefix(start)?));
    let told: Suspects<'_> = names.chain(told).filter(is_known).collect();
    if !told.is_empty() {
        return told;
    }
    let asked = error.extensions.get("response").and_then(|response| response.get("url")?.as_str());
    let is_asked = |url: &str| asked.is_some_and(|asked| asked.trim_end_matches('/') == url);
    // A request that failed before it was answered tells its address in the message alone.
    let is_told = |url: &str| asked.is_none() && error.path.is_none() && mentions(&error.message, url);
    let addresses = plan.subgraphs.iter().map(|(name, url)| (name, url.trim_end_matches('/')));
    let addresses = addresses.filter(|(_, url)| !url.is_empty() && (is_asked(url) || is_told(url)));
    addresses.map(|(name, _)| name.as_str()).collect()
}

/// What stands in quotes at the beginning of a text.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    text[1..].split_once(quote).map(|(quoted, _)| quoted)
}

/// Whether a text names an address, and not only one that begins alike.
fn mentions(text: &str, url: &str) -> bool {
    let mut words = text.split(|end: char| end.is_whitespace() || "\"'`<>()[]".contains(end));
    words.any(|word| word.trim_end_matches(['/', '.', ',', ';', ':']) == url)
}

/// The subgraphs of whose answers something is null at a place, or may have made it so.
fn suspects<'a>(plan: &'a IndexPlan, at: &[&Value], document: Option<&Value>) -> Suspects<'a> {
    let (mut level, mut field, mut value) = (&plan.fields.0, None::<&Field>, document);
    for step in at {
        if let Some(name) = step.as_str() {
            let Some(found) = level.iter().find(|field| field.name == name) else { break };
            (level, field) = (&found.children, Some(found));
            value = value.and_then(|value| value.get(name));
        } else if let Some(index) = step.as_u64().and_then(|index| usize::try_from(index).ok()) {
            value = value.and_then(|value| value.get(index));
        }
    }
    let mut suspected = Suspected { plan, subgraphs: Suspects::new() };
    match (field, value) {
        (Some(leaf), _) if leaf.children.is_empty() => suspected.owners(leaf),
        (_, Some(Value::Null)) => suspected.collapsing(level),
        (_, Some(value)) => suspected.missing(level, value),
        // A null further up hides what came here.
        (_, None) => suspected.everything(level),
    }
    let is_answered = value.is_some_and(|value| !value.is_null());
    if is_answered && !suspected.subgraphs.is_empty() {
        return suspected.subgraphs;
    }
    match field {
        Some(field) => suspected.owners(field),
        // Plans that were provisioned before the root's owners were told have none.
        None if plan.fetch.owners.is_empty() => suspected.everything(level),
        None => suspected.add(&plan.fetch.owners),
    }
    if is_answered {
        suspected.everything(level);
    }
    suspected.subgraphs
}

/// Subgraphs that are suspected, and the plan that tells them.
struct Suspected<'a> {
    plan: &'a IndexPlan,
    subgraphs: Suspects<'a>,
}

impl<'a> Suspected<'a> {
    fn add(&mut self, owners: &'a [String]) {
        self.subgraphs.extend(owners.iter().map(String::as_str));
    }

    /// Adds who answers a field. The document's key comes with the document, though others could tell it, too.
    fn owners(&mut self, field: &'a Field) {
        let is_key = field.path == self.plan.key.path && !self.plan.fetch.owners.is_empty();
        self.add(if is_key { &self.plan.fetch.owners } else { &field.owners });
    }

    /// Adds who should have answered what is null in a value.
    fn missing(&mut self, level: &'a [Field], value: &Value) {
        match value {
            Value::Array(elements) => elements.iter().for_each(|element| self.missing(level, element)),
            Value::Object(object) => {
                for field in level.iter().filter(|field| field.kind != FieldKind::Virtual) {
                    match object.get(&field.name) {
                        None | Some(Value::Null) => {
                            self.owners(field);
                            self.collapsing(&field.children);
                        }
                        Some(value) => self.missing(&field.children, value),
                    }
                }
            }
            Value::Null => self.collapsing(level),
            _ => {}
        }
    }

    /// Adds who answers fields that are never null, and so take the object around them along when they fail.
    fn collapsing(&mut self, level: &'a [Field]) {
        for field in level.iter().filter(|field| is_required(&field.graphql_type)) {
            self.owners(field);
            self.collapsing(&field.children);
        }
    }

    fn everything(&mut self, level: &'a [Field]) {
        for field in level {
            self.owners(field);
            self.everything(&field.children);
        }
    }
}

/// Whether no level of a type may be null, as in `[Talent!]!`.
fn is_required(graphql_type: &str) -> bool {
    let levels = graphql_type.trim_start_matches('[');
    let marks = levels.matches(']').count() + 1;
    levels.matches('!').count() == marks
}

/// The longest prefix of a place that is a path of the plan; below a scalar there is nothing to know.
fn known_prefix(plan: &IndexPlan, at: &[&Value]) -> Option<String> {
    let names: Vec<&str> = at.iter().filter_map(|step| step.as_str()).collect();
    (1..=names.len())
        .rev()
        .map(|length| names[..length].join("."))
        .find(|path| plan.fields.get(path).is_some())
}

/// The subgraph that is meant where it can only be one; `one of a, b` where it can be several.
fn one_of(suspects: &Suspects<'_>) -> Option<String> {
    let all: Vec<&str> = suspects.iter().copied().collect();
    match all.as_slice() {
        [] => None,
        [one] => Some((*one).to_owned()),
        several => Some(format!("one of {}", several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    /// Whom an error is blamed on at a place below a document.
    fn blamed(plan: &IndexPlan, error: &Value, at: &[Value], document: &Value) -> Option<String> {
        let error: AnswerError = serde_json::from_value(error.clone()).unwrap();
        let raw = serde_json::value::to_raw_value(document).unwrap();
        cause_of(plan, &error, &at.iter().collect::<Vec<_>>(), Some(&raw)).subgraph
    }

    fn hidden() -> Value {
        json!({"message": "Subgraph errors redacted"})
    }

    fn whole() -> Value {
        json!({"movieId": "m1", "title": "Ten", "production": {"status": "WRAPPED"},
            "actors": [{"talentId": "t1", "name": "Ann"}, {"talentId": "t2", "name": "Bo"}]})
    }

    #[test]
    fn what_is_null_tells_who_failed() {
        let plan = testing::movies();
        let mut document = whole();
        document["production"]["status"] = Value::Null;
        assert_eq!(blamed(&plan, &hidden(), &[], &document).as_deref(), Some("productions"));
        document["actors"][1]["name"] = Value::Null;
        let several = Some("one of productions, talent");
        assert_eq!(blamed(&plan, &hidden(), &[], &document).as_deref(), several);
        assert_eq!(
            blamed(&plan, &hidden(), &[json!("production")], &document).as_deref(),
            Some("productions")
        );
        let all = Some("one of movies, productions, talent");
        assert_eq!(blamed(&plan, &hidden(), &[], &whole()).as_deref(), all, "nothing is null");
        assert_eq!(blamed(&plan, &hidden(), &[json!("title")], &whole()).as_deref(), Some("movies"));
    }

    #[test]
    fn a_null_document_is_the_fault_of_its_root_or_of_what_is_never_null() {
        let mut plan = testing::movies();
        assert_eq!(blamed(&plan, &hidden(), &[], &Value::Null).as_deref(), Some("movies"));
        plan.fields.0[3].graphql_type = "[Talent]!".to_owned();
        plan.fields.0[2].graphql_type = "Production!".to_owned();
        let several = Some("one of movies, productions");
        assert_eq!(blamed(&plan, &hidden(), &[], &Value::Null).as_deref(), several);
    }

    #[test]
    fn a_name_is_believed_that_nothing_contradicts() {
        let plan = testing::movies();
        let named = |extensions: Value| json!({"message": "no", "extensions": extensions});
        let mut document = whole();
        document["actors"] = Value::Null;
        let said = |extensions, document: &Value| blamed(&plan, &named(extensions), &[], document);
        assert_eq!(said(json!({"service": "talent"}), &whole()).as_deref(), Some("talent"));
        assert_eq!(said(json!({"service": "billing"}), &document).as_deref(), Some("talent"), "none of ours");
        let contradiction = Some("one of movies, talent");
        assert_eq!(said(json!({"service": "movies"}), &document).as_deref(), contradiction);
        assert_eq!(
            said(json!({"serviceName": "talent", "service": "movies"}), &document).as_deref(),
            Some("talent")
        );
        assert_eq!(
            said(json!({"serviceName": "talent", "service": "movies"}), &whole()).as_deref(),
            contradiction
        );
    }

    #[test]
    fn messages_name_subgraphs_and_addresses() {
        let mut plan = testing::movies();
        let said = |plan: &IndexPlan, message: &str| {
            let error = serde_json::from_value(json!({"message": message})).unwrap();
            named_subgraph(plan, &error)
        };
        let talent = Some("talent");
        assert_eq!(said(&plan, "request to http://t/ failed, reason: socket hang up").as_deref(), talent);
        assert_eq!(said(&plan, "network timeout at: http://t").as_deref(), talent);
        assert_eq!(said(&plan, "request to http://t/other failed"), None);
        assert_eq!(said(&plan, "Failed to fetch from Subgraph 'talent'.").as_deref(), talent);
        assert_eq!(said(&plan, "HTTP fetch failed from 'talent': connection error").as_deref(), talent);
        assert_eq!(said(&plan, "the movie 'talent' is gone"), None);
        plan.subgraphs.insert("people".to_owned(), "http://t/".to_owned());
        assert_eq!(said(&plan, "network timeout at: http://t"), None, "two answer there");
    }
}
