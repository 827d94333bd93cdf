//! `search`: asks the index, and shows hits that fit the terminal.

use std::{convert::Infallible, path::Path};

use ::search::{
    Cursor, Facet, FacetValue, Hit, SearchError, SearchRequest, SearchResponse, SuggestRequest, Suggestion,
};
use indexer::Index;
use plan::{
    FieldKind, IndexPlan,
    filter::{self, CheckedFilter, values_at},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::Output,
    paint::Paint,
    project::Project,
    table::{Table, harmless},
};

/// Columns of a hit beside its id: more would leave none readable.
const COLUMNS: usize = 5;

/// Values shown of a facet; `-o json` has all that the index counted.
const FACET_VALUES: usize = 8;

/// What is searched for, as the user wrote it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    pub(crate) text: Option<String>,
    pub(crate) filter: Option<String>,
    pub(crate) facets: Vec<String>,
    pub(crate) sort: Vec<String>,
    pub(crate) first: usize,
    pub(crate) after: Option<String>,
}

#[derive(Serialize)]
struct Found<'r> {
    success: bool,
    #[serde(flatten)]
    response: &'r SearchResponse,
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
    let response = find(index, wish).await?;
    output.answer(&Found { success: true, response: &response }, |paint| shown(&columns, &response, paint))
}

/// Searches an index that is open.
pub(super) async fn find(index: &Index, wish: Wish) -> Result<SearchResponse, Failure> {
    let facets = if wish.facets.is_empty() { index.plan.search.facets.clone() } else { wish.facets };
    let sort = wish.sort.iter().map(|text| text.parse().unwrap_or_else(|never: Infallible| match never {}));
    let request = SearchRequest {
        text: wish.text,
        filter: wish.filter.map(|text| checked(&index.plan, text)).transpose()?,
        facets,
        sort: sort.collect(),
        first: wish.first,
        after: wish.after.map(Cursor::new),
        ..SearchRequest::default()
    };
    Ok(index.searcher.search(request).await?)
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

/// The answer for people.
fn shown(columns: &[String], response: &SearchResponse, paint: Paint) -> String {
    let SearchResponse { total, hits, facets, next } = response;
    let documents = if *total == 1 { "document" } else { "documents" };
    let mut parts = vec![paint.strong(&format!("{total} {documents}"))];
    if !hits.is_empty() {
        parts.push(hit_table(columns, hits, paint));
    }
    parts.extend(facets.iter().filter_map(|facet| facet_line(facet, paint)));
    parts.extend(next.as_ref().map(|next| paint.faint(&format!("\nmore: --after {next}"))));
    parts.join("\n")
}

fn hit_table(columns: &[String], hits: &[Hit], paint: Paint) -> String {
    let names: Vec<&str> = std::iter::once("id").chain(columns.iter().map(String::as_str)).collect();
    let mut table = Table::new(&names);
    for hit in hits {
        // A document that can't be read shows its id at least.
        let document: Value = serde_json::from_str(hit.document.get()).unwrap_or_default();
        let cells = columns.iter().map(|path| cell(&document, path));
        table.row(std::iter::once(hit.id.to_string()).chain(cells));
    }
    table.render(paint)
}

/// All values at a path, in one line.
fn cell(document: &Value, path: &str) -> String {
    let names: Vec<String> = path.split('.').map(str::to_owned).collect();
    let mut texts = Vec::new();
    values_at(document, &names).iter().for_each(|value| push_texts(value, &mut texts));
    texts.join(", ")
}

fn push_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| push_texts(item, texts)),
        other => texts.push(other.to_string()),
    }
}

/// `genre  Drama 789 · Comedy 675`; nothing where no document has a value.
fn facet_line(facet: &Facet, paint: Paint) -> Option<String> {
    let value = |counted: &FacetValue| {
        let value = counted.value.as_str().map_or_else(|| counted.value.to_string(), harmless);
        format!("{value} {}", paint.faint(&counted.count.to_string()))
    };
    let mut values: Vec<String> = facet.values.iter().take(FACET_VALUES).map(value).collect();
    if facet.values.len() > FACET_VALUES {
        values.push("…".to_owned());
    }
    (!values.is_empty()).then(|| format!("{}  {}", paint.strong(&facet.path), values.join(" · ")))
}
