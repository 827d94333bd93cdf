//! The sampled audit of a promotion: some documents of the version that is to be served are compared with the graph.
//!
//! Graph and index are never read at one moment, so a difference counts only if it stays as it was: past `audit.confirm_after` and
//! the longest deadline, with both lanes complete. What changes meanwhile is younger in the graph, and heals by the lanes. What
//! the served version shows in the same way is no reason against the new one: audits find and repair it in both.

use std::{collections::HashSet, sync::Arc, time::Duration};

use plan::DocumentId;
use tokio::time::{Instant, sleep};

use crate::{
    Index, StateError,
    audit::{
        Arrived, Barrier, Kind, Look,
        compare::ValueHash,
        look::{Seen, Sides, Sight},
    },
    graph::{Graph, GraphError},
    index::OpenVersion,
    ledger::versions::MAX_LACKS,
    reservoir::Reservoir,
    store::Store,
};

/// Ids of a version that are read at once, and how often, to pick from: its first 100,000.
const PAGE: usize = 1_000;
const PAGES: usize = 100;

/// How often the gateway is asked again that didn't answer, and when.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// How often what differs is looked at again: first soon, since most of it is on its way.
const FIRST_LOOK: Duration = Duration::from_millis(250);
const LAST_LOOK: Duration = Duration::from_secs(8);

/// How long the lanes are waited for, once everything that can be on its way is in them.
const LANES: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug)]
pub(super) enum Compared {
    /// None differs.
    Alike,
    /// These do, of so many.
    Different {
        /// Which, and how.
        documents: Vec<(DocumentId, Kind)>,
        /// How many were compared.
        of: usize,
    },
    /// So many differ, and entries that may be about them are not through the lanes.
    Unsettled(usize),
    /// The graph doesn't answer.
    Unanswered(GraphError),
}

/// What is compared.
pub(super) struct Sample<'a> {
    pub(super) index: &'a Index,
    /// The served version.
    pub(super) before: &'a OpenVersion,
    /// The one that is to be served.
    pub(super) after: &'a OpenVersion,
    pub(super) graph: Arc<dyn Graph>,
    /// How many documents.
    pub(super) documents: usize,
}

/// A document that differs, as it was seen first.
type Suspect = (DocumentId, Sight);

impl Sample<'_> {
    /// Compares the documents. It takes a request a batch of them, and some for what differs.
    pub(super) async fn compare(&self) -> Result<Compared, StateError> {
        let plan = Arc::clone(&self.after.plan);
        let look = Look::new(plan, Arc::clone(&self.graph), self.after.store());
        let ids = self.pick().await?;
        let of = ids.len();
        let mut suspects = match self.differing(&look, &ids).await? {
            Ok(suspects) => suspects,
            Err(error) => return Ok(Compared::Unanswered(error)),
        };
        let (begun, mut wait) = (Instant::now(), FIRST_LOOK);
        let pause = self.barrier().pause().await?;
        while !suspects.is_empty() && begun.elapsed() < pause {
            sleep(wait.min(pause.saturating_sub(begun.elapsed()))).await;
            wait = (wait * 2).min(LAST_LOOK);
            match self.still(&look, suspects).await? {
                Ok(left) => suspects = left,
                Err(error) => return Ok(Compared::Unanswered(error)),
            }
        }
        if suspects.is_empty() {
            return Ok(Compared::Alike);
        }
        if !self.has_arrived().await? {
            return Ok(Compared::Unsettled(suspects.len()));
        }
        Ok(match self.still(&look, suspects).await? {
            Err(error) => Compared::Unanswered(error),
            Ok(left) if left.is_empty() => Compared::Alike,
            Ok(left) => {
                let documents = left.into_iter().map(|(id, sight)| (id, sight.kind)).collect();
                Compared::Different { documents, of }
            }
        })
    }

    /// Some documents at random, half of what the new version holds, half of what the served one does and it may lack.
    async fn pick(&self) -> Result<Vec<DocumentId>, StateError> {
        let mut picked = Vec::new();
        for version in [self.after, self.before] {
            let (store, mut reservoir) = (version.store(), Reservoir::new(self.documents.div_ceil(2)));
            let mut after = None;
            for _ in 0..PAGES {
                let ids = store.ids(after.as_ref(), PAGE).await?;
                let is_last = ids.len() < PAGE;
                after = ids.last().cloned();
                ids.into_iter().for_each(|id| reservoir.pass(id));
                if is_last {
                    break;
                }
            }
            picked.extend(reservoir.into_kept());
        }
        picked.sort();
        picked.dedup();
        // What it is known to lack is fetched anew once it is served, and what is held is waited for.
        let lacks = self.index.ledger.lacks(self.after.number, MAX_LACKS).await?;
        let held = self.index.ledger.held_among(&picked).await?;
        let known: HashSet<DocumentId> =
            lacks.into_iter().map(|lack| lack.id).chain(held.into_iter().map(|held| held.id)).collect();
        picked.retain(|id| !known.contains(id));
        Ok(picked)
    }

    /// Those of the suspects that differ in the same way.
    async fn still(
        &self,
        look: &Look,
        suspects: Vec<Suspect>,
    ) -> Result<Result<Vec<Suspect>, GraphError>, StateError> {
        let ids: Vec<DocumentId> = suspects.iter().map(|(id, _)| id.clone()).collect();
        let seen = self.differing(look, &ids).await?;
        Ok(seen.map(|mut seen| {
            seen.retain(|suspect| suspects.contains(suspect));
            seen
        }))
    }

    /// Those of the documents that differ from the graph, and from what the served version shows.
    async fn differing(
        &self,
        look: &Look,
        ids: &[DocumentId],
    ) -> Result<Result<Vec<Suspect>, GraphError>, StateError> {
        let (before, mut suspects) = (self.before.store(), Vec::new());
        for ids in ids.chunks(look.batch()) {
            let sides = match self.sides(look, ids).await? {
                Ok(sides) => sides,
                Err(error) => return Ok(Err(error)),
            };
            for sides in sides {
                if let Seen::Different(sight) = sides.seen()
                    && !self.is_served_alike(&*before, &sides).await?
                {
                    suspects.push((sides.id, sight));
                }
            }
        }
        Ok(Ok(suspects))
    }

    async fn sides(
        &self,
        look: &Look,
        ids: &[DocumentId],
    ) -> Result<Result<Vec<Sides>, GraphError>, StateError> {
        let mut tries = 0;
        loop {
            match look.at(ids).await? {
                Err(_) if tries < TRIES => tries += 1,
                told => return Ok(told),
            }
            sleep(PAUSE * tries).await;
        }
    }

    /// Whether the served version shows the same. Of another query it shows something else by right.
    async fn is_served_alike(&self, before: &dyn Store, sides: &Sides) -> Result<bool, StateError> {
        if self.before.plan.fetch.query_hash != self.after.plan.fetch.query_hash {
            return Ok(false);
        }
        let served = before.get(&sides.id).await?.and_then(|stored| stored.body);
        let (_, new) = sides.bodies();
        Ok(match (served, new) {
            (Some(served), Some(new)) => served == new || ValueHash::of(&served) == ValueHash::of(new),
            (None, None) => true,
            _ => false,
        })
    }

    /// Whether both lanes are complete up to where they end now, soon.
    async fn has_arrived(&self) -> Result<bool, StateError> {
        let begun = Instant::now();
        let ends = self.barrier().ends_now().await?;
        loop {
            match self.barrier().has_arrived(&ends, begun).await? {
                Arrived::Yes => return Ok(true),
                Arrived::NotYet if begun.elapsed() < LANES => sleep(PAUSE).await,
                Arrived::NotYet | Arrived::Never => return Ok(false),
            }
        }
    }

    fn barrier(&self) -> Barrier<'_> {
        let plan = &self.after.plan;
        Barrier {
            log: &*self.index.log,
            ledger: &*self.index.ledger,
            confirm_after: Duration::from_millis(plan.audit.clone().unwrap_or_default().confirm_after_ms),
            deadline_ms: plan.graph.deadline_ms,
            works: false,
            appended: 0,
        }
    }
}
