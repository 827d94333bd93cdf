//! The rival: tantivy with the same movies, the same words and the same questions, in one segment.

use std::ops::Bound;

use serde_json::{Value, json};
use tantivy::{
    Index, IndexWriter, Searcher, TantivyDocument, Term,
    aggregation::{AggContextParams, AggregationCollector, agg_req::Aggregations},
    collector::{Count, TopDocs},
    query::{BooleanQuery, BoostQuery, ConstScoreQuery, FuzzyTermQuery, Occur, Query, RangeQuery, TermQuery},
    schema::{
        FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, SchemaBuilder, TEXT, Value as _,
    },
    snippet::SnippetGenerator,
};

use super::question::{FIRST, Figures, Question, SINCE_MS, STATUSES};

/// Memory of its writer in bytes, on one thread so that one segment is written at a time.
const WRITER_BYTES: usize = 400_000_000;

/// What an unfinished word counts beside a finished one.
const UNFINISHED: f32 = 0.1;

pub(crate) struct Rival {
    searcher: Searcher,
    /// The text fields with their weights.
    texts: [(Field, f32); 3],
    status: Field,
    released: Field,
    body: Field,
    facets: Aggregations,
}

impl Rival {
    /// Indexes the movies, and merges what was written to one segment.
    pub(crate) fn new(folder: &std::path::Path, movies: &[String]) -> Self {
        let mut schema: SchemaBuilder = Schema::builder();
        let texts = [("title", 3.0), ("synopsis", 1.0), ("names", 1.0)]
            .map(|(name, weight)| (schema.add_text_field(name, TEXT), weight));
        let keywords = ["type", "genres", "status"].map(|name| schema.add_text_field(name, STRING | FAST));
        let released = schema.add_i64_field("released", INDEXED | FAST);
        let body = schema.add_bytes_field("body", STORED);
        let index = Index::create_in_dir(folder, schema.build()).expect("an empty folder");
        let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES).expect("a writer");
        for text in movies {
            let movie: Value = serde_json::from_str(text).expect("JSON");
            let mut document = TantivyDocument::new();
            document.add_text(texts[0].0, word(&movie["title"]));
            document.add_text(texts[1].0, word(&movie["synopsis"]));
            for actor in movie["actors"].as_array().expect("a list") {
                document.add_text(texts[2].0, word(&actor["name"]));
            }
            document.add_text(keywords[0], word(&movie["type"]));
            for genre in movie["genres"].as_array().expect("a list") {
                document.add_text(keywords[1], word(genre));
            }
            document.add_text(keywords[2], word(&movie["production"]["status"]));
            document.add_i64(
                released,
                plan::filter::date::parse_iso(word(&movie["releaseDate"])).expect("a date"),
            );
            document.add_bytes(body, text.as_bytes());
            writer.add_document(document).expect("it is taken");
        }
        writer.commit().expect("it is written");
        let segments = index.searchable_segment_ids().expect("it has some");
        if segments.len() > 1 {
            writer.merge(&segments).wait().expect("they are merged");
        }
        writer.wait_merging_threads().expect("they end");
        let searcher = index.reader().expect("a reader").searcher();
        assert_eq!(searcher.segment_readers().len(), 1, "one segment is its best case");
        let terms = |field: &str| json!({"terms": {"field": field, "size": 100}});
        let facets = json!({"f0": terms("type"), "f1": terms("genres"), "f2": terms("status")});
        let facets = serde_json::from_value(facets).expect("aggregations");
        Self { searcher, texts, status: keywords[2], released, body, facets }
    }

    /// The figures, and the texts of the best hits with what was found in them marked.
    pub(crate) fn answer(&self, question: &Question) -> (Figures, Vec<String>) {
        let query = self.query(question);
        let facets = AggregationCollector::from_aggs(self.facets.clone(), AggContextParams::default());
        let best = TopDocs::with_limit(FIRST).order_by_score();
        let (total, best, facets) = self.searcher.search(&query, &(Count, best, facets)).expect("an answer");
        let snippets = self.texts.map(|(field, _)| {
            SnippetGenerator::create(&self.searcher, &query, field).expect("a generator of snippets")
        });
        let hits = best.into_iter().map(|(_, address)| {
            let document: TantivyDocument = self.searcher.doc(address).expect("it is stored");
            let body = document.get_first(self.body).and_then(|value| value.as_bytes()).expect("a body");
            let movie: Value = serde_json::from_slice(body).expect("JSON");
            let mut shown = String::from_utf8_lossy(body).into_owned();
            shown += &snippets[0].snippet(word(&movie["title"])).to_html();
            shown += &snippets[1].snippet(word(&movie["synopsis"])).to_html();
            for actor in movie["actors"].as_array().expect("a list") {
                shown += &snippets[2].snippet(word(&actor["name"])).to_html();
            }
            shown
        });
        let hits = hits.collect();
        let facets = serde_json::to_value(facets).expect("JSON");
        let counted = |name: &str| {
            let buckets = facets[name]["buckets"].as_array().expect("buckets").iter();
            buckets
                .map(|bucket| {
                    (word(&bucket["key"]).to_owned(), bucket["doc_count"].as_u64().expect("a count"))
                })
                .collect()
        };
        let facets = ["f0", "f1", "f2"].map(counted).into();
        (Figures { total: total as u64, facets }, hits)
    }

    /// Every word in any of the fields, the last one also as a prefix, and the filter.
    fn query(&self, question: &Question) -> BooleanQuery {
        let last = question.words.len() - 1;
        let words = question.words.iter().enumerate().map(|(at, word)| {
            let places = self.texts.iter().flat_map(|(field, weight)| {
                let term = Term::from_field_text(*field, word);
                let prefix = (at == last).then(|| {
                    boosted(FuzzyTermQuery::new_prefix(term.clone(), 0, false), weight * UNFINISHED)
                });
                let exact = boosted(TermQuery::new(term, IndexRecordOption::WithFreqs), *weight);
                std::iter::once(exact).chain(prefix)
            });
            any(places)
        });
        let statuses = STATUSES.map(|status| {
            let term = Term::from_field_text(self.status, status);
            Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Box<dyn Query>
        });
        let since = Bound::Included(Term::from_field_i64(self.released, SINCE_MS));
        let released: Box<dyn Query> = Box::new(RangeQuery::new(since, Bound::Unbounded));
        let filters = [any(statuses), released].map(|filter| {
            let unscored: Box<dyn Query> = Box::new(ConstScoreQuery::new(filter, 0.0));
            unscored
        });
        BooleanQuery::new(words.chain(filters).map(|part| (Occur::Must, part)).collect())
    }
}

fn any(queries: impl IntoIterator<Item = Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(queries.into_iter().map(|query| (Occur::Should, query)).collect()))
}

fn boosted(query: impl Query, by: f32) -> Box<dyn Query> {
    Box::new(BoostQuery::new(Box::new(query), by))
}

fn word(value: &Value) -> &str {
    value.as_str().expect("a text")
}
