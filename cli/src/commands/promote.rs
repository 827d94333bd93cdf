//! `promote` and `rollback`: which index version is served. The served one changes in one step, or stays.

use std::path::Path;

use codegen::config::TestSearch;
use indexer::promotion::{self, Promoted, PromotionError, Smoke};
use serde::Serialize;

use crate::{
    environment::Environment, exit::Exit, failure::Failure, output::Output, paint::Paint, project::Project,
};

#[derive(Serialize)]
struct Moved<'p> {
    success: bool,
    name: &'p str,
    /// The version that was served before.
    from: u32,
    /// The version that is served now.
    version: u32,
    /// Its documents that it didn't take, and that are fetched anew.
    lacks: usize,
}

/// Serves an index version, if its checks hold.
pub(crate) async fn promote(
    file: &Path,
    version: Option<u32>,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let project = Project::open(file, env)?;
    let cases = project.config.tests.iter();
    let smoke: Vec<Smoke> =
        cases.filter_map(|case| Some(smoke(&case.name.value, case.search.as_ref()?))).collect();
    let index = project.index().await?;
    let graph = index.gateway(&project.gateway())?;
    let promoted = promotion::promote_audited(&index, version, &smoke, graph).await?;
    tell(&index.plan.name, promoted, output)
}

/// Serves the version again that was served before.
pub(crate) async fn rollback(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let promoted = promotion::roll_back(&index).await?;
    tell(&index.plan.name, promoted, output)
}

fn smoke(name: &str, search: &TestSearch) -> Smoke {
    Smoke {
        name: name.to_owned(),
        text: search.text.clone(),
        filter: search.filter.as_ref().map(|filter| filter.value.clone()),
        sort: search.sort.iter().map(|sort| sort.value.clone()).collect(),
        facets: search.facets.iter().map(|(path, _)| path.value.clone()).collect(),
    }
}

fn tell(name: &str, promoted: Promoted, output: &mut Output) -> Result<Exit, Failure> {
    let Promoted { from, to, lacks } = promoted;
    let moved = Moved { success: true, name, from, version: to, lacks };
    output.answer(&moved, |paint| shown(name, promoted, paint))?;
    Ok(Exit::Done)
}

fn shown(name: &str, promoted: Promoted, paint: Paint) -> String {
    let Promoted { from, to, lacks } = promoted;
    let mut text = match from == to {
        true => format!("{name} serves version {to} already"),
        false => format!("{name} serves version {to} instead of {from}"),
    };
    if lacks > 0 {
        text.push('\n');
        text.push_str(&paint.odd(&format!("{lacks} documents that it did not take are fetched anew")));
    }
    text
}

impl From<PromotionError> for Failure {
    fn from(error: PromotionError) -> Self {
        let failure = Self::of_error(&error, error.code(), None);
        match error.help() {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}
