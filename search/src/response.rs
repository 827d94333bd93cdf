//! What a search answers, and its form as JSON.

use plan::DocumentId;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, value::RawValue};

use crate::{Cursor, Highlight};

/// Values of one facet at most: nobody reads more, and a facet over ids would answer every one of them.
pub(crate) const MAX_FACET_VALUES: usize = 100;

/// One page of hits, with figures over everything that matched.
#[derive(Debug, Clone, Serialize)]
pub struct SearchResponse {
    /// How many documents match, on all pages together.
    pub total: u64,
    /// The documents of this page, in order.
    pub hits: Vec<Hit>,
    /// The counted fields, in the order of the request.
    #[serde(serialize_with = "facets_as_map")]
    pub facets: Vec<Facet>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Cursor>,
}

/// A document that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Hit {
    /// Its id.
    pub id: DocumentId,
    /// How well it fits the text; only comparable within one answer. `None` without text.
    pub score: Option<f64>,
    /// The document as the graph answered it.
    pub document: Box<RawValue>,
    /// Where the text was found in it.
    #[serde(serialize_with = "highlights_as_map")]
    pub highlights: Vec<Highlight>,
}

/// The values of one field over all documents that match.
#[derive(Debug, Clone, PartialEq)]
pub struct Facet {
    /// The field.
    pub path: String,
    /// Its values, the most frequent first, then in order; at most a hundred.
    pub values: Vec<FacetValue>,
}

/// One value and its documents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FacetValue {
    /// A text, number or boolean; dates as ISO 8601.
    pub value: Value,
    /// How many of the documents hold it, however often.
    pub count: u64,
}

fn facets_as_map<S: Serializer>(facets: &[Facet], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(facets.iter().map(|facet| (&facet.path, &facet.values)))
}

/// `{"title": ["Crash <em>Landing</em>"]}`; several places of one field follow each other.
fn highlights_as_map<S: Serializer>(highlights: &[Highlight], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for of_path in highlights.chunk_by(|one, two| one.path == two.path) {
        let texts: Vec<String> = of_path.iter().map(|highlight| highlight.marked("<em>", "</em>")).collect();
        map.serialize_entry(&of_path[0].path, &texts)?;
    }
    map.end()
}
