//! The place of one process among others: which shares of the log and of the sources it is given, one after another.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{mutant::Mutant, servers::Road, sources::SharedSource, world::World};
use crate::{
    StateError,
    heartbeat::waiting,
    log::{Ownership, Tenure},
    route::barrier::Barrier,
    run::{Process, RunError, Tasks},
    tasks::joined,
};

/// Sources that one process routes until the next rebalance.
pub(super) struct SourceShare {
    pub names: Vec<String>,
    /// By what right: a later generation fences an earlier one.
    pub generation: u64,
    pub revoked: CancellationToken,
}

/// A seat. The process in it takes what it is given; clones are the same seat.
#[derive(Clone)]
pub(crate) struct Seat {
    world: Arc<World>,
    given: Arc<Mutex<Option<Given>>>,
}

struct Given {
    tenures: mpsc::UnboundedReceiver<Arc<dyn Tenure>>,
    sources: mpsc::UnboundedReceiver<SourceShare>,
}

/// The way to give a process its shares.
pub(super) struct Giver {
    pub tenures: mpsc::UnboundedSender<Arc<dyn Tenure>>,
    pub sources: mpsc::UnboundedSender<SourceShare>,
}

impl Seat {
    /// An empty seat, and the way to give whoever takes it its shares.
    pub(super) fn new(world: &Arc<World>) -> (Self, Giver) {
        let (give_tenures, tenures) = mpsc::unbounded_channel();
        let (give_sources, sources) = mpsc::unbounded_channel();
        let given = Arc::new(Mutex::new(Some(Given { tenures, sources })));
        let seat = Self { world: Arc::clone(world), given };
        (seat, Giver { tenures: give_tenures, sources: give_sources })
    }

    /// The road to the ledger; nothing where it is a file beside the process.
    pub(crate) fn road(&self) -> Option<Road> {
        self.world.is_shared.then(|| Road(Arc::clone(&self.world)))
    }

    /// The shares of the log that its process is given.
    pub(crate) fn ownership(&self) -> Box<dyn Ownership> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let given = given.as_mut().expect("a seat is taken once");
        let (_, none) = mpsc::unbounded_channel();
        Box::new(Member(std::mem::replace(&mut given.tenures, none)))
    }

    /// Starts what routes the sources that its process is given.
    pub(crate) fn spawn_routes(&self, process: &Arc<Process>, tasks: &mut Tasks, stop: &CancellationToken) {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sources = given.expect("a seat is taken once").sources;
        let routing = Routing {
            process: Arc::clone(process),
            world: Arc::clone(&self.world),
            sources,
            stop: stop.clone(),
        };
        let heartbeat = process.heartbeats.begin("routing");
        tasks.spawn(heartbeat.drive(routing.run()));
    }
}

struct Member(mpsc::UnboundedReceiver<Arc<dyn Tenure>>);

#[async_trait]
impl Ownership for Member {
    async fn next_tenure(&mut self, stop: &CancellationToken) -> Result<Option<Arc<dyn Tenure>>, StateError> {
        Ok(stop.run_until_cancelled(self.0.recv()).await.flatten())
    }
}

/// As [`TopicRouting`](crate::run::topics) does it: one share of the sources after another.
struct Routing {
    process: Arc<Process>,
    world: Arc<World>,
    sources: mpsc::UnboundedReceiver<SourceShare>,
    stop: CancellationToken,
}

impl Routing {
    async fn run(mut self) -> Result<(), RunError> {
        while let Some(Some(share)) = waiting(self.stop.run_until_cancelled(self.sources.recv())).await {
            match self.work(&share).await {
                Err(RunError::State(StateError::Fenced(_))) => {}
                worked => worked?,
            }
        }
        Ok(())
    }

    async fn work(&self, share: &SourceShare) -> Result<(), RunError> {
        let ended = self.stop.child_token();
        let mut routes = Tasks::new();
        let process = &self.process;
        for plan in process.index.plan.sources.iter().filter(|plan| share.names.contains(&plan.name)) {
            let source = SharedSource::new(&self.world, &plan.name, share.generation);
            let route = process.route(plan, Box::new(source), self.barrier(), false, &ended)?;
            let heartbeat = process.heartbeats.begin(format!("the route of {}", plan.name));
            routes.spawn(heartbeat.drive(async move { Ok(route.run().await?) }));
        }
        let mut result = Ok(());
        loop {
            tokio::select! {
                biased;
                () = share.revoked.cancelled(), if !ended.is_cancelled() && !routes.is_empty() => ended.cancel(),
                Some(end) = routes.join_next() => {
                    result = result.and(joined(end));
                    if result.is_err() {
                        ended.cancel();
                    }
                }
                // Without a source there is nothing to do but to wait for another share.
                else => {
                    waiting(share.revoked.run_until_cancelled(ended.cancelled())).await;
                    return result;
                }
            }
        }
    }

    fn barrier(&self) -> Barrier {
        match self.world.mutant {
            Some(Mutant::NoBarrier | Mutant::RefreshFirst) => Barrier::Deadline(Arc::default()),
            Some(Mutant::ResendOnFailure) => Barrier::Deadline(Arc::new(super::movies::DEADLINE_MS.into())),
            _ if self.world.is_shared => Barrier::Deadline(Arc::clone(&self.process.longest_deadline)),
            _ => Barrier::OwnFetches(Arc::clone(&self.process.fetches)),
        }
    }
}
