//! One search of the in-memory store: every live document is asked, what matches is sorted and cut into pages.

use std::cmp::{Ordering, Reverse};

use async_trait::async_trait;
use jiff::Timestamp;
use plan::{
    Field, IndexPlan,
    field::{KeywordForm, MappingKind},
    filter::{CheckedFilter, date, words::sort_form},
};
use serde_json::{Value, value::RawValue};

use super::{
    Documents, MemoryIndex, live,
    rank::SearchedText,
    values::{Values, compare},
};
use crate::{
    Cursor, Explanation, Facet, FacetValue, Hit, ScoreParts, SearchError, SearchRequest, SearchResponse,
    Searcher, Sort, StoredDocument, SuggestRequest, Suggestion,
    cursor::{Key, Position},
    explain,
    highlight::highlights,
    request::comparable_field,
    response::MAX_FACET_VALUES,
};

/// A request that was checked.
struct Search<'a> {
    plan: &'a IndexPlan,
    request: &'a SearchRequest,
    text: Option<SearchedText>,
    sorts: Vec<SortKey>,
    facets: Vec<(String, Values)>,
    fingerprint: String,
    after: Option<Position>,
    now_ms: i64,
}

/// What hits are ordered by before their id decides.
struct SortKey {
    by: SortBy,
    descending: bool,
}

enum SortBy {
    Score,
    Value(Values),
    /// The value in the form that texts are sorted by.
    Lowercase(Values),
}

/// A document that matches.
struct Found<'d> {
    stored: &'d StoredDocument,
    document: &'d Value,
    score: Option<f64>,
    keys: Vec<Key>,
}

impl MemoryIndex {
    /// Answers a search. `now_ms` is the time that date maths count from; a cursor brings that of its first page.
    pub fn answer(&self, request: &SearchRequest, now_ms: i64) -> Result<SearchResponse, SearchError> {
        let search = Search::new(&self.plan, request, now_ms)?;
        let documents = self.documents();
        let mut found = search.matching(&documents, request.filter.as_ref());
        found.sort_by(|one, two| {
            search.order((&one.keys, one.stored.id.as_str()), (&two.keys, two.stored.id.as_str()))
        });
        let (total, facets) = (found.len() as u64, search.facets(&documents, &found));
        if let Some(after) = &search.after {
            let is_later = |found: &Found<'_>| {
                search
                    .order((&found.keys, found.stored.id.as_str()), (&after.keys, after.id.as_str()))
                    .is_gt()
            };
            found.retain(is_later);
        }
        let page = &found[..found.len().min(request.first)];
        let next = page.last().filter(|_| found.len() > page.len()).map(|last| search.cursor_after(last));
        let hits = page.iter().map(|found| search.hit(found)).collect::<Result<_, _>>()?;
        Ok(SearchResponse { total, hits, facets, next })
    }
}

impl MemoryIndex {
    /// Answers a search and explains the answer, as seen from `now_ms`. No store is asked.
    pub fn explained(&self, request: &SearchRequest, now_ms: i64) -> Result<Explanation, SearchError> {
        let search = Search::new(&self.plan, request, now_ms)?;
        let response = self.answer(request, now_ms)?;
        let parts = |hit: &Hit| {
            let terms = search.text.as_ref()?.terms(&explain::read(&hit.document));
            ScoreParts::of(&self.plan, hit, terms, search.now_ms)
        };
        let scores = response.hits.iter().filter_map(parts).collect();
        Ok(Explanation { sent: Vec::new(), scores, response })
    }
}

#[async_trait]
impl Searcher for MemoryIndex {
    async fn search(&self, request: SearchRequest) -> Result<SearchResponse, SearchError> {
        self.answer(&request, Timestamp::now().as_millisecond())
    }

    async fn explain(&self, request: SearchRequest) -> Result<Explanation, SearchError> {
        self.explained(&request, Timestamp::now().as_millisecond())
    }

    async fn suggest(&self, request: SuggestRequest) -> Result<Vec<Suggestion>, SearchError> {
        self.suggestions(&request, Timestamp::now().as_millisecond())
    }
}

impl<'a> Search<'a> {
    fn new(plan: &'a IndexPlan, request: &'a SearchRequest, now_ms: i64) -> Result<Self, SearchError> {
        request.check_limits()?;
        let text = request.text().map(|text| SearchedText::new(plan, text)).transpose()?;
        let mut sorts =
            request.sort.iter().map(|sort| SortKey::new(plan, sort)).collect::<Result<Vec<_>, _>>()?;
        if sorts.is_empty() && text.is_some() {
            sorts.push(SortKey { by: SortBy::Score, descending: true });
        }
        let facet = |path: &String| {
            Ok((path.clone(), Values::of(&plan.fields, comparable_field(&plan.fields, path)?)))
        };
        let facets = request.facets.iter().map(facet).collect::<Result<_, SearchError>>()?;
        let fingerprint = request.fingerprint(&plan.name);
        let after =
            request.after.as_ref().map(|cursor| cursor.position(&fingerprint, sorts.len())).transpose()?;
        let now_ms = after.as_ref().map_or(now_ms, |position| position.now_ms);
        Ok(Self { plan, request, text, sorts, facets, fingerprint, after, now_ms })
    }

    /// The live documents that match under this filter.
    fn matching<'d>(&self, documents: &'d Documents, filter: Option<&CheckedFilter>) -> Vec<Found<'d>> {
        let filters: Vec<&CheckedFilter> = self.request.restriction.iter().chain(filter).collect();
        live(documents, None).filter_map(|(stored, document)| self.find(stored, document, &filters)).collect()
    }

    fn find<'d>(
        &self,
        stored: &'d StoredDocument,
        document: &'d Value,
        filters: &[&CheckedFilter],
    ) -> Option<Found<'d>> {
        if self.request.id.as_ref().is_some_and(|id| *id != stored.id) {
            return None;
        }
        let score = match &self.text {
            Some(text) => Some(text.score(document, self.now_ms)?),
            None => None,
        };
        if filters.iter().any(|filter| !filter.matches(document, self.now_ms)) {
            return None;
        }
        let keys = self.sorts.iter().map(|sort| sort.key(document, score)).collect();
        Some(Found { stored, document, score, keys })
    }

    /// By the keys, each in its direction, then by the id.
    fn order(&self, (one, one_id): (&[Key], &str), (two, two_id): (&[Key], &str)) -> Ordering {
        let mut by_keys =
            self.sorts.iter().zip(one.iter().zip(two)).map(|(sort, (one, two))| sort.order(one, two));
        by_keys.find(|ordering| ordering.is_ne()).unwrap_or_else(|| one_id.cmp(two_id))
    }

    fn facets(&self, documents: &Documents, found: &[Found<'_>]) -> Vec<Facet> {
        let count = |(path, values): &(String, Values)| {
            let counted = match self.request.alternative_filter(path) {
                None => count(values, found),
                Some(filter) => count(values, &self.matching(documents, Some(&filter))),
            };
            Facet { path: path.clone(), values: counted }
        };
        self.facets.iter().map(count).collect()
    }

    fn cursor_after(&self, last: &Found<'_>) -> Cursor {
        Cursor::to(&Position {
            search: self.fingerprint.clone(),
            now_ms: self.now_ms,
            keys: last.keys.clone(),
            id: last.stored.id.to_string(),
        })
    }

    fn hit(&self, found: &Found<'_>) -> Result<Hit, SearchError> {
        let highlight =
            |text: &SearchedText| highlights(&self.plan.fields, &text.paths, &text.words, found.document);
        let body = found.stored.body.clone().unwrap_or_default();
        Ok(Hit {
            id: found.stored.id.clone(),
            score: found.score,
            document: RawValue::from_string(body).map_err(|error| SearchError::Store(Box::new(error)))?,
            highlights: self.text.as_ref().map_or_else(Vec::new, highlight),
        })
    }
}

impl SortKey {
    fn new(plan: &IndexPlan, sort: &Sort) -> Result<Self, SearchError> {
        let field = comparable_field(&plan.fields, &sort.path)?;
        let values = Values::of(&plan.fields, field);
        let by = if is_lowercase(field) { SortBy::Lowercase(values) } else { SortBy::Value(values) };
        Ok(Self { by, descending: sort.descending })
    }

    /// Of several values the one that comes first in the direction of the order.
    fn key(&self, document: &Value, score: Option<f64>) -> Key {
        let keys = match &self.by {
            SortBy::Score => return score.map_or(Key::Missing, |score| Key::Double(score.to_bits())),
            SortBy::Value(values) => values.keys(document),
            SortBy::Lowercase(values) => {
                values.texts(document).iter().map(|text| Key::Text(sort_form(text))).collect()
            }
        };
        keys.into_iter().min_by(|one, two| self.order(one, two)).unwrap_or(Key::Missing)
    }

    /// What is missing comes last in either direction.
    fn order(&self, one: &Key, two: &Key) -> Ordering {
        match (one, two) {
            (Key::Missing, _) | (_, Key::Missing) => compare(one, two),
            _ if self.descending => compare(two, one),
            _ => compare(one, two),
        }
    }
}

fn is_lowercase(field: &Field) -> bool {
    field.mapping.kind == MappingKind::Text && field.mapping.keyword == Some(KeywordForm::Lowercase)
}

/// The values of a field with the number of documents that hold them, the most frequent first.
fn count(values: &Values, found: &[Found<'_>]) -> Vec<FacetValue> {
    let mut all: Vec<Key> = Vec::new();
    for found in found {
        let mut of_document = values.keys(found.document);
        of_document.sort_by(compare);
        of_document.dedup();
        all.extend(of_document);
    }
    all.sort_by(compare);
    let mut counts: Vec<&[Key]> = all.chunk_by(PartialEq::eq).collect();
    // The sort is stable: equal counts stay in the order of their values.
    counts.sort_by_key(|equal| Reverse(equal.len()));
    counts.truncate(MAX_FACET_VALUES);
    let value =
        |equal: &[Key]| FacetValue { value: to_json(values.kind(), &equal[0]), count: equal.len() as u64 };
    counts.into_iter().map(value).collect()
}

fn to_json(kind: MappingKind, key: &Key) -> Value {
    match (kind, key) {
        (_, Key::Missing) => Value::Null,
        (MappingKind::Boolean, Key::Integer(truth)) => Value::from(*truth != 0),
        (MappingKind::Date, Key::Integer(instant)) => Value::from(date::timestamp(*instant).to_string()),
        (_, Key::Integer(integer)) => Value::from(*integer),
        (_, Key::Double(bits)) => Value::from(f64::from_bits(*bits)),
        (_, Key::Text(text)) => Value::from(text.as_str()),
    }
}
