//! How a search was asked of its store, and what the scores of its hits are made of. For whoever owns the index: it tells of
//! documents that a policy may hide.

use plan::{DocumentId, IndexPlan};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    Hit, SearchResponse,
    memory::{
        rank::{largest, latest},
        values::Values,
    },
};

/// An answer with how it came to be.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The answer itself.
    #[serde(skip)]
    pub response: SearchResponse,
    /// What the store was asked; nothing where no store had to be.
    pub sent: Vec<Sent>,
    /// What each hit's score is made of, in the order of the hits; empty without text.
    pub scores: Vec<ScoreParts>,
}

/// A question as a store understands it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// A statement of the embedded store.
    Sql {
        /// Its text, with a question mark for each parameter.
        text: String,
        /// The parameters, in order.
        parameters: Vec<Value>,
    },
    /// A request to Elasticsearch or `OpenSearch`.
    Request {
        /// The path below the server's address, with its parameters.
        path: String,
        /// The body.
        body: Value,
        /// The request as a command of a shell. Credentials are variables: `$STORE_PASSWORD` and its kin.
        curl: String,
    },
}

/// What a score is made of: the sum of its terms, multiplied by everything else.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreParts {
    /// The hit.
    pub id: DocumentId,
    /// Its whole score.
    pub score: f64,
    /// What the words of the text add up to, by term and field, the most first.
    pub terms: Vec<TermPart>,
    /// What it is multiplied by: `search.rank`.
    pub multipliers: Vec<Multiplier>,
}

/// What a term adds by standing in a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermPart {
    /// The field.
    pub field: String,
    /// The term; `cam*` for what begins with it.
    pub term: String,
    /// What it adds.
    pub score: f64,
}

/// What a number or a date of the document multiplies its score with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Multiplier {
    /// The field.
    pub field: String,
    /// `boost` or `recency`.
    pub by: &'static str,
    /// The number, or the date in milliseconds of Unix time; nothing where the document has none.
    pub value: Option<f64>,
    /// What it multiplies with.
    pub times: f64,
}

impl ScoreParts {
    /// The parts of a hit's score; `None` without text.
    pub(crate) fn of(plan: &IndexPlan, hit: &Hit, mut terms: Vec<TermPart>, now_ms: i64) -> Option<Self> {
        let document = read(&hit.document);
        terms.sort_by(|one, two| two.score.total_cmp(&one.score));
        let multipliers = multipliers(plan, &document, now_ms);
        Some(Self { id: hit.id.clone(), score: hit.score?, terms, multipliers })
    }

    /// What the terms add up to.
    pub fn text(&self) -> f64 {
        self.terms.iter().map(|part| part.score).sum()
    }
}

/// The document of a hit as a tree.
pub(crate) fn read(document: &RawValue) -> Value {
    serde_json::from_str(document.get()).unwrap_or_default()
}

/// What numbers and dates of a document multiply its score with.
fn multipliers(plan: &IndexPlan, document: &Value, now_ms: i64) -> Vec<Multiplier> {
    let values = |path: &str| Some(Values::of(&plan.fields, plan.fields.get(path)?));
    let boosts = plan.search.boost.iter().filter_map(|boost| {
        let value = largest(&values(&boost.field)?, document);
        Some(Multiplier { field: boost.field.clone(), by: "boost", value, times: boost.multiplier(value) })
    });
    let recency = plan.search.recency.iter().filter_map(|recency| {
        let date = latest(&values(&recency.field)?, document);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of the calendar fit")]
        let value = date.map(|date| date as f64);
        let times = recency.multiplier(date, now_ms);
        Some(Multiplier { field: recency.field.clone(), by: "recency", value, times })
    });
    boosts.chain(recency).collect()
}
