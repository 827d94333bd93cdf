//! The backfill that follows a plan: a line of what the graph will be asked for. Where that can't be told, the line says why, and
//! the plan is shown all the same.

use std::{fmt, sync::Arc, time::Duration};

use indexer::{
    backfill::estimate::{Ahead, Counted, Forecast},
    graph::http::HttpGraph,
    provision::{Change, fills_from_graph},
};
use plan::IndexPlan;
use serde::Serialize;

use crate::{
    moment::{moment, span},
    project::Project,
};

/// What is known of the backfill.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outlook {
    /// What it will come to.
    Told(Forecast),
    /// Nothing can be told.
    Untold {
        /// Why.
        unknown: String,
    },
}

/// Foretells the backfill that follows these changes; `None` where none does, or ids come by events alone.
pub(super) async fn outlook(project: &Project, plan: &IndexPlan, changes: &[Change]) -> Option<Outlook> {
    if !fills_from_graph(changes) || plan.backfill.ids.is_none() {
        return None;
    }
    Some(match forecast(project, plan).await {
        Ok(forecast) => Outlook::Told(forecast),
        Err(error) => Outlook::Untold { unknown: error },
    })
}

async fn forecast(project: &Project, plan: &IndexPlan) -> Result<Forecast, String> {
    let plan = Arc::new(plan.clone());
    let timeout = Duration::from_millis(plan.graph.timeout_ms);
    let graph = HttpGraph::new(&project.gateway(), timeout).map_err(|error| error.to_string())?;
    // The first plan has none to look at.
    let served = project.index().await.ok();
    let (ids_file, place) = (project.ids_file(), project.place());
    let ahead = Ahead {
        plan: &plan,
        graph: &graph,
        ids_file,
        brokers: place.kafka.as_ref(),
        served: served.as_ref(),
    };
    ahead.forecast().await.map_err(|error| error.to_string())
}

impl fmt::Display for Outlook {
    #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forecast = match self {
            Self::Told(forecast) => forecast,
            Self::Untold { unknown } => return write!(f, "backfill: can't be told now: {unknown}"),
        };
        let Forecast { documents, counted, requests, seconds, next_window } = *forecast;
        let count = match counted {
            Counted::Exactly => "",
            Counted::Told | Counted::AsIndexed => "about ",
            Counted::AtLeast => "at least ",
            Counted::AtMost => "at most ",
        };
        write!(f, "backfill: {count}{documents} documents, {requests} requests")?;
        if let Some(seconds) = seconds {
            write!(f, ", about {}", span((seconds * 1_000.0) as i64))?;
        }
        match next_window {
            Some(opens) => write!(f, ", from {} on", moment(opens)),
            None => Ok(()),
        }
    }
}
