//! A provisioned index, opened: what `run` and every command beside it share.

mod version;
mod written;

use std::{sync::Arc, time::Duration};

use plan::{IndexPlan, SourcePlan};
use search::{Searcher, serve::ServedIndex};
use serde::Serialize;
#[cfg(feature = "kafka")]
use tokio_util::sync::CancellationToken;

use self::written::Written;
pub(crate) use self::written::routed;
pub use self::{version::OpenVersion, written::OtherQuery};
use crate::{
    StateError, StateFile,
    audit::{AuditKind, AuditRow, Report},
    endpoints::{GraphEndpoint, Place},
    graph::{Graph, http::HttpGraph},
    ledger::{
        Backfill, BackfillState, FanOuts, FoundIn, IndexState, Ledger, RetryPauses,
        figures::{Freshness, LaneFigures, slowest_lane},
        sqlite::{SqliteLedger, versions::known_versions},
        versions::{self, KnownVersion, MAX_LACKS, VersionState},
    },
    log::{Lane, ReindexLog, sqlite::SqliteLog},
    route::lookup::PAGE,
    run::RunError,
    saved::{self, SavedStatus},
    source::pulse::{self, Pulse},
    state::not_provisioned,
    store::Store,
};
#[cfg(feature = "kafka")]
use crate::{
    endpoints::KafkaEndpoint,
    ledger::{elastic::ElasticLedger, patient::PatientLedger},
    log::kafka::KafkaLog,
    patience::Patience,
};

/// The log, the ledger and the store of one index, and the plan that provision stored. Clones share them.
#[derive(Clone)]
pub struct Index {
    /// The plan that `run` runs.
    pub plan: Arc<IndexPlan>,
    /// The served index version.
    pub version: u32,
    /// The index versions that are written, the served one first.
    pub live: Vec<u32>,
    /// The sources that are routed: of the served plan, and of those that are fetched beside it.
    pub sources: Vec<SourcePlan>,
    #[cfg(feature = "kafka")]
    written: Written,
    /// Where log and ledger are.
    pub(crate) world: World,
    /// Where the documents of its versions are.
    pub(crate) place: Arc<Place>,
    /// The reindex log.
    pub log: Arc<dyn ReindexLog>,
    /// The ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The documents and the index over them: reads are of the served version, writes go to all that live and have its query.
    pub store: Arc<dyn Store>,
    /// The versions that live and have another query.
    pub queries: Vec<OtherQuery>,
    /// Searches of the served version.
    pub searcher: Arc<dyn Searcher>,
}

/// Where the log and the ledger of an index are.
#[derive(Clone)]
pub(crate) enum World {
    /// In a state file, which one process works on.
    Embedded(SqliteLog),
    /// On Kafka and in a hidden index, which several processes share.
    #[cfg(feature = "kafka")]
    Shared(KafkaLog),
    /// In a simulation, of one process or of several.
    #[cfg(test)]
    Simulated(crate::run::simulation::seat::Seat),
}

impl World {
    /// How many roots a lookup asks the index for at once.
    pub(crate) fn page_of_roots(&self) -> usize {
        match self {
            // Few, so that a handful of documents has many pages.
            #[cfg(test)]
            Self::Simulated(_) => 2,
            _ => PAGE,
        }
    }
}

/// What `status` says about an index.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// RUNNING, PAUSED or FAILED.
    #[serde(flatten)]
    pub state: IndexState,
    /// How many `run` processes published figures within ten seconds.
    pub processes: usize,
    /// The served index version.
    pub version: u32,
    /// Every index version, by number.
    pub versions: Vec<VersionStatus>,
    /// Documents that can be found.
    pub documents: u64,
    /// Entries that aren't complete, by lane.
    pub lag: Lag,
    /// Milliseconds from event to searchable, of the slowest process; nothing before the first event.
    pub freshness: Option<Freshness>,
    /// Documents that failed for now.
    pub held: u64,
    /// Events that could not be understood.
    pub dead_letters: u64,
    /// The newest backfill.
    pub backfill: Option<BackfillProgress>,
    /// The newest audit of each kind, running or ended.
    pub audits: Vec<AuditProgress>,
    /// Fan-outs that are too wide for the live lane.
    pub fan_outs: Vec<FanOutProgress>,
    /// Saved searches, and their matches that wait to be posted.
    pub saved: SavedStatus,
    /// How far each source is routed.
    pub sources: Vec<SourceProgress>,
    /// How the backfill lane gets on, in the process in which it waits for most; nothing while nobody rebuilds.
    pub lane: Option<LaneFigures>,
    /// Requests for documents that all processes together let be in flight now.
    pub limit: u64,
    /// Why the gateway is not asked right now.
    pub waiting: Option<String>,
}

/// An index version, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionStatus {
    /// Its number.
    pub number: u32,
    /// How far it is.
    #[serde(flatten)]
    pub state: VersionState,
    /// How many documents it lacks because it didn't take them.
    pub lacks: usize,
    /// Whether its query is another one than the served one's, so that its documents come from the graph alone.
    pub needs_backfill: bool,
}

/// Entries that aren't complete, by lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// Changes that people wait for.
    pub live: u64,
    /// Backfills and large fan-outs.
    pub backfill: u64,
}

/// A backfill with how many of its documents are rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackfillProgress {
    /// The backfill.
    #[serde(flatten)]
    pub backfill: Backfill,
    /// Ids that were enumerated and are rebuilt, superseded or held.
    pub rebuilt: u64,
}

/// An audit with what it found so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditProgress {
    /// Its kind.
    pub kind: AuditKind,
    /// When it began, milliseconds of Unix time.
    pub started_at: i64,
    /// When it ended; nothing while it runs.
    pub ended_at: Option<i64>,
    /// Ids that were looked at.
    pub looked: u64,
    /// The graph has them, the index doesn't.
    pub missing: u64,
    /// Their values are others.
    pub stale: u64,
    /// The index has them, the graph doesn't.
    pub ghosts: u64,
    /// Ids that were appended to the log because of it.
    pub repaired: u64,
}

impl From<AuditRow> for AuditProgress {
    fn from(AuditRow { kind, started_at, ended_at, report, .. }: AuditRow) -> Self {
        let Report { looked, missing, stale, ghosts, repaired, .. } = report;
        Self { kind, started_at, ended_at, looked, missing, stale, ghosts, repaired }
    }
}

/// How far the wide fan-outs of a source are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FanOutProgress {
    /// The source.
    pub source: String,
    /// Where the roots are found.
    pub found_in: FoundIn,
    /// How many keys are being fanned out.
    pub keys: usize,
    /// How many of their roots are in the throttled lane.
    pub roots: u64,
    /// Whether all of them are, and only their documents have to be rebuilt.
    pub appended: bool,
    /// How many keys wait for the next run.
    pub waiting_keys: usize,
}

impl From<FanOuts> for FanOutProgress {
    fn from(fan_outs: FanOuts) -> Self {
        let run = fan_outs.running.as_ref();
        Self {
            source: fan_outs.of.source,
            found_in: fan_outs.of.found_in,
            keys: run.map_or(0, |run| run.wanted.keys.len()),
            roots: run.map_or(0, |run| run.roots),
            appended: run.is_some_and(|run| run.through.is_some()),
            waiting_keys: fan_outs.waiting.keys.len(),
        }
    }
}

/// How far a source is routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceProgress {
    /// Its name.
    pub name: String,
    /// Everything before this position is in the log or a dead letter.
    pub position: Option<i64>,
    /// Why it is not read at all right now.
    pub waiting: Option<String>,
    /// What came through it lately, of processes that run.
    #[serde(flatten)]
    pub pulse: Pulse,
}

impl Index {
    /// Opens the provisioned index of this name; a server is not asked before it is needed.
    pub async fn open(name: &str, place: &Place) -> Result<Self, StateError> {
        place.check()?;
        #[cfg(feature = "kafka")]
        if let Some(kafka) = &place.kafka {
            return Self::open_shared(name, place, kafka).await;
        }
        let state = StateFile::open(&place.state, name)?;
        let known = known_versions(&state)?;
        let served = versions::served(&known).ok_or_else(|| not_provisioned(state.path()))?;
        let pauses = RetryPauses::from(&served.plan().errors);
        let ledger = Arc::new(SqliteLedger::new(state.clone(), pauses));
        let log = SqliteLog::new(state);
        Self::of(&known, served, World::Embedded(log.clone()), Arc::new(log), ledger, place)
    }

    /// The same index, as its ledger tells of it by now.
    pub(crate) async fn opened_anew(&self) -> Result<Self, StateError> {
        #[cfg(test)]
        if let World::Simulated(seat) = &self.world {
            return seat.open().await;
        }
        Self::open(&self.plan.name, &self.place).await
    }

    /// The index over all its versions that live.
    pub(crate) fn of(
        known: &[KnownVersion],
        served: &KnownVersion,
        world: World,
        log: Arc<dyn ReindexLog>,
        ledger: Arc<dyn Ledger>,
        place: &Place,
    ) -> Result<Self, StateError> {
        let open = |known: &KnownVersion| {
            OpenVersion::new(&world, place, Arc::new(known.plan().clone()), known.number())
        };
        let own = open(served)?;
        let others = known.iter().filter(|known| known.state.is_live() && known.number() != served.number());
        let live = [served.number()].into_iter().chain(others.clone().map(KnownVersion::number)).collect();
        // Of versions that have their query in common, one that holds every document is read.
        let (whole, parts): (Vec<_>, Vec<_>) = others.partition(|known| known.state.is_whole());
        let others = whole.into_iter().chain(parts).map(open).collect::<Result<Vec<_>, _>>()?;
        let (plan, version) = (Arc::clone(&own.plan), own.number);
        let searcher = Arc::clone(&own.searcher);
        let written = Written::of(own, others);
        let (store, queries) = (written.store(&ledger), written.queries(&ledger));
        let sources = routed([&*plan].into_iter().chain(queries.iter().map(|query| &*query.plan)));
        let place = Arc::new(place.clone());
        Ok(Self {
            plan,
            version,
            live,
            sources,
            #[cfg(feature = "kafka")]
            written,
            world,
            place,
            log,
            ledger,
            store,
            queries,
            searcher,
        })
    }

    /// Opens the searches of the provisioned index of this name, and nothing else of it. Its policies are asked at this address,
    /// where its plan wants a service.
    pub async fn searches(
        name: &str,
        place: &Place,
        policy_url: Option<String>,
    ) -> Result<ServedIndex, StateError> {
        place.check()?;
        #[cfg(feature = "kafka")]
        if place.kafka.is_some() {
            let (_, known) = ElasticLedger::open(place.client()?, name).await?;
            let lacking = || StateError::NotProvisioned(format!("the ledger of {name} serves no version"));
            return searches_of(&known, None, place, policy_url, lacking);
        }
        let state = StateFile::open(&place.state, name)?;
        let known = known_versions(&state)?;
        searches_of(&known, Some(&state), place, policy_url, || not_provisioned(state.path()))
    }

    /// Opens an index whose ledger is beside its documents and whose log is on Kafka.
    #[cfg(feature = "kafka")]
    async fn open_shared(name: &str, place: &Place, kafka: &KafkaEndpoint) -> Result<Self, StateError> {
        let (ledger, known) = ElasticLedger::open(place.client()?, name).await?;
        let lacking = || StateError::NotProvisioned(format!("the plan of {name} names no topics"));
        let served = versions::served(&known).ok_or_else(lacking)?;
        let topics = served.plan().kafka.clone().ok_or_else(lacking)?;
        let ledger = Arc::new(ledger);
        let log = KafkaLog::new(served, &known, &topics, kafka, &ledger)?;
        Self::of(&known, served, World::Shared(log.clone()), Arc::new(log), ledger, place)
    }

    /// The same index for a process that waits for its servers until it is stopped.
    #[cfg(feature = "kafka")]
    pub(crate) fn waiting_until(self, stop: &CancellationToken) -> Self {
        let patience = Patience::until(stop.clone());
        let (patience, world, log) = match self.world {
            World::Embedded(_) => return self,
            World::Shared(log) => {
                let log = log.with(patience.clone());
                (patience, World::Shared(log.clone()), Arc::new(log) as Arc<dyn ReindexLog>)
            }
            #[cfg(test)]
            World::Simulated(ref seat) => match seat.road() {
                Some(road) => (patience.over(road), World::Simulated(seat.clone()), self.log),
                None => return self,
            },
        };
        let ledger: Arc<dyn Ledger> = Arc::new(PatientLedger { ledger: self.ledger, patience });
        let (store, queries) = (self.written.store(&ledger), self.written.queries(&ledger));
        Self { world, log, ledger, store, queries, ..self }
    }

    /// The file of log and ledger; `None` where they are shared by several processes.
    pub fn state(&self) -> Option<&StateFile> {
        match &self.world {
            World::Embedded(log) => Some(log.state()),
            #[cfg(feature = "kafka")]
            World::Shared(_) => None,
            #[cfg(test)]
            World::Simulated(_) => None,
        }
    }

    /// How the index is doing, merged over all processes.
    pub async fn status(&self) -> Result<Status, StateError> {
        let figures = self.ledger.figures().await?;
        let held = self.ledger.held_count().await?;
        let dead_letters = self.log.dead_letter_count().await?;
        let pulses = pulse::merged(figures.iter().map(|figures| &figures.pulses));
        let mut sources = Vec::new();
        for source in &self.sources {
            let position = self.log.source_position(&source.name).await?;
            let waiting = self.log.source_waits_for(&source.name).await?;
            let pulse = pulses.get(&source.name).copied().unwrap_or_default();
            sources.push(SourceProgress { name: source.name.clone(), position, waiting, pulse });
        }
        Ok(Status {
            name: self.plan.name.clone(),
            state: self.ledger.state().await?,
            processes: figures.len(),
            version: self.version,
            versions: self.version_statuses().await?,
            documents: self.store.live_documents().await?,
            lag: Lag { live: self.log.lag(Lane::Live).await?, backfill: self.log.lag(Lane::Backfill).await? },
            freshness: figures
                .iter()
                .filter_map(|figures| figures.freshness)
                .max_by_key(|freshness| freshness.p99),
            held,
            dead_letters,
            backfill: self.newest_backfill().await?,
            audits: self.audits().await?,
            sources,
            fan_outs: self.ledger.fan_outs().await?.into_iter().map(FanOutProgress::from).collect(),
            saved: saved::status(&*self.ledger, &self.plan, &figures).await?,
            lane: slowest_lane(&figures),
            limit: figures.iter().map(|figures| figures.limit).sum(),
            waiting: figures.into_iter().find_map(|figures| figures.waiting),
        })
    }

    /// The newest audit of each kind. A new index has a row of a full one that never was: its time is counted from there.
    async fn audits(&self) -> Result<Vec<AuditProgress>, StateError> {
        let rows = self.ledger.audits().await?.into_iter();
        let happened = rows.filter(|row| row.ended_at.is_none() || row.report.looked > 0);
        Ok(happened.map(AuditProgress::from).collect())
    }

    async fn version_statuses(&self) -> Result<Vec<VersionStatus>, StateError> {
        let mut statuses = Vec::new();
        for (number, state) in self.ledger.version_states().await? {
            let lacks = self.ledger.lacks(number, MAX_LACKS).await?.len();
            let needs_backfill = self.queries.iter().any(|query| query.versions.contains(&number));
            statuses.push(VersionStatus { number, state, lacks, needs_backfill });
        }
        Ok(statuses)
    }

    /// The newest backfill with its progress.
    pub async fn newest_backfill(&self) -> Result<Option<BackfillProgress>, StateError> {
        match self.ledger.backfills().await?.pop() {
            Some(backfill) => self.progress(backfill).await.map(Some),
            None => Ok(None),
        }
    }

    /// The backfill of this number with its progress.
    pub async fn backfill(&self, number: i64) -> Result<Option<BackfillProgress>, StateError> {
        let backfills = self.ledger.backfills().await?;
        match backfills.into_iter().find(|backfill| backfill.number == number) {
            Some(backfill) => self.progress(backfill).await.map(Some),
            None => Ok(None),
        }
    }

    /// What stands behind a backfill in the lane is not its own.
    async fn progress(&self, backfill: Backfill) -> Result<BackfillProgress, StateError> {
        let waiting = match backfill.state {
            BackfillState::Done | BackfillState::Stopped => 0,
            _ => self.log.lag_through(Lane::Backfill, &backfill.through).await?,
        };
        let rebuilt = backfill.enumerated.saturating_sub(waiting);
        Ok(BackfillProgress { backfill, rebuilt })
    }

    /// The gateway at this address, as this index asks it; it is not asked before it is needed.
    pub fn gateway(&self, endpoint: &GraphEndpoint) -> Result<Arc<dyn Graph>, RunError> {
        Ok(Arc::new(HttpGraph::new(endpoint, self.request_timeout())?))
    }

    /// How long one request to the gateway may take.
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.plan.graph.timeout_ms)
    }
}

/// The searches of the served one of these versions.
fn searches_of(
    known: &[KnownVersion],
    state: Option<&StateFile>,
    place: &Place,
    policy_url: Option<String>,
    lacking: impl FnOnce() -> StateError,
) -> Result<ServedIndex, StateError> {
    let served = versions::served(known).ok_or_else(lacking)?;
    let plan = Arc::new(served.plan().clone());
    Ok(OpenVersion::stored(state, place, plan, served.number())?.into_served(policy_url))
}
