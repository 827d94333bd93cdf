//! An audit as a page, for a ticket or a pull request.

use std::fmt::Write;

use indexer::audit::{AuditRow, Report};

use super::{Kind, difference_row, notes, owners};
use crate::{
    commands::plan::markdown::{row, text},
    moment::moment,
};

/// The page.
pub(super) fn page(index: &str, audit: &AuditRow) -> String {
    let report = &audit.report;
    let scope = if audit.kind.is_full() { "full" } else { "sample" };
    let mut page = format!("### studio-search audit: {} ({scope})\n\n", text(index));
    let Report { looked, equal, missing, stale, ghosts, unanswered, unsettled, repaired, .. } = report;
    let ended = audit.ended_at.map_or_else(|| "not ended".to_owned(), moment);
    let _ = writeln!(page, "{} to {ended}\n", moment(audit.started_at));
    table(
        &mut page,
        &["looked at", "equal", "missing", "stale", "ghosts", "unanswered", "unsettled", "repaired"],
    );
    let counts = [looked, equal, missing, stale, ghosts, unanswered, unsettled, repaired];
    row(&mut page, &counts.map(ToString::to_string));
    if !report.subgraphs.is_empty() {
        page.push('\n');
        table(&mut page, &["owner", "stale documents"]);
        for (subgraph, documents) in &report.subgraphs {
            row(&mut page, &[text(subgraph), documents.to_string()]);
        }
    }
    if !report.fields.is_empty() {
        page.push('\n');
        table(&mut page, &["field", "owner", "stale documents"]);
        for (path, count) in &report.fields {
            row(&mut page, &[text(path), text(&owners(&count.subgraphs)), count.documents.to_string()]);
        }
    }
    if !report.findings.is_empty() {
        page.push_str("\n<details><summary>Documents</summary>\n\n");
        table(&mut page, &["document", "", "field", "owner", "graph", "index"]);
        for finding in &report.findings {
            let name = [text(finding.id.as_str()), finding.kind.name().to_owned()];
            if finding.kind != Kind::Stale {
                row(&mut page, &[&name[..], &[const { String::new() }; 4]].concat());
            }
            for difference in &finding.differences {
                let cells = difference_row(difference).map(|cell| text(&cell));
                row(&mut page, &[&name[..], &cells[..]].concat());
            }
        }
        page.push_str("\n</details>\n");
    }
    for note in notes(audit) {
        let _ = writeln!(page, "\n{}", text(&note));
    }
    page
}

fn table(page: &mut String, headings: &[&str]) {
    row(page, &headings.iter().map(|&heading| heading.to_owned()).collect::<Vec<_>>());
    let _ = writeln!(page, "|{}", "---|".repeat(headings.len()));
}
