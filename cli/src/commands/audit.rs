//! `audit`: is the index what the graph says? What differs by field and subgraph, as a table, an object, or a page.

use std::{path::Path, time::Duration};

use indexer::audit::{AuditKind, AuditRow, Auditor, Difference, Gate, Kind, Report, Sweep, Walk};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    amount::counted,
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::{Format, Output},
    paint::Paint,
    project::Project,
    table::Table,
};

mod markdown;

/// How often it is said how far a long audit is.
const TELLS: Duration = Duration::from_secs(5);

/// Documents that a person is shown; the object has all that were kept.
const SHOWN: usize = 20;

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// So many documents of the index.
    Sample(u32),
    /// Everything.
    Full,
}

impl Wanted {
    /// As the flags say.
    pub(crate) fn of(sample: u32, full: bool) -> Self {
        if full { Self::Full } else { Self::Sample(sample) }
    }
}

#[derive(Serialize)]
struct Audited<'a> {
    /// Whether nothing differs.
    success: bool,
    kind: AuditKind,
    started_at: i64,
    ended_at: Option<i64>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Compares, and with `repair` appends what differs to the log. It ends with 1 where something differs.
pub(crate) async fn audit(
    file: &Path,
    wanted: Wanted,
    repair: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let project = Project::open(file, env)?;
    let index = project.index().await?;
    let graph = index.gateway(&project.gateway())?;
    let mut auditor =
        Auditor::new(&index, graph, project.ids_file(), Gate::Command, repair, CancellationToken::new());
    let mut sweep = match wanted {
        Wanted::Full => Sweep::full(AuditKind::AskedFull.begin()),
        Wanted::Sample(documents) => {
            let before =
                index.ledger.audits().await?.into_iter().find(|row| row.kind == AuditKind::AskedSample);
            let walk = before.map_or(Walk::Index(None), |before| before.walk);
            let row = AuditRow { walk, ..AuditKind::AskedSample.begin() };
            Sweep::sample(row, documents as usize).around()
        }
    };
    let mut told_at = Instant::now();
    while auditor.step(&mut sweep).await? {
        if told_at.elapsed() >= TELLS {
            told_at = Instant::now();
            output.say(&progress(&sweep));
        }
    }
    let row = &sweep.row;
    index.ledger.save_audit(row).await?;
    if row.report.repaired > 0 && index.ledger.figures().await?.is_empty() {
        output.say("nothing works on this index yet: `studio-search run` fetches what differs");
    }
    let success = row.report.different() == 0;
    if output.format() == Format::Markdown {
        output.write(markdown::page(&index.plan.name, row).as_bytes())?;
        output.flush()?;
    } else {
        let AuditRow { kind, started_at, ended_at, ref report, .. } = *row;
        output.answer(&Audited { success, kind, started_at, ended_at, report }, |paint| told(row, paint))?;
    }
    Ok(if success { Exit::Done } else { Exit::Failed })
}

fn progress(sweep: &Sweep) -> String {
    let report = &sweep.row.report;
    let looked = format!("{} documents looked at, {} differ so far", report.looked, report.different());
    match (&sweep.waits_for, sweep.is_settled()) {
        (Some(reason), _) => format!("{looked}; waits: {reason}"),
        (None, true) => looked,
        (None, false) => format!("{looked}; what may be on its way is looked at again"),
    }
}

fn told(row: &AuditRow, paint: Paint) -> String {
    let report = &row.report;
    let mut parts = vec![headline(row, paint)];
    if !report.fields.is_empty() {
        let mut table = Table::new(&["field", "owner", ">stale documents"]);
        for (path, count) in &report.fields {
            table.row([path.clone(), owners(&count.subgraphs), count.documents.to_string()]);
        }
        parts.push(table.render(paint));
    }
    if !report.findings.is_empty() {
        let mut table = Table::new(&["document", "", "field", "owner", "graph", "index"]);
        let mut rows = report.findings.iter().flat_map(|finding| {
            let name = [finding.id.to_string(), finding.kind.name().to_owned()];
            let of_whole = finding.differences.is_empty().then_some([const { String::new() }; 4]);
            let fields = finding.differences.iter().map(difference_row).chain(of_whole);
            fields.map(move |row| [&name[..], &row[..]].concat())
        });
        rows.by_ref().take(SHOWN).for_each(|row| table.row(row));
        let has_more = rows.next().is_some() || report.findings.len() < usize_of(report.different());
        parts.push(table.render(paint));
        if has_more {
            parts.push("there are more; `-o json` shows a hundred documents\n".to_owned());
        }
    }
    parts.extend(notes(row).into_iter().map(|note| paint.odd(&note) + "\n"));
    parts.concat()
}

/// What was found, in a line.
fn headline(row: &AuditRow, paint: Paint) -> String {
    let Report { looked, missing, stale, ghosts, .. } = row.report;
    let what = counted(looked, "document");
    if row.report.different() == 0 {
        return paint.good(&format!("{what} looked at: none differs from the graph")) + "\n";
    }
    paint.bad(&format!("{what} looked at: {missing} missing, {stale} stale, {}", counted(ghosts, "ghost")))
        + "\n"
}

/// What the counts alone don't say.
fn notes(row: &AuditRow) -> Vec<String> {
    let report = &row.report;
    let mut notes = Vec::new();
    if report.unanswered > 0 {
        notes.push(format!(
            "{} can't be compared now: the graph answered with errors, or they are held (`studio-search errors list`)",
            counted(report.unanswered, "document")
        ));
    }
    if report.unsettled > 0 {
        notes.push(format!(
            "{} differed and can't be judged: changed at each look, or entries wait in the log",
            counted(report.unsettled, "document")
        ));
    }
    if row.kind.is_full() && !report.enumerated {
        notes.push(
            "missing documents were not looked for: `backfill.ids` names no query and no file".to_owned(),
        );
    }
    if report.repaired > 0 {
        notes.push(format!("{} appended to the log, to be fetched anew", counted(report.repaired, "id")));
    }
    notes
}

/// The cells of a difference: field, owner, graph, index.
pub(super) fn difference_row(difference: &Difference) -> [String; 4] {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    [difference.path.clone(), owners(&difference.subgraphs), side(&difference.graph), side(&difference.index)]
}

/// The subgraphs that can answer a field.
fn owners(subgraphs: &[String]) -> String {
    match subgraphs {
        [] => "unknown".to_owned(),
        subgraphs => subgraphs.join(", "),
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
