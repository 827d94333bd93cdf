//! Shows a backfill until it is done: a bar on a terminal, plain lines elsewhere, an object a line for machines.

use std::time::Duration;

use indexer::{
    Index,
    index::BackfillProgress,
    ledger::{
        BackfillState, IndexState,
        figures::{LaneFigures, LaneWait, slowest_lane},
        versions::VersionState,
    },
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    commands::backfill::pace,
    failure::Failure,
    moment::{moment, span},
    output::Output,
};

/// How often the ledger is read; `run` writes what is shown as often or less.
const POLL: Duration = Duration::from_millis(250);

/// Plain lines are for logs: one in two seconds tells enough.
const POLLS_A_LINE: u32 = 8;

/// Figures are published each second; without any for this long nobody works on the index.
const PATIENCE: Duration = Duration::from_secs(3);

const BAR: &str = "{prefix} {wide_bar:.green} {msg}";
/// The template of a bar without color.
const PLAIN_BAR: &str = "{prefix} {wide_bar} {msg}";

/// Follows the backfill of this number to its end.
pub(crate) async fn to_the_end(
    index: &Index,
    number: i64,
    output: &Output,
) -> Result<BackfillProgress, Failure> {
    let mut view = View::new(number, output);
    let begun = tokio::time::Instant::now();
    let mut has_told_of_nobody = false;
    loop {
        let Some(progress) = index.backfill(number).await? else {
            return Err(Failure::new(format!("there is no backfill {number}")));
        };
        let figures = index.ledger.figures().await?;
        let lane = slowest_lane(&figures);
        view.show(&progress, lane.as_ref());
        if progress.backfill.ended_at.is_some() {
            view.end();
            return Ok(progress);
        }
        let state = index.ledger.state().await?;
        let waits_for = match state {
            IndexState::Running => {
                let gateway = figures.iter().find_map(|figures| figures.waiting.clone());
                gateway.or_else(|| lane.as_ref().and_then(held_back))
            }
            IndexState::Paused => Some("the index is paused: studio-search resume".to_owned()),
            IndexState::Failed { reason, .. } => Some(format!("the index has paused itself: {reason}")),
        };
        view.waits_for(progress.backfill.error.clone().or(waits_for));
        if !has_told_of_nobody && figures.is_empty() && begun.elapsed() > PATIENCE {
            has_told_of_nobody = true;
            view.tell("nothing works on this index: start `studio-search run` and the backfill goes on");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Follows the filling of an index version from the served one, until it is whole or given up.
pub(crate) async fn filling(index: &Index, number: u32, output: &Output) -> Result<VersionState, Failure> {
    let (mut last_line, mut polls, mut has_told_of_nobody) = (String::new(), 0_u32, false);
    let begun = tokio::time::Instant::now();
    loop {
        let states = index.ledger.version_states().await?;
        let state = states.into_iter().find(|(known, _)| *known == number).map(|(_, state)| state);
        let line = match state {
            Some(VersionState::Building) => {
                format!("index version {number} waits until every process writes it")
            }
            Some(VersionState::Filling { filled, .. }) => {
                format!("index version {number}: {filled} documents")
            }
            Some(end) => return Ok(end),
            None => return Ok(VersionState::Removing),
        };
        if polls.is_multiple_of(POLLS_A_LINE) && line != last_line {
            output.say(&line);
            last_line = line;
        }
        polls += 1;
        if !has_told_of_nobody && begun.elapsed() > PATIENCE && index.ledger.figures().await?.is_empty() {
            has_told_of_nobody = true;
            output.warn("nothing works on this index: start `studio-search run` and the version is filled");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Why the lane doesn't get on. A window is told by when it opens, which doesn't change from look to look.
fn held_back(lane: &LaneFigures) -> Option<String> {
    match (lane.waits?, lane.window_changes_at) {
        (LaneWait::Window, Some(at)) => Some(format!("the next window opens at {}", moment(at))),
        (LaneWait::Latency | LaneWait::Errors, _) => {
            Some("the gateway is slower or fails more often than `backfill.back_off_when` allows".to_owned())
        }
        _ => pace::waits_for(lane),
    }
}

/// `2050 of 3201 documents, 1325/s, 2 s to go`; how long is not known while ids are still being found.
fn progress_of(bar: &ProgressBar, BackfillProgress { backfill, rebuilt }: &BackfillProgress) -> String {
    let done = format!("{rebuilt} of {} documents, {:.0}/s", backfill.enumerated, bar.per_sec());
    match backfill.state {
        BackfillState::Rebuilding => {
            let milliseconds = i64::try_from(bar.eta().as_millis()).unwrap_or(i64::MAX);
            format!("{done}, {} to go", span(milliseconds))
        }
        _ => done,
    }
}

/// What a person sees of it.
struct View<'o> {
    output: &'o Output,
    number: i64,
    bar: Option<ProgressBar>,
    polls: u32,
    last_line: String,
    waits_for: Option<String>,
}

impl<'o> View<'o> {
    fn new(number: i64, output: &'o Output) -> Self {
        let bar = output.has_bars().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let template = if output.talk_paint().is_on() { BAR } else { PLAIN_BAR };
            bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
            bar.set_prefix(format!("backfill {number}"));
            bar
        });
        Self { output, number, bar, polls: 0, last_line: String::new(), waits_for: None }
    }

    fn show(&mut self, progress: &BackfillProgress, figures: Option<&LaneFigures>) {
        let BackfillProgress { backfill, rebuilt } = progress;
        if let Some(bar) = &self.bar {
            // A bar of length 0 would look finished before the first id is known.
            bar.set_length(backfill.enumerated.max(1));
            bar.set_position(*rebuilt);
            let of_lane = figures.map(pace::pace).filter(|words| !words.is_empty());
            let words: Vec<String> =
                [Some(progress_of(bar, progress)), of_lane].into_iter().flatten().collect();
            bar.set_message(words.join(", "));
            return;
        }
        let is_end = backfill.ended_at.is_some();
        if self.polls.is_multiple_of(POLLS_A_LINE) || is_end {
            let line = format!("backfill {}: {rebuilt} of {} documents", self.number, backfill.enumerated);
            if line != self.last_line {
                self.output.say(&line);
                self.last_line = line;
            }
        }
        self.polls += 1;
    }

    /// Why it doesn't get on, once for each reason.
    fn waits_for(&mut self, reason: Option<String>) {
        if reason == self.waits_for {
            return;
        }
        if let Some(reason) = &reason {
            self.tell(&format!("waiting: {reason}"));
        }
        self.waits_for = reason;
    }

    fn tell(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.warn(text)),
            None => self.output.warn(text),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
