//! `status`: how indexes are doing, from the ledger, merged over all processes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use indexer::{
    Index,
    audit::AuditKind,
    index::{AuditProgress, FanOutProgress, SourceProgress, Status, VersionStatus},
    ledger::{IndexState, versions::VersionState},
    saved::SavedStatus,
    source::pulse::Pulse,
};
use plan::index_plan::FreshnessPolicy;
use serde::Serialize;

use crate::{
    amount::counted,
    commands::backfill::pace::waits_for,
    environment::Environment,
    exit::Exit,
    failure::Failure,
    moment::{moment, now, span},
    output::Output,
    paint::Paint,
    project::Project,
    table::Table,
};

/// How often `--watch` looks: figures are published as often.
const WATCH: Duration = Duration::from_secs(1);

/// How to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Once.
    Once,
    /// Again each second.
    Watch,
    /// Once, and fail where something is wrong.
    Check,
}

impl Look {
    /// As the flags say; clap refuses both.
    pub(crate) fn of(watch: bool, check: bool) -> Self {
        match (watch, check) {
            (true, _) => Self::Watch,
            (_, true) => Self::Check,
            _ => Self::Once,
        }
    }
}

#[derive(Serialize)]
struct Shown<'s> {
    success: bool,
    indexes: &'s [Status],
    /// What `--check` fails for.
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<&'s [String]>,
}

/// Shows every index.
pub(crate) async fn status(
    files: &[PathBuf],
    look: Look,
    env: &Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut indexes = Vec::new();
    for file in files {
        indexes.push(open(file, env).await?);
    }
    loop {
        let mut statuses = Vec::new();
        let mut problems = Vec::new();
        for index in &indexes {
            let status = index.status().await?;
            problems.extend(self::problems(&status, &index.plan.freshness));
            statuses.push(status);
        }
        let is_check = look == Look::Check;
        let success = !is_check || problems.is_empty();
        let shown = Shown { success, indexes: &statuses, problems: is_check.then_some(&*problems) };
        if look == Look::Watch {
            output.clear()?;
        }
        output.answer(&shown, |paint| {
            let lines = match look {
                Look::Check => problems.iter().map(|problem| paint.bad(problem)).collect(),
                Look::Once | Look::Watch => notes(&statuses, paint),
            };
            table(&statuses, paint) + &lines.join("\n")
        })?;
        if look != Look::Watch {
            return Ok(if success { Exit::Done } else { Exit::Failed });
        }
        tokio::time::sleep(WATCH).await;
    }
}

async fn open(file: &Path, env: &Environment) -> Result<Index, Failure> {
    Project::open(file, env)?.index().await
}

/// Why people may not rely on this index now.
fn problems(status: &Status, policy: &FreshnessPolicy) -> Vec<String> {
    let name = &status.name;
    let mut problems = Vec::new();
    match &status.state {
        IndexState::Running => {}
        IndexState::Paused => problems.push(format!("{name} is paused")),
        IndexState::Failed { code, reason } => {
            problems.push(format!("{name} has paused itself: {reason} ({code})"));
        }
    }
    if status.processes == 0 {
        problems.push(format!("nothing works on {name}"));
    }
    for (source, reason) in waiting_sources(status) {
        problems.push(format!("{source} of {name} waits: {reason}"));
    }
    let limit = i64::try_from(policy.error_after_ms).unwrap_or(i64::MAX);
    if let Some(freshness) = status.freshness.filter(|freshness| freshness.p99 > limit) {
        let (p99, limit) = (span(freshness.p99), span(limit));
        problems.push(format!("{name} is {p99} behind its events (p99), the limit is {limit}"));
    }
    problems
}

/// Sources that are not read at all right now, and why.
fn waiting_sources(status: &Status) -> impl Iterator<Item = (&str, &str)> {
    status.sources.iter().filter_map(|source| Some((source.name.as_str(), source.waiting.as_deref()?)))
}

fn table(statuses: &[Status], paint: Paint) -> String {
    let headings = [
        "index",
        "state",
        ">processes",
        ">documents",
        ">lag",
        ">backfill lag",
        "freshness p99",
        ">held",
        ">dead letters",
    ];
    let mut table = Table::new(&headings);
    for status in statuses {
        table.row([
            status.name.clone(),
            status.state.name().to_owned(),
            status.processes.to_string(),
            status.documents.to_string(),
            status.lag.live.to_string(),
            status.lag.backfill.to_string(),
            status.freshness.map_or_else(|| "no events yet".to_owned(), |freshness| span(freshness.p99)),
            status.held.to_string(),
            status.dead_letters.to_string(),
        ]);
    }
    table.render(paint)
}

/// When something came through a source, where a heartbeat was ever sent through it: then somebody wants to know.
fn heard(name: &str, source: &SourceProgress, paint: Paint) -> Option<String> {
    let Pulse { newest_at, heartbeat: Some(heartbeat) } = source.pulse else { return None };
    let ago = |at: i64| format!("{} ago", span(now().saturating_sub(at).max(0)));
    let (arrived, took) = (ago(heartbeat.arrived_at), span(heartbeat.took_ms()));
    let newest = newest_at.map_or_else(|| "none since the process began".to_owned(), ago);
    let line = format!("{} of {name}: heartbeat {arrived}, took {took}; newest record {newest}", source.name);
    Some(paint.faint(&line))
}

/// An audit in a line: how far it is, or what it found.
fn audited(name: &str, audit: &AuditProgress, paint: Paint) -> String {
    let kind = match audit.kind {
        AuditKind::ScheduledSample => "sampling audit",
        AuditKind::ScheduledFull => "full audit",
        AuditKind::AfterGap => "audit after a gap",
        AuditKind::AskedSample => "sample that was asked for",
        AuditKind::AskedFull => "full audit that was asked for",
    };
    let AuditProgress { looked, missing, stale, ghosts, repaired, .. } = audit;
    let found = match missing + stale + ghosts {
        0 => "none differs".to_owned(),
        _ => format!(
            "{missing} missing, {stale} stale, {}; {repaired} are fetched anew",
            counted(*ghosts, "ghost")
        ),
    };
    let looked = counted(*looked, "document");
    match audit.ended_at {
        None => format!("{name}: the {kind} of {} has looked at {looked}: {found}", moment(audit.started_at)),
        Some(at) => paint.faint(&format!("{name}: the {kind} ended {}: of {looked} {found}", moment(at))),
    }
}

/// How an index version is that isn't served, or lacks documents.
fn version_line(name: &str, version: &VersionStatus, paint: Paint) -> Option<String> {
    let VersionStatus { number, state, lacks, needs_backfill } = version;
    let text = match state {
        VersionState::Served => None,
        VersionState::Building => Some("is made, and filled as soon as `run` writes it".to_owned()),
        VersionState::Filling { filled, .. } if *needs_backfill => Some(format!(
            "holds {filled} documents so far, and a backfill brings the others: studio-search backfill start --into-new-version"
        )),
        VersionState::Filling { filled, .. } => Some(format!("is being filled: {filled} documents so far")),
        VersionState::Ready => Some("is ready: studio-search promote".to_owned()),
        VersionState::Kept => Some("is kept for rollback".to_owned()),
        VersionState::GivenUp { reason } => Some(paint.bad(&format!("is given up: {reason}"))),
        VersionState::Removing => Some("is being removed".to_owned()),
    };
    let lacking = (*lacks > 0).then(|| paint.odd(&format!("does not take {lacks} documents")));
    let told: Vec<String> = text.into_iter().chain(lacking).collect();
    (!told.is_empty()).then(|| format!("{name}: version {number} {}", told.join(", and ")))
}

/// Saved searches that match nothing, and matches that nobody was told of yet.
fn saved_lines(status: &Status, paint: Paint) -> Vec<String> {
    let (name, SavedStatus { figures, waiting, webhook_waits }) = (&status.name, &status.saved);
    let mut lines = Vec::new();
    if !figures.broken.is_empty() {
        let broken = figures.broken.join(", ");
        lines.push(
            paint.odd(&format!("{name}: saved searches that don't fit the plan match nothing: {broken}")),
        );
    }
    if *waiting > 0 {
        lines.push(format!("{name}: matches of saved searches wait to be posted: {waiting}"));
    }
    if let Some(reason) = webhook_waits {
        lines.push(paint.odd(&format!("{name}: matches of saved searches wait: {reason}")));
    }
    lines
}

/// What a table has no room for, a line each.
fn notes(statuses: &[Status], paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for status in statuses {
        let name = &status.name;
        if let IndexState::Failed { code, reason } = &status.state {
            lines.push(paint.bad(&format!("{name} has paused itself: {reason} ({code})")));
        }
        if let Some(reason) = &status.waiting {
            lines.push(paint.odd(&format!("{name} waits: {reason}")));
        }
        for (source, reason) in waiting_sources(status) {
            lines.push(paint.odd(&format!("{source} of {name} waits: {reason}")));
        }
        lines.extend(status.versions.iter().filter_map(|version| version_line(name, version, paint)));
        if let Some(newest) = status.backfill.as_ref().filter(|newest| newest.backfill.ended_at.is_none()) {
            let (number, ids) = (newest.backfill.number, newest.backfill.enumerated);
            lines.push(format!("{name}: backfill {number} has rebuilt {} of {ids}", newest.rebuilt));
        }
        lines.extend(status.sources.iter().filter_map(|source| heard(name, source, paint)));
        lines.extend(status.audits.iter().map(|audit| audited(name, audit, paint)));
        for fan_out in &status.fan_outs {
            let FanOutProgress { source, keys, roots, waiting_keys, .. } = fan_out;
            let what = if *keys == 1 { "a change" } else { "changes" };
            let next = if *waiting_keys > 0 { ", and the next wait" } else { "" };
            lines.push(format!(
                "{name}: {what} of {source} fan out: {roots} documents are in the backfill lane so far{next}"
            ));
        }
        lines.extend(saved_lines(status, paint));
        if let Some(reason) = status.lane.as_ref().filter(|_| status.lag.backfill > 0).and_then(waits_for) {
            lines.push(paint.odd(&format!("the backfill lane of {name} waits: {reason}")));
        }
        if status.processes == 0 {
            lines.push(paint.faint(&format!("nothing works on {name}: studio-search run")));
        }
    }
    lines
}
