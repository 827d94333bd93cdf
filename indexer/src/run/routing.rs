//! The routing half of a process: one route a source.

use std::sync::{Arc, Mutex};

use plan::{
    SourcePlan, SourceText,
    filter::{self, Filter},
    index_plan::SourceInput,
};
use tokio_util::sync::CancellationToken;

use super::{ONCE_GIVES_UP_AFTER, Process, RunError};
use crate::{
    route::{Route, barrier::Barrier, lookup::Lookup},
    source::{Source, file::FileSource, inbox::InboxSource},
};

impl Process {
    /// The route of a source that is read by one process alone.
    pub(super) fn local_route(
        &self,
        plan: &SourcePlan,
        once: bool,
        stop: &CancellationToken,
    ) -> Result<Route, RunError> {
        let unknown = || RunError::UnknownSource(plan.name.clone());
        let source: Box<dyn Source> = match &plan.input {
            SourceInput::Http => {
                let state = self.index.state().cloned().ok_or_else(unknown)?;
                Box::new(InboxSource::new(&plan.name, state))
            }
            SourceInput::File => {
                let path = self.endpoints.source_files.get(&plan.name).ok_or_else(unknown)?;
                Box::new(FileSource::new(&plan.name, path))
            }
            SourceInput::Topic(_) => return Err(unknown()),
        };
        self.route(plan, source, Barrier::OwnFetches(Arc::clone(&self.fetches)), once, stop)
    }

    pub(super) fn route(
        &self,
        plan: &SourcePlan,
        source: Box<dyn Source>,
        barrier: Barrier,
        once: bool,
        stop: &CancellationToken,
    ) -> Result<Route, RunError> {
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
            barrier,
            meter: Arc::clone(&self.meter),
            stop: stop.clone(),
            once,
        })
    }
}

/// A source's `where`. Codegen checked it, so only a plan that another program wrote can fail here.
fn condition(source: &str, text: &str) -> Result<Filter, RunError> {
    let text = SourceText { name: format!("sources.{source}.where"), text: text.to_owned() };
    filter::parse(&text.into()).map_err(|finding| RunError::Condition(source.to_owned(), finding.message))
}
