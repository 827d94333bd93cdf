//! The servers around the processes, a road away: what reached them is done, whether anybody still waits for it or not.

pub(super) mod documents;
pub(super) mod gateway;
pub(super) mod log;

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::world::World;
use crate::{StateError, tasks::joined};

/// The road to the ledger. What it is asked for may never arrive, and its answer may not either; who asked has patience.
#[derive(Clone)]
pub(crate) struct Road(pub(super) Arc<World>);

impl Road {
    /// Asks, unless that gets lost.
    pub(crate) async fn carry<T>(
        &self,
        asking: impl Future<Output = Result<T, StateError>>,
    ) -> Result<T, StateError> {
        let Self(world) = self;
        let is_lost = { world.dice.says(world.weather().ledger) };
        let is_asked = !is_lost || world.dice.says(0.5);
        world.road().await;
        let answer = if is_asked { Some(asking.await) } else { None };
        world.road().await;
        if let Some(answer) = answer.filter(|_| !is_lost) {
            return answer;
        }
        world.witness().figures.unheard += 1;
        let (what, reason) = ("the ledger".to_owned(), "the connection broke".to_owned());
        Err(StateError::Unreachable { what, reason })
    }
}

/// Waits for what a server does.
async fn answer<T>(server: JoinHandle<T>) -> T {
    joined(server.await)
}
