//! One search of the embedded store: which documents match, in which order, and the page that was asked for.

use std::fmt::Write;

use plan::{DocumentId, field::KeywordForm, field::MappingKind, filter::CheckedFilter, index_plan::Recency};
use rusqlite::{Connection, Row, params_from_iter, types::Value as SqlValue, types::ValueRef};
use serde_json::value::RawValue;

use super::{
    SqliteIndex,
    facets::DocSet,
    filter::Sql,
    functions::{self, BOOST, RECENCY, modifier_name},
    layout::{PathId, text_column},
};
use crate::{
    Cursor, Facet, Hit, SearchError, SearchRequest, SearchResponse, Sort,
    cursor::{Key, Position},
    highlight::highlights,
    request::comparable_field,
    text::FreeText,
};

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

/// The free text, with the columns it is searched in.
pub(super) struct SearchedText {
    pub(super) words: FreeText,
    pub(super) columns: Vec<String>,
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

/// A hit before its document is read.
struct Found {
    doc: i64,
    id: String,
    score: Option<f64>,
    keys: Vec<Key>,
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
        let (total, facets) = self.figures(conn)?;
        let mut page = self.page(conn)?;
        let more = page.len() > self.request.first;
        page.truncate(self.request.first);
        let next = page.last().filter(|_| more).map(|last| self.cursor_after(last));
        let hits = page.into_iter().map(|found| self.hit(conn, found)).collect::<Result<_, _>>()?;
        Ok(SearchResponse { total, hits, facets, next })
    }

    /// What is known of all documents that match: their number and their facets.
    fn figures(&self, conn: &Connection) -> Result<(u64, Vec<Facet>), SearchError> {
        if self.request.facets.is_empty() {
            let sql = self.figures_sql();
            let total: i64 =
                conn.prepare(&sql.text)?.query_row(params_from_iter(sql.params), |row| row.get(0))?;
            return Ok((total.unsigned_abs(), Vec::new()));
        }
        let docs = self.docs(conn, self.request.filter.as_ref())?;
        let facets = self.request.facets.iter().map(|path| {
            let field = comparable_field(&self.index.plan.fields, path)?;
            let values = match self.request.alternative_filter(path) {
                None => self.index.facet(conn, field, &docs)?,
                Some(filter) => self.index.facet(conn, field, &self.docs(conn, Some(&filter))?)?,
            };
            Ok(Facet { path: path.clone(), values })
        });
        let facets = facets.collect::<Result<_, SearchError>>()?;
        Ok((docs.len(), facets))
    }

    /// Asks for the number of all documents that match, or for all of them where facets count their values.
    pub(super) fn figures_sql(&self) -> Sql {
        let mut sql = Sql::default();
        sql.push(if self.request.facets.is_empty() { "SELECT count(*)" } else { "SELECT d.doc" });
        self.write_matching(&mut sql);
        sql
    }

    /// The documents that match under this filter.
    fn docs(&self, conn: &Connection, filter: Option<&CheckedFilter>) -> rusqlite::Result<DocSet> {
        let mut sql = Sql::default();
        sql.push("SELECT d.doc");
        self.write_matching_under(filter, &mut sql);
        conn.prepare(&sql.text)?.query_map(params_from_iter(sql.params), |row| row.get(0))?.collect()
    }

    fn empty_facets(&self) -> Vec<Facet> {
        self.request.facets.iter().map(|path| Facet { path: path.clone(), values: Vec::new() }).collect()
    }

    /// ` FROM … WHERE …`: the live documents `d` that match.
    fn write_matching(&self, sql: &mut Sql) {
        self.write_matching_under(self.request.filter.as_ref(), sql);
    }

    fn write_matching_under(&self, filter: Option<&CheckedFilter>, sql: &mut Sql) {
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
        for filter in self.request.restriction.iter().chain(filter) {
            sql.push(" AND ");
            self.index.write_filter(filter, self.now_ms, sql);
        }
    }

    /// Whether all documents are asked for in the order of their ids.
    fn walks_ids(&self) -> bool {
        self.text.is_none()
            && self.keys.is_empty()
            && self.request.conditions().is_empty()
            && self.request.id.is_none()
    }

    fn page(&self, conn: &Connection) -> Result<Vec<Found>, SearchError> {
        let sql = self.page_sql();
        let mut statement = conn.prepare(&sql.text)?;
        let found = statement
            .query_map(params_from_iter(sql.params), |row| self.found(row))?
            .collect::<Result<_, _>>()?;
        Ok(found)
    }

    /// Asks for the page. One hit more than it holds tells whether there is another page.
    pub(super) fn page_sql(&self) -> Sql {
        let mut sql = Sql::default();
        if self.walks_ids() {
            sql.push("SELECT d.doc, s.id, NULL");
            self.write_matching(&mut sql);
            sql.push(" AND s.id > ");
            sql.bind(self.after.as_ref().map_or(String::new(), |after| after.id.clone()));
            sql.push(" ORDER BY s.id");
        } else {
            // Materialized, so that the keys are computed once a document and not once a mention.
            sql.push("WITH matching AS MATERIALIZED (SELECT d.doc, d.id, ");
            self.write_score(&mut sql);
            sql.push(" AS score");
            for (at, key) in self.keys.iter().enumerate() {
                sql.push(", ");
                self.write_key(key, &mut sql);
                let _ = write!(sql.text, " AS k{at}");
            }
            self.write_matching(&mut sql);
            sql.push(") SELECT doc, id, score");
            for at in 0..self.keys.len() {
                let _ = write!(sql.text, ", {}", self.key_name(at));
            }
            sql.push(" FROM matching WHERE ");
            match &self.after {
                Some(after) => self.write_after(after, 0, &mut sql),
                None => sql.push("1"),
            }
            sql.push(" ORDER BY ");
            for (at, key) in self.keys.iter().enumerate() {
                let name = self.key_name(at);
                let direction = if key.descending { "DESC" } else { "ASC" };
                let _ = write!(sql.text, "{name} {direction} NULLS LAST, ");
            }
            sql.push("id");
        }
        sql.push(" LIMIT ");
        sql.bind(i64::try_from(self.request.first + 1).unwrap_or(i64::MAX));
        sql
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
            // The score has a column of its own.
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

    fn key_name(&self, at: usize) -> String {
        match self.keys[at].by {
            SortBy::Score => "score".to_owned(),
            SortBy::Value(_) => format!("k{at}"),
        }
    }

    /// What comes after the cursor's hit: a later key, or equal keys and a later id.
    fn write_after(&self, after: &Position, at: usize, sql: &mut Sql) {
        let (Some(key), Some(value)) = (self.keys.get(at), after.keys.get(at)) else {
            sql.push("id > ");
            return sql.bind(after.id.clone());
        };
        let name = self.key_name(at);
        if *value == Key::Missing {
            let _ = write!(sql.text, "({name} IS NULL AND ");
        } else {
            let _ = write!(sql.text, "({name} IS NULL OR {name} {} ", if key.descending { "<" } else { ">" });
            sql.bind(value.clone());
            let _ = write!(sql.text, " OR {name} = ");
            sql.bind(value.clone());
            sql.push(" AND ");
        }
        self.write_after(after, at + 1, sql);
        sql.push(")");
    }

    fn found(&self, row: &Row<'_>) -> rusqlite::Result<Found> {
        let keys = (0..self.keys.len()).map(|at| row.get_ref(3 + at).map(Key::from));
        Ok(Found {
            doc: row.get(0)?,
            id: row.get(1)?,
            score: row.get(2)?,
            keys: keys.collect::<Result<_, _>>()?,
        })
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

impl SearchedText {
    fn new(index: &SqliteIndex, text: &str) -> Result<Self, SearchError> {
        let known = &index.layout.text_columns;
        let configured = &index.plan.search.text;
        let columns = match configured.is_empty() {
            true => known.clone(),
            false => configured
                .iter()
                .map(|weighted| &weighted.path)
                .filter(|path| known.contains(path))
                .cloned()
                .collect(),
        };
        Ok(Self { words: FreeText::new(text)?, columns })
    }

    /// Whether nothing can match: the text has no words, or no field is searched.
    pub(super) fn finds_nothing(&self) -> bool {
        self.words.is_empty() || self.columns.is_empty()
    }

    fn match_expression(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|path| text_column(path)).collect();
        self.words.match_expression(&columns)
    }

    /// The weight of every column of the full-text index, in their order.
    pub(super) fn weights(index: &SqliteIndex) -> impl Iterator<Item = f64> {
        index.layout.text_columns.iter().map(|column| {
            let weighted = index.plan.search.text.iter().find(|weighted| weighted.path == *column);
            weighted.map_or(1.0, |weighted| weighted.weight)
        })
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

impl From<Key> for SqlValue {
    fn from(key: Key) -> Self {
        match key {
            Key::Missing => SqlValue::Null,
            Key::Integer(integer) => SqlValue::Integer(integer),
            Key::Double(bits) => SqlValue::Real(f64::from_bits(bits)),
            Key::Text(text) => SqlValue::Text(text),
        }
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> SearchError {
    SearchError::Store(Box::new(error))
}
