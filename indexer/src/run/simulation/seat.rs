//! The place of one process among others: which shares of the log and of the sources it is given, one after another, and the
//! index as it opens it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

pub(crate) use super::servers::documents::SimulatedVersion;
use super::{
    mutant::Mutant,
    servers::{Road, log::LogClient},
    sources::SharedSource,
    world::World,
};
use crate::{
    Index, StateError,
    endpoints::Place,
    heartbeat::waiting,
    index::World as Where,
    ledger::{Ledger as _, versions},
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
    /// How far the clock of its process is off, in milliseconds.
    skew: i64,
    given: Arc<Given>,
}

/// What one generation of the process takes after another.
struct Given {
    tenures: Mutex<mpsc::UnboundedReceiver<Arc<dyn Tenure>>>,
    sources: Mutex<mpsc::UnboundedReceiver<SourceShare>>,
    generations: AtomicUsize,
}

/// The way to give a process its shares.
pub(super) struct Giver {
    pub tenures: mpsc::UnboundedSender<Arc<dyn Tenure>>,
    pub sources: mpsc::UnboundedSender<SourceShare>,
}

impl Seat {
    /// An empty seat, and the way to give whoever takes it its shares.
    pub(super) fn new(world: &Arc<World>, skew: i64) -> (Self, Giver) {
        let (give_tenures, tenures) = mpsc::unbounded_channel();
        let (give_sources, sources) = mpsc::unbounded_channel();
        let (tenures, sources, generations) = (Mutex::new(tenures), Mutex::new(sources), AtomicUsize::new(0));
        let given = Arc::new(Given { tenures, sources, generations });
        let seat = Self { world: Arc::clone(world), skew, given };
        (seat, Giver { tenures: give_tenures, sources: give_sources })
    }

    /// The road to the ledger; nothing where it is a file beside the process.
    pub(crate) fn road(&self) -> Option<Road> {
        self.world.is_shared.then(|| Road(Arc::clone(&self.world)))
    }

    /// Opens the index, as its ledger tells of it now.
    pub(crate) async fn open(&self) -> Result<Index, StateError> {
        let Self { world, .. } = self;
        let known = match self.road() {
            Some(road) => road.carry(world.ledger.versions()).await?,
            None => world.ledger.versions().await?,
        };
        let served = versions::served(&known).expect("one is served from the first on");
        let (log, ledger) = (Arc::new(LogClient(Arc::clone(world))), Arc::new(world.ledger.clone()));
        let place = Place::embedded("none.db");
        Index::of(&known, served, Where::Simulated(self.clone()), log, ledger, &place)
    }

    /// An index version, as its process reads and writes it.
    pub(crate) fn version(&self, number: u32) -> SimulatedVersion {
        SimulatedVersion::new(&self.world, number, self.skew)
    }

    /// How often its process has begun to work.
    pub(super) fn generations(&self) -> usize {
        self.given.generations.load(Ordering::Relaxed)
    }

    /// The shares of the log that its process is given.
    pub(crate) fn ownership(&self) -> Box<dyn Ownership> {
        self.given.generations.fetch_add(1, Ordering::Relaxed);
        Box::new(Member(Arc::clone(&self.given)))
    }

    /// Starts what routes the sources that its process is given.
    pub(crate) fn spawn_routes(&self, process: &Arc<Process>, tasks: &mut Tasks, stop: &CancellationToken) {
        let routing = Routing {
            process: Arc::clone(process),
            world: Arc::clone(&self.world),
            given: Arc::clone(&self.given),
            stop: stop.clone(),
        };
        let heartbeat = process.heartbeats.begin("routing");
        tasks.spawn(heartbeat.drive(routing.run()));
    }
}

struct Member(Arc<Given>);

#[async_trait]
impl Ownership for Member {
    async fn next_tenure(&mut self, stop: &CancellationToken) -> Result<Option<Arc<dyn Tenure>>, StateError> {
        let next = async { self.0.tenures.lock().await.recv().await };
        Ok(stop.run_until_cancelled(next).await.flatten())
    }
}

/// As [`TopicRouting`](crate::run::topics) does it: one share of the sources after another.
struct Routing {
    process: Arc<Process>,
    world: Arc<World>,
    given: Arc<Given>,
    stop: CancellationToken,
}

impl Routing {
    async fn run(self) -> Result<(), RunError> {
        let mut sources = self.given.sources.lock().await;
        while let Some(Some(share)) = waiting(self.stop.run_until_cancelled(sources.recv())).await {
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
        for plan in process.index.sources.iter().filter(|plan| share.names.contains(&plan.name)) {
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
