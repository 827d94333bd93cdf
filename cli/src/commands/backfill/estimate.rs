//! `backfill start --estimate`: what a backfill would cost, told before anything is started.

use std::path::Path;

use indexer::{
    backfill::{
        Backfills,
        estimate::{self, Brake, Counted, Estimate, EstimateError, Question, Range, Schedule, Taken},
    },
    ledger::BackfillIds,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Wish, into_version::planned, nowhere, rate, wished};
use crate::{
    amount::counted,
    environment::Environment,
    exit::Exit,
    failure::Failure,
    moment::{moment, span},
    output::Output,
    paint::Paint,
    project::Project,
    table::Table,
};

/// What a version of the served query costs.
const COPIED: &str =
    "the query is unchanged: a new version is filled from the served one, without a request to the gateway";

#[derive(Serialize)]
struct Estimated<'e> {
    success: bool,
    /// Nothing where nothing would be asked of the gateway.
    estimate: Option<&'e Estimate>,
}

/// Shows what a backfill would cost. Nothing is started.
pub(crate) async fn estimate(
    file: &Path,
    wish: Wish,
    sample: u32,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let project = Project::open(file, env)?;
    let index = project.index().await?;
    let new = if wish.into_new_version { planned(file, &index, env, output).await? } else { None };
    let ids = match &new {
        None if wish.into_new_version => {
            output.answer(&Estimated { success: true, estimate: None }, |_| COPIED.to_owned())?;
            return Ok(Exit::Done);
        }
        None => wished(&index, &wish)?,
        Some(new) if new.backfill.ids.is_none() => return Err(nowhere()),
        Some(_) => BackfillIds::Enumerated,
    };
    let question = Question {
        ids,
        sample: sample as usize,
        rate_per_second: wish.rate.as_deref().map(rate).transpose()?,
        now: wish.now,
    };
    let graph = index.gateway(&project.gateway())?;
    let mut backfills = Backfills::over(&index, graph, project.ids_file(), CancellationToken::new());
    if let Some(new) = new {
        backfills.plan = new;
    }
    let estimate = estimate::estimate(&index, &backfills, question).await?;
    output.answer(&Estimated { success: true, estimate: Some(&estimate) }, |paint| told(&estimate, paint))?;
    Ok(Exit::Done)
}

impl From<EstimateError> for Failure {
    fn from(error: EstimateError) -> Self {
        Self::of_error(&error, error.code(), error.help())
    }
}

fn told(estimate: &Estimate, paint: Paint) -> String {
    let mut parts = vec![headline(estimate), figures(estimate).render(paint)];
    parts.push(pace(estimate));
    parts.extend(windows(&estimate.schedule));
    parts.extend(estimate.notes.iter().map(|note| paint.odd(&format!("note: {note}\n"))));
    parts.push(paint.faint("nothing was started; nine of ten such estimates hold"));
    parts.concat()
}

fn headline(Estimate { ids, sample, .. }: &Estimate) -> String {
    let how = match ids.counted {
        Counted::Exactly => "counted",
        Counted::Told => "as the graph tells",
        Counted::AsIndexed => "as many as are indexed",
        Counted::AtLeast => "at least",
        Counted::AtMost => "at most",
    };
    let refused = match ids.refused {
        0 => String::new(),
        refused => format!(", and {} that are none", counted(refused, "value")),
    };
    let of = match (sample.gone, sample.failed) {
        (0, 0) => String::new(),
        (gone, failed) => format!(" ({gone} gone, {failed} failed)"),
    };
    let fetched = counted(sample.documents as u64, "document");
    format!("{} ({how}){refused}; {fetched} fetched to tell{of}\n\n", counted(ids.count, "id"))
}

/// The figures, a row each.
fn figures(estimate: &Estimate) -> Table {
    let mut table = Table::new(&["what", ">likely", ">from", ">to"]);
    let mut row = |what: &str, range: Range, text: fn(f64) -> String| {
        table.row([what.to_owned(), text(range.likely), text(range.low), text(range.high)]);
    };
    row("documents", estimate.documents, number);
    row("requests for documents", estimate.requests, number);
    if estimate.id_requests.high > 0.0 {
        row("requests for ids", estimate.id_requests, number);
    }
    row("answers", estimate.bytes, size);
    for load in &estimate.subgraphs {
        row(&format!("calls to {}", load.name), load.calls, number);
        row(&format!("bytes of {}", load.name), load.bytes, size);
    }
    row("index", estimate.index_bytes, size);
    row("time of work", estimate.schedule.work_ms, duration);
    let Schedule { ends_at, ends_at_low, ends_at_high, .. } = estimate.schedule;
    let end = |at: Option<i64>| at.map_or_else(|| "never".to_owned(), moment);
    table.row(["done at".to_owned(), end(ends_at), end(ends_at_low), end(ends_at_high)]);
    let memory = size(estimate.memory_bytes);
    table.row(["memory of `run`, at most".to_owned(), String::new(), String::new(), memory]);
    table
}

fn pace(estimate: &Estimate) -> String {
    let latency = estimate.sample.latency_ms.likely;
    let brake = match estimate.schedule.held_back_by {
        Brake::Rate => "the rate holds it back",
        Brake::Gateway => "the gateway holds it back",
    };
    let rate = match estimate.rate_per_second {
        Some(rate) => format!("at most {rate} documents a second"),
        None => "no rate".to_owned(),
    };
    let ahead = match estimate.ahead {
        0 => String::new(),
        ahead => format!("; {} of the lane go first", counted(ahead, "other document")),
    };
    let batch = estimate.batch_size;
    format!("\npace: {rate}, {batch} a request, {latency:.0} ms a request: {brake}{ahead}\n")
}

/// Which windows it takes.
fn windows(schedule: &Schedule) -> Option<String> {
    let shown = schedule.first_windows.iter();
    let shown = shown.map(|Taken { from, until }| format!("  {} to {}\n", moment(*from), moment(*until)));
    let more = schedule.windows.saturating_sub(schedule.first_windows.len() as u64);
    let more = (more > 0).then(|| format!("  and {more} more\n"));
    let lines: String = shown.chain(more).collect();
    (schedule.windows > 0).then(|| format!("it takes {}:\n{lines}", counted(schedule.windows, "window")))
}

fn number(value: f64) -> String {
    format!("{value:.0}")
}

#[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
fn duration(ms: f64) -> String {
    span(ms as i64)
}

/// Bytes in the largest unit that says enough.
fn size(bytes: f64) -> String {
    match bytes {
        ..1e3 => format!("{bytes:.0} B"),
        ..1e6 => format!("{:.1} kB", bytes / 1e3),
        ..1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}
