//! What every ledger must do, as one suite of tests: it runs on the state file here, on servers from the workspace's tests.
//!
//! A world makes provisioned indexes; the suite opens their ledgers, often more than once, as processes that share an index
//! would, and panics where one of them differs.

#![expect(clippy::unwrap_used, reason = "a suite of tests fails by panicking")]

mod fan_outs;
mod held;
mod lately;
mod saved;
mod shared;
mod versions;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use plan::{DocumentId, DocumentVersion, IndexPlan};

use super::{Hold, HoldCause, Ledger, RetryPauses};
use crate::revision::Wants;

/// A world that has a ledger.
#[async_trait]
pub trait World: Sync {
    /// A new index, provisioned.
    async fn provisioned(&self, retry: RetryPauses) -> Ledgers;
}

/// Makes an index version by a plan.
pub type Provision = Box<dyn Fn(IndexPlan) -> BoxFuture<'static, ()> + Send + Sync>;

/// The ledger of one index, opened as often as one likes.
pub struct Ledgers {
    /// The plan that was provisioned.
    pub plan: IndexPlan,
    /// Opens it, as a process that starts would.
    pub open: Box<dyn Fn() -> Arc<dyn Ledger> + Send + Sync>,
    /// Makes version 2 by this plan, as provision does beside the served one.
    pub make_second: Provision,
}

impl Ledgers {
    fn open(&self) -> Arc<dyn Ledger> {
        (self.open)()
    }
}

/// Runs all of it.
pub async fn run(world: &dyn World) {
    shared::run(world).await;
    fan_outs::run(world).await;
    held::run(world).await;
    lately::run(world).await;
    saved::run(world).await;
    versions::run(world).await;
}

/// Pauses that no test outlives.
const LONG: RetryPauses = RetryPauses { initial_ms: 3_600_000, max_ms: 4 * 3_600_000 };

/// No pauses.
const NONE: RetryPauses = RetryPauses { initial_ms: 0, max_ms: 0 };

fn id(text: impl Into<String>) -> DocumentId {
    DocumentId::new(text.into()).unwrap()
}

fn version(version: i64) -> DocumentVersion {
    DocumentVersion::from_stored(version)
}

/// A document that failed under this version, because of this subgraph.
fn failed(document: &DocumentId, at: i64, subgraph: Option<&str>) -> Hold {
    let cause = HoldCause {
        subgraph: subgraph.map(str::to_owned),
        code: "SS405".to_owned(),
        path: Some("actors[0].name".to_owned()),
        message: format!("failed at {at}: \"\u{fffd}\"\n"),
    };
    Hold { id: document.clone(), version: version(at), cause, wants: Wants::default() }
}
