//! What an answer says about each document: found, gone, held, or nothing yet.
//!
//! A null together with an error never deletes and never overwrites. An error that names no path casts suspicion on every
//! document of its batch, which are then fetched alone.

use std::collections::HashMap;

use plan::{
    DocumentId, IndexPlan,
    code::fetch as codes,
    index_plan::{FetchMode, NotFoundPolicy, PartialPolicy},
};
use serde_json::value::RawValue;

use super::attribution::cause_of;
use crate::{
    graph::response::{Answer, AnswerError, body_of, elements, field_of, is_null},
    ledger::HoldCause,
};

/// What an answer says about one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Here it is. A partial document (`errors.partial: index`) lists what failed, and is held as well.
    Found {
        /// The raw slice.
        body: String,
        /// The document's paths that failed.
        missing: Vec<String>,
        /// Why it is held all the same.
        hold: Option<HoldCause>,
    },
    /// The graph doesn't know it any more.
    Gone,
    /// It is gone, and the configuration says to leave it.
    Ignored,
    /// It failed for now.
    Held(HoldCause),
    /// It is older than what its entries want it to show.
    Behind,
    /// Nothing can be said; fetch it again.
    Again {
        /// By itself, so that the next answer speaks of it only.
        alone: bool,
    },
}

impl Verdict {
    /// Whether the document is fetched again by itself: it failed, or a part of it did.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Held(_) | Self::Found { hold: Some(_), .. })
    }

    /// How long the document's body is.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Found { body, .. } => body.len(),
            _ => 0,
        }
    }
}

/// Judges every document that was asked for; verdicts in the order of the ids.
pub fn judge(plan: &IndexPlan, ids: &[DocumentId], answer: &Answer<'_>) -> Vec<Verdict> {
    match &plan.fetch.mode {
        FetchMode::List { root, .. } => judge_list(plan, ids, answer, root),
        FetchMode::Alias { .. } => judge_roots(plan, ids, answer, &|n| format!("d{n}")),
        FetchMode::Single { root, .. } => judge_roots(plan, ids, answer, &|_| root.clone()),
    }
}

/// One root field a document: aliases, or a single one.
fn judge_roots(
    plan: &IndexPlan,
    ids: &[DocumentId],
    answer: &Answer<'_>,
    key_of: &dyn Fn(usize) -> String,
) -> Vec<Verdict> {
    let alone = ids.len() == 1;
    let keys: Vec<String> = (0..ids.len()).map(key_of).collect();
    let pathless = answer
        .errors
        .iter()
        .find(|error| error.names().first().is_none_or(|name| !keys.iter().any(|key| key == name)));
    let mut by_root: HashMap<&str, Vec<&AnswerError>> = HashMap::new();
    for error in &answer.errors {
        if let Some(root) = error.names().first() {
            by_root.entry(root).or_default().push(error);
        }
    }
    ids.iter()
        .zip(&keys)
        .map(|(id, key)| {
            let errors = by_root.get(key.as_str()).map_or(&[][..], Vec::as_slice);
            let document = answer.data.as_ref().and_then(|data| data.get(key.as_str()).copied());
            if let (Some(error), true) = (pathless, errors.is_empty()) {
                return if alone {
                    Verdict::Held(cause_of(plan, error, &[], document))
                } else {
                    Verdict::Again { alone: true }
                };
            }
            match document {
                Some(raw) => judge_value(plan, id, raw, errors),
                None if answer.data.is_some() => Verdict::Held(missing_root(key)),
                // A null in a non-null place emptied the whole answer. Who has an error is to blame, the others aren't.
                None if !errors.is_empty() => judge_null(plan, errors, None),
                None if alone => Verdict::Held(missing_root(key)),
                None => Verdict::Again { alone: true },
            }
        })
        .collect()
}

/// One root field with a list of documents, matched by key and never by position.
fn judge_list(plan: &IndexPlan, ids: &[DocumentId], answer: &Answer<'_>, root: &str) -> Vec<Verdict> {
    let alone = ids.len() == 1;
    let list = answer.data.as_ref().and_then(|data| data.get(root)).and_then(|raw| elements(raw));
    let errors: Vec<&AnswerError> = answer.errors.iter().collect();
    let Some(list) = list else {
        // The list itself is null: the errors, if any, speak of all.
        let verdict = match alone {
            true if errors.is_empty() => Verdict::Held(missing_root(root)),
            true => judge_null(plan, &errors, None),
            false => Verdict::Again { alone: true },
        };
        return vec![verdict; ids.len()];
    };
    let mut by_index: HashMap<usize, Vec<&AnswerError>> = HashMap::new();
    let mut unplaced = None;
    for error in &answer.errors {
        let index = error.path.as_ref().and_then(|path| path.get(1)).and_then(serde_json::Value::as_u64);
        match index.and_then(|index| usize::try_from(index).ok()).filter(|index| *index < list.len()) {
            Some(index) => by_index.entry(index).or_default().push(error),
            None => unplaced = Some(error),
        }
    }
    let mut found: HashMap<DocumentId, (usize, &RawValue)> = HashMap::new();
    for (index, raw) in list.iter().enumerate() {
        let key =
            field_of(raw, &plan.key.path).and_then(|key| DocumentId::from_json(plan.key.kind, &key).ok());
        found.extend(key.map(|key| (key, (index, *raw))));
    }
    ids.iter()
        .map(|id| match found.get(id) {
            Some((index, raw)) => {
                let errors = by_index.get(index).map_or(&[][..], Vec::as_slice);
                match unplaced {
                    Some(error) if errors.is_empty() && alone => {
                        Verdict::Held(cause_of(plan, error, &[], Some(raw)))
                    }
                    Some(_) if errors.is_empty() => Verdict::Again { alone: true },
                    _ => judge_value(plan, id, raw, errors),
                }
            }
            None if !alone => Verdict::Again { alone: true },
            // Asked for alone, every error concerns it, and only nulls may stand where it should be.
            None if !errors.is_empty() => judge_null(plan, &errors, list.first().copied()),
            None => match list.iter().find(|raw| !is_null(raw)) {
                Some(other) => Verdict::Held(other_key(plan, id, other)),
                None => gone(plan),
            },
        })
        .collect()
}

/// One document's value with the errors that concern it.
fn judge_value(plan: &IndexPlan, id: &DocumentId, raw: &RawValue, errors: &[&AnswerError]) -> Verdict {
    if is_null(raw) {
        return judge_null(plan, errors, Some(raw));
    }
    let cause = errors.first().map(|error| cause_of(plan, error, &error.below_root(), Some(raw)));
    let key = field_of(raw, &plan.key.path).and_then(|key| DocumentId::from_json(plan.key.kind, &key).ok());
    if key.as_ref() != Some(id) {
        // A key that is null beside an error failed; any other is somebody else's document.
        return Verdict::Held(cause.unwrap_or_else(|| other_key(plan, id, raw)));
    }
    let Some(cause) = cause else {
        return Verdict::Found { body: body_of(raw), missing: Vec::new(), hold: None };
    };
    match plan.errors.partial {
        PartialPolicy::Hold => Verdict::Held(cause),
        PartialPolicy::Index => {
            let mut missing: Vec<String> =
                errors.iter().map(|error| error.names().get(1..).unwrap_or_default().join(".")).collect();
            missing.sort_unstable();
            missing.dedup();
            Verdict::Found { body: body_of(raw), missing, hold: Some(cause) }
        }
    }
}

/// A null document: gone where no error says otherwise, or where an error on the root itself says "not found".
/// `raw` is that null; `None` where more of the answer is null than the document.
fn judge_null(plan: &IndexPlan, errors: &[&AnswerError], raw: Option<&RawValue>) -> Verdict {
    let says_gone = |error: &&AnswerError| {
        let not_found =
            error.code().is_some_and(|code| plan.errors.not_found_codes.iter().any(|known| known == code));
        not_found && error.names().len() <= 1
    };
    match errors.iter().find(|error| !says_gone(error)) {
        Some(error) => Verdict::Held(cause_of(plan, error, &error.below_root(), raw)),
        None => gone(plan),
    }
}

fn gone(plan: &IndexPlan) -> Verdict {
    match plan.errors.not_found {
        NotFoundPolicy::Delete => Verdict::Gone,
        NotFoundPolicy::Ignore => Verdict::Ignored,
    }
}

fn other_key(plan: &IndexPlan, id: &DocumentId, raw: &RawValue) -> HoldCause {
    let key = &plan.key.path;
    let found = field_of(raw, key).map_or_else(|| "nothing".to_owned(), |value| value.to_string());
    HoldCause {
        subgraph: None,
        code: codes::SS407.id.to_owned(),
        path: Some(key.clone()),
        message: format!("asked for {id}, the answer's {key} is {found}"),
    }
}

fn missing_root(key: &str) -> HoldCause {
    HoldCause {
        subgraph: None,
        code: codes::SS405.id.to_owned(),
        path: None,
        message: format!("the answer has no {key:?} and no error that says why"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing;

    fn judged(plan: &IndexPlan, ids: &[&str], answer: &serde_json::Value) -> Vec<Verdict> {
        let ids: Vec<DocumentId> = ids.iter().map(|id| DocumentId::new(*id).unwrap()).collect();
        let body = answer.to_string();
        judge(plan, &ids, &Answer::parse(body.as_bytes()).unwrap())
    }

    fn list_plan() -> IndexPlan {
        let mut plan = testing::movies();
        plan.fetch.mode = FetchMode::List { variable: "ids".into(), root: "movies".into() };
        plan
    }

    fn found(body: &str) -> Verdict {
        Verdict::Found { body: body.to_owned(), missing: Vec::new(), hold: None }
    }

    fn held(verdict: &Verdict) -> (Option<&str>, Option<&str>, &str) {
        match verdict {
            Verdict::Held(cause) => (cause.subgraph.as_deref(), cause.path.as_deref(), &cause.code),
            other => panic!("not held: {other:?}"),
        }
    }

    #[test]
    fn an_error_concerns_the_document_that_its_path_lies_in() {
        let answer = json!({
            "data": {"d0": {"movieId": "m1"}, "d1": {"movieId": "m2", "production": null}},
            "errors": [{"message": "down", "path": ["d1", "production", "status"], "extensions": {"code": "DOWN"}}],
        });
        let verdicts = judged(&testing::movies(), &["m1", "m2"], &answer);
        assert_eq!(verdicts[0], found(r#"{"movieId":"m1"}"#));
        assert_eq!(held(&verdicts[1]), (Some("productions"), Some("production.status"), "DOWN"));
    }

    #[test]
    fn a_partial_document_is_written_only_where_that_was_asked_for() {
        let mut plan = testing::movies();
        plan.errors.partial = PartialPolicy::Index;
        let answer = json!({
            "data": {"d0": {"movieId": "m1", "actors": [{"name": null}]}},
            "errors": [{"message": "down", "path": ["d0", "actors", 0, "name"], "extensions": {"serviceName": "talent"}}],
        });
        match &judged(&plan, &["m1"], &answer)[0] {
            Verdict::Found { missing, hold: Some(cause), .. } => {
                assert_eq!(missing, &["actors.name"]);
                assert_eq!(cause.subgraph.as_deref(), Some("talent"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_null_is_gone_only_where_no_error_stands_beside_it() {
        let plan = testing::movies();
        let gone = json!({"data": {"d0": null}});
        assert_eq!(judged(&plan, &["m1"], &gone), [Verdict::Gone]);
        let failed = json!({"data": {"d0": null}, "errors": [{"message": "down", "path": ["d0"]}]});
        assert_eq!(held(&judged(&plan, &["m1"], &failed)[0]), (Some("movies"), None, "SS404"));
        let told = json!({"data": {"d0": null},
            "errors": [{"message": "no such movie", "path": ["d0"], "extensions": {"code": "NOT_FOUND"}}]});
        assert_eq!(judged(&plan, &["m1"], &told), [Verdict::Gone]);
        let deeper = json!({"data": {"d0": null},
            "errors": [{"message": "no such talent", "path": ["d0", "actors"], "extensions": {"code": "NOT_FOUND"}}]});
        held(&judged(&plan, &["m1"], &deeper)[0]);
    }

    #[test]
    fn an_error_without_a_path_makes_everyone_a_suspect() {
        let plan = testing::movies();
        let error = json!([{"message": "500", "extensions": {"response": {"url": "http://t"}}}]);
        let both = json!({"data": {"d0": {"movieId": "m1"}, "d1": {"movieId": "m2"}}, "errors": error});
        assert_eq!(judged(&plan, &["m1", "m2"], &both), vec![Verdict::Again { alone: true }; 2]);
        let one = json!({"data": {"d0": {"movieId": "m1"}}, "errors": error});
        assert_eq!(
            held(&judged(&plan, &["m1"], &one)[0]).0,
            Some("talent"),
            "known by the address that failed"
        );
        let redacted = json!({"data": null, "errors": [{"message": "something failed"}]});
        assert_eq!(
            held(&judged(&plan, &["m1"], &redacted)[0]).0,
            Some("one of movies, productions, talent"),
            "nobody is blamed for what nobody can tell"
        );
    }

    #[test]
    fn a_null_that_empties_the_batch_is_one_documents_fault() {
        let answer = json!({"data": null, "errors": [{"message": "null", "path": ["d1", "title"]}]});
        let verdicts = judged(&testing::movies(), &["m1", "m2"], &answer);
        assert_eq!(verdicts[0], Verdict::Again { alone: true });
        assert_eq!(held(&verdicts[1]).1, Some("title"));
    }

    #[test]
    fn every_error_of_a_null_must_say_that_it_is_gone() {
        let not_found = json!({"message": "none", "path": ["d0"], "extensions": {"code": "NOT_FOUND"}});
        let emptied = json!({"data": null, "errors": [not_found]});
        assert_eq!(
            judged(&testing::movies(), &["m1"], &emptied),
            [Verdict::Gone],
            "the root can't be null there"
        );
        let list = |errors| json!({"data": {"movies": [null]}, "errors": errors});
        let not_found =
            json!({"message": "none", "path": ["movies", 0], "extensions": {"code": "NOT_FOUND"}});
        let failed = json!({"message": "down", "path": ["movies", 0]});
        assert_eq!(judged(&list_plan(), &["m1"], &list(json!([not_found]))), [Verdict::Gone]);
        held(&judged(&list_plan(), &["m1"], &list(json!([not_found, failed])))[0]);
    }

    #[test]
    fn a_document_without_its_key_is_not_gone() {
        let plan = list_plan();
        let failed = json!({"data": {"movies": [{"movieId": null, "title": "x"}]},
            "errors": [{"message": "down", "path": ["movies", 0, "movieId"]}]});
        assert_eq!(held(&judged(&plan, &["m1"], &failed)[0]).2, "SS404");
        let other = json!({"data": {"movies": [{"movieId": "M1"}]}});
        assert_eq!(held(&judged(&plan, &["m1"], &other)[0]).2, "SS407");
    }

    #[test]
    fn a_document_under_another_key_is_not_believed() {
        let answer = json!({"data": {"d0": {"movieId": "m9"}}});
        assert_eq!(held(&judged(&testing::movies(), &["m1"], &answer)[0]).2, "SS407");
    }

    #[test]
    fn a_list_is_matched_by_key_and_who_is_missing_is_asked_for_alone() {
        let plan = list_plan();
        let answer = json!({"data": {"movies": [{"movieId": "m3"}, null, {"movieId": "m1"}]}});
        let verdicts = judged(&plan, &["m1", "m2", "m3"], &answer);
        assert_eq!(verdicts[0], found(r#"{"movieId":"m1"}"#));
        assert_eq!(verdicts[1], Verdict::Again { alone: true });
        assert_eq!(verdicts[2], found(r#"{"movieId":"m3"}"#));
        assert_eq!(judged(&plan, &["m2"], &json!({"data": {"movies": [null]}})), [Verdict::Gone]);
        let failed = json!({"data": {"movies": [null]}, "errors": [{"message": "x", "path": ["movies", 0]}]});
        held(&judged(&plan, &["m2"], &failed)[0]);
        let title = json!({"data": {"movies": [{"movieId": "m1"}, {"movieId": "m2"}]},
            "errors": [{"message": "x", "path": ["movies", 1, "title"]}]});
        let verdicts = judged(&plan, &["m1", "m2"], &title);
        assert_eq!((&verdicts[0], held(&verdicts[1]).1), (&found(r#"{"movieId":"m1"}"#), Some("title")));
    }
}
