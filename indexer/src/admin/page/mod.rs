//! The status page: how the index is doing, and a search box with facets to click. Plain HTML, rendered here.

mod asked;

use std::fmt::Write;

use axum::{
    Json,
    extract::{Query, State},
    response::Html,
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use plan::{Diagnostic, Field, IndexPlan, diagnostic::line_and_column, field::MappingKind, filter};
use search::{Facet, Highlight, Hit, SearchResponse, SuggestRequest};
use serde_json::Value;

use self::asked::{Asked, condition, path_of, sortable};
use super::Shared;
use crate::{
    StateError,
    index::{SourceProgress, Status},
    ledger::IndexState,
};

/// Values of a facet that are shown; the rest would only push the others out of sight.
const FACET_VALUES: usize = 8;

/// Values of one field that a hit shows.
const VALUES: usize = 4;

/// Suggestions under the search box.
const SUGGESTIONS: usize = 8;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(super) async fn show(
    State(Shared { admin }): State<Shared>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Html<String> {
    let (index, asked) = (admin.index(), Asked::from_pairs(pairs));
    let plan = &index.plan;
    let found = match asked.request(plan) {
        Ok(request) => index.searcher.search(request).await.map_err(|error| {
            let help = error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
            format!("{}: {error}{help}", error.code())
        }),
        Err(findings) => Err(findings.iter().map(in_words).collect::<Vec<_>>().join("\n")),
    };
    let status = index.status().await;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (plan.name) " · studio-search" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { a href="/" { (plan.name) } }
                    @if let Some(description) = &plan.description { p { (description) } }
                }
                section #figures aria-label="status" { (figures(&status)) }
                (form(&asked, plan, found.as_ref().ok()))
                @match &found {
                    Ok(response) => { (help(plan, false)) (results(&asked, response, plan)) },
                    Err(reason) => { pre.error role="alert" { (reason) } (help(plan, !asked.filter.is_empty())) },
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Html(page.into_string())
}

/// The figures alone, for the page to show them anew.
pub(super) async fn show_figures(State(Shared { admin }): State<Shared>) -> Html<String> {
    Html(figures(&admin.index().status().await).into_string())
}

/// Whole values that hold the words of `q`, for the search box; none where the plan declares no field for them.
pub(super) async fn suggest(
    State(Shared { admin }): State<Shared>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Json<Vec<String>> {
    let request = SuggestRequest {
        prefix: Asked::from_pairs(pairs).q,
        first: SUGGESTIONS,
        ..SuggestRequest::default()
    };
    let suggestions = admin.index().searcher.suggest(request).await.unwrap_or_default();
    Json(suggestions.into_iter().map(|suggestion| suggestion.value).collect())
}

fn figures(status: &Result<Status, StateError>) -> Markup {
    let status = match status {
        Ok(status) => status,
        Err(error) => return html! { p.error { (error.code()) ": " (error) } },
    };
    let lag = status.lag.live + status.lag.backfill;
    html! {
        dl.figures {
            (figure("state", status.state.name(), "whether documents are kept up to date"))
            (figure("documents", &status.documents.to_string(), "can be found"))
            (figure("waiting", &lag.to_string(), "changes that are not in the index yet"))
            (figure("held", &status.held.to_string(), "failed for now, keep their last good content, and are tried again"))
            (figure("dead letters", &status.dead_letters.to_string(), "events that could not be understood"))
            @if let Some(freshness) = status.freshness {
                (figure("freshness p50", &format!("{} ms", freshness.p50), "from an event to its document being found, half of the time"))
            }
            @if let Some(progress) = &status.backfill {
                @if progress.backfill.ended_at.is_none() {
                    @let text = format!("{} of {}", progress.rebuilt, progress.backfill.enumerated);
                    (figure("backfill", &text, "documents that are fetched once more"))
                }
            }
        }
        @if let Some(trouble) = trouble(status) { p.error { (trouble) } }
        @if status.held + status.dead_letters > 0 { p.hint { "What failed, and why: " code { "studio-search errors list" } } }
    }
}

fn figure(name: &str, value: &str, meaning: &str) -> Markup {
    html! { div title=(meaning) { dt { (name) } dd { (value) } } }
}

/// Why nothing is brought up to date right now, and what to do.
fn trouble(status: &Status) -> Option<String> {
    match &status.state {
        IndexState::Running => status.waiting.clone().or_else(|| source_trouble(status)),
        IndexState::Paused => Some("A person paused it. It goes on with `studio-search resume`.".to_owned()),
        IndexState::Failed { code, reason } => {
            Some(format!("{code}: {reason}. When that is mended: `studio-search resume`."))
        }
    }
}

/// The first source that waits, and why.
fn source_trouble(status: &Status) -> Option<String> {
    let told =
        |source: &SourceProgress| Some(format!("{} waits: {}.", source.name, source.waiting.as_ref()?));
    status.sources.iter().find_map(told)
}

fn form(asked: &Asked, plan: &IndexPlan, response: Option<&SearchResponse>) -> Markup {
    let value = response.and_then(|response| {
        response.facets.iter().find_map(|facet| Some((facet.path.as_str(), &facet.values.first()?.value)))
    });
    let example =
        value.map_or_else(|| format!("{} == '…'", plan.key.path), |(path, value)| condition(path, value));
    html! {
        form method="get" action="/" role="search" {
            // On a phone the keyboard would hide the hits.
            input type="search" name="q" value=(asked.q) placeholder={ "Search " (plan.name) } aria-label="search"
                list="suggestions" autocomplete="off" autofocus[asked.is_empty()];
            datalist #suggestions {}
            button { "Search" }
            input type="text" name="filter" value=(asked.filter) placeholder={ "Filter, such as " (example) }
                aria-label="filter" spellcheck="false" autocapitalize="off" autocomplete="off";
            select name="sort" aria-label="order" {
                option value="" selected[asked.sort.is_empty()] { "Best first" }
                @for field in sortable(plan) { (orders(asked, field)) }
            }
            @for condition in &asked.chosen { input type="hidden" name="is" value=(condition); }
        }
    }
}

/// Both orders by a field, that of the largest value first.
fn orders(asked: &Asked, field: &Field) -> Markup {
    html! {
        @for (direction, arrow) in [("desc", "\u{2193}"), ("asc", "\u{2191}")] {
            @let order = format!("{}:{direction}", field.path);
            option value=(order) selected[asked.sort == order] { (field.path) " " (arrow) }
        }
    }
}

fn help(plan: &IndexPlan, open: bool) -> Markup {
    html! {
        details.help open[open] {
            summary { "How to filter" }
            dl {
                @for (form, meaning) in FORMS { div { dt { code { (form) } } dd { (meaning) } } }
            }
            p { "Fields: " @for field in searchable(plan) { code { (field) } " " } }
        }
    }
}

/// The filter language in short, for who has never seen it.
const FORMS: [(&str, &str); 7] = [
    ("status == 'OPEN'", "also != < <= > >=; text and dates in quotes, numbers without"),
    ("status IN ['OPEN', 'DONE']", "one of them"),
    ("title LIKE 'Cr*'", "* is any text, ? one character"),
    ("title MATCHES 'big lake'", "all the words, in any order"),
    ("owner EXISTS", "there is a value"),
    ("people[role == 'LEAD' AND name MATCHES 'lee']", "both hold for the same element of a list"),
    ("… AND (… OR NOT …)", "together"),
];

/// The fields that a filter can name.
fn searchable(plan: &IndexPlan) -> impl Iterator<Item = String> {
    let indexed = |path: &str| {
        plan.fields.ancestry(path).is_some_and(|line| line.iter().all(|field| field.mapping.indexed))
    };
    plan.fields.walk().filter(move |field| indexed(&field.path)).filter_map(|field| {
        match field.mapping.kind {
            MappingKind::Object => None,
            MappingKind::Nested => Some(format!("{}[…]", field.path)),
            _ => Some(field.path.clone()),
        }
    })
}

fn results(asked: &Asked, response: &SearchResponse, plan: &IndexPlan) -> Markup {
    let has_facets = response.facets.iter().any(|facet| !facet.values.is_empty());
    let without = |change: &dyn Fn(&mut Asked)| {
        let mut other = Asked { after: String::new(), ..asked.clone() };
        change(&mut other);
        other.address()
    };
    html! {
        @if !asked.chosen.is_empty() {
            p.chosen aria-label="chosen values" {
                @for condition in &asked.chosen {
                    a href=(asked.toggled(condition).address()) title="leave it out" { (condition) " " span aria-hidden="true" { "×" } }
                }
            }
        }
        main {
            section.hits aria-label="hits" {
                p.total {
                    strong { (grouped(response.total)) } @if response.total == 1 { " document" } @else { " documents" }
                    @if !asked.filter.trim().is_empty() {
                        " " a href=(without(&|other| other.filter.clear())) { "without the filter" }
                    }
                    @if !asked.q.trim().is_empty() {
                        " " a href=(without(&|other| other.q.clear())) { "without the words" }
                    }
                    @if has_facets { " " a.jump href="#facets" { "narrow it down" } }
                }
                @if response.total == 0 { (nothing_found(asked)) }
                ol { @for hit in &response.hits { (one_hit(hit, plan)) } }
                @if let Some(next) = &response.next {
                    a.next href=(without(&|other| other.after = next.to_string())) { "Next page" }
                }
            }
            aside #facets aria-label="facets" {
                @for facet in &response.facets { @if !facet.values.is_empty() { (one_facet(asked, facet)) } }
            }
        }
    }
}

/// A number as people read it: 12 345.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

fn nothing_found(asked: &Asked) -> Markup {
    html! {
        @if !asked.is_empty() {
            p { "Nothing matches. The last word may be unfinished, the others must be whole; a filter's text must be the whole value." }
        } @else {
            p { "Nothing is indexed yet. Every document is fetched by " code { "studio-search backfill start" } ", and each one as it changes." }
        }
    }
}

/// A hit by what its index is about: the first field that is searched as its title, the others and the facets as facts.
fn one_hit(hit: &Hit, plan: &IndexPlan) -> Markup {
    let document: Value = serde_json::from_str(hit.document.get()).unwrap_or_default();
    let mut paths: Vec<&str> = Vec::new();
    let searched = plan.search.text.iter().map(|weighted| weighted.path.as_str());
    for path in searched.chain(plan.search.facets.iter().map(String::as_str)) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let shown: Vec<(&str, String)> =
        paths.into_iter().filter_map(|path| Some((path, in_short(&document, path)?))).collect();
    let (title, facts) = shown.split_first().map_or((None, &[][..]), |(title, facts)| (Some(title), facts));
    html! {
        li {
            h2 {
                @match title {
                    Some((path, title)) => @match hit.highlights.iter().find(|highlight| highlight.path == *path) {
                        Some(highlight) => (marked(highlight)),
                        None => (title),
                    },
                    None => "—",
                }
                " " small { (hit.id) }
            }
            @for highlight in hit.highlights.iter().filter(|highlight| title.is_none_or(|(path, _)| highlight.path != *path)) {
                p { span.path { (highlight.path) } " " (marked(highlight)) }
            }
            dl { @for (path, value) in facts { div { dt { (path) } dd { (value) } } } }
            details { summary { "document" } pre { (serde_json::to_string_pretty(&document).unwrap_or_default()) } }
        }
    }
}

fn marked(highlight: &Highlight) -> Markup {
    html! { @for (piece, found) in highlight.pieces() { @if found { mark { (piece) } } @else { (piece) } } }
}

/// The values at a path on one line; nothing where there are none.
fn in_short(document: &Value, path: &str) -> Option<String> {
    let names: Vec<String> = path.split('.').map(str::to_owned).collect();
    let values = filter::values_at(document, &names);
    let texts: Vec<String> = values.iter().filter_map(as_text).collect();
    let more = if texts.len() > VALUES { " · …" } else { "" };
    (!texts.is_empty()).then(|| texts[..texts.len().min(VALUES)].join(" · ") + more)
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        scalar => Some(scalar.to_string()),
    }
}

/// The values of a field, most frequent first; those that are chosen are told first, for they may be rare.
fn one_facet(asked: &Asked, facet: &Facet) -> Markup {
    let most = facet.values.iter().map(|value| value.count).max().unwrap_or(1).max(1);
    let is_chosen = |value: &Value| asked.chosen.contains(&condition(&facet.path, value));
    let (chosen, others): (Vec<_>, Vec<_>) = facet.values.iter().partition(|value| is_chosen(&value.value));
    let is_open = asked.chosen.iter().any(|chosen| path_of(chosen) == facet.path);
    html! {
        section.chosen[is_open] {
            h3 { (facet.path) }
            ul {
                @for value in chosen.into_iter().chain(others).take(FACET_VALUES) {
                    @let condition = condition(&facet.path, &value.value);
                    @let is_chosen = asked.chosen.contains(&condition);
                    li {
                        a href=(asked.toggled(&condition).address()) aria-current=[is_chosen.then_some("true")] {
                            span.value { (as_text(&value.value).unwrap_or_default()) }
                            span.count { (grouped(value.count)) }
                            meter min="0" max=(most) value=(value.count) {}
                        }
                    }
                }
            }
        }
    }
}

/// A diagnostic as the terminal shows it, without colours.
fn in_words(finding: &Diagnostic) -> String {
    let mut text = format!("{}: {}", finding.code, finding.message);
    if let Some((source, range)) = &finding.place {
        let (line, column) = line_and_column(&source.text, range.start);
        let shown = source.text.lines().nth(line - 1).unwrap_or_default();
        let _ = write!(text, "\n  {shown}\n  {}^", " ".repeat(column - 1));
    }
    if let Some(help) = &finding.help {
        let _ = write!(text, "\nhelp: {help}");
    }
    text
}
