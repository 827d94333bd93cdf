//! `plan`: what provision would change, and why. Changes nothing.

use std::path::Path;

use indexer::provision::{Action, Change};
use plan::{
    IndexPlan,
    index_plan::{CoverageLine, CoveredBy},
};
use serde::Serialize;

use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::Output,
    paint::Paint,
    project::{Project, artifacts},
    table::Table,
};

#[derive(Serialize)]
struct Planned<'p> {
    success: bool,
    changes: &'p [Change],
    summary: Summary,
    coverage: &'p [CoverageLine],
}

/// How many things are to be changed in which way.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Summary {
    add: usize,
    change: usize,
    none: usize,
}

impl Summary {
    /// Counts.
    pub(crate) fn of(changes: &[Change]) -> Self {
        let count = |action| changes.iter().filter(|change| change.action == action).count();
        Self { add: count(Action::Add), change: count(Action::Change), none: count(Action::None) }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(self) -> bool {
        self.add + self.change == 0
    }
}

/// Shows the changes and what keeps each entity fresh.
pub(crate) async fn plan(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let (project, compiled) = Project::compile(file, env, output).await?;
    let changes = indexer::provision::changes(&project.place(), &compiled.plan, artifacts(&compiled)).await?;
    let summary = Summary::of(&changes);
    let planned = Planned { success: true, changes: &changes, summary, coverage: &compiled.plan.coverage };
    output.answer(&planned, |paint| {
        let coverage = coverage_table(&compiled.plan, paint);
        format!("{}\n{coverage}", change_lines(&changes, paint))
    })?;
    Ok(Exit::Done)
}

/// The changes, a line each, with the reasons below.
pub(crate) fn change_lines(changes: &[Change], paint: Paint) -> String {
    if Summary::of(changes).is_empty() {
        return "nothing to change\n".to_owned();
    }
    let lines = changes.iter().flat_map(|change| {
        let sign = match change.action {
            Action::Add => paint.good("+ add    "),
            Action::Change => paint.odd("~ change "),
            Action::None => paint.faint("= keep   "),
        };
        let reasons = change.reasons.iter().map(|reason| paint.faint(&format!("           {reason}\n")));
        std::iter::once(format!("{sign}{} {}\n", change.kind, change.name)).chain(reasons).collect::<Vec<_>>()
    });
    lines.collect()
}

fn coverage_table(plan: &IndexPlan, paint: Paint) -> String {
    let mut table =
        Table::new(&["entity", "at", "owned by", "kept fresh by", "found by", "new edge told by"]);
    for line in &plan.coverage {
        let fresh = covered(line.covered_by, &line.sources);
        let path = if line.path.is_empty() { "the document".to_owned() } else { line.path.clone() };
        let lookup = line.reverse_lookup.clone().unwrap_or_default();
        let told = line.edge.as_ref().map_or_else(String::new, |edge| {
            let mut sources: Vec<String> = edge.sources.iter().map(|source| source.name.clone()).collect();
            sources.dedup();
            covered(edge.covered_by, &sources)
        });
        table.row([line.type_name.clone(), path, line.subgraphs.join(", "), fresh, lookup, told]);
    }
    table.render(paint)
}

fn covered(by: CoveredBy, sources: &[String]) -> String {
    match by {
        CoveredBy::Source => sources.join(", "),
        CoveredBy::Audit => "audit".to_owned(),
        CoveredBy::Ignore => "nothing, by your word".to_owned(),
    }
}
