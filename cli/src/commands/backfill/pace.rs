//! `backfill pause|resume|stop`: what people want of the backfill lane. `run` heeds it within a second.

use std::path::Path;

use indexer::{
    ledger::{
        BackfillState,
        figures::{LaneFigures, LaneWait},
        pace::change_wishes,
    },
    log::Lane,
};
use serde::Serialize;

use crate::{
    environment::Environment,
    exit::Exit,
    failure::Failure,
    moment::{now, span},
    output::Output,
    project::Project,
};

#[derive(Serialize)]
struct Set<'s> {
    success: bool,
    name: &'s str,
    backfill_lane: &'static str,
}

#[derive(Serialize)]
struct Stopped {
    success: bool,
    stopped: Vec<i64>,
}

/// Pauses the backfill lane, or lets it go on.
pub(crate) async fn pause(
    file: &Path,
    paused: bool,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    change_wishes(&*index.ledger, |wishes| wishes.paused = paused).await?;
    let (name, word) = (index.plan.name.as_str(), if paused { "PAUSED" } else { "RUNNING" });
    let set = Set { success: true, name, backfill_lane: word };
    output.answer(&set, |_| format!("the backfill lane of {name} is {word}"))?;
    Ok(Exit::Done)
}

/// Ends all open backfills. What they put into the lane is dropped; what events put there is not.
pub(crate) async fn stop(file: &Path, env: &Environment, output: &mut Output) -> Result<Exit, Failure> {
    let index = Project::open(file, env)?.index().await?;
    let mut stopped = Vec::new();
    for mut backfill in index.ledger.open_backfills().await? {
        backfill.state = BackfillState::Stopped;
        backfill.ended_at = Some(now());
        index.ledger.save_backfill(&backfill).await?;
        stopped.push(backfill.number);
    }
    if !stopped.is_empty() {
        // Read after the rows were written: whoever enumerates appends nothing after this, but for a page on its way.
        let ends = index.log.ends(Lane::Backfill).await?;
        change_wishes(&*index.ledger, |wishes| {
            wishes.stopped.extend(ends.clone());
            wishes.terms.retain(|number, _| !stopped.contains(number));
        })
        .await?;
    }
    let numbers: Vec<String> = stopped.iter().map(ToString::to_string).collect();
    output.answer(&Stopped { success: true, stopped }, |_| match &*numbers {
        [] => "no backfill is open".to_owned(),
        [one] => format!("backfill {one} is stopped"),
        _ => format!("backfills {} are stopped", numbers.join(", ")),
    })?;
    Ok(Exit::Done)
}

/// Why the backfill lane doesn't get on, for people.
pub(crate) fn waits_for(lane: &LaneFigures) -> Option<String> {
    Some(match lane.waits? {
        LaneWait::Paused => "the backfill lane is paused: studio-search backfill resume".to_owned(),
        LaneWait::Window => match lane.window_changes_at {
            Some(at) => format!("window opens in {}", span(at.saturating_sub(now()).max(0))),
            None => "no window opens within eight years: see `backfill.windows`".to_owned(),
        },
        LaneWait::Latency => {
            let p95 = lane.p95_ms.and_then(|p95| i64::try_from(p95).ok()).map(span).unwrap_or_default();
            format!("backing off: the gateway's p95 was {p95}, more than `backfill.back_off_when` allows")
        }
        LaneWait::Errors => {
            let share = lane.error_rate.unwrap_or_default() * 100.0;
            format!("backing off: {share:.0} % of requests failed, more than `backfill.back_off_when` allows")
        }
    })
}

/// How the lane gets on, in a few words for the end of a line: the gateway's p95, what fails, and how long the window is open.
pub(crate) fn pace(lane: &LaneFigures) -> String {
    let mut words = Vec::new();
    if let Some(p95) = lane.p95_ms.and_then(|p95| i64::try_from(p95).ok()) {
        words.push(format!("gateway p95 {}", span(p95)));
    }
    if let Some(failed) = lane.error_rate.filter(|rate| *rate > 0.0) {
        words.push(format!("{:.1} % of requests fail", failed * 100.0));
    }
    match (lane.waits, lane.window_changes_at) {
        (None, Some(at)) => {
            words.push(format!("window closes in {}", span(at.saturating_sub(now()).max(0))));
        }
        (Some(_), _) => words.extend(waits_for(lane)),
        (None, None) => {}
    }
    words.join(", ")
}
