//! Index versions in a simulation: somebody provisions, promotes and rolls back, and searches go on all the time.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use plan::IndexPlan;
use tokio::time::timeout;

use super::{mutant::Mutant, seat::Seat, servers::documents::Documents, world::World};
use crate::{
    ledger::{
        BackfillIds, Ledger as _,
        versions::{self, KnownVersion, VersionState},
    },
    promotion::{self, PromotionError},
};

/// How many versions may be there before one of them is promoted first.
const CROWD: usize = 4;

/// What people do with index versions.
pub(super) struct Swaps {
    world: Arc<World>,
    /// The number of the newest version that was ever made.
    newest: AtomicU32,
}

impl Swaps {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), newest: AtomicU32::new(1) }
    }

    /// Makes a version, fills, promotes one, or rolls back.
    pub(super) async fn go_on(&self) {
        if self.world.dice.says(0.5) {
            self.fill().await;
        }
        let states = self.states().await;
        let is_on_its_way = states.iter().any(|(_, state)| state.is_new());
        match self.world.dice.below(10) {
            0..2 => self.command(promotes_back),
            // Another plan takes the place of one that is on its way, but seldom: nothing would ever be filled.
            2..9 if is_on_its_way => self.command(promotes),
            _ if states.len() < CROWD => self.provision(&states).await,
            _ => self.command(promotes),
        }
    }

    /// As provision does it by another plan: versions that were never served are let go.
    async fn provision(&self, states: &[(u32, VersionState)]) {
        let ledger = &self.world.ledger;
        for (number, state) in states.iter().filter(|(_, state)| state.is_new()) {
            ledger.change_version(*number, state, &VersionState::Removing).await.expect("memory");
        }
        let number = self.newest.fetch_add(1, Ordering::Relaxed) + 1;
        let World { plan, short, dice, mutant, versions, .. } = &*self.world;
        // What is copied later can be told from what is fetched later only where nothing is fetched twice.
        let is_short = dice.says(0.4) && *mutant != Some(Mutant::CopyLater);
        let plan = if is_short { short } else { plan };
        versions.make(number, plan);
        ledger.put_version(number, IndexPlan::clone(plan), VersionState::Building);
    }

    /// Starts the backfill of each version that waits for one, for its query is not the served one's.
    pub(super) async fn fill(&self) {
        let ledger = &self.world.ledger;
        let all = ledger.versions().await.expect("memory");
        let served = versions::served(&all).expect("one is served").plan().fetch.query_hash.clone();
        let waits = |known: &&KnownVersion| {
            known.state.is_live() && !known.state.is_whole() && known.plan().fetch.query_hash != served
        };
        let open = ledger.open_backfills().await.expect("memory");
        for known in all.iter().filter(waits) {
            let ids = BackfillIds::IntoVersion(known.number());
            if !open.iter().any(|backfill| backfill.ids == ids) {
                ledger.start_backfill(ids).await.expect("memory");
            }
        }
    }

    /// Somebody gives a command; some break it off.
    fn command<F: Future<Output = ()> + Send + 'static>(&self, command: impl FnOnce(Arc<World>) -> F) {
        let patience = if self.world.dice.says(0.3) { 0..200 } else { 20_000..20_001 };
        let (patience, command) = (self.world.dice.millis(patience), command(Arc::clone(&self.world)));
        tokio::spawn(timeout(patience, command));
    }

    /// Searches see one version that is whole, and nothing that they have shown goes back.
    pub(super) async fn are_unnoticed(&self) {
        let World { versions, .. } = &*self.world;
        let searched = versions.searched();
        let state = self.states().await.into_iter().find(|(number, _)| *number == searched);
        let is_whole = state.as_ref().is_some_and(|(_, state)| state.is_whole());
        let Some(documents) = versions.get(searched).filter(|_| is_whole) else {
            let fault = format!("searches are answered from version {searched}, which is {state:?}");
            return self.world.witness().breaks(fault);
        };
        // A write to one version may fail or arrive late; until its document is fetched anew, a swap shows what was there before.
        // That can't be told from the rule that this breaks on purpose, so that nothing else is held to it here.
        if self.world.mutant != Some(Mutant::CopyLater) {
            return;
        }
        let shown = self.world.witness().shown();
        for (id, version) in shown {
            let now = documents.get(&id).await.map(|document| document.version);
            // What was deleted before a version was made is not copied to it.
            if now.is_none() && self.is_deleted_elsewhere(&id, version).await {
                self.world.witness().deleted(&id);
                continue;
            }
            self.world.witness().shows(searched, &id, now);
        }
        for document in documents.stored().await {
            self.world.witness().shows(searched, &document.id, Some(document.version));
        }
    }

    async fn is_deleted_elsewhere(&self, id: &plan::DocumentId, since: plan::DocumentVersion) -> bool {
        for number in 1..=self.newest.load(Ordering::Relaxed) {
            let Some(documents) = self.world.versions.get(number) else { continue };
            let there = documents.get(id).await;
            if there.is_some_and(|there| there.body.is_none() && there.version >= since) {
                return true;
            }
        }
        false
    }

    /// The versions that are whole, each with its documents and the ids of what it is known to lack.
    pub(super) async fn whole(&self) -> Vec<(u32, Arc<Documents>, BTreeSet<String>)> {
        let mut whole = Vec::new();
        for (number, _) in self.states().await.into_iter().filter(|(_, state)| state.is_whole()) {
            let Some(documents) = self.world.versions.get(number) else { continue };
            whole.push((number, documents, self.lacks(number).await));
        }
        whole
    }

    /// Whether every version is where it is to be, and lacks nothing.
    pub(super) async fn are_done(&self) -> bool {
        for (number, state) in self.states().await {
            let is_done = state.is_whole() && self.lacks(number).await.is_empty();
            if !is_done && !matches!(state, VersionState::GivenUp { .. }) {
                return false;
            }
        }
        true
    }

    async fn lacks(&self, number: u32) -> BTreeSet<String> {
        let lacks = self.world.ledger.lacks(number, usize::MAX).await.expect("memory");
        lacks.into_iter().map(|lack| lack.id.to_string()).collect()
    }

    async fn states(&self) -> Vec<(u32, VersionState)> {
        self.world.ledger.version_states().await.expect("memory")
    }
}

async fn promotes(world: Arc<World>) {
    let Ok(index) = Seat::new(&world, 0).0.open().await else { return };
    let before = index.plan.fetch.query_hash.clone();
    let ended = promotion::promote(&index, None, &[]).await;
    if let Ok(promoted) = &ended
        && let Some(documents) = world.versions.get(promoted.to)
        && documents.plan.fetch.query_hash != before
    {
        world.witness().figures.retemplatings += 1;
    }
    tell(&world, ended);
}

async fn promotes_back(world: Arc<World>) {
    let Ok(index) = Seat::new(&world, 0).0.open().await else { return };
    tell(&world, promotion::roll_back(&index).await);
}

fn tell(world: &World, ended: Result<promotion::Promoted, PromotionError>) {
    match ended {
        Ok(_) => world.witness().figures.promotions += 1,
        // One that is on its way may be all that there is.
        Err(PromotionError::Nothing(_) | PromotionError::NotWhole { .. } | PromotionError::Overtaken(_)) => {}
        Err(PromotionError::State(error)) if error.is_of_a_server() => {}
        Err(error) => world.witness().breaks(format!("a promotion ends with {error}")),
    }
}
