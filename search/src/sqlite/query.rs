//! One search of the embedded store: which documents match, in which order, and the page that was asked for.

use std::fmt::Write;

use plan::{
    DocumentId,
    field::{KeywordForm, MappingKind},
    filter::{CheckedFilter, Condition},
    index_plan::Recency,
};
use rusqlite::{Connection, Row, params_from_iter, types::ValueRef};
use serde_json::value::RawValue;

use super::{
    SqliteIndex,
    filter::Sql,
    functions::{self, BOOST, RECENCY, modifier_name},
    layout::PathId,
    page::{Found, Page},
    searched_text::SearchedText,
    tally::Tally,
};
use crate::{
    Cursor, Facet, Hit, SearchError, SearchRequest, SearchResponse, Sort,
    cursor::{Key, Position},
    highlight::highlights,
    request::comparable_field,
};

/// The columns of what is found, behind its document's number and id.
const SCORE: usize = 2;
const FIRST_KEY: usize = 3;

/// What is read of each document that matches, to count the values of facets.
const TALLIED: &str = "SELECT d.doc, d.kept";

impl SqliteIndex {
    /// Answers a search. `now_ms` is the time that date maths count from; a cursor brings that of its first page.
    pub fn search(
        &self,
        conn: &Connection,
        request: &SearchRequest,
        now_ms: i64,
    ) -> Result<SearchResponse, SearchError> {
        let search = Search::new(self, request, now_ms)?;
        functions::register(conn)?;
        // One moment for total, hits and facets. Dropping it ends it; there is nothing to commit.
        let _moment = if conn.is_autocommit() { Some(conn.unchecked_transaction()?) } else { None };
        search.answer(conn)
    }
}

/// A request that was checked.
pub(super) struct Search<'a> {
    index: &'a SqliteIndex,
    request: &'a SearchRequest,
    pub(super) text: Option<SearchedText>,
    keys: Vec<SortKey>,
    fingerprint: String,
    after: Option<Position>,
    pub(super) now_ms: i64,
}

/// What hits are ordered by before their id decides.
struct SortKey {
    by: SortBy,
    descending: bool,
}

enum SortBy {
    Score,
    Value(PathId),
}

/// All that a search finds, before its documents are read.
struct Matching {
    page: Vec<Found>,
    /// The values of the facets over all that match.
    tally: Tally,
    total: u64,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        index: &'a SqliteIndex,
        request: &'a SearchRequest,
        now_ms: i64,
    ) -> Result<Self, SearchError> {
        request.check_limits()?;
        let text = request.text().map(|text| SearchedText::new(index, text)).transpose()?;
        let mut keys =
            request.sort.iter().map(|sort| SortKey::new(index, sort)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() && text.is_some() {
            keys.push(SortKey { by: SortBy::Score, descending: true });
        }
        let fingerprint = request.fingerprint(&index.plan.name);
        let after =
            request.after.as_ref().map(|cursor| cursor.position(&fingerprint, keys.len())).transpose()?;
        let now_ms = after.as_ref().map_or(now_ms, |position| position.now_ms);
        Ok(Self { index, request, text, keys, fingerprint, after, now_ms })
    }

    pub(super) fn answer(&self, conn: &Connection) -> Result<SearchResponse, SearchError> {
        for path in &self.request.facets {
            comparable_field(&self.index.plan.fields, path)?;
        }
        if self.text.as_ref().is_some_and(SearchedText::finds_nothing) {
            return Ok(SearchResponse {
                total: 0,
                hits: Vec::new(),
                facets: self.empty_facets(),
                next: None,
            });
        }
        let Matching { mut page, tally, total } = self.matching(conn)?;
        let facets = self.facets(conn, &tally)?;
        let more = page.len() > self.request.first;
        page.truncate(self.request.first);
        let next = page.last().filter(|_| more).map(|last| self.cursor_after(last));
        let hits = page.into_iter().map(|found| self.hit(conn, found)).collect::<Result<_, _>>()?;
        Ok(SearchResponse { total, hits, facets, next })
    }

    /// The facets over the documents that match, or over those that match under the filter without the facet's own part.
    fn facets(&self, conn: &Connection, tally: &Tally) -> Result<Vec<Facet>, SearchError> {
        let facets = self.request.facets.iter().zip(tally.fields()).map(|(path, counted)| {
            let field = comparable_field(&self.index.plan.fields, path)?;
            let values = match self.request.alternative_filter(path) {
                None => self.index.facet(conn, field, counted)?,
                Some(filter) => {
                    let (tally, _) = self.tally(conn, Some(&filter), [PathId::of(path)])?;
                    let counted = tally.fields().next().map(|counted| self.index.facet(conn, field, counted));
                    counted.transpose()?.unwrap_or_default()
                }
            };
            Ok(Facet { path: path.clone(), values })
        });
        facets.collect()
    }

    /// The values at these paths over the documents that match under this filter, and how many documents those are.
    fn tally(
        &self,
        conn: &Connection,
        filter: Option<&CheckedFilter>,
        paths: impl IntoIterator<Item = PathId>,
    ) -> rusqlite::Result<(Tally, u64)> {
        let mut sql = Sql::default();
        sql.push(TALLIED);
        self.write_matching_under(conn, filter, &mut sql);
        let (mut tally, mut total) = (Tally::new(paths), 0);
        let mut statement = conn.prepare(&sql.text)?;
        let mut rows = statement.query(params_from_iter(sql.params))?;
        while let Some(row) = rows.next()? {
            tally.add_row(row, 1)?;
            total += 1;
        }
        Ok((tally, total))
    }

    fn facet_paths(&self) -> impl Iterator<Item = PathId> {
        self.request.facets.iter().map(|path| PathId::of(path))
    }

    fn empty_facets(&self) -> Vec<Facet> {
        self.request.facets.iter().map(|path| Facet { path: path.clone(), values: Vec::new() }).collect()
    }

    /// ` FROM … WHERE …`: the live documents `d` that match.
    fn write_matching(&self, conn: &Connection, sql: &mut Sql) {
        self.write_matching_under(conn, self.request.filter.as_ref(), sql);
    }

    fn write_matching_under(&self, conn: &Connection, filter: Option<&CheckedFilter>, sql: &mut Sql) {
        let (entry, text) = (&self.index.tables.entry, &self.index.tables.text);
        if let Some(searched) = &self.text {
            let _ = write!(
                sql.text,
                " FROM {text} CROSS JOIN {entry} d ON d.doc = {text}.rowid WHERE {text} MATCH "
            );
            sql.bind(searched.match_expression());
            sql.push(" AND NOT d.deleted");
        } else if self.walks_ids() {
            // The order of the ids is an index of the documents, and the page ends the walk.
            let documents = &self.index.tables.documents;
            let _ = write!(
                sql.text,
                " FROM {documents} s CROSS JOIN {entry} d ON d.doc = s.doc WHERE NOT d.deleted"
            );
        } else {
            let _ = write!(sql.text, " FROM {entry} d WHERE NOT d.deleted");
        }
        if let Some(id) = &self.request.id {
            let _ = write!(
                sql.text,
                " AND d.doc IN (SELECT doc FROM {} WHERE id = ",
                self.index.tables.documents
            );
            sql.bind(id.as_str().to_owned());
            sql.push(")");
        }
        let asked = self.request.restriction.iter().chain(filter).map(|filter| filter.condition().clone());
        let condition = Condition::All(asked.collect());
        let few = self.text.is_some() || self.request.id.is_some();
        sql.push(" AND ");
        self.index.write_filter(conn, &condition, self.now_ms, few, sql);
    }

    /// Whether all documents are asked for in the order of their ids.
    fn walks_ids(&self) -> bool {
        self.text.is_none()
            && self.keys.is_empty()
            && self.request.conditions().is_empty()
            && self.request.id.is_none()
    }

    /// The page, and all that match. One hit more than the page holds tells whether there is another page.
    fn matching(&self, conn: &Connection) -> Result<Matching, SearchError> {
        let sql = self.matching_sql(conn);
        let mut tally = Tally::new(self.facet_paths());
        let descending = self.keys.iter().map(|key| key.descending).collect();
        let mut page = Page::new(descending, self.after.clone(), self.request.first + 1);
        let mut total = 0;
        let mut statement = conn.prepare(&sql.text)?;
        let mut rows = statement.query(params_from_iter(sql.params))?;
        while let Some(row) = rows.next()? {
            page.offer(self.found(row)?);
            if self.tallies_on_the_way() {
                tally.add_row(row, FIRST_KEY + self.keys.len())?;
            }
            total += 1;
        }
        if self.walks_ids() {
            (tally, total) = match self.request.facets.is_empty() {
                true => (tally, self.index.counts(conn)?.live),
                false => self.tally(conn, self.request.filter.as_ref(), self.facet_paths())?,
            };
        }
        Ok(Matching { page: page.into_found(), tally, total })
    }

    /// Asks for all that match, each with what it is sorted by; of all documents in the order of their ids, for the page alone.
    pub(super) fn matching_sql(&self, conn: &Connection) -> Sql {
        let mut sql = Sql::default();
        sql.push("SELECT d.doc, d.id, ");
        self.write_score(&mut sql);
        for key in &self.keys {
            sql.push(", ");
            self.write_key(key, &mut sql);
        }
        if self.tallies_on_the_way() {
            sql.push(", d.kept");
        }
        self.write_matching(conn, &mut sql);
        if self.walks_ids() {
            sql.push(" AND s.id > ");
            sql.bind(self.after.as_ref().map_or(String::new(), |after| after.id.clone()));
            sql.push(" ORDER BY s.id");
            self.write_limit(&mut sql);
        }
        sql
    }

    /// Whether the values of facets are counted while the page is found, which then looks at all that match.
    fn tallies_on_the_way(&self) -> bool {
        !self.request.facets.is_empty() && !self.walks_ids()
    }

    /// Asks for what is counted apart: the values of facets, where the page is found without looking at all that match.
    pub(super) fn counting_sql(&self, conn: &Connection) -> Option<Sql> {
        (self.walks_ids() && !self.request.facets.is_empty()).then(|| {
            let mut sql = Sql::default();
            sql.push(TALLIED);
            self.write_matching(conn, &mut sql);
            sql
        })
    }

    /// In which order hits are and how many are shown, for who reads the statement.
    pub(super) fn order_in_words(&self) -> String {
        let keys = self.request.sort.iter().map(|sort| {
            let direction = if sort.descending { " descending" } else { "" };
            format!("{}{direction}, ", sort.path)
        });
        let by_score =
            if self.request.sort.is_empty() && self.text.is_some() { "score descending, " } else { "" };
        format!("the first {} by {by_score}{}id", self.request.first, keys.collect::<String>())
    }

    fn write_limit(&self, sql: &mut Sql) {
        sql.push(" LIMIT ");
        sql.bind(i64::try_from(self.request.first + 1).unwrap_or(i64::MAX));
    }

    /// `bm25 × boosts × recency`; FTS5 says the best is the least, people say the most.
    fn write_score(&self, sql: &mut Sql) {
        if self.text.is_none() {
            return sql.push("NULL");
        }
        let _ = write!(sql.text, "-bm25({}", self.index.tables.text);
        for weight in SearchedText::weights(self.index) {
            sql.push(", ");
            sql.bind(weight);
        }
        sql.push(")");
        for boost in &self.index.plan.search.boost {
            let _ = write!(
                sql.text,
                " * {BOOST}((SELECT max(value) FROM {} WHERE doc = d.doc AND path = {}), ",
                self.index.tables.value,
                PathId::of(&boost.field).0
            );
            sql.bind(modifier_name(boost.modifier).to_owned());
            sql.push(", ");
            sql.bind(boost.factor);
            sql.push(")");
        }
        if let Some(Recency { field, half_life_ms, factor }) = &self.index.plan.search.recency {
            let _ = write!(
                sql.text,
                " * {RECENCY}((SELECT max(value) FROM {} WHERE doc = d.doc AND path = {}), ",
                self.index.tables.value,
                PathId::of(field).0
            );
            sql.bind(self.now_ms);
            sql.push(", ");
            sql.bind(i64::try_from(*half_life_ms).unwrap_or(i64::MAX));
            sql.push(", ");
            sql.bind(*factor);
            sql.push(")");
        }
    }

    /// Of several values the one that comes first in the direction of the order.
    fn write_key(&self, key: &SortKey, sql: &mut Sql) {
        let _ = match key.by {
            // The score stands before the keys.
            SortBy::Score => write!(sql.text, "NULL"),
            SortBy::Value(path) => write!(
                sql.text,
                "(SELECT {}(value) FROM {} WHERE doc = d.doc AND path = {})",
                if key.descending { "max" } else { "min" },
                self.index.tables.value,
                path.0
            ),
        };
    }

    fn found(&self, row: &Row<'_>) -> rusqlite::Result<Found> {
        let keys = self.keys.iter().enumerate().map(|(at, key)| {
            let column = if matches!(key.by, SortBy::Score) { SCORE } else { FIRST_KEY + at };
            row.get_ref(column).map(Key::from)
        });
        let keys = keys.collect::<rusqlite::Result<_>>()?;
        Ok(Found { doc: row.get(0)?, id: row.get(1)?, score: row.get(SCORE)?, keys })
    }

    fn cursor_after(&self, last: &Found) -> Cursor {
        Cursor::to(&Position {
            search: self.fingerprint.clone(),
            now_ms: self.now_ms,
            keys: last.keys.clone(),
            id: last.id.clone(),
        })
    }

    fn hit(&self, conn: &Connection, found: Found) -> Result<Hit, SearchError> {
        let sql = format!("SELECT body FROM {} WHERE doc = ?", self.index.tables.documents);
        let body: Option<String> = conn.prepare_cached(&sql)?.query_row([found.doc], |row| row.get(0))?;
        // A newer index version of the same query may have written a tombstone before this version did.
        let body = body.unwrap_or_else(|| "null".to_owned());
        let highlights = match &self.text {
            None => Vec::new(),
            Some(searched) => {
                let document = serde_json::from_str(&body).map_err(unreadable)?;
                highlights(&self.index.plan.fields, &searched.columns, &searched.words, &document)
            }
        };
        let id = DocumentId::new(found.id).map_err(unreadable)?;
        let document = RawValue::from_string(body).map_err(unreadable)?;
        Ok(Hit { id, score: found.score, document, highlights })
    }
}

impl SortKey {
    fn new(index: &SqliteIndex, sort: &Sort) -> Result<Self, SearchError> {
        let field = comparable_field(&index.plan.fields, &sort.path)?;
        let lowercase =
            field.mapping.kind == MappingKind::Text && field.mapping.keyword == Some(KeywordForm::Lowercase);
        let path = if lowercase { PathId::lowercase(&field.path) } else { PathId::of(&field.path) };
        Ok(Self { by: SortBy::Value(path), descending: sort.descending })
    }
}

impl From<ValueRef<'_>> for Key {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Key::Missing,
            ValueRef::Integer(integer) => Key::Integer(integer),
            ValueRef::Real(double) => Key::Double(double.to_bits()),
            ValueRef::Text(text) | ValueRef::Blob(text) => {
                Key::Text(String::from_utf8_lossy(text).into_owned())
            }
        }
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> SearchError {
    SearchError::Store(Box::new(error))
}
