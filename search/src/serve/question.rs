//! What callers ask, as they write it: in a body of JSON, in the address, or as arguments of a GraphQL field.

use plan::{
    IndexPlan,
    filter::{self, CheckedFilter},
};
use serde::Deserialize;

use super::refusal::Refusal;
use crate::{Cursor, FacetCounts, SearchRequest, SuggestRequest};

/// A search.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SearchQuestion {
    pub(super) text: Option<String>,
    pub(super) filter: Option<String>,
    /// Left out: those that the configuration names.
    pub(super) facets: Option<Vec<String>>,
    pub(super) facet_counts: FacetCounts,
    pub(super) sort: Vec<String>,
    pub(super) first: Option<usize>,
    pub(super) after: Option<String>,
}

/// How many documents match.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CountQuestion {
    pub(super) text: Option<String>,
    pub(super) filter: Option<String>,
}

/// Which values hold what is typed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SuggestQuestion {
    pub(super) prefix: String,
    pub(super) filter: Option<String>,
    pub(super) paths: Vec<String>,
    pub(super) first: Option<usize>,
}

impl SearchQuestion {
    pub(super) fn check(self, plan: &IndexPlan) -> Result<SearchRequest, Refusal> {
        let default = SearchRequest::default();
        Ok(SearchRequest {
            text: self.text,
            filter: checked(plan, self.filter)?,
            facet_counts: self.facet_counts,
            facets: self.facets.unwrap_or_else(|| plan.search.facets.clone()),
            sort: self.sort.iter().filter_map(|sort| sort.parse().ok()).collect(),
            first: self.first.unwrap_or(default.first),
            after: self.after.map(Cursor::new),
            ..default
        })
    }
}

impl CountQuestion {
    pub(super) fn check(self, plan: &IndexPlan) -> Result<SearchRequest, Refusal> {
        let filter = checked(plan, self.filter)?;
        Ok(SearchRequest { text: self.text, filter, first: 0, ..SearchRequest::default() })
    }
}

impl SuggestQuestion {
    pub(super) fn check(self, plan: &IndexPlan) -> Result<SuggestRequest, Refusal> {
        let default = SuggestRequest::default();
        Ok(SuggestRequest {
            filter: checked(plan, self.filter)?,
            first: self.first.unwrap_or(default.first),
            prefix: self.prefix,
            paths: self.paths,
        })
    }
}

/// A filter that fits the fields of the index; blank is none.
fn checked(plan: &IndexPlan, text: Option<String>) -> Result<Option<CheckedFilter>, Refusal> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let checked = filter::checked("<filter>", text, &plan.fields);
    checked.map(Some).map_err(|mistakes| Refusal::of_diagnostics(&mistakes))
}

/// The parameters of an address, each with its value, in order.
pub(super) type Pairs = Vec<(String, String)>;

/// Reads a question off an address. A list is a parameter that is given several times; one empty value is the empty list.
pub(super) trait FromPairs: Sized {
    /// The question, or what is wrong with a parameter.
    fn from_pairs(pairs: Pairs) -> Result<Self, Refusal>;
}

impl FromPairs for SearchQuestion {
    fn from_pairs(pairs: Pairs) -> Result<Self, Refusal> {
        let (mut question, mut facet_counts) = (Self::default(), None);
        for (name, value) in pairs {
            match name.as_str() {
                "text" => once(&name, &mut question.text, value)?,
                "filter" => once(&name, &mut question.filter, value)?,
                "facet_counts" => once(&name, &mut facet_counts, counts(&value)?)?,
                "facets" => push(question.facets.get_or_insert_default(), value),
                "sort" => push(&mut question.sort, value),
                "first" => once(&name, &mut question.first, number(&name, &value)?)?,
                "after" => once(&name, &mut question.after, value)?,
                _ => return Err(unknown(&name, "text, filter, facets, facet_counts, sort, first and after")),
            }
        }
        question.facet_counts = facet_counts.unwrap_or_default();
        Ok(question)
    }
}

impl FromPairs for CountQuestion {
    fn from_pairs(pairs: Pairs) -> Result<Self, Refusal> {
        let mut question = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "text" => once(&name, &mut question.text, value)?,
                "filter" => once(&name, &mut question.filter, value)?,
                _ => return Err(unknown(&name, "text and filter")),
            }
        }
        Ok(question)
    }
}

impl FromPairs for SuggestQuestion {
    fn from_pairs(pairs: Pairs) -> Result<Self, Refusal> {
        let (mut question, mut prefix) = (Self::default(), None);
        for (name, value) in pairs {
            match name.as_str() {
                "prefix" => once(&name, &mut prefix, value)?,
                "filter" => once(&name, &mut question.filter, value)?,
                "paths" => push(&mut question.paths, value),
                "first" => once(&name, &mut question.first, number(&name, &value)?)?,
                _ => return Err(unknown(&name, "prefix, filter, paths and first")),
            }
        }
        question.prefix = prefix.unwrap_or_default();
        Ok(question)
    }
}

fn once<T>(name: &str, place: &mut Option<T>, value: T) -> Result<(), Refusal> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::unreadable(format!("`{name}` is given twice"))),
    }
}

fn push(list: &mut Vec<String>, value: String) {
    if !value.is_empty() {
        list.push(value);
    }
}

fn number(name: &str, value: &str) -> Result<usize, Refusal> {
    value.parse().map_err(|_| Refusal::unreadable(format!("`{name}` is no whole number: {value:?}")))
}

fn counts(value: &str) -> Result<FacetCounts, Refusal> {
    let read = serde_json::from_value(value.into());
    read.map_err(|_| {
        Refusal::unreadable(format!("`facet_counts` is matching or alternatives, not {value:?}"))
    })
}

fn unknown(name: &str, known: &str) -> Refusal {
    Refusal::unreadable(format!("there is no parameter {name:?}")).help(format!("there are {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_address_says_what_a_body_says() {
        let address = SearchQuestion::from_pairs(pairs(&[
            ("text", "a"),
            ("facets", "x"),
            ("facets", "y"),
            ("sort", "z:desc"),
            ("first", "3"),
        ]));
        let body = r#"{"text": "a", "facets": ["x", "y"], "sort": ["z:desc"], "first": 3}"#;
        assert_eq!(address.unwrap(), serde_json::from_str(body).unwrap());
        let none = SearchQuestion::from_pairs(pairs(&[("facets", "")])).unwrap();
        assert_eq!(none.facets, Some(Vec::new()), "asked for none, not for those of the configuration");
        for wrong in [&[("text", "a"), ("text", "b")][..], &[("first", "-1")], &[("fist", "1")]] {
            assert_eq!(SearchQuestion::from_pairs(pairs(wrong)).unwrap_err().code.id, "SS719", "{wrong:?}");
        }
    }
}
