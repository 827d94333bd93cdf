//! What a batch's end says beyond its documents: whom to blame, when to wait, and when a person must come.

use std::sync::PoisonError;

use tokio::time::Instant;

use super::{
    Rebuild, RebuildError,
    batch::{BatchEnd, Fate},
};
use crate::{StateError, graph::GraphError, ledger::IndexState};

/// Answers in a row that are no GraphQL, or refuse the request, before it isn't the documents that are suspected.
const MAX_ODDITIES: u32 = 10;

/// Failures of a document alone, while others are answered, after which it is held.
const STRIKES: u32 = 3;

impl Rebuild {
    /// A request that fails while others are answered is its documents' fault: each is fetched alone, and one that fails so
    /// again and again is held. Says whether anyone is blamed; if nobody is, the gateway is.
    pub(super) async fn blame(&mut self, end: &mut BatchEnd) -> Result<bool, StateError> {
        let Err(error @ GraphError::Unavailable { .. }) = &end.gateway else { return Ok(false) };
        let asked = end.fates.len();
        let mut anyone = false;
        for (ticket, fate) in &mut end.fates {
            let strikes = self.coalescer.strike(&ticket.id, self.successes);
            anyone |= strikes.is_new;
            *fate = Fate::Again { alone: strikes.count > 0 };
            if asked == 1 && strikes.is_new && strikes.count >= STRIKES {
                self.batches.hold(ticket, error).await?;
                *fate = Fate::Complete;
            }
        }
        Ok(anyone)
    }

    /// Tells the limit how the gateway took a request.
    pub(super) fn note_in_limit(&mut self, end: &BatchEnd, now: Instant) {
        let has_failed = matches!(
            end.gateway,
            Err(GraphError::Unavailable { .. } | GraphError::Busy { .. } | GraphError::NotGraphql(_))
        );
        self.throttle.note(end.took, has_failed, now);
        match &end.gateway {
            Ok(()) => self.limit.answered(end.started, end.fates.len(), end.took, now),
            Err(GraphError::Busy { retry_after, .. }) => {
                self.is_refused_alone = self.limit.refused(end.started, *retry_after, now);
            }
            // While nobody is answered, it isn't that there are too many.
            Err(GraphError::Unavailable { .. }) if self.breaker.failures() == 0 => {
                self.limit.failed(end.started, now);
            }
            Err(_) => {}
        }
        self.batches.meter.limit_is(self.limit.places());
    }

    pub(super) async fn note_success(&mut self, now: Instant) -> Result<(), StateError> {
        self.successes += 1;
        self.oddities = 0;
        // Other documents may be written while those of an alarm are still refused.
        if self.batches.refusals.lock().unwrap_or_else(PoisonError::into_inner).is_waiting() {
            return Ok(());
        }
        if self.breaker.failures() > 0 && self.breaker.succeed(now) {
            tracing::info!("the gateway and the store answer again");
            self.batches.meter.waits_for(None);
        }
        match &self.state {
            IndexState::Failed { .. } if !self.is_stopped() => self.change_state(IndexState::Running).await,
            _ => Ok(()),
        }
    }

    /// Opens the breaker, and tells the ledger about failures that someone must mend.
    pub(super) async fn note_failure(
        &mut self,
        error: GraphError,
        asked: usize,
        started: Instant,
        now: Instant,
    ) -> Result<(), RebuildError> {
        let retry_after = match &error {
            // Fewer are in flight from here on, and nobody waits, unless it asked for that or there are no fewer.
            GraphError::Busy { retry_after: None, .. } if !self.is_refused_alone => return Ok(()),
            GraphError::Unavailable { retry_after, .. } | GraphError::Busy { retry_after, .. } => {
                *retry_after
            }
            GraphError::TooLarge(_) => {
                // A document that is too large by itself says nothing about batches.
                if asked > 1 && asked / 2 < self.max_batch {
                    self.max_batch = asked / 2;
                    tracing::warn!(batch = self.max_batch, "{error}: batches are smaller from here on");
                }
                return Ok(());
            }
            GraphError::NotGraphql(_) | GraphError::Rejected(_) => {
                self.oddities += 1;
                if self.oddities < MAX_ODDITIES {
                    return Ok(());
                }
                None
            }
            GraphError::Refused(_) | GraphError::Unauthorized(_) => None,
        };
        if self.breaker.failures() == 0 {
            tracing::warn!(code = error.code().id, "{error}");
        }
        self.breaker.fail(started, retry_after, now);
        self.batches.meter.waits_for(Some(error.to_string()));
        if error.is_systemic() || self.oddities >= MAX_ODDITIES {
            self.fail(error.code().id, error.to_string()).await?;
        }
        let give_up = self.give_up_after.is_some_and(|most| self.breaker.failures() >= most);
        if give_up || (self.give_up_after.is_some() && error.is_systemic()) {
            Err(error.into())
        } else {
            Ok(())
        }
    }

    /// Opens the breaker for a store that can't be written: what can't be kept isn't worth fetching.
    pub(super) async fn note_store_failure(
        &mut self,
        error: StateError,
        started: Instant,
        now: Instant,
    ) -> Result<(), RebuildError> {
        self.successes += 1;
        self.oddities = 0;
        if self.breaker.failures() == 0 {
            tracing::warn!(code = error.code().id, "{error}");
        }
        self.breaker.fail(started, None, now);
        self.batches.meter.waits_for(Some(error.to_string()));
        if !error.is_passing() {
            self.fail(error.code().id, error.to_string()).await?;
        }
        match self.give_up_after {
            Some(most) if self.breaker.failures() >= most || !error.is_passing() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Says that someone must mend something. What a person paused stays paused.
    pub(super) async fn fail(&mut self, code: &str, reason: String) -> Result<(), StateError> {
        let failed = IndexState::Failed { code: code.to_owned(), reason };
        if self.state == failed || self.is_stopped() { Ok(()) } else { self.change_state(failed).await }
    }

    /// Changes the state, unless a person changed it since it was read; then theirs holds.
    pub(super) async fn change_state(&mut self, to: IndexState) -> Result<(), StateError> {
        if self.batches.ledger.change_state(&self.state, &to).await? {
            self.state = to;
        } else {
            let state = self.batches.ledger.state().await?;
            self.note_state(state);
        }
        Ok(())
    }
}
