//! Policies: what a caller may see, as a filter that holds beside all that the caller asks.
//!
//! Text, filters, sorting, facets, suggestions and cursors can't get past it, because they never meet a document that it
//! excludes, and a cursor is good for one filter only, the policy's part included. Where no policy can be had, nobody searches.

mod service;

use std::collections::BTreeMap;

use plan::{
    Code, FieldTree, IndexPlan,
    code::search as codes,
    filter::{self, CheckedFilter},
    index_plan::{DEFAULT_POLICY, Policies},
};

use service::Service;

/// The longest name of a caller, in bytes. What is longer was made up, and would only fill memory.
pub const MAX_CALLER_BYTES: usize = 1_024;

/// The policies of one index.
pub struct Access {
    header: String,
    rules: Rules,
}

enum Rules {
    /// By caller.
    Filters(BTreeMap<String, CheckedFilter>),
    /// Asked for each caller.
    Service(Service),
}

/// Why a caller may not search.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// No policy lets the caller in.
    #[error("{}", denied(.caller.as_deref()))]
    Denied {
        /// The caller; `None`: nobody was named.
        caller: Option<String>,
    },
    /// The policy service could not be asked.
    #[error("the policy service gives no answer: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// A policy does not fit the index.
    #[error("the policy of {caller} is no filter of {index}: {reason}")]
    NoFilter {
        /// Whose policy it is.
        caller: String,
        /// The index.
        index: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The plan wants a service, and its address is not known.
    #[error("no policy service is named, and the plan of {index} wants one")]
    NoService {
        /// The index.
        index: String,
    },
    /// No client can be made, or the address is none.
    #[error("the policy service can't be asked: {reason}")]
    BadService {
        /// Why.
        reason: String,
    },
}

fn denied(caller: Option<&str>) -> String {
    match caller {
        Some(caller) => format!("{caller:?} may not search this index"),
        None => "who names nobody may not search this index".to_owned(),
    }
}

impl AccessError {
    /// The diagnostic code.
    pub fn code(&self) -> Code {
        match self {
            AccessError::Denied { .. } => codes::SS723,
            AccessError::Unavailable { .. }
            | AccessError::NoService { .. }
            | AccessError::BadService { .. } => codes::SS724,
            AccessError::NoFilter { .. } => codes::SS725,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            AccessError::Denied { .. } => {
                "ask the index's owner for a policy: `search.access` names callers and what each may see"
            }
            AccessError::Unavailable { .. } => {
                "ask again; if it stays, look at the service of `search.access.policy_url`"
            }
            AccessError::NoFilter { .. } => {
                "mend the policy at the service: it is asked again within seconds"
            }
            AccessError::NoService { .. } => "the configuration has changed: run `studio-search provision`",
            AccessError::BadService { .. } => "check `search.access.policy_url`",
        }
    }
}

impl Access {
    /// The policies that a plan tells; `None`: whoever may ask sees everything. The address of the service is no part of a plan.
    pub fn of(plan: &IndexPlan, service: Option<&str>) -> Result<Option<Self>, AccessError> {
        let Some(access) = &plan.search.access else { return Ok(None) };
        let rules = match &access.policies {
            Policies::Filters(filters) => {
                let filters = filters.iter().map(|(caller, text)| {
                    Ok((caller.clone(), checked(&plan.fields, &plan.name, caller, text)?))
                });
                Rules::Filters(filters.collect::<Result<_, AccessError>>()?)
            }
            Policies::Service => {
                let url = service.ok_or_else(|| AccessError::NoService { index: plan.name.clone() })?;
                Rules::Service(Service::new(plan, url)?)
            }
        };
        Ok(Some(Self { header: access.header.clone(), rules }))
    }

    /// The header that an authenticated client names the caller in, in small letters.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// What must hold of every document that this caller sees, counts included. `None` is who names nobody, or isn't believed.
    pub async fn filter(&self, caller: Option<&str>) -> Result<CheckedFilter, AccessError> {
        let denied = || AccessError::Denied { caller: caller.map(str::to_owned) };
        if caller.is_some_and(|caller| caller.len() > MAX_CALLER_BYTES) {
            return Err(AccessError::Denied { caller: Some("a very long name".to_owned()) });
        }
        match &self.rules {
            Rules::Filters(filters) => {
                let own = caller.and_then(|caller| filters.get(caller));
                own.or_else(|| filters.get(DEFAULT_POLICY)).cloned().ok_or_else(denied)
            }
            Rules::Service(service) => service.filter(caller).await?.ok_or_else(denied),
        }
    }
}

/// A policy's text as a filter of the index.
fn checked(fields: &FieldTree, index: &str, caller: &str, text: &str) -> Result<CheckedFilter, AccessError> {
    filter::checked("<policy>", text, fields).map_err(|mistakes| AccessError::NoFilter {
        caller: caller.to_owned(),
        index: index.to_owned(),
        reason: mistakes.first().map_or_else(String::new, |mistake| mistake.message.clone()),
    })
}

#[cfg(test)]
mod tests;
