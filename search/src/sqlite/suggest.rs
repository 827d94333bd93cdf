//! Suggestions of the embedded store: the values of documents whose words were found in the full-text index.

use rusqlite::{Connection, params_from_iter};

use super::{SqliteIndex, facets::DocSet, filter::Sql, functions, layout::text_column, rows::RowValue};
use crate::{
    SearchError, SuggestRequest, Suggestion,
    suggest::{Counted, Typed},
};

impl SqliteIndex {
    /// Suggests values. `now_ms` is the time that date maths count from.
    pub fn suggestions(
        &self,
        conn: &Connection,
        request: &SuggestRequest,
        now_ms: i64,
    ) -> Result<Vec<Suggestion>, SearchError> {
        let typed = Typed::new(&self.plan, request)?;
        if typed.words.is_empty() {
            return Ok(Vec::new());
        }
        functions::register(conn)?;
        // One moment for all fields. Dropping it ends it; there is nothing to commit.
        let _moment = if conn.is_autocommit() { Some(conn.unchecked_transaction()?) } else { None };
        let mut found = Vec::new();
        for field in &typed.fields {
            let docs = self.docs_with(conn, &typed, &field.path, request, now_ms)?;
            let values = self.value_counts(conn, field, &docs)?.into_iter();
            let texts = values.filter_map(|(value, count)| match value {
                RowValue::Text(text) => Some((text, count)),
                RowValue::Integer(_) | RowValue::Double(_) => None,
            });
            found.push(texts.collect::<Vec<Counted>>());
        }
        Ok(typed.best(found))
    }

    /// The documents that the filter lets through, as far as the field may hold what is typed. Only text has its words in the
    /// full-text index; of keywords all values are looked at.
    fn docs_with(
        &self,
        conn: &Connection,
        typed: &Typed<'_>,
        path: &str,
        request: &SuggestRequest,
        now_ms: i64,
    ) -> rusqlite::Result<DocSet> {
        let (entry, text) = (&self.tables.entry, &self.tables.text);
        let mut sql = Sql::default();
        sql.push(&format!("SELECT d.doc FROM {entry} d WHERE NOT d.deleted"));
        if self.layout.text_columns.iter().any(|column| column == path) {
            sql.push(&format!(" AND d.doc IN (SELECT rowid FROM {text} WHERE {text} MATCH "));
            sql.bind(typed.words.match_expression(&[text_column(path)]));
            sql.push(")");
        }
        if let Some(filter) = &request.filter {
            sql.push(" AND ");
            self.write_filter(conn, filter.condition(), now_ms, false, &mut sql);
        }
        conn.prepare(&sql.text)?.query_map(params_from_iter(sql.params), |row| row.get(0))?.collect()
    }
}
