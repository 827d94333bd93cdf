//! Transactions on the state file: one at a time, and those of a backfill behind all others.

use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(crate) use super::turns::Turn;
use super::{StateError, StateFile, off_the_loop, turns::Turns};

/// The connection that writes, and who may.
pub(super) struct Writer {
    turns: Turns,
    conn: Mutex<Connection>,
}

impl Writer {
    pub(super) fn new(conn: Connection) -> Self {
        Self { turns: Turns::default(), conn: Mutex::new(conn) }
    }
}

impl StateFile {
    /// Runs one transaction, here and now. All of it happens or none.
    pub fn in_transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let _turn = self.writer.turns.next();
        self.transact(work)
    }

    /// Runs one transaction when nobody else wants to, or after some seconds. The work is told whether somebody waits for it.
    fn in_patient_transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>, &Turn<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let turn = self.writer.turns.when_nobody_hurries();
        self.transact(|tx| work(tx, &turn))
    }

    /// Runs one transaction of whose turn it is.
    fn transact<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut conn = self.writer.conn.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            // Immediate: a reader that turns writer could meet another process' write and fail half-way.
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        };
        run().map_err(|source| StateError::Sqlite { path: self.path().to_owned(), source })
    }

    /// [`StateFile::in_transaction`] on a thread that may block.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StateError> {
        let state = self.clone();
        off_the_loop(move || state.in_transaction(work)).await
    }

    /// Works on a thread that may block, in as many transactions as it takes: each ends where somebody waits for it, and all of
    /// them come after what others write. The work says of each whether it is done.
    pub(crate) async fn write_patiently<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&Transaction<'_>, &Turn<'_>) -> rusqlite::Result<Option<T>> + Send + 'static,
    ) -> Result<T, StateError> {
        let state = self.clone();
        off_the_loop(move || {
            loop {
                if let Some(done) = state.in_patient_transaction(&mut work)? {
                    return Ok(done);
                }
            }
        })
        .await
    }
}
