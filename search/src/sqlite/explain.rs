//! What the embedded store was asked, and what a hit's score is made of: BM25 is a sum over the terms, so each is asked for alone.

use std::fmt::Write as _;

use plan::filter::{values_at, words::words};
use rusqlite::{Connection, OptionalExtension, params_from_iter, types::Value as SqlValue};
use serde_json::Value;

use super::{
    SqliteIndex, filter::Sql, functions, layout::text_column, query::Search, searched_text::SearchedText,
};
use crate::{
    SearchError, SearchRequest,
    explain::{Explanation, ScoreParts, Sent, TermPart, read},
    text::quote,
};

impl SqliteIndex {
    /// Answers a search and explains the answer, as seen from `now_ms`.
    pub fn explained(
        &self,
        conn: &Connection,
        request: &SearchRequest,
        now_ms: i64,
    ) -> Result<Explanation, SearchError> {
        let search = Search::new(self, request, now_ms)?;
        functions::register(conn)?;
        // One moment for the answer and its reasons.
        let _moment = if conn.is_autocommit() { Some(conn.unchecked_transaction()?) } else { None };
        let response = search.answer(conn)?;
        let Some(text) = &search.text else {
            return Ok(Explanation { sent: search.sent(conn), scores: Vec::new(), response });
        };
        if text.finds_nothing() {
            return Ok(Explanation { sent: Vec::new(), scores: Vec::new(), response });
        }
        let mut scores = Vec::new();
        for hit in &response.hits {
            let terms = self.terms(conn, text, hit.id.as_str(), &read(&hit.document))?;
            scores.extend(ScoreParts::of(&self.plan, hit, terms, search.now_ms));
        }
        Ok(Explanation { sent: search.sent(conn), scores, response })
    }

    /// What each term adds to the score of a document, by field. A field's part follows its weight and how often it holds the term, as
    /// in BM25 over several fields.
    fn terms(
        &self,
        conn: &Connection,
        text: &SearchedText,
        id: &str,
        document: &Value,
    ) -> Result<Vec<TermPart>, SearchError> {
        let columns: Vec<String> = text.columns.iter().map(|path| text_column(path)).collect();
        let (last, others) = text.words.last_and_others();
        let finished = others.iter().map(String::as_str).chain(last).map(|word| (word, false));
        let mut parts = Vec::new();
        for (word, is_prefix) in finished.chain(last.map(|word| (word, true))) {
            let star = if is_prefix { " *" } else { "" };
            let expression = format!("{{{}}} : ({}{star})", columns.join(" "), quote(word));
            let Some(score) = self.score_of(conn, &expression, id)? else { continue };
            let term = if is_prefix { format!("{word}*") } else { word.to_owned() };
            let mentions = text
                .columns
                .iter()
                .zip(self.weights_of(text))
                .map(|(path, weight)| (path, weight * self.mentions(path, document, word, is_prefix)));
            let mentions: Vec<(&String, f64)> = mentions.filter(|(_, mentions)| *mentions > 0.0).collect();
            let all: f64 = mentions.iter().map(|(_, mentions)| mentions).sum();
            parts.extend(mentions.into_iter().map(|(path, mentions)| TermPart {
                field: path.clone(),
                term: term.clone(),
                score: score * mentions / all,
            }));
        }
        Ok(parts)
    }

    /// The weights of the columns that are searched.
    fn weights_of(&self, text: &SearchedText) -> Vec<f64> {
        let all: Vec<(&String, f64)> =
            self.layout.text_columns.iter().zip(SearchedText::weights(self)).collect();
        let weight =
            |path: &String| all.iter().find(|(known, _)| *known == path).map_or(1.0, |(_, weight)| *weight);
        text.columns.iter().map(weight).collect()
    }

    /// The score of one document for one expression; `None` where it doesn't match.
    fn score_of(&self, conn: &Connection, expression: &str, id: &str) -> Result<Option<f64>, SearchError> {
        let (text, documents) = (&self.tables.text, &self.tables.documents);
        let mut sql = Sql::default();
        let _ = write!(sql.text, "SELECT -bm25({text}");
        for weight in SearchedText::weights(self) {
            sql.push(", ");
            sql.bind(weight);
        }
        let _ = write!(sql.text, ") FROM {text} WHERE {text} MATCH ");
        sql.bind(expression.to_owned());
        let _ = write!(sql.text, " AND {text}.rowid = (SELECT doc FROM {documents} WHERE id = ");
        sql.bind(id.to_owned());
        sql.push(")");
        let mut statement = conn.prepare_cached(&sql.text)?;
        Ok(statement.query_row(params_from_iter(sql.params), |row| row.get(0)).optional()?)
    }

    /// How often a field of the document holds a word.
    #[expect(clippy::cast_precision_loss, reason = "a document has few words")]
    fn mentions(&self, path: &str, document: &Value, word: &str, is_prefix: bool) -> f64 {
        let Some(field) = self.plan.fields.get(path) else { return 0.0 };
        let mut texts = Vec::new();
        for route in plan::filter::routes(&self.plan.fields, field) {
            values_at(document, &route).iter().for_each(|value| push_texts(value, &mut texts));
        }
        let holds = |found: &str| if is_prefix { found.starts_with(word) } else { found == word };
        texts.iter().flat_map(|text| words(text)).filter(|found| holds(&found.folded)).count() as f64
    }
}

impl Search<'_> {
    /// The statements of this search: the page with all that matches, and where that is counted apart, what counts it.
    fn sent(&self, conn: &Connection) -> Vec<Sent> {
        let mut matching = self.matching_sql(conn);
        matching.push(&format!(" -- {}", self.order_in_words()));
        [Some(matching), self.counting_sql(conn)].into_iter().flatten().map(Sent::from).collect()
    }
}

fn push_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| push_texts(item, texts)),
        Value::String(text) => texts.push(text.clone()),
        _ => {}
    }
}

impl From<Sql> for Sent {
    fn from(Sql { text, params }: Sql) -> Self {
        let parameter = |value| match value {
            SqlValue::Null => Value::Null,
            SqlValue::Integer(integer) => integer.into(),
            SqlValue::Real(real) => real.into(),
            SqlValue::Text(text) => text.into(),
            SqlValue::Blob(bytes) => String::from_utf8_lossy(&bytes).into(),
        };
        Sent::Sql { text, parameters: params.into_iter().map(parameter).collect() }
    }
}
