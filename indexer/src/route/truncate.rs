//! A truncated table: the index pauses until a person has looked, and nothing is deleted because of it.
//!
//! A truncate is often the first half of a reload, and it names no row. So no document goes: after `resume`, a backfill finds
//! which are gone, under the guard of `errors.max_gone`.

use std::time::Duration;

use plan::code::kafka::SS310;

use crate::{
    StateError,
    ledger::{self, IndexState, Ledger},
};

/// How often a source that waits for a person looks.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// Pauses the index, whatever its state is.
pub(crate) async fn pause(ledger: &dyn Ledger, source: &str, place: &str) -> Result<(), StateError> {
    let reason = format!(
        "{source}: {place}: the table was truncated; nothing was deleted from the index, and a full backfill after \
         `studio-search resume` finds what is gone"
    );
    ledger::halt(ledger, SS310, reason).await
}

/// Whether nobody has resumed the index since a truncate paused it.
pub(crate) async fn is_unanswered(ledger: &dyn Ledger) -> Result<bool, StateError> {
    let state = ledger.state().await?;
    Ok(matches!(state, IndexState::Failed { code, .. } if code == SS310.id))
}
