//! A plan as a comment of a pull request: the changes with their reasons, and what keeps each entity fresh.

use std::fmt::Write;

use indexer::provision::{Action, ChangeSet};
use plan::index_plan::CoverageLine;

use super::{COVERAGE, Outlook, Summary, coverage_cells};

/// The page.
pub(super) fn page(set: &ChangeSet, coverage: &[CoverageLine], backfill: Option<&Outlook>) -> String {
    let summary = Summary::of(&set.changes);
    let mut page = format!("### studio-search plan: {}\n\n", text(&set.index));
    if summary.is_empty() {
        page.push_str("Nothing to change.\n");
    } else {
        let Summary { add, change, rebuild, remove, none } = summary;
        let removed = if remove == 0 { String::new() } else { format!("{remove} to remove, ") };
        let _ = writeln!(
            page,
            "{add} to add, {change} to change, {rebuild} to rebuild, {removed}{none} to keep.\n"
        );
        row(&mut page, &["", "what", "name", "why"].map(str::to_owned));
        page.push_str("|---|---|---|---|\n");
        for change in &set.changes {
            let action = match change.action {
                Action::Add => "add",
                Action::Change => "change",
                Action::Rebuild => "**rebuild**",
                Action::Remove => "remove",
                Action::None => continue,
            };
            let reasons: Vec<String> = change.reasons.iter().map(|reason| text(reason)).collect();
            let name = format!("`{}`", change.name.replace('|', "\\|"));
            row(&mut page, &[action.to_owned(), change.kind.to_string(), name, reasons.join("<br>")]);
        }
    }
    if let Some(outlook) = backfill {
        let _ = writeln!(page, "\n{}", text(&outlook.to_string()));
    }
    page.push_str("\n<details><summary>What keeps each entity fresh</summary>\n\n");
    row(&mut page, &COVERAGE.map(str::to_owned));
    page.push_str("|---|---|---|---|---|---|\n");
    coverage.iter().for_each(|line| row(&mut page, &coverage_cells(line).map(|cell| text(&cell))));
    let _ = writeln!(page, "\n</details>\n\nPlan `{}`", set.plan_hash);
    page
}

/// Adds a row of a table.
pub(in crate::commands) fn row(page: &mut String, cells: &[String]) {
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// Text that means nothing else in a table: a reason quotes names that servers and users chose.
pub(in crate::commands) fn text(plain: &str) -> String {
    let mut escaped = String::with_capacity(plain.len());
    for letter in plain.chars() {
        match letter {
            '|' | '\\' | '*' | '_' | '[' | ']' | '#' | '~' => escaped.extend(['\\', letter]),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        assert_eq!(text("a|b <i>`x`</i> *\n"), "a\\|b &lt;i>`x`&lt;/i> \\* ");
    }
}
