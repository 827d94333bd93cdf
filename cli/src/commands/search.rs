//! `search`: asks the index, and shows hits that fit the terminal.

mod explain;
mod shown;

use std::{convert::Infallible, path::Path};

use ::search::{
    Cursor, Explanation, FacetCounts, SearchError, SearchRequest, SearchResponse, SuggestRequest, Suggestion,
};
use indexer::Index;
use plan::{
    FieldKind, IndexPlan,
    filter::{self, CheckedFilter},
};
use serde::Serialize;

use crate::{
    args, environment::Environment, exit::Exit, failure::Failure, output::Output, project::Project,
    table::Table,
};

/// Columns of a hit beside its id: more would leave none readable.
const COLUMNS: usize = 5;

/// What is searched for, as the user wrote it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    pub(crate) text: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) facets: Vec<String>,
    pub(crate) sort: Vec<String>,
    pub(crate) first: usize,
    pub(crate) after: Option<String>,
    pub(crate) counts: FacetCounts,
    pub(crate) explain: bool,
}

impl From<args::Search> for Wish {
    fn from(search: args::Search) -> Self {
        let args::Search { text, filter, facets, facet_counts, sort, first, after, explain, .. } = search;
        let counts = match facet_counts {
            args::Counts::Matching => FacetCounts::Matching,
            args::Counts::Alternatives => FacetCounts::Alternatives,
        };
        Self { text, filter, facets, sort, first, after, counts, explain }
    }
}

#[derive(Serialize)]
struct Found<'r> {
    success: bool,
    #[serde(flatten)]
    response: &'r SearchResponse,
    /// How the store was asked, and what the scores are made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<&'r Explanation>,
}

#[derive(Serialize)]
struct Suggested<'r> {
    success: bool,
    suggestions: &'r [Suggestion],
}

/// Searches and shows the answer.
pub(crate) async fn search(
    file: &Path,
    wish: Wish,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    answer(&index, wish, output).await?;
    Ok(Exit::Done)
}

/// Searches an index that is open, and shows the answer.
pub(crate) async fn answer(index: &Index, wish: Wish, output: &mut Output) -> Result<(), Failure> {
    let columns = columns(&index.plan, &wish);
    if wish.explain {
        let explanation = index.searcher.explain(request(index, wish)?).await?;
        let response = &explanation.response;
        let found = Found { success: true, response, explain: Some(&explanation) };
        return output.answer(&found, |paint| {
            shown::answer(&columns, response, paint) + &explain::shown(&explanation, paint)
        });
    }
    let response = find(index, wish).await?;
    let found = Found { success: true, response: &response, explain: None };
    output.answer(&found, |paint| shown::answer(&columns, &response, paint))
}

/// Searches an index that is open.
pub(super) async fn find(index: &Index, wish: Wish) -> Result<SearchResponse, Failure> {
    Ok(index.searcher.search(request(index, wish)?).await?)
}

fn request(index: &Index, wish: Wish) -> Result<SearchRequest, Failure> {
    let facets = if wish.facets.is_empty() { index.plan.search.facets.clone() } else { wish.facets };
    let sort = wish.sort.iter().map(|text| text.parse().unwrap_or_else(|never: Infallible| match never {}));
    Ok(SearchRequest {
        text: wish.text,
        filter: wish.filter.map(|text| checked(&index.plan, text)).transpose()?,
        facets,
        facet_counts: wish.counts,
        sort: sort.collect(),
        first: wish.first,
        after: wish.after.map(Cursor::new),
        ..SearchRequest::default()
    })
}

/// Shows the values that hold what is typed.
pub(crate) async fn suggest(
    file: &Path,
    prefix: String,
    filter: Option<String>,
    first: usize,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let filter = filter.map(|text| checked(&index.plan, text)).transpose()?;
    let request = SuggestRequest { prefix, filter, first, ..SuggestRequest::default() };
    let suggestions = index.searcher.suggest(request).await?;
    output.answer(&Suggested { success: true, suggestions: &suggestions }, |paint| {
        if suggestions.is_empty() {
            return "nothing holds it".to_owned();
        }
        let mut table = Table::new(&["value", "field", "documents"]);
        for Suggestion { path, value, count } in &suggestions {
            table.row([value.clone(), path.clone(), count.to_string()]);
        }
        table.render(paint)
    })?;
    Ok(Exit::Done)
}

/// A filter in the language of the index; a failure shows what is wrong with it.
pub(super) fn checked(plan: &IndexPlan, text: String) -> Result<CheckedFilter, Failure> {
    filter::checked("<filter>", text, &plan.fields).map_err(Failure::of_diagnostics)
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        let failure = Self::of_error(&error, error.code(), None);
        match error.help() {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

/// The paths worth a column: what is sorted by, what text is searched in, what is counted.
fn columns(plan: &IndexPlan, wish: &Wish) -> Vec<String> {
    let sorted = wish.sort.iter().map(|sort| sort.split(':').next().unwrap_or(sort).to_owned());
    let texts = plan.search.text.iter().flat_map(|text| written(plan, &text.path));
    let leaves =
        plan.fields.0.iter().filter(|field| field.kind == FieldKind::Leaf).map(|field| field.path.clone());
    let mut columns: Vec<String> = Vec::new();
    for path in texts.chain(sorted).chain(plan.search.facets.iter().cloned()).chain(leaves) {
        if path != plan.key.path && !columns.contains(&path) && columns.len() < COLUMNS {
            columns.push(path);
        }
    }
    columns
}

/// Where documents carry what is searched at this path: a virtual field shows what is copied to it.
fn written(plan: &IndexPlan, path: &str) -> Vec<String> {
    match plan.fields.get(path) {
        Some(field) if field.kind == FieldKind::Virtual => {
            let copied = plan.fields.walk().filter(|field| field.mapping.copy_to.as_deref() == Some(path));
            copied.map(|field| field.path.clone()).collect()
        }
        _ => vec![path.to_owned()],
    }
}
