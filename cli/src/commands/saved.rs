//! `saved`: filters under names, and which of them a document matches.

use std::path::Path;

use indexer::{
    Index,
    ledger::SavedSearch,
    saved::{Broken, Known, checked, refused},
};
use plan::{
    Diagnostic, DocumentId,
    code::search::{SS720, SS733},
    diagnostic::nearest,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    amount::amount,
    args::Which,
    environment::Environment,
    exit::Exit,
    failure::Failure,
    moment::{moment, now},
    output::Output,
    project::{Project, read_named},
    table::Table,
};

#[derive(Serialize)]
struct Added<'s> {
    success: bool,
    name: &'s str,
    /// `added`, `replaced` or `unchanged`.
    result: &'static str,
}

#[derive(Serialize)]
struct Listed {
    success: bool,
    searches: Vec<ListedSearch>,
}

#[derive(Serialize)]
struct ListedSearch {
    #[serde(flatten)]
    search: SavedSearch,
    /// What is wrong with it; nothing matches it then.
    broken: Vec<String>,
}

#[derive(Serialize)]
struct Removed<'n> {
    success: bool,
    name: &'n str,
}

#[derive(Serialize)]
struct Matched {
    success: bool,
    matches: Vec<String>,
    /// Saved searches that nothing matches because they don't fit the plan.
    broken: Vec<String>,
}

/// Saves a filter under a name.
pub(crate) async fn add(
    file: &Path,
    name: String,
    filter: String,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let search = SavedSearch { name, filter, saved_at: now() };
    checked(&search, &index.plan.fields).map_err(Failure::of_diagnostics)?;
    let others = index.ledger.saved_searches().await?;
    if let Some(refusal) = refused(&search, &others) {
        return Err(Failure::of_diagnostics(vec![refusal]));
    }
    let result = match others.iter().find(|other| other.name == search.name) {
        Some(same) if same.filter == search.filter => "unchanged",
        Some(_) => "replaced",
        None => "added",
    };
    if result != "unchanged" {
        index.ledger.save_search(search.clone()).await?;
    }
    output.answer(&Added { success: true, name: &search.name, result }, |_| match result {
        "unchanged" => format!("{} is saved like this already", search.name),
        "replaced" => format!("saved {} in the place of its older filter", search.name),
        _ => format!("saved {}", search.name),
    })?;
    Ok(Exit::Done)
}

/// Lists what is saved; broken ones with carets on stderr.
pub(crate) async fn list(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let searches = index.ledger.saved_searches().await?;
    let known = Known::read(searches.clone(), &index.plan.fields);
    let mistakes_of = |search: &SavedSearch| {
        let broken = known.broken().iter().find(|broken| broken.search.name == search.name);
        broken.map(|broken| broken.mistakes.iter().map(|found| found.message.clone()).collect())
    };
    let listed = searches.into_iter().map(|search| {
        let broken: Vec<String> = mistakes_of(&search).unwrap_or_default();
        ListedSearch { search, broken }
    });
    let listed = Listed { success: true, searches: listed.collect() };
    output.answer(&listed, |paint| {
        if listed.searches.is_empty() {
            return "nothing is saved".to_owned();
        }
        let mut table = Table::new(&["name", "saved", "filter"]);
        for ListedSearch { search, broken } in &listed.searches {
            let filter =
                if broken.is_empty() { search.filter.clone() } else { format!("broken: {}", search.filter) };
            table.row([search.name.clone(), moment(search.saved_at), filter]);
        }
        table.render(paint)
    })?;
    if output.is_text() {
        let mistakes: Vec<Diagnostic> =
            known.broken().iter().flat_map(|broken| broken.mistakes.iter().cloned()).collect();
        output.report(&mistakes);
    }
    Ok(Exit::Done)
}

/// Forgets what is saved under a name.
pub(crate) async fn remove(
    file: &Path,
    name: &str,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    if !index.ledger.remove_search(name).await? {
        let others = index.ledger.saved_searches().await?;
        let near = nearest(name, others.iter().map(|other| other.name.as_str()));
        let failure = Failure::new(format!("no search is saved as {name:?}")).code(SS733);
        return Err(match near {
            Some(near) => failure.help(format!("did you mean {near:?}?")),
            None => failure.help("`studio-search saved list` shows the names"),
        });
    }
    output.answer(&Removed { success: true, name }, |_| format!("removed {name}"))?;
    Ok(Exit::Done)
}

/// Says which saved searches a document matches now.
pub(crate) async fn matching(
    file: &Path,
    which: &Which,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let document = read(&index, which).await?;
    let known = Known::read(index.ledger.saved_searches().await?, &index.plan.fields);
    let matches = known.matching(&document, now()).into_iter().map(str::to_owned).collect();
    let broken = known.broken().iter().map(|Broken { search, .. }| search.name.clone()).collect();
    let answer = Matched { success: true, matches, broken };
    output.answer(&answer, |paint| {
        let Matched { matches, broken, .. } = &answer;
        let mut lines = match matches.as_slice() {
            [] => vec!["it matches no saved search".to_owned()],
            names => names.to_vec(),
        };
        if !broken.is_empty() {
            let searches = amount(broken.len(), "saved search", "saved searches");
            lines.push(paint.odd(&format!("{searches} can't be matched: studio-search saved list")));
        }
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

/// The document that the arguments name.
async fn read(index: &Index, which: &Which) -> Result<Value, Failure> {
    let unreadable =
        |place: String, reason: String| Failure::new(format!("{place} is no JSON document: {reason}"));
    if let Some(path) = &which.document {
        let text = read_named(path)?;
        let document: Value = serde_json::from_str(&text.text)
            .map_err(|error| unreadable(path.display().to_string(), error.to_string()))?;
        return match document {
            Value::Object(_) => Ok(document),
            _ => Err(unreadable(path.display().to_string(), "it is no object".to_owned())),
        };
    }
    let named = which.id.clone().unwrap_or_default();
    let missing = || Failure::new(format!("the index has no document {named:?}")).code(SS720);
    let id = DocumentId::new(named.clone()).map_err(|_| missing())?;
    let body = index.store.get(&id).await?.and_then(|stored| stored.body).ok_or_else(missing)?;
    serde_json::from_str(&body).map_err(|error| unreadable(named.clone(), error.to_string()))
}
