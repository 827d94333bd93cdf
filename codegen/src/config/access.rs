//! `search.access:` — who may see what: how callers are named, and a filter for each.

use std::collections::BTreeMap;

use plan::{
    Diagnostic, FieldTree,
    code::config as codes,
    index_plan::{AccessPlan, Policies},
};

use super::{
    Config,
    graph::{read_header_name, read_url},
    reader::{Item, Located, Reader},
    written::Value,
};
use crate::filters;

/// Restricts searches by who asks.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessConfig {
    /// The header that names the caller, in small letters.
    pub header: String,
    /// Where the filters come from.
    pub policies: AccessRules,
}

/// Where the filters of callers come from.
#[derive(Debug, Clone, PartialEq)]
pub enum AccessRules {
    /// The file itself. The filters are checked by [`crate::compile`].
    Filters(Vec<CallerPolicy>),
    /// A service, at this address.
    Service(Located<String>),
}

/// What one caller may see.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerPolicy {
    /// The caller, or `default`.
    pub caller: Located<String>,
    /// What must hold of a document.
    pub filter: Located<String>,
}

pub(super) fn read(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<AccessConfig> {
    let mut access = reader.section(item)?;
    let name_it = "name the header that says who asks: `caller: { header: x-caller }`";
    let header = access.require(reader, "caller", name_it, |reader, item| {
        let mut caller = reader.section(item)?;
        let header =
            caller.require(reader, "header", "name the header, such as x-caller", read_caller_header);
        caller.finish(reader);
        header
    });
    let (policies, url) = (access.take("policies"), access.take("policy_url"));
    access.finish(reader);
    if let (Some(_), Some(url)) = (&policies, &url) {
        let message = "`search.access` has policies in two places".to_owned();
        reader.error(codes::SS110, &url.range, message, "give one of `policies` and `policy_url`");
    }
    let url = url.map(|url| read_url(reader, &url));
    let policies = match (policies, url) {
        (Some(policies), _) => AccessRules::Filters(read_policies(reader, &policies)),
        (None, Some(url)) => AccessRules::Service(url?),
        (None, None) => {
            let message = "`search.access` says nothing of what callers may see".to_owned();
            let help = "give filters by caller, such as `policies: { default: \"true\" }`, or a `policy_url`";
            reader.missing(codes::SS103, &item.range, message, help);
            return None;
        }
    };
    Some(AccessConfig { header: header?, policies })
}

/// Names are compared without regard to case; HTTP/2 writes them small.
fn read_caller_header(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let name = reader.filled_text(item)?;
    read_header_name(reader, &name).map(|name| name.to_ascii_lowercase())
}

fn read_policies(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<CallerPolicy> {
    let policies = reader.named(item);
    if policies.is_empty() {
        let message = "`search.access.policies` is empty: nobody could search".to_owned();
        let help = "a filter for each caller: `policies: { default: \"status == 'RELEASED'\", staff: true }`";
        reader.missing(codes::SS103, &item.range, message, help);
    }
    let policy = |(caller, item): (Located<String>, Item<'_>)| {
        // YAML takes `true` for a boolean; it is the filter that shows everything.
        let filter = match item.node.value {
            Value::Bool(all) => Some(Located { value: all.to_string(), range: item.range.clone() }),
            _ => reader.filled_text(&item),
        };
        Some(CallerPolicy { caller, filter: filter? })
    };
    policies.into_iter().filter_map(policy).collect()
}

/// What of it is part of the plan; each filter is checked against the fields.
pub(crate) fn plan(
    config: &Config,
    tree: &FieldTree,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<AccessPlan> {
    let AccessConfig { header, policies } = config.search.access.as_ref()?;
    let policies = match policies {
        AccessRules::Service(_) => Policies::Service,
        AccessRules::Filters(policies) => {
            let mut filters = BTreeMap::new();
            for CallerPolicy { caller, filter } in policies {
                diagnostics.extend(filters::mistakes(config, tree, filter));
                filters.insert(caller.value.clone(), filter.value.clone());
            }
            Policies::Filters(filters)
        }
    };
    Some(AccessPlan { header: header.clone(), policies })
}
