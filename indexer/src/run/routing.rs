//! The routing half of a process: one route a source.

use std::sync::{Arc, Mutex};

use plan::{
    Diagnostic, SourcePlan, SourceText,
    filter::{self, Filter},
    index_plan::SourceInput,
};
use tokio_util::sync::CancellationToken;

use super::{ONCE_GIVES_UP_AFTER, Process, RunError};
use crate::{
    Index,
    graph::Graph,
    route::{Route, barrier::Barrier, lookup::Lookup, wide::Marks},
    source::{Source, file::FileSource, inbox::InboxSource},
};

impl Process {
    /// Whether a source is one that the configuration didn't name when this process read it: only a new index version needs it.
    pub(super) fn is_out_of_reach(&self, plan: &SourcePlan) -> bool {
        let is_served = self.index.plan.source(&plan.name).is_some();
        !is_served && plan.input == SourceInput::File && !self.endpoints.source_files.contains_key(&plan.name)
    }

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
        let give_up_after = once.then_some(ONCE_GIVES_UP_AFTER);
        let lookup = lookup(&self.index, plan, Arc::clone(&self.graph), give_up_after);
        let lookup = Lookup { meter: Arc::clone(&self.meter), ..lookup };
        Ok(Route {
            filter: condition(plan)?,
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

/// Finds the roots of a source's related entities.
pub(super) fn lookup(
    index: &Index,
    plan: &SourcePlan,
    graph: Arc<dyn Graph>,
    give_up_after: Option<u32>,
) -> Lookup {
    Lookup {
        source: plan.clone(),
        root_kind: index.plan.key.kind,
        not_found_codes: index.plan.errors.not_found_codes.clone(),
        indexes: index.looked_up(&plan.name),
        graph,
        give_up_after,
        answered: Mutex::default(),
        marks: Marks::default(),
        page: index.world.page_of_roots(),
        meter: Arc::default(),
    }
}

/// A source's `where`. Codegen checked it, so only a plan that another program wrote can fail here.
pub(super) fn condition(plan: &SourcePlan) -> Result<Option<Filter>, RunError> {
    let Some(text) = &plan.filter else { return Ok(None) };
    let text = SourceText { name: format!("sources.{}.where", plan.name), text: text.clone() };
    let unreadable = |finding: Diagnostic| RunError::Condition(plan.name.clone(), finding.message);
    filter::parse(&text.into()).map(Some).map_err(unreadable)
}
