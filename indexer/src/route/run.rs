//! Goes through wide fan-outs: page by page into the throttled lane, one run of a source after the other.
//!
//! Each step appends a page and then saves how far that is, as a backfill does. A run is over when its documents are rebuilt;
//! whatever was asked for meanwhile is the next one, and merged. As the lane is worked through in order, the next would have
//! had to wait there anyway.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use plan::DocumentId;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    RouteError,
    fan_out::{FanOut, Finder},
    lookup::Lookup,
};
use crate::{
    StateError, heartbeat,
    ledger::{FanOutRun, FanOutStep, FanOuts, Fanning, FoundIn, Ledger},
    log::{Append, Lane, ReindexLog},
    tasks::joined,
};

/// How often the ledger is asked for fan-outs.
const POLL: Duration = Duration::from_millis(500);

/// Goes through the wide fan-outs that the ledger names.
pub struct FanOutRuns {
    /// The sources of the plan by their names.
    pub lookups: BTreeMap<String, Arc<Lookup>>,
    /// The reindex log.
    pub log: Arc<dyn ReindexLog>,
    /// The fan-outs.
    pub ledger: Arc<dyn Ledger>,
    /// Stop.
    pub stop: CancellationToken,
    /// With `--once`: is cancelled when every source is routed up to its end. Then the ids that are there are appended, and
    /// nobody waits until they are rebuilt.
    pub routed: Option<CancellationToken>,
}

impl FanOutRuns {
    /// Works until it is stopped, or with `--once` until nothing is asked for that isn't in the lane.
    pub async fn run(self: Arc<Self>) -> Result<(), RouteError> {
        let mut working = JoinSet::new();
        let mut busy = BTreeSet::new();
        loop {
            heartbeat::beat();
            // Looked at before the ledger: what is routed was asked for before.
            let is_routed = self.routed.as_ref().is_some_and(CancellationToken::is_cancelled);
            let open = self.ledger.fan_outs().await?;
            if self.stop.is_cancelled() || (is_routed && open.is_empty() && working.is_empty()) {
                break;
            }
            for fan_outs in open {
                if busy.insert(fan_outs.of.clone()) {
                    let this = Arc::clone(&self);
                    let name = format!("a fan-out of {}", fan_outs.of.source);
                    working.spawn(heartbeat::beside(name).drive(this.work(fan_outs)));
                }
            }
            let routed = self.routed.clone().unwrap_or_default();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = routed.cancelled(), if !is_routed => {}
                Some(end) = working.join_next() => {
                    busy.remove(&joined(end)?);
                    if self.routed.is_none() {
                        heartbeat::waiting(self.stop.run_until_cancelled(tokio::time::sleep(POLL))).await;
                    }
                }
                () = tokio::time::sleep(POLL) => {}
            }
        }
        while let Some(end) = working.join_next().await {
            joined(end)?;
        }
        Ok(())
    }

    /// Ends the run of a source whose documents are rebuilt, and goes through the next one. Gives whose it was.
    async fn work(self: Arc<Self>, fan_outs: FanOuts) -> Result<Fanning, RouteError> {
        let of = fan_outs.of;
        if let Some(run) = fan_outs.running
            && let Some(through) = &run.through
        {
            let is_waited_for = self.routed.is_none();
            if is_waited_for && self.log.lag_through(Lane::Backfill, through).await? > 0 {
                return Ok(of);
            }
            self.ledger.step_fan_outs(&of, FanOutStep::End(run.number)).await?;
        }
        let begun = self.ledger.step_fan_outs(&of, FanOutStep::Begin).await?;
        if let Some(mut run) = begun.and_then(|fan_outs| fan_outs.running)
            && run.through.is_none()
        {
            self.go_through(&of, &mut run).await?;
        }
        Ok(of)
    }

    async fn go_through(&self, of: &Fanning, run: &mut FanOutRun) -> Result<(), RouteError> {
        let Some(lookup) = self.lookups.get(&of.source) else {
            tracing::warn!(source = %of.source, "the plan has no such source any more; its fan-out is dropped");
            self.ledger.step_fan_outs(of, FanOutStep::End(run.number)).await?;
            return Ok(());
        };
        let is_through = match of.found_in {
            FoundIn::Index => self.in_index(lookup, of, run).await?,
            FoundIn::Graph if lookup.source.back_reference.is_none() => true,
            FoundIn::Graph => self.in_graph(lookup, of, run).await?,
        };
        if is_through && !self.stop.is_cancelled() {
            run.through = Some(self.log.ends(Lane::Backfill).await?);
            self.ledger.step_fan_outs(of, FanOutStep::Save(run.clone())).await?;
        }
        Ok(())
    }

    /// Appends what the index holds; says whether the run is still this one's.
    async fn in_index(&self, lookup: &Lookup, of: &Fanning, run: &mut FanOutRun) -> Result<bool, StateError> {
        let keys: Vec<DocumentId> = run.wanted.keys.keys().cloned().collect();
        let size = self.fan_out(lookup, of, run).keys_at_once();
        for (number, group) in keys.chunks(size).enumerate().skip(run.groups) {
            let froms: Option<Vec<&String>> =
                group.iter().map(|key| run.wanted.keys[key].from.as_ref()).collect();
            let first = froms.and_then(|froms| froms.into_iter().min().cloned());
            let from = run.after.clone().or(first).and_then(|id| DocumentId::new(id).ok());
            let mut found = self.fan_out(lookup, of, run);
            found.found_by(Finder::Group(number), group);
            lookup.group_in_index(group, from, &mut found, &self.stop).await?;
            if run.groups <= number {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends what the graph names; says whether the run is still this one's.
    async fn in_graph(&self, lookup: &Lookup, of: &Fanning, run: &mut FanOutRun) -> Result<bool, RouteError> {
        let keys: Vec<DocumentId> = run.wanted.keys.keys().cloned().collect();
        for (number, key) in keys.into_iter().enumerate().skip(run.groups) {
            let from = run.after.clone().or_else(|| run.wanted.keys[&key].from.clone());
            let from: Option<Value> = from.and_then(|cursor| serde_json::from_str(&cursor).ok());
            let mut found = self.fan_out(lookup, of, run);
            let unanswered = lookup.in_graph(vec![(key, from)], &mut found, &self.stop).await?;
            if !unanswered.is_empty() {
                let dead_letters =
                    unanswered.iter().map(|unanswered| lookup.dead_letter(unanswered)).collect();
                self.log.append(Append { dead_letters, ..Append::default() }).await?;
                (run.groups, run.after) = (number + 1, None);
            }
            if run.groups <= number {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn fan_out<'a>(&'a self, lookup: &'a Lookup, of: &'a Fanning, run: &'a mut FanOutRun) -> FanOut<'a> {
        FanOut::of_run(of, run, lookup, &*self.log, &*self.ledger)
    }
}
