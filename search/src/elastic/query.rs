//! One search as one request: which documents match, in which order, and the page that was asked for.

use plan::{Field, FieldTree, field::MappingKind, filter::CheckedFilter};
use serde_json::{Value, json, value::RawValue};

use super::{
    ElasticIndex,
    answer::{AnsweredHit, SearchAnswer},
    facets,
    filter::{self, forms, is_word},
    layout::{self, ID, in_nested, is_live, nested_around},
    order::SortKey,
    rank,
    read::without_nulls,
};
use crate::{
    Cursor, Facet, Hit, SearchError, SearchRequest, SearchResponse, cursor::Position, highlight::highlights,
    request::comparable_field, text::FreeText,
};

/// The time limit that the server is given.
pub(super) const TIME_LIMIT_SECONDS: u64 = 10;

/// What an unfinished word counts beside a finished one.
const UNFINISHED: f64 = 0.1;

/// What the field's own analyzer counts beside the words of the filter language.
const OWN_ANALYZER: f64 = 1.0;

/// A request that was checked.
pub(super) struct Search<'a> {
    index: &'a ElasticIndex,
    request: &'a SearchRequest,
    pub(super) text: Option<SearchedText<'a>>,
    keys: Vec<SortKey>,
    fingerprint: String,
    after: Option<Position>,
    pub(super) now_ms: i64,
}

/// The free text, with the fields that it is searched in and their weights.
pub(super) struct SearchedText<'a> {
    raw: &'a str,
    words: FreeText,
    fields: Vec<(&'a Field, f64)>,
}

impl<'a> Search<'a> {
    /// Checks a request. `now_ms` is the time that date maths count from; a cursor brings that of its first page.
    pub(super) fn new(
        index: &'a ElasticIndex,
        request: &'a SearchRequest,
        now_ms: i64,
    ) -> Result<Self, SearchError> {
        request.check_limits()?;
        let text = request.text().map(|text| SearchedText::new(index, text)).transpose()?;
        let mut keys =
            request.sort.iter().map(|sort| SortKey::new(index, sort)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() && text.is_some() {
            keys.push(SortKey::Score);
        }
        let fingerprint = request.fingerprint(&index.plan.name);
        let after =
            request.after.as_ref().map(|cursor| cursor.position(&fingerprint, keys.len())).transpose()?;
        let now_ms = after.as_ref().map_or(now_ms, |position| position.now_ms);
        for path in &request.facets {
            comparable_field(&index.plan.fields, path)?;
        }
        Ok(Self { index, request, text, keys, fingerprint, after, now_ms })
    }

    /// The answer where no server has to be asked: the text has no words, or no field is searched.
    pub(super) fn known(&self) -> Option<SearchResponse> {
        let text = self.text.as_ref()?;
        let finds_nothing = text.words.is_empty() || text.fields.is_empty();
        let empty = |path: &String| Facet { path: path.clone(), values: Vec::new() };
        finds_nothing.then(|| SearchResponse {
            total: 0,
            hits: Vec::new(),
            facets: self.request.facets.iter().map(empty).collect(),
            next: None,
        })
    }

    /// The body of the request. One hit more than the page holds tells whether there is another page.
    pub(super) fn body(&self) -> Value {
        let mut sort: Vec<Value> = self.keys.iter().flat_map(SortKey::sorts).collect();
        sort.push(json!({ID: "asc"}));
        let facets = self.request.facets.iter().enumerate().filter_map(|(at, path)| {
            let field = self.index.plan.fields.get(path)?;
            let counted = facets::aggregation(&self.index.plan, field);
            let Some(filter) = self.request.alternative_filter(path) else {
                return Some((format!("f{at}"), counted));
            };
            let apart = json!({"filter": self.matching(Some(&filter)), "aggs": {"counted": counted}});
            Some((format!("f{at}"), json!({"global": {}, "aggs": {"apart": apart}})))
        });
        let facets: serde_json::Map<String, Value> = facets.collect();
        without_nulls(json!({
            "query": self.query(),
            "size": self.request.first + 1,
            "sort": sort,
            "search_after": self.after.as_ref().map(|position| self.search_after(position)),
            "aggs": (!facets.is_empty()).then_some(facets),
            "track_total_hits": true,
            "track_scores": self.text.is_some(),
            "timeout": format!("{TIME_LIMIT_SECONDS}s"),
        }))
    }

    fn search_after(&self, position: &Position) -> Vec<Value> {
        let keys = self.keys.iter().zip(&position.keys);
        let mut after: Vec<Value> = keys.flat_map(|(by, key)| by.search_after(key)).collect();
        after.push(Value::from(position.id.as_str()));
        after
    }

    fn query(&self) -> Value {
        let found = self.matching(self.request.filter.as_ref());
        if self.text.is_none() {
            return found;
        }
        rank::ranked(&self.index.plan.search, found, self.now_ms)
    }

    /// What must hold under this filter, with the score of the text.
    fn matching(&self, filter: Option<&CheckedFilter>) -> Value {
        let mut filters = vec![is_live()];
        filters.extend(self.request.id.as_ref().map(|id| json!({"term": {ID: id.as_str()}})));
        let asked = self.request.restriction.iter().chain(filter);
        filters.extend(asked.map(|filter| filter::query(&self.index.plan, filter, self.now_ms)));
        match &self.text {
            None => json!({"bool": {"filter": filters}}),
            Some(text) => json!({"bool": {
                "filter": filters,
                "must": text.conditions(self.index),
                "should": text.preferences(self.index),
            }}),
        }
    }

    /// Reads the answer to the body.
    pub(super) fn response(&self, answer: &SearchAnswer<'_>) -> Result<SearchResponse, SearchError> {
        if answer.timed_out {
            return Err(SearchError::TimedOut { seconds: TIME_LIMIT_SECONDS });
        }
        let page = &answer.hits.hits[..answer.hits.hits.len().min(self.request.first)];
        let more = answer.hits.hits.len() > self.request.first;
        let hits = page.iter().map(|hit| self.hit(hit)).collect::<Result<Vec<_>, _>>()?;
        let next = page.last().zip(hits.last()).filter(|_| more).map(|(last, hit)| {
            let mut told = last.sort.iter();
            let keys = self.keys.iter().map(|key| key.key(&mut told)).collect();
            let (search, id) = (self.fingerprint.clone(), hit.id.to_string());
            Cursor::to(&Position { search, now_ms: self.now_ms, keys, id })
        });
        let facets = self.request.facets.iter().enumerate().map(|(at, path)| {
            let field = comparable_field(&self.index.plan.fields, path)?;
            let counted = &answer.aggregations[format!("f{at}")];
            let values = facets::values(field, counted.pointer("/apart/counted").unwrap_or(counted));
            Ok(Facet { path: path.clone(), values })
        });
        let facets = facets.collect::<Result<_, SearchError>>()?;
        Ok(SearchResponse { total: answer.hits.total.value, hits, facets, next })
    }

    fn hit(&self, hit: &AnsweredHit<'_>) -> Result<Hit, SearchError> {
        let stored = self.index.document(hit.source.unwrap_or(RawValue::NULL))?;
        let body = stored.body.unwrap_or_else(|| "null".to_owned());
        let highlights = match &self.text {
            None => Vec::new(),
            Some(text) => {
                let document = serde_json::from_str(&body).map_err(unreadable)?;
                highlights(&self.index.plan.fields, &text.paths(), &text.words, &document)
            }
        };
        let document = RawValue::from_string(body).map_err(unreadable)?;
        Ok(Hit { id: stored.id, score: hit.score.filter(|_| self.text.is_some()), document, highlights })
    }
}

impl<'a> SearchedText<'a> {
    fn new(index: &'a ElasticIndex, raw: &'a str) -> Result<Self, SearchError> {
        let fields = &index.plan.fields;
        let configured = &index.plan.search.text;
        let is_searched =
            |field: &&Field| field.mapping.kind == MappingKind::Text && is_indexed(fields, field);
        let weight = |field: &Field| match configured.is_empty() {
            true => Some(1.0),
            false => configured.iter().find(|text| text.path == field.path).map(|text| text.weight),
        };
        let fields = fields.walk().filter(is_searched);
        Ok(Self {
            raw,
            words: FreeText::new(raw)?,
            fields: fields.filter_map(|field| Some((field, weight(field)?))).collect(),
        })
    }

    fn paths(&self) -> Vec<String> {
        self.fields.iter().map(|(field, _)| field.path.clone()).collect()
    }

    /// Every word in any of the fields, the last one also as a prefix.
    fn conditions(&self, index: &ElasticIndex) -> Vec<Value> {
        let (last, others) = self.words.last_and_others();
        let mut words: Vec<Value> =
            others.iter().map(|word| self.somewhere(index, |field| vec![is_word(field, word)])).collect();
        words.extend(last.map(|word| {
            self.somewhere(index, |field| {
                let (one, other) = forms(word);
                let prefix = |form: String| json!({"prefix": {field: {"value": form, "boost": UNFINISHED}}});
                [Some(is_word(field, word)), Some(prefix(one)), other.map(prefix)]
                    .into_iter()
                    .flatten()
                    .collect()
            })
        }));
        words
    }

    /// One of the conditions in one of the fields.
    fn somewhere(&self, index: &ElasticIndex, conditions: impl Fn(&str) -> Vec<Value>) -> Value {
        let places: Vec<Value> = self
            .fields
            .iter()
            .map(|(field, weight)| {
                let conditions = conditions(&layout::words_field(field));
                let query =
                    json!({"bool": {"should": conditions, "minimum_should_match": 1, "boost": weight}});
                in_nested(nested_around(&index.plan, &field.path).as_deref(), query)
            })
            .collect();
        json!({"bool": {"should": places, "minimum_should_match": 1}})
    }

    /// What ranks higher: fields with an analyzer of their own know more of a text than its plain words.
    fn preferences(&self, index: &ElasticIndex) -> Vec<Value> {
        let others = self.fields.iter().filter(|(field, _)| !layout::has_plain_analyzer(field));
        others
            .map(|(field, weight)| {
                let query = json!({"match": {field.path.as_str(): {"query": self.raw, "boost": weight * OWN_ANALYZER}}});
                in_nested(nested_around(&index.plan, &field.path).as_deref(), query)
            })
            .collect()
    }
}

/// Whether neither the field nor what is around it says `index: false`.
fn is_indexed(fields: &FieldTree, field: &Field) -> bool {
    fields.ancestry(&field.path).is_some_and(|line| line.iter().all(|field| field.mapping.indexed))
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> SearchError {
    SearchError::Store(Box::new(error))
}
