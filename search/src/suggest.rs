//! Suggestions: whole values of declared fields that hold what is typed, under the same filter as a search.
//!
//! They are read from documents that the filter lets through, never from a list of their own: a completion suggester would be
//! faster, and would tell what a filter hides.

use std::cmp::Reverse;

use plan::{
    Field, IndexPlan,
    field::MappingKind,
    filter::{CheckedFilter, words::words},
};
use serde::Serialize;

use crate::{SearchError, request::comparable_field, text::FreeText};

/// Suggestions of one request at most.
pub const MAX_SUGGESTIONS: usize = 100;

/// What is typed, and where it may stand.
#[derive(Debug, Clone)]
pub struct SuggestRequest {
    /// Words that a value must hold, all of them, the last one perhaps unfinished. Without a word nothing is suggested.
    pub prefix: String,
    /// What must hold for the documents that values are taken from.
    pub filter: Option<CheckedFilter>,
    /// Some of the declared fields; empty: all of them.
    pub paths: Vec<String>,
    /// Suggestions at most, up to [`MAX_SUGGESTIONS`].
    pub first: usize,
}

/// A value that holds what is typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The field.
    pub path: String,
    /// The whole value, as documents write it.
    pub value: String,
    /// How many of the documents hold it, however often.
    pub count: u64,
}

/// A value of a field and the number of its documents.
pub(crate) type Counted = (String, u64);

/// A request that was checked.
pub(crate) struct Typed<'a> {
    pub(crate) words: FreeText,
    pub(crate) fields: Vec<&'a Field>,
    first: usize,
}

impl Default for SuggestRequest {
    fn default() -> Self {
        Self { prefix: String::new(), filter: None, paths: Vec::new(), first: 10 }
    }
}

/// The fields that values are suggested of, as `search.suggest` and `suggest: true` declare them, in that order.
pub fn declared(plan: &IndexPlan) -> Vec<&str> {
    let mut paths: Vec<&str> = plan.search.suggest.iter().map(String::as_str).collect();
    for field in plan.fields.walk().filter(|field| field.mapping.suggest) {
        if !paths.contains(&field.path.as_str()) {
            paths.push(&field.path);
        }
    }
    paths
}

impl<'a> Typed<'a> {
    pub(crate) fn new(plan: &'a IndexPlan, request: &SuggestRequest) -> Result<Self, SearchError> {
        if request.first > MAX_SUGGESTIONS {
            let (what, asked) = ("suggestions", request.first);
            return Err(SearchError::TooMuch { what, asked, limit: MAX_SUGGESTIONS });
        }
        let declared = declared(plan);
        if let Some(path) = request.paths.iter().find(|path| !declared.contains(&path.as_str())) {
            return Err(SearchError::NotSuggested { path: path.clone() });
        }
        let is_wanted =
            |path: &&&str| request.paths.is_empty() || request.paths.iter().any(|wanted| wanted == **path);
        let wanted: Vec<&str> = declared.iter().filter(is_wanted).copied().collect();
        if wanted.is_empty() {
            return Err(SearchError::NothingSuggested);
        }
        let fields = wanted.into_iter().map(|path| suggestible(plan, path)).collect::<Result<_, _>>()?;
        Ok(Self { words: FreeText::new(&request.prefix)?, fields, first: request.first })
    }

    /// Whether a value holds what is typed.
    fn fits(&self, value: &str) -> bool {
        let (last, others) = self.words.last_and_others();
        let Some(last) = last else { return false };
        let of_value: Vec<String> = words(value).map(|word| word.folded).collect();
        others.iter().all(|wanted| of_value.contains(wanted))
            && of_value.iter().any(|word| word.starts_with(last))
    }

    /// Whether a value begins with what is typed, word by word.
    fn begins(&self, value: &str) -> bool {
        let (last, others) = self.words.last_and_others();
        let mut of_value = words(value).map(|word| word.folded);
        let begun = others.iter().all(|wanted| of_value.next().as_ref() == Some(wanted));
        begun && last.zip(of_value.next()).is_some_and(|(last, word)| word.starts_with(last))
    }

    /// The best of what a store found, which may hold values that don't fit: first those that begin with what is typed, then those
    /// of most documents; the value and the order of the fields decide between equals.
    pub(crate) fn best(&self, found: Vec<Vec<Counted>>) -> Vec<Suggestion> {
        let mut fitting = Vec::new();
        for (at, (field, values)) in self.fields.iter().zip(found).enumerate() {
            for (value, count) in values.into_iter().filter(|(value, _)| self.fits(value)) {
                let order = (!self.begins(&value), Reverse(count));
                fitting.push((order, value, at, field));
            }
        }
        fitting.sort_by(|(one, one_value, one_at, _), (two, two_value, two_at, _)| {
            (one, one_value, one_at).cmp(&(two, two_value, two_at))
        });
        fitting.truncate(self.first);
        let suggestion =
            |((_, Reverse(count)), value, _, field): ((bool, Reverse<u64>), String, usize, &&Field)| {
                Suggestion { path: field.path.clone(), value, count }
            };
        fitting.into_iter().map(suggestion).collect()
    }
}

/// A field whose whole values are kept, and are texts.
fn suggestible<'a>(plan: &'a IndexPlan, path: &str) -> Result<&'a Field, SearchError> {
    let field = comparable_field(&plan.fields, path)?;
    match field.mapping.kind {
        MappingKind::Text | MappingKind::Keyword => Ok(field),
        _ => Err(SearchError::NotSuggested { path: path.to_owned() }),
    }
}
