//! Promotion and rollback: another index version is served from one moment on, when its checks hold.
//!
//! The ledger decides, by compare-and-set, who of several is first; the alias of a server follows it. A promotion that broke off
//! between the two is finished by the next one.

mod sample;

use std::{sync::Arc, time::Duration};

use plan::{
    Code, IndexPlan,
    code::backfill::{SS604, SS605, SS606},
    filter::{self, CheckedFilter},
};
use search::{SearchError, SearchRequest, SearchResponse, Sort};
use tokio::time::{Instant, sleep};

use self::sample::{Compared, Sample};
use crate::{
    Index, StateError,
    graph::Graph,
    index::OpenVersion,
    ledger::versions::{KnownVersion, Lack, VersionState, served},
};

/// How long processes may take to follow the promotion before. They look each second, and end what runs.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(30);

/// Documents that differ from the graph, and are named.
const NAMED: usize = 3;

/// How often it is looked whether they have.
const FOLLOW_POLL: Duration = Duration::from_millis(200);

/// A search that the version to be promoted must answer, and find something where the served one does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smoke {
    /// How the failure of it is told.
    pub name: String,
    /// Words.
    pub text: Option<String>,
    /// A condition.
    pub filter: Option<String>,
    /// `PATH` or `PATH:desc`.
    pub sort: Vec<String>,
    /// Paths whose values are counted.
    pub facets: Vec<String>,
}

/// What was promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promoted {
    /// The version that was served before.
    pub from: u32,
    /// The version that is served now; the same where it was already.
    pub to: u32,
    /// Its documents that it didn't take, and that are fetched anew.
    pub lacks: usize,
}

/// Why nothing was promoted.
#[derive(Debug, thiserror::Error)]
pub enum PromotionError {
    /// The ledger or the store.
    #[error(transparent)]
    State(#[from] StateError),
    /// A count failed.
    #[error("the index version can't be searched: {0}")]
    Search(#[from] SearchError),
    /// There is no version that could be served instead.
    #[error("there is no index version to {0}")]
    Nothing(&'static str),
    /// It is another version, or none.
    #[error("index version {number} can't be served: {reason}")]
    NotWhole {
        /// The version that was asked for.
        number: u32,
        /// Why.
        reason: String,
    },
    /// The checks don't hold.
    #[error("index version {number} is not promoted: {}", failures.join("; "))]
    Checks {
        /// The version.
        number: u32,
        /// What doesn't hold.
        failures: Vec<String>,
    },
    /// Somebody else was faster.
    #[error(
        "another promotion was faster: index version {0} isn't served any more, or the other one can't be"
    )]
    Overtaken(u32),
    /// A process still works by the promotion before.
    #[error(
        "process {0} has not followed the last promotion yet, and searches would go back behind what it writes"
    )]
    Unfollowed(String),
}

impl PromotionError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            Self::State(error) => error.code(),
            Self::Search(error) => error.code(),
            Self::Nothing(_) | Self::NotWhole { .. } => SS605,
            Self::Checks { .. } => SS604,
            Self::Overtaken(_) | Self::Unfollowed(_) => SS606,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::State(error) => error.help(),
            Self::Search(_) => None,
            Self::Nothing(_) | Self::NotWhole { .. } => {
                Some("`studio-search status` shows the versions; `provision` makes one, and `run` fills it")
            }
            Self::Checks { .. } => {
                Some("the served version stays; mend the mapping, or `backfill.checks`, and provision that")
            }
            Self::Overtaken(_) => Some("`studio-search status` shows which one is served now"),
            Self::Unfollowed(_) => Some("end that process if it hangs, or try it again in a minute"),
        }
    }
}

/// As [`promote_audited`], without asking the graph.
pub async fn promote(
    index: &Index,
    number: Option<u32>,
    smoke: &[Smoke],
) -> Result<Promoted, PromotionError> {
    promote_checked(index, number, smoke, None).await
}

/// Serves the version of this number, or the newest that waits for it, if its checks hold; some of its documents are compared
/// with this graph.
pub async fn promote_audited(
    index: &Index,
    number: Option<u32>,
    smoke: &[Smoke],
    graph: Arc<dyn Graph>,
) -> Result<Promoted, PromotionError> {
    promote_checked(index, number, smoke, Some(graph)).await
}

async fn promote_checked(
    index: &Index,
    number: Option<u32>,
    smoke: &[Smoke],
    graph: Option<Arc<dyn Graph>>,
) -> Result<Promoted, PromotionError> {
    let versions = index.versions().await?;
    let now = served(&versions).ok_or(PromotionError::Nothing("promote"))?;
    let waits = |known: &&KnownVersion| {
        known.state == VersionState::Ready
            || known.state == VersionState::Kept && known.number() > now.number()
    };
    let wanted = match (number, versions.iter().rev().find(waits)) {
        (Some(number), _) => whole(index, &versions, number).await?,
        (None, Some(wanted)) => wanted,
        (None, None) => {
            let is_on_its_way = |known: &&KnownVersion| known.state.is_live() && known.state.is_new();
            let on_its_way = versions.iter().rev().find(is_on_its_way);
            let number = on_its_way.ok_or(PromotionError::Nothing("promote"))?.number();
            whole(index, &versions, number).await?
        }
    };
    let (before, after) = (index.open_version(now)?, index.open_version(wanted)?);
    let mut failures = failures(&before, &after, smoke).await?;
    let documents = after.plan.backfill.checks.sample;
    if let Some(graph) =
        graph.filter(|_| failures.is_empty() && before.number != after.number && documents > 0)
    {
        let sample = Sample { index, before: &before, after: &after, graph, documents };
        failures.extend(differing(&sample.compare().await?));
    }
    if !failures.is_empty() {
        return Err(PromotionError::Checks { number: after.number, failures });
    }
    serve(index, &before, &after).await
}

/// Serves the newest version again that is older than the served one and still written.
pub async fn roll_back(index: &Index) -> Result<Promoted, PromotionError> {
    const ROLL_BACK: PromotionError = PromotionError::Nothing("roll back to");
    let versions = index.versions().await?;
    let now = served(&versions).ok_or(ROLL_BACK)?;
    let is_before =
        |known: &&KnownVersion| known.state == VersionState::Kept && known.number() < now.number();
    let wanted = versions.iter().rev().find(is_before).ok_or(ROLL_BACK)?;
    serve(index, &index.open_version(now)?, &index.open_version(wanted)?).await
}

/// The version of this number, which holds every document.
async fn whole<'k>(
    index: &Index,
    versions: &'k [KnownVersion],
    number: u32,
) -> Result<&'k KnownVersion, PromotionError> {
    let refused = |reason| PromotionError::NotWhole { number, reason };
    let known = versions.iter().find(|known| known.number() == number);
    let known = known.ok_or_else(|| refused("it isn't there".to_owned()))?;
    if known.state.is_whole() {
        return Ok(known);
    }
    let (mut reasons, mut mend) = (vec![format!("it is {}", known.state.name())], "");
    if let VersionState::Filling { filled, .. } = known.state {
        let lacks = index.ledger.lacks(number, crate::ledger::versions::MAX_LACKS).await?;
        reasons.push(format!("{filled} documents of the served version are there so far"));
        let lacking =
            |lack: &Lack| format!("{} are lacking, such as {}: {}", lacks.len(), lack.id, lack.reason);
        reasons.extend(lacks.first().map(lacking));
        if known.plan().fetch.query_hash != index.plan.fetch.query_hash {
            mend = "; a backfill fills it: `backfill start --into-new-version`";
        }
    }
    Err(refused(reasons.join(", ") + mend))
}

async fn serve(index: &Index, before: &OpenVersion, after: &OpenVersion) -> Result<Promoted, PromotionError> {
    let (from, to) = (before.number, after.number);
    let lacks = index.ledger.lacks(to, crate::ledger::versions::MAX_LACKS).await?.len();
    if from != to {
        is_followed(index, from).await?;
        after.refresh().await?;
        if !index.ledger.promote(from, to).await? {
            return Err(PromotionError::Overtaken(from));
        }
    }
    lead_alias(index).await?;
    Ok(Promoted { from, to, lacks })
}

/// Waits until every process takes this version for the served one. Such a process writes it last, so that what a search of it
/// has shown is in all the others.
async fn is_followed(index: &Index, served: u32) -> Result<(), PromotionError> {
    let begun = Instant::now();
    loop {
        let figures = index.ledger.figures().await?;
        let behind = figures.into_iter().find(|figures| figures.versions.first() != Some(&served));
        match behind {
            None => return Ok(()),
            Some(behind) if begun.elapsed() >= FOLLOWED_WITHIN => {
                return Err(PromotionError::Unfollowed(behind.process));
            }
            Some(_) => sleep(FOLLOW_POLL).await,
        }
    }
}

/// Lets the alias follow the ledger; of several who do that at once the last one sees the last word.
pub(crate) async fn lead_alias(index: &Index) -> Result<(), StateError> {
    let mut led = None;
    loop {
        let versions = index.versions().await?;
        let Some(now) = served(&versions).filter(|now| led != Some(now.number())) else { return Ok(()) };
        index.open_version(now)?.point_alias().await?;
        led = Some(now.number());
    }
}

/// What doesn't hold of the checks of a version.
async fn failures(
    before: &OpenVersion,
    after: &OpenVersion,
    smoke: &[Smoke],
) -> Result<Vec<String>, PromotionError> {
    let checks = &after.plan.backfill.checks;
    let mut failures = Vec::new();
    after.refresh().await?;
    let (there, here) = (before.store().live_documents().await?, after.store().live_documents().await?);
    if let Some(ratio) = checks.min_count_ratio
        && share(here, there) < ratio
    {
        failures.push(format!(
            "it has {here} documents and the served version {there}, and `min_count_ratio` is {ratio}"
        ));
    }
    for path in &checks.required {
        let missing = count(after, &format!("NOT {path} EXISTS")).await?;
        if missing > 0 && share(missing, here) > checks.max_missing {
            let most = checks.max_missing;
            failures
                .push(format!("{missing} of {here} documents have no `{path}`, and `max_missing` is {most}"));
        }
    }
    for smoke in smoke {
        // What the served version can't answer was never a promise.
        let Ok(known) = smoke.answer(before).await else { continue };
        match smoke.answer(after).await {
            Ok(found) if found.total == 0 && known.total > 0 => failures.push(format!(
                "the search of {:?} finds nothing, and {} documents in the served version",
                smoke.name, known.total
            )),
            Ok(_) => {}
            Err(error) => failures.push(format!("the search of {:?} fails: {error}", smoke.name)),
        }
    }
    Ok(failures)
}

/// What the comparison with the graph says against the version.
fn differing(compared: &Compared) -> Option<String> {
    match compared {
        Compared::Alike => None,
        Compared::Different { documents, of } => {
            let named = documents.iter().take(NAMED).map(|(id, kind)| format!("{id} ({})", kind.name()));
            let named: Vec<String> = named.collect();
            let more = if documents.len() > NAMED { ", among others" } else { "" };
            let count = documents.len();
            Some(format!(
                "{count} of {of} documents that were compared differ from the graph: {}{more}",
                named.join(", ")
            ))
        }
        Compared::Unsettled(count) => Some(format!(
            "{count} documents differ from the graph, and entries that may be about them wait in the lanes: try it again later"
        )),
        Compared::Unanswered(error) => Some(format!(
            "its documents can't be compared with the graph ({error}); `sample: 0` under `backfill.checks` leaves that out"
        )),
    }
}

#[expect(clippy::cast_precision_loss, reason = "an index has far fewer documents than 2^52")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// How many documents of a version fulfil a condition.
async fn count(version: &OpenVersion, condition: &str) -> Result<u64, PromotionError> {
    let filter = checked(&version.plan, condition).map_err(|reason| PromotionError::Checks {
        number: version.number,
        failures: vec![format!("{condition} can't be asked: {reason}")],
    })?;
    let request = SearchRequest { filter: Some(filter), ..nothing() };
    Ok(version.searcher.search(request).await?.total)
}

fn checked(plan: &IndexPlan, condition: &str) -> Result<CheckedFilter, String> {
    filter::checked("<filter>", condition, &plan.fields).map_err(|mistakes| {
        mistakes.into_iter().map(|mistake| mistake.message).collect::<Vec<_>>().join("; ")
    })
}

/// A search of everything, that counts alone.
fn nothing() -> SearchRequest {
    SearchRequest { first: 0, ..SearchRequest::default() }
}

impl Smoke {
    async fn answer(&self, version: &OpenVersion) -> Result<SearchResponse, String> {
        let filter = self.filter.as_ref().map(|text| checked(&version.plan, text)).transpose()?;
        let sort = |text: &String| text.parse::<Sort>().unwrap_or_else(|never| match never {});
        let request = SearchRequest {
            text: self.text.clone(),
            filter,
            facets: self.facets.clone(),
            sort: self.sort.iter().map(sort).collect(),
            ..nothing()
        };
        version.searcher.search(request).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
