//! How text becomes words: analyzers that fit titles, names and prose of any graph, the same in every index.
//!
//! Both engines know all of this without a plugin; the tests hold their tokens against each other.

use serde_json::{Value, json};

/// The longest token, in characters. Lucene refuses a document with one past 32,766 bytes; a character has up to four.
pub(super) const LONGEST_TOKEN: u32 = 8_191;

/// The longest prefix that is kept. What is typed is cut there as well, so that longer words are still found.
const LONGEST_PREFIX: u32 = 20;

pub(super) fn analysis() -> Value {
    json!({
        "char_filter": {
            // An accent typed after its letter must not differ from the letter with the accent. Folding knows only those.
            "accents": replace(r"(?<=\p{IsLatin})[\u0300-\u036f]+", ""),
            // Written without spaces, they can only be found one by one. The ranges are those of the filter language.
            "ideographs": replace(
                r"([\u3041-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\x{20000}-\x{3ffff}])",
                " $1 ",
            ),
            // "Fast & Furious" is typed as "fast and furious".
            "ampersand": replace(r"(?<=\s)&(?=\s)", "and"),
            // A dash between words is no word: it would leave a hole that phrases don't reach over.
            "separators": replace(r"(?<!\S)[^\s\p{IsAlphabetic}\p{N}]+(?!\S)", ""),
        },
        "tokenizer": {
            // Runs of letters, digits and marks, of which the first is no mark.
            "words": { "type": "pattern", "pattern": r"[^\p{IsAlphabetic}\p{N}\p{M}]+\p{M}*|^\p{M}+" },
        },
        "filter": {
            // "Spider-Man" is spider, man and spiderman; "Ocean's" is ocean, s and oceans; "Se7en" is se, 7, en and se7en.
            "title_parts": {
                "type": "word_delimiter_graph", "catenate_all": true, "stem_english_possessive": false,
            },
            // "J.J." is j, j and jj; "O'Brien" is o, brien and obrien.
            "name_parts": {
                "type": "word_delimiter_graph", "catenate_all": true, "stem_english_possessive": false,
                "split_on_numerics": false,
            },
            "edges": { "type": "edge_ngram", "min_gram": 1, "max_gram": LONGEST_PREFIX },
            "cut_to_edge": { "type": "truncate", "length": LONGEST_PREFIX },
            "cut": { "type": "truncate", "length": LONGEST_TOKEN },
            "english_possessive": { "type": "stemmer", "language": "possessive_english" },
            "english_stemmer": { "type": "stemmer", "language": "english" },
        },
        "analyzer": {
            "words": custom(&["accents", "ideographs"], "words", &["lowercase", "asciifolding", "cut"]),
            "title": parted("title_parts", &["flatten_graph"]),
            "title_search": parted("title_parts", &[]),
            "name": parted("name_parts", &["flatten_graph"]),
            "name_search": parted("name_parts", &[]),
            "english": custom(
                &["accents"],
                "standard",
                &["english_possessive", "lowercase", "asciifolding", "english_stemmer"],
            ),
            // Prefixes are made of what is stored; of what is typed they would match nearly everything.
            "prefix": parted("title_parts", &["flatten_graph", "edges"]),
            "prefix_search": parted("title_parts", &["cut_to_edge"]),
        },
        "normalizer": {
            // Step by step what `plan::filter::words::sort_form` does. Folding may leave capitals.
            "lowercase": { "type": "custom", "char_filter": ["accents"], "filter": ["asciifolding", "lowercase"] },
        },
    })
}

/// Words with their parts and the parts joined. An index can't hold the graph of both, so it is flattened there; what is
/// typed keeps it, and is then either the parts in a row or the whole.
fn parted(parts: &str, then: &[&str]) -> Value {
    let filters = [&[parts, "lowercase", "asciifolding"], then].concat();
    custom(&["accents", "ideographs", "ampersand", "separators"], "whitespace", &filters)
}

fn custom(char_filters: &[&str], tokenizer: &str, filters: &[&str]) -> Value {
    json!({ "type": "custom", "char_filter": char_filters, "tokenizer": tokenizer, "filter": filters })
}

fn replace(pattern: &str, replacement: &str) -> Value {
    json!({ "type": "pattern_replace", "pattern": pattern, "replacement": replacement })
}
