//! Who may see what: how a caller is named, and where the filter of each comes from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The policy of those that [`Policies::Filters`] doesn't name, and of callers that name nobody.
pub const DEFAULT_POLICY: &str = "default";

/// Restricts searches by who asks. The filter of a caller holds beside all that the caller asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPlan {
    /// The header that an authenticated client names the caller in, in small letters.
    pub header: String,
    /// Where the filter of a caller comes from.
    pub policies: Policies,
}

/// Where the filter of a caller comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policies {
    /// Filters by caller, each checked against the fields. Without [`DEFAULT_POLICY`] nobody else may search.
    Filters(BTreeMap<String, String>),
    /// A service of the user's, whose address is in the configuration: it is no part of a plan.
    Service,
}
