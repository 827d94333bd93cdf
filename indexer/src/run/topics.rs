//! The routing half of a process where sources are topics: one share of them after another.

use std::{collections::BTreeMap, sync::Arc};

use plan::{SourcePlan, index_plan::SourceInput};
use tokio_util::sync::CancellationToken;

use super::{
    Process, RunError, Tasks,
    gaps::{self, Gaps},
};
use crate::{
    StateError,
    heartbeat::{self, waiting},
    kafka::{Member, Share},
    log::kafka::KafkaLog,
    route::barrier::Barrier,
    source::topic::{Leaps, TopicSource},
    tasks::joined,
};

/// Routes the topics of one group, whatever partitions of them the group gives to this process.
pub(super) struct TopicRouting {
    pub process: Arc<Process>,
    pub log: KafkaLog,
    pub group: String,
    /// The sources, each of a topic of its own.
    pub sources: Vec<SourcePlan>,
    pub stop: CancellationToken,
    pub once: bool,
}

impl TopicRouting {
    /// One for each group.
    pub(super) fn of(
        process: &Arc<Process>,
        log: &KafkaLog,
        stop: &CancellationToken,
        once: bool,
    ) -> Vec<Self> {
        let mut groups: BTreeMap<String, Vec<SourcePlan>> = BTreeMap::new();
        for source in &process.index.sources {
            groups.entry(log.group_of(source)).or_default().push(source.clone());
        }
        let routing = |(group, sources)| Self {
            process: Arc::clone(process),
            log: log.clone(),
            group,
            sources,
            stop: stop.clone(),
            once,
        };
        groups.into_iter().map(routing).collect()
    }

    /// Routes until it is stopped, or with `once` until the first share is routed up to its end.
    pub(super) async fn run(self) -> Result<(), RunError> {
        let mut member = Member::join(self.log.endpoint(), &self.group, self.topics())?;
        while let Some(share) = waiting(member.next_share(&self.stop)).await? {
            let routed = self.work(&share).await;
            share.release();
            match routed {
                Err(RunError::State(StateError::Fenced(share))) => {
                    tracing::warn!(
                        "another process took over {share}; what was routed here comes again there"
                    );
                }
                routed => routed?,
            }
            if self.once {
                break;
            }
        }
        waiting(member.leave()).await;
        Ok(())
    }

    fn topics(&self) -> Vec<Arc<str>> {
        self.sources.iter().filter_map(topic).collect()
    }

    /// The source of a topic in this group.
    pub(super) fn source_of(&self, name: &str) -> Option<&SourcePlan> {
        self.sources.iter().find(|source| topic(source).is_some_and(|topic| *topic == *name))
    }

    async fn work(&self, share: &Arc<Share>) -> Result<(), RunError> {
        let ended = self.stop.child_token();
        let mut routes = Tasks::new();
        let mut gaps = Gaps::default();
        for plan in &self.sources {
            let Some(topic) = topic(plan) else { continue };
            if share.partitions(&topic).is_empty() {
                continue;
            }
            let decoder = self.log.decoder(plan);
            let leaps = Leaps::default();
            let source = TopicSource::new(&topic, share, decoder, self.log.topics().clone(), leaps.clone());
            gaps.leaps.insert(topic, leaps);
            let barrier = Barrier::Deadline(Arc::clone(&self.process.longest_deadline));
            let route = self.process.route(plan, Box::new(source), barrier, self.once, &ended)?;
            let heartbeat = heartbeat::beside(format!("the route of {}", plan.name));
            routes.spawn(heartbeat.drive(async move { Ok(route.run().await?) }));
        }
        let mut result = Ok(());
        let mut look = tokio::time::interval(gaps::POLL);
        loop {
            heartbeat::beat();
            tokio::select! {
                end = routes.join_next() => match end {
                    Some(end) => {
                        result = result.and(joined(end));
                        if result.is_err() {
                            ended.cancel();
                        }
                    }
                    // Without a partition there is nothing to do but to wait for another share.
                    None if result.is_ok() && !self.once && !ended.is_cancelled() => {
                        waiting(share.revoked().run_until_cancelled(ended.cancelled())).await;
                        return Ok(());
                    }
                    None => return result,
                },
                () = share.revoked().cancelled(), if !ended.is_cancelled() => ended.cancel(),
                _ = look.tick(), if !ended.is_cancelled() => {
                    if let Err(error) = self.close_gaps(share, &mut gaps).await {
                        result = result.and(Err(error));
                        ended.cancel();
                    }
                }
            }
        }
    }
}

/// The topic of a source.
fn topic(source: &SourcePlan) -> Option<Arc<str>> {
    match &source.input {
        SourceInput::Topic(topic) => Some(topic.as_str().into()),
        SourceInput::File | SourceInput::Http => None,
    }
}
