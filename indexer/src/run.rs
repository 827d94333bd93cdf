//! The wiring: one process, its tasks and the signals between them.

mod error;
#[cfg(feature = "kafka")]
mod gaps;
pub(crate) mod generations;
mod healing;
mod rebuilding;
pub mod replaying;
mod routing;
#[cfg(feature = "kafka")]
mod topics;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::error::RunError;
#[cfg(feature = "kafka")]
use self::topics::TopicRouting;
use self::{
    generations::{Left, Shown},
    rebuilding::Rebuilding,
};
#[cfg(feature = "kafka")]
use crate::log::kafka::Shares;
use crate::{
    Endpoints, Index, StateError, StateFile,
    admin::{self, Admin},
    graph::Graph,
    heartbeat::{self, Heartbeats},
    index::World,
    ledger::{Figures, IndexState, figures::Meter, longest_deadline},
    log::{Lane, Ownership, sqlite::WholeLog},
    now_ms,
    rebuild::fetches::Fetches,
    saved::webhook::Webhook,
    state::RunLock,
    tasks::joined,
};

/// How often figures are published.
const PUBLISH: Duration = Duration::from_secs(1);

/// With `--once`, failures of the gateway in a row after which it is given up: about fifteen seconds.
const ONCE_GIVES_UP_AFTER: u32 = 5;

/// How a process runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Only up to the ends that sources and lanes have at start.
    pub once: bool,
    /// Which part of the work is done here.
    pub role: Role,
}

/// Which part of the work a process does. Only a shared log has parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// All of it.
    #[default]
    All,
    /// Events into root ids.
    Route,
    /// Root ids into documents.
    Rebuild,
}

/// How a `--once` run ended; without it, nothing is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunEnd {
    /// Documents that are held.
    pub held: u64,
    /// Events that could not be understood, ever.
    pub dead_letters: u64,
    /// Whether the index is paused, and why.
    pub paused: Option<String>,
}

/// A process that has the right to run, before it has begun to work. Clones are generations of it.
#[derive(Clone)]
pub struct Process {
    index: Index,
    endpoints: Endpoints,
    graph: Arc<dyn Graph>,
    fetches: Arc<Fetches>,
    meter: Arc<Meter>,
    /// Where matches of saved searches are posted.
    webhook: Option<Arc<Webhook>>,
    lock: Option<Arc<RunLock>>,
    /// Its loops.
    heartbeats: Heartbeats,
    /// How this process is called in the ledger.
    name: String,
    /// The longest `graph.deadline` of all processes, in milliseconds.
    longest_deadline: Arc<AtomicU64>,
    /// Whether somebody changed the plan of a version that lives, so that the index is to be opened anew.
    is_changed: Arc<AtomicBool>,
    /// Reads the endpoints again: a plan may name sources that the process didn't know at its start.
    reread: Option<Reread>,
}

/// Reads the endpoints again; nothing where they can't be read now.
pub type Reread = Arc<dyn Fn() -> Option<Endpoints> + Send + Sync>;

/// Has a process open its index anew.
#[derive(Debug, Clone)]
pub struct Reopener(Arc<AtomicBool>);

impl Reopener {
    /// The process ends what runs, and goes on by what the ledger tells then.
    pub fn reopen(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Process {
    /// Opens the provisioned index of this name and takes the right to run on it.
    pub async fn start(name: &str, endpoints: Endpoints) -> Result<Self, RunError> {
        let index = Index::open(name, &endpoints.place).await?;
        let graph = index.gateway(&endpoints.graph)?;
        Self::new(index, endpoints, graph)
    }

    /// As [`Process::start`], over another gateway than the one that the endpoints name.
    pub async fn over(name: &str, endpoints: Endpoints, graph: Arc<dyn Graph>) -> Result<Self, RunError> {
        Self::new(Index::open(name, &endpoints.place).await?, endpoints, graph)
    }

    fn new(index: Index, endpoints: Endpoints, graph: Arc<dyn Graph>) -> Result<Self, RunError> {
        let lock = index.state().map(StateFile::lock_for_run).transpose()?.map(Arc::new);
        let webhook = endpoints.webhook.as_ref().map(Webhook::new).transpose()?.map(Arc::new);
        // Several hosts may have processes of one number.
        let name = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
        Ok(Self {
            longest_deadline: Arc::new(AtomicU64::new(index.plan.graph.deadline_ms)),
            index,
            endpoints,
            graph,
            fetches: Arc::default(),
            meter: Arc::default(),
            webhook,
            heartbeats: Heartbeats::default(),
            is_changed: Arc::default(),
            reread: None,
            lock,
            name,
        })
    }

    /// The same process, which reads its files of sources and ids again whenever the index versions change.
    #[must_use]
    pub fn rereading(self, reread: Reread) -> Self {
        Self { reread: Some(reread), ..self }
    }

    /// The way to have the index opened anew.
    pub fn reopener(&self) -> Reopener {
        Reopener(Arc::clone(&self.is_changed))
    }

    /// The index that is worked on.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Works until `stop`, or with `once` until everything that was there is done. What is running then is finished.
    pub async fn run(mut self, options: RunOptions, stop: CancellationToken) -> Result<RunEnd, RunError> {
        // Who asks the admin port gets an answer even while a server is away, or one generation follows another.
        let shown = Shown::new(self.index.clone());
        let mut pages = Tasks::new();
        self.spawn_pages(&mut pages, options, &shown, &stop).await?;
        let mut result = loop {
            #[cfg(feature = "kafka")]
            {
                self.index = self.index.waiting_until(&stop);
            }
            match self.generation(options, &mut pages, &stop).await {
                Ok(Left::ForTheNext) => match self.open_anew(&shown, &stop).await {
                    Ok(true) => {}
                    opened => break opened.map(drop),
                },
                left => break left.map(drop),
            }
        };
        let stopped = stop.is_cancelled();
        stop.cancel();
        while let Some(ended) = pages.join_next().await {
            result = result.and(joined(ended));
        }
        let written = self.write_history().await;
        let withdrawn = self.index.ledger.withdraw(&self.name).await;
        result = at_the_end(result.and(written.and(withdrawn).map_err(RunError::from)), stopped);
        if !options.once {
            return result.map(|()| RunEnd::default());
        }
        result?;
        let paused = match self.index.ledger.state().await? {
            IndexState::Running => None,
            IndexState::Paused => Some("a person paused it".to_owned()),
            IndexState::Failed { reason, .. } => Some(reason),
        };
        let held = self.index.ledger.held_count().await?;
        Ok(RunEnd { held, dead_letters: self.index.log.dead_letter_count().await?, paused })
    }

    /// Opens the admin port, where one is wanted.
    async fn spawn_pages(
        &self,
        pages: &mut Tasks,
        options: RunOptions,
        shown: &Shown,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        let Some(address) = self.endpoints.admin.filter(|_| !options.once) else { return Ok(()) };
        let acceptor = self.endpoints.identity.as_ref().map(admin::acceptor).transpose()?;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| RunError::Listen { address, source })?;
        let admin =
            Admin::new(shown.clone(), &self.endpoints, Arc::clone(&self.meter), self.heartbeats.clone());
        let stop = stop.clone();
        pages.spawn(
            async move { admin::serve(listener, acceptor, admin, stop).await.map_err(RunError::from) },
        );
        Ok(())
    }

    /// Works on the index versions that live now, until they change, or until the end.
    async fn generation(
        &self,
        options: RunOptions,
        pages: &mut Tasks,
        stop: &CancellationToken,
    ) -> Result<Left, RunError> {
        let starting = self.heartbeats.begin("the start of the process");
        let started = starting.drive(async {
            // Before the first write, so that whoever promotes knows of this process, and of the versions that it writes.
            let is_outdated = self.publish_or_follow().await?;
            let ownership = if is_outdated { None } else { Some(self.ownership(options.role)?) };
            Ok::<_, RunError>(ownership)
        });
        let Some(ownership) = started.await? else { return Ok(Left::ForTheNext) };
        let (this, ended) = (Arc::new(self.clone()), stop.child_token());
        // Routes fill the log and end with `--once`; the rebuilding task empties it; companions run beside them.
        let (mut routing, mut rebuilding, mut companions) = (Tasks::new(), Tasks::new(), Tasks::new());
        let routed = CancellationToken::new();
        if options.role != Role::Rebuild {
            this.spawn_routes(&mut routing, options.once, &ended)?;
        }
        if let Some(ownership) = ownership {
            let work = Rebuilding {
                process: Arc::clone(&this),
                ownership,
                stop: ended.clone(),
                once: options.once,
                routed: routed.clone(),
            };
            let heartbeat = this.heartbeats.begin("rebuilding");
            rebuilding.spawn(heartbeat.drive(work.run()));
        }
        let outdated = CancellationToken::new();
        let heartbeat = this.heartbeats.begin("publishing figures");
        companions.spawn(heartbeat.drive(Arc::clone(&this).publish_until(ended.clone(), outdated.clone())));

        let mut result = Ok(());
        while result.is_ok()
            && !outdated.is_cancelled()
            && !(rebuilding.is_empty() && (routing.is_empty() || options.role == Role::All))
        {
            if routing.is_empty() {
                routed.cancel();
            }
            tokio::select! {
                biased;
                Some(ended) = rebuilding.join_next() => result = joined(ended),
                Some(ended) = companions.join_next() => result = joined(ended),
                Some(ended) = pages.join_next() => result = joined(ended),
                Some(ended) = routing.join_next() => result = joined(ended),
            }
        }
        ended.cancel();
        for tasks in [&mut rebuilding, &mut routing, &mut companions] {
            while let Some(ended) = tasks.join_next().await {
                result = result.and(joined(ended));
            }
        }
        let is_for_the_next = outdated.is_cancelled() && !stop.is_cancelled();
        result.map(|()| if is_for_the_next { Left::ForTheNext } else { Left::ForGood })
    }

    /// How this process comes to own shares of the log; `None` where it rebuilds nothing.
    fn ownership(&self, role: Role) -> Result<Option<Box<dyn Ownership>>, RunError> {
        match &self.index.world {
            World::Embedded(_) if role != Role::All => Err(RunError::Role),
            World::Embedded(log) => {
                let lock = self.lock.clone().expect("a process over a state file begins with its lock");
                Ok(Some(Box::new(WholeLog::new(log.clone(), lock))))
            }
            #[cfg(feature = "kafka")]
            World::Shared(_) if role == Role::Route => Ok(None),
            #[cfg(feature = "kafka")]
            World::Shared(log) => Ok(Some(Box::new(Shares::join(log)?))),
            #[cfg(test)]
            World::Simulated(seat) => Ok(Some(seat.ownership())),
        }
    }

    /// Starts what routes: a task for each source, or for each group whose topics are shared.
    fn spawn_routes(
        self: &Arc<Self>,
        tasks: &mut Tasks,
        once: bool,
        stop: &CancellationToken,
    ) -> Result<(), RunError> {
        #[cfg(feature = "kafka")]
        if let World::Shared(log) = &self.index.world {
            for routing in TopicRouting::of(self, log, stop, once) {
                let heartbeat = self.heartbeats.begin(format!("routing for {}", routing.group));
                tasks.spawn(heartbeat.drive(routing.run()));
            }
            return Ok(());
        }
        #[cfg(test)]
        if let World::Simulated(seat) = &self.index.world {
            seat.spawn_routes(self, tasks, stop);
            return Ok(());
        }
        for source in &self.index.sources {
            if self.is_out_of_reach(source) {
                let source = &source.name;
                tracing::warn!(%source, "this process doesn't know the file of the source, which is not read before it is started anew");
                continue;
            }
            let route = self.local_route(source, once, stop)?;
            let heartbeat = self.heartbeats.begin(format!("the route of {}", source.name));
            tasks.spawn(heartbeat.drive(async move { Ok(route.run().await?) }));
        }
        Ok(())
    }

    async fn publish(&self) -> Result<(), StateError> {
        let lag = [self.index.log.lag(Lane::Live).await?, self.index.log.lag(Lane::Backfill).await?];
        let figures = Figures {
            deadline_ms: self.index.plan.graph.deadline_ms,
            versions: self.index.live.clone(),
            ..self.meter.figures(&self.name, now_ms(), lag)
        };
        self.index.ledger.publish(&figures).await?;
        if self.index.state().is_none() {
            let all = self.index.ledger.figures().await?;
            self.longest_deadline.store(longest_deadline(&all, figures.deadline_ms), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Publishes figures; says whether the index versions are other ones by then.
    async fn publish_or_follow(&self) -> Result<bool, StateError> {
        self.publish().await?;
        self.is_outdated().await
    }

    /// Publishes figures each second, and ends its generation where the index versions are other ones by then.
    async fn publish_until(
        self: Arc<Self>,
        stop: CancellationToken,
        outdated: CancellationToken,
    ) -> Result<(), RunError> {
        while !sleeps_through(PUBLISH, &stop).await {
            heartbeat::beat();
            let is_outdated = self.publish_or_follow().await?;
            self.write_history().await?;
            if is_outdated {
                outdated.cancel();
                break;
            }
        }
        Ok(())
    }

    /// Writes what happened to documents since it was last written.
    async fn write_history(&self) -> Result<(), StateError> {
        let noted = self.meter.history.take();
        if noted.is_empty() {
            return Ok(());
        }
        // One process after another works on a state file; of a shared ledger each writes rows of its own.
        let writer = if self.index.state().is_some() { "run" } else { &self.name };
        self.index.ledger.note_history(writer, noted).await
    }
}

/// What a server did not do for a process that was told to end is done by the next one.
fn at_the_end(result: Result<(), RunError>, stopped: bool) -> Result<(), RunError> {
    match result {
        Err(error) if stopped && error.is_of_a_server() => {
            tracing::warn!(code = error.code().id, "{error}; the next process goes on from there");
            Ok(())
        }
        result => result,
    }
}

type Tasks = JoinSet<Result<(), RunError>>;

/// Sleeps, and says whether it was stopped meanwhile.
async fn sleeps_through(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(pause, stop.cancelled()).await.is_ok()
}

#[cfg(test)]
pub(crate) mod simulation;
#[cfg(test)]
mod tests;
