//! `plan`: what provision would change, and why. Changes nothing.

use std::path::Path;

use indexer::{
    provision::{Action, Change, ChangeSet, needs_backfill, refuse_rebuilds},
    saved::unfit,
};
use plan::{
    IndexPlan,
    code::store::SS522,
    index_plan::{CoverageLine, CoveredBy},
};
use serde::Serialize;

use self::backfill::Outlook;
use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    files::write_whole,
    output::{Format, Output},
    paint::Paint,
    project::{Project, artifacts},
    table::Table,
};

mod backfill;
pub(super) mod markdown;

/// What exit code follows from changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Planning was done, whatever came out.
    Plain,
    /// `--detailed-exitcode`: scripts ask whether there are changes.
    Detailed,
}

impl ExitCode {
    /// As the flag says.
    pub(crate) fn of(detailed: bool) -> Self {
        if detailed { Self::Detailed } else { Self::Plain }
    }
}

#[derive(Serialize)]
struct Planned<'p> {
    success: bool,
    /// What `provision --plan` is held to.
    plan_hash: &'p str,
    changes: &'p [Change],
    summary: Summary,
    coverage: &'p [CoverageLine],
    /// What the graph will be asked for; nothing where no backfill follows.
    backfill: Option<&'p Outlook>,
}

/// How many things are to be changed in which way.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Summary {
    add: usize,
    change: usize,
    rebuild: usize,
    remove: usize,
    none: usize,
}

impl Summary {
    /// Counts.
    pub(crate) fn of(changes: &[Change]) -> Self {
        let count = |action| changes.iter().filter(|change| change.action == action).count();
        Self {
            add: count(Action::Add),
            change: count(Action::Change),
            rebuild: count(Action::Rebuild),
            remove: count(Action::Remove),
            none: count(Action::None),
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(self) -> bool {
        self.add + self.change + self.rebuild + self.remove == 0
    }
}

/// Shows the changes and what keeps each entity fresh; saves the changes where `out` says.
pub(crate) async fn plan(
    file: &Path,
    out: Option<&Path>,
    exit_code: ExitCode,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (project, compiled) = Project::compile(file, env, output).await?;
    let changes = indexer::provision::changes(&project.place(), &compiled.plan, artifacts(&compiled)).await?;
    output.report(&unfit(&project.place(), &compiled.plan).await?);
    let set = ChangeSet::new(&compiled.plan, changes);
    if let Some(path) = out {
        save(&set, path)?;
        output.say(&format!("saved the changes in {}", path.display()));
    }
    let summary = Summary::of(&set.changes);
    let backfill = backfill::outlook(&project, &compiled.plan, &set.changes).await;
    if output.format() == Format::Markdown {
        output.write(markdown::page(&set, &compiled.plan.coverage, backfill.as_ref()).as_bytes())?;
    } else {
        let coverage = &compiled.plan.coverage;
        let planned = Planned {
            success: true,
            plan_hash: &set.plan_hash,
            changes: &set.changes,
            summary,
            coverage,
            backfill: backfill.as_ref(),
        };
        output.answer(&planned, |paint| {
            let coverage = coverage_table(&compiled.plan, paint);
            let follows = what_follows(&set.changes).unwrap_or_default();
            let backfill = backfill.as_ref().map(|outlook| format!("{outlook}\n")).unwrap_or_default();
            format!("{}{follows}{backfill}\n{coverage}", change_lines(&set.changes, paint))
        })?;
    }
    match exit_code {
        ExitCode::Detailed if !summary.is_empty() => Ok(Exit::Changes),
        ExitCode::Detailed | ExitCode::Plain => Ok(Exit::Done),
    }
}

/// Writes a change set for `provision --plan`.
fn save(set: &ChangeSet, path: &Path) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(set).expect("names and reasons are JSON");
    write_whole(path, &format!("{text}\n"))
        .map_err(|error| Failure::new(format!("{} can't be written: {error}", path.display())))
}

/// What comes behind a new index version, a line.
pub(crate) fn what_follows(changes: &[Change]) -> Option<&'static str> {
    let is_beside = changes.iter().any(|change| change.action == Action::Rebuild);
    is_beside.then(|| match refuse_rebuilds(changes) {
        Ok(()) if needs_backfill(changes) => {
            "then: studio-search backfill start --into-new-version; and when it is READY: studio-search promote\n"
        }
        Ok(()) => {
            "`run` fills the new version from the served one, without asking the graph; then: studio-search promote\n"
        }
        Err(error) if error.code() == SS522 => "`provision` refuses that: studio-search explain SS522\n",
        Err(_) => "`provision` refuses that: studio-search explain SS505\n",
    })
}

/// The changes, a line each, with the reasons below.
pub(crate) fn change_lines(changes: &[Change], paint: Paint) -> String {
    if Summary::of(changes).is_empty() && changes.iter().all(|change| change.reasons.is_empty()) {
        return "nothing to change\n".to_owned();
    }
    let lines = changes.iter().flat_map(|change| {
        let sign = match change.action {
            Action::Add => paint.good("+ add    "),
            Action::Change => paint.odd("~ change "),
            Action::Rebuild => paint.bad("! rebuild "),
            Action::Remove => paint.odd("- remove "),
            Action::None => paint.faint("= keep   "),
        };
        let reasons = change.reasons.iter().map(|reason| paint.faint(&format!("           {reason}\n")));
        std::iter::once(format!("{sign}{} {}\n", change.kind, change.name)).chain(reasons).collect::<Vec<_>>()
    });
    lines.collect()
}

fn coverage_table(plan: &IndexPlan, paint: Paint) -> String {
    let mut table = Table::new(&COVERAGE);
    plan.coverage.iter().for_each(|line| table.row(coverage_cells(line)));
    table.render(paint)
}

/// The headings over what keeps each entity fresh.
const COVERAGE: [&str; 6] = ["entity", "at", "owned by", "kept fresh by", "found by", "new edge told by"];

fn coverage_cells(line: &CoverageLine) -> [String; 6] {
    let fresh = covered(line.covered_by, &line.sources);
    let path = if line.path.is_empty() { "the document".to_owned() } else { line.path.clone() };
    let lookup = line.reverse_lookup.clone().unwrap_or_default();
    let told = line.edge.as_ref().map_or_else(String::new, |edge| {
        let mut sources: Vec<String> = edge.sources.iter().map(|source| source.name.clone()).collect();
        sources.dedup();
        covered(edge.covered_by, &sources)
    });
    [line.type_name.clone(), path, line.subgraphs.join(", "), fresh, lookup, told]
}

fn covered(by: CoveredBy, sources: &[String]) -> String {
    match by {
        CoveredBy::Source => sources.join(", "),
        CoveredBy::Audit => "audit".to_owned(),
        CoveredBy::Ignore => "nothing, by your word".to_owned(),
    }
}
