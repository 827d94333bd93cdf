//! `validate`: offline, all errors of all files at once.

use std::path::PathBuf;

use plan::Diagnostic;
use serde::Serialize;

use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::Output,
    project::{Examined, Project},
    report::MachineReport,
};

#[derive(Serialize)]
struct Validated<'d> {
    success: bool,
    diagnostics: Vec<MachineReport<'d>>,
}

/// Checks every configuration with the files it names.
pub(crate) async fn validate(
    paths: &[PathBuf],
    deny_warnings: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut diagnostics = Vec::new();
    let mut summaries = Vec::new();
    for path in paths {
        if path.extension().is_some_and(|extension| extension == "md") {
            let failure =
                Failure::usage(format!("{}: Markdown is not checked in this release", path.display()));
            return Err(failure.help("name an index.yaml, or a folder that holds one"));
        }
        let Examined { diagnostics: found, result } = Project::examine(path, env).await?;
        if let Some((project, compiled)) = result {
            let (fields, sources) = (compiled.plan.fields.walk().count(), compiled.plan.sources.len());
            let facts = format!("{}, {}", counted(fields, "field"), counted(sources, "source"));
            summaries.push(format!(
                "{} is valid: index {}, {facts}",
                project.file.display(),
                compiled.plan.name
            ));
        }
        diagnostics.extend(found);
    }
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let success = errors == 0 && !(deny_warnings && warnings > 0);
    if output.is_text() {
        output.report(&diagnostics);
    }
    let reports = diagnostics.iter().map(MachineReport::of).collect();
    output.answer(&Validated { success, diagnostics: reports }, |paint| {
        let mut lines: Vec<String> = summaries.iter().map(|line| paint.good(line)).collect();
        if !diagnostics.is_empty() {
            lines.push(tally(&diagnostics));
        }
        lines.join("\n")
    })?;
    Ok(if success { Exit::Done } else { Exit::Failed })
}

/// `2 errors, 1 warning`.
fn tally(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    let parts = [("error", errors), ("warning", diagnostics.len() - errors)];
    let parts: Vec<String> =
        parts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| counted(count, what)).collect();
    parts.join(", ")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
