//! Suggestions of a server: a search without hits, whose facets are the values of documents that hold what is typed.

use plan::{Field, field::MappingKind};
use serde_json::{Map, Value, json};

use super::{
    ElasticIndex,
    answer::{SearchAnswer, WHOLE},
    filter::{self, forms, is_word},
    layout::{is_live, nested_around, value_field, words_field},
    query::TIME_LIMIT_SECONDS,
};
use crate::{
    SearchError, SuggestRequest, Suggestion,
    suggest::{Counted, Typed},
};

/// Values of a field that are looked at, those of most documents: a document that holds what is typed has other values beside it.
const VALUES: usize = 5_000;

/// The longest beginning of a word in a prefix field, in characters, as the templates cut it.
const LONGEST_PREFIX: usize = 20;

impl ElasticIndex {
    /// Suggests values. `now_ms` is the time that date maths count from.
    pub async fn suggestions(
        &self,
        request: &SuggestRequest,
        now_ms: i64,
    ) -> Result<Vec<Suggestion>, SearchError> {
        let typed = Typed::new(&self.plan, request)?;
        if typed.words.is_empty() {
            return Ok(Vec::new());
        }
        let mut filters = vec![is_live()];
        filters.extend(request.filter.as_ref().map(|filter| filter::query(&self.plan, filter, now_ms)));
        let fields = typed.fields.iter().enumerate();
        let facets: Map<String, Value> =
            fields.map(|(at, field)| (format!("f{at}"), self.values_with(&typed, field))).collect();
        let body = json!({
            "query": {"bool": {"filter": filters}},
            "size": 0,
            "track_total_hits": false,
            "aggs": facets,
            "timeout": format!("{TIME_LIMIT_SECONDS}s"),
        });
        let body = self.search(&body, &[WHOLE]).await?;
        let answer: SearchAnswer<'_> = self.client.read(&body)?;
        if answer.timed_out {
            return Err(SearchError::TimedOut { seconds: TIME_LIMIT_SECONDS });
        }
        let found = (0..typed.fields.len()).map(|at| counted(&answer.aggregations[format!("f{at}")]));
        Ok(typed.best(found.collect()))
    }

    /// The values of the documents, or of the elements of a nested list, that hold what is typed in this field.
    fn values_with(&self, typed: &Typed<'_>, field: &Field) -> Value {
        let name = value_field(&field.path, field.mapping.kind);
        let by = |count: &str| json!([{count: "desc"}, {"_key": "asc"}]);
        let holding = json!({"bool": {"filter": conditions(typed, field)}});
        match nested_around(&self.plan, &field.path) {
            None => json!({
                "filter": holding,
                "aggs": {"values": {"terms": {"field": name, "size": VALUES, "order": by("_count")}}},
            }),
            // Elements are what is met; documents are what is counted.
            Some(list) => json!({
                "nested": {"path": list},
                "aggs": {"holding": {"filter": holding, "aggs": {"values": {
                    "terms": {"field": name, "size": VALUES, "order": by("documents")},
                    "aggs": {"documents": {"reverse_nested": {}}},
                }}}},
            }),
        }
    }
}

/// Every word in the field, the last one also as a prefix. A keyword has only the beginnings of its words in the index, where those
/// that are finished stand, too.
fn conditions(typed: &Typed<'_>, field: &Field) -> Vec<Value> {
    let (last, others) = typed.words.last_and_others();
    if field.mapping.kind == MappingKind::Keyword {
        let name = format!("{}.prefix", field.path);
        let begins = |word: &str| is_word(&name, &word.chars().take(LONGEST_PREFIX).collect::<String>());
        return others.iter().map(String::as_str).chain(last).map(begins).collect();
    }
    let name = words_field(field);
    let mut conditions: Vec<Value> = others.iter().map(|word| is_word(&name, word)).collect();
    conditions.extend(last.map(|word| {
        let (one, other) = forms(word);
        let prefix = |form: String| json!({"prefix": {name.as_str(): {"value": form}}});
        let prefixes: Vec<Value> = std::iter::once(one).chain(other).map(prefix).collect();
        json!({"bool": {"should": prefixes, "minimum_should_match": 1}})
    }));
    conditions
}

/// Reads the values that an aggregation answered.
fn counted(answer: &Value) -> Vec<Counted> {
    let values = &answer.get("holding").unwrap_or(answer)["values"]["buckets"];
    let read = |bucket: &Value| {
        let count = bucket.get("documents").unwrap_or(bucket).get("doc_count")?.as_u64()?;
        Some((bucket.get("key")?.as_str()?.to_owned(), count))
    };
    values.as_array().into_iter().flatten().filter_map(read).collect()
}
