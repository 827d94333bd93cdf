//! `doctor`: everything that the index needs, how it is, and how to mend what is wrong. Changes nothing.

use std::path::Path;

use indexer::doctor::{Finding, Patient, Status, examine};
use serde::Serialize;

use crate::{
    environment::Environment,
    exit::Exit,
    failure::{Failure, exit_of},
    output::Output,
    paint::Paint,
    project::{Project, artifacts},
    table::harmless,
};

#[derive(Serialize)]
struct Examined<'f> {
    success: bool,
    checks: &'f [Finding],
}

/// Looks at everything and shows what was found.
pub(crate) async fn doctor(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let (project, compiled) = Project::compile(file, env, output).await?;
    let endpoints = project.endpoints(None)?;
    let patient = Patient {
        plan: &compiled.plan,
        artifacts: artifacts(&compiled),
        graph: &endpoints.graph,
        place: &endpoints.place,
        source_files: &endpoints.source_files,
        is_introspected: project.config.graph.schema.is_none(),
    };
    let findings = examine(&patient).await;
    let exit = exit_for(&findings);
    output.answer(&Examined { success: exit == Exit::Done, checks: &findings }, |paint| {
        lines(&findings, paint)
    })?;
    Ok(exit)
}

/// Something that can't be reached may be back later, so that it is told first.
fn exit_for(findings: &[Finding]) -> Exit {
    let exits = findings
        .iter()
        .filter(|finding| finding.status == Status::Failed)
        .map(|finding| finding.code.map_or(Exit::Failed, exit_of));
    exits.fold(Exit::Done, |worst, exit| if worst == Exit::Unreachable { worst } else { exit })
}

/// A line each, with the mend below.
fn lines(findings: &[Finding], paint: Paint) -> String {
    let mut text = String::new();
    for finding in findings {
        let sign = match finding.status {
            Status::Ok => paint.good("ok      "),
            Status::Warning => paint.odd("warning "),
            Status::Failed => paint.bad("failed  "),
        };
        let code = finding.code.map(|code| format!(" ({code})")).unwrap_or_default();
        let (check, message) = (harmless(&finding.check), harmless(&finding.message));
        text.extend([sign.as_str(), &check, ": ", &message, &code, "\n"]);
        if let Some(help) = &finding.help {
            text.push_str(&paint.faint(&format!("        {help}\n")));
        }
    }
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let (failed, warnings) = (count(Status::Failed), count(Status::Warning));
    let sum = match (failed, warnings) {
        (0, 0) => "all is well\n".to_owned(),
        (failed, 1) => format!("{failed} failed, 1 warning\n"),
        (failed, warnings) => format!("{failed} failed, {warnings} warnings\n"),
    };
    text.push_str(&sum);
    text
}
