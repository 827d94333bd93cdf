//! What a server was asked, and what a hit's score is made of, by the server's own explanation.

use plan::{FieldTree, field::MappingKind};
use serde::Deserialize;
use serde_json::Value;

use super::{
    ElasticIndex,
    answer::{SearchAnswer, WHOLE},
    layout::words_field,
    query::Search,
};
use crate::{
    SearchError, SearchRequest,
    explain::{Explanation, ScoreParts, Sent, TermPart},
};

/// A node of the tree in which both engines, Lucene rather, explain a score.
#[derive(Debug, Deserialize)]
pub(super) struct Node {
    value: f64,
    description: String,
    #[serde(default)]
    details: Vec<Node>,
}

impl ElasticIndex {
    /// Answers a search and explains the answer, as seen from `now_ms`.
    pub async fn explained(&self, request: &SearchRequest, now_ms: i64) -> Result<Explanation, SearchError> {
        let search = Search::new(self, request, now_ms)?;
        if let Some(response) = search.known() {
            return Ok(Explanation { sent: Vec::new(), scores: Vec::new(), response });
        }
        let asked = search.body();
        let mut explained = asked.clone();
        explained["explain"] = (search.text.is_some()).into();
        let body = self.search(&explained, &[WHOLE]).await?;
        let answer: SearchAnswer<'_> = self.client.read(&body)?;
        let response = search.response(&answer)?;
        let terms = answer.hits.hits.iter().map(|hit| {
            let explanation = hit.explanation.and_then(|tree| serde_json::from_str::<Node>(tree.get()).ok());
            let mut parts = Vec::new();
            if let Some(node) = explanation {
                push_terms(&self.plan.fields, &node, &mut parts);
            }
            parts
        });
        let scores = response.hits.iter().zip(terms);
        let scores =
            scores.filter_map(|(hit, terms)| ScoreParts::of(&self.plan, hit, terms, search.now_ms)).collect();
        let path = format!("/{}/_search?{}={}", self.name, WHOLE.0, WHOLE.1);
        let curl = self.client.curl(&path, &asked);
        Ok(Explanation { sent: vec![Sent::Request { path, body: asked, curl }], scores, response })
    }
}

/// Finds the terms below a node: what is no term is a sum, a product or a choice of what is below it.
fn push_terms(fields: &FieldTree, node: &Node, parts: &mut Vec<TermPart>) {
    if node.value <= 0.0 {
        return; // a clause of the filter
    }
    if let Some((field, term)) = term(&node.description) {
        let field = written(fields, &field);
        match parts.iter_mut().find(|part| part.field == field && part.term == term) {
            Some(part) => part.score += node.value,
            None => parts.push(TermPart { field, term, score: node.value }),
        }
        return;
    }
    let best = || node.details.iter().max_by(|one, two| one.value.total_cmp(&two.value));
    if node.description.starts_with("max of") || node.description.contains("score mode Max") {
        best().into_iter().for_each(|best| push_terms(fields, best, parts));
        return;
    }
    node.details.iter().for_each(|below| push_terms(fields, below, parts));
}

/// The field and the term of `weight(title:avatar in 7) […]`, `weight(Synonym(title:a title:b) in 7) […]`, `ConstantScore(title:av*)` and
/// `title:av*^0.1`; `None` of other nodes.
fn term(description: &str) -> Option<(String, String)> {
    let inner = if let Some(rest) = description.strip_prefix("weight(") {
        rest.split_once(" in ")?.0
    } else if let Some(rest) = description.strip_prefix("ConstantScore(") {
        rest.rsplit_once(')')?.0
    } else if !description.contains(' ') {
        description.split_once('^').map_or(description, |(term, _)| term)
    } else {
        return None;
    };
    let inner = inner.strip_prefix("Synonym(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(inner);
    let (field, term) = inner.split(' ').next()?.split_once(':')?;
    Some((field.to_owned(), term.trim_matches(['(', ')']).to_owned()))
}

/// The path of the field that is indexed under this name.
fn written(fields: &FieldTree, name: &str) -> String {
    let texts = fields.walk().filter(|field| field.mapping.kind == MappingKind::Text);
    let found = texts.into_iter().find(|field| words_field(field) == name || field.path == name);
    found.map_or_else(|| name.to_owned(), |field| field.path.clone())
}

/// A body as an argument of a shell.
pub(super) fn quoted(body: &Value) -> String {
    format!("'{}'", body.to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_found_in_what_engines_say() {
        let pair = |field: &str, term: &str| Some((field.to_owned(), term.to_owned()));
        for (description, found) in [
            (
                "weight(title.words:avatar in 7) [PerFieldSimilarity], result of:",
                pair("title.words", "avatar"),
            ),
            ("weight(Synonym(title:a title:b) in 7) [PerFieldSimilarity], result of:", pair("title", "a")),
            ("ConstantScore(title:av*)", pair("title", "av*")),
            ("title:av*^0.1", pair("title", "av*")),
            ("ConstantScore(title:(a b))^3.0", pair("title", "a")),
            ("sum of:", None),
            ("function score, product of:", None),
        ] {
            assert_eq!(term(description), found, "{description}");
        }
    }

    #[test]
    fn a_body_stays_one_argument() {
        assert_eq!(quoted(&serde_json::json!({"a": "it's $HOME"})), r#"'{"a":"it'\''s $HOME"}'"#);
    }
}
