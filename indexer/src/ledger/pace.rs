//! What people want of the backfill lane, whichever backfills fill it: pause it, hurry, drop what is in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::{StateError, log::Ends};

/// What people want of the backfill lane. There is one of it beside the state of the index.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneWishes {
    /// Whether nothing of it is fetched.
    pub paused: bool,
    /// Entries of backfills up to these positions are dropped: their backfills were stopped.
    pub stopped: Ends,
    /// What was said of single backfills, by their numbers.
    pub terms: BTreeMap<i64, Terms>,
}

/// What was said of one backfill when it was started.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Whether it goes on outside of the windows.
    pub now: bool,
    /// Documents a second at most, instead of the plan's.
    pub rate_per_second: Option<f64>,
}

/// Changes the wishes by compare-and-set, and gives what they are then.
pub async fn change_wishes(
    ledger: &dyn Ledger,
    change: impl Fn(&mut LaneWishes) + Send + Sync,
) -> Result<LaneWishes, StateError> {
    loop {
        let before = ledger.lane_wishes().await?;
        let mut after = before.clone();
        change(&mut after);
        if after == before || ledger.change_lane_wishes(&before, &after).await? {
            return Ok(after);
        }
    }
}
