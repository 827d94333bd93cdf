//! What a task leaves that has ended: its value. A panic goes on where the task is waited for, and is never lost.

use tokio::task::JoinError;

/// The value of a task; goes on with its panic.
pub(crate) fn joined<T>(ended: Result<T, JoinError>) -> T {
    ended.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()))
}
