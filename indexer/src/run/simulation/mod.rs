//! The whole system in one thread, over servers in memory: one seed decides what happens, and every interleaving of it.
//!
//! `Process::run` is the real one, with everything that it does; only the servers around it, the clock and chance are not.
//! `SIMULATION_SEED=<seed>` runs one case, `SIMULATION_SEEDS=<count>` so many.

pub(crate) mod freezer;
mod movies;
mod mutant;
mod nature;
pub(crate) mod seat;
pub(crate) mod servers;
mod sources;
mod truth;
mod versions;
mod witness;
mod world;

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError},
};

use self::{mutant::Mutant, nature::Nature, witness::Figures, world::World};
use crate::ambient::simulated;

/// Cases that every run of the tests goes through.
const SEEDS: u64 = 2_000;

/// One case. An error says what went wrong.
fn case(seed: u64, mutant: Option<Mutant>) -> Result<Figures, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let _machine = simulated::begin(seed);
        Nature::run(World::new(seed, mutant)).await
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Goes through cases on both cores, each on a thread of its own, until `seen` says that it is enough.
fn cases(
    seeds: RangeInclusive<u64>,
    mutant: Option<Mutant>,
    seen: impl Fn(u64, Result<Figures, String>) -> bool + Sync,
) {
    let left = Mutex::new(seeds);
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some(seed) = next() {
            let ended = catch_unwind(AssertUnwindSafe(|| case(seed, mutant)));
            if seen(seed, ended.unwrap_or_else(|_| Err("it panicked".to_owned()))) {
                *left.lock().unwrap_or_else(PoisonError::into_inner) = RangeInclusive::new(1, 0);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
}

#[test]
fn the_index_equals_the_graph_whatever_happens() {
    let asked = number("SIMULATION_SEED");
    let seeds = asked.map_or(1..=number("SIMULATION_SEEDS").unwrap_or(SEEDS), |seed| seed..=seed);
    let (all, faults) = (Mutex::new(Figures::default()), Mutex::new(BTreeMap::new()));
    cases(seeds, None, |seed, ended| match ended {
        Ok(figures) => {
            *all.lock().unwrap() += figures;
            false
        }
        Err(fault) => {
            faults.lock().unwrap().insert(seed, fault);
            true
        }
    });
    if let Some((seed, fault)) = faults.into_inner().unwrap().pop_first() {
        panic!("SIMULATION_SEED={seed}: {fault}");
    }
    let all = all.into_inner().unwrap();
    println!("{all:?}");
    // Cases in which nobody is ever overtaken, and nothing fails, would prove nothing.
    let seen = [all.superseded, all.fenced, all.held, all.crashes, all.zombies, all.fan_outs, all.unheard];
    assert!(
        asked.is_some()
            || all.promotions > all.retemplatings
                && all.retemplatings > 0
                && all.unchanged > 0
                && seen.iter().all(|count| *count > 0),
        "{all:?}"
    );
}

#[test]
fn every_broken_rule_is_noticed() {
    for mutant in Mutant::ALL {
        let noticed = Mutex::new(BTreeMap::new());
        cases(1..=SEEDS, Some(mutant), |seed, ended| {
            ended.is_err_and(|fault| noticed.lock().unwrap().insert(seed, fault).is_none())
        });
        let noticed = noticed.into_inner().unwrap();
        let (seed, fault) =
            noticed.first_key_value().unwrap_or_else(|| panic!("{mutant:?} is not noticed in {SEEDS} cases"));
        println!("{mutant:?} is noticed by seed {seed}: {}", fault.lines().next().unwrap_or_default());
    }
}

#[test]
fn a_case_is_the_same_each_time() {
    for seed in 1..=60 {
        assert_eq!(case(seed, None), case(seed, None), "SIMULATION_SEED={seed}");
    }
}
