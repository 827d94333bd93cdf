//! The servers around the processes, a road away: what reached them is done, whether anybody still waits for it or not.

pub(super) mod documents;
pub(super) mod gateway;
pub(super) mod log;

use tokio::task::JoinHandle;

/// Waits for what a server does.
async fn answer<T>(server: JoinHandle<T>) -> T {
    server.await.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))
}
