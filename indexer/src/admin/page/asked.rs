//! What the address of the page asks for: words, a filter, chosen values of facets, an order, and a place among the hits.

use plan::{
    Diagnostic, Field, IndexPlan,
    field::MappingKind,
    filter::{self, CheckedFilter},
};
use search::{Cursor, FacetCounts, SearchRequest, Sort};
use serde_json::Value;

/// Hits of one page.
const FIRST: usize = 20;

/// Values that may be chosen at once; an address can be of any length.
const MOST_CHOSEN: usize = 50;

/// What stands in the address.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) q: String,
    pub(super) filter: String,
    /// Conditions as [`condition`] writes them. Those of one field are alternatives, for each of them narrows another facet.
    pub(super) chosen: Vec<String>,
    pub(super) sort: String,
    pub(super) after: String,
}

impl Asked {
    /// Reads the parameters of an address; others are nobody's.
    pub(super) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let mut asked = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "q" => asked.q = value,
                "filter" => asked.filter = value,
                "is" if asked.chosen.len() < MOST_CHOSEN => asked.chosen.push(value),
                "sort" => asked.sort = value,
                "after" => asked.after = value,
                _ => {}
            }
        }
        asked
    }

    /// The address of this question.
    pub(super) fn address(&self) -> String {
        let chosen = self.chosen.iter().map(|condition| ("is", condition));
        let parts = [("q", &self.q), ("filter", &self.filter)].into_iter();
        let parts = parts.chain(chosen).chain([("sort", &self.sort), ("after", &self.after)]);
        let mut query = reqwest::Url::parse("http://page/").expect("an address");
        query.query_pairs_mut().extend_pairs(parts.filter(|(_, value)| !value.is_empty()));
        format!("/?{}", query.query().unwrap_or_default())
    }

    /// The search that it asks for.
    pub(super) fn request(&self, plan: &IndexPlan) -> Result<SearchRequest, Vec<Diagnostic>> {
        let filter = match self.filter.trim() {
            "" => None,
            text => Some(filter::checked("<filter>", text, &plan.fields)?),
        };
        let mut all: Vec<CheckedFilter> = filter.into_iter().collect();
        for alternatives in self.chosen.chunk_by(|one, other| path_of(one) == path_of(other)) {
            all.push(filter::checked("<facet>", alternatives.join(" OR "), &plan.fields)?);
        }
        let sort = (!self.sort.is_empty()).then(|| self.sort.parse::<Sort>().ok()).flatten();
        Ok(SearchRequest {
            text: Some(self.q.clone()),
            filter: all.into_iter().reduce(CheckedFilter::and),
            facets: plan.search.facets.clone(),
            // Who has chosen a value sees the others beside it.
            facet_counts: FacetCounts::Alternatives,
            sort: sort.into_iter().collect(),
            first: FIRST,
            after: (!self.after.is_empty()).then(|| Cursor::new(self.after.as_str())),
            ..SearchRequest::default()
        })
    }

    /// The same question with this condition chosen, or no longer so.
    pub(super) fn toggled(&self, condition: &str) -> Self {
        let mut chosen = self.chosen.clone();
        match chosen.iter().position(|known| known == condition) {
            Some(at) => drop(chosen.remove(at)),
            None => chosen.push(condition.to_owned()),
        }
        // Alternatives stand together.
        chosen.sort_by(|one, other| path_of(one).cmp(path_of(other)));
        Self { chosen, after: String::new(), ..self.clone() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.q.trim().is_empty() && self.filter.trim().is_empty() && self.chosen.is_empty()
    }
}

/// That a field has this value, as a filter says it.
pub(super) fn condition(path: &str, value: &Value) -> String {
    match value {
        Value::String(text) => {
            format!("{path} == '{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
        }
        other => format!("{path} == {other}"),
    }
}

/// The field of a chosen condition.
pub(super) fn path_of(condition: &str) -> &str {
    condition.split_once(" == ").map_or(condition, |(path, _)| path)
}

/// The fields that hits can be put in the order of: those with one value a document.
pub(super) fn sortable(plan: &IndexPlan) -> impl Iterator<Item = &Field> {
    let is_single = |field: &Field| {
        let line = plan.fields.ancestry(&field.path).unwrap_or_default();
        line.iter().all(|field| field.mapping.indexed && field.list_depth == 0)
    };
    let has_order = |field: &Field| match field.mapping.kind {
        MappingKind::Long | MappingKind::Double | MappingKind::Date => true,
        MappingKind::Keyword | MappingKind::Text => field.mapping.has_exact_value(),
        _ => false,
    };
    plan.fields.walk().filter(move |field| has_order(field) && is_single(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        let chosen = vec!["type == 'a & b'".to_owned(), "year == 7".to_owned()];
        let asked =
            Asked { q: "é ü+%".to_owned(), chosen, sort: "year:desc".to_owned(), ..Asked::default() };
        let url = reqwest::Url::parse(&format!("http://page{}", asked.address())).unwrap();
        assert_eq!(Asked::from_pairs(url.query_pairs().into_owned().collect()), asked);
    }

    #[test]
    fn a_value_is_chosen_and_left_again() {
        let asked = Asked { after: "7b".to_owned(), ..Asked::default() };
        let quoted = condition("type", &Value::from("o'neil\\"));
        assert_eq!(quoted, r"type == 'o\'neil\\'");
        let both = asked.toggled("year == 7").toggled(&quoted).toggled("year == 8");
        assert_eq!(both.chosen, [quoted.as_str(), "year == 7", "year == 8"]);
        assert_eq!((both.after.as_str(), both.toggled(&quoted).chosen.len()), ("", 2));
    }
}
