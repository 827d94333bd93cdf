//! The wiring: one process that owns a state file, its tasks and the signals between them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use plan::{
    Code, DocumentId, DocumentVersion, Epoch, SourcePlan, SourceText,
    filter::{self, Filter},
    index_plan::SourceInput,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Endpoints, Index, StateError,
    admin::{self, Admin},
    backfill::{BackfillError, Backfills},
    graph::{
        Graph, GraphError,
        http::{EndpointError, HttpGraph},
        request::DocumentRequests,
    },
    ledger::{IndexState, figures::Meter},
    log::{Append, Cause, Entry, Lane},
    now_ms,
    rebuild::{Rebuild, RebuildError, Signals, batch::Batches, fetches::Fetches, gone::GoneGuard},
    route::{Route, RouteError, lookup::Lookup},
    source::{Source, SourceError, file::FileSource, inbox::InboxSource},
};

/// Held documents that are tried again at once, each half second: enough to heal thousands in a minute, too few to push
/// live changes aside.
const REPLAYS: usize = 200;

/// How often held documents are looked at.
const REPLAY_POLL: Duration = Duration::from_millis(500);

/// How often figures are published.
const PUBLISH: Duration = Duration::from_secs(1);

/// With `--once`, failures of the gateway in a row after which it is given up: about fifteen seconds.
const ONCE_GIVES_UP_AFTER: u32 = 5;

/// How a process runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunOptions {
    /// Only up to the ends that sources and lanes have at start.
    pub once: bool,
}

/// How a `--once` run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Documents that are held.
    pub held: u64,
    /// Events that could not be understood, ever.
    pub dead_letters: u64,
    /// Whether the index is paused, and why.
    pub paused: Option<String>,
}

/// Why a process can't go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The state file.
    #[error(transparent)]
    State(#[from] StateError),
    /// An endpoint of the configuration.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The gateway, with `--once`.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The configuration names no file for a source.
    #[error("the source {0:?} of the provisioned plan isn't in the configuration any more")]
    UnknownSource(String),
    /// The filter of a source can't be read.
    #[error("the source {0:?} has a `where` that can't be read: {1}")]
    Condition(String, String),
    /// The admin port is taken, or may not be opened.
    #[error("the admin address {address} can't be listened on: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

impl RunError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::State(error) => error.code(),
            Self::Endpoint(_) => plan::code::fetch::SS401,
            Self::Graph(error) => error.code(),
            Self::Source(error) => error.code(),
            Self::UnknownSource(_) | Self::Condition(..) => plan::code::kafka::SS303,
            Self::Listen { .. } => plan::code::store::SS508,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::State(error) => error.help(),
            Self::Graph(error) => Some(error.help()),
            Self::UnknownSource(_) | Self::Condition(..) => Some("provision again with this configuration"),
            Self::Listen { .. } => Some("give another address with `--admin` or under `admin.listen`"),
            Self::Endpoint(_) | Self::Source(_) => None,
        }
    }
}

impl From<RebuildError> for RunError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::State(error) => Self::State(error),
            RebuildError::Graph(error) => Self::Graph(error),
        }
    }
}

impl From<BackfillError> for RunError {
    fn from(error: BackfillError) -> Self {
        match error {
            BackfillError::State(error) => Self::State(error),
            BackfillError::Graph(error) => Self::Graph(error),
            BackfillError::File(error) => Self::Source(error),
        }
    }
}

impl From<RouteError> for RunError {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Source(error) => Self::Source(error),
            RouteError::Graph(error) => Self::Graph(error),
        }
    }
}

/// A process that has the right to run and its epoch, before it has begun to work.
pub struct Process {
    index: Index,
    endpoints: Endpoints,
    graph: Arc<dyn Graph>,
    fetches: Arc<Fetches>,
    meter: Arc<Meter>,
    _lock: crate::state::RunLock,
}

impl Process {
    /// Opens the provisioned state of this index, takes the right to run on it, and the next epoch.
    pub async fn start(name: &str, endpoints: Endpoints) -> Result<Self, RunError> {
        let index = Index::open(name, &endpoints.place)?;
        let graph = HttpGraph::new(&endpoints.graph, index.request_timeout())?;
        Self::over(name, endpoints, Arc::new(graph)).await
    }

    /// As [`Process::start`], over another gateway than the one that the endpoints name.
    pub async fn over(name: &str, endpoints: Endpoints, graph: Arc<dyn Graph>) -> Result<Self, RunError> {
        let index = Index::open(name, &endpoints.place)?;
        let lock = index.state.lock_for_run()?;
        // The lock excludes every other owner, and the transaction that takes the epoch is this world's fenced commit.
        let stored = index.store.highest_version().await?.map_or(Epoch::ZERO, DocumentVersion::epoch);
        let epoch = index.ledger.take_epoch(stored).await?;
        tracing::info!(index = name, epoch = epoch.get(), version = index.version, "took the index over");
        Ok(Self {
            index,
            endpoints,
            graph,
            fetches: Arc::new(Fetches::new(epoch)),
            meter: Arc::default(),
            _lock: lock,
        })
    }

    /// The index that is worked on.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Works until `stop`, or with `once` until everything that was there is done. What is running then is finished.
    pub async fn run(self, options: RunOptions, stop: CancellationToken) -> Result<RunEnd, RunError> {
        let this = Arc::new(self);
        let listener = match this.endpoints.admin {
            Some(address) if !options.once => Some(
                TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?,
            ),
            _ => None,
        };
        let signals = Signals { stop: stop.clone(), drain: CancellationToken::new() };
        let give_up_after = options.once.then_some(ONCE_GIVES_UP_AFTER);
        let rebuild =
            Rebuild::new(Arc::new(this.batches()), this.index.log.clone(), signals.clone(), give_up_after)
                .await?;
        let backfills = Arc::new(this.backfills(stop.clone()));
        this.replay_due().await?;

        // Feeders fill the log and end with `--once`; the rebuilding task empties it; companions run beside them.
        let (mut feeders, mut rebuilding, mut companions) = (Tasks::new(), Tasks::new(), Tasks::new());
        for source in &this.index.plan.sources {
            let route = this.route(source, options.once, &stop)?;
            feeders.spawn(async move { Ok(route.run().await?) });
        }
        let enumerating = Arc::clone(&backfills);
        feeders.spawn(async move { Ok(enumerating.run(give_up_after).await?) });
        rebuilding.spawn(async move { Ok(rebuild.run().await?) });
        if let Some(listener) = listener {
            let admin = Admin::new(this.index.clone(), &this.endpoints);
            let stop = stop.clone();
            companions
                .spawn(async move { admin::serve(listener, admin, stop).await.map_err(RunError::from) });
        }
        companions.spawn(Arc::clone(&this).publish_until(stop.clone()));
        if this.index.plan.errors.auto_replay && !options.once {
            companions.spawn(Arc::clone(&this).replay_until(stop.clone()));
        }

        let mut result = Ok(());
        while result.is_ok() && !rebuilding.is_empty() {
            tokio::select! {
                Some(ended) = rebuilding.join_next() => result = joined(ended),
                Some(ended) = companions.join_next() => result = joined(ended),
                Some(ended) = feeders.join_next() => {
                    result = joined(ended);
                    if feeders.is_empty() {
                        signals.drain.cancel();
                    }
                }
            }
        }
        stop.cancel();
        for tasks in [&mut rebuilding, &mut feeders, &mut companions] {
            while let Some(ended) = tasks.join_next().await {
                result = result.and(joined(ended));
            }
        }
        this.index.ledger.withdraw(&process_name()).await?;
        result?;
        backfills.end_rebuilt().await?;
        let (held, dead_letters) = this.index.ledger.troubles().await?;
        let paused = match this.index.ledger.state().await? {
            IndexState::Running => None,
            IndexState::Paused => Some("a person paused it".to_owned()),
            IndexState::Failed { reason, .. } => Some(reason),
        };
        Ok(RunEnd { held, dead_letters, paused })
    }

    fn batches(&self) -> Batches {
        Batches {
            requests: DocumentRequests::new(Arc::clone(&self.index.plan)),
            plan: Arc::clone(&self.index.plan),
            graph: Arc::clone(&self.graph),
            store: self.index.store.clone(),
            ledger: self.index.ledger.clone(),
            fetches: Arc::clone(&self.fetches),
            gone: Mutex::new(GoneGuard::new(self.index.plan.errors.max_gone)),
            meter: Arc::clone(&self.meter),
        }
    }

    fn backfills(&self, stop: CancellationToken) -> Backfills {
        Backfills {
            plan: Arc::clone(&self.index.plan),
            ids_file: self.endpoints.ids_file.clone(),
            graph: Arc::clone(&self.graph),
            log: self.index.log.clone(),
            store: self.index.store.clone(),
            ledger: self.index.ledger.clone(),
            stop,
        }
    }

    fn route(&self, plan: &SourcePlan, once: bool, stop: &CancellationToken) -> Result<Route, RunError> {
        let source: Box<dyn Source> = match &plan.input {
            SourceInput::Http => Box::new(InboxSource::new(&plan.name, self.index.state.clone())),
            SourceInput::File | SourceInput::Topic(_) => {
                let unknown = || RunError::UnknownSource(plan.name.clone());
                let path = self.endpoints.source_files.get(&plan.name).ok_or_else(unknown)?;
                Box::new(FileSource::new(&plan.name, path))
            }
        };
        let lookup = Lookup {
            source: plan.clone(),
            root_kind: self.index.plan.key.kind,
            not_found_codes: self.index.plan.errors.not_found_codes.clone(),
            store: self.index.store.clone(),
            graph: Arc::clone(&self.graph),
            give_up_after: once.then_some(ONCE_GIVES_UP_AFTER),
            answered: Mutex::default(),
        };
        Ok(Route {
            filter: plan.filter.as_deref().map(|text| condition(&plan.name, text)).transpose()?,
            lookup: Arc::new(lookup),
            source,
            log: self.index.log.clone(),
            ledger: self.index.ledger.clone(),
            fetches: Arc::clone(&self.fetches),
            meter: Arc::clone(&self.meter),
            stop: stop.clone(),
            once,
        })
    }

    /// Appends held ids that are due, unless the index waits for something or live changes are behind.
    async fn replay_due(&self) -> Result<(), StateError> {
        let is_running =
            self.index.ledger.state().await? == IndexState::Running && self.meter.waiting().is_none();
        if !is_running || self.index.log.lag(Lane::Live).await? > REPLAYS as u64 {
            return Ok(());
        }
        let due = self.index.ledger.due(REPLAYS).await?;
        if due.is_empty() {
            return Ok(());
        }
        let entry = |id: &DocumentId| Entry {
            id: id.clone(),
            lane: Lane::Live,
            cause: Cause::Replay,
            event_at: None,
            deleted: false,
        };
        // Marked after it is in the log: a crash in between replays twice, and never not at all.
        self.index
            .log
            .append(Append { entries: due.iter().map(entry).collect(), ..Append::default() })
            .await?;
        self.index.ledger.mark_replayed(due).await
    }

    async fn publish(&self) -> Result<(), StateError> {
        let lag = [self.index.log.lag(Lane::Live).await?, self.index.log.lag(Lane::Backfill).await?];
        self.index.ledger.publish(&self.meter.figures(&process_name(), now_ms(), lag)).await
    }

    async fn publish_until(self: Arc<Self>, stop: CancellationToken) -> Result<(), RunError> {
        while !sleeps_through(PUBLISH, &stop).await {
            self.publish().await?;
        }
        Ok(())
    }

    async fn replay_until(self: Arc<Self>, stop: CancellationToken) -> Result<(), RunError> {
        while !sleeps_through(REPLAY_POLL, &stop).await {
            self.replay_due().await?;
        }
        Ok(())
    }
}

/// A source's `where`. Codegen checked it, so only a plan that another program wrote can fail here.
fn condition(source: &str, text: &str) -> Result<Filter, RunError> {
    let text = SourceText { name: format!("sources.{source}.where"), text: text.to_owned() };
    filter::parse(&text.into()).map_err(|finding| RunError::Condition(source.to_owned(), finding.message))
}

/// The name of this process in the ledger.
fn process_name() -> String {
    std::process::id().to_string()
}

type Tasks = JoinSet<Result<(), RunError>>;

/// Sleeps, and says whether it was stopped meanwhile.
async fn sleeps_through(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(pause, stop.cancelled()).await.is_ok()
}

fn joined(ended: Result<Result<(), RunError>, tokio::task::JoinError>) -> Result<(), RunError> {
    ended.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))
}

#[cfg(test)]
mod tests;
