//! `trace`: what happened to one document lately, and graph now against index now, field by field.

use std::path::Path;

use indexer::{
    history::{Because, FetchResult, Step, What},
    ledger::Held,
    log::{Cause, Lane},
    trace::{self, Answered, Indexed, Trace},
};
use plan::{DocumentId, code::backfill as codes};
use serde::Serialize;

use super::audit::difference_row;
use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    moment::{instant, moment, span},
    output::Output,
    paint::Paint,
    project::Project,
    table::Table,
};

#[derive(Serialize)]
struct Traced<'t> {
    /// Whether the graph was asked, and nothing differs that it could tell.
    success: bool,
    #[serde(flatten)]
    trace: &'t Trace,
}

/// Shows one document. It ends with 1 where graph and index differ, and with 69 where the graph can't be asked.
pub(crate) async fn trace(
    file: &Path,
    id: &str,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let project = Project::open(file, env)?;
    let index = project.index().await?;
    let unusable = |error| Failure::usage(format!("{id:?}: {error}")).code(codes::SS603);
    let id = DocumentId::parse(index.plan.key.kind, id).map_err(unusable)?;
    let graph = index.gateway(&project.gateway())?;
    let trace = trace::trace(&index, graph, &id).await?;
    let exit = match &trace.graph {
        Answered::Unreachable { .. } => Exit::Unreachable,
        _ if trace.is_different() => Exit::Failed,
        _ => Exit::Done,
    };
    output.answer(&Traced { success: exit == Exit::Done, trace: &trace }, |paint| told(&trace, paint))?;
    Ok(exit)
}

fn told(trace: &Trace, paint: Paint) -> String {
    let mut parts = vec![steps(&trace.steps, paint)];
    parts.push(format!("index  {}\ngraph  {}", indexed(&trace.index), answered(&trace.graph)));
    if let Some(held) = &trace.held {
        let whose = held.subgraph.as_deref().unwrap_or("unknown");
        let Held { code, message, attempts, next_at, .. } = held;
        let next = moment(*next_at);
        parts.push(
            paint.odd(&format!("held   {code} of {whose} after {attempts} tries, next at {next}: {message}")),
        );
    }
    if !trace.differences.is_empty() {
        let mut table = Table::new(&["field", "owner", "graph", "index"]);
        trace.differences.iter().for_each(|difference| table.row(difference_row(difference)));
        parts.push(table.render(paint));
    }
    parts.push(verdict(trace, paint));
    parts.join("\n")
}

fn verdict(trace: &Trace, paint: Paint) -> String {
    match (&trace.graph, &trace.index) {
        (Answered::Unreachable { .. } | Answered::Failed(_), _) => {
            paint.odd("what it should be can't be told now")
        }
        (Answered::Gone, Indexed::Live { .. }) => paint.bad("a ghost: the graph doesn't have it any more"),
        (Answered::Gone, _) => paint.good("neither side has it"),
        (Answered::Found, Indexed::Live { .. }) if trace.differences.is_empty() => {
            paint.good("graph and index are equal")
        }
        (Answered::Found, Indexed::Live { .. }) => {
            paint.bad("it is stale, or a change is on its way: look again in a moment")
        }
        (Answered::Found, _) => paint.bad("it is missing, or on its way: look again in a moment"),
    }
}

fn steps(steps: &[Step], paint: Paint) -> String {
    if steps.is_empty() {
        return "nothing of it was noted lately\n".to_owned();
    }
    let mut table = Table::new(&["at", "step", "what"]);
    for step in steps {
        rows(step).into_iter().for_each(|row| table.row(row));
    }
    table.render(paint)
}

/// A fetch is noted at its end, and is two lines: when it began, and what became of it.
fn rows(Step { at, what }: &Step) -> Vec<[String; 3]> {
    let row = |at: i64, step: &str, what: String| [instant(at), step.to_owned(), what];
    let changed = |event_at: &Option<i64>| {
        event_at.map_or_else(String::new, |at| format!(", changed at {}", instant(at)))
    };
    match what {
        What::Event { source, place, lane, event_at, deleted } => {
            let what = if *deleted { "deletes it" } else { "names it" };
            let text = format!("{source}, {place}, {what}{}{}", changed(event_at), slow(*lane));
            vec![row(*at, "event", text)]
        }
        What::Lookup { source, lane, event_at } => {
            vec![row(*at, "lookup", format!("for {source}{}{}", changed(event_at), slow(*lane)))]
        }
        What::Asked { by, lane } => {
            vec![row(*at, "asked", format!("by {}{}", asker(*by), slow(*lane)))]
        }
        What::Fetch { version, took_ms, result, because } => {
            let begun = format!("version {version}, epoch {}", version.epoch().get());
            let became =
                because.as_ref().map_or_else(String::new, |because| format!(": {}", reason(because)));
            let step = match result {
                FetchResult::Written | FetchResult::Gone | FetchResult::Superseded => "write",
                FetchResult::Unchanged | FetchResult::Ignored | FetchResult::Held | FetchResult::Again => {
                    "end"
                }
            };
            let end = format!("{} after {}{became}", became_of(*result), span(*took_ms));
            vec![row(at.saturating_sub(*took_ms), "fetch", begun), row(*at, step, end)]
        }
    }
}

fn slow(lane: Lane) -> &'static str {
    match lane {
        Lane::Live => "",
        Lane::Backfill => ", backfill lane",
    }
}

fn asker(cause: Cause) -> &'static str {
    match cause {
        Cause::Person => "a person",
        Cause::Backfill => "a backfill",
        Cause::Audit => "an audit",
        Cause::Replay => "a replay of what was held",
        Cause::Verification => "a verification",
        Cause::Event | Cause::Lookup => cause.name(),
    }
}

fn became_of(result: FetchResult) -> &'static str {
    match result {
        FetchResult::Written => "written",
        FetchResult::Unchanged => "unchanged",
        FetchResult::Superseded => "superseded by a newer one",
        FetchResult::Gone => "a tombstone, for it is gone",
        FetchResult::Ignored => "gone, and left alone",
        FetchResult::Held => "held",
        FetchResult::Again => "to be fetched again",
    }
}

fn reason(because: &Because) -> String {
    let Because { code, subgraph, path, message } = because;
    let whose = subgraph.as_ref().map_or_else(String::new, |subgraph| format!(" of {subgraph}"));
    let place = path.as_ref().map_or_else(String::new, |path| format!(" at {path}"));
    format!("{code}{whose}{place}: {message}")
}

fn indexed(index: &Indexed) -> String {
    match index {
        Indexed::Live { version, epoch, fetched_at, missing } => {
            let lacks =
                if missing.is_empty() { String::new() } else { format!(", without {}", missing.join(", ")) };
            format!("version {version}, epoch {epoch}, fetched at {}{lacks}", instant(*fetched_at))
        }
        Indexed::Tombstone { version, epoch, fetched_at } => {
            format!("a tombstone, version {version}, epoch {epoch}, fetched at {}", instant(*fetched_at))
        }
        Indexed::Absent => "doesn't have it".to_owned(),
    }
}

fn answered(graph: &Answered) -> String {
    match graph {
        Answered::Found => "has it".to_owned(),
        Answered::Gone => "doesn't have it".to_owned(),
        Answered::Failed(because) => format!("answers with an error: {}", reason(because)),
        Answered::Unreachable { reason, .. } => reason.clone(),
    }
}
