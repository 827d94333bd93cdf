//! The right to rebuild a share of the log, from the moment that a process takes it over until it is revoked.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Ends, Lane, Logged};
use crate::{StateError, store::Document};

/// A share of the log that belongs to one process for a while: some partitions, the same of both lanes.
///
/// A method fails with [`StateError::Fenced`] once the share belongs to another process.
#[async_trait]
pub trait Tenure: Send + Sync {
    /// Proves that the share is still this process' own by one commit that would be refused otherwise. Done after the epoch
    /// was taken and before the first fetch, it makes the order of epochs the order of tenures.
    async fn prove(&self) -> Result<(), StateError>;

    /// Whether what needs one executor for the whole index is done here: enumerations, replays.
    fn is_executor(&self) -> bool;

    /// The position in each partition up to which the lane was complete when the share was taken over.
    async fn committed(&self, lane: Lane) -> Result<Ends, StateError>;

    /// The next entries of a lane, at most `limit`, each partition in its order; none where nothing new is there.
    async fn read(&self, lane: Lane, limit: usize) -> Result<Vec<Logged>, StateError>;

    /// Waits until there may be something new to read. May never end; entries of other processes are found by polling.
    async fn appended(&self);

    /// Appends documents to the documents log of a query, by its hash, durably, before they are written to the index. Where the
    /// store is that log itself, this does nothing. Gives, for each document, why the log can't take it as it is.
    async fn append(&self, query: &str, documents: &[Document]) -> Result<Vec<Option<String>>, StateError>;

    /// Says that every entry of the lane up to these positions is complete.
    async fn commit(&self, lane: Lane, through: &Ends) -> Result<(), StateError>;

    /// Says once what of the share is lost: entries that were deleted before they were read.
    fn take_loss(&self) -> Option<String>;

    /// Is cancelled when the share is asked back: what runs may be finished, nothing new is begun.
    fn revoked(&self) -> &CancellationToken;

    /// Gives the share back: nothing of it is worked on any more.
    fn release(&self);
}

/// Hands out the shares of the log that this process is to rebuild, one after another.
#[async_trait]
pub trait Ownership: Send + Sync {
    /// The next share, as soon as there is one; nothing once this is stopped.
    async fn next_tenure(&mut self, stop: &CancellationToken) -> Result<Option<Arc<dyn Tenure>>, StateError>;

    /// Says that this process wants no more shares, so that others need not wait for it.
    async fn leave(self: Box<Self>) {}
}
