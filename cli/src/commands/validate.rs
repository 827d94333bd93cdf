//! `validate`: offline, all errors of all files at once.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use plan::{Diagnostic, SourceText, code::config::SS101};
use serde::Serialize;

use crate::{
    amount::counted,
    discover::{self, Target},
    environment::Environment,
    exit::Exit,
    failure::Failure,
    output::Output,
    project::{Examined, ExaminedMarkdown, Mocks, Project, tidy},
    report::{self, MachineReport},
};

#[derive(Serialize)]
struct Validated<'d> {
    success: bool,
    diagnostics: Vec<MachineReport<'d>>,
}

/// Checks every configuration with the files it names, and the configurations in Markdown.
pub(crate) async fn validate(
    paths: &[PathBuf],
    deny_warnings: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut diagnostics = Vec::new();
    let mut summaries = Vec::new();
    for path in paths {
        for target in discover::targets(path)? {
            let is_named = !path.is_dir();
            let (found, summary) = match &target {
                Target::Config(file) => config(file, env).await?,
                Target::Markdown(file) => markdown(file, is_named, env)?,
            };
            diagnostics.extend(found);
            summaries.extend(summary);
        }
    }
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let success = errors == 0 && !(deny_warnings && warnings > 0);
    if output.is_text() {
        output.report(&diagnostics);
    }
    let reports = report::for_machines(&diagnostics);
    output.answer(&Validated { success, diagnostics: reports }, |paint| {
        let mut lines: Vec<String> = summaries.iter().map(|line| paint.good(line)).collect();
        if !diagnostics.is_empty() {
            lines.push(tally(&diagnostics));
        }
        lines.join("\n")
    })?;
    Ok(if success { Exit::Done } else { Exit::Failed })
}

/// What was found in a configuration and the files it names, and what it is where all of that is right.
async fn config(file: &Path, env: &Environment) -> Result<(Vec<Diagnostic>, Option<String>), Failure> {
    let Examined { diagnostics, result } = match Project::examine_with(file, env, Mocks::Wanted).await {
        Ok(examined) => examined,
        Err(failure) => return unreadable(file, failure),
    };
    let summary = result.map(|(project, compiled)| {
        let (fields, sources) = (compiled.plan.fields.walk().count(), compiled.plan.sources.len());
        let facts = format!("{}, {}", counted(fields, "field"), counted(sources, "source"));
        format!("{} is valid: index {}, {facts}", project.file.display(), compiled.plan.name)
    });
    Ok((diagnostics, summary))
}

/// A file that is no text must not keep the others from being checked.
fn unreadable(file: &Path, failure: Failure) -> Result<(Vec<Diagnostic>, Option<String>), Failure> {
    match failure {
        Failure::Told(trouble) if trouble.code == Some(SS101) => {
            let source = Arc::new(SourceText { name: tidy(file).display().to_string(), text: String::new() });
            let found = Diagnostic::error(SS101, trouble.message).at(&source, 0..0);
            Ok((vec![found.help(trouble.help.unwrap_or_default())], None))
        }
        other => Err(other),
    }
}

/// What was found in the configurations of a Markdown file. One without any is worth a word where it was named.
fn markdown(
    file: &Path,
    is_named: bool,
    env: &Environment,
) -> Result<(Vec<Diagnostic>, Option<String>), Failure> {
    let ExaminedMarkdown { diagnostics, wholes, parts } = Project::examine_markdown(file, env)?;
    let shown = file.display();
    let summary = match wholes + parts {
        0 => is_named.then(|| format!("{shown} holds no configuration")),
        _ if diagnostics.iter().any(Diagnostic::is_error) => None,
        _ => {
            let counts = [(wholes, "configuration"), (parts, "part")];
            let counts = counts.into_iter().filter(|(count, _)| *count > 0);
            let counts: Vec<String> = counts.map(|(count, what)| counted(count, what)).collect();
            Some(format!("{shown} is valid: {}", counts.join(", ")))
        }
    };
    Ok((diagnostics, summary))
}

/// `2 errors, 1 warning`.
fn tally(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|found| found.is_error()).count();
    let parts = [("error", errors), ("warning", diagnostics.len() - errors)];
    let parts: Vec<String> =
        parts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| counted(count, what)).collect();
    parts.join(", ")
}
