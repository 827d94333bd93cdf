//! Saved searches, parsed, and kept as long as nobody changes them.

use std::{sync::Arc, time::Duration};

use plan::{
    Diagnostic, FieldTree, IndexPlan,
    code::search::SS730,
    filter::{self, CheckedFilter, FilterSet},
};
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::SavedFigures;
use crate::{
    StateError,
    ledger::{Ledger, SavedSearch, figures::Meter},
};

/// How often it is looked whether saved searches were changed.
const LOOK: Duration = Duration::from_secs(1);

/// How often they are read though nobody seems to have changed them: whoever changed one may have died before it said so.
const READ_ANYWAY: Duration = Duration::from_mins(1);

/// Names of broken searches that are told.
const MAX_TOLD: usize = 100;

/// Saved searches held against the fields of one plan.
#[derive(Debug, Default)]
pub struct Known {
    /// In order; by the place of its filter in the set.
    names: Vec<String>,
    set: FilterSet,
    broken: Vec<Broken>,
}

/// A saved search that doesn't fit the plan, so that nothing matches it.
#[derive(Debug, Clone)]
pub struct Broken {
    /// The search.
    pub search: SavedSearch,
    /// What is wrong with its filter; at least one error.
    pub mistakes: Vec<Diagnostic>,
}

/// Reads the filter of a saved search.
pub fn checked(search: &SavedSearch, fields: &FieldTree) -> Result<CheckedFilter, Vec<Diagnostic>> {
    filter::checked(&format!("saved search {:?}", search.name), search.filter.as_str(), fields)
}

impl Known {
    /// Parses them.
    pub fn read(mut searches: Vec<SavedSearch>, fields: &FieldTree) -> Self {
        searches.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let (mut names, mut filters, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        for search in searches {
            match checked(&search, fields) {
                Ok(filter) => {
                    names.push(search.name);
                    filters.push(filter);
                }
                Err(mistakes) => broken.push(Broken { search, mistakes }),
            }
        }
        Self { names, set: FilterSet::new(filters), broken }
    }

    /// Whether no document can match any.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// Those that a document matches at this time, by name.
    pub fn matching(&self, document: &Value, now_ms: i64) -> Vec<&str> {
        let matching = self.set.matching(document, now_ms).into_iter();
        matching.map(|number| self.names[number].as_str()).collect()
    }

    /// The filter of a search; `None` where there is none of this name that fits.
    pub fn filter(&self, name: &str) -> Option<&CheckedFilter> {
        let number = self.names.binary_search_by(|known| known.as_str().cmp(name)).ok()?;
        self.set.get(number)
    }

    /// Those that don't fit.
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// What is told of them.
    pub fn figures(&self) -> SavedFigures {
        let broken = self.broken.iter().take(MAX_TOLD).map(|broken| broken.search.name.clone());
        SavedFigures { searches: self.names.len() + self.broken.len(), broken: broken.collect() }
    }
}

impl Broken {
    /// That nothing will match it, for `plan`.
    pub(super) fn warnings(&self) -> impl Iterator<Item = Diagnostic> {
        self.mistakes.iter().map(|mistake| {
            let message = format!(
                "the saved search {:?} matches nothing by this plan: {}",
                self.search.name, mistake.message
            );
            let warning = Diagnostic::warning(SS730, message);
            let warning = match &mistake.place {
                Some((source, range)) => warning.at(source, range.clone()),
                None => warning,
            };
            match &mistake.help {
                Some(help) => warning.help(help.clone()),
                None => warning,
            }
        })
    }
}

/// Reads saved searches from the ledger, and again when they were changed.
pub(crate) struct Reading {
    plan: Arc<IndexPlan>,
    ledger: Arc<dyn Ledger>,
    meter: Arc<Meter>,
    last: Mutex<Option<Last>>,
}

/// What was read last.
struct Last {
    known: Arc<Known>,
    revision: u64,
    looked_at: Instant,
    read_at: Instant,
}

impl Reading {
    /// Reads nothing yet.
    pub(crate) fn new(plan: Arc<IndexPlan>, ledger: Arc<dyn Ledger>, meter: Arc<Meter>) -> Self {
        Self { plan, ledger, meter, last: Mutex::default() }
    }

    /// The saved searches as they were a second ago or later.
    pub(crate) async fn known(&self) -> Result<Arc<Known>, StateError> {
        let mut last = self.last.lock().await;
        let now = Instant::now();
        if let Some(last) = last.as_ref().filter(|last| now < last.looked_at + LOOK) {
            return Ok(Arc::clone(&last.known));
        }
        // First the number: what is changed between the two reads is read again.
        let revision = self.ledger.saved_revision().await?;
        if let Some(last) =
            last.as_mut().filter(|last| last.revision == revision && now < last.read_at + READ_ANYWAY)
        {
            last.looked_at = now;
            return Ok(Arc::clone(&last.known));
        }
        let searches = match revision {
            0 => Vec::new(), // nobody ever saved one
            _ => self.ledger.saved_searches().await?,
        };
        let known = Arc::new(Known::read(searches, &self.plan.fields));
        for Broken { search, mistakes } in known.broken().iter().take(MAX_TOLD) {
            let mistake = mistakes.first().map_or("", |mistake| &mistake.message);
            tracing::warn!(code = SS730.id, "the saved search {:?} matches nothing: {mistake}", search.name);
        }
        self.meter.saved_are(known.figures());
        *last = Some(Last { known: Arc::clone(&known), revision, looked_at: now, read_at: now });
        Ok(known)
    }
}
